"""Tags: the identities of exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from wasmine.format.types import DefinedType, FuncType


class Tag:
    """An exception tag. Two tags are the same only if they are the same object. `defined` is its function type."""

    __slots__ = ("__weakref__", "defined", "name")

    def __init__(self, defined: DefinedType, name: str = "") -> None:
        self.defined = defined
        self.name = name

    @property
    def type(self) -> FuncType:
        """The types of the values that exceptions of this tag carry, as a function type's parameters."""
        return cast("FuncType", self.defined.composite)

    def __repr__(self) -> str:
        return f"<tag {self.name or 'anonymous'} {list(self.type.params)}>"
