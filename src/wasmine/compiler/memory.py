"""Linear memories for machine code: reserved address space, of which the first bytes may be touched."""

from __future__ import annotations

import ctypes
import threading
import weakref
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import libc
from wasmine.format.types import I64
from wasmine.interpreter.atomics import Monitor
from wasmine.runtime.memory import Memory

if TYPE_CHECKING:
    from wasmine.format.types import MemoryType

GUARD: Final = (8 << 30) + 65536
"""What a 32-bit memory reserves in guard mode: an index and an offset of 32 bits each reach 8 GiB, and the access itself a
little more. Nothing beyond the memory's size can be touched, so no access needs a check."""

RESERVE_64: Final = 1 << 36
"""What a 64-bit memory reserves at most (64 GiB): it is checked, so only its own size matters."""


class NativeMemory(Memory):
    """A memory whose base never moves. `fields` are the addresses of (base, length) pairs in VM contexts that use it."""

    __slots__ = ("_committed", "_finalizer", "_length", "_lock", "base", "fields", "guarded", "monitor", "reserved")

    def __init__(self, type: MemoryType, *, guarded: bool) -> None:
        super().__init__(type)
        self.guarded = guarded and type.address is not I64
        size = type.limits.minimum << type.page_size_log2
        self.reserved = GUARD if self.guarded else self._room(size)
        try:
            self.base = libc.map_memory(self.reserved, libc.PROT_NONE)
        except OSError as error:
            raise MemoryError(f"cannot reserve {self.reserved} bytes of address space for a memory: {error}") from None
        self._finalizer = weakref.finalize(self, libc.unmap, self.base, self.reserved)
        self._lock = threading.Lock()
        self.monitor = Monitor(type.shared)
        self._committed = 0
        self._length = 0
        self.fields: set[int] = set()
        if not self._commit(size):
            raise MemoryError(f"cannot allocate a memory of {size} bytes")
        self._length = size

    def _room(self, size: int) -> int:
        """The address space for a checked memory: its maximum, if that is not absurd."""
        ceiling = RESERVE_64 if self.type.address is I64 else 1 << 32
        maximum = self.type.limits.maximum
        wanted = ceiling if maximum is None else min(maximum << self.type.page_size_log2, ceiling)
        return libc.round_up(max(wanted, size, 1))

    def _commit(self, size: int) -> bool:
        """Make the first `size` bytes usable; False if the system refuses."""
        end = libc.round_up(size)
        if end > self.reserved:
            return False
        if end > self._committed:
            try:
                libc.protect(self.base + self._committed, end - self._committed, libc.PROT_READ | libc.PROT_WRITE)
            except OSError:
                return False
            self._committed = end
        return True

    def attach(self, field: int) -> None:
        """Keep the (base, length) pair at this address up to date from now on."""
        with self._lock:
            self.fields.add(field)
            self._publish(field)

    def detach(self, field: int) -> None:
        """The pair at this address is about to go."""
        with self._lock:
            self.fields.discard(field)

    def _publish(self, field: int) -> None:
        pair = (ctypes.c_uint64 * 2).from_address(field)
        pair[0] = self.base
        pair[1] = self._length

    @property
    def byte_length(self) -> int:
        return self._length

    def extend(self, delta: int) -> int:
        with self._lock:
            log2 = self.type.page_size_log2
            old = self._length >> log2
            if old + delta > self.maximum or not self._commit((old + delta) << log2):
                return -1
            self._length = (old + delta) << log2
            for field in self.fields:
                self._publish(field)
            return old

    def view(self) -> memoryview:
        return memoryview(_Bytes.over(self)).cast("B")


class _Bytes:
    """Makes ctypes arrays over a memory's bytes that keep the memory alive as long as a view of them lives."""

    _classes: Final[dict[int, type[ctypes.Array[ctypes.c_ubyte]]]] = {}

    @classmethod
    def over(cls, memory: NativeMemory) -> ctypes.Array[ctypes.c_ubyte]:
        length = memory.byte_length
        kind = cls._classes.get(length)
        if kind is None:
            # A subclass, whose instances can have attributes. Sizes are few: the cache stays small.
            base = ctypes.c_ubyte * length
            kind = cls._classes[length] = type("MemoryBytes", (base,), {})
        found = kind.from_address(memory.base)
        found.owner = memory  # type: ignore[attr-defined]
        return found
