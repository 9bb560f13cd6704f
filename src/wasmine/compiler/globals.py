"""Global variables for machine code: a cell of 16 bytes each."""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.domain import Domain
from wasmine.format.types import RefType, is_function_type
from wasmine.runtime.globals import Global
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from wasmine.compiler.instance import NativeCode
    from wasmine.compiler.references import References
    from wasmine.format.types import GlobalType


_Cell: Final = ctypes.c_ubyte * 16


class NativeGlobal(Global):
    """A global in a cell: in the VM context of the instance that defines it, or one of its own.

    `address` is where machine code reads and writes it. `home` is the instance that defines it and `domain` what keeps
    alive what it refers to; both are None unless it holds function references.
    """

    __slots__ = ("_address", "_initial", "_is_reference", "_keep", "_references", "_slots", "_view", "domain", "home")

    def __init__(self, type: GlobalType, value: Any, references: References) -> None:
        super().__init__(type)
        self._references = references
        self._slots = references.slots((type.value,))
        self._is_reference = isinstance(type.value, RefType)
        self._initial = value  # until it has a place
        self._address = 0
        self._view: memoryview | None = None
        self._keep: object = None
        self.home: NativeCode | None = None
        self.domain: Domain | None = None
        if is_function_type(type.value):
            self.domain = Domain()
            self.domain.globals.append(weakref.ref(self))
        elif self._is_reference:
            references.watch(self)

    def place(self, offset: int, code: NativeCode) -> None:
        """Live at an offset in the VM context of an instance."""
        self._live(code.address + offset, code.lease)

    @property
    def address(self) -> int:
        """The address of its cell."""
        if not self._address:
            with lock:  # two threads may come here, there is one cell
                if not self._address:
                    cell = _Cell()
                    self._live(ctypes.addressof(cell), cell)
        return self._address

    def _live(self, address: int, keep: object) -> None:
        """Have its value at an address from now on, which is there as long as `keep` is."""
        self._keep = keep
        self._view = memoryview(_Cell.from_address(address)).cast("B")
        self._write(self._view, self._initial)
        self._address = address  # who sees it finds the value there
        self._initial = None

    @property
    def _cell(self) -> memoryview:
        assert self.address
        assert self._view is not None
        return self._view

    def _write(self, view: memoryview, value: Any) -> None:
        if not self._is_reference:
            self._slots.write(view, 0, (value,))
            return
        references = self._references
        word = references.number(value) if self.domain is None else references.address(value)
        with lock:  # as in a table
            view[:8] = word.to_bytes(8, "little")
            if self.domain is not None:
                self.domain.hold(value)

    def words(self) -> list[int]:
        """A reference in native form, if it has a place."""
        return [int.from_bytes(self._view[:8], "little")] if self._view is not None else []

    def get(self) -> Any:
        initial = self._initial
        if not self._address:
            return initial
        if not self._is_reference:
            return self._slots.read(self._cell, 0)[0]
        with lock:
            return self._slots.read(self._cell, 0)[0]

    def set(self, value: Any) -> None:
        self._write(self._cell, value)
