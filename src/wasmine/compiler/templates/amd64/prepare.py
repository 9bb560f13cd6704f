"""Makes the variants of a template that `filling` works on, from its instructions. Build time only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.compiler.templates.amd64.encode import MEMORY, NONE, OPERAND, Instruction, assemble
from wasmine.compiler.templates.amd64.filling import subsets
from wasmine.compiler.templates.architecture import Prepared
from wasmine.compiler.templates.expand import OFFSET, Field, Variant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.templates.architecture import Template

_OPERANDS = 4


def shrinkable(template: Template[Instruction]) -> int:
    """The values, as bits, whose holes may take one byte instead of four: of the frame, immediates, memory offsets.

    What lies in the context is too far from its start for that.
    """
    sizes = 0
    for instruction in template.instructions:
        if instruction.mode == MEMORY and instruction.displacement_hole <= OFFSET and instruction.base != 12:
            sizes |= 1 << instruction.displacement_hole
        if instruction.opcode in (0x81, 0x69) and instruction.map == 0 and instruction.immediate_hole <= OFFSET:
            sizes |= 1 << instruction.immediate_hole
    return sizes


def bare_bases(template: Template[Instruction]) -> int:
    """The operands, as bits, that are the base of an address without displacement. rbp as such needs one of 0."""
    return sum(
        {
            1 << instruction.base - OPERAND
            for instruction in template.instructions
            if instruction.mode == MEMORY
            and OPERAND <= instruction.base < NONE
            and instruction.displacement_hole == NONE
            and instruction.displacement == 0
        }
    )


def prepare(template: Template[Instruction]) -> Prepared:
    """The variants of a template: for every subset of shrinkable values, for every subset of bare bases."""
    sizes, bases = shrinkable(template), bare_bases(template)
    return Prepared(
        sizes,
        bases,
        tuple(_variant(template.instructions, small, padded) for small in subsets(sizes) for padded in subsets(bases)),
    )


def _variant(instructions: Sequence[Instruction], small: int, padded: int) -> Variant:
    def code(registers: Sequence[int]) -> int:
        return int.from_bytes(assemble(instructions, registers, small, wide=True, padded=padded).code, "little")

    zero = [0] * _OPERANDS
    blank = assemble(instructions, zero, small, wide=True, padded=padded)
    number = code(zero)
    fields = []
    for operand in range(_OPERANDS):
        low, high = (number ^ code([*zero[:operand], value, *zero[operand + 1 :]]) for value in (1, 8))
        if low or high:
            fields.append(Field(operand, low, high))
    # Dropping a prefix would change the distances of jumps inside; there are few such templates.
    prefixes = () if blank.jumps else blank.prefixes
    return Variant(number, len(blank.code), tuple(fields), prefixes, blank.holes)
