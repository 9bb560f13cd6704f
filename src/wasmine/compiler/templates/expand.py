"""Fills registers into templates. On the compiler's path whenever a template meets a new choice of registers.

A template's code is stored ready for use, with register 0 everywhere and the longest prefixes. Every bit of it that depends
on an operand's register is one bit of the register's number: so the code for other registers is an exclusive or with a
multiple of two masks for each operand, one for the low three bits of the number and one for the fourth. Then prefixes
that turn out to be needless are dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

# Holes of values by number: 0 to 3 are the operands' own (a frame offset, an immediate, an offset in the context).
OFFSET: Final = 4  # the static offset of a memory access
MEMORY_BASE: Final = 5  # where the context keeps a memory's address
MEMORY_LENGTH: Final = 6  # where the context keeps a memory's length
VALUE_HOLES: Final = 7


# The kinds of holes in finished code.
HOLE_8: Final = 1
HOLE_16: Final = 2
HOLE_32: Final = 4
HOLE_64: Final = 8
HOLE_NEGATED: Final = 9
HOLE_TAKEN: Final = 16
HOLE_TRAP: Final = 17
HOLE_OPERAND: Final = 18
HOLE_CONSTANT: Final = 19

SMALL_MIN: Final = -120
SMALL_MAX: Final = 103
"""The values for which a hole may be said to be small: with any addend of the library they fit in a signed byte."""


class Hole(NamedTuple):
    """A place in finished code that waits for a value.

    `offset` is in bytes from the start of the code. `kind` and `operand` say what goes there, `addend` is to be added:

    - HOLE_8, HOLE_16, HOLE_32, HOLE_64: value number `operand`, so many bits of it
    - HOLE_NEGATED: 8 bits of minus the value
    - HOLE_TAKEN: 32 bits, the distance to where the branch goes (the addend of -4 counts from the end of the field)
    - HOLE_TRAP: the same for the trap whose number is `operand`
    - HOLE_OPERAND: 32 bits, the distance to the pooled constant that is operand number `operand`
    - HOLE_CONSTANT: the distance to the library's constant number `operand`
    """

    offset: int
    kind: int
    operand: int
    addend: int


class Field(NamedTuple):
    """How an operand's register shows in the code: masks for the low three bits of its number and for the fourth."""

    operand: int
    low: int
    high: int


class Variant(NamedTuple):
    """The code of a template for one choice of sizes, as an int in little-endian order, and what is open in it.

    `prefixes` are the offsets of prefixes that may prove needless: a REX prefix, or a VEX prefix of three bytes.
    """

    code: int
    length: int
    fields: tuple[Field, ...]
    prefixes: tuple[int, ...]
    holes: tuple[Hole, ...]


def expand(variant: Variant, registers: Sequence[int]) -> tuple[bytes, tuple[Hole, ...]]:
    """The code with operands in `registers`, operand 0 first, and the holes left in it."""
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
