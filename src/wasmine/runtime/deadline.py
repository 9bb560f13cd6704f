"""Time limits: `within` ends what a thread does when its time is over, whatever that is; `Scope` when somebody says so.

A watchdog thread, which lives only while somebody needs it, raises `Expired` in the thread by Python's asynchronous
exceptions (without a GIL, by `Monitoring`), and has the engines stop machine code (`Stopper`). It does so again and again
until the thread has got the message, and never once the call has ended; nor while the thread is inside a part of Wasmine
that must not be cut short.
What waits by itself, such as WASI, looks at `current()`.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from wasmine.errors import Timeout, UnsupportedFeature
from wasmine.runtime.gil import FREE_THREADED
from wasmine.runtime.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType, FunctionType

    from wasmine.runtime.monitoring import Monitoring

Result = TypeVar("Result")

RESEND: Final = 0.002
"""Seconds after which a thread that is still running is told again."""

LINGER: Final = 1.0
"""Seconds for which the watchdog stays when there is nothing to watch, and the longest that it sleeps."""

SHORT_LINGER: Final = 0.02
"""The same where somebody waits for its end."""

_FAR: Final = float("inf")


class Expired(BaseException):
    """The time of a `Scope` is over. It never leaves that one's `run` but to whoever made the scope."""


_HOST_CALLERS: Final[set[CodeType]] = set()
Callee = TypeVar("Callee", bound="Callable[..., Any]")


def calls_host(function: Callee) -> Callee:
    """Marks a function of ours whose own calls of Python functions that are not ours are of the host's code. That may be
    stopped at any place.
    """
    _HOST_CALLERS.add(cast("FunctionType", function).__code__)
    return function


class Scope:
    """A part of what a thread does that is ended at `moment`, or by `expire`.

    `outer` is the scope around it. `movable` says that the moment may come nearer. `active` ends it: nothing is sent to its
    thread from then on. `told` says that its machine code was told to stop, `sent` that an exception was sent to it.
    """

    __slots__ = ("active", "lock", "moment", "movable", "outer", "sent", "thread", "told")

    def __init__(self, moment: float | None = None) -> None:
        """Without a moment it is for somebody to `expire`."""
        self.moment = _FAR if moment is None else moment
        self.movable = moment is None
        self.outer: Scope | None = None
        self.thread = 0
        self.active = False
        self.told = self.sent = False
        self.lock = threading.Lock()

    @calls_host
    def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """`function(*arguments)` on the calling thread; Expired if the scope, or one around it, is over before."""
        if _monitoring is None:
            _asynchronous()
        interruption = None
        self.thread = threading.get_ident()
        self.outer = _current.scope
        self.active = True
        try:
            _current.scope = self
            if self.moment < _FAR:
                watchdog.add(self)
            if self.movable:
                check()
            return function(*arguments)
        finally:
            # An exception may be sent until `active` is False, and arrive until it was received. So each step may be cut
            # short once by that, and by what signal handlers raise.
            while True:
                try:
                    self.active = False
                    _current.scope = self.outer
                    watchdog.discard(self)
                    break
                except Expired:
                    pass
                except BaseException as error:
                    interruption = error
            if interruption is not None:
                raise interruption

    def expire(self) -> None:
        """It is over now, or as soon as it runs. Any thread may say so, at any time."""
        self.moment = 0.0
        with self.lock:
            if self.active:
                watchdog.add(self)

    def over(self) -> bool:
        """Whether it is over, or one around it."""
        now = time.monotonic()
        scope: Scope | None = self
        while scope is not None:
            if now >= scope.moment:
                return True
            scope = scope.outer
        return False


class Stopper(Protocol):
    """An engine's way to interrupt code that Python cannot."""

    def stop(self, thread: int) -> None:
        """Make the code that a thread runs, if any, raise `Expired`; called again until it did."""
        ...

    def release(self, thread: int) -> None:
        """Take back what `stop` asked for and did not happen. Called by the thread itself."""
        ...


class _Current(threading.local):
    scope: Scope | None = None


_current: Final = _Current()


def current() -> float | None:
    """When the time of the calling thread is over, as `time.monotonic()` counts; None if it has all time."""
    moment = _FAR
    scope = _current.scope
    while scope is not None:
        moment = min(moment, scope.moment)
        scope = scope.outer
    return moment if moment < _FAR else None


