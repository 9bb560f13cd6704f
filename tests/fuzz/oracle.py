"""PyPI's `wasmtime` as a subject of comparison.

Values pass through the C API itself: the Python classes know neither vectors nor references of garbage collection.
"""

from __future__ import annotations

import ctypes
from ctypes import byref
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import wasmtime
from oracle_host import HostFunctions
from session import Argument, Call, Outcome, Session
from wasmtime import TrapCode
from wasmtime import _bindings as api

from wasmine.errors import TrapKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ENDINGS: Final = {
    TrapCode.STACK_OVERFLOW: TrapKind.STACK_OVERFLOW,
    TrapCode.MEMORY_OUT_OF_BOUNDS: TrapKind.MEMORY_OUT_OF_BOUNDS,
    TrapCode.HEAP_MISALIGNED: TrapKind.UNALIGNED_ATOMIC,
    TrapCode.TABLE_OUT_OF_BOUNDS: TrapKind.TABLE_OUT_OF_BOUNDS,
    TrapCode.INDIRECT_CALL_TO_NULL: TrapKind.UNINITIALIZED_ELEMENT,
    TrapCode.BAD_SIGNATURE: TrapKind.INDIRECT_CALL_TYPE_MISMATCH,
    TrapCode.INTEGER_OVERFLOW: TrapKind.INTEGER_OVERFLOW,
    TrapCode.INTEGER_DIVISION_BY_ZERO: TrapKind.INTEGER_DIVIDE_BY_ZERO,
    TrapCode.BAD_CONVERSION_TO_INTEGER: TrapKind.INVALID_CONVERSION,
    TrapCode.UNREACHABLE: TrapKind.UNREACHABLE,
    TrapCode.ATOMIC_WAIT_NON_SHARED_MEMORY: TrapKind.EXPECTED_SHARED_MEMORY,
    TrapCode.NULL_REFERENCE: TrapKind.NULL_REFERENCE,
    TrapCode.ARRAY_OUT_OF_BOUNDS: TrapKind.ARRAY_OUT_OF_BOUNDS,
    TrapCode.ALLOCATION_TOO_LARGE: TrapKind.ALLOCATION_TOO_LARGE,
    TrapCode.CAST_FAILURE: TrapKind.CAST_FAILURE,
}

# The kinds of values of the C API (`wasmtime/val.h`), and where the union has them. A null reference has no store.
_FUNCREF, _EXTERNREF, _ANYREF, _EXNREF = 5, 6, 7, 8
_NUMBERS: Final = {0: "i32", 1: "i64", 2: "f32", 3: "f64", 4: "v128"}
_REFERENCES: Final = {_FUNCREF: "funcref", _EXTERNREF: "externref", _ANYREF: "anyref", _EXNREF: "exnref"}
_KINDS: Final = {
    **{name: kind for kind, name in _NUMBERS.items()},
    "null func": _FUNCREF,
    "null extern": _EXTERNREF,
    "null any": _ANYREF,
    "null exn": _EXNREF,
    "extern": _EXTERNREF,
    "i31": _ANYREF,
}
_NO_FINALIZER: Final = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))
_SIZES: Final = {"i32": 4, "i64": 8, "f32": 4, "f64": 8, "v128": 16}


class WasmtimeSubject:
    """Wasmtime with everything of WebAssembly 3.0 on."""

    name = "wasmtime"

    def __init__(self) -> None:
        config = wasmtime.Config()
        for feature in ("gc", "function_references", "exceptions", "tail_call", "memory64", "multi_memory", "threads"):
            setattr(config, f"wasm_{feature}", True)
        config.shared_memory = True
        config.parallel_compilation = False
        config.max_wasm_stack = 2 << 20  # for a thousand frames; as much as there may be
        config.memory_reservation = 1 << 22
        config.memory_guard_size = 1 << 16
        config.memory_reservation_for_growth = 0
        self.engine = wasmtime.Engine(config)

    def load(self, modules: Sequence[bytes | str]) -> WasmtimeModules:
        return WasmtimeModules(self.engine, [wasmtime.Module(self.engine, source) for source in modules])


class WasmtimeModules:
    """Modules compiled by wasmtime."""

    def __init__(self, engine: wasmtime.Engine, modules: list[wasmtime.Module]) -> None:
        self.engine = engine
        self.modules = modules
        # What imports ask for, and the kinds of values: once per module, for the binding is slow.
        self.imports = [[(wanted.module, wanted.name) for wanted in module.imports] for module in modules]

    def run(self, session: Session) -> list[Outcome]:
        return _Run(self).outcomes(session)


