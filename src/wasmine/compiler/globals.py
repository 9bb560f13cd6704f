"""Global variables for machine code: a cell of 16 bytes each."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from wasmine.runtime.globals import Global

if TYPE_CHECKING:
    from wasmine.compiler.references import References
    from wasmine.compiler.values import Slots
    from wasmine.format.types import GlobalType


class _Cell(ctypes.c_ubyte * 16):  # type: ignore[misc]
    """A cell."""


class NativeGlobal(Global):
    """A global in a cell of its own. `address` is where machine code reads and writes it."""

    __slots__ = ("_cell", "_slots", "_view", "address")

    def __init__(self, type: GlobalType, value: Any, references: References) -> None:
        super().__init__(type)
        self._slots: Slots = references.slots((type.value,))
        self._cell = _Cell()
        self.address = ctypes.addressof(self._cell)
        self._view = memoryview(self._cell).cast("B")
        self.set(value)

    def move(self, context: ctypes.Array[ctypes.c_ubyte], offset: int) -> None:
        """Live at an offset in the memory of a VM context from now on, and keep that alive."""
        value = self._view
        self._cell = _Cell.from_buffer(context, offset)
        self.address = ctypes.addressof(self._cell)
        self._view = memoryview(self._cell).cast("B")
        self._view[:] = value

    def get(self) -> Any:
        return self._slots.read(self._view, 0)[0]

    def set(self, value: Any) -> None:
        self._slots.write(self._view, 0, (value,))
