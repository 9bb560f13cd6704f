"""`Mailbox`: a queue with one reader, whose waiting is true to its time.

`queue.SimpleQueue` has a timeout too, but may wait for ever if a signal comes to the thread when the time is about to be
over (CPython 3.11 to 3.13: what is left of the time gets negative, which means that there is no limit).
"""

from __future__ import annotations

import operator
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

_open: Final = operator.methodcaller("release")


class Mailbox(Generic[Item]):
    """Anybody may `put`, also in a signal handler in the middle of another `put`."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        # What the reader waits for: a lock that is held until somebody takes it out of here and releases it. So it is
        # released once: CPython 3.13 may already have handed a lock over that nobody has been seen to release, and must not
        # find it released again.
        self._gates: deque[threading.Lock] = deque(maxlen=1)

    def put(self, item: Item) -> None:
        """Add an item."""
        self._items.append(item)
        with suppress(IndexError):  # nobody waits
            next(map(_open, iter(self._gates.pop, None)))  # in one piece: no signal handler runs before it is open

    def get(self, seconds: float | None = None) -> Item | None:
        """The oldest item; None if there was none for so long."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._items:
            gate = threading.Lock()
            gate.acquire()
            self._gates.append(gate)
            left = -1 if end is None else min(max(end - time.monotonic(), 0), threading.TIMEOUT_MAX)
            if not self._items and not gate.acquire(timeout=left):
                return None
        return self._items.popleft()

    def clear(self) -> None:
        """Forget all items."""
        self._items.clear()

    def __bool__(self) -> bool:
        return bool(self._items)
