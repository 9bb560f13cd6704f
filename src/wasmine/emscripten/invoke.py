"""Calls that can be left early: `invoke_*`, and what leaves them (longjmp and C++ exceptions).

Code that WebAssembly's own exceptions do not serve calls through the host what may not return: `invoke_vii(f, a, b)` calls
entry f of the table. If a longjmp or a C++ exception comes out of it, the host puts the C stack back and calls the guest's
`setThrew(1, 0)`; the guest then looks whether it is the one that catches.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from wasmine.errors import LinkError, Trap, TrapKind, WasmineError
from wasmine.format.types import F32, F64, I32, I64, FuncType, Kind, func_type
from wasmine.runtime import traps
from wasmine.runtime.host import HostCallable
from wasmine.runtime.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.types import DefinedType, ValueType
    from wasmine.runtime.function import Function
    from wasmine.runtime.host import Caller
    from wasmine.runtime.module import Module

_MASK = 0xFFFF_FFFF

# The pairs of functions that read and set the C stack pointer: today's names, and those before 2024.
_STACK = (("emscripten_stack_get_current", "_emscripten_stack_restore"), ("stackSave", "stackRestore"))
SET_THREW = "setThrew", FuncType((I32, I32), ())
_TABLE = "__indirect_function_table"


class Longjmp(WasmineError):
    """The guest called longjmp. Python sees it only if the setjmp that it jumps to is no longer being called."""

    traced = False

    def __str__(self) -> str:
        return "the guest called longjmp, and no function that called setjmp was waiting for it"


class CppException(WasmineError):
    """The guest threw a C++ exception. `pointer` is the address of the object; Python sees it if nothing caught it."""

    traced = False

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer
        super().__init__(pointer)

    def __str__(self) -> str:
        return f"uncaught C++ exception (the object is at address {self.pointer:#x})"


def stack_functions(module: Module) -> tuple[str, str]:
    """The names of the exports that read and set the stack pointer. LinkError if they, or `setThrew`, are missing."""
    save, restore = next((pair for pair in _STACK if pair[0] in module.exports), _STACK[0])
    require(module, save, FuncType((), (I32,)))
    require(module, restore, FuncType((I32,), ()))
    require(module, *SET_THREW)
    return save, restore


def require(module: Module, name: str, type: FuncType) -> None:
    """LinkError if the module does not export a function of this name and type."""
    found = module.exports.get(name)
    if found is None:
        raise LinkError(f"{name} not exported: the host calls it when a longjmp or an exception ends a call")
    if found != type:
        raise LinkError(f"export {name}: expected function {type}, found {found}")


def invoke(type: FuncType, save: str, restore: str) -> Callable[..., Any]:
    """The host function for an import `invoke_*` of this type: an index of the table, then the entry's parameters."""
    if not type.params or type.params[0] is not I32:
        raise LinkError(f"expected the index of a function as first parameter, found {type}")
    expected = func_type(type.params[1:], type.results)
    nothing = _zeros(type)

    def call(caller: Caller, index: int, *arguments: Any) -> Any:
        exports = caller.exports
        entry = _called_by(caller, _entry(caller, index & _MASK, expected))
        stack = exports[save]()
        try:
            return entry(*arguments)
        except (Longjmp, CppException):
            exports[restore](stack)
            exports.setThrew(1, 0)
            return nothing
        except RecursionError as error:  # the guest calls itself through us, where no engine counts
            exports[restore](stack)
            raise Trap(TrapKind.STACK_OVERFLOW) from error
        except Exception:
            exports[restore](stack)
            raise

    return call


def _zeros(type: FuncType) -> Any:
    """What a function of this type returns that did not return: the guest does not look at it."""
    zeros: dict[ValueType, Any] = {I32: 0, I64: 0, F32: 0.0, F64: 0.0}
    values = tuple(zeros.get(result) for result in type.results)
    return values if len(values) > 1 else values[0] if values else None


def _entry(caller: Caller, index: int, expected: DefinedType) -> Function:
    """The function in the table, with the checks and the traps of `call_indirect`."""
    table = _table(caller)
    if index >= len(table):
        raise traps.table_access(index, 1, len(table))
    entry: Function | None = table[index]
    if entry is None:
        raise Trap(TrapKind.UNINITIALIZED_ELEMENT, f"element {index}")
    if not entry.defined.is_subtype_of(expected):
        raise traps.type_mismatch(entry, expected)
    return entry


def _called_by(caller: Caller, entry: Function) -> Callable[..., Any]:
    """The function as the guest itself would call it: the host's own functions are in tables too (`&__cxa_throw`), and
    they ask which instance calls."""
    host = getattr(entry, "host", None)
    if isinstance(host, HostCallable) and host.wants_caller:
        return partial(host.function, caller)
    return entry


def _table(caller: Caller) -> Table:
    exported = caller.exports.get(_TABLE)
    if isinstance(exported, Table):
        return exported
    if not caller.instance.tables:
        raise Trap(TrapKind.TABLE_OUT_OF_BOUNDS, "the module has no table")
    first: Table = caller.instance.member(Kind.TABLE, 0)
    return first
