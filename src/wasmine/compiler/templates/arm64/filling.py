"""Fills registers and values into templates for ARM64. On the compiler's path whenever a template meets a new choice.

Every instruction is a word, with the registers' numbers in fields of five bits: the code for some registers is the stored
code, which has 0 everywhere, plus a multiple of a mask for each operand. The compiler's registers are numbered from 0 to
15; `GENERAL` says which these are.

A template's code is stored with the short form of everything. Where a value does not fit, x17 helps: with the sum of the
first operand and the upper 12 of 24 bits, or, behind two more instructions, with the whole number. Where memory is accessed
there is a second code, for the static offset 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.templates.expand import HOLE_TAKEN, OFFSET, Hole, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GENERAL: Final = (0, 1, 2, 3, 4, 5, 6, 7, 11, 19, 23, 24, 25, 26, 27, 28)
"""The general registers that operands may be in, by the compiler's numbers. A vector register's number is its own."""

SPARE: Final = 17
"""The register that takes numbers which do not fit."""

AT_ZERO: Final = 128
"""In `small`, and the name of a variant: the static offset is 0. If it does not fit, this promises that 24 bits hold it."""

# The kinds of holes for values: the instructions' immediate fields.
DISPLACEMENT: Final = 1  # of a load or store: 12 bits, times the access's size, or 9 bits with a sign
ADDITION: Final = 2  # of an addition, subtraction or comparison: 12 bits, shifted left by 12 or not
LOGICAL: Final = 3  # of an operation on bits: a repeated run of ones
LEFT: Final = 4  # the count of a shift left
RIGHT: Final = 5  # of a shift right
ROTATE_RIGHT: Final = 6
ROTATE_LEFT: Final = 7
LANES_LEFT: Final = 8  # the count of a shift of lanes
LANES_RIGHT: Final = 9
MOVE: Final = 10  # of movz: a number of 16 bits; of movn if negative
LOW: Final = 11  # the same for the low 16 bits of a number whose others follow
KEEP: Final = 12  # of movk: 16 bits of a number, which ones the instruction says
UPPER: Final = 13  # of an addition: the upper 12 of 24 bits
LOWER: Final = 14  # of the addition behind: the lower 12 bits
BEHIND: Final = 15  # the same as a displacement

NEGATIVE: Final = 1 << 30
"""The bit of an addition that makes it a subtraction, and of movz that makes it movn, and the other way round."""


def choices(shrinkable: int, bases: int) -> list[int]:
    """The variants: that for any offset, and that for the offset 0 if there is one."""
    return [0, AT_ZERO] if bases else [0]


def choice(small: int, registers: Sequence[int], shrinkable: int, bases: int) -> int:
    """The variant for these promises about values; `bases` says that there is one for the offset 0."""
    return AT_ZERO if bases and small & AT_ZERO and small >> OFFSET & 1 else 0


def expand(variant: Variant, registers: Sequence[int], small: int) -> tuple[bytes, tuple[Hole, ...]]:
    """The code with operands in `registers`, operand 0 first, and the holes left in it.

    The masks of a field are for a general register and for a vector register.
    """
    number, length, fields, _, holes = variant
    for operand, general, vector in fields:
        register = registers[operand]
        number += GENERAL[register] * general + register * vector
    code = number.to_bytes(length, "little")
    if all(small >> hole.operand & 1 or hole.kind not in LENGTHENED for hole in holes):
        return code, holes
    return _lengthen(code, holes, small)


def small(variant: Variant, values: Mapping[int, int]) -> int:
    """The values that fit in all their holes, as bits, and AT_ZERO."""
    found = AT_ZERO if values.get(OFFSET) == 0 else 0
    for number, value in values.items():
        holes = [
            (hole.kind, variant.code >> 8 * hole.offset & 0xFFFFFFFF, value + hole.addend)
            for hole in variant.holes
            if hole.kind < HOLE_TAKEN and hole.operand == number
        ]
        if all(encode(*hole) is not None for hole in holes):
            found |= 1 << number
        elif number == OFFSET and all(_splits(*hole) for hole in holes):
            found |= AT_ZERO
    return found


def fill(code: bytearray, hole: Hole, value: int) -> None:
    """Puts a value into a hole of a template's code."""
    at, kind, number, addend = hole
    word = encode(kind, int.from_bytes(code[at : at + 4], "little"), value + addend)
    if word is None:
        raise ValueError(f"value {number} of a template is {value}, which its instruction cannot hold")
    code[at : at + 4] = word.to_bytes(4, "little")


