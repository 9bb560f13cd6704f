"""ARM64 instructions with open fields, as the build handles them."""

from __future__ import annotations

from typing import NamedTuple


class Field(NamedTuple):
    """A field of an operand's register: its lowest bit, its file and the operand."""

    shift: int
    file: str
    operand: int


class Instruction(NamedTuple):
    """One instruction, with 0 in the fields of operands and in holes.

    `holes` are the kinds of holes that it may have, `hole` is the kind of the one that it has (0: none) for value `number`.
    """

    word: int
    fields: tuple[Field, ...] = ()
    holes: tuple[int, ...] = ()
    hole: int = 0
    number: int = 0
    addend: int = 0
    target: int = 0
