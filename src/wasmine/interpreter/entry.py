"""The way from Python into generated code: how deep calls may go, and what errors of generated code mean.

Generated functions are Python functions, so Python's own recursion limit is what ends a runaway recursion. While any
thread runs wasm, the limit is higher than it was (`runtime.recursion`). On CPython an entry from Python uses C stack,
which the limit does not count, so their nesting is bounded too.

An instance is entered by one thread at a time.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from wasmine.errors import Trap, TrapKind
from wasmine.runtime.lock import lock
from wasmine.runtime.recursion import limit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wasmine.interpreter.code import InstanceCode

MAX_ENTRIES: Final = 200
"""How often wasm may call Python which calls wasm again, on one thread."""


class _Entries(threading.local):
    """The number of entries on this thread's stack."""

    depth = 0


_entries: Final = _Entries()


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
        limit.acquire()
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
            limit.release()
