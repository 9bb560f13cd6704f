"""ARM64: the decoder's table, and code of LLVM's that becomes a template or is refused."""

from __future__ import annotations

from typing import Any

import pytest

from wasmine.compiler.semantics import meanings
from wasmine.compiler.templates.architecture import TAKEN, TRAP, LiftError, Template
from wasmine.compiler.templates.arm64.decode import decode
from wasmine.compiler.templates.arm64.filling import ADDITION, DISPLACEMENT, MOVE
from wasmine.compiler.templates.arm64.instruction import Field
from wasmine.compiler.templates.arm64.lifting import Arm64
from wasmine.compiler.templates.expand import HOLE_CONSTANT, HOLE_OPERAND, OFFSET
from wasmine.compiler.templates.forms import Shape
from wasmine.compiler.templates.lift import lift
from wasmine.compiler.templates.object import Function, Relocation

ARM64 = Arm64()
JUMP26, ADRP, LOAD_LOW_64, LOAD_LOW_128 = 282, 275, 286, 299
BRANCH = 0x14000000
ADD = 0x0B1802FA  # add w26, w23, w24


def lifted(
    shape: Shape, *variants: list[int], relocations: tuple[Relocation, ...] = (), at_zero: bool = False
) -> Template[Any]:
    """The template from words that go on with a branch to what comes next."""
    functions = []
    for words in variants:
        code = b"".join(word.to_bytes(4, "little") for word in [*words, BRANCH])
        end = Relocation(len(code) - 4, JUMP26, "next", 0)
        functions.append(Function("t", code, (*relocations, end)))
    return lift(ARM64, shape, meanings()[shape.name], functions, lambda _: 7, at_zero=at_zero)


