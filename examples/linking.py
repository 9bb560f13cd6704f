"""Modules that import from each other: by the names of instances, or from an instance that is given."""

import wasmine

COUNTER = """
(module
  (global $count (mut i32) (i32.const 0))
  (func (export "next") (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (global.get $count)))
"""

USER = """
(module
  (import "counter" "next" (func $next (result i32)))
  (func (export "twice") (result i32)
    (drop (call $next))
    (call $next)))
"""

with wasmine.Runtime() as runtime:
    runtime.instantiate(COUNTER, name="counter")
    print("by name:", runtime.instantiate(USER).exports.twice(), runtime.instantiate(USER).exports.twice())

    other = runtime.instantiate(COUNTER)
    print("by instance:", runtime.instantiate(USER, {"counter": other}).exports.twice())
