"""`Registry`: objects by number, for machine code that knows the number alone. It does not keep them alive."""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

_from_address: Final = ctypes.pythonapi.Py_NewRef
_from_address.restype = ctypes.py_object
_from_address.argtypes = (ctypes.c_void_p,)


class Registry(Generic[T]):
    """Objects by number. Whoever adds one takes it out when it is deallocated, not before."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], int]] = {}

    def add(self, number: int, value: T) -> None:
        """Give an object a number."""
        self._known[number] = weakref.ref(value), id(value)

    def discard(self, number: int) -> None:
        """The object is gone."""
        self._known.pop(number, None)

    def get(self, number: int) -> T | None:
        """The object with a number, None if there is none."""
        found = self._known.get(number)
        if found is None:
            return None
        # The collector clears weak references to garbage before it runs the garbage's finalizers, and these may call
        # machine code that needs the object. It is whole until it is deallocated, and then nobody can ask for it.
        value: T = found[0]() or _from_address(found[1])
        return value

    def __getitem__(self, number: int) -> T:
        found = self.get(number)
        if found is None:
            raise KeyError(number)
        return found

    def __len__(self) -> int:
        return len(self._known)
