"""Exceptions show which wasm functions they passed, on both engines."""

from __future__ import annotations

import collections
import functools
import itertools
import os
import pickle
import signal
import threading
import traceback
from typing import TYPE_CHECKING, Any

import pytest

import wasmine
from wasmine import Frame, Limits, Module, Runtime, Timeout
from wasmine.runtime.stack import passed, wasm_frames

if TYPE_CHECKING:
    from collections.abc import Callable

GUEST = Module("""(module $shop
  (import "host" "call" (func $call))
  (func $inner (call $call))
  (func (export "outer") (call $inner))
  (func $turn (loop $again (br $again)))
  (func (export "spin") (call $turn)))""")


def guest(engine: Any, host: Callable[[], object] = lambda: None, name: str = "shop", **options: Any) -> Any:
    return Runtime(engine, **options).instantiate(GUEST, {"host": {"call": host}}, name)


def functions(error: BaseException) -> list[tuple[str, str]]:
    """Module and name of the wasm functions in a traceback, outermost first."""
    return [(frame.module, frame.function) for frame in reversed(wasm_frames(error.__traceback__))]


@pytest.mark.parametrize("type", [KeyError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_of_a_host_function_shows_its_way_and_is_the_same_object(
    engine: str, type: type[BaseException]
) -> None:
    raised = type("this")

    def host() -> None:
        raise raised

    with pytest.raises(type) as caught:
        guest(engine, host).exports.outer()
    assert caught.value is raised
    assert functions(raised) == [("shop", "outer"), ("shop", "inner")]


def test_the_traceback_that_is_printed_has_the_calls_in_their_order(engine: str) -> None:
    def host() -> None:
        raise KeyError("this")

    with pytest.raises(KeyError) as caught:
        guest(engine, host).exports.outer()
    names = [entry.name.partition(" at ")[0] for entry in traceback.extract_tb(caught.value.__traceback__)]
    wanted = ["test_the_traceback_that_is_printed_has_the_calls_in_their_order", "outer", "inner", "host"]
    assert [name for name in names if name in wanted] == wanted
    assert "KeyError: 'this'" in "".join(traceback.format_exception(caught.value))


def test_what_passes_several_guests_shows_them_all(engine: str) -> None:
    def host() -> None:
        raise KeyError("this")

    deep = guest(engine, host, "deep")
    middle = guest(engine, lambda: deep.exports.outer(), "middle")
    with pytest.raises(KeyError) as caught:
        guest(engine, lambda: middle.exports.outer(), "shop").exports.outer()
    assert functions(caught.value) == [(name, f) for name in ("shop", "middle", "deep") for f in ("outer", "inner")]


def test_an_exception_that_is_raised_again_and_again_shows_the_last_way(engine: str) -> None:
    error = KeyError("this")

    def host() -> None:
        raise error.with_traceback(None)

    instance = guest(engine, host)
    for _ in range(3):
        with pytest.raises(KeyError):
            instance.exports.outer()
    assert functions(error) == [("shop", "outer"), ("shop", "inner")]


def test_a_timeout_says_where_the_guest_was(engine: str) -> None:
    with pytest.raises(Timeout) as caught:
        guest(engine, limits=Limits(timeout=0.3)).exports.spin()
    assert [(frame.module, frame.function) for frame in caught.value.frames] == [("shop", "turn"), ("shop", "spin")]
    message = str(caught.value).splitlines()
    assert message[:2] == ["the time limit of 0.3 s ran out", "wasm stack (most recent call last):"]
    assert caught.value.reason == message[0]
    assert "shop.spin" in message[2]
    assert "shop.turn" in message[3]


def test_a_timeout_in_a_host_function_shows_the_guest_below_it(engine: str) -> None:
    def host() -> None:
        while True:
            pass

    with pytest.raises(Timeout) as caught:
        guest(engine, host, limits=Limits(timeout=0.3)).exports.outer()
    assert [frame.function for frame in caught.value.frames] == ["inner", "outer"]


def test_an_interrupt_shows_where_the_guest_was(engine: str) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    instance = guest(engine)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            instance.exports.spin()
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert functions(caught.value) == [("shop", "spin"), ("shop", "turn")]


def test_an_interrupt_on_the_way_back_from_a_host_function_shows_the_guest(engine: str) -> None:
    class Stop(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    # Python code would handle the signal itself; this is a builtin that looks for none.
    host = functools.partial(collections.deque(maxlen=0).extend, itertools.repeat(0, 20_000_000))
    instance = guest(engine, host)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        with pytest.raises(Stop) as caught:
            instance.exports.outer()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert functions(caught.value) == [("shop", "outer"), ("shop", "inner")]


def test_an_exit_is_not_traced(compiler: str) -> None:
    def host() -> None:
        raise wasmine.Exit(3)

    with pytest.raises(wasmine.Exit) as caught:
        guest(compiler, host).exports.outer()
    assert functions(caught.value) == []


def test_deep_stacks_show_their_innermost_part(engine: str) -> None:
    def host() -> None:
        raise KeyError("this")

    text = """(module $deep (import "host" "call" (func $call))
      (func $down (export "down") (param i32)
        (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1)))) (else (call $call)))))"""
    with pytest.raises(KeyError) as caught:
        Runtime(engine).instantiate(text, {"host": {"call": host}}).exports.down(200)
    assert 50 < len(functions(caught.value)) <= 64


def test_frames_that_are_made_refer_to_no_others() -> None:
    traceback = passed([Frame("shop", "turn", 3, 16), Frame("shop", "spin", 4)], None)
    assert traceback is not None
    assert [frame.function for frame in wasm_frames(traceback)] == ["turn", "spin"]
    assert traceback.tb_frame.f_back is None
    assert traceback.tb_frame.f_code.co_name == "spin"
    assert traceback.tb_next is not None
    assert traceback.tb_next.tb_frame.f_code.co_name == "turn at 0x10"


def test_limits_that_were_exceeded_can_be_pickled() -> None:
    error = Timeout("over", [Frame("shop", "turn", 3, 16)])
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.reason, copy.frames, type(copy)) == (error.reason, error.frames, Timeout)
