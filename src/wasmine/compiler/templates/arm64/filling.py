"""Fills registers and values into templates for ARM64. On the compiler's path whenever a template meets a new choice.

Every instruction is a word, with the registers' numbers in fields of five bits: the code for some registers is the stored
code, which has 0 everywhere, plus a multiple of a mask for each operand. The compiler's registers are numbered from 0 to
15; `GENERAL` says which these are.

A template's code is stored with the short form of everything. Where a value does not fit, the instruction is replaced by
one that takes the number from x17, behind two that put it there. Where memory is accessed there is a second code, for the
static offset 0.
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
"""In `small`, and the name of a variant: the static offset is 0."""

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

NEGATIVE: Final = 1 << 30
"""The bit of an addition that makes it a subtraction, and of movz that makes it movn, and the other way round."""


def choices(shrinkable: int, bases: int) -> list[int]:
    """The variants: that for any offset, and that for the offset 0 if there is one."""
    return [0, AT_ZERO] if shrinkable & AT_ZERO else [0]


def choice(small: int, registers: Sequence[int], shrinkable: int, bases: int) -> int:
    """The variant for these promises about values."""
    return small & shrinkable & AT_ZERO


def expand(variant: Variant, registers: Sequence[int], small: int) -> tuple[bytes, tuple[Hole, ...]]:
    """The code with operands in `registers`, operand 0 first, and the holes left in it.

    The masks of a field are for a general register and for a vector register.
    """
    number, length, fields, _, holes = variant
    for operand, general, vector in fields:
        register = registers[operand]
        number += GENERAL[register] * general + register * vector
    code = number.to_bytes(length, "little")
    long = [hole for hole in holes if hole.kind in _LENGTHEN and not small >> hole.operand & 1]
    return _lengthen(code, holes, long) if long else (code, holes)


def small(variant: Variant, values: Mapping[int, int]) -> int:
    """The values that fit in all their holes, as bits, and AT_ZERO."""
    found = AT_ZERO if values.get(OFFSET) == 0 else 0
    for number in values:
        found |= 1 << number
    word = variant.code
    for offset, kind, number, addend in variant.holes:
        if kind < HOLE_TAKEN and encode(kind, word >> 8 * offset & 0xFFFFFFFF, values[number] + addend) is None:
            found &= ~(1 << number)
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
        return abs(value) < 4096 or (value & 4095 == 0 and abs(value) < 1 << 24)
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
}

# ---------------------------------------------------------------------------------------------------- long forms

_MOVE_SPARE: Final = 0xD2800000 | SPARE  # movz x17, #0
_MOVK: Final = 0x20000000 | 1 << 21  # what makes of a movz the movk of bits 16 to 31


def _lengthen(code: bytes, holes: Sequence[Hole], long: Sequence[Hole]) -> tuple[bytes, tuple[Hole, ...]]:
    """The code with room for values of 32 bits in some holes, and the holes where they are then."""
    result = bytearray()
    moved: list[Hole] = []
    done = 0
    for hole in sorted(holes):
        if hole not in long:
            moved.append(hole._replace(offset=hole.offset + len(result) - done))
            continue
        result += code[done : hole.offset]
        done = hole.offset + 4
        word = int.from_bytes(code[hole.offset : done], "little")
        words = _LENGTHEN[hole.kind](word)
        at = len(result)
        moved.append(hole._replace(offset=at, kind=LOW))
        moved.append(hole._replace(offset=at + 4, kind=KEEP))
        for each in words:
            result += each.to_bytes(4, "little")
    return bytes(result + code[done:]), tuple(moved)


def _long_displacement(word: int) -> tuple[int, ...]:
    """ldr t, [n, x17]"""
    return _MOVE_SPARE, _MOVE_SPARE | _MOVK, word & ~(1 << 24) | 1 << 21 | SPARE << 16 | 0b011010 << 10


def _long_addition(word: int) -> tuple[int, ...]:
    """add d, n, x17"""
    return _MOVE_SPARE, _MOVE_SPARE | _MOVK, word & 0xE00003FF | 0b01011 << 24 | SPARE << 16


def _long_move(word: int) -> tuple[int, ...]:
    return word, word | _MOVK


_LENGTHEN: Final = {DISPLACEMENT: _long_displacement, ADDITION: _long_addition, MOVE: _long_move}
LENGTHENED: Final = frozenset(_LENGTHEN)
"""The kinds of holes whose instructions have a long form."""
