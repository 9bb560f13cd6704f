"""Guests under asyncio, on both engines."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import wasmine
from wasmine import Limits, Module, Runtime, Timeout
from wasmine.runtime import asynchronous

if TYPE_CHECKING:
    from collections.abc import Callable

GUEST = Module("""(module
  (import "host" "call" (func $call (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "spin") (loop $again (br $again)))
  (func (export "keep calling") (loop $again (drop (call $call (i32.const 1))) (br $again)))
  (func (export "call") (param i32) (result i32) (call $call (local.get 0)))
  (func (export "trap") unreachable)
  (func (export "one") (result i32) (i32.const 1)))""")

SLEEP = """(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i64.store (i32.const 24) (i64.const 60_000_000_000))
    (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"""


def guest(engine: Any, host: Callable[..., Any] = lambda value: value, limits: Limits | None = None) -> Any:
    return Runtime(engine, limits=limits).instantiate(GUEST, {"host": {"call": host}})


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def cancelled(awaitable: Any, when: Callable[[], object] = lambda: True, after: float = 0.02) -> None:
    """Begin it, cancel it when the condition holds, and see that it was."""
    task = asyncio.ensure_future(awaitable)
    await asyncio.sleep(after)
    await until(when)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


def test_the_loop_is_free_while_a_guest_computes(engine: str) -> None:
    instance = guest(engine)

    async def main() -> int:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        await cancelled(instance.exports.spin.async_(), lambda: turns > 100)
        counting.cancel()
        return turns

    assert asyncio.run(main()) > 100


def test_the_result_arrives(engine: str) -> None:
    assert asyncio.run(guest(engine).exports.call.async_(42)) == 42


def test_wrong_arguments_are_refused(engine: str) -> None:
    with pytest.raises(TypeError, match=r"call\(\)"):
        asyncio.run(guest(engine).exports.call.async_(1, 2))


@pytest.mark.parametrize("name", ["spin", "keep calling"])
def test_a_cancelled_guest_stops_and_its_instance_works_on(engine: str, name: str) -> None:
    instance = guest(engine)

    async def main() -> None:
        for _ in range(3):
            await cancelled(instance.exports[name].async_())
            # It has ended: another thread may use the instance at once.
            assert instance.exports.one() == 1

    asyncio.run(main())


def test_a_call_that_is_cancelled_before_it_begins_never_runs_for_long(engine: str) -> None:
    instance = guest(engine)

    async def main() -> None:
        task = asyncio.create_task(instance.exports.spin.async_())
        await asyncio.sleep(0)  # it has begun to wait: the thread may or may not have begun
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await instance.exports.one.async_() == 1

    for _ in range(20):
        asyncio.run(main())


def test_cancelling_more_than_once_still_waits_for_the_end(engine: str) -> None:
    begun, ended = threading.Event(), []
    go = threading.Lock()
    go.acquire()

    def host(value: int) -> int:
        try:
            begun.set()
            go.acquire(timeout=60)
        finally:
            ended.append(value)
        return value

    instance = guest(engine, host)

    async def main() -> None:
        task = asyncio.create_task(instance.exports["keep calling"].async_())
        while not begun.is_set():
            await asyncio.sleep(0.001)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
            assert not task.done()
        go.release()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(ended) == 1

    asyncio.run(main())


def test_asyncio_timeout_and_wait_for_work(engine: str) -> None:
    instance = guest(engine)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await instance.exports.spin.async_()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(instance.exports.spin.async_(), 0.03)
        assert await instance.exports.one.async_() == 1

    asyncio.run(main())


def test_limits_work_and_raise_their_own_exception(engine: str) -> None:
    instance = guest(engine, limits=Limits(timeout=0.3))

    async def main() -> None:
        with pytest.raises(Timeout, match=r"0\.3 s"):
            await instance.exports.spin.async_()
        assert await instance.exports.one.async_() == 1

    asyncio.run(main())


def test_a_cancelled_call_that_has_a_limit_too_is_cancelled(engine: str) -> None:
    instance = guest(engine, limits=Limits(timeout=60))
    asyncio.run(cancelled(instance.exports.spin.async_()))


def test_exceptions_arrive_as_the_same_object(engine: str) -> None:
    error = KeyError("this one")

    def host(value: int) -> int:
        raise error

    with pytest.raises(KeyError) as caught:
        asyncio.run(guest(engine, host).exports.call.async_(1))
    assert caught.value is error


def test_traps_arrive_with_their_frames(engine: str) -> None:
    with pytest.raises(wasmine.Trap) as caught:
        asyncio.run(guest(engine).exports.trap.async_())
    assert [frame.function for frame in caught.value.frames] == ["trap"]


def test_context_variables_are_those_of_the_task(engine: str) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    async def host(value: int) -> int:
        return value + variable.get()

    plain = guest(engine, lambda value: value + variable.get())
    awaiting = guest(engine, host)

    async def main() -> list[int]:
        variable.set(100)
        return [await plain.exports.call.async_(1), await awaiting.exports.call.async_(2)]

    assert asyncio.run(main()) == [101, 102]


def test_many_calls_run_at_once_and_none_waits_for_another(engine: str) -> None:
    arrived = threading.Barrier(40)

    def host(value: int) -> int:
        arrived.wait(60)
        return value

    async def main() -> list[int]:
        return await asyncio.gather(*(guest(engine, host).exports.call.async_(i) for i in range(40)))

    assert asyncio.run(main()) == list(range(40))


# -------------------------------------------------------------------------------------------- asynchronous host functions


def test_a_host_function_may_be_async(engine: str) -> None:
    threads = set()

    async def host(value: wasmine.i32) -> wasmine.i32:
        await asyncio.sleep(0.001)
        threads.add(threading.current_thread())
        return value * 2

    async def main() -> int:
        return await guest(engine, host).exports.call.async_(21)

    assert asyncio.run(main()) == 42
    assert threads == {threading.main_thread()}


def test_an_object_with_an_async_call_is_one_too(engine: str) -> None:
    class Host:
        async def __call__(self, value: int) -> int:
            await asyncio.sleep(0)
            return value + 1

    assert asyncio.run(guest(engine, Host()).exports.call.async_(1)) == 2


def test_its_annotations_are_checked(engine: str) -> None:
    async def host(value: wasmine.f64) -> wasmine.i32:
        return 1

    with pytest.raises(wasmine.LinkError, match="parameter 1 is annotated f64, not i32"):
        guest(engine, host)


def test_its_exception_arrives_as_the_same_object(engine: str) -> None:
    error = KeyError("this one")

    async def host(value: int) -> int:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(KeyError) as caught:
        asyncio.run(guest(engine, host).exports.call.async_(1))
    assert caught.value is error


def test_without_a_loop_it_says_what_to_do(engine: str) -> None:
    async def host(value: int) -> int:
        return value

    instance = guest(engine, host)
    with pytest.raises(RuntimeError, match=r"host function host\.call\(\) is asynchronous.*await function\.async_"):
        instance.exports.call(1)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="is asynchronous"):
            instance.exports.call(1)  # on the loop's own thread: it could never go on
        assert await instance.exports.call.async_(1) == 1

    asyncio.run(main())


def test_it_is_cancelled_with_the_call_and_may_clean_up(engine: str) -> None:
    seen = []

    async def host(value: int) -> int:
        try:
            seen.append("began")
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            seen.append("cleaned up")
        return value

    instance = guest(engine, host)

    async def main() -> None:
        await cancelled(instance.exports.call.async_(1), lambda: seen)
        assert seen == ["began", "cleaned up"]
        assert await instance.exports.one.async_() == 1

    asyncio.run(main())


def test_a_time_limit_ends_it(engine: str) -> None:
    seen = []

    async def host(value: int) -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        return value

    with pytest.raises(Timeout):
        asyncio.run(guest(engine, host, Limits(timeout=0.3)).exports.call.async_(1))
    assert seen == ["cancelled"]


def test_a_guest_is_stopped_even_if_its_host_function_survives_cancellation(engine: str) -> None:
    async def host(value: int) -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return value
        return value

    seen = []

    async def stubborn(value: int) -> int:
        seen.append(value)
        return await host(value)

    asyncio.run(cancelled(guest(engine, stubborn).exports["keep calling"].async_(), lambda: seen))
    assert len(seen) == 1


def test_its_own_timeout_error_is_its_own(engine: str) -> None:
    async def host(value: int) -> int:
        raise TimeoutError("the server's")

    with pytest.raises(TimeoutError, match="the server's"):
        asyncio.run(guest(engine, host, Limits(timeout=60)).exports.call.async_(1))


def test_it_may_call_the_guest_again(engine: str) -> None:
    async def host(caller: wasmine.Caller, value: wasmine.i32) -> wasmine.i32:
        if not value:
            return int(await caller.exports.one.async_())
        return value + int(await caller.exports.call.async_(value - 1))

    assert asyncio.run(guest(engine, host).exports.call.async_(5)) == 16


def test_a_call_from_it_may_be_cancelled_alone(engine: str) -> None:
    async def host(caller: wasmine.Caller, value: wasmine.i32) -> wasmine.i32:
        await cancelled(caller.exports.spin.async_())
        return value

    assert asyncio.run(guest(engine, host).exports.call.async_(5)) == 5


def test_a_call_from_it_ends_with_the_outer_one(engine: str) -> None:
    began = []

    async def host(caller: wasmine.Caller, value: wasmine.i32) -> wasmine.i32:
        began.append(1)
        await caller.exports.spin.async_()
        return value

    instance = guest(engine, host)

    async def main() -> None:
        await cancelled(instance.exports.call.async_(5), lambda: began)
        assert await instance.exports.one.async_() == 1

    asyncio.run(main())


def test_what_it_leaves_behind_may_use_other_instances_later(engine: str) -> None:
    other = guest(engine)
    tasks = []

    async def later() -> int:
        await asyncio.sleep(0.02)
        return int(await other.exports.call.async_(7))

    async def host(value: int) -> int:
        tasks.append(asyncio.create_task(later()))
        return value

    async def main() -> int:
        assert await guest(engine, host).exports.call.async_(1) == 1
        return int(await tasks[0])

    assert asyncio.run(main()) == 7


# -------------------------------------------------------------------------------------------- functions of the host


def test_to_thread_runs_a_program_and_stops_it_while_it_waits(engine: str) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await wasmine.to_thread(wasmine.run, SLEEP, engine=engine)

    asyncio.run(main())


def test_to_thread_stops_python_code_of_the_host(engine: str) -> None:
    def compute() -> None:
        while True:
            pass

    asyncio.run(cancelled(wasmine.to_thread(compute)))


def test_a_start_function_may_call_asynchronous_ones(engine: str) -> None:
    values = []

    async def host(value: int) -> None:
        await asyncio.sleep(0)
        values.append(value)

    text = '(module (import "host" "call" (func $f (param i32))) (func $g (call $f (i32.const 5))) (start $g))'
    asyncio.run(wasmine.to_thread(Runtime(engine).instantiate, text, {"host": {"call": host}}))
    assert values == [5]


# -------------------------------------------------------------------------------------------- signals, threads


def test_control_c_ends_the_guest_and_asyncio_run(engine: str) -> None:
    script = """
        import asyncio, os, signal, sys, threading, wasmine
        signal.signal(signal.SIGINT, signal.default_int_handler)
        guest = wasmine.Runtime(sys.argv[1]).instantiate(
            '(module (func (export "spin") (loop $again (br $again))) (func (export "one") (result i32) (i32.const 1)))')
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            asyncio.run(guest.exports.spin.async_())
        except KeyboardInterrupt:
            print("interrupted", guest.exports.one())
    """
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(script), engine],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("interrupted 1\n", "")


def test_signal_handlers_of_the_loop_run_while_a_guest_computes(engine: str) -> None:
    instance = guest(engine)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(instance.exports.spin.async_())
        loop.add_signal_handler(signal.SIGUSR1, task.cancel)
        try:
            await asyncio.sleep(0.02)
            os.kill(os.getpid(), signal.SIGUSR1)
            with pytest.raises(asyncio.CancelledError):
                await task
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)

    asyncio.run(main())


def test_a_coroutine_that_is_thrown_away_leaves_no_guest_running(engine: str) -> None:
    ended = threading.Event()
    instance = guest(engine)

    def spin() -> None:
        try:
            instance.exports.spin()
        finally:
            ended.set()

    async def main() -> None:
        coroutine = wasmine.to_thread(spin)
        coroutine.send(None)
        await asyncio.sleep(0.02)
        coroutine.close()

    asyncio.run(main())
    assert ended.wait(30)


def test_threads_are_used_again_and_go_when_they_are_idle(engine: str) -> None:
    threads = set()

    def host(value: int) -> int:
        threads.add(threading.get_ident())
        return value

    instance = guest(engine, host)

    async def main() -> None:
        for number in range(100):
            assert await instance.exports.call.async_(number) == number
            await asyncio.sleep(0.0005)

    asyncio.run(main())
    assert len(threads) < 50
    ended = time.monotonic() + 30
    while any(thread.name == "wasmine call" for thread in threading.enumerate()):
        assert time.monotonic() < ended
        time.sleep(0.05)
    assert asynchronous._threads._idle == []


def test_a_child_process_starts_threads_of_its_own(engine: str) -> None:
    script = """
        import asyncio, os, sys, wasmine
        guest = wasmine.Runtime(sys.argv[1]).instantiate('(module (func (export "one") (result i32) (i32.const 1)))')
        print(asyncio.run(guest.exports.one.async_()), flush=True)
        child = os.fork()
        if not child:
            print(asyncio.run(guest.exports.one.async_()), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), engine],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.split(), done.stderr) == (["1", "1"], "")


