"""`Limits`: what a guest may take, on both engines."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import wasmine
from wasmine import Limits, LinkError, Module, Runtime, Timeout
from wasmine.compiler.availability import unavailable
from wasmine.runtime.deadline import Expired, current, watchdog, within
from wasmine.wasi.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOOPS = Module("""(module
  (import "host" "call" (func $call))
  (func (export "spin") (loop $again (br $again)))
  (func (export "call") (call $call))
  (func (export "keep calling") (loop $again (call $call) (br $again)))
  (func $deep (export "deep") (param i32)
    (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))))
    (loop $again (br $again)))
  (func (export "one") (result i32) (i32.const 1)))""")

SIZES = Module("""(module
  (memory (export "memory") 1)
  (table (export "table") 2 funcref)
  (func (export "grow memory") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "grow table") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))""")

WAITING = Module("""(module
  (memory 1 1 shared)
  (func (export "wait") (result i32) (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))""")


@pytest.fixture(params=["interpreter", "compiler"])
def engine(request: pytest.FixtureRequest) -> Any:
    if request.param == "compiler" and unavailable():
        pytest.skip(unavailable())
    return request.param


def loops(engine: Any, host: Callable[[], None] = lambda: None, seconds: float = 0.05) -> wasmine.Instance:
    return Runtime(engine, limits=Limits(timeout=seconds)).instantiate(LOOPS, {"host": {"call": host}})


def compute_for_ever() -> None:
    while True:
        pass


@pytest.mark.parametrize(("name", "arguments"), [("spin", ()), ("keep calling", ()), ("deep", (50,))])
def test_a_loop_ends_at_the_time_limit_and_the_instance_works_on(
    engine: Any, name: str, arguments: tuple[int, ...]
) -> None:
    instance = loops(engine)
    for _ in range(3):
        with pytest.raises(Timeout) as caught:
            instance.exports[name](*arguments)
        assert caught.value.reason == "the time limit of 0.05 s ran out"
        assert instance.exports.one() == 1


def test_a_host_function_that_computes_is_stopped(engine: Any) -> None:
    with pytest.raises(Timeout):
        loops(engine, compute_for_ever).exports.call()


def test_a_host_function_that_was_blocked_is_stopped_when_it_goes_on(engine: Any) -> None:
    went_on = []

    def host() -> None:
        time.sleep(0.1)
        went_on.append(1)

    with pytest.raises(Timeout):
        loops(engine, host).exports["keep calling"]()
    assert len(went_on) <= 1


def test_a_host_function_cannot_keep_the_guest_running(engine: Any) -> None:
    def host() -> None:
        try:
            compute_for_ever()
        except Exception as error:
            raise AssertionError("it is no ordinary exception") from error

    with pytest.raises(Timeout):
        loops(engine, host).exports["keep calling"]()


def test_a_nested_call_has_the_time_of_the_outermost(engine: Any) -> None:
    inner = loops(engine, seconds=60)
    outer = loops(engine, lambda: inner.exports.spin())
    with pytest.raises(Timeout, match=r"0\.05 s"):
        outer.exports.call()


def test_a_nested_call_may_have_less_time(engine: Any) -> None:
    inner = loops(engine)
    seen = []

    def host() -> None:
        with pytest.raises(Timeout, match=r"0\.05 s") as caught:
            inner.exports.spin()
        seen.append(caught.value)

    loops(engine, host, seconds=60).exports.call()
    assert len(seen) == 1


def test_every_thread_has_its_own_time(engine: Any) -> None:
    failures: list[BaseException] = []

    def stopped() -> None:
        try:
            with pytest.raises(Timeout):
                loops(engine).exports.spin()
            assert loops(engine, seconds=60).exports.one() == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=stopped) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_call_that_ends_in_time_is_left_alone(engine: Any) -> None:
    instance = loops(engine, seconds=0.2)
    assert [instance.exports.one() for _ in range(2000)] == [1] * 2000
    ended = time.monotonic() + 0.4
    while time.monotonic() < ended:  # nothing arrives late
        pass


def test_nothing_is_left_of_a_limit_that_was_or_was_not_reached(engine: Any) -> None:
    """CPython 3.11 hangs in the first function that is profiled if an asynchronous exception was taken back."""
    text = '(module (func (export "spin") (loop $again (br $again))) (func (export "one") (result i32) (i32.const 1)))'
    script = f"""
import cProfile
import wasmine
from wasmine.runtime import deadline
with wasmine.Runtime({engine!r}, limits=wasmine.Limits(timeout=60)) as runtime:
    instance = runtime.instantiate({text!r})
    guest = instance.exports
    assert guest.one() == 1
    cProfile.Profile().runcall(guest.one)
    for _ in range(3):
        instance.timeout = 0.1
        try:
            guest.spin()
        except wasmine.Timeout:
            instance.timeout = 60
            cProfile.Profile().runcall(guest.one)

def send() -> None:
    scope.sent = True
    deadline._asynchronous()(scope.thread, deadline.Expired)

for _ in range(3):
    scope = deadline.Scope()
    try:
        scope.run(send)
    except deadline.Expired:
        pass
    cProfile.Profile().runcall(int)
    cProfile.Profile().runcall(lambda: 1)
print("end")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("end\n", "")


def test_the_start_function_counts(engine: Any) -> None:
    with pytest.raises(Timeout):
        Runtime(engine, limits=Limits(timeout=0.05)).instantiate(
            "(module (func $spin (loop $again (br $again))) (start $spin))"
        )


def test_a_thread_that_waits_for_a_notification_is_stopped(engine: Any) -> None:
    instance = Runtime(engine, limits=Limits(timeout=0.05)).instantiate(WAITING)
    with pytest.raises(Timeout):
        instance.exports.wait()


def test_wasi_waits_no_longer() -> None:
    with pytest.raises(Timeout):
        within(0.05, Waiting().sleep, 60)


def test_run_stops_a_program_that_computes(engine: Any) -> None:
    program = '(module (func (export "_start") (loop $again (br $again))))'
    with pytest.raises(Timeout):
        wasmine.run(program, timeout=0.05, engine=engine)
    with pytest.raises(Timeout):
        wasmine.run(program, limits=Limits(timeout=0.05), engine=engine)


def test_within_gives_the_result_and_raises_what_is_raised() -> None:
    assert within(60, max, 1, 2) == 2
    with pytest.raises(ZeroDivisionError):
        within(60, divmod, 1, 0)
    assert current() is None


def test_what_ends_a_call_does_not_leave_within() -> None:
    def expire() -> None:
        raise Expired

    with pytest.raises(Timeout):
        within(60, expire)


def test_the_watchdog_goes_when_there_is_nothing_to_watch() -> None:
    within(60, int)
    assert watchdog.thread is not None
    ended = time.monotonic() + 30
    while watchdog.thread is not None:
        assert time.monotonic() < ended
        time.sleep(0.05)
    assert within(60, int) == 0


def test_memories_and_tables_grow_to_the_limit(engine: Any) -> None:
    limits = Limits(memory=3 * 65536 + 1, table=5)
    exports = Runtime(engine, limits=limits).instantiate(SIZES).exports
    assert [exports["grow memory"](3), exports["grow memory"](2), exports["grow memory"](1)] == [-1, 1, -1]
    assert [exports["grow table"](4), exports["grow table"](3), exports["grow table"](1)] == [-1, 2, -1]
    with pytest.raises(MemoryError, match="maximum is 3"):
        exports.memory.grow(1)
    with pytest.raises(MemoryError, match="maximum is 5"):
        exports.table.grow(1)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(memory=65535), "needs a memory of 65536 bytes; the limit is 65535"),
        (Limits(table=1), "needs a table of 2 elements; the limit is 1"),
    ],
)
def test_a_module_that_needs_more_is_refused(engine: Any, limits: Limits, message: str) -> None:
    with pytest.raises(LinkError, match=message):
        Runtime(engine).instantiate(SIZES, limits=limits)


