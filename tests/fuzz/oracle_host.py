"""The host's functions in wasmtime, by its C API: those of the Python classes let no exception through."""

from __future__ import annotations

import ctypes
from ctypes import byref
from typing import TYPE_CHECKING, Any, Final

import wasmtime
from ours import NO_CALL, host_function
from wasmtime import _bindings as api

if TYPE_CHECKING:
    from collections.abc import Callable

    # Takes the context, arguments and results; an address of a trap, or 0.
    HostFunction = Callable[[Any, Any, Any], int]

_NO_FINALIZER: Final = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))
_I32: Final = 0


class HostFunctions:
    """What modules import from `host`, in one store. `exports` are those of the instances, once there are some."""

    def __init__(self, store: wasmtime.Store, exports: list[dict[str, Any]]) -> None:
        self.store = store
        self.exports = exports
        self._callbacks: list[Any] = []
        i32, funcref = wasmtime.ValType.i32, wasmtime.ValType.funcref
        mix = wasmtime.Func(store, wasmtime.FuncType([i32(), i32()], [i32()]), host_function)
        self.members: dict[tuple[str, str | None], Any] = {
            ("host", "mix"): mix,
            ("host", "apply"): self._function([funcref(), i32()], [i32()], self._apply),
            ("host", "grow"): self._function([i32()], [i32()], self._grow),
            ("host", "raise"): self._function([i32()], [], self._raise),
        }

    def _function(self, params: list[Any], results: list[Any], body: HostFunction) -> wasmtime.Func:
        def call(_: Any, caller: Any, arguments: Any, __: int, returned: Any, ___: int) -> int:
            return body(api.wasmtime_caller_context(caller), arguments, returned)

        callback = api.wasmtime_func_callback_t(call)
        self._callbacks.append(callback)
        raw = api.wasmtime_func_t()
        type = wasmtime.FuncType(params, results)
        api.wasmtime_func_new(self.store._context(), type.ptr(), callback, None, _NO_FINALIZER, byref(raw))
        return wasmtime.Func._from_raw(raw)

    def _apply(self, context: Any, arguments: Any, returned: Any) -> int:
        """Call a function that takes an i32 and gives one value, which is given on if it is an i32."""
        returned[0].kind, returned[0].of.i32 = _I32, NO_CALL
        function = arguments[0].of.funcref
        if not function.store_id:
            return 0
        argument = (api.wasmtime_val * 1)(arguments[1])
        trap = ctypes.POINTER(api.wasm_trap_t)()
        error = api.wasmtime_func_call(context, byref(function), argument, 1, returned, 1, byref(trap))
        if error:  # it has another type, which the classes could not tell: they know neither vectors nor exnref
            api.wasmtime_error_delete(error)
        if returned[0].kind != _I32:
            returned[0].kind, returned[0].of.i32 = _I32, NO_CALL
        return ctypes.cast(trap, ctypes.c_void_p).value or 0

    def _grow(self, context: Any, arguments: Any, returned: Any) -> int:
        """Grow the first memory or table of the first module by one. The size before, -1 if that cannot be."""
        kind = wasmtime.Table if arguments[0].of.i32 & 1 else wasmtime.Memory
        found = next((member for member in self.exports[0].values() if isinstance(member, kind)), None)
        before = ctypes.c_uint64(-1)
        if isinstance(found, wasmtime.Table):
            # The kind of its references, of which the new one is null.
            null, some = api.wasmtime_val(), api.wasmtime_val()
            api.wasmtime_table_get(context, byref(found._table), 0, byref(some))
            null.kind = some.kind
            api.wasmtime_val_unroot(byref(some))
            error = api.wasmtime_table_grow(context, byref(found._table), 1, byref(null), byref(before))
        elif found is not None:
            error = api.wasmtime_memory_grow(context, byref(found._memory), 1, byref(before))
        else:
            error = None
        if error:
            api.wasmtime_error_delete(error)
            before.value = -1
        returned[0].kind, returned[0].of.i32 = _I32, ctypes.c_int32(before.value).value
        return 0

    def _raise(self, context: Any, arguments: Any, _: Any) -> int:
        """Throw the first tag of the first module."""
        exception = api.wasmtime_exnref()
        payload = (api.wasmtime_val * 1)(arguments[0])
        tag = self.exports[0]["main-tag"]._tag
        error = api.wasmtime_exnref_new(context, byref(tag), payload, 1, byref(exception))
        if error:
            raise wasmtime.WasmtimeError._from_ptr(error)
        trap = api.wasmtime_context_set_exception(context, byref(exception))
        return ctypes.cast(trap, ctypes.c_void_p).value or 0
