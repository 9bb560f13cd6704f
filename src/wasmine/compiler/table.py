"""Tables for machine code: reserved address space of 8-byte elements in native form."""

from __future__ import annotations

import ctypes
from struct import pack
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.machine import libc
from wasmine.compiler.machine.lock import lock
from wasmine.compiler.machine.mapping import Mapping
from wasmine.runtime.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.memory import Pair
    from wasmine.compiler.references import References
    from wasmine.format.types import TableType


_AT_ONCE: Final = 1 << 16
"""How many elements are filled at once."""


class NativeTable(Table):
    """A table whose base never moves. `fields` are the (base, size) pairs in VM contexts that use it."""

    __slots__ = ("_decode", "_encode", "_mapping", "_references", "_size", "base", "fields")

    def __init__(self, type: TableType, init: Any, references: References) -> None:
        super().__init__(type)
        size = type.limits.minimum
        if size > self.maximum:
            raise MemoryError(f"a table of {size} elements is too large: the maximum is {self.maximum}")
        self._references = references
        self._encode = references.encoder(type.element)
        self._decode = references.decoder(type.element)
        self._size = 0
        self.fields: list[Pair] = []
        reserved = libc.round_up(max(8 * self.maximum, 8))
        try:
            self._mapping = Mapping(reserved)
            self._mapping.use(0, reserved)
        except OSError as error:
            raise MemoryError(f"cannot reserve {reserved} bytes for a table: {error}") from None
        self.base = self._mapping.base
        self._fill(0, size, self._encode(init))
        self._size = size

    def _fill(self, start: int, count: int, native: int) -> None:
        if native and count:  # fresh pages are null already
            self.fill_native(start, count, native)

    def attach(self, pair: Pair) -> None:
        """Keep a pair up to date from now on."""
        with lock:
            self.fields.append(pair)
            self._publish()

    def _publish(self) -> None:
        for pair in self.fields.copy():
            pair[0] = self.base
            pair[1] = self._size

    def __len__(self) -> int:
        return self._size

    def get(self, index: int) -> Any:
        native = ctypes.c_uint64.from_address(self.base + 8 * index).value
        return self._decode(native)

    def put(self, index: int, values: Sequence[Any]) -> None:
        words = [self._encode(value) for value in values]
        ctypes.memmove(self.base + 8 * index, pack(f"<{len(words)}Q", *words), 8 * len(words))

    def extend(self, delta: int, init: Any) -> int:
        return self.extend_native(delta, self._encode(init))

    def fill_native(self, start: int, count: int, native: int) -> None:
        """Store an element in native form in a range that is in bounds."""
        word = native.to_bytes(8, "little")
        while count:
            now = min(count, _AT_ONCE)
            ctypes.memmove(self.base + 8 * start, word * now, 8 * now)
            start += now
            count -= now

    def extend_native(self, delta: int, native: int) -> int:
        """`extend` with an element in native form."""
        with lock:
            while True:
                old = self._size
                if old + delta > self.maximum:
                    return -1
                self._fill(old, delta, native)
                if self._size == old:  # nobody has come in between: a finalizer may, on this very thread
                    self._size = old + delta
                    break
            self._publish()
            return old