def test_asyncio_is_not_imported_before_it_is_used(engine: str) -> None:
    script = """
        import sys, wasmine
        guest = wasmine.Runtime(sys.argv[1]).instantiate('(module (func (export "one") (result i32) (i32.const 1)))')
        guest.exports.one()
        print("asyncio" in sys.modules)
        guest.exports.one.async_().close()
        print("asyncio" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), engine], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.split(), done.stderr) == (["False", "True"], "")


@pytest.mark.parametrize("name", ["spin", "call"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_guest_ends_when_the_loop_is_closed_and_forgotten(engine: str, name: str) -> None:
    began = threading.Event()

    async def host(value: int) -> int:
        began.set()
        await asyncio.sleep(60)
        return value

    instance = guest(engine, host)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # which would say that tasks were destroyed
    task = loop.create_task(instance.exports[name].async_(*((1,) if name == "call" else ())))
    loop.run_until_complete(until(began.is_set) if name == "call" else asyncio.sleep(0.05))
    with pytest.raises(wasmine.WasmineError, match="in use by another thread"):
        instance.exports.one()
    loop.close()
    del task, loop
    gc.collect()
    end = time.monotonic() + 60
    while True:
        try:
            assert instance.exports.one() == 1
            break
        except wasmine.WasmineError:
            assert time.monotonic() < end
            time.sleep(0.01)
