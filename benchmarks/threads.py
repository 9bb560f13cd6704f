"""Two threads, each with an instance of its own: how much faster than one after the other, and what others get meanwhile.

    python benchmarks/threads.py

For "lazy" and "release": the time of two long calls one after the other, divided by that of both at once (2 is the best
there is, on two idle processors); the same of calls that do little but call Python, for which a Python without a GIL is
needed; and how long another Python thread, which wants to run every millisecond, waits at most while a long call runs. The
processor time that two at once take, divided by that of one after the other, says how much they disturb each other even
where the machine has other things to do (1: not at all). So does the time of two threads divided by that of two processes,
which take turns with them (the median).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from itertools import pairwise
from typing import Any

import wasmine

MODULE = wasmine.Module("""(module
  (import "host" "f" (func $f (param i32) (result i32)))
  (func (export "count") (param $n i64)
    (loop $again
      (br_if $again (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0)))))
  (func (export "host") (param $n i32)
    (loop $again
      (drop (call $f (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))""")
COUNT = 400_000_000
HOST_CALLS = 300_000
ROUNDS = 5


class Process:
    """Another process that makes a call when it is asked to."""

    def __init__(self, mode: str, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker", mode, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._wait()

    def _wait(self) -> None:
        assert self._process.stdout is not None
        if not self._process.stdout.read(1):
            raise SystemExit("the other process has ended")

    def __call__(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b".")
        self._wait()

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def serve(mode: str, name: str) -> None:
    """What a `Process` does."""
    action = actions_of(mode)[name][0]
    while True:
        sys.stdout.buffer.write(b".")
        sys.stdout.buffer.flush()
        if not sys.stdin.buffer.read(1):
            return
        action()


def actions_of(mode: Any) -> dict[str, list[Any]]:
    """The long calls of two instances, which are compiled."""
    runtime = wasmine.Runtime("compiler", gil=mode)
    exports = [runtime.instantiate(MODULE, {"host": {"f": work}}).exports for _ in range(2)]
    for export in exports:
        export.count(1)
        export.host(1)
    return {
        "wasm code": [lambda f=export.count: f(COUNT) for export in exports],
        "host functions": [lambda f=export.host: f(HOST_CALLS) for export in exports],
    }


def work(n: int) -> int:
    """A host function that does a little in Python."""
    total = 0
    for i in range(n & 15):
        total += i
    return total


def seconds(*actions: Any) -> float:
    """How long it takes to do all of them, each on a thread of its own."""
    threads = [threading.Thread(target=action) for action in actions]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def longest_wait(action: Any) -> float:
    """The longest time in seconds between two turns of another thread while the action lasts."""
    turns: list[float] = []
    over = threading.Event()

    def take_turns() -> None:
        while not over.wait(0.001):
            turns.append(time.perf_counter())

    other = threading.Thread(target=take_turns)
    other.start()
    turns.append(time.perf_counter())
    action()
    turns.append(time.perf_counter())
    over.set()
    other.join()
    return max(later - earlier for earlier, later in pairwise(turns))


def at_once(mode: str, name: str, actions: list[Any]) -> str:
    """How much faster all of them are at once, and how much processor time that takes."""
    best, least = 0.0, float("inf")
    ratios = []
    processes = [Process(mode, name) for _ in actions]
    for _ in range(ROUNDS):
        begin = time.process_time()
        alone = sum(seconds(action) for action in actions)
        between = time.process_time()
        together = seconds(*actions)
        best = max(best, alone / together)
        least = min(least, (time.process_time() - between) / (between - begin))
        ratios.append(together / seconds(*processes))
    for process in processes:
        process.close()
    ratio = statistics.median(ratios)
    return (
        f"{best:.2f} times as fast ({least:.2f} times the processor time, {ratio:.2f} times the time of two processes)"
    )


def main() -> None:
    """Measure and print."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"Python {sys.version.split()[0]} {'with' if gil else 'without'} a GIL; two at once are")
    for mode in ("lazy", "release"):
        actions = actions_of(mode)
        for name, found in actions.items():
            print(f"{mode}: {name} {at_once(mode, name, found)}")
        waits = min(longest_wait(actions["wasm code"][0]) for _ in range(ROUNDS))
        print(f"{mode}: another thread waits {1000 * waits:.1f} ms at most")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        serve(*sys.argv[2:])
    else:
        main()
