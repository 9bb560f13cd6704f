"""Objects that wasm code refers to live as long as it may, and no longer."""

from __future__ import annotations

import gc
import random
import signal
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import wasmine
from wasmine.compiler import references
from wasmine.compiler.machine import python
from wasmine.compiler.references import _PATIENCE
from wasmine.format.types import EXTERNREF
from wasmine.runtime.gil import FREE_THREADED

if TYPE_CHECKING:
    from collections.abc import Callable

kept = pytest.mark.skipif(FREE_THREADED or not python.host().native, reason="the compiler keeps them: docs/limits.md")
MANY = 5 * _PATIENCE


class Thing:
    """What wasm code refers to."""

    def __init__(self, number: int) -> None:
        self.number = number


class Things:
    """Makes things, and knows which live."""

    def __init__(self) -> None:
        self.living: weakref.WeakSet[Thing] = weakref.WeakSet()
        self.made = 0

    def make(self) -> Thing:
        self.made += 1
        thing = Thing(self.made)
        self.living.add(thing)
        return thing


@pytest.fixture
def things() -> Things:
    return Things()


GUEST = """(module
  (import "host" "make" (func $make (result externref)))
  (import "host" "churn" (func $churn))
  (import "host" "number" (func $number (param externref) (result i32)))
  (tag $e (param i32))
  (table $t (export "table") 16 externref)
  (global $g (export "global") (mut externref) (ref.null extern))
  (func (export "take") (param externref))
  (func (export "call make") (param $n i32)
    (loop $again (drop (call $make)) (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "keep in table") (param $at i32) (table.set (local.get $at) (call $make)))
  (func (export "keep in global") (global.set $g (call $make)))
  (func (export "keep in local") (result i32 i32) (local $a externref) (local $b externref)
    (local.set $a (call $make)) (local.set $b (call $make))
    (call $churn)
    (call $number (local.get $a)) (call $number (local.get $b)))
  (func (export "keep on stack") (result i32 i32)
    (call $make) (call $churn) (call $number) (call $make) (call $churn) (call $number))
  (func (export "return one") (result externref) (call $make))
  (func (export "pass on") (param externref) (result externref) (call $churn) (local.get 0))
  (func $down (export "down") (param $n i32) (param $x externref) (result i32)
    (if (result i32) (local.get $n)
      (then (i32.add (call $down (i32.sub (local.get $n) (i32.const 1)) (call $make)) (call $number (local.get $x))))
      (else (call $churn) (call $number (local.get $x)))))
  (func (export "throw") (param $n i32)
    (loop $again
      (block $caught (result exnref)
        (try_table (catch_all_ref $caught) (throw $e (local.get $n)))
        unreachable)
      drop
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "keep exception") (result i32) (local $x exnref)
    (block $caught (result exnref) (try_table (catch_all_ref $caught) (throw $e (i32.const 77))) unreachable)
    local.set $x
    (call $churn)
    (block $again (result i32) (try_table (catch $e $again) (throw_ref (local.get $x))) unreachable)))"""


@pytest.fixture
def guest(engine: str, things: Things) -> Any:
    runtime = wasmine.Runtime(engine)

    def churn() -> None:
        take = instance.exports.take
        for _ in range(MANY):
            take(things.make())
        gc.collect()

    instance = runtime.instantiate(
        GUEST,
        {"host": {"make": things.make, "churn": churn, "number": lambda thing: -1 if thing is None else thing.number}},
    )
    return instance.exports


@kept
@pytest.mark.parametrize("way", ["argument", "result"])
def test_what_nobody_has_is_given_back(guest: Any, things: Things, way: str) -> None:
    if way == "argument":
        for _ in range(MANY):
            guest.take(things.make())
    else:
        guest["call make"](MANY)
    assert things.made == MANY
    assert len(things.living) <= 3 * _PATIENCE


@kept
def test_exceptions_are_given_back(guest: Any) -> None:
    guest.throw(1)
    before = len(gc.get_objects())
    guest.throw(MANY)
    assert len(gc.get_objects()) - before <= 3 * _PATIENCE


