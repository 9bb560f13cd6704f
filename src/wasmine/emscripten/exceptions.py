"""C++ exceptions of modules that leave them to the host: what `-fexceptions` without WebAssembly's own exceptions imports.

A thrown object lies in the guest's memory, behind a header that the guest's `__cxa_allocate_exception` made; the host fills
it in, and remembers which exceptions are being caught. Whether a type catches another is for the guest to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmine.emscripten.invoke import SET_THREW, CppException, require
from wasmine.emscripten.pointers import MASK, read, write
from wasmine.errors import Trap, TrapKind
from wasmine.format.types import I32, FuncType

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.runtime.host import Caller
    from wasmine.runtime.memory import Memory
    from wasmine.runtime.module import Module

# The header, as offsets from the object: Emscripten's `struct __cxa_exception`.
_TYPE = 4 - 24
_DESTRUCTOR = 8 - 24
_CAUGHT = 12 - 24
_RETHROWN = 13 - 24
_ADJUSTED = 16 - 24

_MOST_CAUGHT = 10_000  # a guest must not fill the host's memory; each takes a call of the guest's

# What the guest exports for them.
_CAN_CATCH = "__cxa_can_catch", FuncType((I32, I32, I32), (I32,))
_GET_POINTER = "__cxa_get_exception_ptr", FuncType((I32,), (I32,))
_INCREMENT = "__cxa_increment_exception_refcount", FuncType((I32,), ())
_DECREMENT = "__cxa_decrement_exception_refcount", FuncType((I32,), ())
_SET_TEMPORARY = "_emscripten_tempret_set", "setTempRet0"  # today's name, and an older one
_FIND = "__cxa_find_matching_catch_"  # and the number of types, plus 2


class CppExceptions:
    """The exceptions of one guest: which was thrown last, and those that are being caught, the innermost last."""

    def __init__(self, module: Module, set_temporary: Callable[[int], None]) -> None:
        self._module = module
        self._set_own_temporary = set_temporary
        self._last = 0
        self._caught: list[int] = []
        self._uncaught = 0

    def function(self, name: str) -> Callable[..., Any] | None:
        """The host function for an import; None if it is not one of these. LinkError if the guest lacks what it needs."""
        if name.startswith(_FIND):
            self._require_temporary()
            body, needed = self.find_matching_catch, [_CAN_CATCH] if name != _FIND + "2" else []
        elif name in _FUNCTIONS:
            body, needed = getattr(self, _FUNCTIONS[name][0]), _FUNCTIONS[name][1]
        else:
            return None
        for export in needed:
            require(self._module, *export)
        return body

    def throw(self, caller: Caller, pointer: int, type: int, destructor: int) -> None:
        memory = caller.memory
        _put(memory, pointer + _ADJUSTED, 0)
        _put(memory, pointer + _TYPE, type)
        _put(memory, pointer + _DESTRUCTOR, destructor)
        self._uncaught += 1
        self._raise(pointer)

    def _raise(self, pointer: int) -> None:
        self._last = pointer & MASK
        raise CppException(self._last)

    def resume(self, pointer: int) -> None:
        """Go on unwinding after a cleanup."""
        self._raise(self._last or pointer)

    def find_matching_catch(self, caller: Caller, *types: int) -> int:
        """The exception on its way; the type of the clause that catches it is the second result."""
        pointer, memory = self._last, caller.memory
        if not pointer:
            self._set_temporary(caller, 0)
            return 0
        _put(memory, pointer + _ADJUSTED, pointer)
        thrown = _get(memory, pointer + _TYPE)
        found = thrown
        for type in types if thrown else ():
            caught = type & MASK
            if caught in (0, thrown):
                break
            if caller.exports[_CAN_CATCH[0]](caught, thrown, pointer + _ADJUSTED):
                found = caught
                break
        self._set_temporary(caller, found)
        return pointer

    def _set_temporary(self, caller: Caller, value: int) -> None:
        """Give a second result: the guest keeps it, or asks for it with `getTempRet0`."""
        for name in _SET_TEMPORARY:
            if name in caller.exports:
                caller.exports[name](value)
                return
        self._set_own_temporary(value)

    def _require_temporary(self) -> None:
        offered = [name for name in _SET_TEMPORARY if name in self._module.exports]
        if offered:
            require(self._module, offered[0], FuncType((I32,), ()))
        elif all(entry.name != "getTempRet0" for entry in self._module.imports):
            require(self._module, _SET_TEMPORARY[0], FuncType((I32,), ()))

    def type_id(self, type: int) -> int:
        return type

    def begin_catch(self, caller: Caller, pointer: int) -> int:
        memory = caller.memory
        if not read(memory, pointer + _CAUGHT, 1)[0]:
            write(memory, pointer + _CAUGHT, b"\1")
            self._uncaught -= 1
        write(memory, pointer + _RETHROWN, b"\0")
        self._push(pointer)
        caller.exports[_INCREMENT[0]](pointer)
        adjusted: int = caller.exports[_GET_POINTER[0]](pointer)
        return adjusted

    def end_catch(self, caller: Caller) -> None:
        caller.exports[SET_THREW[0]](0, 0)
        pointer = self._innermost()
        self._caught.pop()
        caller.exports[_DECREMENT[0]](pointer)
        self._last = 0

    def rethrow(self, caller: Caller) -> None:
        pointer = self._innermost()
        memory = caller.memory
        if read(memory, pointer + _RETHROWN, 1)[0]:
            self._caught.pop()
        else:
            write(memory, pointer + _RETHROWN, b"\1")
            write(memory, pointer + _CAUGHT, b"\0")
            self._uncaught += 1
        self._raise(pointer)

    def _push(self, pointer: int) -> None:
        if len(self._caught) == _MOST_CAUGHT:
            raise Trap(TrapKind.HOST, f"more than {_MOST_CAUGHT} C++ exceptions are being caught at once")
        self._caught.append(pointer)

    def _innermost(self) -> int:
        if not self._caught:
            raise Trap(TrapKind.HOST, "no C++ exception is being caught")
        return self._caught[-1]

    def uncaught(self) -> int:
        return self._uncaught

    def current(self, caller: Caller) -> int:
        """For `std::current_exception`."""
        if not self._caught:
            return 0
        caller.exports[_INCREMENT[0]](self._caught[-1])
        return self._caught[-1]

    def current_type(self, caller: Caller) -> int:
        return _get(caller.memory, self._caught[-1] + _TYPE) if self._caught else 0

    def rethrow_given(self, caller: Caller, pointer: int) -> None:
        """For `std::rethrow_exception`."""
        if pointer:
            self._push(pointer)
            write(caller.memory, pointer + _RETHROWN, b"\1")
            self.rethrow(caller)


def _get(memory: Memory, address: int) -> int:
    return int.from_bytes(read(memory, address, 4), "little")


def _put(memory: Memory, address: int, value: int) -> None:
    write(memory, address, (value & MASK).to_bytes(4, "little"))


# By import: the method, and what it needs of the guest.
_FUNCTIONS: dict[str, tuple[str, list[tuple[str, FuncType]]]] = {
    "__cxa_begin_catch": ("begin_catch", [_INCREMENT, _GET_POINTER]),
    "__cxa_current_exception_type": ("current_type", []),
    "__cxa_current_primary_exception": ("current", [_INCREMENT]),
    "__cxa_end_catch": ("end_catch", [_DECREMENT, SET_THREW]),
    "__cxa_rethrow": ("rethrow", []),
    "__cxa_rethrow_primary_exception": ("rethrow_given", []),
    "__cxa_throw": ("throw", []),
    "__cxa_uncaught_exceptions": ("uncaught", []),
    "__resumeException": ("resume", []),
    "llvm_eh_typeid_for": ("type_id", []),
}
