"""Global variables for machine code: a cell of 16 bytes each."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from wasmine.compiler import values
from wasmine.runtime.globals import Global

if TYPE_CHECKING:
    from wasmine.compiler.references import References
    from wasmine.format.types import GlobalType


class NativeGlobal(Global):
    """A global in a cell of its own. `address` is where machine code reads and writes it."""

    __slots__ = ("_cell", "_references", "address")

    def __init__(self, type: GlobalType, value: Any, references: References) -> None:
        super().__init__(type)
        self._references = references
        # One more cell than needed, so that the address can be a multiple of 16.
        cell = ctypes.create_string_buffer(32)
        self._cell: object = cell
        self.address = (ctypes.addressof(cell) + 15) & -16
        self.set(value)

    def move(self, address: int, owner: object) -> None:
        """Live at another address from now on, in memory that lives as long as `owner`."""
        ctypes.memmove(address, self.address, 16)
        self.address = address
        self._cell = owner

    def get(self) -> Any:
        return values.read(self._references, self.address, (self.type.value,))[0]

    def set(self, value: Any) -> None:
        values.write(self._references, self.address, (self.type.value,), (value,))
