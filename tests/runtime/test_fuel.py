"""Fuel: what docs/limits.md says."""

from __future__ import annotations

import pytest

import wasmine
from wasmine import Limits, Module, OutOfFuel, Runtime, UnsupportedFeature
from wasmine.compiler.availability import unavailable

PLENTY = 1_000_000

GUEST = Module("""(module
  (global $done (export "done") (mut i32) (i32.const 0))
  (func $one (export "one") (result i32) (i32.const 1))
  (func (export "unreachable end") (result i32) (return (i32.const 1)) (drop (i32.const 2)) (i32.const 3))
  (func (export "branches") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.add (i32.const 1) (i32.const 2)))))
  (func (export "calls") (result i32) (i32.add (call $one) (call $one)))
  (func (export "loop") (param i32)
    (loop $again (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "nested") (param i32) (local i32)
    (loop $outer
      (local.set 1 (i32.const 2))
      (loop $inner (br_if $inner (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
      (br_if $outer (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func $tail (export "tail") (param i32)
    (if (local.get 0) (then (return_call $tail (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "spin") (loop $again (br $again)))
  (func (export "steps")
    (loop $again (global.set $done (i32.add (global.get $done) (i32.const 1))) (br $again))))""")


def guest(fuel: int = PLENTY) -> wasmine.Instance:
    return Runtime("interpreter", limits=Limits(fuel=fuel)).instantiate(GUEST)


@pytest.mark.parametrize(
    ("name", "arguments", "cost"),
    [
        ("one", (), 1 + 1),
        ("unreachable end", (), 1 + 2),
        ("branches", (0,), 1 + 6),
        ("branches", (1,), 1 + 6),
        ("calls", (), 1 + 3 + 2 * 2),
        ("loop", (1,), 1 + 1 + 6),
        ("loop", (10,), 1 + 1 + 10 * 6),
        ("nested", (1,), 2 + 9 + 2 * 6),
        ("nested", (5,), 2 + 5 * (9 + 2 * 6)),
        ("tail", (0,), 7),
        ("tail", (100,), 101 * 7),
    ],
)
def test_what_a_call_costs(name: str, arguments: tuple[int, ...], cost: int) -> None:
    instance = guest()
    for calls in (1, 2):
        instance.exports[name](*arguments)
        assert instance.fuel == PLENTY - calls * cost


def test_a_guest_without_fuel_ends_and_goes_on_with_more() -> None:
    instance = guest(2 + 10 * 6 + 5)
    with pytest.raises(OutOfFuel, match="5 units are left, and what comes next takes 6"):
        instance.exports.steps()
    assert (instance.fuel, instance.exports.done.value) == (5, 10)
    with pytest.raises(OutOfFuel):
        instance.exports.spin()
    instance.fuel = 100
    assert instance.exports.one() == 1
    assert instance.fuel == 98


def test_each_instance_pays_for_itself() -> None:
    runtime = Runtime("interpreter")
    rich = runtime.instantiate(GUEST, name="rich", limits=Limits(fuel=PLENTY))
    other = '(module (import "rich" "one" (func $one (result i32))) (func (export "f") (result i32) (call $one)))'
    caller = runtime.instantiate(other, limits=Limits(fuel=2))
    assert caller.exports.f() == 1
    assert (caller.fuel, rich.fuel) == (0, PLENTY - 2)
    with pytest.raises(OutOfFuel):
        caller.exports.f()
    assert rich.fuel == PLENTY - 2


def test_without_fuel_nothing_is_counted() -> None:
    instance = Runtime("interpreter").instantiate(GUEST)
    assert instance.fuel is None
    with pytest.raises(ValueError, match="made without fuel"):
        instance.fuel = 5


def test_fuel_is_not_negative() -> None:
    with pytest.raises(ValueError, match="fuel must not be negative"):
        guest().fuel = -1


def test_traps_say_where_as_without_fuel() -> None:
    text = """(module (memory 1) (func (export "f") (param i32) (result i32)
      (loop $again (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (i32.load (i32.const 70000))))"""
    frames = []
    for limits in (Limits(), Limits(fuel=PLENTY)):
        with pytest.raises(wasmine.Trap) as caught:
            Runtime("interpreter", limits=limits).instantiate(text).exports.f(3)
        frames.append([(frame.function, frame.offset) for frame in caught.value.frames])
    assert frames[0] == frames[1]


@pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "never")
def test_the_compiler_has_no_fuel() -> None:
    with pytest.raises(UnsupportedFeature, match="the compiler engine does not count fuel"):
        Runtime("compiler", limits=Limits(fuel=1)).instantiate(GUEST)


def test_fuel_decides_for_an_engine_that_counts_it() -> None:
    instance = Runtime(limits=Limits(fuel=PLENTY)).instantiate(GUEST)
    instance.exports.one()
    assert instance.fuel == PLENTY - 2
