"""What the hand-written machine code does where memory is short, threads cannot be had, and time is up before it began.

`python tests/blob_coverage` tells which of it no test executes.
"""

from __future__ import annotations

import bisect
import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.compiler.machine.conftest import Run, expect
from tests.conftest import skip_unless_available
from tests.objects import COUNTED

import wasmine
from wasmine import Trap, TrapKind
from wasmine.compiler.machine import glue
from wasmine.compiler.machine.layout import LOOK, Call, Data
from wasmine.runtime.deadline import Expired

TEXT = """(module
  (import "h" "f" (func $f (param externref i32)))
  (memory 1)
  (func (export "number") (result i32) (i32.const 7))
  (func (export "number32") (param i32) (result i32) (local.get 0))
  (func (export "both") (param externref) (result externref i32) (local.get 0) (i32.const 7))
  (func (export "same") (param externref) (result externref) (local.get 0))
  (func (export "host") (param externref) (call $f (local.get 0) (i32.const 7)))
  (func $self (export "self") (result externref funcref) (ref.null extern) (ref.func $self))
  (func (export "spin") (loop (br 0)))
  (func $down (export "down") (param i32) (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1)))))
    (drop (i32.load (i32.const -1))) (drop (i32.div_s (i32.const 1) (local.get 0)))))"""


@pytest.fixture
def exports() -> Iterator[Any]:
    skip_unless_available("compiler")
    with wasmine.Runtime("compiler") as runtime:
        found = runtime.instantiate(TEXT, {"h": {"f": lambda *_: None}}).exports
        found.number()  # the thread has its block
        yield found


@contextlib.contextmanager
def failing(field: int) -> Iterator[None]:
    """The function of CPython in a field of the data page raises MemoryError."""
    loaded = glue.load()
    place = ctypes.c_uint64.from_address(loaded._data + field)
    before = place.value
    loaded.set(field, ctypes.cast(ctypes.pythonapi.PyErr_NoMemory, ctypes.c_void_p).value or 0)
    try:
        yield
    finally:
        loaded.set(field, before)


@contextlib.contextmanager
def changed(*fields: tuple[int, int]) -> Iterator[None]:
    """Fields of the data page have other values."""
    loaded = glue.load()
    before = [(field, ctypes.c_uint64.from_address(loaded._data + field).value) for field, _ in fields]
    for field, value in fields:
        loaded.set(field, value)
    try:
        yield
    finally:
        for field, value in before:
            loaded.set(field, value)


def raises_memory_error(call: Callable[..., object], *args: object) -> bool:
    """Whether a call raises MemoryError, of which nothing is kept."""
    try:
        call(*args)
    except MemoryError:
        return True
    return False


CALLS: dict[str, tuple[int, Callable[[Any, object], object]]] = {
    "a result": (Data.INT_FROM_SIGNED, lambda exports, value: exports.number()),
    "the second result": (Data.INT_FROM_SIGNED, lambda exports, value: exports.both(value)),
    "the tuple of results": (Data.TUPLE_NEW, lambda exports, value: exports.both(value)),
    "the second argument of a host function": (Data.INT_FROM_SIGNED, lambda exports, value: exports.host(value)),
    "a function": (Data.INT_FROM_UNSIGNED, lambda exports, value: exports.self()),
    "the number of a new reference": (Data.CALL_OBJECTS, lambda exports, value: exports.same([])),
    "the arguments of a call that Python has to make": (Data.TUPLE_NEW, lambda exports, value: exports.same()),
}


@pytest.mark.skipif(not COUNTED, reason="only CPython has the functions that fail here")
@pytest.mark.parametrize("name", CALLS)
def test_no_memory_for_an_object_is_an_error_and_leaves_no_references(exports: Any, name: str) -> None:
    field, call = CALLS[name]
    value = object()
    assert exports.both(value) == (value, 7)
    before = sys.getrefcount(value)
    for _ in range(100):
        with failing(field):
            assert raises_memory_error(call, exports, value)
    assert sys.getrefcount(value) - before < 10  # pytest or the interpreter may keep the last exception
    assert exports.both(value) == (value, 7)


@pytest.mark.skipif(not COUNTED, reason="only CPython's ints are read by machine code")
def test_where_ints_are_laid_out_otherwise_a_function_of_cpython_reads_them(exports: Any) -> None:
    numbers = (0, 1, -1, 255, 1 << 29, 1 << 30, -(1 << 31), (1 << 32) - 1)
    expected = [(number + (1 << 31)) % (1 << 32) - (1 << 31) for number in numbers]
    assert [exports.number32(number) for number in numbers] == expected
    with changed((Data.INT_MASK, 0), (Data.INT_ZERO, 1), (Data.INT_DIGIT, 0)):
        assert [exports.number32(number) for number in numbers] == expected


def test_a_call_whose_time_is_over_before_it_begins(exports: Any) -> None:
    """It is left where nothing of wasm is on the native stack: nothing is copied, not what lies beyond it."""
    block = glue.load().threads.current()
    block.stop.value = 1
    block.signals.value |= LOOK
    try:
        with pytest.raises(Expired):
            exports.spin()
    finally:
        block.stop.value = 0
    assert copied(block) == 0
    assert exports.number() == 7


