"""memory.fill and memory.copy at the edges, with 32-bit and 64-bit indices: all or nothing."""

from __future__ import annotations

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
