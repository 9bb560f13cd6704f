"""Memory for machine code: one reserved range of the process, never writable and executable at once.

Every piece of code gets pages of its own: they are written, then made executable, then never written again. So a thread
that runs other code is never disturbed, and after `fork` parent and child go on independently. The range is one and
constant, so that a signal handler can tell by two comparisons whether a fault happened in wasm code.
"""

from __future__ import annotations

import ctypes
from bisect import insort
from typing import Final

from wasmine.compiler.machine import libc
from wasmine.compiler.machine.lock import lock

RESERVE: Final = 1 << 30
"""Bytes of address space for code. Within reach of a 32-bit displacement from end to end."""

_LEAST: Final = 16 << 20
"""The same where address space is short."""


def _reserve(size: int) -> tuple[int, int]:
    while True:
        try:
            return libc.map_memory(size, libc.PROT_NONE), size
        except OSError:
            if size <= _LEAST:
                raise
            size //= 4


class CodeMemory:
    """The range. `start` and `size` never change. `reserve` and `release` may be called by any thread."""

    def __init__(self, size: int = RESERVE) -> None:
        self.start, self.size = _reserve(size)
        self._free: list[tuple[int, int]] = [(self.start, size)]  # (address, size), by address

    def reserve(self, size: int) -> int:
        """The address of `size` bytes, rounded up to pages, for `fill`. MemoryError if the range is full."""
        size = libc.round_up(max(size, 1))
        with lock:
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

    def release(self, address: int, size: int) -> None:
        """Give back what `reserve` gave, when nothing can run it any more."""
        size = libc.round_up(size)
        libc.map_memory(size, libc.PROT_NONE, at=address)
        with lock:
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
