"""Wasm exceptions at run time: as Python exceptions between generated functions, and at the face to Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.errors import Trap, TrapKind, WasmException
from wasmine.runtime.reference import ExceptionPackage
from wasmine.runtime.values import to_internal, to_python

if TYPE_CHECKING:
    from wasmine.runtime.tag import Tag


class Thrown(Exception):
    """A wasm exception on its way.

    `target` is the number of the `try` that it is delegated to, or 0: only that one may look at it.
    """

    def __init__(self, package: ExceptionPackage) -> None:
        super().__init__()
        self.package = package
        self.target = 0


def thrown_again(package: ExceptionPackage | None) -> Thrown:
    """What `throw_ref` raises."""
    if package is None:
        raise Trap(TrapKind.NULL_REFERENCE)
    return Thrown(package)


class PackagedException(WasmException):
    """A wasm exception that came from wasm: thrown back into it, it is the same one."""

    def __init__(self, package: ExceptionPackage) -> None:
        tag: Tag = package.tag
        super().__init__(tag, *map(to_python, tag.type.params, package.values))
        self.package = package


def to_public(thrown: Thrown) -> WasmException:
    """The exception that Python code sees."""
    return PackagedException(thrown.package)


def from_public(error: WasmException) -> Thrown:
    """The exception that wasm sees. TypeError, OverflowError or ValueError if the values do not fit the tag."""
    if isinstance(error, PackagedException):
        return Thrown(error.package)
    types = error.tag.type.params
    if len(types) != len(error.values):
        raise TypeError(f"exceptions of {error.tag} carry {len(types)} values, not {len(error.values)}")
    return Thrown(ExceptionPackage(error.tag, tuple(map(to_internal, types, error.values))))
