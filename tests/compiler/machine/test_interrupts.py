"""Python's signal handlers, Ctrl-C and time limits while machine code runs."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

import wasmine
from wasmine import Limits, Module, Runtime, Timeout
from wasmine.compiler.availability import unavailable
from wasmine.compiler.machine import glue
from wasmine.compiler.machine.layout import KICK, LOOK
from wasmine.compiler.machine.linux import SA_MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "never")

MIB = 1 << 20

# `mix` keeps integers, floats and vectors in registers; its result depends on all of them.
GUEST = Module("""(module
  (import "host" "call" (func $call))
  (func (export "spin") (loop $again (br $again)))
  (func (export "keep calling") (loop $again (call $call) (br $again)))
  (func (export "one") (result i32) (i32.const 1))
  (func (export "mix") (param $n i32) (result i64)
    (local $a i64) (local $b i64) (local $c i64) (local $d i64) (local $e i64) (local $f i64)
    (local $x f64) (local $y f64) (local $v v128) (local $w v128)
    (local.set $a (i64.const 1))
    (local.set $w (v128.const i64x2 3 5))
    (loop $again
      (local.set $b (i64.add (local.get $b) (local.get $a)))
      (local.set $c (i64.xor (local.get $c) (i64.rotl (local.get $b) (i64.const 7))))
      (local.set $d (i64.sub (local.get $c) (local.get $d)))
      (local.set $e (i64.add (i64.mul (local.get $e) (i64.const 5)) (local.get $d)))
      (local.set $f (i64.xor (local.get $f) (local.get $e)))
      (local.set $x (f64.add (local.get $x) (f64.const 0.5)))
      (local.set $y (f64.sub (local.get $x) (f64.mul (local.get $y) (f64.const 0.25))))
      (local.set $v (i64x2.add (local.get $v) (local.get $w)))
      (local.set $w (v128.xor (local.get $w) (local.get $v)))
      (local.set $a (i64.add (local.get $a) (i64.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.xor (i64.xor (local.get $f) (i64.reinterpret_f64 (local.get $y)))
      (i64.xor (i64x2.extract_lane 0 (local.get $v)) (i64x2.extract_lane 1 (local.get $w))))))""")


def guest(host: Callable[[], None] = lambda: None, limits: Limits | None = None) -> wasmine.Instance:
    return Runtime("compiler", limits=limits).instantiate(GUEST, {"host": {"call": host}})


class Stop(Exception):
    """What signal handlers raise here."""


@contextmanager
def handled(number: int, handler: Any) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def sent(number: int, after: float = 0.05) -> Iterator[None]:
    """A signal comes to the process a little later."""
    timer = threading.Timer(after, os.kill, (os.getpid(), number))
    timer.start()
    try:
        yield
    finally:
        timer.join()


@contextmanager
def control_c() -> Iterator[None]:
    """What is done here is to end by Ctrl-C."""
    with handled(signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt), sent(signal.SIGINT):
        yield


@contextmanager
def ticking(seconds: float, handler: Callable[[], object]) -> Iterator[None]:
    """A signal comes again and again, so many seconds after its handler is done: so however slow the machine, others run."""
    pause = seconds

    def handle(*_: object) -> None:
        try:
            handler()
        finally:
            signal.setitimer(signal.ITIMER_REAL, pause)

    with handled(signal.SIGALRM, handle):
        signal.setitimer(signal.ITIMER_REAL, pause)
        try:
            yield
        finally:
            pause = 0  # also for a signal that is there already
            signal.setitimer(signal.ITIMER_REAL, pause)


def stop(*_: object) -> None:
    raise Stop


@pytest.mark.parametrize("name", ["spin", "keep calling"])
def test_control_c_ends_a_loop_and_the_instance_works_on(name: str) -> None:
    instance = guest()
    for _ in range(3):
        with control_c():
            instance.exports[name]()
        assert instance.exports.one() == 1


def test_control_c_ends_a_loop_below_a_host_function() -> None:
    inner = guest()
    with control_c():
        guest(lambda: inner.exports.spin()).exports["keep calling"]()


def test_the_exception_of_a_handler_is_the_same_object() -> None:
    error = Stop("this one")

    def handler(*_: object) -> None:
        raise error

    with handled(signal.SIGUSR1, handler), pytest.raises(Stop) as caught, sent(signal.SIGUSR1):
        guest().exports.spin()
    assert caught.value is error


def test_a_loop_goes_on_when_handlers_return_with_every_register_as_it_was() -> None:
    instance = guest()
    count = 30_000_000
    expected = instance.exports.mix(count)
    hits = []
    with ticking(0.002, lambda: hits.append([float(i) for i in range(20)])):
        found = [instance.exports.mix(count) for _ in range(3)]
    assert found == [expected] * 3
    assert hits


def test_a_handler_may_call_the_instance_that_it_interrupts() -> None:
    instance = guest()
    count = 30_000_000
    expected = (instance.exports.mix(count), instance.exports.mix(10))
    seen = set()
    with ticking(0.002, lambda: seen.add(instance.exports.mix(10))):
        assert instance.exports.mix(count) == expected[0]
    assert seen == {expected[1]}


def test_a_handler_may_call_something_that_traps() -> None:
    trapping = Runtime("compiler").instantiate('(module (func (export "trap") unreachable))')
    instance = guest()
    count = 30_000_000
    expected = instance.exports.mix(count)
    traps = []

    def handler() -> None:
        with pytest.raises(wasmine.Trap, match="unreachable"):
            trapping.exports.trap()
        traps.append(1)

    with ticking(0.002, handler):
        assert instance.exports.mix(count) == expected
    assert traps


def test_a_handler_that_is_set_by_a_host_function_is_honoured() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    calls = []
    signals = sent(signal.SIGUSR1)

    def host() -> None:
        if not calls:
            signal.signal(signal.SIGUSR1, stop)
            signals.__enter__()
        calls.append(1)

    try:
        with pytest.raises(Stop):
            guest(host).exports["keep calling"]()
        signals.__exit__(None, None, None)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_replaces_another_between_calls_is_honoured() -> None:
    instance = guest()
    for _ in range(3):
        with handled(signal.SIGUSR1, stop), pytest.raises(Stop), sent(signal.SIGUSR1):
            instance.exports.spin()


@pytest.mark.parametrize("operation", ["fill", "copy"])
@pytest.mark.parametrize(("size", "most"), [(30_000_000, 20), (1_000_000, 2000)], ids=["by pieces", "at once"])
def test_a_loop_that_does_little_but_move_bytes_looks_in_between(operation: str, size: int, most: int) -> None:
    """Signals do not interrupt what moves them. The guest counts, so that it shows how much it still did."""
    exports = (
        Runtime("compiler", gil="release")
        .instantiate(
            f"""(module (memory (export "memory") 512)
              (func (export "keep going")
                (loop $again
                  (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
                  (memory.{operation} (i32.const 16) (i32.const 32) (i32.const {size}))
                  (br $again))))"""
        )
        .exports
    )
    main = threading.get_ident()
    sent, seen = [], []

    def count() -> int:
        return int.from_bytes(exports.memory[0:4], "little")

    def handler(*_: object) -> None:
        seen.append(count())
        raise Stop

    def send() -> None:
        before = count()
        while count() == before:
            time.sleep(0.001)
        signal.pthread_kill(main, signal.SIGUSR1)
        sent.append(count())

    with handled(signal.SIGUSR1, handler):
        for _ in range(5):
            sender = threading.Thread(target=send)
            sender.start()
            with pytest.raises(Stop):
                exports["keep going"]()
            sender.join()
    assert all(late - early < most for early, late in zip(sent, seen, strict=True)), (sent, seen)


@pytest.mark.parametrize("address", ["i32", "i64"])
@pytest.mark.parametrize("raises", [True, False], ids=["stops it", "lets it go on"])
@pytest.mark.parametrize(
    ("operation", "target", "source", "early", "late"),
    [
        ("fill", 0, 1, 0, 64 * MIB - 1),
        ("copy", 64 * MIB, 0, 64 * MIB, 128 * MIB - 1),
        ("copy", 9 * MIB, 0, 73 * MIB - 1, 64 * MIB),
    ],
    ids=["fill", "copy", "copy backwards"],
)
def test_a_handler_runs_in_the_middle_of_a_long_operation(
    operation: str, target: int, source: int, early: int, late: int, address: str, *, raises: bool
) -> None:
    """It sees what is written first, not yet what comes late. The other thread may be slow to notice: then once more."""
    main, size = threading.get_ident(), 64 * MIB
    seen = []

    def attempt() -> None:
        memory = instance.exports.memory
        if operation == "copy":
            memory[source : source + size] = b"\x01" * size

        def handler(*_: object) -> None:
            seen.append((memory[early], memory[late]))
            if raises:
                raise Stop

        def send() -> None:
            while not memory[early]:
                pass
            signal.pthread_kill(main, signal.SIGUSR1)

        sender = threading.Thread(target=send)
        with handled(signal.SIGUSR1, handler):
            sender.start()
            with pytest.raises(Stop) if raises else nullcontext():
                instance.exports.run()
                sender.join()  # if it is late, the handler runs here
        sender.join()
        if not raises:
            assert memory[target : target + size] == b"\x01" * size

    value = "i32" if operation == "fill" else address
    text = f"""(module (memory (export "memory") {address} 2048) (func (export "run")
      (memory.{operation} ({address}.const {target}) ({value}.const {source}) ({address}.const {size}))))"""
    for _ in range(100):
        with Runtime("compiler", gil="release") as runtime:
            instance = runtime.instantiate(text)
            attempt()
        if seen[-1] == (1, 0):
            return
    raise AssertionError(f"always late: {set(seen)}")


def test_the_kick_waits_until_the_handler_that_sends_it_is_through() -> None:
    """Else it finds that handler, not wasm code, and nothing happens before the ticker's next look."""
    with handled(signal.SIGUSR1, lambda *_: None), sent(signal.SIGUSR1):
        guest().exports.mix(10_000_000)
        action = ctypes.create_string_buffer(160)
        assert ctypes.CDLL(None).sigaction(signal.SIGUSR1, None, action) == 0
    assert int.from_bytes(action[SA_MASK : SA_MASK + 8], "little") == 1 << KICK - 1


def test_a_call_of_the_handler_that_another_thread_began_before_ours_was_in_front_is_honoured() -> None:
    """The thread was late: it notes the signal when the main thread has looked already."""
    instance = guest()
    machine = glue.load()
    rescued = []

    def rescue() -> None:
        rescued.append(1)
        for block in machine.threads.all:
            block.signals.value |= LOOK

    with handled(signal.SIGUSR1, lambda *_: None), sent(signal.SIGUSR1):
        instance.exports.mix(30_000_000)  # ours is in front of CPython's handler now
    note = ctypes.CFUNCTYPE(None, ctypes.c_int)(machine.interrupts._python_handler)
    late, last = threading.Timer(0.3, note, [signal.SIGUSR1]), threading.Timer(30, rescue)
    with handled(signal.SIGUSR1, stop):
        late.start()
        last.start()
        with pytest.raises(Stop):
            instance.exports.spin()
    last.cancel()
    assert not rescued


def test_an_ignored_signal_stays_ignored() -> None:
    instance = guest(limits=Limits(timeout=0.2))
    with handled(signal.SIGUSR1, signal.SIG_IGN), pytest.raises(Timeout), sent(signal.SIGUSR1):
        instance.exports.spin()
    assert signal.getsignal(signal.SIGUSR1) in (signal.SIG_DFL, signal.SIG_IGN)


def test_handlers_run_on_the_main_thread_while_another_one_computes() -> None:
    instance = guest(limits=Limits(timeout=1))
    threads = []

    def compute() -> None:
        with pytest.raises(Timeout):
            instance.exports.spin()

    worker = threading.Thread(target=compute)
    with handled(signal.SIGUSR1, lambda *_: threads.append(threading.current_thread())):
        worker.start()
        os.kill(os.getpid(), signal.SIGUSR1)
        worker.join()
    assert threads == [threading.main_thread()]


def test_asyncio_handlers_are_called() -> None:
    called = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: called.append("by the loop"))
        try:
            with sent(signal.SIGUSR1, 0.01):
                called.append(guest().exports.mix(30_000_000) != 0)
            await asyncio.sleep(0)
            await asyncio.sleep(0.05)
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)

    asyncio.run(main())
    assert called == [True, "by the loop"]


def test_another_use_of_the_signal_goes_on() -> None:
    seen = []
    instance = guest(limits=Limits(timeout=0.05))
    with handled(signal.SIGURG, lambda *_: seen.append(1)):
        os.kill(os.getpid(), signal.SIGURG)
        with pytest.raises(Timeout):
            instance.exports.spin()
        os.kill(os.getpid(), signal.SIGURG)
        time.sleep(0)  # PyPy may be further before the handler runs
    assert len(seen) == 2


def test_a_child_process_can_be_interrupted_too() -> None:
    script = """
        import os, signal, sys, wasmine
        guest = wasmine.Runtime("compiler", limits=wasmine.Limits(timeout=30)).instantiate(
            '(module (func (export "spin") (loop $again (br $again))) (func (export "one") (result i32) (i32.const 1)))')
        guest.exports.one()
        child = os.fork()
        if not child:
            signal.signal(signal.SIGALRM, lambda *_: sys.exit(7))
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            guest.exports.spin()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), guest.exports.one())
        guest.timeout = 0.05
        try:
            guest.exports.spin()
        except wasmine.Timeout:
            print("stopped")
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.split(), done.stderr) == (["7", "1", "stopped"], "")


def test_a_process_ends_while_threads_are_in_wasm() -> None:
    script = """
        import threading, time, wasmine
        runtime = wasmine.Runtime("compiler", limits=wasmine.Limits(timeout=60))
        for _ in range(3):
            guest = runtime.instantiate('(module (func (export "spin") (loop $again (br $again))))')
            threading.Thread(target=guest.exports.spin, daemon=True).start()
        time.sleep(0.1)
        print("end")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_time_limits_and_signals_at_once() -> None:
    instance = guest(limits=Limits(timeout=0.03))
    hits = []
    with ticking(0.002, lambda: hits.append(1)):
        for _ in range(10):
            with pytest.raises(Timeout):
                instance.exports.spin()
    ended = time.monotonic() + 0.05
    while time.monotonic() < ended:  # nothing arrives late
        pass
    assert hits
