"""Global variables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from wasmine.runtime.unique import Unique
from wasmine.runtime.values import to_internal, to_python

if TYPE_CHECKING:
    from wasmine.format.types import GlobalType


class Global(Unique, ABC):
    """A global variable. Read and write it as `value`; writing an immutable one is a TypeError."""

    __slots__ = ("__weakref__", "owner", "type")

    def __init__(self, type: GlobalType) -> None:
        self.type = type
        self.owner: object = None  # the engine, so that linking can refuse what belongs to another runtime

    @abstractmethod
    def get(self) -> Any:
        """The internal value."""

    @abstractmethod
    def set(self, value: Any) -> None:
        """Store an internal value; nothing is checked."""

    @property
    def mutable(self) -> bool:
        """Whether it can be written."""
        return self.type.mutable

    @property
    def value(self) -> Any:
        """The value, as a Python value."""
        return to_python(self.type.value, self.get())

    @value.setter
    def value(self, value: Any) -> None:
        if not self.type.mutable:
            raise TypeError(f"the global is immutable: its type is {self.type}")
        self.set(to_internal(self.type.value, value))

    def __repr__(self) -> str:
        return f"<global {self.type} = {self.value!r}>"