def movable() -> bool:
    """Whether the time of the calling thread may be over before `current` says: who waits has to look now and then."""
    scope = _current.scope
    while scope is not None:
        if scope.movable:
            return True
        scope = scope.outer
    return False


def check() -> None:
    """Raise `Expired` if the time of the calling thread is over."""
    scope = _current.scope
    if scope is not None and scope.over():
        raise Expired


def returned() -> None:
    """Code of the host has returned, or an exception is caught: raise `Expired` if the time of the calling thread is over.

    The exception that says so may have come while the host's code ran, and been swallowed there, again and again.
    """
    if watchdog.scopes:
        check()


def within(seconds: float, function: Callable[..., Result], *arguments: Any) -> Result:
    """`function(*arguments)`; Timeout if it takes longer. Inside another `within`, whichever limit comes first counts.

    UnsupportedFeature where Python offers no means.
    """
    if seconds <= 0:  # nothing can be done in no time, however fast it is
        raise Timeout(f"the time limit of {seconds:g} s ran out")
    outer = _current.scope
    moment = time.monotonic() + seconds
    if outer is not None and outer.moment <= moment:
        return function(*arguments)
    try:
        return Scope(moment).run(function, *arguments)
    except Expired as expired:
        if outer is not None and outer.over():
            raise
        from wasmine.runtime.stack import wasm_frames

        raise Timeout(f"the time limit of {seconds:g} s ran out", wasm_frames(expired.__traceback__)) from None


class Watchdog:
    """The thread that stops others. There is one, `watchdog`; it starts on demand and ends by itself. `scopes` are those
    that it watches.
    """

    def __init__(self) -> None:
        self.stoppers: list[Stopper] = []
        self.thread: threading.Thread | None = None
        self._lock = threading.RLock()  # a signal handler that runs while it is held may call wasm
        self.scopes: set[Scope] = set()
        self._wake: Mailbox[bool] = Mailbox()
        self._next = _FAR  # when the thread looks again at the latest
        self._linger = LINGER

    def add(self, scope: Scope) -> None:
        """From now on its thread is stopped when its time is over."""
        self.scopes.add(scope)
        if scope.moment < self._next:
            self.wake()

    def discard(self, scope: Scope) -> None:
        """The scope, which is not active any more, ends: what was sent and did not arrive is taken back."""
        with scope.lock:
            for stopper in self.stoppers:
                stopper.release(scope.thread)
            if scope.sent and _monitoring is not None:
                _monitoring.take_back(scope.thread)
            elif scope.sent:
                _receive(scope.thread)
            scope.told = scope.sent = False
        self.scopes.discard(scope)

    def wake(self) -> None:
        """Look at once."""
        self._wake.put(True)
        if self.thread is None and not sys.is_finalizing():  # no thread would begin any more
            with self._lock:
                if self.thread is None:
                    thread = self._new_thread()
                    thread.start()
                    self.thread = thread

    def forget_thread(self) -> None:
        """After a fork there is none in the child."""
        self._lock = threading.RLock()
        self._wake = Mailbox()
        self.thread = None
        self._next = _FAR
        here = threading.get_ident()
        self.scopes = {scope for scope in self.scopes if scope.thread == here}
        for scope in self.scopes:
            scope.lock = threading.Lock()
        if _monitoring is not None:
            _monitoring.forget_threads()
        if self.scopes:
            self.wake()

    def _new_thread(self) -> threading.Thread:
        try:
            return threading.Thread(target=self._run, name="wasmine watchdog", daemon=True)
        except RuntimeError:  # not in this subinterpreter, which waits for the thread when it ends
            self._linger = SHORT_LINGER
            return threading.Thread(target=self._run, name="wasmine watchdog", daemon=False)

    def _run(self) -> None:
        try:
            self._watch()
        except BaseException:
            self.thread = None  # the next one to need it gets another
            raise

    def _watch(self) -> None:
        idle_since = time.monotonic()
        while True:
            self._next = _FAR  # whoever adds something from here on wakes us
            now = time.monotonic()
            following = self._look(now)
            if following < _FAR:
                idle_since = now
            elif now - idle_since >= self._linger and self._leave():
                return
            following = min(following, now + self._linger)
            self._next = following
            self._wake.get(max(following - time.monotonic(), 0.0005))
            self._wake.clear()

    def _leave(self) -> bool:
        """Whether nobody came meanwhile."""
        with self._lock:
            self.thread = None
            if not self._wake and not self.scopes:
                return True
            self.thread = threading.current_thread()
            return False

    def _look(self, now: float) -> float:
        """Stop whose time is over; when to look again."""
        following = _FAR
        for scope in self.scopes.copy():
            if scope.moment <= now:
                self._stop(scope)
                following = min(following, now + RESEND)
            else:
                following = min(following, scope.moment)
        return following

    def _stop(self, scope: Scope) -> None:
        with scope.lock:
            if not scope.active:
                return
            for stopper in self.stoppers:
                stopper.stop(scope.thread)
            if _monitoring is not None:
                if scope.told:  # it was not machine code, or not that alone
                    scope.sent = True
                    _monitoring.want(scope.thread)
            elif _interruptible(sys._current_frames().get(scope.thread)):
                scope.sent = True
                _asynchronous()(scope.thread, Expired)
            scope.told = True