def test_a_runtime_has_so_many_instances(engine: Any) -> None:
    runtime = Runtime(engine, limits=Limits(instances=2))
    first = runtime.instantiate(SIZES)
    second = runtime.instantiate(SIZES)
    with pytest.raises(LinkError, match="has 2 instances, as many as its limits allow"):
        runtime.instantiate(SIZES)
    first.close()
    third = runtime.instantiate(SIZES)
    assert [second.closed, third.closed] == [False, False]
    del second  # nobody holds it: it does not count any more
    runtime.instantiate(SIZES)


def test_an_instance_takes_from_the_runtime_what_its_own_limits_leave_open(engine: Any) -> None:
    runtime = Runtime(engine, limits=Limits(timeout=1.5, table=9))
    assert runtime.instantiate(SIZES, limits=Limits(table=4)).limits == Limits(timeout=1.5, table=4)


@pytest.mark.parametrize("wrong", [{"timeout": "1"}, {"memory": 1.5}, {"table": True}])
def test_a_limit_is_a_number(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"the limit {next(iter(wrong))} must be a number"):
        Limits(**wrong)


@pytest.mark.parametrize("wrong", [{"timeout": -0.1}, {"memory": -1}, {"timeout": float("nan")}])
def test_a_limit_is_not_negative(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        Limits(**wrong)


def test_a_host_function_that_swallows_everything_cannot_keep_the_guest_running(engine: Any) -> None:
    def swallow() -> None:
        try:
            for _ in range(100_000):
                pass
        except BaseException:
            pass

    class Endless:
        def __del__(self) -> None:
            compute_for_ever()

    def lose() -> None:
        with catch_unraisable():
            Endless()

    for host in swallow, lose:
        with pytest.raises(Timeout):
            loops(engine, host).exports["keep calling"]()


@contextmanager
def catch_unraisable() -> Iterator[None]:
    """Exceptions that nobody can catch are not reported."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = before


def test_a_host_function_that_raises_wasm_exceptions_cannot_keep_the_guest_running(engine: Any) -> None:
    runtime = Runtime(engine, limits=Limits(timeout=0.05))
    tag = runtime.tag()

    def throw() -> None:
        try:
            for _ in range(100_000):
                pass
        except BaseException:
            pass
        raise wasmine.WasmException(tag)

    text = """(module (import "h" "f" (func $f)) (func (export "f")
      (loop $again (block $caught (try_table (catch_all $caught) (call $f))) (br $again))))"""
    with pytest.raises(Timeout):
        runtime.instantiate(text, {"h": {"f": throw}}).exports.f()


@pytest.mark.parametrize("gil", ["lazy", "release"])
def test_a_guest_that_throws_and_catches_for_ever_is_stopped(engine: Any, gil: Any) -> None:
    text = """(module (tag $t) (func $throw (throw $t)) (func (export "here")
      (loop $again (block $caught (try_table (catch_all $caught) (throw $t))) (br $again)))
     (func (export "below") (loop $again (block $caught (try_table (catch_all $caught) (call $throw))) (br $again))))"""
    instance = Runtime(engine, gil=gil, limits=Limits(timeout=0.1)).instantiate(text)
    for name in "here", "below", "here":
        with pytest.raises(Timeout):
            instance.exports[name]()


@pytest.mark.parametrize("seconds", [0, 0.0])
def test_nothing_is_done_in_no_time(engine: Any, seconds: float) -> None:
    with pytest.raises(Timeout, match=r"the time limit of 0 s ran out"):
        loops(engine, seconds=seconds).exports.one()


@pytest.mark.parametrize("seconds", [1e12, 1e300, float("inf"), 10**400])
def test_a_limit_may_be_as_long_as_one_likes(engine: Any, seconds: float) -> None:
    assert loops(engine, seconds=seconds).exports.one() == 1
