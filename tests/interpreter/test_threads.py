"""Python threads that run wasm on one shared memory: counting, handing over, growing."""

from __future__ import annotations

import threading
from collections.abc import Callable

import wasmine

Instantiate = Callable[..., wasmine.Instance]

MODULE = """
(module
  (import "host" "memory" (memory 1 4 shared))
  (func (export "count") (param $times i32)
    (loop $l
      (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
      (br_if $l (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
  (func (export "load") (param i32) (result i32) (i32.atomic.load (local.get 0)))
  (func (export "store") (param i32 i32) (i32.atomic.store (local.get 0) (local.get 1)))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  ;; Waits until the cell is no longer 0, and gives it.
  (func (export "receive") (param $cell i32) (result i32)
    (loop $again (result i32)
      (drop (memory.atomic.wait32 (local.get $cell) (i32.const 0) (i64.const -1)))
      (br_if $again (i32.eqz (i32.atomic.load (local.get $cell))))
      (i32.atomic.load (local.get $cell))))
  (func (export "send") (param $cell i32) (param $value i32)
    (i32.atomic.store (local.get $cell) (local.get $value))
    (drop (memory.atomic.notify (local.get $cell) (i32.const -1)))))
"""


def instances(runtime: wasmine.Runtime, count: int) -> list[wasmine.Exports]:
    memory = runtime.memory(1, 4, shared=True)
    module = wasmine.Module(MODULE)
    return [runtime.instantiate(module, {"host": {"memory": memory}}).exports for _ in range(count)]


def together(*calls: Callable[[], object]) -> list[object]:
    """What the calls return, each made on a thread of its own."""
    results: list[object] = [None] * len(calls)

    def work(number: int) -> None:
        results[number] = calls[number]()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_no_increment_is_lost(runtime: wasmine.Runtime) -> None:
    users = instances(runtime, 4)
    together(*(lambda user=user: user.count(2000) for user in users))  # type: ignore[misc]
    assert users[0].load(0) == 8000


def test_values_are_handed_over(runtime: wasmine.Runtime) -> None:
    sender, receiver = instances(runtime, 2)
    received, _ = together(lambda: receiver.receive(64), lambda: sender.send(64, 1234))
    assert received == 1234


def test_growth_is_seen_by_every_thread_and_loses_nothing(runtime: wasmine.Runtime) -> None:
    users = instances(runtime, 2)
    together(lambda: users[0].count(3000), lambda: [users[1].grow() for _ in range(3)])
    assert users[1].load(0) == 3000
    users[0].store(4 * 65536 - 4, 5)
    assert users[1].load(4 * 65536 - 4) == 5
