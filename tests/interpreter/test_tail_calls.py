"""Tail calls need no stack: to itself, to others, through tables and references, across instances, to the host."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import wasmine
from wasmine import Trap, TrapKind

Instantiate = Callable[..., wasmine.Instance]
MANY = 50_000  # several times as many as ordinary calls could be nested

TAILS = """
(module
  (type $count (func (param i32 i32) (result i32)))
  (table (export "table") 4 funcref)
  (elem (i32.const 0) $even $odd)
  (elem declare func $by_reference)
  (func $itself (export "itself") (param $n i32) (param $sum i32) (result i32) (local $fresh i32)
    (local.set $fresh (i32.add (local.get $fresh) (i32.const 1)))
    (if (i32.eqz (local.get $n)) (then (return (i32.add (local.get $sum) (local.get $fresh)))))
    (block (loop (return_call $itself (i32.sub (local.get $n) (i32.const 1)) (i32.add (local.get $sum) (i32.const 2)))))
    (unreachable))
  (func $even (export "even") (param i32 i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
      (else (return_call $odd (i32.sub (local.get 0) (i32.const 1)) (local.get 1)))))
  (func $odd (param i32 i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
      (else (return_call $even (i32.sub (local.get 0) (i32.const 1)) (local.get 1)))))
  (func (export "indirect") (param i32 i32) (result i32)
    (return_call_indirect (type $count) (local.get 0) (local.get 1) (i32.and (local.get 0) (i32.const 1))))
  (func $by_reference (export "by_reference") (param i32 i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call_ref $count (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 3))
      (ref.func $by_reference)))
  (func (export "twice") (param i32) (result i32)
    (i32.add (call $even (local.get 0) (i32.const 0)) (call $even (i32.add (local.get 0) (i32.const 1)) (i32.const 0))))
  (func (export "null") (param i32) (result i32) (return_call_indirect (type $count) (i32.const 1) (i32.const 2) (local.get 0))))
"""


def test_constant_stack(instantiate: Instantiate) -> None:
    exports = instantiate(TAILS).exports
    assert exports.itself(MANY, 0) == 2 * MANY + 1
    assert exports.even(MANY, 0) == 1
    assert exports.even(MANY + 1, 0) == 0
    assert exports.indirect(MANY, 0) == 1
    assert exports.by_reference(MANY, 0) == 3 * MANY
    assert exports.twice(1000) == 1


@pytest.mark.parametrize(("element", "kind"), [(2, TrapKind.UNINITIALIZED_ELEMENT), (9, TrapKind.TABLE_OUT_OF_BOUNDS)])
def test_traps(instantiate: Instantiate, element: int, kind: TrapKind) -> None:
    with pytest.raises(Trap) as caught:
        instantiate(TAILS).exports.null(element)
    assert caught.value.kind is kind


def test_across_instances_and_through_a_shared_table(instantiate: Instantiate, runtime: wasmine.Runtime) -> None:
    table = runtime.table(2)
    text = """(module
      (import "host" "table" (table 2 funcref))
      (type $count (func (param i32) (result i32)))
      (func $count (export "count") (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (i32.const {number}))))
        (return_call_indirect (type $count) (i32.sub (local.get 0) (i32.const 1)) (i32.const {other})))
      (elem (i32.const {own}) $count))"""
    first = instantiate(text.format(number=10, own=0, other=1), {"host": {"table": table}})
    instantiate(text.format(number=20, own=1, other=0), {"host": {"table": table}})
    assert first.exports.count(MANY) == 10
    assert first.exports.count(MANY + 1) == 20


def test_an_imported_function_tail_called(instantiate: Instantiate) -> None:
    instantiate(TAILS, name="tails")
    user = instantiate(
        """(module (import "tails" "even" (func $even (param i32 i32) (result i32)))
          (import "host" "add" (func $add (param i32 i32) (result i32)))
          (func (export "even") (param i32) (result i32) (return_call $even (local.get 0) (i32.const 0)))
          (func (export "add") (param i32) (result i32) (return_call $add (local.get 0) (i32.const 1))))""",
        {"host": {"add": lambda a, b: a + b}},
    )
    assert user.exports.even(MANY) == 1
    assert user.exports.add(41) == 42


def test_several_results(instantiate: Instantiate) -> None:
    exports = instantiate(
        """(module
          (func $pair (param i32) (result i32 i32) (local.get 0) (i32.add (local.get 0) (i32.const 1)))
          (func $tail (export "tail") (param i32) (result i32 i32) (return_call $pair (local.get 0)))
          (func (export "sum") (param i32) (result i32) (call $tail (local.get 0)) i32.add))"""
    ).exports
    assert exports.tail(4) == (4, 5)
    assert exports.sum(4) == 9
