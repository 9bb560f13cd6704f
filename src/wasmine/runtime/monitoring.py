"""`Monitoring`: an exception raised in another thread, where threads run at the same time.

Where a thread is cannot be known there from outside: it goes on while one looks. And CPython raises an exception that is
sent to it anywhere, in the middle of our own code too. So each thread looks at itself: while somebody is wanted, CPython
calls a function of ours (`sys.monitoring`) when a Python function begins and when a loop goes round, in every thread, and
that one raises the exception if this is a thread that is wanted, at a place where it may get one.

Turning this on and off makes all threads stop for a moment, and is done once for each exception. It takes one of the six
numbers of tools that debuggers, coverage and profilers use.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_TOOLS: Final = (4, 3, 5, 2, 1, 0)
"""Numbers of tools, those first that nobody has a name for."""


PAUSE: Final = 0.05
"""Seconds that a thread has, at least, for what it does when the exception has come (`finally`) before it comes again."""


class Monitoring:
    """Raises `exception` in threads that are wanted, in frames of which `interruptible` says that it may be.

    Python 3.13 and later.
    """

    def __init__(self, exception: type[BaseException], interruptible: Callable[[FrameType], bool]) -> None:
        self._exception = exception
        self._interruptible = interruptible
        self._lock = threading.RLock()  # a signal handler that runs while it is held may have a time limit
        # The threads that are wanted, and until when not in what handles the exception; None until they were seen there.
        self._wanted: dict[int, float | None] = {}
        self._tool: int | None = None  # while it is on
        self._here = threading.get_ident  # its own names: it may be called when the process ends and modules are empty
        self._frame = sys._getframe
        self._handled = sys.exception
        self._now = time.monotonic

    def want(self, thread: int) -> None:
        """Raise the exception in a thread, once, as soon as it may be."""
        with self._lock:
            self._wanted.setdefault(thread, None)
            if self._tool is None:
                self._turn_on()

    def take_back(self, thread: int) -> None:
        """What was asked for and did not happen is not to happen any more. Called by the thread itself."""
        with self._lock:
            self._wanted.pop(thread, None)
            if self._tool is not None and not self._wanted:
                self._turn_off(self._tool)

    def forget_threads(self) -> None:
        """After a fork there is none but the one that calls this."""
        self._lock = threading.RLock()
        here = threading.get_ident()
        self._wanted = {thread: moment for thread, moment in self._wanted.items() if thread == here}

    def _turn_on(self) -> None:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]  # from 3.12 on
        for tool in _TOOLS:
            try:
                monitoring.use_tool_id(tool, "wasmine")
            except ValueError:  # somebody has it
                continue
            self._tool = tool
            for event in _events():
                monitoring.register_callback(tool, event, self._look)
            monitoring.set_events(tool, sum(_events()))
            return

    def _turn_off(self, tool: int) -> None:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
        monitoring.set_events(tool, 0)
        for event in _events():
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)
        self._tool = None

    def _look(self, *_: object) -> None:
        """The calling thread is at one of the events."""
        thread = self._here()
        if thread not in self._wanted or not self._interruptible(self._frame(1)):
            return
        if isinstance(self._handled(), self._exception):
            # It has come already, from machine code perhaps. Who is a while at that gets it again.
            moment = self._wanted.get(thread)
            if moment is None:
                moment = self._wanted[thread] = self._now() + PAUSE
            if self._now() < moment:
                return
        self._wanted.pop(thread, None)
        raise self._exception


def _events() -> tuple[int, ...]:
    events: Any = sys.monitoring.events  # type: ignore[attr-defined, unused-ignore]
    return events.PY_START, events.PY_RESUME, events.JUMP