def accepts_immediate(name: str, value: int) -> bool:
    """Whether an integer instruction's second operand may be this constant, as kind `C`.

    LLVM compares with the next constant or the one before where that is shorter: so not the very largest, and none at the
    limits of an unsigned order, where the result is the same whatever the first operand is, or an equality.
    """
    type, _, operation = name.partition(".")
    if operation in ("and", "or", "xor"):
        return _bit_pattern(value, 64 if type == "i64" else 32) is not None
    if operation in ("shr_s", "shr_u") and "x" in type:
        return value > 0
    if operation in ("shl", "shr_s", "shr_u", "rotl", "rotr"):
        return True
    if operation == "add":
        return abs(value) < 1 << 24
    return -4095 < value < 4095 and (operation[-2:] != "_u" or value not in (-1, 0))


# ---------------------------------------------------------------------------------------------------- values


def encode(kind: int, word: int, value: int) -> int | None:
    """The instruction with a value in its hole; None if it cannot hold it."""
    return _ENCODERS[kind](word, value)


def _displacement(word: int, value: int) -> int | None:
    # The size is in the upper two bits; 128-bit accesses have 0 there, and another bit set.
    scale = 4 if word & 0x04800000 == 0x04800000 else word >> 30
    if value & (1 << scale) - 1 == 0 and 0 <= value >> scale < 4096:
        return word | value >> scale << 10
    if -256 <= value < 256:
        return word & ~(1 << 24) | (value & 511) << 12
    return None


def _addition(word: int, value: int) -> int | None:
    if value < 0:
        word ^= NEGATIVE
        value = -value
    if value < 4096:
        return word | value << 10
    if value & 4095 == 0 and value < 1 << 24:
        return word | 1 << 22 | value >> 12 << 10
    return None


def _logical(word: int, value: int) -> int | None:
    field = _bit_pattern(value, 64 if word >> 31 else 32)
    return None if field is None else word | field << 10


def _bit_pattern(value: int, width: int) -> int | None:
    """N, immr and imms of a number that is a run of ones, rotated and repeated; None for any other."""
    value &= (1 << width) - 1
    if value in (0, (1 << width) - 1):
        return None
    size = width
    while size > 2 and value >> size // 2 & (1 << size // 2) - 1 == value & (1 << size // 2) - 1:
        size //= 2
        value &= (1 << size) - 1
    ones = value.bit_count()
    run = (1 << ones) - 1
    for rotation in range(size):
        if (run >> rotation | run << size - rotation) & (1 << size) - 1 == value:
            # The upper bits of imms say the size, as ones that end in a zero.
            return (size == 64) << 12 | rotation << 6 | (-size << 1 & 0x3F) | ones - 1
    return None


def _width(word: int) -> int:
    return 64 if word >> 31 else 32


def _left(word: int, value: int) -> int | None:
    width = _width(word)
    return word | (-value % width) << 16 | width - 1 - value << 10 if 0 <= value < width else None


def _right(word: int, value: int) -> int | None:
    return word | value << 16 if 0 <= value < _width(word) else None


def _rotate_right(word: int, value: int) -> int | None:
    return word | value << 10 if 0 <= value < _width(word) else None


def _rotate_left(word: int, value: int) -> int | None:
    width = _width(word)
    return word | (-value % width) << 10 if 0 <= value < width else None


def _lane_width(word: int) -> int:
    """The highest bit of the field at 16 says it; the rest is 0 in a stored instruction."""
    return word >> 16 & 0x78


def _lanes_left(word: int, value: int) -> int | None:
    return word + (value << 16) if 0 <= value < _lane_width(word) else None


def _lanes_right(word: int, value: int) -> int | None:
    width = _lane_width(word)
    return word + (width - value << 16) if 0 < value <= width else None


def _move(word: int, value: int) -> int | None:
    return _low(word, value) if -0x10000 <= value < 0x10000 else None


def _low(word: int, value: int) -> int:
    if value < 0:
        return word ^ NEGATIVE | (~value & 0xFFFF) << 5
    return word | (value & 0xFFFF) << 5


def _keep(word: int, value: int) -> int:
    part = word >> 21 & 3
    return word | (value >> 16 * part & 0xFFFF) << 5