@pytest.mark.parametrize(("depth", "least", "most"), [(0, 8, 64), (100, 1608, 6400), (100_000, 7168, 7168)])
def test_how_much_of_the_native_stack_a_trap_copies(exports: Any, depth: int, least: int, most: int) -> None:
    with pytest.raises(Trap) as caught:
        exports.down(depth)
    assert caught.value.kind in (TrapKind.MEMORY_OUT_OF_BOUNDS, TrapKind.STACK_OVERFLOW)
    assert least <= copied(glue.load().threads.current()) <= most


def test_a_call_of_python_needs_more_of_the_stack_than_the_function_that_makes_it() -> None:
    skip_unless_available("compiler")
    text = """(module (import "h" "f" (func $f))
      (func $down (export "down") (param i32 i32)
        (if (local.get 0)
          (then (call $down (i32.sub (local.get 0) (i32.const 1)) (local.get 1)))
          (else (if (local.get 1) (then (call $f)))))))"""
    down = wasmine.Runtime("compiler").instantiate(text, {"h": {"f": lambda: None}}).exports.down

    def fits(depth: int, asks: bool) -> bool:
        try:
            down(depth, asks)
        except Trap as error:
            if error.kind is not TrapKind.STACK_OVERFLOW:
                raise
            return False
        return True

    def deepest(asks: bool) -> int:
        return bisect.bisect_left(range(1 << 24), True, key=lambda depth: not fits(depth, asks)) - 1

    assert deepest(asks=True) < deepest(asks=False)


def copied(block: Any) -> int:
    """How many bytes the last call of the thread that was left by a trap has copied."""
    return int(block.words[(block.top.value - block.values + Call.STACK_COPIED) // 8])


SCRIPT = """
from wasmine.compiler.machine import glue, libc
from wasmine.compiler.machine.layout import Data
loaded = glue.load()
def field(offset):
    return ctypes.c_uint64.from_address(loaded._data + offset)
exports = instance('''(module (func (export "f") (result i32) (i32.const 7))
  (func (export "spin") (param i64)
    (loop (br_if 0 (i64.ne (i64.const 0) (local.tee 0 (i64.sub (local.get 0) (i64.const 1))))))))''',
  runtime=wasmine.Runtime("compiler", gil="release")).exports
"""


def test_the_ticker_is_started_when_a_thread_can_be_had_again(run: Run) -> None:
    script = (
        SCRIPT
        + """
create = field(Data.CREATE_THREAD).value
loaded.set(Data.CREATE_THREAD, libc.function_address("getpid"))  # not 0: it could not be done
print(exports.f(), exports.f(), field(Data.TICKER).value & 1)
loaded.set(Data.CREATE_THREAD, create)
print(exports.f(), field(Data.TICKER).value & 1)
"""
    )
    expect(run(script), "7 7 0\n7 1")


@pytest.mark.parametrize("told", [False, True], ids=["unnoticed", "told to start another"])
def test_the_ticker_stays_if_somebody_came_while_it_ended(run: Run, told: bool) -> None:
    """Its last look, one tick after it said that it ends, finds a thread in wasm code."""
    script = (
        SCRIPT
        + f"""
told = {told}
ready, go, ended, blocks, ticks = threading.Event(), threading.Event(), threading.Event(), [], []
def work():
    exports.spin(1)
    blocks.append(loaded.threads.current())
    ready.set()
    go.wait()
    if not told:
        blocks[0].signals.value = 0
    exports.spin(0)
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint)
def sleep(microseconds):
    ticks.append(threading.get_ident())
    if go.is_set() or field(Data.TICKER).value & 1:
        time.sleep(0.0005)
    else:  # it has said that it ends
        go.set()
        while not blocks[0].inside.value:
            time.sleep(0.001)
        ended.set()
    return 0
threading.Thread(target=work, daemon=True).start()
ready.wait()
loaded.set(Data.SLEEP, ctypes.cast(sleep, ctypes.c_void_p).value)
ended.wait()
count = len(ticks)
while len(ticks) < count + 20:
    time.sleep(0.001)
print(field(Data.TICKER).value & 1, ticks[-1] == ticks[0], flush=True)
os._exit(0)
"""
    )
    expect(run(script), f"1 {not told}")


def test_a_processor_that_has_no_xsave(run: Run) -> None:
    """Then the safepoint saves less, and faults go by way of the kernel."""
    script = (
        SCRIPT
        + """
loaded.set(Data.PROCESSOR_PARTS, 0)
load = instance(LOAD).exports.load
seen = []
trapped(load, -1)
def handler(*_):
    seen.append(trapped(load, -1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.01)
sums = instance('''(module (func (export "f") (param i32) (result f64) (local f64 f64)
  (local.set 2 (f64.const 1))
  (loop (local.set 1 (f64.add (local.get 1) (local.get 2)))
    (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1)))''').exports.f
results = set()
while len(seen) < 5:
    results.add(sums(50_000_000))
signal.setitimer(signal.ITIMER_REAL, 0)
print(results, set(seen) == {TrapKind.MEMORY_OUT_OF_BOUNDS})
"""
    )
    expect(run(script), "{50000000.0} True")
