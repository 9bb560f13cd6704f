"""The lifter accepts code that is what the shape promises, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wasmine.compiler.semantics import meanings
from wasmine.compiler.templates.amd64.encode import JUMP, TAKEN, TRAP
from wasmine.compiler.templates.amd64.lifting import Amd64
from wasmine.compiler.templates.architecture import LiftError, Template
from wasmine.compiler.templates.forms import Shape
from wasmine.compiler.templates.lift import lift
from wasmine.compiler.templates.object import Function, Relocation

JUMP_TO_NEXT = b"\xe9\0\0\0\0"
PLT = 4
AMD64 = Amd64()
IMMEDIATES = AMD64.numbers.immediates


def lifted(shape: Shape, *variants: bytes, relocations: tuple[Relocation, ...] = ()) -> Template[Any]:
    """The template from machine code that goes on with a jump to what comes next."""
    functions = []
    for code in variants:
        end = Relocation(len(code) + 1, PLT, "next", -4)
        functions.append(Function("t", code + JUMP_TO_NEXT, (*relocations, end)))
    return lift(AMD64, shape, meanings()[shape.name], functions, lambda symbol: int(symbol[-1]))


def constant(number: int) -> bytes:
    return (number & 0xFFFFFFFF).to_bytes(4, "little")


ADD = bytes.fromhex("45 01 c7")  # add r15d, r8d


def test_the_jump_to_what_comes_next_is_dropped_and_operands_are_fields() -> None:
    template = lifted(Shape("i32.add", "RR", "A"), ADD)
    (instruction,) = template.instructions
    assert (instruction.base, instruction.reg) == (16, 17)
    assert template.hazards == 0


def test_a_result_written_before_an_operand_is_read_is_a_hazard() -> None:
    move_and_add = bytes.fromhex("45 89 fb 45 01 c3")  # mov r11d, r15d; add r11d, r8d
    assert lifted(Shape("i32.add", "RR", "D"), move_and_add).hazards == 1 << 4 * 3 + 1


def test_a_number_that_differs_is_a_hole_with_its_addend() -> None:
    template = lifted(Shape("i32.add", "RC", "A"), *(b"\x41\x81\xc7" + constant(value + 1) for value in IMMEDIATES))
    assert (template.instructions[0].immediate_hole, template.instructions[0].immediate) == (1, 1)


def test_a_conditional_jump_around_another_becomes_one() -> None:
    code = bytes.fromhex("45 39 c7 74 05 e9 00 00 00 00")  # cmp; je next; jmp taken
    taken = Relocation(6, PLT, "taken", -4)
    template = lifted(Shape("i32.ne", "RR", "B"), code, relocations=(taken,))
    assert [(i.opcode, i.target) for i in template.instructions if i.mode == JUMP] == [(5, TAKEN)]


def test_a_jump_to_a_trap_keeps_the_trap_s_number() -> None:
    code = bytes.fromhex("45 85 c0 0f 84 00 00 00 00 44 89 f8 31 d2 41 f7 f0 41 89 c3")
    template = lifted(Shape("i32.div_u", "RR", "D"), code, relocations=(Relocation(5, PLT, "trap_6", -4),))
    assert template.instructions[1].target == TRAP + 6


@pytest.mark.parametrize(
    ("shape", "variants", "reason"),
    [
        (Shape("i32.add", "RR", "A"), [bytes.fromhex("01 df")], "neither an operand nor scratch"),  # add edi, ebx
        (Shape("i32.add", "RR", "A"), [bytes.fromhex("45 01 cf")], "reads"),  # add r15d, r9d: operand c
        (Shape("i32.add", "RR", "A"), [bytes.fromhex("45 01 f8")], "writes"),  # add r8d, r15d: operand b
        (Shape("i32.add", "RR", "D"), [ADD], "writes"),
        (Shape("i32.add", "RR", "A"), [ADD + bytes.fromhex("41 01 c5")], "fixed register"),  # add r13d, eax
        (Shape("i32.add", "RC", "A"), [bytes.fromhex("41 83 c7 05")] * 2, "holes"),
        (Shape("i32.add", "RC", "A"), [bytes.fromhex("41 83 c7 05"), bytes.fromhex("41 83 c7 06")], "no hole"),
        (Shape("i32.add", "RC", "A"), [ADD, bytes.fromhex("45 29 c7")], "differ in more than numbers"),
        (Shape("i32.add", "RC", "A"), [ADD, ADD + ADD], "differ in length"),
        (
            Shape("i32.add", "RS", "A"),
            [b"\x45\x03\xbe" + constant(AMD64.numbers.displacement(1)[v]) for v in (0, 1)],
            "",
        ),
        (Shape("i32.add", "RK", "A"), [ADD], "pooled"),
    ],
)
def test_code_that_is_not_understood_is_refused(shape: Shape, variants: list[bytes], reason: str) -> None:
    if not reason:  # the same with a right hole is accepted: what is refused above is refused for its reason
        assert lifted(shape, *variants).instructions
        return
    with pytest.raises(LiftError, match=reason):
        lifted(shape, *variants)


def test_a_relocation_of_an_unknown_kind_is_refused() -> None:
    function = Function("t", ADD + JUMP_TO_NEXT, (Relocation(4, 1, "next", -4),))
    with pytest.raises(LiftError, match="relocation type 1"):
        lift(AMD64, Shape("i32.add", "RR", "A"), meanings()["i32.add"], [function], lambda _: 0)
    unknown = replace(function, relocations=(Relocation(4, PLT, "memcpy", -4),))
    with pytest.raises(LiftError, match="a jump to memcpy"):
        lift(AMD64, Shape("i32.add", "RR", "A"), meanings()["i32.add"], [unknown], lambda _: 0)
