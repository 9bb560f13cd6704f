"""Reference values that are neither functions nor host objects: structs, arrays, i31 numbers and caught exceptions.

Their fields hold *internal* values (docs/architecture.md); Python code reads them through indexing, which gives Python
values. They are ordinary Python objects: Python's collector collects them, cycles included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmine.format.types import ArrayType, Packed, StructType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmine.format.types import DefinedType, StorageType
    from wasmine.runtime.tag import Tag


class I31:
    """An unboxed 31-bit integer. `value` is unsigned, 0 to 2^31-1."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value & 0x7FFF_FFFF

    @property
    def signed(self) -> int:
        """The value, -2^30 to 2^30-1."""
        return self.value - 0x8000_0000 if self.value & 0x4000_0000 else self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, I31) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"<wasm i31 {self.signed}>"


class Struct:
    """A GC struct. `type` is its defined type; `fields` are internal values, packed fields as unsigned ints.

    `struct[i]` is field `i` as a Python value (packed fields sign-extended), `len(struct)` the number of fields.
    """

    __slots__ = ("__weakref__", "fields", "type")

    def __init__(self, type: DefinedType, fields: list[Any]) -> None:
        self.type = type
        self.fields = fields

    def __len__(self) -> int:
        return len(self.fields)

    def __getitem__(self, index: int) -> object:
        composite = self.type.composite
        assert isinstance(composite, StructType)
        return _read(composite.fields[index].storage, self.fields[index])

    def __iter__(self) -> Iterator[object]:
        return (self[i] for i in range(len(self.fields)))

    def __repr__(self) -> str:
        return f"<wasm {self.type}>"


class Array:
    """A GC array. `type` is its defined type; `elements` are internal values, packed elements as unsigned ints.

    `array[i]` is element `i` as a Python value (packed elements sign-extended), `len(array)` its length.
    """

    __slots__ = ("__weakref__", "elements", "type")

    def __init__(self, type: DefinedType, elements: list[Any]) -> None:
        self.type = type
        self.elements = elements

    def __len__(self) -> int:
        return len(self.elements)

    def __getitem__(self, index: int) -> object:
        composite = self.type.composite
        assert isinstance(composite, ArrayType)
        return _read(composite.field.storage, self.elements[index])

    def __iter__(self) -> Iterator[object]:
        return (self[i] for i in range(len(self.elements)))

    def __repr__(self) -> str:
        return f"<wasm {self.type} of length {len(self.elements)}>"


class ExceptionPackage:
    """A thrown exception, the value of an exnref: its `tag` and the internal `values` that it carries."""

    __slots__ = ("__weakref__", "tag", "values")

    def __init__(self, tag: Tag, values: tuple[Any, ...]) -> None:
        self.tag = tag
        self.values = values

    def __repr__(self) -> str:
        return f"<wasm exception {self.tag}>"


def _read(storage: StorageType, value: Any) -> object:
    if isinstance(storage, Packed):
        sign = 1 << (8 * storage.size - 1)
        return (value ^ sign) - sign
    from wasmine.runtime.values import to_python

    return to_python(storage, value)
