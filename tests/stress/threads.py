"""Many threads that use everything of the package at once, and what each of them must find.

    python tests/stress/threads.py [--seconds 60] [--threads 4] [--engine compiler|interpreter] [--seed 1]

Every thread does one random thing after the other: with instances of its own, with one that all share (which is used or
refused), with modules, runtimes, snapshots, pools, tables, memories and host objects that all share. It ends with an
error, or says how often each thing was done. Meant for CPython without a GIL, where it finds what a lock hid.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import random
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import wasmine
from wasmine import Limits, Runtime, Timeout, Trap, WasmineError
from wasmine.runtime.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

GUEST = wasmine.Module("""(module
  (import "host" "add" (func $add (param i32 i32) (result i32)))
  (import "host" "object" (func $object (param externref) (result externref)))
  (memory (export "memory") 1 64)
  (table $t (export "table") 8 64 funcref)
  (global $g (export "counter") (mut i64) (i64.const 0))
  (elem (i32.const 0) func $one $two)
  (func $one (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))
  (func (export "sum") (param $n i32) (result i32) (local $s i32)
    (loop $again
      (local.set $s (i32.add (local.get $s) (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))
  (func (export "count") (param $n i32)
    (loop $again
      (global.set $g (i64.add (global.get $g) (i64.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "host") (param $n i32) (result i32) (local $s i32)
    (loop $again
      (local.set $s (call $add (local.get $s) (i32.const 3)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))
  (func (export "object") (param externref) (result externref) (call $object (local.get 0)))
  (func (export "indirect") (param i32) (result i32) (call_indirect $t (result i32) (local.get 0)))
  (func (export "pass") (param funcref) (result funcref) (local.get 0))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "spin") (loop $again (br $again)))
  (func (export "deep") (result i32) (call $deeper))
  (func $deeper (result i32) (i32.add (i32.const 1) (call $deeper)))
)""")

SHARED = wasmine.Module("""(module
  (import "all" "memory" (memory 1 1 shared))
  (func (export "add") (param $n i32)
    (loop $again
      (drop (i32.atomic.rmw.add (i32.const 8) (i32.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))""")

LINKED = wasmine.Module("""(module
  (import "all" "table" (table 16 funcref))
  (func $f (export "f") (result i32) (i32.const 7))
  (func (export "put") (param i32) (table.set (local.get 0) (ref.func $f)))
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))""")


def says(error: WasmineError, *parts: str) -> None:
    """It is one of the errors that are expected."""
    if not any(part in str(error) for part in parts):
        raise AssertionError(f"unexpected: {error}") from error


class Stress:
    """What the threads share, and what they do."""

    def __init__(self, engine: str, seed: int, seconds: float) -> None:
        self.engine: Any = engine
        self.seed = seed
        self.end = time.monotonic() + seconds
        self.scale = 1 if engine == "compiler" else 100
        self.runtime = Runtime(self.engine)
        self.host = {"host": {"add": self.add, "object": lambda thing: thing}}
        self.common = self.runtime.instantiate(GUEST, self.host)
        self.memory = self.runtime.memory(1, 1, shared=True)
        self.table = self.runtime.table(16)
        self.all = {"all": {"memory": self.memory, "table": self.table}}
        self.snapshot = self.runtime.instantiate(GUEST, self.host).snapshot()
        self.pool = Pool(self.snapshot, 3)
        self.used = self.added = 0  # of the common instance, of the shared memory
        self.lock = threading.Lock()
        self.done: Counter[str] = Counter()
        self.failed: list[BaseException] = []

    @staticmethod
    def add(a: int, b: int) -> int:
        return a + b

    def work(self, number: int) -> None:
        numbers = random.Random(self.seed * 1000 + number)
        done: Counter[str] = Counter()
        own = self.runtime.instantiate(GUEST, self.host)
        actions: list[Callable[[random.Random, Any], None]] = [
            self.computes,
            self.calls_the_host,
            self.passes_objects,
            self.traps,
            self.makes_instances,
            self.makes_runtimes,
            self.uses_the_common_instance,
            self.uses_the_shared_memory,
            self.uses_the_shared_table,
            self.clones,
            self.uses_the_pool,
            self.compiles,
            self.runs_out_of_time,
            self.grows,
            self.collects,
        ]
        try:
            while time.monotonic() < self.end and not self.failed:
                action = numbers.choice(actions)
                action(numbers, own)
                done[action.__name__] += 1
        except BaseException as error:
            self.failed.append(error)
            raise
        finally:
            with self.lock:
                self.done += done

    # ------------------------------------------------------------------------------------------------ what they do

    def computes(self, numbers: random.Random, own: Any) -> None:
        n = numbers.randrange(1, 2_000_000 // self.scale)
        assert own.exports.sum(n) & 0xFFFFFFFF == n * (n + 1) // 2 & 0xFFFFFFFF

    def calls_the_host(self, numbers: random.Random, own: Any) -> None:
        n = numbers.randrange(1, 10_000 // self.scale)
        assert own.exports.host(n) == 3 * n

    def passes_objects(self, numbers: random.Random, own: Any) -> None:
        for _ in range(20):
            thing = object()
            assert own.exports.object(thing) is thing
        assert own.exports["pass"](own.exports.sum) is own.exports.sum
        assert own.exports.indirect(1) == 2

    def traps(self, numbers: random.Random, own: Any) -> None:
        for call in (lambda: own.exports.load(-4), lambda: own.exports.indirect(5)):
            try:
                call()
            except Trap as trap:
                says(trap, "out of bounds", "undefined", "uninitialized")
                continue
            raise AssertionError("no trap")
        if numbers.randrange(20) == 0:
            try:
                own.exports.deep()
            except Trap:
                return
            raise AssertionError("no stack overflow")

    def makes_instances(self, numbers: random.Random, own: Any) -> None:
        made = [self.runtime.instantiate(GUEST, self.host) for _ in range(numbers.randrange(1, 5))]
        for instance in made:
            assert instance.exports.sum(4) == 10
        for instance in made[1:]:
            instance.close()

    def makes_runtimes(self, numbers: random.Random, own: Any) -> None:
        with Runtime(self.engine, gil=numbers.choice(("lazy", "release"))) as runtime:
            instance = runtime.instantiate(GUEST, self.host, "named")
            assert instance.exports.host(5) == 15

    def uses_the_common_instance(self, numbers: random.Random, own: Any) -> None:
        n = numbers.randrange(1, 100_000 // self.scale)
        try:
            self.common.exports.count(n)
        except WasmineError as error:
            says(error, "in use by another thread")
        else:
            with self.lock:
                self.used += n

    def uses_the_shared_memory(self, numbers: random.Random, own: Any) -> None:
        instance = self.runtime.instantiate(SHARED, self.all)
        n = numbers.randrange(1, 20_000 // self.scale)
        instance.exports.add(n)
        with self.lock:
            self.added += n
        if numbers.randrange(2):
            instance.close()
        assert len(self.memory.read(0, 100)) == 100

    def uses_the_shared_table(self, numbers: random.Random, own: Any) -> None:
        instance = self.runtime.instantiate(LINKED, self.all)
        place = numbers.randrange(16)
        instance.exports.put(place)
        # Somebody else's function by now, perhaps of an instance that is closed or runs.
        try:
            assert instance.exports.call(place) == 7
        except WasmineError as error:
            says(error, "in use", "closed", "uninitialized element")
        if numbers.randrange(2):
            self.table[numbers.randrange(16)] = None if numbers.randrange(2) else instance.exports.f
        found = self.table[place]
        assert found is None or isinstance(found, wasmine.Function)
        instance.close()

    def clones(self, numbers: random.Random, own: Any) -> None:
        source = own.snapshot() if numbers.randrange(2) else self.snapshot
        clone = source.clone()
        assert clone.exports.sum(3) == 6
        try:
            taken = self.common.snapshot()
        except WasmineError as error:
            says(error, "in use by another thread")
        else:
            taken.clone().close()

    def uses_the_pool(self, numbers: random.Random, own: Any) -> None:
        with self.pool.instance() as instance:
            instance.exports.count(7)
            assert instance.exports.counter.value == 7

    def compiles(self, numbers: random.Random, own: Any) -> None:
        constant = numbers.randrange(1000)
        module = wasmine.Module(
            f"""(module (type $t (func (param {"i32 " * numbers.randrange(6)}) (result i32)))
            (func (export "f") (result i32) (i32.const {constant})))"""
        )
        assert self.runtime.instantiate(module).exports.f() == constant

    def runs_out_of_time(self, numbers: random.Random, own: Any) -> None:
        if numbers.randrange(10):
            return
        instance = self.runtime.instantiate(GUEST, self.host, limits=Limits(timeout=0.01))
        try:
            instance.exports.spin()
        except Timeout:
            return
        raise AssertionError("no timeout")

    def grows(self, numbers: random.Random, own: Any) -> None:
        instance = self.runtime.instantiate(GUEST, self.host)
        for size in range(1, 8):
            assert instance.exports.grow(1) == size
            instance.exports.memory.write(65536 * size, b"abc")
            assert instance.exports.memory.read(65536 * size, 3) == b"abc"

    def collects(self, numbers: random.Random, own: Any) -> None:
        if numbers.randrange(10) == 0:
            gc.collect()

    def result(self) -> None:
        """What all of them did together."""
        if self.failed:
            raise self.failed[0]
        counted = self.common.exports.counter.value
        assert counted == self.used, (counted, self.used)
        added = int.from_bytes(self.memory.read(8, 4), "little")
        assert added == self.added & 0xFFFFFFFF, (added, self.added)


def run(engine: str, threads: int, seconds: float, seed: int) -> Counter[str]:
    """How often each thing was done."""
    stress = Stress(engine, seed, seconds)
    workers = [threading.Thread(target=stress.work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    stress.result()
    return stress.done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--engine", choices=("compiler", "interpreter"), default="compiler")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    faulthandler.enable()
    done = run(arguments.engine, arguments.threads, arguments.seconds, arguments.seed)
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"{arguments.engine}, {'with' if gil else 'without'} a GIL: {sum(done.values())} things done: {dict(done)}")


if __name__ == "__main__":
    main()
