"""`Mapping`: pages of memory that are given back when nobody holds them any more."""

from __future__ import annotations

import ctypes
import gc
import mmap
from typing import Final

from wasmine.compiler.machine import libc

_PRESSURE: Final = 1 << 30
"""How many usable bytes may be mapped between two collections of garbage. Instances and runtimes are cycles, so it is the
collector that frees them; it sees few small objects and would let any number of them wait."""

_RESERVATIONS: Final = 4096
"""The same for mappings as such: of 8 GiB each, an address space of 47 bits has 16,000."""


_FLAGS: Final = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | libc.MAP_NORESERVE


class _Bytes(ctypes.c_ubyte * (1 << 40)):  # type: ignore[misc]
    """Bytes at an address. A subclass, so that an object over a mapping can hold it; its views are cut to size."""


class _Pressure:
    """What was mapped since the last collection that it caused."""

    def __init__(self) -> None:
        self.bytes = 0
        self.count = 0

    def add(self, size: int) -> None:
        """So many more bytes are usable."""
        self.bytes += size
        if self.bytes > _PRESSURE or self.count > _RESERVATIONS:
            self.bytes = self.count = 0
            gc.collect()


_pressure: Final = _Pressure()


class Mapping:
    """`size` bytes of fresh private memory at `base`, not usable at first. OSError if there is not so much.

    A `mmap` object owns them: it unmaps when it is deallocated, after every finalizer of what uses them has run.
    """

    __slots__ = ("_pages", "base", "size")

    def __init__(self, size: int) -> None:
        try:
            self._pages = mmap.mmap(-1, size, flags=_FLAGS, prot=libc.PROT_NONE)
        except OSError:
            gc.collect()
            self._pages = mmap.mmap(-1, size, flags=_FLAGS, prot=libc.PROT_NONE)
        self.base = libc.buffer_address(self._pages)
        self.size = size
        _pressure.count += 1

    def use(self, start: int, end: int) -> None:
        """Make a range of whole pages readable and writable. OSError."""
        libc.protect(self.base + start, end - start, libc.PROT_READ | libc.PROT_WRITE)
        _pressure.add(end - start)

    def view(self) -> memoryview:
        """All bytes. The memory lives as long as the view or a slice of it does."""
        array = _Bytes.from_address(self.base)
        array.owner = self._pages
        return memoryview(array).cast("B")
