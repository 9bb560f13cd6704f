"""Stops guests at random moments, and counts: none is lost, none arrives where it should not, nothing leaks.

Time limits, traps and exceptions of host functions, fuel that runs out and is filled up, and calls that are cancelled under
asyncio, on the main and on other threads, and signals whose handlers raise or return; in loops, host functions and nested
calls; while a timer sends another signal every few milliseconds. A stop that is lost shows as a guest that runs on: after
`PATIENCE` seconds without 100 more calls all stacks are printed and the process ends.

Each round says how much memory the process has, how many blocks Python's allocator gave out, and, where Python counts them
(`sys.gettotalrefcount`, debug builds), how many references there are.

    python tests/stress/interrupts.py --count 100000 --engine compiler
    python tests/stress/interrupts.py --count 100000 --kind signals --kind errors --gil release

The first takes half an hour on two idle processors, `--kind signals` alone four minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import wasmine
from wasmine import Limits, Module, OutOfFuel, Runtime, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE: Final = 240
GIL: Any = "lazy"

GUEST: Final = """(module
  (import "host" "call" (func $call))
  (tag $thrown)
  (func (export "spin") (loop $again (br $again)))
  (func (export "throw") (loop $again (block $caught (try_table (catch_all $caught) (throw $thrown))) (br $again)))
  (func (export "keep calling") (loop $again (call $call) (br $again)))
  (func (export "call") (call $call))
  (func $down (export "down") (param $depth i32) (param $n i32) (param $trap i32)
    (loop $again (br_if $again (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))))
    (if (local.get $depth)
      (then (call $down (i32.sub (local.get $depth) (i32.const 1)) (i32.const 1) (local.get $trap)))
      (else (if (local.get $trap) (then unreachable) (else (call $call))))))
  (func (export "count") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"""

COUNTER: Final = """(module
  (import "host" "call" (func $call))
  (memory (export "memory") 1)
  (global $state (export "state") (mut i32) (i32.const 1))
  (global $steps (export "steps") (mut i32) (i32.const 0))
  (func $step
    (global.set $state (i32.add (i32.mul (global.get $state) (i32.const 1664525)) (i32.const 1013904223)))
    (i32.store (i32.and (global.get $state) (i32.const 0xfffc)) (global.get $state))
    (global.set $steps (i32.add (global.get $steps) (i32.const 1))))
  (func (export "run") (param $end i32)
    (loop $again
      (call $step)
      (call $call)
      (br_if $again (i32.lt_u (global.get $steps) (local.get $end))))))"""
"""What it has done is in globals and memory, and it may run out of fuel before any step: so it can go on there."""

RUN_COST: Final = 2
LOOP_COST: Final = 7
STEP_COST: Final = 16


class Stop(Exception):
    """What the signal handler raises."""


@dataclass
class Report:
    """What happened. `problems` should be empty."""

    stopped: int = 0
    finished: int = 0
    handled: int = 0
    raised: int = 0
    problems: list[str] = field(default_factory=list)

    def __add__(self, other: Report) -> Report:
        return Report(
            self.stopped + other.stopped,
            self.finished + other.finished,
            self.handled + other.handled,
            self.raised + other.raised,
            self.problems + other.problems,
        )


_calls = itertools.count(1)


def alive() -> None:
    """Another call has ended."""
    if next(_calls) % 100 == 0:
        faulthandler.dump_traceback_later(PATIENCE, exit=True)


def guests(engine: Any) -> list[wasmine.Instance]:
    """A guest, and one whose host function runs that one's loop.

    All has been called, so nothing is imported any more: CPython loses what a signal handler raises while it imports, for it
    ignores exceptions in callbacks of weak references. `first_use.py` is about first calls.
    """
    runtime = Runtime(engine, gil=GIL)
    module = Module(GUEST)
    inner = runtime.instantiate(module, {"host": {"call": lambda: None}})
    outer = runtime.instantiate(module, {"host": {"call": lambda: inner.exports.spin()}})
    inner.timeout = outer.timeout = 0.01
    for loop in ways(inner, outer):
        with suppress(Timeout):
            loop()
    inner.timeout = outer.timeout = None
    return [inner, outer]


def ways(inner: wasmine.Instance, outer: wasmine.Instance) -> list[Any]:
    """Calls that never end."""
    return [inner.exports.spin, inner.exports.throw, inner.exports["keep calling"], outer.exports.call]


def time_limits(engine: Any, count: int, seed: str) -> Report:
    """Calls with time limits, some of which end just about in time."""
    report, random = Report(), Random(seed)
    inner, outer = guests(engine)
    loops = ways(inner, outer)
    n = 2000
    while True:  # a count that takes about a millisecond
        begin = time.perf_counter()
        inner.exports.count(n)
        if time.perf_counter() - begin > 0.001:
            break
        n *= 2
    expected = n * (n + 1) // 2 & 0xFFFF_FFFF
    for _ in range(count):
        alive()
        inner.timeout = outer.timeout = random.random() * 0.002
        try:
            if random.random() < 0.5:
                random.choice(loops)()
                report.problems.append("a loop without an end has ended")
            else:
                if inner.exports.count(n) & 0xFFFF_FFFF != expected:
                    report.problems.append("a call that was not stopped gave a wrong result")
                report.finished += 1
        except Timeout:
            report.stopped += 1
        except BaseException as error:
            report.problems.append(f"{error!r} where a timeout was due")
    return report


SENDER: Final = """
import os, signal, sys, time
from random import Random
random, receiver = Random(sys.argv[2]), int(sys.argv[1])
while os.read(0, 1):
    time.sleep(random.random() * 0.001)
    os.kill(receiver, signal.SIGUSR1)
"""
"""Sends a signal a while after each byte that it gets. A thread of the receiver would have to wait for the GIL."""


def signals(engine: Any, count: int, seed: str) -> Report:
    """Signals at random moments of the main thread, two for each call: one whose handler returns, one that raises."""
    report, random = Report(), Random(seed)
    loops = ways(*guests(engine))
    number, handled, ended = 0, False, False
    sender = subprocess.Popen([sys.executable, "-c", SENDER, str(os.getpid()), seed], stdin=subprocess.PIPE, bufsize=0)
    assert sender.stdin is not None
    request = sender.stdin.fileno()

    def handler(*_: object) -> None:
        nonlocal handled
        if ended:
            return
        if handled:
            raise Stop(number)
        handled = True
        report.handled += 1
        os.write(request, b".")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        for number in range(count):
            alive()
            handled = False
            try:
                os.write(request, b".")
                random.choice(loops)()
            except Stop as error:
                report.stopped += 1
                if error.args != (number,) or not handled:
                    report.problems.append(f"signal {error.args} arrived as number {number}")
            except BaseException as error:
                ended = True
                report.problems.append(f"{error!r} where signal {number} was due")
                traceback.print_exception(error)
                break
        if report.handled != count:
            report.problems.append(f"{report.handled} signals of {count} were handled and gone on")
    finally:
        sender.stdin.close()
        sender.wait()
        signal.signal(signal.SIGUSR1, before)
    return report


def errors(engine: Any, count: int, seed: str) -> Report:
    """Traps and exceptions of a host function, after a while in a loop and some calls deep."""
    report, random = Report(), Random(seed)
    me = threading.get_ident()
    expected = KeyError()

    def host() -> None:
        if threading.get_ident() != me:
            report.problems.append("a host function was called on another thread")
        raise expected

    instance = Runtime(engine, gil=GIL).instantiate(Module(GUEST), {"host": {"call": host}})
    for number in range(count):
        alive()
        expected = KeyError(me, number)
        depth, trap = random.randrange(5), random.random() < 0.5
        try:
            instance.exports.down(depth, random.randrange(200), trap)
            report.problems.append("a call that fails has returned")
        except wasmine.Trap as error:
            if not trap or len(error.frames) != depth + 1:
                report.problems.append(f"{error!r} with {len(error.frames)} frames instead of {depth + 1}")
        except KeyError as error:
            if trap or error is not expected:
                report.problems.append(f"{error!r} where {expected!r} was due")
        except BaseException as error:
            report.problems.append(f"{error!r} where a trap or an exception was due")
        report.raised += 1
    return report


class Steps:
    """What `COUNTER` must have done. `slice(fuel)` is a call of `run` with so much fuel: what is left."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.done = self.called = 0
        self.state = 1
        self.memory = bytearray(1 << 16)

    def slice(self, fuel: int) -> int:
        if fuel < RUN_COST:
            return fuel
        fuel -= RUN_COST
        while True:
            if fuel < LOOP_COST:
                return fuel
            fuel -= LOOP_COST
            if fuel < STEP_COST:
                return fuel
            fuel -= STEP_COST
            self.state = (self.state * 1664525 + 1013904223) & 0xFFFF_FFFF
            at = self.state & 0xFFFC
            self.memory[at : at + 4] = self.state.to_bytes(4, "little")
            self.done += 1
            self.called += 1
            if self.done >= self.end:
                return fuel


def fuel(engine: Any, count: int, seed: str) -> Report:
    """Guests that run out of fuel at random places, get more, and go on: just as far as what they had takes them."""
    report, random = Report(), Random(seed)
    runtime, module = Runtime(engine, gil=GIL, limits=Limits(fuel=0)), Module(COUNTER)
    called = 0

    def host() -> None:
        nonlocal called
        called += 1

    slices = 0
    while slices < count:
        called = 0
        instance = runtime.instantiate(module, {"host": {"call": host}})
        exports = instance.exports
        steps = Steps(random.randrange(1000))
        while steps.done < max(steps.end, 1):
            alive()
            slices += 1
            given = random.choice((random.randrange(100), random.randrange(5000)))
            instance.fuel = given
            try:
                exports.run(steps.end)
                ended = True
                report.finished += 1
            except OutOfFuel:
                ended = False
                report.stopped += 1
            except BaseException as error:
                report.problems.append(f"{error!r} where fuel was to run out")
                return report
            left = steps.slice(given)
            found = instance.fuel, called, exports.steps.value, exports.state.value & 0xFFFF_FFFF, ended
            expected = left, steps.called, steps.done, steps.state, steps.done >= max(steps.end, 1)
            if found != expected:
                report.problems.append(f"(fuel, calls, steps, state, end) are {found} instead of {expected}")
                return report
        if bytes(exports.memory.view()) != bytes(steps.memory):
            report.problems.append("a guest that went on has written other values than one that was not stopped")
    return report


def cancellations(engine: Any, count: int, seed: str) -> Report:
    """Calls under asyncio that are cancelled at random moments, a few at a time."""
    report = Report()

    async def work(number: int) -> None:
        random = Random(f"{seed}/{number}")
        inner, outer = guests(engine)
        loops = ways(inner, outer)
        for _ in range(count // 4):
            alive()
            loop = random.choice(loops)
            try:
                async with asyncio.timeout(random.random() * 0.002):
                    await (loop.async_() if random.random() < 0.5 else wasmine.to_thread(loop))
                report.problems.append("a loop without an end has ended")
            except TimeoutError:
                report.stopped += 1
            except BaseException as error:
                report.problems.append(f"{error!r} where a cancellation was due")

    async def main() -> None:
        await asyncio.gather(*map(work, range(4)))

    asyncio.run(main())
    return report


def held() -> dict[str, int]:
    """What the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    found = {"KiB": pages * os.sysconf("SC_PAGE_SIZE") >> 10}
    for what, count in (("blocks", "getallocatedblocks"), ("references", "gettotalrefcount")):
        if hasattr(sys, count):
            found[what] = getattr(sys, count)()
    return found


KINDS: Final[dict[str, Callable[[Any, int, str], Report]]] = {
    "time-limits": time_limits,
    "signals": signals,
    "cancellations": cancellations,
    "errors": errors,
    "fuel": fuel,
}
ON_ANY_THREAD: Final = tuple(kind for kind in KINDS if kind != "signals")  # their handlers run on the main thread


def run(engine: Any, count: int, seed: str, kinds: list[str]) -> Report:
    """So many of each kind on the main thread, and half as many on each of two other threads at the same time."""
    total = Report()
    reports: list[Report] = []

    def other(number: int) -> None:
        own = Report()
        for kind in ON_ANY_THREAD:
            if kind in kinds:
                own += KINDS[kind](engine, count // 2, f"{seed}/{number}")
        reports.append(own)

    threads = [threading.Thread(target=other, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for kind in kinds:
        total += KINDS[kind](engine, count, seed)
    for thread in threads:
        thread.join()
    for report in reports:
        total += report
    if len(reports) != len(threads):
        total.problems.append("a thread ended early")
    return total


def other_signals() -> list[int]:
    """Another user of signals: a timer whose handler counts."""
    seen = [0]

    def handler(*_: object) -> None:
        seen[0] += 1

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    return seen


def main() -> int:
    """Exit code 1 if there is a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="compiler", choices=("compiler", "interpreter"))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--gil", default="lazy", choices=("lazy", "release"))
    parser.add_argument("--kind", action="append", choices=tuple(KINDS), help="all of them, if there is none")
    arguments = parser.parse_args()
    global GIL
    GIL = arguments.gil
    faulthandler.enable()
    problems: list[str] = []
    others = other_signals()
    rounds = 10
    sizes = []
    for number in range(rounds):
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        report = run(
            arguments.engine,
            max(arguments.count // rounds, 2),
            f"{arguments.seed}/{number}",
            arguments.kind or list(KINDS),
        )
        gc.collect()
        problems += report.problems
        sizes.append(held())
        print(
            f"{number + 1}/{rounds}: {report.stopped} stopped, {report.finished} finished in time, {report.handled} "
            f"handled and gone on, {report.raised} traps and exceptions, {others[0]} other signals; "
            + ", ".join(f"{size} {what}" for what, size in sizes[-1].items()),
            flush=True,
        )
    faulthandler.cancel_dump_traceback_later()
    signal.setitimer(signal.ITIMER_REAL, 0)
    if not others[0]:
        problems.append("no other signal was handled")
    for problem in problems[:20]:
        print(problem)
    growth = ", ".join(f"{size - sizes[1][what]:+} {what}" for what, size in sizes[-1].items())
    print(f"{len(problems)} problems; from the second round on {growth}")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
