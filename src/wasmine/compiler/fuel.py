"""Fuel for machine code: what is left stands in the VM context of the instance."""

from __future__ import annotations

import ctypes
from typing import Final

from wasmine.runtime.fuel import Fuel

_MOST: Final = (1 << 64) - 1


class NativeFuel(Fuel):
    """The fuel of an instance that machine code pays with.

    Code counts 64 bits. What is beyond them, for which it would have to run for centuries, is left out of account.
    """

    __slots__ = ("_beyond", "_cell", "_keep")

    def __init__(self, left: int) -> None:
        self._cell = ctypes.c_uint64()
        self._keep: object = None
        super().__init__(left)

    def place(self, address: int, keep: object) -> None:
        """Live at an address in a VM context from now on, and keep that alive."""
        value = self._cell.value
        self._cell = ctypes.c_uint64.from_address(address)
        self._keep = keep
        self._cell.value = value

    @property
    def left(self) -> int:
        """How many units are left."""
        return self._cell.value + self._beyond

    @left.setter
    def left(self, left: int) -> None:
        self._cell.value = min(left, _MOST)
        self._beyond = max(left - _MOST, 0)
