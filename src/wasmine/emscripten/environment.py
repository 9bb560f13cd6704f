"""The functions of Emscripten's `env` that are not system calls: the heap, the clocks, the end, time zones, messages."""

from __future__ import annotations

import calendar
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wasmine.emscripten.exceptions import CppExceptions
from wasmine.emscripten.invoke import SET_THREW, Longjmp, invoke, require, stack_functions
from wasmine.emscripten.pointers import MASK, read, text, write
from wasmine.emscripten.syscalls import SYSCALLS, Syscalls
from wasmine.errors import Exit, LinkError, Trap, TrapKind
from wasmine.format.types import I64, FuncType
from wasmine.wasi.clocks import Clock, SystemClock
from wasmine.wasi.errno import Errno, WasiError
from wasmine.wasi.random import system_random

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.runtime.host import Caller
    from wasmine.runtime.module import Module
    from wasmine.wasi.system import WASI

_PAGE = 65_536
_MILLISECOND = 1_000_000  # in nanoseconds
_MOST_AHEAD = 96 << 20  # bytes: how much more than asked for a heap may grow at once, Emscripten's own figure
_LARGEST_YEAR = 9999  # of Python's calendar


class Environment:
    """The host functions for one instance of `module`, and what they have to remember."""

    def __init__(self, module: Module, wasi: WASI | None) -> None:
        self._module = module
        self._clock: Clock = SystemClock() if wasi is None else wasi.clock
        self._random = system_random if wasi is None else wasi.random
        self._wasi = wasi
        self._syscalls = Syscalls(wasi)
        self._exceptions = CppExceptions(module, self.set_temporary)
        self._temporary = 0  # the upper half of a 64-bit result, in modules that return it apart

    def functions(self) -> dict[str, Callable[..., Any]]:
        """By name, what the module imports from `env` and is known here."""
        found: dict[str, Callable[..., Any]] = {}
        for entry in self._module.imports:
            if entry.module == "env" and isinstance(entry.type, FuncType):
                try:
                    function = self._function(entry.name, entry.type)
                except LinkError as error:
                    raise LinkError(f"env.{entry.name}: {error}") from None
                if function is not None:
                    found[entry.name] = function
        return found

    def _function(self, name: str, type: FuncType) -> Callable[..., Any] | None:
        """The host function for an import; None if the name is not known. LinkError if the type cannot be Emscripten's."""
        if name.startswith("invoke_"):
            return invoke(type, *stack_functions(self._module))
        if name in SYSCALLS or name.startswith("__syscall_"):
            return self._syscalls.function(name, type)
        exception = self._exceptions.function(name)
        if exception is not None:
            return exception
        make = FUNCTIONS.get(name)
        if make is None:
            return None
        if len(type.results) > 1:
            raise LinkError(f"it has at most one result; expected {type}")
        if name == "emscripten_longjmp":
            require(self._module, *SET_THREW)
        return make(self, type)

    # ------------------------------------------------------------------------------------------------ jumps, the end

    def throw_longjmp(self) -> None:
        raise Longjmp

    def longjmp(self, caller: Caller, buffer: int, value: int) -> None:
        caller.exports.setThrew(buffer, value or 1)
        raise Longjmp

    def abort(self) -> None:
        raise Trap(TrapKind.HOST, "the guest called abort()")

    def assert_fail(self, caller: Caller, condition: int, file: int, line: int, function: int) -> None:
        condition_text, file_name, name = (text(caller.memory, each) for each in (condition, file, function))
        raise Trap(TrapKind.HOST, f"assertion failed: {condition_text}, at {file_name}:{line} in {name}()")

    def exit(self, code: int) -> None:
        raise Exit(code & MASK)

    def set_temporary(self, value: int) -> None:
        self._temporary = value

    def get_temporary(self) -> int:
        return self._temporary

    # ----------------------------------------------------------------------------------------------------- the heap

    def notify_memory_growth(self, memory: int) -> None:
        """JavaScript would renew its views here; ours are made anew for each call."""

    def resize_heap(self, caller: Caller, wanted: int) -> int:
        """Grow the memory to `wanted` bytes, with a fifth to spare if that can be had. 1, or 0 if it cannot grow."""
        memory = caller.memory
        wanted &= MASK
        old = memory.byte_length
        spare = old + min(old // 5, _MOST_AHEAD)
        for target in (max(wanted, spare), wanted):
            pages = -(-target // _PAGE)
            if pages <= memory.size:
                return 1
            if pages <= memory.maximum and memory.extend(pages - memory.size) >= 0:
                return 1
        return 0

    def heap_max(self, caller: Caller) -> int:
        return min(caller.memory.maximum * _PAGE, MASK)

    # --------------------------------------------------------------------------------------------- clocks, randomness

    def date_now(self) -> float:
        return self._clock.realtime() / _MILLISECOND

    def now(self) -> float:
        return self._clock.monotonic() / _MILLISECOND

    def now_resolution(self) -> float:
        return self._clock.monotonic_resolution() / _MILLISECOND

    def now_is_monotonic(self) -> int:
        return 1

    def getentropy(self, caller: Caller, buffer: int, size: int) -> int:
        size &= MASK
        if size > 256:  # as POSIX has it
            return -1
        write(caller.memory, buffer, self._random(size))
        return 0

    # -------------------------------------------------------------------------------------------------- the calendar

    def tzset(self, caller: Caller, timezone: int, daylight: int, *names: int) -> None:
        """The guest's time zone is UTC: that of the host is nobody's business."""
        write(caller.memory, timezone, bytes(4))
        write(caller.memory, daylight, bytes(4))
        if len(names) == 2:  # buffers of the guest; older modules have an array of pointers, which stays as it is
            for name in names:
                write(caller.memory, name, b"UTC\0")

    # ---------------------------------------------------------------------------------------------------- messages

    def message(self, fd: int) -> Callable[..., None]:
        """A function that writes the text at an address, and a line end, to a standard stream."""

        def message(caller: Caller, address: int) -> None:
            line = text(caller.memory, address).encode() + b"\n"
            if self._wasi is not None:
                with suppress(WasiError, OSError):  # a guest may have closed it; there is nobody to tell
                    self._wasi.descriptors.get(fd).write([memoryview(line)])

        return message


def _memcpy(environment: Environment, type: FuncType) -> Callable[..., Any]:
    """Copying of large blocks. Old modules want the target's address back."""

    def copy(caller: Caller, target: int, source: int, size: int) -> Any:
        write(caller.memory, target, read(caller.memory, source, size))
        return target if type.results else None

    return copy


def _broken_down(environment: Environment, type: FuncType) -> Callable[..., Any]:
    """localtime and gmtime, both UTC. New modules pass the time itself, older ones its address."""
    by_value = type.params[:1] == (I64,)

    def convert(caller: Caller, moment: int, result: int) -> Any:
        memory = caller.memory
        if not by_value:
            moment = int.from_bytes(read(memory, moment, 8), "little", signed=True)
        try:
            parts = time.gmtime(moment)
        except (OverflowError, OSError, ValueError):
            return -Errno.OVERFLOW.value if type.results else None
        fields = (
            *(parts.tm_sec, parts.tm_min, parts.tm_hour, parts.tm_mday, parts.tm_mon - 1, parts.tm_year - 1900),
            *((parts.tm_wday + 1) % 7, parts.tm_yday - 1, 0, 0),
        )
        write(memory, result, b"".join(field.to_bytes(4, "little", signed=True) for field in fields))
        return 0 if type.results else None

    return convert


def _combined(environment: Environment, type: FuncType) -> Callable[..., Any]:
    """mktime and timegm: the time that a broken-down one means, which is normalised. -1 if Python's calendar lacks it."""

    latest = (1 << 63 if type.results == (I64,) else 1 << 31) - 1

    def convert(caller: Caller, parts: int) -> int:
        data = read(caller.memory, parts, 24)
        second, minute, hour, day, month, year = (
            int.from_bytes(data[at : at + 4], "little", signed=True) for at in range(0, 24, 4)
        )
        year, month = year + 1900 + month // 12, month % 12
        if not 1 <= year <= _LARGEST_YEAR:
            return -1
        moment = calendar.timegm((year, month + 1, 1, 0, 0, 0)) + (day - 1) * 86_400
        moment += hour * 3600 + minute * 60 + second
        if moment > latest:
            return -1
        write_back(caller, moment, parts)
        return moment

    write_back = _broken_down(environment, FuncType((I64,), ()))
    return convert


def _method(name: str) -> Callable[[Environment, FuncType], Callable[..., Any]]:
    return lambda environment, _: getattr(environment, name)


def _message(fd: int) -> Callable[[Environment, FuncType], Callable[..., Any]]:
    return lambda environment, _: environment.message(fd)


# What makes the host function of each import, from the environment and the import's type. Two names for one: old and new.
FUNCTIONS: dict[str, Callable[[Environment, FuncType], Callable[..., Any]]] = {
    "__assert_fail": _method("assert_fail"),
    "_abort_js": _method("abort"),
    "_emscripten_get_now_is_monotonic": _method("now_is_monotonic"),
    "_emscripten_memcpy_js": _memcpy,
    "_emscripten_throw_longjmp": _method("throw_longjmp"),
    "_gmtime_js": _broken_down,
    "_localtime_js": _broken_down,
    "_mktime_js": _combined,
    "_timegm_js": _combined,
    "_tzset_js": _method("tzset"),
    "abort": _method("abort"),
    "emscripten_console_error": _message(2),
    "emscripten_console_log": _message(1),
    "emscripten_console_warn": _message(2),
    "emscripten_date_now": _method("date_now"),
    "emscripten_err": _message(2),
    "emscripten_get_heap_max": _method("heap_max"),
    "emscripten_get_now": _method("now"),
    "emscripten_get_now_res": _method("now_resolution"),
    "emscripten_longjmp": _method("longjmp"),
    "emscripten_memcpy_big": _memcpy,
    "emscripten_memcpy_js": _memcpy,
    "emscripten_notify_memory_growth": _method("notify_memory_growth"),
    "emscripten_out": _message(1),
    "emscripten_resize_heap": _method("resize_heap"),
    "exit": _method("exit"),
    "getTempRet0": _method("get_temporary"),
    "getentropy": _method("getentropy"),
    "setTempRet0": _method("set_temporary"),
}
