"""Guests under asyncio: `to_thread` calls them off the event loop, and host functions may be `async def`.

A call runs on a thread of its own while its coroutine waits. Cancelling that ends the guest as a time limit does, and waits
until it has ended. An asynchronous host function is a task of the loop that the call was made from; the guest's thread
waits for it, and meanwhile runs what the task calls of the guest: an instance is used by one thread
at a time.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeAlias, TypeVar

from wasmine.runtime import deadline
from wasmine.runtime.deadline import Expired, Scope
from wasmine.runtime.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
_Work: TypeAlias = "Callable[[], None]"

LINGER: Final = 1.0
"""Seconds for which a thread waits for another call before it ends."""


async def to_thread(
    function: Callable[Parameters, Result], /, *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """`function(*args, **kwargs)` on another thread; what it returns or raises.

    Like `asyncio.to_thread`, with the same context variables, for functions that run guests: exports, `wasmine.run`,
    `Runtime.instantiate`, or a function of yours that does several such things. When the task is cancelled (by
    `asyncio.timeout`, by Ctrl-C under `asyncio.run`) the guest is stopped, whatever it does, and CancelledError raised once
    it has ended; its instance can be called again. There is a thread for each call: calls do not wait for each other.

    >>> async def main():
    ...     return await to_thread(divmod, 7, 3)
    >>> asyncio.run(main())
    (2, 1)
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[BaseException | None, Any]] = loop.create_future()
    call = _Call(functools.partial(contextvars.copy_context().run, function, *args, **kwargs), loop, ended)
    waiting = _waiting.get()
    if waiting is not None and waiting.takes_work(call.loop):
        waiting.events.put(call.run)
    else:
        _threads.run(call.run)
    cancelled: asyncio.CancelledError | None = None
    while not ended.done():
        try:
            await asyncio.wait((ended,))
        except asyncio.CancelledError as cancellation:
            cancelled = cancellation
            call.cancel()
        except BaseException:  # the coroutine is thrown away: nobody waits any more
            call.abandon()
            raise
    error, result = ended.result()
    try:
        if cancelled is not None:
            raise cancelled from (None if isinstance(error, Expired) else error)
        if isinstance(error, Expired):  # the call whose host function this is part of has to end
            raise asyncio.CancelledError from None
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]
    finally:
        del error, cancelled, call  # they refer to tracebacks, which refer to this frame


def blocking(function: Callable[..., Coroutine[Any, Any, Any]], name: str) -> Callable[..., Any]:
    """A host function whose Python is `async def` as one that ordinary code can call."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        here = _thread.call
        if here is None:
            raise RuntimeError(
                f"host function {name}() is asynchronous: it needs an event loop to run on. Call the export with "
                "`await function.async_(...)`, or what calls it with `await wasmine.to_thread(...)`"
            )
        return here.wait_for(function(*arguments))

    return call


class _Call:
    """One `to_thread`. `ended` is resolved, with the exception and the result, when it has. Only who waits holds it: if
    that is forgotten, with a loop that is closed for instance, the call is to end.
    """

    def __init__(
        self,
        work: Callable[[], Any],
        loop: asyncio.AbstractEventLoop,
        ended: asyncio.Future[tuple[BaseException | None, Any]],
    ) -> None:
        self.loop = loop
        self._ended = weakref.ref(ended)
        self.scope = Scope()
        self.cancelled = False
        # What the thread waits for: calls to run meanwhile, and the task of a host function that ended.
        self.events: Mailbox[_Work | asyncio.Task[Any]] = Mailbox()
        self._work = work
        self._task: asyncio.Task[Any] | None = None  # of the asynchronous host function that it is in

    # ------------------------------------------------------------------------------------------------ on the loop

    def cancel(self) -> None:
        """End it: the guest, and the host function that it waits for."""
        self.cancelled = True
        self.scope.expire()
        if self._task is not None:
            self._task.cancel()

    def abandon(self) -> None:
        """The same, where nobody waits for the end, and perhaps the loop is closed."""
        with suppress(RuntimeError):
            self.cancel()
        self.events.put(deadline.check)

    def takes_work(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether its thread waits for a host function on that loop, and can run something meanwhile."""
        return self._task is not None and self.loop is loop

    def _begin(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._task = self.loop.create_task(coroutine)
        self._task.add_done_callback(self._done)
        if self.cancelled:
            self._task.cancel()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._task = None
        self.events.put(task)

    def _end(self, error: BaseException | None, result: Any) -> None:
        ended = self._ended()
        if ended is not None and not ended.done():
            ended.set_result((error, result))

    # ------------------------------------------------------------------------------------------------ on the thread

    def run(self) -> None:
        """Do it."""
        error: BaseException | None = None
        result = None
        outer = _thread.call
        try:
            _thread.call = self
            result = self.scope.run(self._work)
        except BaseException as raised:
            error = raised
        finally:
            _thread.call = outer
        self._tell(self._end, error, result)

    def wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What the coroutine returns or raises on the loop. Expired if the time is over, when it has ended too."""
        context = contextvars.copy_context()
        context.run(_waiting.set, self)
        if not self._tell(self._begin, coroutine, context=context):
            coroutine.close()
            raise RuntimeError("the event loop of the call is closed")
        while True:
            moment = deadline.current()
            event = self.events.get(None if moment is None else max(moment - time.monotonic(), 0.0))
            if event is None:
                self._tell(self._cancel_task)
                event = self.events.get()
                assert event is not None
            if isinstance(event, asyncio.Task):
                break
            event()
        if event.cancelled():
            deadline.check()
        return event.result()

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _tell(self, callback: Callable[..., None], *arguments: Any, **options: Any) -> bool:
        """Have the loop call it; False if the loop is closed, and nobody waits any more."""
        try:
            self.loop.call_soon_threadsafe(callback, *arguments, **options)
        except RuntimeError:
            return False
        return True


class _Threads:
    """Threads that run calls: one that is idle, else another one. They are daemons: a guest does not keep a process."""

    def __init__(self) -> None:
        self._idle: list[Mailbox[_Work]] = []

    def run(self, work: _Work) -> None:
        """Have a thread do it."""
        try:
            queue = self._idle.pop()
        except IndexError:
            queue = Mailbox()
            threading.Thread(target=self._serve, args=(queue,), name="wasmine call", daemon=True).start()
        queue.put(work)

    def forget(self) -> None:
        """After a fork there are none in the child."""
        self._idle.clear()

    def _serve(self, queue: Mailbox[_Work]) -> None:
        while True:
            work = queue.get(LINGER)
            if work is None:
                try:
                    self._idle.remove(queue)
                except ValueError:  # somebody has just taken it
                    work = queue.get()
                    assert work is not None
                else:
                    return
            work()
            del work
            self._idle.append(queue)


class _Thread(threading.local):
    """The innermost call that the thread runs."""

    call: _Call | None = None


_thread: Final = _Thread()
_threads: Final = _Threads()

_waiting: Final[contextvars.ContextVar[_Call | None]] = contextvars.ContextVar("wasmine call", default=None)
"""The call whose asynchronous host function a task is, or was started by."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.forget)
