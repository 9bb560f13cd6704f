"""Guests on several threads: what is refused, what goes in parallel, and what ends while wasm runs elsewhere."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest

import wasmine
from wasmine import Limits, Module, Runtime, Timeout, WasmineError
from wasmine.format.types import I32
from wasmine.runtime.gil import FREE_THREADED

if TYPE_CHECKING:
    from collections.abc import Callable

GUEST = Module("""(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (memory (export "memory") 1)
  (global $count (export "count") (mut i64) (i64.const 0))
  (func (export "spin") (loop $again (br $again)))
  (func (export "call") (param i32) (result i32) (call $call (local.get 0)))
  (func (export "increment") (param $n i32)
    (loop $again
      (global.set $count (i64.add (global.get $count) (i64.const 1)))
      (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "trap") unreachable)
  (func (export "one") (result i32) (i32.const 1)))""")


def guest(engine: Any, host: Callable[..., Any] = lambda value: value, **options: Any) -> Any:
    return Runtime(engine, **options).instantiate(GUEST, {"host": {"call": host}}, "guest")


def together(count: int, action: Callable[[int], object]) -> None:
    """Do it on so many threads at once; the first exception that one ends with."""
    errors: list[BaseException] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            start.wait(60)
            action(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class Elsewhere:
    """A call on another thread, from its host function on until it is let go."""

    def __init__(self, engine: Any, **options: Any) -> None:
        self.inside, self.go = threading.Event(), threading.Event()
        self.instance = guest(engine, self._host, **options)
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._call)

    def _host(self, value: int) -> int:
        self.inside.set()
        assert self.go.wait(60)
        return value

    def _call(self) -> None:
        try:
            self.outcome = self.instance.exports.call(7)
        except BaseException as error:
            self.outcome = error

    def __enter__(self) -> Elsewhere:
        self._thread.start()
        assert self.inside.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self._thread.join()


def test_an_instance_that_is_in_use_is_refused_to_other_threads(engine: str) -> None:
    with Elsewhere(engine) as elsewhere:
        for _ in range(2):
            with pytest.raises(WasmineError, match=r"instance 'guest' is in use by another thread.*use a lock"):
                elsewhere.instance.exports.one()
    assert elsewhere.outcome == 7
    assert elsewhere.instance.exports.one() == 1


def test_the_thread_itself_may_enter_again(engine: str) -> None:
    instance = guest(engine, lambda value: instance.exports.call(value - 1) + 1 if value else 0)
    assert instance.exports.call(5) == 5


def test_an_instance_is_free_after_whatever_ended_its_call(engine: str) -> None:
    def host(value: int) -> int:
        raise KeyError(value)

    instance = guest(engine, host, limits=Limits(timeout=0.3))
    for name, arguments, error in (("trap", (), wasmine.Trap), ("call", (1,), KeyError), ("spin", (), Timeout)):
        with pytest.raises(error):
            instance.exports[name](*arguments)
        together(1, lambda _: instance.exports.one())


def test_no_increment_is_lost(engine: str) -> None:
    """Each call happens as a whole or is refused."""
    instance = guest(engine)
    rounds, calls, steps = 100, [0] * 4, 2000

    def count(number: int) -> None:
        for _ in range(rounds):
            with contextlib.suppress(WasmineError):  # in use by another thread
                instance.exports.increment(steps)
                calls[number] += 1

    together(4, count)
    assert sum(calls) > 0
    stored = int.from_bytes(instance.exports.memory[0:8], "little")
    assert instance.exports.count.value == stored == steps * sum(calls)


def test_every_exception_arrives_in_its_own_thread_and_is_the_same_object(engine: str) -> None:
    class Mine(Exception):
        pass

    def work(number: int) -> None:
        raised: list[Mine] = []

        def host(value: int) -> int:
            raised.append(Mine(number, value))
            raise raised[-1]

        instance = guest(engine, host)
        for i in range(1000):
            with pytest.raises(Mine) as caught:
                instance.exports.call(i)
            assert caught.value is raised[-1]
            assert caught.value.args == (number, i)
            with pytest.raises(wasmine.Trap, match="unreachable"):
                instance.exports.trap()

    together(8, work)


@pytest.mark.parametrize("gil", ["lazy", "release"])
def test_other_threads_run_while_a_guest_computes(compiler: str, gil: str) -> None:
    """Without the GIL, which only the guest can give up, neither this thread nor the watchdog would do anything."""
    instance = guest(compiler, gil=gil, limits=Limits(timeout=0.3))
    ended = threading.Event()

    def spin() -> None:
        with pytest.raises(Timeout):
            instance.exports.spin()
        ended.set()

    thread = threading.Thread(target=spin)
    thread.start()
    turns = 0
    while not ended.is_set():
        turns += 1
    thread.join()
    assert turns > 100


def test_a_call_with_short_host_functions_lets_others_run_too(compiler: str) -> None:
    """The host function is a builtin: no Python code that would give up the GIL by itself."""
    text = """(module (import "host" "call" (func $call (param i32) (result i32)))
      (func (export "spin") (loop $again (drop (call $call (i32.const 1))) (br $again))))"""
    instance = Runtime(compiler, limits=Limits(timeout=0.2)).instantiate(text, {"host": {"call": abs}})
    with pytest.raises(Timeout):
        instance.exports.spin()


@pytest.mark.skipif(not FREE_THREADED, reason="only a free-threaded Python can be without a GIL")
@pytest.mark.parametrize("gil", ["0", "1"])
def test_the_gil_is_released_in_every_call_where_there_is_none(compiler: str, gil: str) -> None:
    script = """
        import sys, threading, wasmine
        from wasmine import Limits, Runtime, Timeout
        runtime = Runtime(sys.argv[1], limits=Limits(timeout=0.2))
        spin = runtime.instantiate('(module (func (export "spin") (loop $again (br $again))))').exports.spin
        try:
            spin()
        except Timeout:
            print(sys._is_gil_enabled(), runtime.engine.release)
    """
    command = [sys.executable, "-X", f"gil={gil}", "-c", textwrap.dedent(script), compiler]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ({"0": "False True\n", "1": "True False\n"}[gil], "")


def test_unknown_ways_to_treat_the_gil_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown gil 'never': expected one of auto, lazy, release"):
        Runtime(gil="never")  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------------- what threads share


def test_a_global_that_threads_import_at_once_is_one(engine: str) -> None:
    module = Module("""(module (import "host" "g" (global $g (mut i32)))
      (func (export "set") (param i32) (global.set $g (local.get 0)))
      (func (export "now") (result i32) (global.get $g)))""")
    runtime = Runtime(engine)
    for _ in range(100):
        shared = runtime.global_(I32, 5, mutable=True)
        instances: list[Any] = []

        def make(_: int, shared: Any = shared, instances: list[Any] = instances) -> None:
            instances.append(runtime.instantiate(module, {"host": {"g": shared}}))

        together(4, make)
        assert [instance.exports.now() for instance in instances] == [5] * 4
        instances[0].exports.set(6)
        assert [instance.exports.now() for instance in instances] == [6] * 4
        assert shared.value == 6


@pytest.mark.parametrize("shared", ["", "shared"])
def test_who_imports_a_memory_while_it_grows_sees_all_of_it(engine: str, shared: str) -> None:
    module = Module(f"""(module (import "host" "m" (memory 1 99 {shared}))
      (func (export "size") (result i32) (memory.size)))""")
    runtime = Runtime(engine)
    for _ in range(30):
        memory = runtime.memory(1, 99, shared=bool(shared))
        instances: list[Any] = []

        def work(number: int, memory: Any = memory, instances: list[Any] = instances) -> None:
            for _ in range(5):
                if number % 2:
                    memory.grow(1)
                else:
                    instances.append(runtime.instantiate(module, {"host": {"m": memory}}))

        together(4, work)
        assert memory.size == 11
        assert [instance.exports.size() for instance in instances] == [11] * 10


def test_a_table_that_threads_make_grow_loses_nothing(engine: str) -> None:
    table = Runtime(engine).table(0, 5000)
    before: list[int] = []
    together(4, lambda _: before.extend([table.grow(1) for _ in range(1250)]))
    assert sorted(before) == list(range(5000))
    with pytest.raises(MemoryError):
        table.grow(1)


def test_no_more_instances_are_made_at_once_than_there_may_be(engine: str) -> None:
    """One that is being made counts, and no longer if nothing came of it."""
    text = '(module (import "host" "start" (func $start)) (start $start))'
    runtime = Runtime(engine, limits=Limits(instances=2))
    first = runtime.instantiate("(module)")
    inside, go = threading.Event(), threading.Event()

    def start() -> None:
        inside.set()
        assert go.wait(60)
        raise KeyError

    def make() -> None:
        with pytest.raises(KeyError):
            runtime.instantiate(text, {"host": {"start": start}})

    thread = threading.Thread(target=make)
    thread.start()
    assert inside.wait(60)
    try:
        with pytest.raises(wasmine.LinkError, match="as many as its limits allow"):
            runtime.instantiate("(module)")
    finally:
        go.set()
        thread.join()
    second = runtime.instantiate("(module)")
    with pytest.raises(wasmine.LinkError, match="the runtime has 2 instances"):
        runtime.instantiate("(module)")
    first.close()
    second.close()


def test_threads_get_as_many_instances_as_there_may_be(engine: str) -> None:
    runtime = Runtime(engine, limits=Limits(instances=5))
    module = Module("(module)")
    for _ in range(10):
        made: list[Any] = []

        def make(_: int, made: list[Any] = made) -> None:
            for _ in range(2):
                with contextlib.suppress(wasmine.LinkError):
                    made.append(runtime.instantiate(module))

        together(4, make)
        assert len(made) == 5
        for instance in made:
            instance.close()


# -------------------------------------------------------------------------------------------- ends of things


def test_an_instance_may_be_closed_while_another_thread_runs_it(engine: str) -> None:
    with Elsewhere(engine) as elsewhere:
        elsewhere.instance.close()
        elsewhere.instance.runtime.close()
        with pytest.raises(WasmineError, match="closed"):
            elsewhere.instance.exports.one()
    assert elsewhere.outcome == 7


def test_what_a_thread_runs_stays_until_it_is_done(engine: str) -> None:
    """Nobody else has the instance, its module or its runtime any more."""
    stop, outcomes = threading.Event(), []
    text = """(module (memory 2)
      (func (export "count") (param $n i32) (result i32)
        (loop $again
          (i32.store (i32.const 70000) (i32.add (i32.load (i32.const 70000)) (i32.const 1)))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (i32.load (i32.const 70000))))"""
    count = 200_000_000 if engine == "compiler" else 500_000
    threads = []
    for _ in range(2):
        function = Runtime(engine).instantiate(text).exports.count
        threads.append(threading.Thread(target=lambda f: outcomes.append(f(count)), args=(function,)))
        threads[-1].start()
        del function
    while any(thread.is_alive() for thread in threads):
        gc.collect()
        stop.wait(0.01)
    assert outcomes == [count, count]


ENDS = {
    "the main thread ends": "",
    "sys.exit": "sys.exit(0)",
    "os._exit": "os._exit(0)",
    "an exit in another thread": "threading.Thread(target=sys.exit).start()",
    "while a call returns": "time.sleep(0.15)",
    "while the instance is collected": "del guests; gc.collect()",
}


@pytest.mark.parametrize("how", ENDS)
def test_a_process_may_end_while_wasm_runs(engine: str, how: str) -> None:
    script = """
        import faulthandler, gc, os, sys, threading, time, wasmine
        faulthandler.enable()
        TEXT = '''(module (import "host" "sleep" (func $sleep))
          (memory 1)
          (func (export "spin") (loop $again (br $again)))
          (func (export "sleep") (loop $again (call $sleep) (br $again)))
          (func (export "some") (param $n i32) (loop $again
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))'''
        runtime = wasmine.Runtime(sys.argv[1])
        guests = [runtime.instantiate(TEXT, {"host": {"sleep": lambda: time.sleep(0.001)}}).exports for _ in range(4)]
        count = 100_000_000 if sys.argv[1] == "compiler" else 100_000
        for work in (guests[0].spin, guests[1].sleep, lambda f=guests[2].some: [f(count) for _ in range(50)],
                     lambda f=guests[3].some: [f(100) for _ in range(10**9)]):
            threading.Thread(target=work, daemon=True).start()
        del work
        time.sleep(0.1)
        sys.keep = runtime  # it goes when hardly anything is left
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", textwrap.dedent(script) + ENDS[how], engine],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_of_fork_may_use_an_instance_that_another_thread_was_in(engine: str) -> None:
    script = """
        import os, sys, threading, time, wasmine
        guest = wasmine.Runtime(sys.argv[1]).instantiate(
            '(module (func (export "spin") (loop $again (br $again))) (func (export "one") (result i32) (i32.const 1)))')
        threading.Thread(target=guest.exports.spin, daemon=True).start()
        time.sleep(0.1)
        child = os.fork()
        if not child:
            os._exit(guest.exports.one() + 10)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), engine],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("11\n", "")


def test_a_child_of_fork_may_compile_what_another_thread_was_compiling() -> None:
    script = """
        import os, signal, threading, time, wasmine
        from wasmine.interpreter.code import ModuleCode

        compile, begun = ModuleCode._compile, threading.Event()
        def slowly(self, index):
            begun.set()
            time.sleep(0.3)
            return compile(self, index)
        ModuleCode._compile = slowly
        guest = wasmine.Runtime("interpreter").instantiate(
            '(module (func (export "one") (result i32) (i32.const 1)) (func (export "two") (result i32) (i32.const 2)))')
        threading.Thread(target=guest.exports.one, daemon=True).start()
        begun.wait()
        child = os.fork()
        if not child:
            signal.alarm(20)
            os._exit(guest.exports.one() + guest.exports.two())
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("3\n", "")
