"""Python's recursion limit, which is higher than usual while a thread runs wasm: `limit`.

On CPython it counts frames, and calls between Python functions use no C stack: at least `WASM_FRAMES` can lie above those
of the host. On PyPy it says how much of the native stack Python code may use, which wasm code uses too.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Final

from wasmine.runtime.gil import FREE_THREADED

WASM_FRAMES: Final = 10_000
"""How many frames of generated code may lie on the stack, at least."""

PYPY: Final = sys.implementation.name == "pypy"

_PYPY_UNIT: Final = 768
"""How many bytes of native stack PyPy's recursion limit grants for each of its units."""
_PYPY_MOST: Final = 8 << 20
"""PyPy 8 grants no thread more than three quarters of what the main thread may have, which usually is this."""


def room(size: int) -> int:
    """How many bytes of a native stack of this size PyPy's Python code can use, while wasm runs."""
    return min(size, _PYPY_MOST) // 4 * 3


class _Room(threading.local):
    """How high Python's recursion limit may be on this thread, once known (PyPy)."""

    limit = 0


class _RecursionLimit:
    """Raises Python's recursion limit while anything runs; it is one for the whole process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler that runs while it is held may call wasm
        self._users = 0
        self._usual = 0
        self._raised = 0

        if hasattr(os, "register_at_fork"):
            lock = self._lock
            os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)

    def acquire(self) -> None:
        with self._lock:
            if not self._users:
                self._usual = sys.getrecursionlimit()
                self._set(_highest(self._usual))
            elif PYPY and (highest := _highest(self._usual)) < self._raised == sys.getrecursionlimit():
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


def _highest(usual: int) -> int:
    """Python's recursion limit for code that the calling thread runs; `usual` is what it is otherwise."""
    if not PYPY:
        return usual + WASM_FRAMES
    if not _room.limit:
        from wasmine.runtime import native_stack

        try:
            size = native_stack.bounds()[1]
        except (ImportError, OSError):
            size = 0
        _room.limit = room(size) // _PYPY_UNIT
    return max(usual, _room.limit)


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


_room: Final = _Room()
limit: Final = _RaisedLimit() if FREE_THREADED else _RecursionLimit()
"""`acquire` before a thread runs wasm, `release` afterwards."""
