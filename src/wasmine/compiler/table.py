"""Tables for machine code: reserved address space of 8-byte elements in native form."""

from __future__ import annotations

import ctypes
import threading
import weakref
from typing import TYPE_CHECKING, Any

from wasmine.compiler.machine import libc
from wasmine.runtime.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.references import References
    from wasmine.format.types import TableType


class NativeTable(Table):
    """A table whose base never moves. `fields` are the addresses of (base, size) pairs in VM contexts that use it."""

    __slots__ = ("_lock", "_references", "_size", "base", "fields")

    def __init__(self, type: TableType, init: Any, references: References) -> None:
        super().__init__(type)
        size = type.limits.minimum
        if size > self.maximum:
            raise MemoryError(f"a table of {size} elements is too large: the maximum is {self.maximum}")
        self._references = references
        self._lock = threading.Lock()
        self._size = 0
        self.fields: set[int] = set()
        reserved = libc.round_up(max(8 * self.maximum, 8))
        try:
            self.base = libc.map_memory(reserved, libc.PROT_READ | libc.PROT_WRITE)
        except OSError as error:
            raise MemoryError(f"cannot reserve {reserved} bytes for a table: {error}") from None
        weakref.finalize(self, libc.unmap, self.base, reserved)
        self._fill(0, size, references.to_native(type.element, init))
        self._size = size

    def _fill(self, start: int, count: int, native: int) -> None:
        if native and count:  # fresh pages are null already
            self.fill_native(start, count, native)

    def attach(self, field: int) -> None:
        """Keep the (base, size) pair at this address up to date from now on."""
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
        pair[1] = self._size

    def __len__(self) -> int:
        return self._size

    def get(self, index: int) -> Any:
        native = ctypes.c_uint64.from_address(self.base + 8 * index).value
        return self._references.to_internal(self.type.element, native)

    def put(self, index: int, values: Sequence[Any]) -> None:
        element, references = self.type.element, self._references
        cells = (ctypes.c_uint64 * len(values)).from_address(self.base + 8 * index)
        cells[:] = [references.to_native(element, value) for value in values]

    def extend(self, delta: int, init: Any) -> int:
        return self.extend_native(delta, self._references.to_native(self.type.element, init))

    def fill_native(self, start: int, count: int, native: int) -> None:
        """Store an element in native form in a range that is in bounds."""
        ctypes.memmove(self.base + 8 * start, native.to_bytes(8, "little") * count, 8 * count)

    def extend_native(self, delta: int, native: int) -> int:
        """`extend` with an element in native form."""
        with self._lock:
            old = self._size
            if old + delta > self.maximum:
                return -1
            self._fill(old, delta, native)
            self._size = old + delta
            for field in self.fields:
                self._publish(field)
            return old
