"""Wasmine's engines as subjects of comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, cast
from zlib import crc32

from session import Argument, Call, Outcome, Session

import wasmine
from wasmine.errors import LinkError, OutOfFuel, SnapshotError, Trap, UnsupportedFeature, WasmException
from wasmine.format.types import F32, F64, I32, FuncType, Heap, NumberType, RefType, func_type
from wasmine.runtime.bits import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits
from wasmine.runtime.reference import I31
from wasmine.runtime.values import to_internal, to_python

if TYPE_CHECKING:
    from wasmine.format.types import ValueType

_FUNCREF: Final = RefType(True, Heap.FUNC)
HOST_TYPES: Final = {
    "mix": func_type((I32, I32), (I32,)),
    "apply": func_type((_FUNCREF, I32), (I32,)),
    "grow": func_type((I32,), (I32,)),
    "raise": func_type((I32,), ()),
}
# What `apply` returns where it cannot call.
NO_CALL: Final = -7


def host_function(first: int, second: int) -> int:
    """What modules import as `mix` from `host`."""
    mixed = (first * 31 + second) & 0xFFFF_FFFF
    return mixed - (mixed >> 31 << 32)


def _host(runtime: wasmine.Runtime, instances: list[wasmine.Instance]) -> dict[str, wasmine.Function]:
    """What modules import from `host`, as `oracle_host` has it."""

    def apply(function: wasmine.Function | None, argument: int) -> int:
        if function is None or function.type.params != (I32,) or len(function.type.results) != 1:
            return NO_CALL
        result: int = function(argument)
        return result if function.type.results == (I32,) else NO_CALL

    def grow(which: int) -> int:
        kind = wasmine.Table if which & 1 else wasmine.Memory
        found = next((member for member in instances[0].exports.values() if isinstance(member, kind)), None)
        try:
            return found.grow(1) if found is not None else -1
        except MemoryError:
            return -1

    def throw(number: int) -> None:
        raise WasmException(instances[0].exports["main-tag"], number)

    bodies = {"mix": host_function, "apply": apply, "grow": grow, "raise": throw}
    return {name: runtime.function(body, cast("FuncType", HOST_TYPES[name].composite)) for name, body in bodies.items()}


@dataclass(frozen=True)
class HostReference:
    """What an argument `("extern", number)` refers to."""

    number: int


_FROM_ARGUMENT: Final[dict[str, Callable[[int], Any]]] = {
    "f32": f32_from_bits,
    "f64": f64_from_bits,
    "i31": I31,
    "extern": HostReference,
}


def internal(argument: Argument) -> Any:
    """The internal value of an argument."""
    kind, number = argument
    return None if kind.startswith("null") else _FROM_ARGUMENT.get(kind, int)(number)


def shown(value: Any, type: ValueType) -> str:
    """An internal value of a closed type: every bit of a number, what can be compared of a reference."""
    if isinstance(type, NumberType):
        bits = f32_to_bits(value) if type is F32 else f64_to_bits(value) if type is F64 else value
        return f"{type}:{bits:#x}"
    if value is None:
        return "null"
    external = type.heap is Heap.EXTERN
    if external and isinstance(value, HostReference):
        return f"extern:{value.number}"
    return f"i31:{value.value}" if isinstance(value, I31) and not external else "ref"


# Ways of compiling that are for functions with many values at a time, by what `Compiler.compile` calls them.
CAUTION: Final = {"cautious": 1, "plain": 2}


@contextmanager
def _cautious(way: str) -> Iterator[None]:
    """Have all functions compiled in this way."""
    caution = CAUTION.get(way)
    if caution is None:
        yield
        return
    from wasmine.compiler.baseline.compiler import Compiler

    compile = Compiler.compile

    def cautious(self: Compiler, *arguments: Any, **options: Any) -> Any:
        return compile(self, *arguments[:-1], max(caution, arguments[-1]), **options)

    Compiler.compile = cautious  # type: ignore[method-assign]
    try:
        yield
    finally:
        Compiler.compile = compile  # type: ignore[method-assign]


class WasmineSubject:
    """An engine of Wasmine, by name.

    `compiler-checked` is the compiler with compared instead of guarded bounds, `compiler-cautious` without registers to
    spare, `compiler-plain` without fused instructions. With `-cached` the code is that of a cache, with `-cloned` every call is
    one of a clone, where there is one instance; `compiler-released` gives the GIL up for every call.

    With `fuel`, every instance has so much, and what is left of it belongs to the state.
    """

    def __init__(self, name: str, fuel: int | None = None) -> None:
        self.name = name
        self.fuel = fuel

    def load(self, modules: Sequence[bytes | str]) -> WasmineModules:
        return WasmineModules(self.name, modules, self.fuel)


class WasmineModules:
    """Modules to run with an engine."""

    def __init__(self, engine: str, sources: Sequence[bytes | str], fuel: int | None) -> None:
        self.engine = engine
        self.limits = wasmine.Limits(fuel=fuel)
        self.sources = sources
        self.modules = [wasmine.Module(source) for source in sources]

    def run(self, session: Session) -> list[Outcome]:
        engine, _, way = self.engine.partition("-")
        if way != "cached":
            with _cautious(way):
                return self._run(session, engine, way)
        with TemporaryDirectory() as cache:
            self._run(session, engine, way, cache)
            self.modules = [wasmine.Module(source) for source in self.sources]  # which know of no code yet
            return self._run(session, engine, way, cache)

    def _run(self, session: Session, engine: Any, way: str, cache: str | None = None) -> list[Outcome]:
        bounds: Any = "checked" if way == "checked" else "auto"
        gil: Any = "release" if way == "released" else "lazy"
        with wasmine.Runtime(engine, bounds=bounds, limits=self.limits, cache=cache, gil=gil) as runtime:
            instances: list[wasmine.Instance] = []
            try:
                host = _host(runtime, instances)
            except UnsupportedFeature as error:  # the engine itself
                return [Outcome("unsupported", (str(error),))]

            def instantiate() -> tuple[str, ...]:
                for position, module in enumerate(self.modules):
                    instances.append(runtime.instantiate(module, {"host": host}, f"m{position}"))
                return ()

            outcomes = [_outcome(instantiate, instances)]
            if outcomes[0].ending == "returned":
                for call in session:
                    if way == "cloned" and len(instances) == 1:
                        with suppress(SnapshotError):  # a shared memory cannot be cloned
                            instances[:] = [instances[0].clone()]
                    outcomes.append(_outcome(partial(_call, instances, call), instances))
            return outcomes


def _call(instances: list[wasmine.Instance], call: Call) -> tuple[str, ...]:
    """The results of a call: of every other export as Python calls it, of the others with internal values."""
    function: wasmine.Function = instances[call.module].exports[call.export]
    arguments = map(internal, call.arguments)
    types = function.type.results
    as_python = crc32(call.export.encode()) & 1
    result = function(*map(to_python, function.type.params, arguments)) if as_python else function.invoke(*arguments)
    results = (result,) if len(types) == 1 else result or ()
    return tuple(map(shown, map(to_internal, types, results) if as_python else results, types))


def _outcome(run: Callable[[], tuple[str, ...]], instances: list[wasmine.Instance]) -> Outcome:
    try:
        ending, values = "returned", run()
    except Trap as trap:
        ending, values = trap.kind.value, ()
    except OutOfFuel as error:
        ending, values = "out of fuel", (error.reason,)
    except WasmException as exception:
        types = exception.tag.type.params
        internals = map(to_internal, types, exception.values)
        ending, values = "exception", tuple(map(shown, internals, types))
    except LinkError as error:
        ending, values = "link error", (str(error),)
    except UnsupportedFeature as error:
        ending, values = "unsupported", (str(error),)
    except MemoryError:
        ending, values = "out of memory", ()
    except Exception as error:
        # Nothing else may ever come out: whatever does is a finding.
        ending, values = f"raised {type(error).__name__}", (str(error),)
    return Outcome(ending, values, tuple(_state(instances)))


def _state(instances: list[wasmine.Instance]) -> list[str]:
    """A line for each exported memory, table and global, and for the fuel."""
    lines = []
    for position, instance in enumerate(instances):
        if instance.fuel is not None:
            lines.append(f"{position} fuel {instance.fuel}")
        for name, member in instance.exports.items():
            content = _content(member)
            if content is not None:
                lines.append(f"{position} {name!r} {content}")
    return lines


def _content(member: Any) -> str | None:
    if isinstance(member, wasmine.Memory):
        return f"memory {member.size} {sha256(member.view()).hexdigest()}"
    if isinstance(member, wasmine.Table):
        nulls = bytes(member.get(index) is None for index in range(len(member)))
        return f"table {len(member)} {sha256(nulls).hexdigest()}"
    if isinstance(member, wasmine.Global):
        return f"global {shown(member.get(), member.type.value)}"
    return None


def parameter_types(module: wasmine.Module) -> dict[str, tuple[ValueType, ...]]:
    """The types of the parameters of each exported function."""
    return {name: type.params for name, type in module.exports.items() if isinstance(type, FuncType)}
