"""Validation of the type section: recursive groups are closed one after another, declared subtypes must be subtypes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.format.types import ArrayType, FuncType, RefType, StructType, composite_matches, define
from wasmine.validation import closing
from wasmine.validation.faults import Invalid, require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmine.format.types import CompositeType, RecGroup, StorageType, SubType
    from wasmine.validation.context import Context

# Limits that browsers have too (the JavaScript API's appendix "Implementation-defined Limits").
MAX_PARAMS: Final = 1_000
MAX_RESULTS: Final = 1_000
MAX_FIELDS: Final = 10_000
MAX_DEPTH: Final = 63


def close_group(context: Context, group: RecGroup) -> None:
    """Check a recursive group and append its closed types to the context's."""
    start = len(context.types)
    end = start + len(group)
    if len(group) != 1:
        require(context.features, "gc", f"a recursive group of {len(group)} types")
    depths: list[int] = []
    for position, sub in enumerate(group):
        _check_form(context, sub, start + position, start, end)
        depths.append(_depth(context, sub, depths))
    context.types += define(group, context.types)
    for position, sub in enumerate(group):
        for supertype in sub.supertypes:
            _check_subtype(context, start + position, supertype)


def _check_form(context: Context, sub: SubType, index: int, start: int, end: int) -> None:
    """Check what can be said of one type before its group is closed; types `start` to `end` are the group's own."""
    if not sub.final or sub.supertypes:
        require(context.features, "gc", f"type {index}, which is open or has a supertype")
    if len(sub.supertypes) > 1:
        raise Invalid(f"sub type: type {index} has {len(sub.supertypes)} supertypes, at most one is allowed")
    for supertype in sub.supertypes:
        if supertype >= index:
            raise Invalid(f"unknown type {supertype}: the supertype of type {index} must come before it")
    _check_size(context, sub.composite, index)
    for storage in _storages(sub.composite):
        if isinstance(storage, RefType) and isinstance(storage.heap, int):
            _check_reference(context, storage.heap, index, start, end)
        else:
            closing.storage(context, storage)


def _depth(context: Context, sub: SubType, depths: list[int]) -> int:
    """How many supertypes lie above; `depths` are those of the group's types before."""
    start = len(context.types)
    above = [depths[i - start] if i >= start else context.types[i].depth for i in sub.supertypes]
    depth = 1 + above[0] if above else 0
    if depth > MAX_DEPTH:
        raise Invalid(f"sub type: type {start + len(depths)} has {depth} supertypes, at most {MAX_DEPTH} are supported")
    return depth


def _check_reference(context: Context, heap: int, index: int, start: int, end: int) -> None:
    require(context.features, "function_references", f"type {index}, which has a reference to type {heap}")
    if heap >= end:
        raise Invalid(f"unknown type {heap}: type {index} may name types below {end}")
    if heap >= start:
        require(context.features, "gc", f"type {index}, which is recursive")


def _check_size(context: Context, composite: CompositeType, index: int) -> None:
    match composite:
        case FuncType(params, results):
            if len(results) > 1:
                require(context.features, "multi_value", f"type {index}, which has {len(results)} results")
            _limit(index, "parameters", len(params), MAX_PARAMS)
            _limit(index, "results", len(results), MAX_RESULTS)
        case StructType(fields):
            require(context.features, "gc", f"type {index}, a struct")
            _limit(index, "fields", len(fields), MAX_FIELDS)
        case ArrayType():
            require(context.features, "gc", f"type {index}, an array")


def _limit(index: int, what: str, count: int, limit: int) -> None:
    if count > limit:
        raise Invalid(f"type {index} has {count} {what}, at most {limit} are supported")


def _storages(composite: CompositeType) -> Iterator[StorageType]:
    match composite:
        case FuncType(params, results):
            yield from params
            yield from results
        case StructType(fields):
            yield from (field.storage for field in fields)
        case ArrayType(field):
            yield field.storage


def _check_subtype(context: Context, index: int, supertype: int) -> None:
    type_, above = context.types[index], context.types[supertype]
    if above.final:
        raise Invalid(f"sub type: type {index} extends type {supertype}, which is final")
    if not composite_matches(type_.composite, above.composite):
        raise Invalid(f"sub type: type {index}, {type_}, does not match its supertype {supertype}, {above}")