def _upper(word: int, value: int) -> int | None:
    if value < 0:
        word ^= NEGATIVE
        value = -value
    return word | 1 << 22 | value >> 12 << 10 if value < 1 << 24 else None


def _lower(word: int, value: int) -> int:
    return word | value << 10 & 0xFFF << 10 if value >= 0 else word ^ NEGATIVE | (-value & 0xFFF) << 10


def _behind(word: int, value: int) -> int | None:
    return _displacement(word, value & 0xFFF)


_ENCODERS: Final[dict[int, Callable[[int, int], int | None]]] = {
    DISPLACEMENT: _displacement,
    ADDITION: _addition,
    LOGICAL: _logical,
    LEFT: _left,
    RIGHT: _right,
    ROTATE_RIGHT: _rotate_right,
    ROTATE_LEFT: _rotate_left,
    LANES_LEFT: _lanes_left,
    LANES_RIGHT: _lanes_right,
    MOVE: _move,
    LOW: _low,
    KEEP: _keep,
    UPPER: _upper,
    LOWER: _lower,
    BEHIND: _behind,
}

# ---------------------------------------------------------------------------------------------------- long forms

_MOVE_SPARE: Final = 0xD2800000 | SPARE  # movz x17, #0
_MOVK: Final = 0x20000000 | 1 << 21  # what makes of a movz the movk of bits 16 to 31
_SETS_FLAGS: Final = 1 << 29
_BASES: Final = (20, 21)  # the context and the frame
LENGTHENED: Final = frozenset((DISPLACEMENT, ADDITION, MOVE))
"""The kinds of holes whose instructions have a long form."""

_Words = tuple[tuple[int, int], ...]
"""Instructions, each with the kind of its hole, 0 if it has none."""


def _lengthen(code: bytes, holes: Sequence[Hole], small: int) -> tuple[bytes, tuple[Hole, ...]]:
    """The code with room for values that are not small, and the holes where they are then."""
    result = bytearray()
    moved: list[Hole] = []
    done = 0
    for hole in holes:
        result += code[done : hole.offset]
        done = hole.offset + 4
        word = int.from_bytes(code[hole.offset : done], "little")
        words: _Words = ((word, hole.kind),)
        if hole.kind in LENGTHENED and not small >> hole.operand & 1:
            # Immediates have been accepted; of offsets in the frame and in the context nothing is promised.
            near = small & AT_ZERO != 0 if hole.operand == OFFSET else word >> 5 & 31 not in _BASES
            words = _LONG_FORMS[hole.kind](word, near)
        for each, kind in words:
            if kind:
                moved.append(hole._replace(offset=len(result), kind=kind))
            result += each.to_bytes(4, "little")
    return bytes(result + code[done:]), tuple(moved)


def _splits(kind: int, word: int, value: int) -> bool:
    """Whether the long form for 24 bits holds a value."""
    if kind == DISPLACEMENT:
        return 0 <= value < 1 << 24 and _behind(word, value) is not None
    return bool(word & _SETS_FLAGS) or abs(value) < 1 << 24


def _long_displacement(word: int, near: bool) -> _Words:
    """add x17, n, #upper; ldr t, [x17, #lower]. For others ldr t, [n, x17]."""
    base = word >> 5 & 31
    if near:
        return (0x91000000 | base << 5 | SPARE, UPPER), (word & ~(31 << 5) | SPARE << 5, BEHIND)
    load = word & ~(1 << 24) | 1 << 21 | SPARE << 16 | 0b011010 << 10
    return (_MOVE_SPARE, LOW), (_MOVE_SPARE | _MOVK, KEEP), (load, 0)


def _long_addition(word: int, near: bool) -> _Words:
    """add x17, n, #upper; add d, x17, #lower. For others, and where flags are set, add d, n, x17."""
    if near and not word & _SETS_FLAGS:
        return (word & ~31 | SPARE, UPPER), (word & ~(31 << 5) | SPARE << 5, LOWER)
    add = word & 0xE00003FF | 0b01011 << 24 | SPARE << 16
    return (_MOVE_SPARE, LOW), (_MOVE_SPARE | _MOVK, KEEP), (add, 0)


def _long_move(word: int, near: bool) -> _Words:
    """movz and movk"""
    return (word, LOW), (word | _MOVK, KEEP)


_LONG_FORMS: Final = {DISPLACEMENT: _long_displacement, ADDITION: _long_addition, MOVE: _long_move}
