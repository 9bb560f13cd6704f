"""What programs do with signals works while a guest computes, on both engines."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from wasmine import Module, Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

GUEST = Module("""(module
  (func (export "spin") (loop $again (br $again)))
  (func (export "count") (param $n i32) (result i32) (local $done i32)
    (loop $again
      (local.set $done (i32.add (local.get $done) (i32.const 1)))
      (br_if $again (i32.ne (local.get $done) (local.get $n))))
    (local.get $done)))""")


@contextmanager
def alarm(handler: Any, after: float, every: float = 0) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, after, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_time_limit_of_a_test_runner_ends_a_guest(engine: str) -> None:
    """pytest-timeout sets a timer whose handler fails the test, with an exception that is no `Exception`."""
    exports = Runtime(engine).instantiate(GUEST).exports

    def handler(*_: object) -> None:
        pytest.fail("it took too long")

    for _ in range(3):
        with pytest.raises(pytest.fail.Exception, match="too long"), alarm(handler, 0.05):
            exports.spin()
        assert exports.count(3) == 3


def test_a_timer_ticks_while_a_guest_computes_and_the_guest_goes_on(engine: str) -> None:
    ticks = []
    count = 200_000_000 if engine == "compiler" else 1_000_000
    exports = Runtime(engine).instantiate(GUEST).exports
    with alarm(lambda *_: ticks.append(1), 0.002, 0.002):
        while not ticks:  # PyPy may be through in less than that
            assert exports.count(count) == count


def test_control_c_ends_a_guest_and_not_another_thread(engine: str) -> None:
    exports = Runtime(engine).instantiate(GUEST).exports
    count = 500_000_000 if engine == "compiler" else 1_000_000
    other = Runtime(engine).instantiate(GUEST).exports
    outcomes: list[int] = []
    worker = threading.Thread(target=lambda: outcomes.append(other.count(count)))
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    worker.start()
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            exports.spin()
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    worker.join()
    assert outcomes == [count]
