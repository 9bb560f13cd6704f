"""Snapshots, clones, and what of an instance they share."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

import wasmine
from wasmine import Limits, LinkError, Runtime, Snapshot, SnapshotError
from wasmine.format.types import I32

STATE = """(module
  (memory (export "memory") 1 4) (table (export "table") 3 8 funcref) (global $n (export "n") (mut i64) (i64.const 5))
  (global $next (export "next") (mut funcref) (ref.func $one)) (data $words "abcd") (elem $both func $one $two)
  (elem (i32.const 0) $one)
  (func $one (export "one") (result i64) (global.get $n))
  (func $two (export "two") (result i64) (i64.mul (global.get $n) (i64.const 2)))
  (func (export "add") (param i64) (global.set $n (i64.add (global.get $n) (local.get 0)))
    (i64.store (i32.const 8) (global.get $n)))
  (func (export "call") (param i32) (result i64) (call_indirect (result i64) (local.get 0)))
  (func (export "change") (drop (memory.grow (i32.const 1))) (drop (table.grow (ref.func $two) (i32.const 2)))
    (table.set (i32.const 1) (ref.func $two)) (global.set $next (ref.func $two)) (elem.drop $both))
  (func (export "load") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "words") (memory.init $words (i32.const 0) (i32.const 0) (i32.const 4)))
  (func (export "forget") (data.drop $words))
  (func (export "both") (table.init $both (i32.const 0) (i32.const 0) (i32.const 2))))"""


def test_a_clone_has_the_state_of_its_source_and_its_own_from_then_on(runtime: Runtime) -> None:
    source = runtime.instantiate(STATE)
    source.exports.add(2)
    source.exports.change()
    source.exports.memory[70_000] = 9
    clone = source.clone()
    assert (clone.exports.one(), clone.exports.load(8), clone.exports.memory[70_000]) == (7, 7, 9)
    assert (clone.exports.memory.size, len(clone.exports.table)) == (2, 5)
    clone.exports.add(10)
    clone.exports.memory[70_000] = 1
    source.exports.memory[70_001] = 3
    assert (source.exports.one(), source.exports.load(8), source.exports.memory[70_000]) == (7, 7, 9)
    assert (clone.exports.one(), clone.exports.load(8), clone.exports.memory[70_001]) == (17, 17, 0)
    assert (clone.exports.memory.grow(2), source.exports.memory.size) == (2, 2)


def test_references_to_own_functions_are_the_clones_own(runtime: Runtime) -> None:
    source = runtime.instantiate(STATE)
    source.exports.change()
    clone = source.clone()
    clone.exports.add(1)
    assert [clone.exports.call(i) for i in (0, 1, 3, 4)] == [6, 12, 12, 12]
    assert [source.exports.call(i) for i in (0, 1)] == [5, 10]
    assert clone.exports.table[0] is clone.exports.one
    assert clone.exports.next.value is clone.exports.two
    assert clone.exports.table[2] is None
    assert source.exports.next.value is source.exports.two


def test_segments_that_were_dropped_are_dropped(runtime: Runtime) -> None:
    source = runtime.instantiate(STATE)
    early = source.snapshot()
    source.exports.change()
    source.exports.forget()
    late = source.snapshot()
    early.clone().exports.both()
    fresh = early.clone()
    fresh.exports.words()
    assert fresh.exports.memory[0:4] == b"abcd"
    for name in ("both", "words"):
        with pytest.raises(wasmine.Trap):
            getattr(late.clone().exports, name)()


def test_a_snapshot_does_not_change_with_its_source_or_its_clones(runtime: Runtime) -> None:
    source = runtime.instantiate(STATE)
    snapshot = source.snapshot()
    for _ in range(5):
        clone = snapshot.clone()
        assert (clone.exports.one(), clone.exports.memory[8]) == (5, 0)
        clone.exports.add(1)
        source.exports.add(1)
        clone.close()
    assert source.exports.one() == 10


def test_a_clone_outlives_its_source_and_the_snapshot(runtime: Runtime) -> None:
    source = runtime.instantiate(STATE)
    source.exports.add(3)
    clone = source.clone()
    source.close()
    del source
    assert (clone.exports.call(0), clone.exports.load(8)) == (8, 8)


def test_the_start_function_is_not_run_again_and_segments_are_not_copied_again(runtime: Runtime) -> None:
    calls: list[int] = []
    source = runtime.instantiate(
        """(module (import "h" "begin" (func $begin)) (memory (export "m") 1) (data (i32.const 0) "x") (start $begin))""",
        {"h": {"begin": lambda: calls.append(1)}},
    )
    source.exports.m[0] = 7
    assert source.clone().exports.m[0] == 7
    assert calls == [1]


IMPORTS = """(module (import "h" "f" (func $f (result i32))) (import "h" "m" (memory 1)) (import "h" "g" (global $g (mut i32)))
  (import "h" "t" (table 1 funcref)) (table $own (export "own") 1 funcref) (elem (table $own) (i32.const 0) func $f)
  (func (export "run") (result i32) (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
    (global.set $g (i32.add (global.get $g) (i32.const 1)))
    (i32.add (call $f) (call_indirect $own (result i32) (i32.const 0)))))"""


def test_what_is_imported_is_shared_unless_something_else_is_given(runtime: Runtime) -> None:
    memory, table = runtime.memory(1), runtime.table(1)
    counter = runtime.global_(I32, 0, mutable=True)
    source = runtime.instantiate(IMPORTS, {"h": {"f": lambda: 1, "m": memory, "g": counter, "t": table}})
    assert source.exports.run() == 2
    clone = source.clone()
    assert clone.exports.run() == 2
    assert (memory[0], counter.value) == (2, 2)
    assert clone.exports.own[0] is source.exports.own[0]
    other = source.clone({"h": {"f": lambda: 10}})
    assert other.exports.run() == 20
    assert (memory[0], counter.value) == (3, 3)


def test_what_is_given_instead_must_fit(runtime: Runtime) -> None:
    source = runtime.instantiate('(module (import "h" "m" (memory 1)))', {"h": {"m": runtime.memory(1)}})
    with pytest.raises(LinkError, match=r"h\.m: incompatible import type"):
        source.clone({"h": {"m": runtime.memory(0)}})


def test_references_to_functions_of_other_instances_stay_what_they_are(runtime: Runtime, engine: Any) -> None:
    other = runtime.instantiate(STATE)
    source = runtime.instantiate(STATE)
    source.exports.table[2] = other.exports.two
    snapshot = source.snapshot()
    assert snapshot.clone().exports.table[2] is other.exports.two
    with pytest.raises(LinkError, match="functions of other instances"):
        Runtime(engine).instantiate(snapshot)


def test_a_snapshot_without_such_references_works_in_any_runtime(runtime: Runtime, engine: Any) -> None:
    source = runtime.instantiate(STATE)
    source.exports.add(4)
    there = Runtime(engine).instantiate(source.snapshot(), name="there")
    assert (there.name, there.exports.call(0)) == ("there", 9)


def test_objects_of_the_host_are_the_same_objects(runtime: Runtime) -> None:
    source = runtime.instantiate(
        '(module (table (export "t") 2 externref) (global (export "g") (mut externref) (ref.null extern)))'
    )
    value = ["anything"]
    source.exports.t[1] = source.exports.g.value = value
    clone = source.clone()
    assert clone.exports.t[1] is clone.exports.g.value is value
    assert clone.exports.t[0] is None


def test_objects_of_the_guest_are_copied_with_what_they_share() -> None:
    source = Runtime("interpreter").instantiate(
        """(module (type $node (struct (field (mut i32)) (field (mut anyref)) (field (mut funcref))))
        (type $list (array (mut anyref)))
        (global $a (export "a") (mut anyref) (ref.null any)) (global $b (export "b") (mut anyref) (ref.null any))
        (table (export "t") 1 anyref) (elem declare func $make)
        (func $make (export "make")
          (global.set $a (struct.new $node (i32.const 7) (ref.null any) (ref.func $make)))
          (struct.set $node 1 (ref.cast (ref $node) (global.get $a)) (global.get $a))
          (global.set $b (array.new $list (global.get $a) (i32.const 3)))
          (table.set (i32.const 0) (global.get $b))))"""
    )
    source.exports.make()
    clone = source.clone()
    node, array = clone.exports.a.value, clone.exports.b.value
    assert node is not source.exports.a.value
    assert node[0] == 7
    assert node[1] is node
    assert node[2] is clone.exports.make
    assert list(array) == [node] * 3
    assert clone.exports.t[0] is array
    assert source.exports.a.value[2] is source.exports.make


def test_numbers_of_every_type_are_kept_bit_by_bit(runtime: Runtime, tmp_path: Any) -> None:
    source = runtime.instantiate(
        """(module (global $a (mut i32) (i32.const -1)) (global $b (mut i64) (i64.const -2)) (global $c (mut f32) (f32.const nan:0x200001))
        (global $d (mut f64) (f64.const nan:0x4000000000001)) (global $e (export "e") (mut v128) (v128.const i64x2 3 -4))
        (func (export "bits") (result i32 i64 i32 i64)
          (global.get $a) (global.get $b) (i32.reinterpret_f32 (global.get $c)) (i64.reinterpret_f64 (global.get $d))))"""
    )
    bits = source.exports.bits()
    assert bits == (-1, -2, 0x7FA00001, 0x7FF4000000000001)
    source.snapshot().save(tmp_path / "state")
    loaded = runtime.instantiate(Snapshot.load(tmp_path / "state", source.module))
    for copy in (source.clone(), loaded):
        assert copy.exports.bits() == bits
        assert copy.exports.e.value == source.exports.e.value


def test_limits_are_those_of_the_source_unless_others_are_given(engine: Any) -> None:
    runtime = Runtime(engine)
    source = runtime.instantiate(STATE, limits=Limits(timeout=9.0, fuel=10_000, memory=1 << 18))
    snapshot = source.snapshot()
    source.exports.one()
    assert snapshot.clone().limits == source.limits
    assert snapshot.clone().fuel == 10_000
    assert snapshot.clone(limits=Limits(fuel=5)).limits == Limits(timeout=9.0, fuel=5, memory=1 << 18)
    with pytest.raises(LinkError, match="needs a memory of 65536 bytes; the limit is 100"):
        snapshot.clone(limits=Limits(memory=100))


def test_a_shared_memory_of_the_instances_own_is_refused(runtime: Runtime) -> None:
    with pytest.raises(SnapshotError, match="memory 0 is shared with other threads"):
        runtime.instantiate("(module (memory 1 1 shared))").snapshot()
    shared = runtime.memory(1, 1, shared=True)
    source = runtime.instantiate(
        '(module (import "h" "m" (memory 1 1 shared)) (export "m" (memory 0)))', {"h": {"m": shared}}
    )
    assert source.clone().exports.m is shared


def test_a_closed_instance_and_a_closed_runtime_have_no_clones(runtime: Runtime) -> None:
    source = runtime.instantiate(STATE)
    snapshot = source.snapshot()
    source.close()
    with pytest.raises(wasmine.WasmineError, match="is closed"):
        source.snapshot()
    snapshot.clone()
    runtime.close()
    with pytest.raises(wasmine.WasmineError, match="runtime is closed"):
        snapshot.clone()


def test_an_instance_can_be_copied_while_it_calls_the_host(runtime: Runtime) -> None:
    taken: list[Snapshot] = []
    source = runtime.instantiate(
        """(module (import "h" "ready" (func $ready)) (memory (export "m") 1)
        (func (export "run") (i32.store (i32.const 0) (i32.const 1)) (call $ready) (i32.store (i32.const 0) (i32.const 2))))""",
        {"h": {"ready": lambda: taken.append(source.snapshot())}},
    )
    source.exports.run()
    assert (source.exports.m[0], taken[0].clone().exports.m[0]) == (2, 1)


def test_an_instance_that_another_thread_runs_is_refused(runtime: Runtime) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        go_on.wait(10)

    source = runtime.instantiate(
        '(module (import "h" "wait" (func $w)) (func (export "run") (call $w)))', {"h": {"wait": wait}}
    )
    thread = threading.Thread(target=source.exports.run)
    thread.start()
    inside.wait(10)
    with pytest.raises(wasmine.WasmineError, match="in use by another thread"):
        source.snapshot()
    go_on.set()
    thread.join()
    source.snapshot()


def test_clones_in_many_threads(runtime: Runtime) -> None:
    source = runtime.instantiate(STATE)
    snapshot = source.snapshot()
    wrong: list[object] = []

    def use() -> None:
        for i in range(30):
            clone = snapshot.clone()
            clone.exports.add(i)
            if (clone.exports.load(8), clone.exports.call(0)) != (5 + i, 5 + i):
                wrong.append(i)
            clone.close()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert source.exports.one() == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_clones_after_a_fork(runtime: Runtime) -> None:
    source = runtime.instantiate(STATE)
    source.exports.add(1)
    snapshot = source.snapshot()
    before = snapshot.clone()
    child = os.fork()
    if not child:
        try:
            after = snapshot.clone()
            after.exports.add(5)
            before.exports.add(7)
            os._exit(0 if (after.exports.load(8), before.exports.load(8)) == (11, 13) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (before.exports.load(8), snapshot.clone().exports.load(8)) == (6, 6)


def test_a_memory_with_small_pages_and_an_empty_one(runtime: Runtime) -> None:
    source = runtime.instantiate(
        '(module (memory (export "a") 5 (pagesize 1)) (memory (export "b") 0) (memory (export "c") i64 1))'
    )
    source.exports.a[4] = 3
    source.exports.c[9] = 8
    clone = source.clone()
    assert (clone.exports.a[0:5], clone.exports.b.size, clone.exports.c[9]) == (b"\0\0\0\0\3", 0, 8)
    assert clone.exports.a.grow(3) == 5
    assert clone.exports.a[4:8] == b"\3\0\0\0"


def test_a_large_memory_is_copied_when_it_is_written_to(runtime: Runtime) -> None:
    source = runtime.instantiate(
        """(module (memory (export "m") 320 400) (func (export "grow") (result i32) (memory.grow (i32.const 2)))
        (func (export "store") (param i32) (i32.store8 (local.get 0) (i32.const 7)))
        (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"""
    )
    source.exports.m[5 << 20] = 3
    snapshot = source.snapshot()
    one, two = snapshot.clone().exports, snapshot.clone().exports
    one.store(6 << 20)
    assert [one.load(5 << 20), one.load(6 << 20), two.load(6 << 20), source.exports.load(6 << 20)] == [3, 7, 0, 0]
    assert (one.grow(), one.load((320 << 16) + 9), one.load(6 << 20)) == (320, 0, 7)
    one.store((320 << 16) + 9)
    assert (two.grow(), two.load((320 << 16) + 9), snapshot.clone().exports.m.size) == (320, 0, 320)


# ---------------------------------------------------------------------------------------------- pools


def test_every_user_of_a_pool_begins_with_the_snapshot(runtime: Runtime) -> None:
    pool = wasmine.Pool(runtime.instantiate(STATE).snapshot(), 2)
    for _ in range(5):
        with pool.instance() as instance:
            assert instance.exports.one() == 5
            instance.exports.add(1)
    assert instance.closed
    with pytest.raises(wasmine.WasmineError, match="is closed"):
        instance.exports.one()


def test_a_pool_has_so_many_instances(runtime: Runtime) -> None:
    with wasmine.Pool(runtime.instantiate(STATE).snapshot(), 2) as pool:
        first, second = pool.acquire(), pool.acquire()
        assert repr(pool) == "<pool of 2, 2 in use>"
        with pytest.raises(TimeoutError, match="none of the 2 instances"):
            pool.acquire(timeout=0)
        with pytest.raises(TimeoutError):
            pool.acquire(timeout=float("nan"))
        pool.release(first)
        with pytest.raises(ValueError, match="given back already"):
            pool.release(first)
        third = pool.acquire(timeout=0)
        pool.release(second)
        pool.release(third)
    with pytest.raises(wasmine.WasmineError, match="the pool is closed"):
        pool.acquire()
    with pytest.raises(ValueError, match="a size of 1 at least"):
        wasmine.Pool(pool.snapshot, 0)
    with pytest.raises(TypeError):
        wasmine.Pool(pool.snapshot, 1.5)  # type: ignore[arg-type]


def test_a_user_may_be_willing_to_wait_for_centuries(runtime: Runtime) -> None:
    pool = wasmine.Pool(runtime.instantiate(STATE).snapshot(), 1)
    threading.Timer(0.02, pool.release, (pool.acquire(),)).start()
    pool.release(pool.acquire(timeout=1e300))


def test_a_user_waits_until_an_instance_is_given_back(runtime: Runtime) -> None:
    pool = wasmine.Pool(runtime.instantiate(STATE).snapshot(), 1)
    first = pool.acquire()
    got: list[int] = []

    def use() -> None:
        with pool.instance(timeout=10) as instance:
            got.append(instance.exports.one())

    thread = threading.Thread(target=use)
    thread.start()
    pool.release(first)
    thread.join()
    assert got == [5]


def test_every_instance_of_a_pool_has_imports_of_its_own(runtime: Runtime) -> None:
    text = '(module (import "h" "f" (func $f (result i32))) (func (export "run") (result i32) (call $f)))'
    source = runtime.instantiate(text, {"h": {"f": lambda: 0}})
    numbers = iter(range(1, 10))

    def imports() -> dict[str, Any]:
        number = next(numbers)
        return {"h": {"f": lambda: number}}

    pool = wasmine.Pool(source.snapshot(), 3, imports=imports, limits=Limits(timeout=5))
    with pool.instance() as one, pool.instance() as two:
        assert (one.exports.run(), two.exports.run(), one.exports.run()) == (1, 2, 1)
        assert one.timeout == 5


def test_an_instance_that_cannot_be_made_takes_no_place_in_the_pool(runtime: Runtime) -> None:
    source = runtime.instantiate('(module (import "h" "m" (memory 1)))', {"h": {"m": runtime.memory(1)}})
    given: dict[str, Any] = {"h": {"m": 5}}
    pool = wasmine.Pool(source.snapshot(), 1, imports=lambda: given)
    for _ in range(3):
        with pytest.raises(LinkError):
            pool.acquire(timeout=0)
    given["h"] = {}
    with pool.instance(timeout=0):
        pass
