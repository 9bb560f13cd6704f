"""Makes what `filling` works on from a template's instructions. Build time only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.templates.architecture import TAKEN, TRAP, LiftError, Prepared
from wasmine.compiler.templates.arm64.decode import decode
from wasmine.compiler.templates.arm64.filling import AT_ZERO, LENGTHENED, SPARE
from wasmine.compiler.templates.expand import HOLE_TAKEN, HOLE_TRAP, OFFSET, Hole, Variant
from wasmine.compiler.templates.expand import Field as Masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.templates.architecture import Template
    from wasmine.compiler.templates.arm64.instruction import Instruction

_BRANCH: Final = 0x14000000


def prepare(template: Template[Instruction]) -> Prepared:
    """The template's code, that for the offset 0 if there is one (`bases` says so), and which values have long forms."""
    listings = [template.instructions]
    shrinkable = 0
    if template.at_zero:
        listings.append(template.at_zero)
    for instructions in listings:
        _check_long_forms(instructions)
        shrinkable |= sum({1 << each.number for each in instructions if each.hole in LENGTHENED})
    if shrinkable >> OFFSET & 1:
        shrinkable |= AT_ZERO
    return Prepared(shrinkable, len(listings) - 1, tuple(map(_variant, listings)))


def _variant(instructions: Sequence[Instruction]) -> Variant:
    code = bytearray()
    holes = []
    masks: dict[int, list[int]] = {}
    for index, instruction in enumerate(instructions):
        word, at = instruction.word, 4 * index
        for field in instruction.fields:
            mask = masks.setdefault(field.operand, [0, 0])
            mask["gx".index(field.file)] += 1 << 8 * at + field.shift
        if _is_jump(instruction):
            if instruction.target >= TRAP:
                taken = instruction.target == TAKEN
                holes.append(Hole(at, HOLE_TAKEN if taken else HOLE_TRAP, 0 if taken else instruction.target - TRAP, 0))
            elif word == _BRANCH:
                word |= instruction.target - index & 0x3FFFFFF
            else:
                word |= (instruction.target - index & 0x7FFFF) << 5
        elif instruction.hole:
            holes.append(Hole(at, instruction.hole, instruction.number, instruction.addend))
        code += word.to_bytes(4, "little")
    fields = tuple(Masks(operand, *masks[operand]) for operand in sorted(masks))
    return Variant(int.from_bytes(code, "little"), len(code), fields, (), tuple(holes))


def _is_jump(instruction: Instruction) -> bool:
    """b, b.cond, cbz or cbnz."""
    word = instruction.word
    return word >> 26 == 5 or word >> 24 == 0x54 or word & 0x7E000000 == 0x34000000


def _check_long_forms(instructions: Sequence[Instruction]) -> None:
    """Where words may be inserted, no jump inside the template may lead across, and the spare register must be free."""
    places = [index for index, instruction in enumerate(instructions) if instruction.hole in LENGTHENED]
    for index, instruction in enumerate(instructions):
        if _is_jump(instruction) and instruction.target < TRAP:
            low, high = sorted((index + 1, instruction.target))
            if any(low <= place < high for place in places):
                raise LiftError("a jump inside the template leads across a place that may be lengthened")
    spared = max((i for i, each in enumerate(instructions) if each.hole in LENGTHENED), default=-1)
    for instruction in instructions[: spared + 1]:
        if any(register.file == "g" and number == SPARE for register, number in decode(instruction.word).registers):
            raise LiftError("the register for long numbers is used before the last of them")
