"""Calls: arguments, results, what survives them, tail calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wasmine

Agree = Callable[[Any], Callable[..., Any]]


def test_locals_survive_calls_of_functions_that_use_all_registers(agree: Agree) -> None:
    locals = range(12)
    busy = "".join(f"(local.set {n} (i32.mul (local.get {n}) (i32.const 3)))" * 3 for n in range(6))
    floats = "".join(f"(local.set {n} (f64.add (local.get {n}) (f64.const 1)))" * 3 for n in range(6, 16))
    sets = "".join(
        f"(local.set {n + 1} (f64.convert_i32_s (i32.mul (local.get 0) (i32.const {n}))))" * 3 for n in locals
    )
    sums = "".join(f"(local.get {n + 1}) f64.add " for n in locals)
    call = agree(f"""(module
        (func $busy (result i32) (local {"i32 " * 6} {"f64 " * 10}) {busy} {floats}
          (i32.trunc_f64_s (local.get 15)))
        (func (export "f") (param i32) (result f64) (local {"f64 " * 12}) {sets}
          (f64.const 0) (f64.convert_i32_s (call $busy)) f64.add {sums} (f64.convert_i32_s (call $busy)) f64.add
          {sums} (f64.convert_i32_s (local.get 0)) f64.add))""")
    assert call("f", 2) == 3 + 3 + 2 * 2 * sum(locals) + 2


def test_vectors_survive_calls_with_all_their_bits(agree: Agree) -> None:
    call = agree("""(module
        (func $g (param f64) (result f64) (local f64 f64)
          (local.set 1 (f64.add (local.get 0) (local.get 1))) (local.set 2 (f64.mul (local.get 1) (local.get 1)))
          (local.set 1 (f64.add (local.get 1) (local.get 2))) (f64.sqrt (f64.add (local.get 1) (local.get 2))))
        (func (export "f") (param i64) (result i64) (local v128 v128)
          (local.set 1 (i64x2.splat (local.get 0))) (local.set 1 (i64x2.add (local.get 1) (local.get 1)))
          (local.set 2 (i64x2.sub (local.get 1) (v128.const i64x2 1 2)))
          (drop (call $g (f64.const 2)))
          (local.set 1 (i64x2.add (local.get 1) (local.get 2)))
          (i64x2.extract_lane 1 (local.get 1))))""")
    assert call("f", 10) == 38


def test_arguments_of_every_type_and_many_results(agree: Agree) -> None:
    call = agree("""(module
        (func $g (param i32 v128 f32 i64 v128 f64) (result f64 v128 i64 v128 i32)
          (f64.add (local.get 5) (f64.promote_f32 (local.get 2)))
          (local.get 4) (local.get 3) (local.get 1) (local.get 0))
        (func (export "f") (param i32) (result i32 i64) (local i64)
          (i32.const 5)
          (call $g (local.get 0) (i64x2.splat (i64.const 3)) (f32.const 1.5) (i64.const 4)
            (i64x2.splat (i64.const 50)) (f64.const 2.5))
          (local.set 1 (i64.extend_i32_s))
          (local.set 1 (i64.add (i64x2.extract_lane 1) (local.get 1)))
          (local.set 1 (i64.add (local.get 1)))
          (local.set 1 (i64.add (i64x2.extract_lane 0) (local.get 1)))
          (i64.add (i64.trunc_f64_s) (local.get 1))))""")
    assert call("f", 7) == (5, 7 + 3 + 4 + 50 + 4)


def test_tail_calls_take_no_stack(agree: Agree) -> None:
    call = agree("""(module
        (type $t (func (param i64 i64 i64) (result i64)))
        (table funcref (elem $even $odd))
        (elem declare func $even)
        (func $even (export "even") (type $t)
          (if (i64.eqz (local.get 0)) (then (return (i64.const 1))))
          (return_call $odd (i64.sub (local.get 0) (i64.const 1)) (local.get 2) (local.get 1)))
        (func $odd (type $t) (local f64 f64)
          (local.set 3 (f64.add (local.get 3) (f64.const 1))) (local.set 4 (f64.mul (local.get 3) (local.get 3)))
          (local.set 3 (f64.add (local.get 3) (local.get 4))) (local.set 4 (f64.mul (local.get 3) (local.get 3)))
          (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
          (if (i64.eqz (i64.rem_u (local.get 0) (i64.const 3)))
            (then (return_call_ref $t
              (i64.sub (local.get 0) (i64.const 1)) (local.get 2) (local.get 1) (ref.func $even))))
          (return_call_indirect (type $t) (i64.sub (local.get 0) (i64.const 1)) (local.get 2) (local.get 1)
            (i32.const 0))))""")
    assert call("even", 30_000, 5, 6) == 1
    assert call("even", 30_001, 5, 6) == 6


def test_a_tail_call_with_more_arguments_than_the_caller_has_locals(agree: Agree) -> None:
    many = range(1, 13)
    call = agree(f"""(module
        (func $g (param {"f64 " * len(many)}) (result f64) (f64.const 0)
          {"".join(f"(f64.mul (f64.const {n}) (local.get {n - 1})) f64.add " for n in many)})
        (func (export "f") (param f64) (result f64) (local f64 f64)
          (local.set 1 (f64.add (local.get 0) (local.get 0))) (local.set 2 (f64.add (local.get 1) (local.get 1)))
          (local.set 1 (f64.add (local.get 1) (local.get 2))) (drop (call $h (local.get 1)))
          (local.set 2 (f64.add (local.get 1) (local.get 2)))
          (return_call $g {"".join(f"(f64.add (local.get {n % 3}) (f64.const {n}))" for n in many)}))
        (func $h (param f64) (result f64) (local.get 0)))""")
    call("f", 0.5)


def test_indirect_calls_check_what_they_find(agree: Agree) -> None:
    call = agree("""(module
        (rec (type $base (sub (func (param i32) (result i32)))))
        (rec (type $derived (sub $base (func (param i32) (result i32)))))
        (type $other (func (result i32)))
        (table $t 4 funcref)
        (elem (i32.const 0) $a $b $c)
        (func $a (type $base) (i32.add (local.get 0) (i32.const 1)))
        (func $b (type $derived) (i32.add (local.get 0) (i32.const 2)))
        (func $c (type $other) (i32.const 3))
        (func (export "base") (param i32) (result i32) (call_indirect (type $base) (i32.const 10) (local.get 0)))
        (func (export "derived") (param i32) (result i32)
          (call_indirect (type $derived) (i32.const 10) (local.get 0)))
        (func (export "other") (param i32) (result i32) (call_indirect (type $other) (local.get 0))))""")
    assert [str(call("base", n)) for n in range(5)] == [
        "11",
        "12",
        *map(str, ("TrapKind.INDIRECT_CALL_TYPE_MISMATCH", "TrapKind.UNINITIALIZED_ELEMENT")),
        "TrapKind.TABLE_OUT_OF_BOUNDS",
    ]
    assert call("derived", 0).name == "INDIRECT_CALL_TYPE_MISMATCH"
    assert (call("derived", 1), call("other", 2)) == (12, 3)


def test_locals_survive_calls_of_python(compiler: str) -> None:
    """C functions keep fewer registers than compiled functions do."""
    with wasmine.Runtime(compiler) as runtime:
        instance = runtime.instantiate(
            """(module (import "" "h" (func $h (param f64 i32) (result f64))) (memory 1)
            (func (export "f") (param i32) (result f64) (local f64 f64 f64 f64 f64 f64 f64 i32 i32 i32)
              (local.set 1 (f64.const 1)) (local.set 2 (f64.const 2)) (local.set 3 (f64.const 3))
              (local.set 4 (f64.const 4)) (local.set 5 (f64.const 5)) (local.set 6 (f64.const 6))
              (local.set 7 (f64.const 7)) (local.set 8 (i32.const 8)) (local.set 9 (i32.const 9))
              (local.set 10 (i32.const 10))
              (loop $l
                (local.set 1 (f64.add (local.get 1) (call $h (local.get 2) (local.get 8))))
                (drop (memory.grow (i32.const 0)))
                (local.set 7 (f64.add (local.get 7) (f64.add (local.get 6) (f64.add (local.get 5)
                  (f64.add (local.get 4) (f64.add (local.get 3) (local.get 2)))))))
                (local.set 10 (i32.add (local.get 10) (i32.add (local.get 9) (local.get 8))))
                (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
              (f64.add (f64.convert_i32_s (local.get 10)) (f64.add (local.get 1) (local.get 7)))))""",
            {"": {"h": lambda x, n: sum((x * 0.5 + i) * 0 for i in range(50)) + x + n}},
        )
        assert instance.exports.f(3) == 1 + 3 * 10 + 7 + 3 * 20 + 10 + 3 * 17


@pytest.mark.parametrize("locals", [0, 3000])
def test_endless_recursion_is_a_trap(agree: Agree, locals: int) -> None:
    call = agree(f"""(module (func $f (export "f") (param i32) (result i32) (local {"i64 " * locals})
        (i32.add (i32.const 1) (call $f (local.get 0)))))""")
    assert call("f", 1).name == "STACK_OVERFLOW"
    assert call("f", 1).name == "STACK_OVERFLOW"
