"""`ref.func`: asked for once, then read from the context."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wasmine
from wasmine.compiler.code import Service

Agree = Callable[[str], Callable[..., Any]]

# Everything is busy around it: locals in registers, operands in registers and pending, blocks, a handler.
BUSY = """(module (memory 1)
  (type $binary (func (param i32 i32) (result i32)))
  (elem declare func $add $subtract)
  (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
  (func $subtract (type $binary) (i32.sub (local.get 0) (local.get 1)))
  (func (export "busy") (param $a i32) (param $b f64) (result f64) (local $f (ref null $binary)) (local $i i32)
    (loop $again
      (local.set $f (if (result (ref $binary)) (i32.and (local.get $i) (i32.const 1))
        (then (ref.func $add)) (else (ref.func $subtract))))
      (local.set $a (i32.add (i32.mul (local.get $a) (i32.const 3))
        (call_ref $binary (i32.xor (local.get $a) (i32.const 77)) (local.get $i) (local.get $f))))
      (local.set $b (f64.add (f64.mul (local.get $b) (f64.const 0.5))
        (select (f64.const 1) (f64.const 2) (ref.is_null (ref.func $add)))))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 9))))
    (f64.add (local.get $b) (f64.convert_i32_s (local.get $a))))
  (tag $t (param i32))
  (func (export "guarded") (param $a i32) (result i32)
    (block $caught (result i32)
      (try_table (catch $t $caught)
        (drop (ref.func $subtract))
        (throw $t (call_ref $binary (local.get $a) (i32.load (i32.const 0)) (ref.func $add))))
      (unreachable))))"""


def test_it_disturbs_nothing(agree: Agree) -> None:
    call = agree(BUSY)
    for a in (0, 1, -5, 123456789):
        for b in (0.0, 1.5, -1e300):
            assert isinstance(call("busy", a, b), float | bytes)
        assert call("guarded", a) == a


def test_it_is_one_object_whoever_asks(compiler: Any) -> None:
    text = """(module (elem declare func $f) (func $f (export "f"))
      (func (export "first") (result funcref) (ref.func $f)) (func (export "second") (result funcref) (ref.func $f)))"""
    runtime = wasmine.Runtime(compiler)
    one, other = runtime.instantiate(text).exports, runtime.instantiate(text).exports
    assert one.first() is one.second() is one.first() is one.f
    assert other.second() is other.f is not one.f


def test_python_is_asked_once(compiler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = wasmine.Runtime(compiler)
    instance = runtime.instantiate("""(module (elem declare func $f) (func $f (export "f"))
      (func (export "many") (param i32) (loop $l (drop (ref.func $f))
        (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))""")
    engine: Any = runtime.engine
    asked: list[int] = []
    table = engine.services._table
    usual = table[Service.REF_FUNC]
    monkeypatch.setitem(table, Service.REF_FUNC, lambda *arguments: (asked.append(1), usual(*arguments)))
    instance.exports.many(1000)
    instance.exports.many(1000)
    assert len(asked) == 1
