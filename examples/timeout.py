"""A program that sleeps longer than it may is stopped."""

import wasmine

SLEEP = """
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    ;; One subscription at address 0: the clock 0, in 60 seconds.
    (i64.store (i32.const 24) (i64.const 60_000_000_000))
    (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))
"""

try:
    wasmine.run(SLEEP, name="sleep", timeout=0.1)
except wasmine.Timeout:
    print("a minute of sleep ended early")
