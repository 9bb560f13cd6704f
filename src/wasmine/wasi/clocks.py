"""Clocks for guests: the host's, or a fake one that gives every run the same times."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wasmine.wasi.waiting import Waiting

SECOND = 1_000_000_000


class Clock(ABC):
    """The time that a guest sees, in nanoseconds. Subclass it for another one."""

    @abstractmethod
    def realtime(self) -> int:
        """Time since 1970-01-01T00:00Z."""

    @abstractmethod
    def monotonic(self) -> int:
        """Time since some fixed moment; never goes back."""

    def realtime_resolution(self) -> int:
        return 1000

    def monotonic_resolution(self) -> int:
        return 1

    def cpu_time(self) -> int | None:
        """Processor time of the guest; None: the guest is told that there is no such clock."""
        return None

    @abstractmethod
    def sleep(self, duration: int, waiting: Waiting) -> None:
        """Let this time pass. Real waiting goes through `waiting`, which knows the deadline."""

    @property
    def real(self) -> bool:
        """Whether time passes by itself, so that waiting for a descriptor takes some."""
        return True


class SystemClock(Clock):
    """The host's clocks."""

    def realtime(self) -> int:
        return time.time_ns()

    def monotonic(self) -> int:
        return time.monotonic_ns()

    def realtime_resolution(self) -> int:
        return _nanoseconds(time.get_clock_info("time").resolution)

    def monotonic_resolution(self) -> int:
        return _nanoseconds(time.get_clock_info("monotonic").resolution)

    def cpu_time(self) -> int | None:
        return time.process_time_ns()

    def sleep(self, duration: int, waiting: Waiting) -> None:
        waiting.sleep(duration / SECOND)


def _nanoseconds(seconds: float) -> int:
    return max(1, round(seconds * SECOND))


class FakeClock(Clock):
    """Time that depends on nothing but the guest: every reading is one `step` after the last, sleeping takes no time.

    `start` is the first reading of the real-time clock, 2022-01-01T00:00Z unless given (wazero's choice too); the
    monotonic clock begins at 0.
    """

    def __init__(self, start: int = 1_640_995_200 * SECOND, step: int = 1_000_000) -> None:
        self._realtime = start - step
        self._monotonic = -step
        self._step = step

    def realtime(self) -> int:
        self._realtime += self._step
        return self._realtime

    def monotonic(self) -> int:
        self._monotonic += self._step
        return self._monotonic

    def cpu_time(self) -> int | None:
        return self.monotonic()

    def sleep(self, duration: int, waiting: Waiting) -> None:
        waiting.check()  # a guest that sleeps in a loop must still end at its deadline
        self._realtime += duration
        self._monotonic += duration

    @property
    def real(self) -> bool:
        return False
