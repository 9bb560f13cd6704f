"""What a guest's pointers point to. They come as Python's signed ints; what lies outside the memory is the guest's trap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.errors import Trap, TrapKind

if TYPE_CHECKING:
    from wasmine.runtime.memory import Memory

MASK = 0xFFFF_FFFF


def read(memory: Memory, address: int, size: int) -> bytes:
    """`size` bytes."""
    try:
        return memory.read(address & MASK, size & MASK)
    except IndexError as error:
        raise Trap(TrapKind.MEMORY_OUT_OF_BOUNDS, str(error)) from None


def write(memory: Memory, address: int, data: bytes) -> None:
    """Write all of `data`."""
    try:
        memory.write(address & MASK, data)
    except IndexError as error:
        raise Trap(TrapKind.MEMORY_OUT_OF_BOUNDS, str(error)) from None


def text(memory: Memory, address: int) -> str:
    """The text up to a zero byte, replacing what is not UTF-8; "" for a null pointer."""
    if not address:
        return ""
    try:
        return memory.read_c_string(address & MASK, "latin-1").encode("latin-1").decode(errors="replace")
    except IndexError as error:
        raise Trap(TrapKind.MEMORY_OUT_OF_BOUNDS, str(error)) from None
