"""Calls: direct, indirect, across instances, deep, and between wasm and Python."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import wasmine
from wasmine import Trap, TrapKind
from wasmine.interpreter.entry import MAX_ENTRIES
from wasmine.runtime.recursion import WASM_FRAMES

Instantiate = Callable[..., wasmine.Instance]

FACTORIAL = """
(module
  (func $factorial (export "factorial") (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0))
      (then (i64.const 1))
      (else (i64.mul (local.get 0) (call $factorial (i64.sub (local.get 0) (i64.const 1))))))))
"""

DEEP = """
(module
  (func $deep (export "deep") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 0))))
  (func $endless (export "endless") (result i32) (i32.add (i32.const 1) (call $endless))))
"""


def test_recursion(instantiate: Instantiate) -> None:
    assert instantiate(FACTORIAL).exports.factorial(20) == 2432902008176640000


def test_several_results_and_their_order(instantiate: Instantiate) -> None:
    exports = instantiate(
        """(module
          (func $three (param i32) (result i32 i64 f64)
            (i32.add (local.get 0) (i32.const 1)) (i64.extend_i32_s (local.get 0)) (f64.convert_i32_s (local.get 0)))
          (func (export "three") (param i32) (result i32 i64 f64) (call $three (local.get 0)))
          (func (export "swapped") (param i32 i32) (result i32 i32) (local.get 1) (local.get 0))
          (func (export "through_a_loop") (param i32 i32) (result i32 i32)
            (local $n i32)
            (local.set $n (i32.const 3))
            (local.get 0) (local.get 1)
            (loop $l (param i32 i32) (result i32 i32)
              (local.set 0) (local.set 1)
              (local.get 0) (local.get 1)
              (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"""
    ).exports
    assert exports.three(-5) == (-4, -5, -5.0)
    assert exports.swapped(1, 2) == (2, 1)
    assert exports.through_a_loop(1, 2) == (2, 1)


def test_operands_are_evaluated_in_order(instantiate: Instantiate) -> None:
    order: list[int] = []

    def note(number: int) -> int:
        order.append(number)
        return number

    exports = instantiate(
        """(module (import "host" "note" (func $note (param i32) (result i32)))
          (memory (export "memory") 1) (global $g (mut i32) (i32.const 100))
          (func $set (param i32) (result i32) (global.set $g (local.get 0)) (local.get 0))
          (func (export "nested") (result i32)
            (i32.sub (i32.mul (call $note (i32.const 1)) (call $note (i32.const 2)))
                     (select (call $note (i32.const 3)) (call $note (i32.const 4)) (call $note (i32.const 0)))))
          (func (export "store") (i32.store (call $note (i32.const 8)) (call $note (i32.const 9))))
          (func (export "global") (result i32) (i32.sub (global.get $g) (call $set (i32.const 1))))
          (func (export "local") (param i32) (result i32)
            (i32.sub (local.get 0) (local.tee 0 (i32.add (local.get 0) (i32.const 5)))))
          (func (export "memory_read") (result i32)
            (i32.store (i32.const 0) (i32.const 50))
            (i32.load (i32.const 0)) (i32.store (i32.const 0) (i32.const 1)) (i32.load (i32.const 0)) i32.sub)
          (func (export "dropped") (drop (call $note (i32.const 5))) (drop (i32.const 1))))""",
        {"host": {"note": note}},
    ).exports
    assert exports.nested() == 2 - 4
    assert order == [1, 2, 3, 4, 0]
    order.clear()
    exports.store()
    assert order == [8, 9]
    assert exports.memory[8:12] == b"\x09\0\0\0"
    assert exports["global"]() == 99
    assert exports.local(1) == -5
    assert exports.memory_read() == 49
    order.clear()
    exports.dropped()
    assert order == [5]


INDIRECT = """
(module
  (type $unary (func (param i32) (result i32)))
  (table (export "table") 6 funcref)
  (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func $nothing)
  (elem (i32.const 0) $double $nothing)
  (func (export "call") (param i32 i32) (result i32) (call_indirect (type $unary) (local.get 1) (local.get 0))))
"""


@pytest.mark.parametrize(
    ("element", "kind"),
    [
        (1, TrapKind.INDIRECT_CALL_TYPE_MISMATCH),
        (2, TrapKind.UNINITIALIZED_ELEMENT),
        (6, TrapKind.TABLE_OUT_OF_BOUNDS),
        (-1, TrapKind.TABLE_OUT_OF_BOUNDS),
    ],
)
def test_indirect_calls(instantiate: Instantiate, element: int, kind: TrapKind) -> None:
    exports = instantiate(INDIRECT).exports
    assert exports.call(0, 21) == 42
    with pytest.raises(Trap) as caught:
        exports.call(element, 21)
    assert caught.value.kind is kind


def test_a_mismatch_names_both_types(instantiate: Instantiate) -> None:
    with pytest.raises(Trap, match=r"is of type \[\] -> \[\], expected \[i32\] -> \[i32\]"):
        instantiate(INDIRECT).exports.call(1, 1)


def test_host_functions_in_tables(instantiate: Instantiate, runtime: wasmine.Runtime) -> None:
    exports = instantiate(INDIRECT).exports

    def negate(number: wasmine.i32) -> wasmine.i32:
        return -number

    exports.table[3] = runtime.function(negate)
    assert exports.call(3, 5) == -5


def test_import_chains_end_at_the_function_itself(instantiate: Instantiate, runtime: wasmine.Runtime) -> None:
    instantiate('(module (func (export "f") (result i32) (i32.const 7)))', name="m0")
    for i in range(1, 30):
        text = f'(module (import "m{i - 1}" "f" (func (result i32))) (export "f" (func 0)))'
        instantiate(text, name=f"m{i}")
    last = instantiate(
        """(module (import "m29" "f" (func $f (result i32)))
          (func (export "twice") (result i32) (i32.add (call $f) (call $f))))"""
    )
    assert last.exports.twice() == 14
    assert runtime["m29"].exports.f is runtime["m0"].exports.f


def test_a_function_called_before_it_was_lowered_is_called_directly_afterwards(instantiate: Instantiate) -> None:
    provider = instantiate('(module (func (export "f") (param i32) (result i32) (local.get 0)))', name="provider")
    user = instantiate(
        """(module (import "provider" "f" (func $f (param i32) (result i32)))
          (func (export "g") (result i32) (call $f (i32.const 3))))"""
    )
    assert user.exports.g() == 3
    assert user.code.namespace["f0"] is provider.exports.f.code  # type: ignore[attr-defined]


# ---------------------------------------------------------------------------------------------------- depth


def test_deep_recursion_works(instantiate: Instantiate) -> None:
    assert instantiate(DEEP).exports.deep(WASM_FRAMES - 100) == WASM_FRAMES - 100


def test_endless_recursion_is_a_trap_and_the_limit_is_restored(instantiate: Instantiate) -> None:
    limit = sys.getrecursionlimit()
    exports = instantiate(DEEP).exports
    for _ in range(3):
        with pytest.raises(Trap) as caught:
            exports.endless()
        assert caught.value.kind is TrapKind.STACK_OVERFLOW
        assert caught.value.frames[0].function == "endless"
        assert sys.getrecursionlimit() == limit
    assert exports.deep(100) == 100


def test_the_limit_that_the_host_sets_meanwhile_stays(instantiate: Instantiate) -> None:
    limit = sys.getrecursionlimit()
    try:
        exports = instantiate(
            '(module (import "host" "f" (func $f)) (func (export "run") (call $f)))',
            {"host": {"f": lambda: sys.setrecursionlimit(5000)}},
        ).exports
        exports.run()
        assert sys.getrecursionlimit() == 5000
    finally:
        sys.setrecursionlimit(limit)


def test_wasm_and_python_calling_each_other_endlessly(instantiate: Instantiate) -> None:
    calls = 0
    exports: Any = None

    def again() -> None:
        nonlocal calls
        calls += 1
        exports.run()

    exports = instantiate(
        '(module (import "host" "again" (func $again)) (func (export "run") (call $again)))', {"host": {"again": again}}
    ).exports
    with pytest.raises(Trap) as caught:
        exports.run()
    assert caught.value.kind is TrapKind.STACK_OVERFLOW
    assert calls == MAX_ENTRIES


def test_a_host_that_swallows_overflows_cannot_crash_the_process(instantiate: Instantiate) -> None:
    attempts = 0
    exports: Any = None

    def again(depth: int) -> int:
        nonlocal attempts
        while attempts < 100_000:
            attempts += 1
            try:
                return int(exports.run(depth))
            except Trap:
                pass
        return depth

    exports = instantiate(
        """(module (import "host" "again" (func $again (param i32) (result i32)))
          (func (export "run") (param i32) (result i32) (call $again (i32.add (local.get 0) (i32.const 1)))))""",
        {"host": {"again": again}},
    ).exports
    assert exports.run(0) == MAX_ENTRIES
    assert attempts == 100_000


def test_threads_recurse_independently(instantiate: Instantiate) -> None:
    limit = sys.getrecursionlimit()
    results: list[object] = []

    def work(exports: wasmine.Exports) -> None:
        results.append(exports.deep(5000))
        try:
            exports.endless()
        except Trap as trap:
            results.append(trap.kind)

    threads = [threading.Thread(target=work, args=(instantiate(DEEP).exports,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == sorted(map(str, [5000, TrapKind.STACK_OVERFLOW] * 4))
    assert sys.getrecursionlimit() == limit
