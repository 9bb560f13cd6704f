"""Fuel: what docs/limits.md says, on both engines."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TypeAlias

import pytest

import wasmine
from wasmine import Limits, Module, OutOfFuel, Runtime

PLENTY = 1_000_000

Guest: TypeAlias = Callable[..., wasmine.Instance]

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
  (func (export "switch") (param i32)
    (loop $again
      (block $one (block $zero (br_table $zero $one $again (local.get 0))) (local.set 0 (i32.const 3)) (return))
      (local.set 0 (i32.const 0))
      (br $again)))
  (func $tail (export "tail") (param i32)
    (if (local.get 0) (then (return_call $tail (i32.sub (local.get 0) (i32.const 1))))))
  (tag $thrown (param i32))
  (func $throws (param i32) (throw $thrown (local.get 0)))
  (func (export "catches") (param i32) (result i32)
    (loop $again (result i32)
      (block $caught (result i32)
        (try_table (catch $thrown $caught) (call $throws (i32.sub (local.get 0) (i32.const 1))))
        (unreachable))
      (local.tee 0)
      (br_if $again (local.get 0))))
  (func (export "spin") (loop $again (br $again)))
  (func (export "steps")
    (loop $again (global.set $done (i32.add (global.get $done) (i32.const 1))) (br $again))))""")


@pytest.fixture
def guest(engine: str) -> Guest:
    """An instance of GUEST, or of another module, with fuel."""

    def make(fuel: int = PLENTY, source: Module | str = GUEST, imports: object = None) -> wasmine.Instance:
        return Runtime(engine, limits=Limits(fuel=fuel)).instantiate(source, imports)  # type: ignore[arg-type]

    return make


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
        ("switch", (0,), 2 + 11),
        ("switch", (1,), 2 + 2 * 11),
        ("tail", (0,), 7),
        ("tail", (100,), 101 * 7),
        ("catches", (1,), 2 + 11 + 3),
        ("catches", (4,), 2 + 4 * (11 + 3)),
    ],
)
def test_what_a_call_costs(guest: Guest, name: str, arguments: tuple[int, ...], cost: int) -> None:
    instance = guest()
    for calls in (1, 2):
        instance.exports[name](*arguments)
        assert instance.fuel == PLENTY - calls * cost


def test_a_guest_without_fuel_ends_and_goes_on_with_more(guest: Guest) -> None:
    instance = guest(2 + 10 * 6 + 5)
    with pytest.raises(OutOfFuel, match="5 units are left, and what comes next takes 6"):
        instance.exports.steps()
    assert (instance.fuel, instance.exports.done.value) == (5, 10)
    with pytest.raises(OutOfFuel):
        instance.exports.spin()
    instance.fuel = 100
    assert instance.exports.one() == 1
    assert instance.fuel == 98


def test_the_last_unit_is_of_use(guest: Guest) -> None:
    instance = guest(2)
    assert instance.exports.one() == 1
    assert instance.fuel == 0
    with pytest.raises(OutOfFuel, match="0 units are left, and what comes next takes 2"):
        instance.exports.one()


@pytest.mark.parametrize("plenty", [(1 << 32) + 5, 1 << 63, (1 << 64) - 1, 1 << 64, 1 << 80])
def test_there_is_no_upper_limit(guest: Guest, plenty: int) -> None:
    instance = guest(plenty)
    instance.exports.calls()
    assert instance.fuel == plenty - 8


def test_each_instance_pays_for_itself(engine: str) -> None:
    runtime = Runtime(engine)  # type: ignore[arg-type]
    rich = runtime.instantiate(GUEST, name="rich", limits=Limits(fuel=PLENTY))
    other = '(module (import "rich" "one" (func $one (result i32))) (func (export "f") (result i32) (call $one)))'
    caller = runtime.instantiate(other, limits=Limits(fuel=2))
    assert caller.exports.f() == 1
    assert (caller.fuel, rich.fuel) == (0, PLENTY - 2)
    with pytest.raises(OutOfFuel):
        caller.exports.f()
    assert rich.fuel == PLENTY - 2
    # A call from one that counts nothing.
    free = runtime.instantiate(other)
    assert free.exports.f() == 1
    assert (free.fuel, rich.fuel) == (None, PLENTY - 4)
    rich.fuel = 1
    with pytest.raises(OutOfFuel, match="1 units are left"):
        free.exports.f()


def test_the_start_function_pays(guest: Guest) -> None:
    text = """(module (import "host" "note" (func $note)) (func $start (call $note) (loop $again (br $again)))
      (start $start))"""
    notes: list[int] = []
    with pytest.raises(OutOfFuel, match="0 units are left, and what comes next takes 2"):
        guest(3 + 10 * 2, text, {"host": {"note": lambda: notes.append(1)}})
    assert notes == [1]


