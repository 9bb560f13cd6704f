"""`Mailbox`: a queue with one reader, whose waiting is true to its time.

`queue.SimpleQueue` has a timeout too, but may wait for ever if a signal comes to the thread when the time is about to be
over (CPython 3.11 to 3.13: what is left of the time gets negative, which means that there is no limit).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Anybody may `put`, also in a signal handler in the middle of another `put`."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._something = threading.Lock()  # held unless there may be something
        self._something.acquire()

    def put(self, item: Item) -> None:
        """Add an item."""
        self._items.append(item)
        with suppress(RuntimeError):  # it is not held: the reader was told already
            self._something.release()

    def get(self, seconds: float | None = None) -> Item | None:
        """The oldest item; None if there was none for so long."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._items:
            left = -1 if end is None else max(end - time.monotonic(), 0)
            if not self._something.acquire(timeout=left):
                return None
        return self._items.popleft()

    def clear(self) -> None:
        """Forget all items."""
        self._items.clear()

    def __bool__(self) -> bool:
        return bool(self._items)
