"""Two threads, each with an instance of its own: how much faster than one after the other, and what others get meanwhile.

    python benchmarks/threads.py

For "lazy" and "release": the time of two long calls one after the other, divided by that of both at once (2 is the best
there is, on two idle processors); and how long another Python thread, which wants to run every millisecond, waits at most
while a long call runs.
"""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from typing import Any

import wasmine

MODULE = wasmine.Module("""(module
  (func (export "count") (param $n i64)
    (loop $again
      (br_if $again (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))))""")
COUNT = 400_000_000
ROUNDS = 5


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


def main() -> None:
    for gil in ("lazy", "release"):
        runtime = wasmine.Runtime("compiler", gil=gil)
        counts = [runtime.instantiate(MODULE).exports.count for _ in range(2)]
        actions = [lambda f=f: f(COUNT) for f in counts]
        for f in counts:
            f(1)
        best = max(sum(seconds(action) for action in actions) / seconds(*actions) for _ in range(ROUNDS))
        waits = min(longest_wait(actions[0]) for _ in range(ROUNDS))
        print(f"{gil}: two at once {best:.2f} times as fast; another thread waits {1000 * waits:.1f} ms at most")


if __name__ == "__main__":
    main()