def test_a_host_function_can_refill_and_run_out_in_between(guest: Guest) -> None:
    text = """(module (import "host" "refill" (func $refill))
      (func (export "work") (loop $again (call $refill) (br $again)))
      (func (export "leaf")))"""
    seen: list[int | None] = []

    def refill(caller: wasmine.Caller) -> None:
        instance = caller.instance
        seen.append(instance.fuel)
        if len(seen) == 3:
            instance.exports.leaf()  # it pays too
            assert instance.fuel == 0
            with pytest.raises(OutOfFuel):
                instance.exports.leaf()
            return
        instance.fuel = 4

    instance = guest(5, text, {"host": {"refill": refill}})
    with pytest.raises(OutOfFuel):
        instance.exports.work()
    assert seen == [0, 1, 1]


def test_out_of_fuel_is_not_caught_by_the_guest(guest: Guest) -> None:
    text = """(module (func $spin (loop $again (br $again)))
      (func (export "f") (block $caught (try_table (catch_all $caught) (call $spin)))))"""
    with pytest.raises(OutOfFuel):
        guest(100, text).exports.f()


def test_out_of_fuel_says_where(guest: Guest) -> None:
    text = """(module (import "host" "call" (func $call))
      (func $inner (export "inner") (loop $again (br $again)))
      (func (export "outer") nop (call $call)))"""

    def call(caller: wasmine.Caller) -> None:
        caller.instance.exports.inner()

    instance = guest(20, text, {"host": {"call": call}})
    with pytest.raises(OutOfFuel) as caught:
        instance.exports.outer()
    assert [frame.function for frame in caught.value.frames] == ["inner", "outer"]
    assert "wasm stack" in str(caught.value)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.reason, copy.frames) == (caught.value.reason, caught.value.frames)


def stopped(engine: str, fuel: int, name: str) -> tuple[object, ...]:
    """How an export, called again and again, comes to its end."""
    instance = Runtime(engine, limits=Limits(fuel=fuel)).instantiate(GUEST)  # type: ignore[arg-type]
    try:
        while True:
            instance.exports[name](*(9,) * (name in ("nested", "tail")))
    except OutOfFuel as error:
        return instance.fuel, error.reason, error.frames[0]


@pytest.mark.parametrize("fuel", [0, 1, 4, 20, 60, 61, 70])
@pytest.mark.parametrize("name", ["nested", "spin", "tail", "calls"])
def test_both_engines_stop_at_the_same_place(compiler: str, fuel: int, name: str) -> None:
    assert stopped("interpreter", fuel, name) == stopped(compiler, fuel, name)


def test_without_fuel_nothing_is_counted(engine: str) -> None:
    instance = Runtime(engine).instantiate(GUEST)  # type: ignore[arg-type]
    assert instance.fuel is None
    with pytest.raises(ValueError, match="made without fuel"):
        instance.fuel = 5


def test_one_module_has_instances_with_fuel_and_without(engine: str) -> None:
    runtime = Runtime(engine)  # type: ignore[arg-type]
    free, metered = runtime.instantiate(GUEST), runtime.instantiate(GUEST, limits=Limits(fuel=50))
    for instance in (free, metered, free, metered):
        instance.exports.loop(3)
    assert (free.fuel, metered.fuel) == (None, 50 - 2 * (2 + 3 * 6))


def test_fuel_is_not_negative(guest: Guest) -> None:
    with pytest.raises(ValueError, match="fuel must not be negative"):
        guest().fuel = -1


def test_traps_say_where_as_without_fuel(engine: str) -> None:
    text = """(module (memory 1) (func (export "f") (param i32) (result i32)
      (loop $again (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (i32.load (i32.const 70000))))"""
    frames = []
    for limits in (Limits(), Limits(fuel=PLENTY)):
        with pytest.raises(wasmine.Trap) as caught:
            Runtime(engine, limits=limits).instantiate(text).exports.f(3)  # type: ignore[arg-type]
        frames.append([(frame.function, frame.offset) for frame in caught.value.frames])
    assert frames[0] == frames[1]


def test_fuel_does_not_decide_for_an_engine() -> None:
    engines = []
    for limits in (Limits(), Limits(fuel=PLENTY)):
        with Runtime(limits=limits) as runtime:
            runtime.instantiate(GUEST).exports.one()
            engines.append(runtime.engine.name)
    assert engines[0] == engines[1]


def test_fuel_that_is_counted_cannot_be_none(guest: Guest) -> None:
    instance = guest(10)
    with pytest.raises(TypeError, match="the fuel must be a number, found None"):
        instance.fuel = None
    assert instance.fuel == 10
