"""Memories from Python: checked access, growth, strings, views."""

from __future__ import annotations

import struct
import sys
from typing import Any

import pytest

import wasmine
from wasmine import Runtime


@pytest.fixture
def memory(runtime: Runtime) -> wasmine.Memory:
    return runtime.memory(1, 3)


def test_bytes_and_slices(memory: wasmine.Memory) -> None:
    memory[0] = 65
    memory[1:4] = b"BCD"
    assert memory[0] == 65
    assert memory[0:4] == b"ABCD"
    assert memory[65532:] == bytes(4)
    assert len(memory) == 65536
    assert memory.size == 1


@pytest.mark.parametrize("key", [65536, -1, slice(65530, 65540), slice(-4, None), slice(0, 70000)])
def test_an_access_outside_is_an_error_and_nothing_is_clipped(memory: wasmine.Memory, key: int | slice) -> None:
    with pytest.raises(IndexError):
        memory[key]


def test_a_write_that_does_not_fit_writes_nothing(memory: wasmine.Memory) -> None:
    with pytest.raises(IndexError, match="4 bytes at address 65534 lie outside the memory of 65536 bytes"):
        memory.write(65534, b"1234")
    assert memory[65534:] == b"\0\0"
    with pytest.raises(ValueError, match="cannot assign 3 bytes to a slice of 2"):
        memory[0:2] = b"123"


def test_strings(memory: wasmine.Memory) -> None:
    memory.write(10, "naïve\0rest".encode())
    assert memory.read_c_string(10) == "naïve"
    assert memory.read_string(10, 4) == "naï"
    memory.write(65533, b"end")
    with pytest.raises(IndexError, match="no zero byte"):
        memory.read_c_string(65533)


def test_growing_keeps_the_bytes_and_stops_at_the_maximum(memory: wasmine.Memory) -> None:
    memory[0] = 7
    assert memory.grow(1) == 1
    assert memory.size == 2
    assert memory[0] == 7
    assert memory[65536] == 0
    with pytest.raises(MemoryError, match="cannot grow a memory of 2 pages by 2: the maximum is 3"):
        memory.grow(2)
    assert memory.size == 2
    with pytest.raises(MemoryError):
        memory.grow(-1)


def test_the_view_is_the_memory_itself(memory: wasmine.Memory) -> None:
    view = memory.view()
    struct.pack_into("<I", view, 4, 0xDEADBEEF)
    assert memory[4:8] == b"\xef\xbe\xad\xde"
    assert not view.readonly
    if sys.version_info >= (3, 12):
        assert memoryview(memory)[4] == 0xEF  # type: ignore[arg-type]


def test_a_view_taken_before_growth_does_not_stop_it(memory: wasmine.Memory) -> None:
    view = memory.view()
    memory.grow(1)
    assert len(view) == 65536
    assert len(memory.view()) == 131072


def test_guest_and_host_see_the_same_bytes_after_the_guest_grew_it(runtime: Runtime) -> None:
    exports = runtime.instantiate(
        """(module (memory (export "m") 1)
        (func (export "grow_and_write") (param i32) (result i32)
          (i32.store8 (local.get 0) (memory.grow (i32.const 2))) (i32.load8_u (local.get 0))))"""
    ).exports
    assert exports.grow_and_write(65536 * 2 + 5) == 1
    assert exports.m[65536 * 2 + 5] == 1


class Byte(int):
    """A number of 8 bits, as numpy has them: what is added to it is cut off."""

    def __add__(self, other: int) -> Byte:
        return Byte(int.__add__(self, other) & 0xFF)

    __radd__ = __add__


def test_addresses_may_be_numbers_of_fixed_size(memory: wasmine.Memory) -> None:
    memory.write(Byte(250), b"0123456789")
    assert memory.read(Byte(250), Byte(10)) == memory[250:260] == b"0123456789"
    assert memory.read_c_string(Byte(250)) == "0123456789"
    with pytest.raises(IndexError, match="200 bytes at address 65500"):
        memory.read(65500, Byte(200))


@pytest.mark.parametrize("wrong", ["1", None, 1.0])
def test_addresses_are_whole_numbers(memory: wasmine.Memory, wrong: Any) -> None:
    for use in (memory.read, memory.read_string):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            use(wrong, 1)
    for use in (memory.grow, memory.read_c_string, memory.__getitem__):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            use(wrong)
