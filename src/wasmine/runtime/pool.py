"""`Pool`: clones of a snapshot for many threads, never more than so many at a time."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from operator import index
from typing import TYPE_CHECKING, Any

from wasmine.errors import WasmineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wasmine.runtime.instance import Instance
    from wasmine.runtime.limits import Limits
    from wasmine.runtime.snapshot import Snapshot


class Pool:
    """At most `size` clones of a snapshot at a time, each used by one user and then closed. Any thread may ask.

        with pool.instance() as instance:
            instance.exports.handle(request)

    Every user gets the state of the snapshot, whatever the one before did: making a clone takes microseconds, for the
    memory that an earlier one gave back is used again. `imports` is as for `Snapshot.clone`, or a function without
    arguments that is called for every clone and returns that.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        size: int,
        *,
        imports: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
        limits: Limits | None = None,
    ) -> None:
        if index(size) < 1:
            raise ValueError(f"a pool needs a size of 1 at least, found {size}")
        self.snapshot = snapshot
        self.size = size
        self.closed = False
        self._imports = imports
        self._limits = limits
        self._out: dict[int, Instance] = {}
        self._room = threading.Semaphore(size)

    def acquire(self, timeout: float | None = None) -> Instance:
        """A clone, to be given back with `release`. Waits while `size` of them are out.

        TimeoutError after so many seconds; what `Snapshot.clone` raises.
        """
        self._check_open()
        patience = None if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX)
        if not self._room.acquire(timeout=patience):
            raise TimeoutError(f"none of the {self.size} instances of the pool was given back within {timeout} seconds")
        try:
            self._check_open()
            imports = self._imports() if callable(self._imports) else self._imports
            instance = self.snapshot.clone(imports, limits=self._limits)
        except BaseException:
            self._room.release()
            raise
        self._out[id(instance)] = instance
        return instance

    def release(self, instance: Instance) -> None:
        """Give a clone back: it is closed. ValueError if it is not one of this pool's that are out."""
        if self._out.get(id(instance)) is not instance or self._out.pop(id(instance), None) is None:
            raise ValueError("the instance was not acquired from this pool, or was given back already")
        try:
            instance.close()
        finally:
            self._room.release()

    @contextmanager
    def instance(self, timeout: float | None = None) -> Iterator[Instance]:
        """`acquire`, and `release` at the end of the `with` block."""
        found = self.acquire(timeout)
        try:
            yield found
        finally:
            self.release(found)

    def close(self) -> None:
        """Give out no more clones; those that are out are closed when they are given back."""
        self.closed = True

    def _check_open(self) -> None:
        if self.closed:
            raise WasmineError("the pool is closed")

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<pool of {self.size}, {len(self._out)} in use{', closed' if self.closed else ''}>"
