"""`Mapping`: pages of memory that are given back when nobody holds them any more."""

from __future__ import annotations

import ctypes
import errno
import gc
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import libc, python

if TYPE_CHECKING:
    from wasmine.runtime.image import Image

_PRESSURE: Final = 1 << 30
"""How many usable bytes may be mapped between two collections of garbage. Instances and runtimes are cycles, so it is the
collector that frees them; it sees few small objects and would let any number of them wait."""

_RESERVATIONS: Final = 4096
"""The same for mappings as such: of 8 GiB each, an address space of 47 bits has 16,000."""

_IDLE: Final = 32
"""How many mappings wait for somebody who needs one like it: two system calls less for each."""

_USABLE: Final = libc.PROT_READ | libc.PROT_WRITE


_LARGEST: Final = 1 << 40
"""The size of any view of a mapping. It is cut to what there is."""


class _Range:
    """Address space of `size` bytes at `base`, of which the first `used` are usable: zeros, or an image."""

    __slots__ = ("base", "image", "size", "used")

    def __init__(self, base: int, size: int) -> None:
        self.base = base
        self.size = size
        self.used = 0
        self.image = 0  # its number

    def use(self, end: int) -> None:
        """Make the first `end` bytes usable, and no more. OSError."""
        if end > self.used:
            libc.protect(self.base + self.used, end - self.used, _USABLE)
        elif end < self.used:
            libc.protect(self.base + end, self.used - end, libc.PROT_NONE)
        self.used = end

    def show(self, image: Image) -> None:
        """Have the contents of an image, until something else is written. OSError."""
        size = libc.round_up(image.length)
        if image.descriptor >= 0:
            libc.map_file(image.descriptor, size, _USABLE, self.base)
            self.used = size
            self.image = image.number
        else:
            self.use(size)
            ctypes.memmove(self.base, bytes(image.contents()), image.length)


class _Ranges:
    """All ranges of the process: those in use, by address, and those that wait, by size and image.

    Any thread may come at any time, and a finalizer in the middle of everything: so there is no lock, and each step is one
    operation of a dictionary, set or list.
    """

    def __init__(self) -> None:
        self._out: dict[int, _Range] = {}
        self._idle: dict[tuple[int, int], list[_Range]] = {}
        self._images: set[int] = set()  # the numbers of those that may be asked for again
        self._room = [None] * _IDLE  # one for each that may wait besides those that do
        self._fresh = self._fresh_bytes = 0  # since the last collection, about

    def take(self, size: int, used: int, image: Image | None) -> _Range:
        """A range with so many usable bytes: zeros, or an image. OSError."""
        try:
            found = self._idle[size, image.number if image is not None else 0].pop()
            self._room.append(None)
        except (KeyError, IndexError):
            found = self._make(size, used)
        self._out[found.base] = found
        try:
            if image is not None and not found.image and image.length:
                self._images.add(image.number)
                image.forgotten.add(self.forget)
                found.show(image)
            elif found.used != used:
                found.use(used)
        except OSError:
            self.give_back(found.base)
            raise
        return found

    def _make(self, size: int, used: int) -> _Range:
        self._fresh += 1
        self._fresh_bytes += used
        if self._fresh_bytes > _PRESSURE or self._fresh > _RESERVATIONS:
            self._fresh = self._fresh_bytes = 0
            gc.collect()
        try:
            return _Range(libc.map_memory(size, libc.PROT_NONE), size)
        except OSError:
            gc.collect()
            self.forget()
            return _Range(libc.map_memory(size, libc.PROT_NONE), size)

    def give_back(self, base: int) -> None:
        """Nobody can reach a range any more."""
        found = self._out.pop(base)
        if not found.image or found.image in self._images:
            with suppress(OSError, IndexError):
                if found.used:
                    libc.discard(base, found.used)
                self._room.pop()
                self._wait(found)
                return
        with suppress(OSError):
            libc.unmap(base, found.size)

    def _wait(self, found: _Range) -> None:
        key = found.size, found.image
        waiting = self._idle.setdefault(key, [])
        waiting.append(found)
        # It may have been forgotten meanwhile, before it was there.
        if self._idle.get(key) is not waiting:
            self._unmap(waiting)
        elif found.image and found.image not in self._images:
            self.forget(found.image)

    def forget(self, image: int | None = None) -> None:
        """Unmap what waits: all of it, or what shows an image that nobody will ask for any more."""
        self._images.discard(image or 0)
        for key in list(self._idle):
            if image is None or key[1] == image:
                self._unmap(self._idle.pop(key, []))

    def _unmap(self, waiting: list[_Range]) -> None:
        with suppress(IndexError):
            while True:
                found = waiting.pop()
                self._room.append(None)
                libc.unmap(found.base, found.size)


_ranges: Final = _Ranges()
_leases: Final = python.host().leases(_ranges.give_back)


class Mapping:
    """`size` bytes of private memory at `base`, of which the first `used` may be used: they are zero, or an image.

    OSError if there is not so much.
    """

    __slots__ = ("_lease", "_range", "base", "size")

    def __init__(self, size: int, used: int, image: Image | None = None) -> None:
        if used > size:  # what lies behind is somebody else's
            raise OSError(errno.ENOMEM, f"{used} bytes do not fit into {size}")
        self._range = _ranges.take(size, used, image)
        self._lease = _leases.new(self._range.base)
        self.base = self._range.base
        self.size = size

    def use(self, end: int) -> None:
        """Make the first `end` bytes usable, whole pages. OSError."""
        if end > self._range.used:
            self._range.use(end)

    def view(self) -> memoryview:
        """All bytes. The memory lives as long as the view or a slice of it does."""
        return python.host().view(self.base, _LARGEST, self._lease)
