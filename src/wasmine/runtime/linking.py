"""Linking: finding what satisfies each import, and checking that it does.

A function is accepted if its own defined type is a subtype of the *importing* module's declaration. What goes into the
instance is the very `Function` object that was given, whose type is the one it was defined with; nothing is re-typed and
nobody looks into the providing module's index spaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from wasmine.errors import LinkError
from wasmine.format.types import FuncType, GlobalType, Kind, MemoryType, TableType, matches
from wasmine.runtime.function import Function
from wasmine.runtime.globals import Global
from wasmine.runtime.host import fit
from wasmine.runtime.instance import Imported, Instance
from wasmine.runtime.memory import Memory
from wasmine.runtime.module import import_kind
from wasmine.runtime.table import Table
from wasmine.runtime.tag import Tag
from wasmine.runtime.values import to_internal

if TYPE_CHECKING:
    from wasmine.format.types import DefinedType, Limits
    from wasmine.runtime.module import Module
    from wasmine.runtime.runtime import Runtime

_MISSING = object()


def resolve(runtime: Runtime, module: Module, imports: Mapping[str, Any]) -> Imported:
    """The imported members of each index space. LinkError names every import that is missing or does not fit."""
    found = Imported([], [], [], [], [])
    if not module.syntax.imports:
        return found
    problems = []
    for entry, declared in zip(module.syntax.imports, module.imports, strict=True):
        kind = import_kind(entry.type)
        given = _find(runtime, imports, entry.module, entry.name)
        space = found.space(kind)
        number = len(space)
        if given is _MISSING:
            problems.append(f"{entry.module}.{entry.name}: missing; expected {_describe(kind, declared.type)}")
            space.append(None)
            continue
        try:
            space.append(_accept(runtime, module, kind, number, given, f"{entry.module}.{entry.name}"))
        except LinkError as error:
            problems.append(f"{entry.module}.{entry.name}: {error}")
            space.append(None)
    if problems:
        count = f"{len(problems)} imports" if len(problems) > 1 else "1 import"
        raise LinkError(f"{count} of module {module.name!r} cannot be satisfied:\n  " + "\n  ".join(problems))
    return found


def _find(runtime: Runtime, imports: Mapping[str, Any], module: str, name: str) -> Any:
    provider = imports.get(module, _MISSING)
    if provider is not _MISSING:
        offered = members(provider, module)
        if name in offered:
            return offered[name]
    instance = runtime.instances.get(module)
    if instance is not None and name in instance.exports:
        return instance.exports[name]
    return _MISSING


def members(provider: Any, module: str) -> Mapping[str, Any]:
    """What `imports[module]` offers. TypeError if it is nothing that does."""
    if isinstance(provider, Instance):
        return provider.exports
    if isinstance(provider, Mapping):
        return provider
    raise TypeError(f"imports[{module!r}]: expected a mapping or an Instance, found {type(provider).__name__}")


def _describe(kind: Kind, type: Any) -> str:
    return f"{kind if kind is not Kind.FUNC else 'function'} {type}"


def _found(given: Any) -> str:
    if isinstance(given, Function):
        return f"function {given.defined}"
    if isinstance(given, Table):
        return f"table {_actual(given.type, len(given))}"
    if isinstance(given, Memory):
        return f"memory {_actual(given.type, given.size)}"
    if isinstance(given, Global):
        return f"global {given.type}"
    if isinstance(given, Tag):
        return f"tag {list(given.type.params)}"
    return f"a Python {type(given).__name__}"


def _actual(type: TableType | MemoryType, size: int) -> str:
    return f"{type}" if size == type.limits.minimum else f"{type} (now {size})"


def _mismatch(kind: Kind, expected: Any, given: Any) -> LinkError:
    return LinkError(f"incompatible import type: expected {_describe(kind, expected)}, found {_found(given)}")


def _accept(runtime: Runtime, module: Module, kind: Kind, number: int, given: Any, name: str) -> Any:
    """What goes into the instance for an import: `given` itself, or what is made of a plain Python value."""
    owner = getattr(given, "owner", None)
    if owner is not None and owner is not runtime.engine:
        raise LinkError("it belongs to another runtime: instances that share functions or memories need the same one")
    context = module.context
    match kind:
        case Kind.FUNC:
            return _function(runtime, context.functions[number], given, name)
        case Kind.TABLE:
            return _table(context.tables[number], given)
        case Kind.MEMORY:
            return _memory(context.memories[number], given)
        case Kind.GLOBAL:
            return _global(runtime, context.globals[number], given)
        case Kind.TAG:
            defined = context.tags[number]
            if not isinstance(given, Tag) or given.defined is not defined:
                raise _mismatch(kind, defined, given)
            return given


def _function(runtime: Runtime, expected: DefinedType, given: Any, name: str) -> Function:
    if isinstance(given, Function):
        if not given.defined.is_subtype_of(expected):
            raise _mismatch(Kind.FUNC, expected, given)
        return given
    if isinstance(given, Table | Memory | Global | Tag) or not callable(given):
        raise _mismatch(Kind.FUNC, expected, given)
    return runtime.engine.new_host_function(expected, fit(given, cast("FuncType", expected.composite), name))


def _limits_fit(size: int, maximum: int | None, expected: Limits) -> bool:
    """Whether something of this current size and declared maximum may be imported as `expected`."""
    return size >= expected.minimum and (
        expected.maximum is None or (maximum is not None and maximum <= expected.maximum)
    )


def _table(expected: TableType, given: Any) -> Table:
    if not isinstance(given, Table) or not (
        given.type.element is expected.element
        and given.type.address is expected.address
        and _limits_fit(len(given), given.type.limits.maximum, expected.limits)
    ):
        raise _mismatch(Kind.TABLE, expected, given)
    return given


def _memory(expected: MemoryType, given: Any) -> Memory:
    if not isinstance(given, Memory) or not (
        given.type.shared == expected.shared
        and given.type.address is expected.address
        and given.type.page_size_log2 == expected.page_size_log2
        and _limits_fit(given.size, given.type.limits.maximum, expected.limits)
    ):
        raise _mismatch(Kind.MEMORY, expected, given)
    return given


def _global(runtime: Runtime, expected: GlobalType, given: Any) -> Global:
    if isinstance(given, Global):
        same = given.type.value is expected.value
        if given.type.mutable != expected.mutable or not (
            same if expected.mutable else matches(given.type.value, expected.value)
        ):
            raise _mismatch(Kind.GLOBAL, expected, given)
        return given
    if expected.mutable or isinstance(given, Function | Table | Memory | Tag):
        raise _mismatch(Kind.GLOBAL, expected, given)
    # A plain Python value for an immutable global: what wasm could not tell from a global of its own.
    try:
        return runtime.engine.new_global(expected, to_internal(expected.value, given))
    except (TypeError, OverflowError, ValueError) as error:
        raise LinkError(f"{error}; expected {_describe(Kind.GLOBAL, expected)}") from None
