"""`Registry`: objects by number, for machine code that knows the number alone. It does not keep them alive."""

from __future__ import annotations

import weakref
from typing import Any, Generic, TypeVar

from wasmine.compiler.machine import python

T = TypeVar("T")


class Registry(Generic[T]):
    """Objects by number. Whoever adds one takes it out when it is deallocated, not before."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], int, type]] = {}

    def add(self, number: int, value: T) -> None:
        """Give an object a number."""
        self._known[number] = weakref.ref(value), id(value), type(value)

    def discard(self, number: int) -> None:
        """The object is gone."""
        self._known.pop(number, None)

    def get(self, number: int) -> T | None:
        """The object with a number, None if there is none."""
        found = self._known.get(number)
        if found is None:
            return None
        value: T = found[0]() or python.host().alive(*found)
        return value

    def __getitem__(self, number: int) -> T:
        found = self.get(number)
        if found is None:
            raise KeyError(number)
        return found

    def __len__(self) -> int:
        return len(self._known)
