"""Linear memories for machine code: reserved address space, of which the first bytes may be touched."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import libc
from wasmine.compiler.machine.mapping import Mapping
from wasmine.compiler.placed import Placed
from wasmine.format.types import I64
from wasmine.runtime.atomics import Monitor
from wasmine.runtime.gil import FREE_THREADED
from wasmine.runtime.lock import lock
from wasmine.runtime.memory import Memory

if TYPE_CHECKING:
    from wasmine.format.types import MemoryType
    from wasmine.runtime.image import Image

GUARD: Final = (8 << 30) + 65536
"""What a 32-bit memory reserves in guard mode: an index and an offset of 32 bits each reach 8 GiB, and the access itself a
little more. Nothing beyond the memory's size can be touched, so no access needs a check."""

RESERVE_64: Final = 1 << 36
"""What a 64-bit memory reserves at most (64 GiB): it is checked, so only its own size matters."""


class NativeMemory(Placed, Memory):
    """A memory. `reserved` is how many bytes of address space belong to it: whatever an access that needs no check can
    reach.

    With an `image` it begins with its contents, which are shared until they are written to.
    """

    __slots__ = ("_base", "_fields", "_guarded", "_length", "_mapping", "_monitor", "_reserved", "_view")

    def __init__(self, type: MemoryType, *, guarded: bool, image: Image | None = None) -> None:
        super().__init__(type)
        self._guarded = guarded and type.address is not I64
        size = image.length if image is not None else type.limits.minimum << type.page_size_log2
        self._mapping = self._reserve(size, image)
        self._base = self._mapping.base
        self._reserved = self._mapping.size
        self._monitor: Monitor | None = None
        self._view: memoryview | None = None
        self._length = size
        self._fields: dict[int, None] = {}

    def _reserve(self, size: int, image: Image | None) -> Mapping:
        """The address space: for a checked memory what is to be had, up to its maximum, if that is not absurd."""
        wanted = GUARD if self._guarded else self._room(size)
        while True:
            try:
                return Mapping(wanted, libc.round_up(size), image)
            except OSError as error:
                if self._guarded or wanted <= libc.round_up(size):
                    raise MemoryError(f"cannot reserve {wanted} bytes of address space for a memory: {error}") from None
                wanted = libc.round_up(max(wanted // 4, size, 1))

    def _room(self, size: int) -> int:
        ceiling = RESERVE_64 if self.type.address is I64 else 1 << 32
        maximum = self.type.limits.maximum
        wanted = ceiling if maximum is None else min(maximum << self.type.page_size_log2, ceiling)
        return libc.round_up(max(wanted, size, 1))

    @property
    def reserved(self) -> int:
        """How many bytes of address space belong to it."""
        return self._reserved

    @property
    def monitor(self) -> Monitor:
        """Who waits at its addresses."""
        found = self._monitor
        if found is None:
            with lock:
                found = self._monitor = self._monitor or Monitor(self.type.shared)
        return found

    def _commit(self, size: int) -> bool:
        """Make the first `size` bytes usable; False if the system refuses."""
        end = libc.round_up(size)
        if end > self._mapping.size:
            return False
        try:
            self._mapping.use(end)
        except OSError:
            return False
        return True

    @property
    def byte_length(self) -> int:
        return self._length

    def extend(self, delta: int) -> int:
        with lock:
            log2 = self.type.page_size_log2
            while True:
                length = self._length
                old = length >> log2
                if old + delta > self.maximum or not self._commit((old + delta) << log2):
                    return -1
                if self._length == length:  # nobody has come in between: a finalizer may, on this very thread
                    self._length = (old + delta) << log2
                    break
            self._publish()
            return old

    def view(self) -> memoryview:
        if FREE_THREADED:  # CPython counts the slices of a view without regard to other threads
            return self._mapping.view()[: self._length]
        found = self._view
        if found is None:
            found = self._view = self._mapping.view()
        return found[: self._length]

    def initialize(self, address: int, data: bytes | memoryview) -> None:
        if 0 <= address <= self._length - len(data) and isinstance(data, bytes):
            ctypes.memmove(self._base + address, data, len(data))  # no view is needed
        else:
            super().initialize(address, data)
