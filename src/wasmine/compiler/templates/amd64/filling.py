"""Fills registers and values into templates for x86-64. On the compiler's path whenever a template meets a new choice.

A template's code is stored ready for use, with register 0 everywhere and the longest prefixes. Every bit of it that depends
on an operand's register is one bit of the register's number: so the code for other registers is an exclusive or with a
multiple of two masks for each operand, one for the low three bits of the number and one for the fourth. Then prefixes
that turn out to be needless are dropped.

There is a variant for every choice of values that are small, so that one byte holds them. Those that an address in rbp
(or r13) without a displacement concerns exist twice: it has a displacement then, be it 0.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from wasmine.compiler.templates.expand import Hole, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# The kinds of holes for values: so many bytes of it, or a byte of minus the value.
HOLE_8: Final = 1
HOLE_16: Final = 2
HOLE_32: Final = 4
HOLE_64: Final = 8
HOLE_NEGATED: Final = 9

SMALL_MIN: Final = -120
SMALL_MAX: Final = 103
"""The values for which a hole may be said to be small: with any addend of the library they fit in a signed byte."""

_UINT32: Final = Struct("<I").pack_into


def choices(shrinkable: int, bases: int) -> list[int]:
    """The variants: bit n for a small value n, bit 8 + n for a bare base n that needs a displacement."""
    return [small | padded << 8 for small in subsets(shrinkable) for padded in subsets(bases)]


def choice(small: int, registers: Sequence[int], shrinkable: int, bases: int) -> int:
    """The variant for these promises about values and these registers, operand 0 first."""
    found = small & shrinkable
    if bases:
        for operand in range(4):
            if bases >> operand & 1 and registers[operand] & 7 == 5:
                found |= 256 << operand
    return found


def expand(variant: Variant, registers: Sequence[int], small: int = 0) -> tuple[bytes, tuple[Hole, ...]]:
    """The code with operands in `registers`, operand 0 first, and the holes left in it.

    What is small has been decided by the variant.
    """
    number, length, fields, prefixes, holes = variant
    for operand, low, high in fields:
        register = registers[operand]
        number ^= (register & 7) * low
        if register > 7:
            number ^= high
    code = number.to_bytes(length, "little")
    dropped: list[int] = []
    for at in prefixes:
        here = at - len(dropped)
        if code[here] == 0x40:
            code = code[:here] + code[here + 1 :]
        elif code[here] == 0xC4 and code[here + 1] & 0x60 == 0x60:
            # VEX.X and VEX.B (inverted) are not needed: the form of two bytes has R, vvvv, L and pp.
            two_bytes = bytes((0xC5, code[here + 1] & 0x80 | code[here + 2] & 0x7F))
            code = code[:here] + two_bytes + code[here + 3 :]
        else:
            continue
        dropped.append(at)
    if dropped and holes:
        holes = tuple([Hole(at - sum(at > place for place in dropped), *rest) for at, *rest in holes])
    return code, holes


def small(variant: Variant, values: Mapping[int, int]) -> int:
    """The values that fit in a byte, as bits."""
    return sum(1 << number for number, value in values.items() if SMALL_MIN <= value <= SMALL_MAX)


def fill(code: bytearray, hole: Hole, value: int) -> None:
    """Puts a value into a hole of a template's code."""
    at, kind, _, addend = hole
    if kind == HOLE_32:
        _UINT32(code, at, value + addend & 0xFFFFFFFF)
    elif kind == HOLE_8:
        code[at] = value + addend & 0xFF
    elif kind == HOLE_NEGATED:
        code[at] = addend - value & 0xFF
    else:
        code[at : at + kind] = (value + addend & (1 << 8 * kind) - 1).to_bytes(kind, "little")


def accepts_immediate(name: str, value: int) -> bool:
    """Whether an integer instruction's second operand may be this constant, as kind `C`.

    It must fit in 32 bits with a sign. LLVM compares with the next constant where that is shorter, so the limits of the
    comparison's order are out: there the result is the same whatever the first operand is, or an equality.
    """
    if not -0x80000000 <= value < 0x80000000:
        return False
    operation = name.partition(".")[2]
    if operation[:2] not in ("lt", "gt", "le", "ge"):
        return True
    return value not in (-0x80000000, 0x7FFFFFFF) and (operation[-1] == "s" or value not in (-1, 0))


def subsets(bits: int) -> Iterator[int]:
    """Every subset of some bits, in ascending order."""
    subset = 0
    while True:
        yield subset
        if subset == bits:
            return
        subset = subset - bits & bits