def test_what_a_table_and_a_global_have_stays(guest: Any, things: Things) -> None:
    numbers = []
    for at in range(16):
        guest["keep in table"](at)
        numbers.append(things.made)
    guest["keep in global"]()
    numbers.append(things.made)
    for _ in range(MANY):
        guest.take(things.make())
    assert [thing.number for thing in (*guest.table, guest["global"].value)] == numbers


@pytest.mark.parametrize("name", ["keep in local", "keep on stack"])
def test_what_running_code_has_stays(guest: Any, things: Things, name: str) -> None:
    first, second = guest[name]()
    assert first == 1
    assert second in (2, MANY + 2)


def test_what_callers_have_stays(guest: Any, things: Things) -> None:
    assert guest.down(50, things.make()) == sum(range(1, 52))
    assert things.made == MANY + 51


def test_an_exception_that_running_code_has_stays(guest: Any) -> None:
    assert guest["keep exception"]() == 77


def test_arguments_and_results_are_the_same_objects(guest: Any, things: Things) -> None:
    for _ in range(4):
        thing = things.make()
        assert guest["pass on"](thing) is thing
        number = things.made
        assert guest["return one"]().number == number + 1


def test_what_another_thread_has_stays(engine: str, things: Things) -> None:
    """It is in the middle of a call, where its registers cannot be seen."""
    runtime = wasmine.Runtime(engine)
    inside, go = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        go.wait(60)

    text = """(module (import "host" "make" (func $make (result externref))) (import "host" "wait" (func $wait))
      (import "host" "number" (func $number (param externref) (result i32)))
      (func (export "run") (result i32) (local $x externref)
        (local.set $x (call $make)) (call $wait) (call $number (local.get $x)))
      (func (export "take") (param externref)))"""
    imports = {"host": {"make": things.make, "wait": wait, "number": lambda thing: thing.number}}
    here, there = runtime.instantiate(text, imports), runtime.instantiate(text, imports)
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(there.exports.run()))
    thread.start()
    assert inside.wait(60)
    for _ in range(MANY):
        here.exports.take(things.make())
    go.set()
    thread.join()
    assert results == [1]


