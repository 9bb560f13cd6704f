"""How late a guest is stopped: by Ctrl-C, from the signal to KeyboardInterrupt, and by its time limit.

    python benchmarks/interrupts.py [--rounds N]

Another process sends SIGINT at random moments and says when it did. Next to it are a loop of Python, which gets its
signals between two instructions, and wasmtime, whose guests cannot be interrupted by Ctrl-C; a time limit is there an epoch
that a timer's thread ends. Milliseconds: the middle and the longest of the rounds.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import wasmine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 0.02
"""Seconds that a call may take."""

GUESTS = """(module
  (import "host" "call" (func $call))
  (memory (export "memory") 1024)
  (func (export "an empty loop") (loop $again (br $again)))
  (func (export "loads and stores") (local $at i32)
    (loop $again
      (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (i32.const 1)))
      (local.set $at (i32.and (i32.add (local.get $at) (i32.const 4)) (i32.const 0xffff)))
      (br $again)))
  (func (export "memory.fill of 64 MiB")
    (loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x4000000)) (br $again)))
  (func $down (param $n i32) (if (local.get $n) (then
    (call $down (i32.sub (local.get $n) (i32.const 1))) (call $down (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "recursion") (call $down (i32.const 100)))
  (func (export "calls of Python") (loop $again (call $call) (br $again))))"""

NAMES = ("an empty loop", "loads and stores", "memory.fill of 64 MiB", "recursion", "calls of Python")

# Reads how long to wait and sends SIGINT then; says when.
SENDER = """
import os, signal, sys, time
for line in sys.stdin:
    time.sleep(float(line))
    print(time.monotonic(), flush=True)
    os.kill(os.getppid(), signal.SIGINT)
"""


def nothing() -> None:
    """The host function."""


def guests(**options: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    """Names, and functions that do not return by themselves."""
    instance = wasmine.Runtime(**options).instantiate(wasmine.Module(GUESTS), {"host": {"call": nothing}})
    for name in NAMES:
        yield name, instance.exports[name]


def python_loop() -> None:
    """What Python itself takes."""
    while True:
        pass


def until_interrupted(sender: subprocess.Popen[str], work: Callable[[], object]) -> float:
    """Seconds from the signal to KeyboardInterrupt."""
    assert sender.stdin is not None
    assert sender.stdout is not None
    try:
        sender.stdin.write(f"{random.uniform(0.02, 0.06)}\n")
        sender.stdin.flush()
        work()
    except KeyboardInterrupt:
        now = time.monotonic()
        return now - float(sender.stdout.readline())
    raise AssertionError("it ended by itself")


def until_limited(work: Callable[[], object]) -> float:
    """Seconds by which a call takes longer than it may."""
    start = time.monotonic()
    try:
        work()
    except wasmine.Timeout:
        return time.monotonic() - start - LIMIT
    raise AssertionError("it ended by itself")


def wasmtime_limited() -> Callable[[], float] | None:
    """The same by wasmtime's epochs, for the empty loop; None where it is not installed."""
    try:
        import wasmtime as w
    except ImportError:
        return None
    config = w.Config()
    config.epoch_interruption = True
    engine = w.Engine(config)
    store = w.Store(engine)
    store.set_epoch_deadline(1)
    loop = w.Instance(store, w.Module(engine, '(module (func (export "f") (loop (br 0))))'), []).exports(store)["f"]

    def late() -> float:
        store.set_epoch_deadline(1)
        timer = threading.Timer(LIMIT, engine.increment_epoch)
        start = time.monotonic()
        timer.start()
        try:
            loop(store)  # type: ignore[operator]
        except w.Trap:
            return time.monotonic() - start - LIMIT
        raise AssertionError("it ended by itself")

    return late


def show(what: str, name: str, late: Callable[[], float], rounds: int) -> None:
    """Print a row."""
    times = [late() * 1e3 for _ in range(rounds)]
    print(f"{what:34}{name:24}{statistics.median(times):8.1f}{max(times):8.1f}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    print(f"{'milliseconds late':58}{'median':>8}{'longest':>8}")
    runtimes: dict[str, dict[str, Any]] = {
        "compiler": {"engine": "compiler"},
        "compiler, gil=release": {"engine": "compiler", "gil": "release"},
        "interpreter": {"engine": "interpreter"},
    }
    sender = subprocess.Popen([sys.executable, "-c", SENDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with sender:
        for title, options in runtimes.items():
            for name, work in guests(**options):
                show(f"Ctrl-C, {title}", name, lambda work=work: until_interrupted(sender, work), rounds)
        show("Ctrl-C, Python", "an empty loop", lambda: until_interrupted(sender, python_loop), rounds)
        sender.stdin.close()  # type: ignore[union-attr]
    for title, options in runtimes.items():
        for name, work in guests(**options, limits=wasmine.Limits(timeout=LIMIT)):
            show(f"time limit, {title}", name, lambda work=work: until_limited(work), rounds)
    if late := wasmtime_limited():
        show("time limit, wasmtime's epochs", "an empty loop", late, rounds)


if __name__ == "__main__":
    main()
