"""Tables for machine code: reserved address space of 8-byte elements in native form."""

from __future__ import annotations

import ctypes
import weakref
from struct import pack
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.domain import Domain
from wasmine.compiler.machine import libc
from wasmine.compiler.machine.mapping import Mapping
from wasmine.compiler.placed import Placed
from wasmine.errors import Trap, TrapKind
from wasmine.format.types import is_function_type
from wasmine.runtime.lock import lock
from wasmine.runtime.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from wasmine.compiler.instance import NativeCode
    from wasmine.compiler.references import References
    from wasmine.format.types import TableType


_AT_ONCE: Final = 1 << 16
"""How many elements are filled at once."""


class NativeTable(Placed, Table):
    """A table.

    `home` is the instance that defines it, and `domain` what keeps alive what it refers to; both are None unless it holds
    function references.
    """

    __slots__ = ("_base", "_decode", "_encode", "_fields", "_length", "_mapping", "_references", "domain", "home")

    def __init__(self, type: TableType, init: Any, references: References) -> None:
        super().__init__(type)
        size = type.limits.minimum
        most = self.maximum
        if size > most:
            raise MemoryError(f"a table of {size} elements is too large: the maximum is {most}")
        self._references = references
        self._decode = references.decoder(type.element)
        self._encode = references.encoder(type.element)
        self.home: NativeCode | None = None
        self.domain: Domain | None = None
        if is_function_type(type.element):
            self._encode = references.address
            self.domain = Domain()
            self.domain.tables.append(weakref.ref(self))
        self._length = 0
        self._fields: dict[int, None] = {}
        if self.domain is None:
            references.watch(self)  # from here on its words may be asked for
        reserved = libc.round_up(max(8 * most, 8))
        try:
            self._mapping = Mapping(reserved, libc.round_up(8 * size))
        except OSError as error:
            raise MemoryError(f"cannot reserve {reserved} bytes for a table: {error}") from None
        self._base = self._mapping.base
        self._fill(0, size, self._encode(init))
        self._length = size
        self.hold((init,))

    def hold(self, values: Iterable[Any]) -> None:
        """Functions live as long as the table may have them.

        That they are in it was written before, and `lock` is held from then on: so whoever looks which closed instances
        can go finds them in the table, or finds that they have come in.
        """
        if self.domain is not None:
            for function in values:
                self.domain.hold(function)

    def _fill(self, start: int, count: int, native: int) -> None:
        if native and count:  # fresh pages are null already
            self.fill_native(start, count, native)

    def __len__(self) -> int:
        return self._length

    def get(self, index: int) -> Any:
        self._check(index, 1)
        with lock:  # until it is known whose it is, it is in the table, which keeps it
            native = ctypes.c_uint64.from_address(self._base + 8 * index).value
            return self._decode(native)

    def put(self, index: int, values: Sequence[Any]) -> None:
        self._check(index, len(values))
        words = [self._encode(value) for value in values]
        with lock:
            ctypes.memmove(self._base + 8 * index, pack(f"<{len(words)}Q", *words), 8 * len(words))
            self.hold(values)

    def _check(self, index: int, count: int) -> None:
        """IndexError, though whoever comes here has looked already: with a wrong address the process would end."""
        if not 0 <= index <= self._length - count:
            raise IndexError(f"elements {index} to {index + count} of a table of {self._length}")

    def words(self) -> Collection[int]:
        """All elements in native form."""
        if not self._length:
            return ()
        return memoryview((ctypes.c_uint64 * self._length).from_address(self._base)).cast("B").cast("Q")

    def write_native(self, index: int, words: bytes | bytearray) -> None:
        """`write` elements in native form."""
        if index + len(words) // 8 > self._length:
            detail = f"elements {index} to {index + len(words) // 8} of a table of {self._length}"
            raise Trap(TrapKind.TABLE_OUT_OF_BOUNDS, detail)
        ctypes.memmove(self._base + 8 * index, bytes(words), len(words))

    def extend(self, delta: int, init: Any) -> int:
        native = self._encode(init)
        with lock:
            old = self.extend_native(delta, native)
            self.hold((init,))
            return old

    def fill_native(self, start: int, count: int, native: int) -> None:
        """Store an element in native form in a range that is in bounds."""
        word = native.to_bytes(8, "little")
        while count:
            now = min(count, _AT_ONCE)
            ctypes.memmove(self._base + 8 * start, word * now, 8 * now)
            start += now
            count -= now

    def extend_native(self, delta: int, native: int) -> int:
        """`extend` with an element in native form."""
        with lock:
            while True:
                old = self._length
                if old + delta > self.maximum:
                    return -1
                try:
                    self._mapping.use(libc.round_up(8 * (old + delta)))
                except OSError:
                    return -1
                self._fill(old, delta, native)
                if self._length == old:  # nobody has come in between: a finalizer may, on this very thread
                    self._length = old + delta
                    break
            self._publish()
            return old
