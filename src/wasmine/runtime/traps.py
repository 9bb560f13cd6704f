"""Traps in words: what was accessed, and how much there is. Both engines say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.errors import Trap, TrapKind

if TYPE_CHECKING:
    from wasmine.format.types import DefinedType
    from wasmine.runtime.function import Function


def _bytes(count: int, address: int) -> str:
    return f"{count} byte{'' if count == 1 else 's'} at {address:#x}"


def _elements(index: int, count: int) -> str:
    return f"element {index}" if count == 1 else f"elements {index} to {index + count}"


def memory_access(address: int, count: int, size: int) -> Trap:
    """An access of `count` bytes to a memory of `size` bytes."""
    return Trap(TrapKind.MEMORY_OUT_OF_BOUNDS, f"{_bytes(count, address)} in a memory of {size:#x} bytes")


def unaligned_access(address: int, count: int) -> Trap:
    """An atomic access whose address is no multiple of its size."""
    return Trap(TrapKind.UNALIGNED_ATOMIC, _bytes(count, address))


def data_access(offset: int, count: int, size: int) -> Trap:
    """A use of `count` bytes of a data segment of `size` bytes."""
    return Trap(TrapKind.MEMORY_OUT_OF_BOUNDS, f"{_bytes(count, offset)} of a data segment of {size:#x} bytes")


def table_access(index: int, count: int, size: int) -> Trap:
    """An access to `count` elements of a table of `size`."""
    return Trap(TrapKind.TABLE_OUT_OF_BOUNDS, f"{_elements(index, count)} of a table of {size}")


def element_access(index: int, count: int, size: int) -> Trap:
    """A use of `count` elements of an element segment of `size`."""
    return Trap(TrapKind.TABLE_OUT_OF_BOUNDS, f"{_elements(index, count)} of an element segment of {size}")


def array_access(index: int, count: int, size: int) -> Trap:
    """An access to `count` elements of an array of `size`."""
    return Trap(TrapKind.ARRAY_OUT_OF_BOUNDS, f"{_elements(index, count)} of an array of {size}")


def type_mismatch(function: Function, expected: DefinedType) -> Trap:
    """An indirect call that found a function of another type."""
    detail = f"{function.name} is of type {function.defined}, expected {expected}"
    return Trap(TrapKind.INDIRECT_CALL_TYPE_MISMATCH, detail)
