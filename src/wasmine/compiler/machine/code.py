"""Memory for machine code: one reserved range of the process, never writable and executable at once.

Every piece of code gets pages of its own: they are written, then made executable, then never written again. So a thread
that runs other code is never disturbed, and after `fork` parent and child go on independently. The range is one and
constant, so that a signal handler can tell by two comparisons whether a fault happened in wasm code.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import libc
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from collections.abc import Callable

RESERVE: Final = 1 << 30
"""Bytes of address space for code. Within reach of a 32-bit displacement from end to end."""

_LEAST: Final = 16 << 20
"""The same where address space is short."""


_PIECES: Final = 256
"""With more free pieces than this, neighbours are joined."""


def _reserve(size: int) -> tuple[int, int]:
    while True:
        try:
            return libc.map_memory(size, libc.PROT_NONE), size
        except OSError:
            if size <= _LEAST:
                raise
            size //= 4


class CodeMemory:
    """The range. `start` and `size` never change. `reserve` and `release` may be called by any thread.

    They may even be called in the middle of each other, by a finalizer: so whoever changes a free piece takes it out first.
    """

    def __init__(self, size: int = RESERVE) -> None:
        self.start, self.size = _reserve(size)
        self._free: dict[int, int] = {self.start: self.size}  # sizes of free pieces, by address
        self.flush: Callable[[int, int], object] | None = None  # makes code from an address to another visible

    def reserve(self, size: int) -> int:
        """The address of `size` bytes, rounded up to pages, for `fill`. MemoryError if the range is full."""
        size = libc.round_up(max(size, 1))
        with lock:
            if len(self._free) > _PIECES:
                self._merge()
            address = self._take(size)
            if address is None:
                self._merge()
                address = self._take(size)
        if address is None:
            raise MemoryError(f"no room for {size} bytes of machine code: the limit is {self.size} bytes")
        return address

    def _take(self, size: int) -> int | None:
        # A list of keys: making one of pairs allocates objects, so the collector may run and release code meanwhile.
        for address in list(self._free):
            if self._free.get(address, 0) >= size:
                taken = self._free.pop(address, 0)
                if taken > size:
                    self._free[address + size] = taken - size
                if taken >= size:
                    return address
                if taken:  # another piece begins there by now
                    self._free[address] = taken
        return None

    def fill(self, address: int, code: bytes | bytearray) -> None:
        """Write code to pages that were reserved and make them executable. OSError if that is forbidden."""
        size = libc.round_up(len(code))
        libc.protect(address, size, libc.PROT_READ | libc.PROT_WRITE)
        ctypes.memmove(address, bytes(code), len(code))
        try:
            libc.protect(address, size, libc.PROT_READ | libc.PROT_EXEC)
        except OSError as error:
            raise OSError(error.errno, f"executable memory is refused: {os.strerror(error.errno or 0)}") from None
        if self.flush is not None:
            self.flush(address, address + len(code))

    def release(self, address: int, size: int) -> None:
        """Give back what `reserve` gave, when nothing can run it any more."""
        size = libc.round_up(size)
        libc.map_memory(size, libc.PROT_NONE, at=address)
        self._free[address] = size

    def _merge(self) -> None:
        pieces = []
        while self._free:
            pieces.append(self._free.popitem())
        merged: list[tuple[int, int]] = []
        for address, size in sorted(pieces):
            if merged and sum(merged[-1]) == address:
                merged[-1] = (merged[-1][0], merged[-1][1] + size)
            else:
                merged.append((address, size))
        self._free.update(merged)

    def __contains__(self, address: int) -> bool:
        return self.start <= address < self.start + self.size
