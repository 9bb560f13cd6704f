"""One module in two runtimes: whatever they import, they share nothing but the module."""

import itertools

import wasmine

COUNTER = wasmine.Module("""
(module
  (import "env" "next_i32" (func $next (result i32)))
  (func (export "next") (result i32) (call $next)))
""")

with wasmine.Runtime() as first, wasmine.Runtime() as second:
    counters = [
        runtime.instantiate(COUNTER, {"env": {"next_i32": itertools.count().__next__}}).exports
        for runtime in (first, second)
    ]
    for _ in range(2):
        for name, counter in zip(("first", "second"), counters, strict=True):
            print(f"{name}: {counter.next()}")
