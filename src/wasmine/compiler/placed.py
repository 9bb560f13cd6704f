"""Where a memory or a table lies, as machine code knows it."""

from __future__ import annotations

import ctypes
from typing import Final

from wasmine.compiler.contexts import contexts
from wasmine.runtime.lock import lock

_Pair: Final = ctypes.c_uint64 * 2


class Placed:
    """What lies at `base`, which never moves, and has `length` elements. `fields` are the addresses of (base, length) pairs
    in VM contexts that use it. Machine code trusts all of this, so Python code cannot set it.
    """

    __slots__ = ()

    _base: int
    _length: int
    _fields: dict[int, None]

    @property
    def base(self) -> int:
        """The address of its first element."""
        return self._base

    @property
    def length(self) -> int:
        """How many elements it has: bytes, of a memory."""
        return self._length

    @property
    def fields(self) -> dict[int, None]:
        """Where VM contexts have its base and its length."""
        return self._fields

    def attach(self, context: int, field: int) -> None:
        """Keep a pair in a VM context up to date from now on."""
        with lock:
            contexts.note(context, self._fields, field)
            self._publish()

    def _publish(self) -> None:
        """Tell all VM contexts that use it where it is and how long. The caller holds `lock`."""
        for field in list(self._fields):
            pair = _Pair.from_address(field)
            if field in self._fields:  # making the pair may have collected garbage, and the context with it
                pair[0] = self._base
                pair[1] = self._length
