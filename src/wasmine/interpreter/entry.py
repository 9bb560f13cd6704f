"""The way from Python into generated code: how deep calls may go, and what errors of generated code mean.

Generated functions are Python functions, so Python's own recursion limit is what ends a runaway recursion. While any
thread runs wasm, the limit is higher than it was. On CPython it counts frames, and calls between Python functions use no C
stack: at least `WASM_FRAMES` can lie above those of the host. An entry from Python does use C stack, so their nesting is
bounded too. On PyPy everything uses C stack, and the limit says how much: as much as the thread has.

An instance is entered by one thread at a time.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from wasmine.errors import Trap, TrapKind
from wasmine.runtime.gil import FREE_THREADED
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wasmine.interpreter.code import InstanceCode

WASM_FRAMES: Final = 10_000
"""How many frames of generated code may lie on the stack, at least."""
MAX_ENTRIES: Final = 200
"""How often wasm may call Python which calls wasm again, on one thread."""

_PYPY_UNIT: Final = 768
"""How many bytes of C stack PyPy's recursion limit grants for each of its units."""
_PYPY_MOST: Final = 16 << 20
"""How many bytes of C stack are used at most, where a thread's is larger or unlimited."""
_PYPY_RESERVE: Final = 512 << 10
"""How many bytes of a thread's C stack are left for what does not look at the limit."""


class _Entries(threading.local):
    """The number of entries on this thread's stack, and how high Python's recursion limit may be on it, once known."""

    depth = 0
    limit = 0


class _RecursionLimit:
    """Raises Python's recursion limit while anything runs; it is one for the whole process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._usual = 0
        self._raised = 0

    def acquire(self) -> None:
        with self._lock:
            if not self._users:
                self._usual = sys.getrecursionlimit()
                self._set(_highest(self._usual))
            elif _PYPY and (highest := _highest(self._usual)) < self._raised == sys.getrecursionlimit():
                self._set(highest)  # this thread has less room than those that run already
            self._users += 1

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            # The host may have set another limit meanwhile: then that one stays.
            if not self._users and sys.getrecursionlimit() == self._raised:
                sys.setrecursionlimit(self._usual)

    def _set(self, limit: int) -> None:
        sys.setrecursionlimit(limit)
        self._raised = limit


_PYPY: Final = sys.implementation.name == "pypy"


def _highest(usual: int) -> int:
    """Python's recursion limit for code that the calling thread runs; `usual` is what it is otherwise."""
    if not _PYPY:
        return usual + WASM_FRAMES
    if not _entries.limit:
        from wasmine.runtime import native_stack

        try:
            size = native_stack.bounds()[1]
        except (ImportError, OSError):
            size = 0
        _entries.limit = (min(size, _PYPY_MOST) - _PYPY_RESERVE) // _PYPY_UNIT
    return max(usual, _entries.limit)


class _RaisedLimit:
    """The same where threads run at the same time: they all stop for it to be set, so once raised it stays."""

    def __init__(self) -> None:
        self._raised = 0

    def acquire(self) -> None:
        limit = sys.getrecursionlimit()
        if limit != self._raised:  # the first time, or the host has set another
            self._raised = limit + WASM_FRAMES
            sys.setrecursionlimit(self._raised)

    def release(self) -> None:
        """It stays."""


_entries: Final = _Entries()
_limit: Final = _RaisedLimit() if FREE_THREADED else _RecursionLimit()


def enter(instance: InstanceCode | None, code: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call generated code from Python. Errors arrive as `Trap`, `WasmException` or what host functions raised.

    `instance` is the one whose code it is, None for host functions. WasmineError if another thread has entered it.
    """
    if instance is None:
        return _enter(code, arguments)
    thread = threading.get_ident()
    user = instance.user.setdefault("thread", thread)  # one step: it is the first thread's
    if user != thread:
        _wrest(instance, user, thread)
    outermost = not instance.entries
    instance.entries += 1
    try:
        return _enter(code, arguments)
    finally:
        instance.entries -= 1
        if outermost:
            del instance.user["thread"]


@contextmanager
def held(instance: InstanceCode) -> Iterator[None]:
    """Meanwhile no other thread enters the instance. WasmineError if one has entered it."""
    thread = threading.get_ident()
    user = instance.user.setdefault("thread", thread)
    if user != thread:
        _wrest(instance, user, thread)
    outermost = not instance.entries
    instance.entries += 1
    try:
        yield
    finally:
        instance.entries -= 1
        if outermost:
            del instance.user["thread"]


def _wrest(instance: InstanceCode, user: int, thread: int) -> None:
    """Take an instance from a thread that is no more, as after a fork. WasmineError if there is such a thread."""
    if user not in sys._current_frames():
        with lock:
            if instance.user.get("thread") == user:
                instance.user["thread"] = thread
                instance.entries = 0
                return
    raise instance.instance.in_use()


def _enter(code: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    entries = _entries
    depth = entries.depth
    if depth >= MAX_ENTRIES:
        raise Trap(TrapKind.STACK_OVERFLOW, f"wasm and Python called each other {MAX_ENTRIES} times")
    if not depth:
        _limit.acquire()
    entries.depth = depth + 1
    try:
        return code(*arguments)
    except Exception as error:
        from wasmine.interpreter.traps import translate

        translated = translate(error, outermost=not depth)
        if translated is error:
            raise
        raise translated.with_traceback(error.__traceback__) from None
    finally:
        entries.depth = depth
        if not depth:
            _limit.release()
