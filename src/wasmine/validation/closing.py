"""Closing the types of the syntax, with the checks: the type exists and its feature is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.format.types import V128, DefinedType, FuncType, Heap, Packed, RefType
from wasmine.validation.faults import Invalid, require

if TYPE_CHECKING:
    from wasmine.format.types import HeapType, StorageType, ValueType
    from wasmine.validation.context import Context

# The feature that brought an abstract heap type; garbage collection brought the rest.
_HEAP_FEATURES: Final = {
    Heap.FUNC: "reference_types",
    Heap.EXTERN: "reference_types",
    Heap.EXN: "exception_handling",
    Heap.NOEXN: "exception_handling",
}


def defined(context: Context, index: int) -> DefinedType:
    """The defined type `index`."""
    if index >= len(context.types):
        raise Invalid(f"unknown type {index}: the module has {len(context.types)}")
    return context.types[index]


def function_type(context: Context, index: int) -> FuncType:
    """The function type `index`."""
    composite = defined(context, index).composite
    if not isinstance(composite, FuncType):
        raise Invalid(f"unknown type: type {index} is no function type but {composite}")
    return composite


def heap(context: Context, type_: HeapType) -> HeapType:
    """The closed heap type."""
    if isinstance(type_, Heap):
        require(context.features, _HEAP_FEATURES.get(type_, "gc"), f"heap type {type_}")
        return type_
    if isinstance(type_, DefinedType):
        return type_
    require(context.features, "function_references", f"a reference to type {type_}")
    return defined(context, type_)


def ref(context: Context, type_: RefType) -> RefType:
    """The closed reference type."""
    if not type_.nullable:
        require(context.features, "function_references", f"type {type_}")
    return RefType(type_.nullable, heap(context, type_.heap))


def value(context: Context, type_: ValueType) -> ValueType:
    """The closed value type."""
    if isinstance(type_, RefType):
        return ref(context, type_)
    if type_ is V128:
        require(context.features, "simd", "type v128")
    return type_


def storage(context: Context, type_: StorageType) -> StorageType:
    """The closed storage type."""
    return type_ if isinstance(type_, Packed) else value(context, type_)
