"""memory.fill and memory.copy at the edges, with 32-bit and 64-bit indices: all or nothing."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

import wasmine
from wasmine import Trap, TrapKind

PAGE = 65_536


@pytest.fixture(params=["i32", "i64"])
def exports(engine: Any, request: Any) -> Any:
    type = request.param
    text = f"""(module (memory (export "m") {type} 1)
      (func (export "fill") (param {type} i32 {type}) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
      (func (export "copy") (param {type} {type} {type}) (memory.copy (local.get 0) (local.get 1) (local.get 2))))"""
    return wasmine.Runtime(engine).instantiate(text).exports


@pytest.mark.parametrize(("start", "count"), [(0, PAGE), (PAGE, 0), (PAGE - 1, 1), (5, 0), (3, 100)])
def test_fill(exports: Any, start: int, count: int) -> None:
    exports.fill(start, 0x1AB, count)
    assert exports.m[:] == bytes(start) + b"\xab" * count + bytes(PAGE - start - count)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
@pytest.mark.parametrize("distance", [-1000, -9, -8, -1, 0, 1, 7, 8, 9, 999, 1001])
def test_copy_as_if_by_way_of_another_place(exports: Any, distance: int, count: int) -> None:
    before = bytes(i * i % 251 for i in range(PAGE))
    exports.m[:] = before
    exports.copy(2000 + distance, 2000, count)
    expected = bytearray(before)
    expected[2000 + distance : 2000 + distance + count] = before[2000 : 2000 + count]
    assert exports.m[:] == expected


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("fill", (PAGE, 1, 1)),
        ("fill", (0, 1, PAGE + 1)),
        ("fill", (-1, 1, 2)),
        ("copy", (PAGE, 0, 1)),
        ("copy", (0, PAGE - 1, 2)),
        ("copy", (-1, 0, 2)),
        ("copy", (0, -1, 2)),
    ],
)
def test_what_lies_outside_is_a_trap_and_changes_nothing(exports: Any, name: str, arguments: tuple[int, ...]) -> None:
    exports.m[:] = before = bytes(i * i % 251 for i in range(PAGE))
    with pytest.raises(Trap) as caught:
        exports[name](*arguments)
    assert caught.value.kind is TrapKind.MEMORY_OUT_OF_BOUNDS
    assert exports.m[:] == before


MIB = 1 << 20


@pytest.fixture(params=["i32", "i64"])
def large(engine: Any, request: Any) -> Any:
    """What is this long is done by pieces."""
    type = request.param
    text = f"""(module (memory (export "m") {type} 128)
      (func (export "fill") (param {type} i32 {type}) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
      (func (export "copy") (param {type} {type} {type}) (memory.copy (local.get 0) (local.get 1) (local.get 2))))"""
    return wasmine.Runtime(engine).instantiate(text).exports


@pytest.mark.parametrize("count", [MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 7, 8 * MIB - 5])
def test_a_long_fill(large: Any, count: int) -> None:
    large.m[:] = bytes(8 * MIB)
    large.fill(5, 0x1AB, count)
    assert large.m[:] == bytes(5) + b"\xab" * count + bytes(8 * MIB - count - 5)


@pytest.mark.parametrize("count", [MIB, MIB + 1, 3 * MIB + 7])
@pytest.mark.parametrize("distance", [-3 * MIB - 9, -MIB, -1, 0, 1, 31, MIB - 1, MIB, MIB + 1, 2 * MIB + 3, 4 * MIB])
def test_a_long_copy(large: Any, distance: int, count: int) -> None:
    large.m[:] = before = Random(1).randbytes(8 * MIB)
    start = 4 * MIB - 9 if distance < 0 else 1
    large.copy(start + distance, start, count)
    expected = bytearray(before)
    expected[start + distance : start + distance + count] = before[start : start + count]
    assert large.m[:] == expected


def test_what_is_long_and_outside_changes_nothing(large: Any) -> None:
    large.m[:] = before = Random(2).randbytes(8 * MIB)
    for name, arguments in [
        ("fill", (MIB, 1, 7 * MIB + 1)),
        ("copy", (MIB, 0, 7 * MIB + 1)),
        ("copy", (0, 1, 8 * MIB)),
    ]:
        with pytest.raises(Trap) as caught:
            large[name](*arguments)
        assert caught.value.kind is TrapKind.MEMORY_OUT_OF_BOUNDS
    assert large.m[:] == before
