"""The decoder understands what LLVM writes for templates, and refuses everything else."""

from __future__ import annotations

import pytest

from wasmine.compiler.templates.amd64.decode import decode
from wasmine.compiler.templates.amd64.encode import DIRECT, JUMP, LOCK, MEMORY, NONE, RELATIVE, VEX, encode


def test_registers_of_all_extensions_are_found() -> None:
    found = decode(bytes.fromhex("47 8d 1c 38"), 0).instruction  # lea r11d, [r8 + r15]
    assert (found.mode, found.reg, found.base, found.index_register, found.scale) == (MEMORY, 11, 8, 15, 0)


def test_a_vector_instruction_has_three_operands_with_vex_and_two_without() -> None:
    vex = decode(bytes.fromhex("c5 d9 fe da"), 0)  # vpaddd xmm3, xmm4, xmm2
    assert [(a.field, a.reads, a.writes) for a in vex.accesses] == [
        ("reg", False, True), ("vector", True, False), ("base", True, False),
    ]  # fmt: skip
    legacy = decode(bytes.fromhex("66 0f fe da"), 0)  # paddd xmm3, xmm2
    assert [(a.field, a.reads, a.writes) for a in legacy.accesses] == [("reg", True, True), ("base", True, False)]


def test_a_scalar_move_between_registers_keeps_the_upper_part_and_one_from_memory_does_not() -> None:
    between = decode(bytes.fromhex("f2 0f 10 da"), 0)  # movsd xmm3, xmm2
    assert between.accesses[0].reads
    loaded = decode(bytes.fromhex("f2 41 0f 10 1e"), 0)  # movsd xmm3, [r14]
    assert not loaded.accesses[0].reads
    assert [(a.file, a.field) for a in loaded.accesses] == [("x", "reg"), ("g", "base")]


def test_prefixes_immediates_and_places_are_found() -> None:
    found = decode(bytes.fromhex("66 43 81 84 3e 44 33 22 11 34 12"), 0)  # add word [r14 + r15 + 0x11223344], 0x1234
    assert (found.instruction.displacement, found.displacement_at) == (0x11223344, 5)
    assert (found.instruction.immediate, found.instruction.immediate_size, found.immediate_at) == (0x1234, 2, 9)
    assert decode(bytes.fromhex("f0 45 0f c1 06"), 0).instruction.prefixes & LOCK
    assert decode(bytes.fromhex("c4 e2 79 18 05 00 00 00 00"), 0).instruction.mode == RELATIVE


def test_a_jump_carries_its_condition_and_distance() -> None:
    for code, condition, distance in (("74 05", 4, 5), ("0f 8c fb ff ff ff", 12, -5), ("e9 10 00 00 00", 16, 16)):
        found = decode(bytes.fromhex(code), 0).instruction
        assert (found.mode, found.opcode, found.immediate) == (JUMP, condition, distance)


def test_the_register_in_a_blend_s_immediate_is_a_field() -> None:
    found = decode(bytes.fromhex("c4 e3 79 4a da 40"), 0)  # vblendvps xmm3, xmm0, xmm2, xmm4
    assert found.instruction.fourth == 4
    assert ("fourth", True) in [(access.field, access.reads) for access in found.accesses]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("c5 fd fe da", "256-bit"),  # vpaddd ymm
        ("0f 05", "not in the table"),  # syscall
        ("62 f1 7d 08 fe da", "not in the table"),  # EVEX
        ("d8 c0", "not in the table"),  # x87
        ("c5 d8 51 da", "vvvv"),  # vsqrtps with a third operand
    ],
)
def test_what_no_template_may_contain_is_refused(code: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode(bytes.fromhex(code), 0)


@pytest.mark.parametrize(
    "code",
    ["47 8d 1c 38", "c5 d9 fe da", "66 0f fe da", "c4 e3 79 4a da 40", "4d 0f af d8", "41 0f 93 c3", "40 0f b6 f6",
     "41 bb 78 56 34 12", "49 bb 88 77 66 55 44 33 22 11", "c4 42 39 f7 df", "43 88 3c 3e"],
)  # fmt: skip
def test_encoding_what_was_decoded_gives_the_same_bytes(code: str) -> None:
    found = decode(bytes.fromhex(code), 0)
    assert found.length == len(bytes.fromhex(code))
    assert encode(found.instruction, (), 0) == (bytes.fromhex(code), [], -1)


def test_unused_fields_are_marked() -> None:
    found = decode(bytes.fromhex("0f 57 da"), 0).instruction  # xorps xmm3, xmm2
    assert found.mode == DIRECT
    assert not found.prefixes & VEX
    assert (found.index_register, found.vector, found.fourth) == (NONE, NONE, NONE)