@pytest.mark.parametrize(
    ("word", "registers"),
    [
        (ADD, [("g", 26, False, True), ("g", 23, True, False), ("g", 24, True, False)]),
        (0xB942_52DA, [("g", 26, False, True), ("g", 22, True, False)]),  # ldr w26, [x22, #592]
        (0xF838_6AD7, [("g", 23, True, False), ("g", 22, True, False), ("g", 24, True, False)]),  # str x23, [x22, x24]
        (0xF2A000BA, [("g", 26, True, True)]),  # movk
        (0x6E611C03, [("x", 3, True, True), ("x", 0, True, False), ("x", 1, True, False)]),  # bsl
        (0x4E614803, [("x", 3, True, True), ("x", 0, True, False)]),  # sqxtn2
        (0x9E660008, [("g", 8, False, True), ("x", 0, True, False)]),  # fmov x8, d0
        (0x1B187EFA, [("g", 26, False, True), ("g", 23, True, False), ("g", 24, True, False)]),  # mul: no addend
        (0x880AFD09, [("g", 10, False, True), ("g", 9, True, False), ("g", 8, True, False)]),  # stlxr w10, w9, [x8]
        (0xF240011F, [("g", 8, True, False)]),  # tst: the zero register is none
    ],
)
def test_registers_and_what_becomes_of_them_are_found(word: int, registers: list[tuple[str, int, bool, bool]]) -> None:
    found = [(each.file, number, each.reads, each.writes) for each, number in decode(word).registers]
    assert found == registers


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        (0xD4000001, "not in the table"),  # svc
        (0xD65F03C0, "not in the table"),  # ret
        (0x910043FF, "stack pointer"),  # add sp, sp, #16
        (0xA9400AC1, "not in the table"),  # ldp
    ],
)
def test_what_no_template_may_contain_is_refused(word: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(word)


def test_operands_are_fields_and_the_branch_to_what_comes_next_is_dropped() -> None:
    (instruction,) = lifted(Shape("i32.add", "RR", "D"), [ADD]).instructions
    assert instruction.word == 0x0B000000
    assert set(instruction.fields) == {Field(0, "g", 3), Field(5, "g", 0), Field(16, "g", 1)}


def test_numbers_that_differ_are_holes() -> None:
    (instruction,) = lifted(Shape("i32.add", "RC", "D"), [0x11011EFA], [0x1100AEFA]).instructions
    assert (instruction.word, instruction.hole, instruction.number) == (0x11000000, ADDITION, 1)
    (instruction,) = lifted(Shape("i64.add", "RC", "D"), [0xD1011EFA], [0xD100AEFA]).instructions
    assert (instruction.word, instruction.hole) == (0x91000000, ADDITION)  # sub of 71: add of -71
    (instruction,) = lifted(Shape("i32.const", "C", "D"), [0x528008FA], [0x5280057A]).instructions
    assert (instruction.word, instruction.hole) == (0x52800000, MOVE)


def test_a_scaled_displacement_is_a_hole() -> None:
    first, second = ARM64.numbers.displacement(OFFSET)
    loads = [0x8B1702C8, 0xB940011A | first // 4 << 10], [0x8B1702C8, 0xB940011A | second // 4 << 10]
    template = lifted(Shape("i32.load", "R", "D", "guard"), *loads)
    assert [(each.hole, each.number) for each in template.instructions] == [(0, 0), (DISPLACEMENT, OFFSET)]


def test_other_registers_are_renamed_in_order_of_appearance() -> None:
    words = [0xAA1703E0, 0x0B18001A]  # mov x0, x23; add w26, w0, w24
    move, add = lifted(Shape("i32.add", "RR", "D"), words).instructions
    assert move.word == 0xAA0003E8  # mov x8, ...
    assert add.word == 0x0B000100  # add ..., w8, ...


def test_a_constant_is_loaded_relative_to_the_code() -> None:
    shape = Shape("f64.add", "RK", "D")
    words = [0x90000008, 0xFD400110, 0x1E702803]  # adrp x8; ldr d16, [x8]; fadd d3, d0, d16
    relocations = Relocation(0, ADRP, "k1", 0), Relocation(4, LOAD_LOW_64, "k1", 0)
    load, _ = lifted(shape, words, relocations=relocations).instructions
    assert (load.word, load.hole, load.number) == (0x5C000010, HOLE_OPERAND, 1)
    relocations = Relocation(0, ADRP, ".LCPI0", 0), Relocation(4, LOAD_LOW_64, ".LCPI0", 0)
    load, _ = lifted(Shape("f64.abs", "R", "D"), words, relocations=relocations).instructions
    assert (load.hole, load.number) == (HOLE_CONSTANT, 7)


def test_a_branch_around_another_becomes_one() -> None:
    words = [0x6B1802FF, 0x54000041, BRANCH]  # cmp w23, w24; b.ne +8; b taken
    relocations = (Relocation(8, JUMP26, "taken", 0),)
    _, branch = lifted(Shape("i32.eq", "RR", "B"), words, relocations=relocations).instructions
    assert (branch.word, branch.target) == (0x54000000, TAKEN)


def test_a_test_of_one_bit_becomes_two_instructions() -> None:
    words = [0x36000057, BRANCH]  # tbz w23, #0, +8; b taken
    relocations = (Relocation(4, JUMP26, "taken", 0),)
    test, branch = lifted(Shape("i32.eqz", "R", "N"), words, relocations=relocations).instructions
    assert (test.word, branch.word, branch.target) == (0x7200001F, 0x54000001, TAKEN)


def test_a_branch_to_a_trap_keeps_the_trap_s_number() -> None:
    words = [0x35000058, BRANCH, 0x1AD80AFA]  # cbnz w24, +8; b trap_6; udiv w26, w23, w24
    relocations = (Relocation(4, JUMP26, "trap_6", 0),)
    branch, _ = lifted(Shape("i32.div_u", "RR", "D"), words, relocations=relocations).instructions
    assert (branch.word, branch.fields, branch.target) == (0x34000000, (Field(0, "g", 1),), TRAP + 6)


@pytest.mark.parametrize(
    ("shape", "variants", "reason"),
    [
        (Shape("i32.add", "RR", "D"), [[0x0B18011A]], "read before it is written"),  # add w26, w8, w24
        (Shape("i32.add", "RR", "D"), [[ADD, 0x91000652]], "x18 is not for templates"),
        (Shape("i32.add", "RR", "D"), [[ADD, 0x910006B5]], "fixed register"),  # add x21, x21, #1
        (Shape("i32.add", "RR", "D"), [[0x0B1702FA]], "reads"),  # add w26, w23, w23
        (Shape("i32.add", "RR", "A"), [[ADD]], "writes"),
        (Shape("i32.add", "RC", "D"), [[0x11011EFA], [0x11011EFA]], "holes"),
        (Shape("i32.add", "RC", "D"), [[0x11011EFA], [0x11012EFA]], "no hole"),
        (Shape("i32.add", "RC", "D"), [[0x11011EFA], [0x11011EFA] * 2], "differ in length"),
        (Shape("i32.add", "RC", "D"), [[ADD], [0x4B1802FA]], "no hole"),
        (Shape("f64.add", "RK", "D"), [[0x1E612803]], "pooled"),
        (Shape("f64.add", "RR", "D"), [[0x90000008]], "without a relocation"),
        (Shape("i32.add", "RR", "D"), [[0xAA1703E0 | n for n in range(6)] + [ADD]], "more scratch registers"),
    ],
)
def test_code_that_is_not_understood_is_refused(shape: Shape, variants: list[list[int]], reason: str) -> None:
    with pytest.raises(LiftError, match=reason):
        lifted(shape, *variants)


def test_a_relocation_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(LiftError, match="relocation type 277"):
        lifted(Shape("i32.add", "RR", "D"), [ADD], relocations=(Relocation(0, 277, "k0", 0),))


def test_a_jump_must_not_lead_across_a_number_that_may_become_long() -> None:
    template = lifted(
        Shape("i32.add", "RC", "D"), *([0x34000057, word, 0x0B1702FA] for word in (0x11011EFA, 0x1100AEFA))
    )
    with pytest.raises(LiftError, match="leads across"):
        ARM64.prepare(template)
