"""Start once, copy often: `python examples/snapshot.py 10 100 1000`.

A guest that takes long to get ready is started once; its state is written to a file. From the file, in this process or in a
later one, it is ready at once, and every request gets a copy of its own, whose memory is shared until it is written to.
"""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import wasmine

# A sieve: `prepare` marks what is no prime below 1,000,000; `below` counts, and leaves traces in the memory.
PRIMES = wasmine.Module("""
(module
  (memory (export "memory") 16)
  (global $ready (mut i32) (i32.const 0))
  (func (export "prepare") (local $n i32) (local $multiple i32)
    (local.set $n (i32.const 2))
    (loop $next
      (local.set $multiple (i32.mul (local.get $n) (i32.const 2)))
      (block $marked
        (loop $mark
          (br_if $marked (i32.ge_u (local.get $multiple) (i32.const 1000000)))
          (i32.store8 (local.get $multiple) (i32.const 1))
          (local.set $multiple (i32.add (local.get $multiple) (local.get $n)))
          (br $mark)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 1000))))
    (global.set $ready (i32.const 1)))
  (func (export "below") (param $limit i32) (result i32) (local $n i32) (local $count i32)
    (if (i32.eqz (global.get $ready)) (then unreachable))
    (local.set $n (i32.const 2))
    (loop $next
      (if (i32.lt_u (local.get $n) (local.get $limit))
        (then
          (local.set $count (i32.add (local.get $count) (i32.eqz (i32.load8_u (local.get $n)))))
          (i32.store8 (local.get $n) (i32.const 1))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $next))))
    (local.get $count)))
""")


def main(limits: list[int]) -> None:
    """Print how many primes there are below each limit."""
    with tempfile.TemporaryDirectory() as directory, wasmine.Runtime() as runtime:
        path = Path(directory) / "primes.state"
        first = runtime.instantiate(PRIMES)
        first.exports.prepare()
        first.snapshot().save(path)

        ready = runtime.instantiate(wasmine.Snapshot.load(path, PRIMES))
        pool = wasmine.Pool(ready.snapshot(), 2)

        def count(limit: int) -> int:
            with pool.instance() as instance:
                found: int = instance.exports.below(limit)
                return found

        with ThreadPoolExecutor(4) as threads:
            for limit, found in zip(limits, threads.map(count, limits), strict=True):
                print(f"{found} primes below {limit}")


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
