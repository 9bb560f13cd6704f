"""The one place where a guest waits: sleeping, polling, reading what is not there yet.

So a deadline ends a guest that waits as well as one that computes, and Ctrl-C reaches it.
"""

from __future__ import annotations

import select
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from wasmine.errors import Timeout
from wasmine.runtime import deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

Result = TypeVar("Result")

# Seconds. Where somebody may move the deadline or ask to stop meanwhile, waiting wakes up this often to look.
SLICE = 0.05


class Ready(NamedTuple):
    """Descriptors of the host: those that can be read or written, and of these, those whose other end is gone.

    `ended` have nothing left to read, `broken` take nothing any more; known only where there is poll(2).
    """

    readable: set[int]
    writable: set[int]
    ended: set[int]
    broken: set[int]


NOTHING: Final = Ready(set(), set(), set(), set())


class Waiting:
    """How long a guest may wait.

    `deadline` is a reading of `time.monotonic()`, None for no limit; the time limit of the call (`Limits`) counts besides.
    `interrupt`, if there is one, is called before and while waiting, and ends the guest by raising. Whoever runs the guest
    may change both at any time; but a wait that began with neither notices nothing until it ends.
    """

    def __init__(self) -> None:
        self.deadline: float | None = None
        self.interrupt: Callable[[], None] | None = None

    def check(self) -> None:
        """Raise if the guest is to end now: `Timeout`, what ends a call at its limit, or what `interrupt` raises."""
        if self.interrupt is not None:
            self.interrupt()
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise Timeout("the time limit ran out while the guest was waiting")
        deadline.check()

    def _slice(self, end: float | None) -> float | None:
        """How long to wait in one go, in seconds; None for ever. `end` is where the wait itself ends."""
        now = time.monotonic()
        movable = self.interrupt is not None or self.deadline is not None or deadline.movable()
        limits = [SLICE] if movable else []
        limits += [moment - now for moment in (end, self.deadline, deadline.current()) if moment is not None]
        return max(min(limits), 0.0) if limits else None

    def sleep(self, seconds: float) -> None:
        """Wait for this long."""
        end = time.monotonic() + seconds
        while True:
            self.check()
            if time.monotonic() >= end:
                return
            # A slice is never more than an hour: the operating system refuses to sleep for centuries.
            time.sleep(min(self._slice(end) or 0.0, 3600.0))

    def wait(self, readers: Collection[int], writers: Collection[int] = (), seconds: float | None = None) -> Ready:
        """Wait until one of the host's descriptors can be read or written; those that can.

        All sets are empty if `seconds` went by. Descriptors that are no longer valid count as ready: using them tells
        what is wrong.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            self.check()
            ready = _ready(readers, writers, self._slice(end))
            if ready.readable or ready.writable or (end is not None and time.monotonic() >= end):
                return ready

    def until_done(self, action: Callable[[], Result], fd: int, *, writing: bool) -> Result:
        """What `action` returns, which is done again whenever it would have blocked on the host's descriptor."""
        while True:
            try:
                return action()
            except BlockingIOError:
                self.wait(() if writing else (fd,), (fd,) if writing else ())


def waiting_bytes(fd: int) -> int:
    """How many bytes can be read from a pipe, socket or terminal of the host; 1 where it does not tell."""
    try:
        import fcntl  # neither is there on Windows
        import termios

        count = fcntl.ioctl(fd, termios.FIONREAD, bytes(4))
    except (ImportError, OSError):
        return 1
    return int.from_bytes(count, sys.byteorder)


def _ready(readers: Collection[int], writers: Collection[int], seconds: float | None) -> Ready:
    if hasattr(select, "poll"):
        return _poll(readers, writers, seconds)
    readable, writable, _ = select.select(readers, writers, (), seconds)
    return Ready(set(readable), set(writable), set(), set())


def _poll(readers: Iterable[int], writers: Iterable[int], seconds: float | None) -> Ready:
    """With poll(2): it has no limit on descriptor numbers, unlike select(2)."""
    poll = select.poll()
    wanted: dict[int, int] = {}
    for fd in readers:
        wanted[fd] = select.POLLIN
    for fd in writers:
        wanted[fd] = wanted.get(fd, 0) | select.POLLOUT
    for fd, events in wanted.items():
        poll.register(fd, events)
    gone = select.POLLERR | select.POLLHUP
    found = Ready(set(), set(), set(), set())
    # Milliseconds, rounded up: waking too early would make the caller spin.
    for fd, events in poll.poll(None if seconds is None else min(int(seconds * 1000) + 1, 3_600_000)):
        if events & (select.POLLIN | gone | select.POLLNVAL) and wanted[fd] & select.POLLIN:
            found.readable.add(fd)
            if events & select.POLLHUP and not events & select.POLLIN:
                found.ended.add(fd)
        if events & (select.POLLOUT | gone | select.POLLNVAL) and wanted[fd] & select.POLLOUT:
            found.writable.add(fd)
            if events & gone:
                found.broken.add(fd)
    return found