# The reference is nowhere but in a register while the loop goes on.
LOOP = """(module
  (memory (export "memory") 1)
  (table $t (export "table") 1 externref)
  (func (export "wait") (result externref) (local $n i32) (local $x externref)
    (local.set $x (table.get (i32.const 0)))
    (table.set (i32.const 0) (ref.null extern))
    (i32.store (i32.const 4) (i32.const 1))
    (loop $again
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.eqz (i32.load (i32.const 0)))))
    (local.get $x))
  (func (export "take") (param externref)))"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_what_interrupted_code_has_in_registers_stays(engine: str, things: Things) -> None:
    runtime = wasmine.Runtime(engine)
    guest, other = (runtime.instantiate(LOOP).exports for _ in range(2))

    def churn(*_: object) -> None:
        if not guest.memory[4]:  # it is not there yet
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            return
        for _ in range(MANY):
            other.take(things.make())
        guest.memory[0] = 1

    before = signal.signal(signal.SIGALRM, churn)
    try:
        guest.table[0] = things.make()
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert guest.wait().number == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_what_another_thread_has_in_registers_stays(engine: str, things: Things) -> None:
    runtime = wasmine.Runtime(engine)
    guest, other = (runtime.instantiate(LOOP).exports for _ in range(2))
    numbers: list[int] = []
    guest.table[0] = things.make()
    thread = threading.Thread(target=lambda: numbers.append(guest.wait().number))
    thread.start()
    while not guest.memory[4]:
        time.sleep(0.001)
    for _ in range(MANY):
        other.take(things.make())
    guest.memory[0] = 1
    thread.join()
    assert numbers == [1]


@kept
def test_a_finalizer_may_pass_objects_again(guest: Any, things: Things) -> None:
    passed = []

    class Finalized:
        def __del__(self) -> None:
            guest.take(things.make())
            passed.append(1)

    for _ in range(MANY):
        guest.take(Finalized())
    assert things.made == len(passed) > MANY // 2


MOVES = """(module
  (import "host" "shared" (table $shared 8 externref))
  (table $t (export "table") 8 externref)
  (global (export "global") (mut externref) (ref.null extern))
  (func (export "swap") (param $at i32) (param $x externref) (result externref) (local $old externref)
    (local.set $old (table.get $t (local.get $at))) (table.set $t (local.get $at) (local.get $x)) (local.get $old))
  (func (export "rotate") (local $first externref)
    (local.set $first (table.get $t (i32.const 0)))
    (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 7))
    (table.set $t (i32.const 7) (global.get 0))
    (global.set 0 (local.get $first)))
  (func (export "exchange") (param $at i32) (param $other i32) (local $x externref)
    (local.set $x (table.get $shared (local.get $other)))
    (table.set $shared (local.get $other) (table.get $t (local.get $at)))
    (table.set $t (local.get $at) (local.get $x))))"""


def test_random_moves(engine: str) -> None:
    """Tables, globals, arguments and results of two instances, against a model that knows numbers only."""
    things = Things()
    chance = random.Random(5)
    runtime = wasmine.Runtime(engine)
    imports = {"host": {"shared": runtime.table(8, element=EXTERNREF)}}
    guests = [runtime.instantiate(MOVES, imports).exports for _ in range(2)]
    model: list[list[int]] = [[0] * 9 for _ in guests]

    def number(thing: Any) -> int:
        return 0 if thing is None else thing.number

    def swap(guest: Any, slots: list[int]) -> None:
        at = chance.randrange(8)
        thing = things.make()
        assert number(guest.swap(at, thing)) == slots[at]
        slots[at] = thing.number

    def rotate(guest: Any, slots: list[int]) -> None:
        guest.rotate()
        slots.append(slots.pop(0))

    def read(guest: Any, slots: list[int]) -> None:
        assert [number(guest.table[at]) for at in range(8)] + [number(guest["global"].value)] == slots

    def write(guest: Any, slots: list[int]) -> None:
        at = chance.randrange(8)
        guest.table[at] = thing = things.make()
        slots[at] = thing.number

    actions: list[Callable[[Any, list[int]], None]] = [swap, swap, swap, rotate, read, write]
    for _ in range(MANY):
        which = chance.randrange(2)
        chance.choice(actions)(guests[which], model[which])
    for guest, slots in zip(guests, model, strict=True):
        read(guest, slots)


def test_threads_move_things_between_tables(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number stays the number of a thing that was put there, and is somewhere once, while others are looked for often."""
    monkeypatch.setattr(references, "_PATIENCE", 16)
    runtime = wasmine.Runtime(engine)
    shared = runtime.table(8, element=EXTERNREF)
    guests = [runtime.instantiate(MOVES, {"host": {"shared": shared}}).exports for _ in range(4)]
    problems: list[object] = []

    def move(guest: Any, seed: int) -> None:
        chance = random.Random(seed)
        own = Things()
        try:
            for turn in range(MANY // 2):
                way = chance.randrange(4)
                if way == 0:
                    old = guest.swap(chance.randrange(8), own.make())
                    if old is not None and type(old) is not Thing:
                        problems.append(old)
                elif way == 1:
                    guest.rotate()
                elif way == 2:
                    guest.exchange(chance.randrange(8), seed * 2 + chance.randrange(2))
                elif turn % 16 == 0:
                    problems.extend(thing for thing in guest.table if thing is not None and type(thing) is not Thing)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=move, args=(guest, seed)) for seed, guest in enumerate(guests)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not problems
    left = [thing for table in (shared, *(guest.table for guest in guests)) for thing in table if thing is not None]
    assert {type(thing) for thing in left} == {Thing}
    assert len(set(map(id, left))) == len(left)
