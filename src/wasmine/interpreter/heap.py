"""References at run time: comparisons, tests of types, and the instructions on whole arrays and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from wasmine.errors import Trap, TrapKind
from wasmine.format.types import F32, F64, ArrayType, DefinedType, Heap, NumberType, Packed, RefType
from wasmine.runtime import traps
from wasmine.runtime.bits import f32_from_bits, f64_from_bits
from wasmine.runtime.constant import array_elements
from wasmine.runtime.function import Function
from wasmine.runtime.reference import I31, Array, ExceptionPackage, Struct
from wasmine.runtime.values import reference_matches

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.runtime.table import Table

    Predicate = Callable[[Any], bool]


def null() -> NoReturn:
    """Traps."""
    raise Trap(TrapKind.NULL_REFERENCE)


def same_reference(a: Any, b: Any) -> bool:
    """`ref.eq`: i31 references are the same if their numbers are."""
    return a is b or (a.__class__ is I31 and b.__class__ is I31 and a.value == b.value)


def cast_failure(value: Any, predicate: Predicate) -> NoReturn:
    """Traps."""
    found = "null" if value is None else repr(value)
    raise Trap(TrapKind.CAST_FAILURE, f"{found} is not a {predicate.__doc__}")


# ---------------------------------------------------------------------------------------------------- tests of types

_CLASSES: Final[dict[Heap, tuple[type, ...]]] = {
    Heap.EQ: (I31, Struct, Array),
    Heap.I31: (I31,),
    Heap.STRUCT: (Struct,),
    Heap.ARRAY: (Array,),
    Heap.FUNC: (Function,),
    Heap.EXN: (ExceptionPackage,),
}


def predicate(type: RefType) -> Predicate:
    """A function that says whether an internal reference is of a closed type; its docstring is the type."""
    found = _predicate(type)
    found.__doc__ = str(type)
    return found


def _predicate(type: RefType) -> Predicate:
    heap, nullable = type.heap, type.nullable
    if isinstance(heap, DefinedType):
        return _concrete(heap, nullable)
    if isinstance(heap, Heap) and heap in _CLASSES:
        classes = (*_CLASSES[heap], *((None.__class__,) if nullable else ()))
        return lambda value: isinstance(value, classes)
    return lambda value: reference_matches(value, type)


def _concrete(target: DefinedType, nullable: bool) -> Predicate:
    if target.composite.__class__ is ArrayType or not hasattr(target.composite, "params"):

        def aggregate(value: Any) -> bool:
            if value is None:
                return nullable
            own = getattr(value, "type", None) if value.__class__ in (Struct, Array) else None
            return own is target or (own is not None and own.is_subtype_of(target))

        return aggregate

    def function(value: Any) -> bool:
        if value is None:
            return nullable
        return isinstance(value, Function) and value.defined.is_subtype_of(target)

    return function


# ---------------------------------------------------------------------------------------------------- whole arrays


def _range(array: Array | None, index: int, length: int) -> list[Any]:
    """The elements of an array, of which this range is to be used. Traps."""
    if array is None:
        null()
    elements = array.elements
    if index + length > len(elements):
        raise traps.array_access(index, length, len(elements))
    return elements


def _decoded(type: DefinedType, data: bytes) -> list[Any]:
    """Elements from bytes."""
    composite = type.composite
    assert isinstance(composite, ArrayType)
    storage = composite.field.storage
    assert isinstance(storage, Packed | NumberType)
    size = storage.size
    numbers = [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]
    if storage is F32:
        return [f32_from_bits(bits) for bits in numbers]
    if storage is F64:
        return [f64_from_bits(bits) for bits in numbers]
    return numbers


def _element_size(type: DefinedType) -> int:
    composite = type.composite
    assert isinstance(composite, ArrayType)
    storage = composite.field.storage
    assert isinstance(storage, Packed | NumberType)
    return storage.size


def array_new_data(type: DefinedType, data: bytes, offset: int, length: int) -> Array:
    """`array.new_data`."""
    size = length * _element_size(type)
    if offset + size > len(data):
        raise traps.data_access(offset, size, len(data))
    return Array(type, _decoded(type, data[offset : offset + size]))


def array_new_elem(type: DefinedType, segment: list[Any], offset: int, length: int) -> Array:
    """`array.new_elem`."""
    if offset + length > len(segment):
        raise traps.element_access(offset, length, len(segment))
    return Array(type, segment[offset : offset + length])


def array_fill(array: Array | None, index: int, value: Any, length: int) -> None:
    """`array.fill`; the value is packed already."""
    elements = _range(array, index, length)
    elements[index : index + length] = [value] * length


def array_copy(to: Array | None, target: int, of: Array | None, source: int, length: int) -> None:
    """`array.copy`; the ranges may overlap."""
    if of is None:
        null()
    elements = _range(to, target, length)
    elements[target : target + length] = _range(of, source, length)[source : source + length]


def array_init_data(data: bytes, array: Array | None, index: int, offset: int, length: int) -> None:
    """`array.init_data`."""
    elements = _range(array, index, length)
    assert array is not None
    size = length * _element_size(array.type)
    if offset + size > len(data):
        raise traps.data_access(offset, size, len(data))
    elements[index : index + length] = _decoded(array.type, data[offset : offset + size])


def array_init_elem(segment: list[Any], array: Array | None, index: int, offset: int, length: int) -> None:
    """`array.init_elem`."""
    elements = _range(array, index, length)
    if offset + length > len(segment):
        raise traps.element_access(offset, length, len(segment))
    elements[index : index + length] = segment[offset : offset + length]


# ---------------------------------------------------------------------------------------------------- tables


def table_get(elements: list[Any], index: int) -> Any:
    """`table.get`."""
    if index >= len(elements):
        raise traps.table_access(index, 1, len(elements))
    return elements[index]


def table_set(elements: list[Any], index: int, value: Any) -> None:
    """`table.set`."""
    if index >= len(elements):
        raise traps.table_access(index, 1, len(elements))
    elements[index] = value


def table_grow(table: Table, value: Any, delta: int) -> int:
    """`table.grow`."""
    return table.extend(delta, value)


def table_fill(elements: list[Any], index: int, value: Any, length: int) -> None:
    """`table.fill`."""
    if index + length > len(elements):
        raise traps.table_access(index, length, len(elements))
    elements[index : index + length] = [value] * length


def table_copy(to: list[Any], of: list[Any], target: int, source: int, length: int) -> None:
    """`table.copy`; the ranges may overlap."""
    if source + length > len(of):
        raise traps.table_access(source, length, len(of))
    if target + length > len(to):
        raise traps.table_access(target, length, len(to))
    to[target : target + length] = of[source : source + length]


def table_init(elements: list[Any], segment: list[Any], target: int, source: int, length: int) -> None:
    """`table.init`."""
    if source + length > len(segment):
        raise traps.element_access(source, length, len(segment))
    if target + length > len(elements):
        raise traps.table_access(target, length, len(elements))
    elements[target : target + length] = segment[source : source + length]


HEAP_HELPERS: Final[dict[str, Any]] = {
    "Struct": Struct,
    "Array": Array,
    "I31": I31,
    "ExceptionPackage": ExceptionPackage,
    "null": null,
    "same_reference": same_reference,
    "cast_failure": cast_failure,
    "array_elements": array_elements,
    "array_new_data": array_new_data,
    "array_new_elem": array_new_elem,
    "array_fill": array_fill,
    "array_copy": array_copy,
    "array_init_data": array_init_data,
    "array_init_elem": array_init_elem,
    "table_get": table_get,
    "table_set": table_set,
    "table_grow": table_grow,
    "table_fill": table_fill,
    "table_copy": table_copy,
    "table_init": table_init,
}
"""What generated code calls of these."""
