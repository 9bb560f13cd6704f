"""Compile once, instantiate fifty times, in several threads. Each instance has a memory of its own."""

from concurrent.futures import ThreadPoolExecutor

import wasmine

ACCUMULATE = wasmine.Module("""
(module
  (memory 1)
  (func (export "add") (param i32 i32) (result i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.add (local.get 0) (local.get 1))))
    (i32.load (i32.const 0))))
""")


def work(number: int) -> int:
    with wasmine.Runtime() as runtime:
        return runtime.instantiate(ACCUMULATE).exports.add(number, number)


with ThreadPoolExecutor(4) as pool:
    print(*pool.map(work, range(50)))