# Modules of helpers that generated code calls, and that keep no state which an exception could leave half changed.
_PURE: Final = (
    "wasmine.interpreter.namespace",
    "wasmine.interpreter.simd",
    "wasmine.interpreter.tail",
    "wasmine.interpreter.wide",
    "wasmine.runtime.bits",
)


# A thread that is being started has its starter's identifier at first (CPython 3.11): it would get what is sent.
_STARTING: Final = threading.Thread.start.__code__


# Python calls what is in them in the middle of anything, and ignores what that raises.
_CALLED_BACK: Final = ("_weakrefset", "weakref")


def _interruptible(frame: FrameType | None) -> bool:
    """Whether a thread may get an exception where it is: in generated code, or in what a host function runs."""
    if frame is None or frame.f_code is _STARTING:
        return False
    names = frame.f_globals
    if names.get("__name__") in _CALLED_BACK:
        return False
    if "__wasm__" in names or str(names.get("__name__")).startswith(_PURE):
        return True
    inner = True
    walked: FrameType | None = frame
    while walked is not None:
        name = str(walked.f_globals.get("__name__"))
        if name.startswith("wasmine."):
            return not inner and walked.f_code in _HOST_CALLERS
        inner = False
        walked = walked.f_back
    return False


def _receive(thread: int) -> None:
    """Wait for what was sent to the calling thread, whether it has arrived before or not.

    CPython can take an exception back, but goes on looking for one then, at every turn of every loop; and 3.11 for ever
    where functions are traced, by a profiler say. So another one is sent, in place of one that has not arrived: that ends
    it.
    """
    interruption = None
    while True:
        try:
            _asynchronous()(thread, Expired)
            while True:
                pass
        except Expired:
            break
        except BaseException as error:  # of a signal handler
            interruption = error
    if interruption is not None:
        raise interruption


@functools.cache
def _asynchronous() -> Callable[[int, type[BaseException]], object]:
    """The function that raises an exception in a thread, by its identifier. One that has not arrived is replaced.

    UnsupportedFeature where Python has none.
    """
    for find in (_of_cpython, _of_pypy):
        with suppress(ImportError, AttributeError):
            return find()
    raise UnsupportedFeature(
        "timeout",
        f"this {sys.implementation.name} cannot stop a guest by the clock: it cannot raise an exception in another thread",
    )


def _of_cpython() -> Callable[[int, type[BaseException]], object]:
    import ctypes

    # A prototype of our own: the function object of `pythonapi` belongs to everybody.
    address = ctypes.cast(ctypes.pythonapi.PyThreadState_SetAsyncExc, ctypes.c_void_p).value
    assert address is not None
    return ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.py_object)(address)


def _of_pypy() -> Callable[[int, type[BaseException]], object]:
    raise_in_thread = importlib.import_module("__pypy__").thread._raise_in_thread  # PyPy 8

    def send(thread: int, exception: type[BaseException]) -> None:
        with suppress(ValueError):  # the thread is gone
            raise_in_thread(thread, exception)

    return send


def _monitoring_of() -> Monitoring | None:
    """What raises exceptions in threads, where these run at the same time."""
    if not FREE_THREADED:
        return None
    from wasmine.runtime.monitoring import Monitoring

    return Monitoring(Expired, _interruptible)


_monitoring: Final = _monitoring_of()
watchdog: Final = Watchdog()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=watchdog.forget_thread)
