"""Memory for machine code: one reserved range of the process, never writable and executable at once.

Every piece of code gets pages of its own: they are written, then made executable, then never written again. So a thread
that runs other code is never disturbed, and after `fork` parent and child go on independently. The range is one and
constant, so that a signal handler can tell by two comparisons whether a fault happened in wasm code.
"""

from __future__ import annotations

import ctypes
import threading
from bisect import insort
from typing import Final

from wasmine.compiler.machine import libc

RESERVE: Final = 1 << 30
"""Bytes of address space for code. Within reach of a 32-bit displacement from end to end."""


class CodeMemory:
    """The range. `start` and `size` never change. `place` and `release` may be called by any thread."""

    def __init__(self, size: int = RESERVE) -> None:
        self.size = size
        self.start = libc.map_memory(size, libc.PROT_NONE)
        self._lock = threading.Lock()
        self._free: list[tuple[int, int]] = [(self.start, size)]  # (address, size), by address

    def reserve(self, size: int) -> int:
        """The address of `size` bytes, rounded up to pages, for `fill`. MemoryError if the range is full."""
        size = libc.round_up(max(size, 1))
        with self._lock:
            for i, (address, room) in enumerate(self._free):
                if room >= size:
                    if room == size:
                        del self._free[i]
                    else:
                        self._free[i] = (address + size, room - size)
                    return address
        raise MemoryError(f"no room for {size} bytes of machine code: the limit is {self.size} bytes")

    def fill(self, address: int, code: bytes | bytearray) -> None:
        """Write code to pages that were reserved and make them executable. OSError if that is forbidden."""
        size = libc.round_up(len(code))
        libc.protect(address, size, libc.PROT_READ | libc.PROT_WRITE)
        ctypes.memmove(address, bytes(code), len(code))
        libc.protect(address, size, libc.PROT_READ | libc.PROT_EXEC)

    def place(self, code: bytes | bytearray) -> int:
        """The address at which position-independent code now lies, executable. MemoryError, OSError."""
        address = self.reserve(len(code))
        self.fill(address, code)
        return address

    def release(self, address: int, size: int) -> None:
        """Give back what `reserve` gave, when nothing can run it any more."""
        size = libc.round_up(size)
        libc.map_memory(size, libc.PROT_NONE, at=address)
        with self._lock:
            insort(self._free, (address, size))
            self._merge()

    def _merge(self) -> None:
        merged: list[tuple[int, int]] = []
        for address, size in self._free:
            if merged and merged[-1][0] + merged[-1][1] == address:
                merged[-1] = (merged[-1][0], merged[-1][1] + size)
            else:
                merged.append((address, size))
        self._free = merged

    def __contains__(self, address: int) -> bool:
        return self.start <= address < self.start + self.size
