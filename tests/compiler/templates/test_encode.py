"""The encoder writes the shortest form for whatever registers and values come."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from wasmine.compiler.templates.amd64.decode import decode
from wasmine.compiler.templates.amd64.encode import (
    DIRECT,
    INDEXED,
    JUMP,
    MEMORY,
    NONE,
    OPERAND,
    TAKEN,
    TRAP,
    Instruction,
    W,
    assemble,
    encode,
)
from wasmine.compiler.templates.amd64.filling import HOLE_8, HOLE_32
from wasmine.compiler.templates.expand import HOLE_TAKEN, HOLE_TRAP, Hole

if TYPE_CHECKING:
    from wasmine.compiler.templates.architecture import Template

BLANK = Instruction(0, 0, 0, DIRECT, NONE, NONE, NONE, 0, NONE, NONE, 0, NONE, 0, 0, NONE, NONE)
ADD = BLANK._replace(opcode=0x01, base=OPERAND, reg=OPERAND + 1)
ADD_IMMEDIATE = BLANK._replace(opcode=0x81, base=OPERAND, reg=0, immediate_size=4, immediate_hole=1)
LOAD = BLANK._replace(opcode=0x8B, mode=MEMORY, base=OPERAND, reg=OPERAND + 3, displacement_hole=4)


def jump(condition: int, target: int) -> Instruction:
    return BLANK._replace(mode=JUMP, opcode=condition, target=target)


@pytest.mark.parametrize(
    ("registers", "code"),
    [((7, 6), "01 f7"), ((15, 6), "41 01 f7"), ((7, 14), "44 01 f7"), ((15, 14), "45 01 f7")],
)
def test_a_prefix_is_written_only_where_registers_need_it(registers: tuple[int, int], code: str) -> None:
    assert encode(ADD, registers, 0) == (bytes.fromhex(code), [], -1)


def test_a_wide_operation_always_has_its_prefix() -> None:
    assert encode(ADD._replace(prefixes=W), (7, 6), 0)[0] == bytes.fromhex("48 01 f7")


def test_a_small_immediate_takes_one_byte() -> None:
    assert encode(ADD_IMMEDIATE, (7,), 0) == (bytes.fromhex("81 c7 00 00 00 00"), [(2, HOLE_32, 1, 0)], -1)
    assert encode(ADD_IMMEDIATE, (7,), 0b10) == (bytes.fromhex("83 c7 00"), [(2, HOLE_8, 1, 0)], -1)


@pytest.mark.parametrize(
    ("base", "code"),
    [(7, "8b 5f 00"), (5, "8b 5d 00"), (13, "41 8b 5d 00"), (12, "41 8b 5c 24 00"), (4, "8b 5c 24 00")],
)
def test_every_register_can_be_a_base(base: int, code: str) -> None:
    assert encode(LOAD, (base, 0, 0, 3), 0b10000)[0] == bytes.fromhex(code)


def test_an_address_without_displacement_needs_one_only_for_rbp_and_r13() -> None:
    plain = LOAD._replace(displacement_hole=NONE)
    assert encode(plain, (7, 0, 0, 3), 0)[0] == bytes.fromhex("8b 1f")
    assert encode(plain, (13, 0, 0, 3), 0)[0] == bytes.fromhex("41 8b 5d 00")


def test_short_jumps_stay_inside_and_far_ones_are_holes() -> None:
    code, holes, *_ = assemble((jump(4, 2), ADD, jump(5, TAKEN), jump(12, TRAP + 3)), (7, 6), 0)
    assert code[:2] == bytes.fromhex("74 02")
    assert holes == (Hole(6, HOLE_TAKEN, 0, -4), Hole(12, HOLE_TRAP, 3, -4))


def test_a_jump_to_the_end_goes_past_the_last_instruction() -> None:
    assert assemble((jump(4, 2), ADD), (7, 6), 0)[0] == bytes.fromhex("74 02 01 f7")


def test_every_instruction_of_the_libraries_decodes_to_itself_with_any_registers(
    lifted: dict[str, tuple[list[Template], list[bytes]]],
) -> None:
    rng = random.Random(1)
    for templates, _ in (lifted["amd64_v3"], lifted["amd64"]):
        for instruction in {instruction for template in templates for instruction in template.instructions}:
            if instruction.mode == JUMP:
                continue
            registers = [rng.choice((1, 3, 5, 6, 7, 8, 9, 10, 11, 13, 15)) for _ in range(4)]
            code, holes, _ = encode(instruction, registers, rng.getrandbits(8))
            found = decode(code, 0)
            assert found.length == len(code)
            _same(instruction, found.instruction, registers)
            assert len(holes) == (instruction.displacement_hole != NONE) + (instruction.immediate_hole != NONE)


def _same(stored: Instruction, found: Instruction, registers: list[int]) -> None:
    """Compares fields, those of operands as the registers given; opcodes apart that a small immediate changes."""
    shrunk = {0x83: 0x81, 0x6B: 0x69}
    assert shrunk.get(found.opcode, found.opcode) == shrunk.get(stored.opcode, stored.opcode)
    assert (found.prefixes, found.map, found.mode) == (stored.prefixes, stored.map, stored.mode)
    for field in ("reg", "base", "index_register", "vector", "fourth"):
        expected = getattr(stored, field)
        if OPERAND <= expected < NONE:
            expected = registers[expected - OPERAND]
        assert getattr(found, field) == expected, field
    if stored.mode in (MEMORY, INDEXED) and stored.index_register != NONE:
        assert found.scale == stored.scale