class _Run:
    """Instances in a store of their own."""

    def __init__(self, loaded: WasmtimeModules) -> None:
        self.loaded = loaded
        self.store = wasmtime.Store(loaded.engine)
        self.context = self.store._context()
        self.exports: list[dict[str, Any]] = []
        self.host = HostFunctions(self.store, self.exports)

    def outcomes(self, session: Session) -> list[Outcome]:
        outcomes = [self._outcome(self._instantiate)]
        if outcomes[0].ending == "returned":
            outcomes += [self._outcome(partial(self._call, call)) for call in session]
        return outcomes

    def _instantiate(self) -> tuple[str, ...]:
        members = dict(self.host.members)
        for position, (module, wanted) in enumerate(zip(self.loaded.modules, self.loaded.imports, strict=True)):
            instance = wasmtime.Instance(self.store, module, [members[names] for names in wanted])
            exports = dict(instance.exports(self.store))
            self.exports.append(exports)
            members |= {(f"m{position}", name): member for name, member in exports.items()}
        return ()

    def _outcome(self, run: Callable[[], tuple[str, ...]]) -> Outcome:
        try:
            ending, values = "returned", run()
        except wasmtime.Trap as trap:
            code = trap.trap_code
            if code is not None:
                kind = _ENDINGS.get(code)
                ending, values = kind.value if kind else code.name, ()
            else:
                ending, values = self._exception() or (_last_line(str(trap)), ())
        except wasmtime.WasmtimeError as error:
            # An exception of a start function too.
            ending, values = self._exception() or (_error_ending(str(error)), ())
        return Outcome(ending, values, tuple(self._state()))

    def _exception(self) -> tuple[str, tuple[str, ...]] | None:
        """The WebAssembly exception that ended a call, and its values."""
        exception = api.wasmtime_exnref()
        if not api.wasmtime_context_take_exception(self.context, byref(exception)):
            return None
        values = []
        for index in range(api.wasmtime_exnref_field_count(self.context, byref(exception))):
            value = api.wasmtime_val()
            _check(api.wasmtime_exnref_field(self.context, byref(exception), index, byref(value)))
            values.append(self._shown(value))
        return "exception", tuple(values)

    def _call(self, call: Call) -> tuple[str, ...]:
        function: wasmtime.Func = self.exports[call.module][call.export]
        type = function.type(self.store)
        arguments = (api.wasmtime_val * len(type.params))()
        for slot, argument in zip(arguments, call.arguments, strict=True):
            self._fill(slot, argument)
        returned = (api.wasmtime_val * len(type.results))()
        trap = ctypes.POINTER(api.wasm_trap_t)()
        pointers = arguments, len(arguments), returned, len(returned), byref(trap)
        _check(api.wasmtime_func_call(self.context, byref(function._func), *pointers))
        if trap:
            raise wasmtime.Trap._from_ptr(trap)
        return tuple(map(self._shown, returned))

    def _fill(self, slot: Any, argument: Argument) -> None:
        """Write an argument into a value of the C API, which is all zeros yet."""
        kind, number = argument
        slot.kind = _KINDS[kind]
        if kind in _SIZES:
            ctypes.memmove(byref(slot.of), number.to_bytes(_SIZES[kind], "little"), _SIZES[kind])
        elif kind == "i31":
            api.wasmtime_anyref_from_i31(self.context, number, byref(slot.of.anyref))
        elif kind == "extern":
            api.wasmtime_externref_new(self.context, number, _NO_FINALIZER, byref(slot.of.externref))

    def _shown(self, value: Any) -> str:
        """A value of the C API, as `ours.shown` has it."""
        number = _NUMBERS.get(int(value.kind))
        if number is not None:
            bits = int.from_bytes(ctypes.string_at(byref(value.of), _SIZES[number]), "little")
            return f"{number}:{bits:#x}"
        reference = _reference(value)
        if not reference.store_id:
            return "null"
        if value.kind == _ANYREF:
            small = ctypes.c_uint32()
            if api.wasmtime_anyref_i31_get_u(self.context, byref(reference), byref(small)):
                return f"i31:{small.value}"
        if value.kind == _EXTERNREF:
            data = api.wasmtime_externref_data(self.context, byref(reference))
            if data:
                return f"extern:{data}"
        return "ref"

    def _state(self) -> list[str]:
        """A line for each exported memory, table and global."""
        lines = []
        for position, exports in enumerate(self.exports):
            for name, member in exports.items():
                content = self._content(member)
                if content is not None:
                    lines.append(f"{position} {name!r} {content}")
        return lines

    def _content(self, member: Any) -> str | None:
        if isinstance(member, wasmtime.Memory):
            data = ctypes.string_at(member.data_ptr(self.store), member.data_len(self.store))
            return f"memory {member.size(self.store)} {sha256(data).hexdigest()}"
        if isinstance(member, wasmtime.SharedMemory):
            data = ctypes.string_at(member.data_ptr(), member.data_len())
            return f"memory {len(data) >> 16} {sha256(data).hexdigest()}"
        if isinstance(member, wasmtime.Table):
            return self._table(member)
        if isinstance(member, wasmtime.Global):
            value = api.wasmtime_val()
            api.wasmtime_global_get(self.context, byref(member._global), byref(value))
            return f"global {self._shown(value)}"
        return None

    def _table(self, table: wasmtime.Table) -> str:
        size = table.size(self.store)
        nulls = bytearray(size)
        value = api.wasmtime_val()
        for index in range(size):
            api.wasmtime_table_get(self.context, byref(table._table), index, byref(value))
            nulls[index] = not _reference(value).store_id
            api.wasmtime_val_unroot(byref(value))
        return f"table {size} {sha256(nulls).hexdigest()}"


def _reference(value: Any) -> Any:
    """The reference in a value of the C API."""
    return getattr(value.of, _REFERENCES[value.kind])


def _check(error: Any) -> None:
    if error:
        raise wasmtime.WasmtimeError._from_ptr(error)


def _last_line(message: str) -> str:
    return message.strip().splitlines()[-1].strip()


def _error_ending(message: str) -> str:
    """What an error that is no trap says about how a call or an instantiation ended."""
    if "allocat" in message or "GC heap out of memory" in message:
        return TrapKind.ALLOCATION_TOO_LARGE.value
    return _last_line(message)
