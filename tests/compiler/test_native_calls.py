"""Calls between Python and machine code: what they take, give and refuse is what the interpreter does, at any count."""

from __future__ import annotations

import enum
import functools
import gc
import inspect
import math
import operator
import struct
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.conftest import skip_unless_available
from tests.objects import COUNTED, allocated_blocks

import wasmine
from wasmine import Trap, TrapKind, WasmException
from wasmine.compiler.engine import CompilerEngine
from wasmine.compiler.function import NativeFunction
from wasmine.compiler.references import References
from wasmine.runtime.function import Function

Instantiate = Callable[..., wasmine.Instance]


counting = pytest.mark.skipif(not COUNTED, reason="this Python does not count references")


@pytest.fixture(params=[True, False], ids=["native", "ctypes"])
def compiled(request: Any, monkeypatch: Any) -> Iterator[Instantiate]:
    """`compiled(text, imports=None)`, with calls by machine code, and with the calls that do without it."""
    skip_unless_available("compiler")
    monkeypatch.setattr(CompilerEngine, "native_calls", request.param)
    with wasmine.Runtime("compiler") as runtime:
        yield runtime.instantiate


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """What a call gives, as something to be compared: NaNs by their bits, exceptions by type and message."""
    try:
        found = function(*args)
    except Exception as error:
        return type(error).__name__, str(error)
    return comparable(found)


def comparable(value: Any) -> Any:
    if isinstance(value, float):
        return "float", struct.pack("<d", value)
    if isinstance(value, tuple):
        return tuple(map(comparable, value))
    return type(value).__name__, value


# ---------------------------------------------------------------------------------------------- what is taken and given

TYPES = ("i32", "i64", "f32", "f64", "v128", "externref", "funcref")

ECHO = f"""
(module
  {"".join(f'(func (export "{t}") (param {t}) (result {t}) (local.get 0))' for t in TYPES)}
  (type $f (func))
  (func $null (export "nonnull") (param (ref extern)) (result (ref extern)) (local.get 0))
  (func (export "typed") (param (ref null $f)) (result (ref null $f)) (local.get 0))
  (func (export "any") (param anyref) (result anyref) (local.get 0))
  (func (export "nothing") (type $f))
  (func (export "mixed") (param i32 f64 externref v128 i64 f32) (result f32 i64 v128 externref f64 i32)
    (local.get 5) (local.get 4) (local.get 3) (local.get 2) (local.get 1) (local.get 0)))
"""


class Index:
    def __init__(self, value: object) -> None:
        self.value = value

    def __index__(self) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Float:
    def __init__(self, value: object) -> None:
        self.value = value

    def __float__(self) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Whole(int):
    pass


class Real(float):
    pass


class Color(enum.IntEnum):
    RED = 3


def double(bits: int) -> float:
    found: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return found


EDGES = [edge + d for edge in (0, 1 << 30, 1 << 31, 1 << 32, 1 << 60, 1 << 63, 1 << 64) for d in (-1, 0, 1)]
INTEGERS = [*EDGES, *(-n for n in EDGES), 1 << 127, 1 << 128, -(1 << 127) - 1, 10**400]
FLOATS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    1e300,
    -1e300,
    1e-45,
    1e-46,
    5e-324,
    3.4028235e38,
    3.4028236e38,
    math.inf,
    -math.inf,
]
NANS = [
    double(bits)
    for bits in (0x7FF8 << 48, 0xFFF8 << 48, (0x7FF0 << 48) + 1, 0x7FF4_5678_9ABC_DEF0, 0xFFF0_0000_2000_0000)
]
OTHERS = [
    True,
    False,
    None,
    "1",
    b"1",
    b"0123456789abcdef",
    bytearray(b"0123456789abcdef"),
    memoryview(b"0123456789abcdef"),
    b"0123456789abcdef0",
    [1],
    2 + 3j,
    Whole(-1),
    Real(-1.0),
    Color.RED,
    Index(-1),
    Index(1 << 40),
    Index("no"),
    Index(ValueError("index")),
    Index(KeyError("index")),
    Float(-1.0),
    Float("no"),
    Float(OverflowError("float")),
    Float(ZeroDivisionError("float")),
    len,
]


@pytest.mark.parametrize("name", [*TYPES, "nonnull", "typed", "any"])
def test_every_argument_is_what_it_is_for_the_interpreter(compiled: Instantiate, name: str) -> None:
    ours, theirs = compiled(ECHO).exports, wasmine.Runtime("interpreter").instantiate(ECHO).exports
    for value in (*INTEGERS, *FLOATS, *NANS, *OTHERS):
        assert outcome(ours[name], value) == outcome(theirs[name], value), value


@pytest.mark.parametrize("name", TYPES)
def test_wrong_numbers_of_arguments(compiled: Instantiate, name: str) -> None:
    ours, theirs = compiled(ECHO).exports, wasmine.Runtime("interpreter").instantiate(ECHO).exports
    for arguments in ((), (1, 2), range(1000), range(100_000)):
        assert outcome(ours[name], *arguments) == outcome(theirs[name], *arguments)
    for call in (lambda f: f(x=1), lambda f: f(1, x=2), lambda f: f(*range(9), x=1, y=2)):
        assert outcome(call, ours[name]) == outcome(call, theirs[name])


def test_several_values(compiled: Instantiate) -> None:
    ours, theirs = compiled(ECHO).exports, wasmine.Runtime("interpreter").instantiate(ECHO).exports
    marker, bits = object(), b"0123456789abcdef"
    for arguments in (
        (-1, -1.0, marker, bits, -1, -1.0),
        (1 << 31, NANS[3], None, bits, 1 << 63, NANS[3]),
        (True, 2, 3, 4, 5, 6),
    ):
        assert outcome(ours.mixed, *arguments) == outcome(theirs.mixed, *arguments)
    for wrong in range(6):
        arguments = [
            Index(TypeError("x")) if i == wrong else value for i, value in enumerate((1, 2.0, None, bits, 3, 4.0))
        ]
        assert outcome(ours.mixed, *arguments) == outcome(theirs.mixed, *arguments)
    assert ours.nothing() is None


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("count", [0, 1, 2, 6, 20, 1000])
def test_any_number_of_parameters_and_results(compiled: Instantiate, type: str, count: int) -> None:
    types = f"{type} " * count
    text = f"""
    (module (import "h" "f" (func $f (param {types}) (result {types})))
      (func (export "echo") (param {types}) (result {types}) {"".join(f"(local.get {i})" for i in range(count))})
      (func (export "host") (param {types}) (result {types}) {"".join(f"(local.get {i})" for i in range(count))} (call $f)))
    """

    def back(*values: Any) -> Any:
        assert len(values) == count
        return None if not count else values[0] if count == 1 else values[::-1]

    exports = compiled(text, {"h": {"f": back}}).exports
    values: dict[str, Any] = {
        "v128": [bytes([i % 256] * 16) for i in range(count)],
        "funcref": [(exports.echo, None)[i % 2] for i in range(count)],
    }
    given = tuple(values.get(type) or (map(float, range(count)) if type[0] == "f" else range(count)))
    for name, expected in (("echo", given), ("host", given[::-1])):
        for _ in range(3):
            assert exports[name](*given) == (None if not count else expected[0] if count == 1 else expected)


def test_a_reference_is_the_same_object(compiled: Instantiate) -> None:
    exports = compiled(ECHO).exports
    for value in (object(), "text", 5, exports, None, exports.i32, [], wasmine):
        assert exports.externref(value) is value
        assert exports.externref(value) is value
    assert exports.funcref(exports.i64) is exports.i64
    assert exports.typed(exports.nothing) is exports.nothing
    with pytest.raises(TypeError, match="another runtime"):
        exports.funcref(wasmine.Runtime("compiler").instantiate(ECHO).exports.i64)


# ---------------------------------------------------------------------------------------------- function objects


def test_an_export_is_a_function(compiled: Instantiate) -> None:
    instance = compiled('(module (func $f (export "f") (param $x i32) (param $y f64) (result i64) (i64.const 1)))')
    function = instance.exports.f
    assert isinstance(function, Function)
    assert isinstance(function, NativeFunction)
    assert callable(function)
    assert function.__name__ == function.name == "f"
    assert function.instance is instance
    assert str(inspect.signature(function)) == "(x: int, y: float, /) -> int"
    assert inspect.getdoc(function) == "f(x: int, y: float, /) -> int\n\nA WebAssembly function, [i32 f64] -> [i64]."
    assert repr(function).startswith("<function f ")
    assert instance.exports.f is function
    assert {function: 1}[function] == 1
    assert functools.partial(function, 1)(2.0) == 1
    assert list(map(function, [1, 2], [3.0, 4.0])) == [1, 1]
    assert function.__call__(1, 2.0) == 1
    with pytest.raises(AttributeError):
        function.other = 1


def test_help_works(compiled: Instantiate, capsys: Any) -> None:
    help(compiled('(module (func (export "f") (param $count i32)))').exports.f)
    assert "f(count: int, /) -> None" in capsys.readouterr().out


@counting
def test_nothing_is_kept_or_lost(compiled: Instantiate) -> None:
    exports = compiled(ECHO).exports
    big, marker, real, data = 1 << 62, object(), 1.5, bytes(16)
    for _ in range(3):
        exports.mixed(1, real, marker, data, big, 2.0)
    watched = (big, marker, real, data, exports.mixed)
    before = [sys.getrefcount(value) for value in watched]
    for _ in range(20_000):
        exports.mixed(1, real, marker, data, big, 2.0)
        exports.i64(big)
    for _ in range(2_000):
        outcome(exports.mixed, 1, real, marker, data, big, "no")
        outcome(exports.mixed, 1, real, marker, data, big)
        outcome(functools.partial(exports.i64, keyword=marker), big)
    after = [sys.getrefcount(value) for value in watched]
    assert before == after


@counting
def test_none_is_counted(compiled: Instantiate) -> None:
    exports = compiled(ECHO).exports
    before = sys.getrefcount(None)
    for _ in range(20_000):
        exports.nothing()
        exports.externref(None)
    assert abs(sys.getrefcount(None) - before) < 1_000  # others count it too


def test_objects_come_and_go() -> None:
    skip_unless_available("compiler")
    before = 0
    for round in range(3):
        instance = wasmine.Runtime("compiler").instantiate(ECHO)
        function = instance.exports.i32
        assert function(3) == 3
        gone = weakref.ref(function)
        del instance, function
        gc.collect()
        assert gone() is None
        count = len(gc.get_objects())
        assert round == 0 or count <= before + 50
        before = count


# ---------------------------------------------------------------------------------------------- host functions

HOST = """
(module
  (import "h" "f" (func $f (param i32 externref) (result i32)))
  (import "h" "nothing" (func $nothing))
  (import "h" "several" (func $several (result i32 f32 v128 externref)))
  (import "h" "i64" (func $i64 (result i64))) (import "h" "f32" (func $f32 (result f32)))
  (import "h" "f64" (func $f64 (result f64))) (import "h" "v128" (func $v128 (result v128)))
  (import "h" "externref" (func $externref (result externref))) (import "h" "funcref" (func $funcref (result funcref)))
  (import "h" "any" (func $any (param anyref) (result anyref)))
  (memory (export "memory") 1)
  (tag $t (export "t") (param i32))
  (func (export "f") (param i32 externref) (result i32)
    ;; Operands below the call stay what they are.
    (i32.add (i32.mul (local.get 0) (i32.const 1000)) (call $f (local.get 0) (local.get 1))))
  (func (export "nothing") (call $nothing))
  (func (export "several") (result i32 f32 v128 externref) (call $several))
  (func (export "i64") (result i64) (call $i64)) (func (export "f32") (result f32) (call $f32))
  (func (export "f64") (result f64) (call $f64)) (func (export "v128") (result v128) (call $v128))
  (func (export "externref") (result externref) (call $externref)) (func (export "funcref") (result funcref) (call $funcref))
  (func (export "any") (param anyref) (result anyref) (call $any (local.get 0)))
  (func (export "caught") (result i32) (local i32)
    (local.set 0 (i32.const 7))
    (i32.add (local.get 0)
      (block $h (result i32) (try_table (catch $t $h) (call $nothing)) (i32.const -1))))
  (func (export "tail") (param i32 externref) (result i32) (return_call $f (local.get 0) (local.get 1))))
"""
NAMES = ("f", "nothing", "several", "i64", "f32", "f64", "v128", "externref", "funcref", "any")


def hosts(does: dict[str, Any]) -> dict[str, Any]:
    """Imports for `HOST` that do what is in `does` by then."""

    def late(name: str) -> Callable[..., Any]:
        return lambda *args: does[name](*args)

    return {"h": {name: late(name) for name in NAMES}}


@pytest.mark.parametrize("name", ["i64", "f32", "f64", "v128", "externref", "any", "nothing", "several"])
def test_every_result_is_what_it_is_for_the_interpreter(compiled: Instantiate, name: str) -> None:
    does: dict[str, Any] = {}
    ours = compiled(HOST, hosts(does)).exports
    theirs = wasmine.Runtime("interpreter").instantiate(HOST, hosts(does)).exports
    bits = b"0123456789abcdef"
    tuples = [
        (1, 2.0, bits, None),
        (-1, -1.0, 5, "x"),
        [1, 2, bits, 3],
        (1, 2.0, bits),
        (1, "2", bits, None),
        (1, 2, 3, 4, 5),
        (),
    ]
    arguments = (4,) if name == "any" else ()
    for value in (*INTEGERS, *FLOATS, *NANS, *OTHERS, *tuples):
        does[name] = lambda *args, value=value: value
        assert outcome(ours[name], *arguments) == outcome(theirs[name], *arguments), value


def test_a_host_function_gets_what_was_passed(compiled: Instantiate) -> None:
    seen: list[Any] = []
    does = {"f": lambda *args: seen.append(args) or 5}
    exports = compiled(HOST, hosts(does)).exports
    marker = object()
    assert exports.f(-2, marker) == -1995
    assert exports.tail(3, marker) == 5
    assert seen == [(-2, marker), (3, marker)]


class Host:
    def __call__(self, *args: Any) -> int:
        return len(args)

    def method(self, *args: Any) -> int:
        return len(args)


@pytest.mark.parametrize("host", [Host(), Host().method, functools.partial(lambda *a: len(a) - 1, 0), lambda a, b: 2])
def test_any_callable_is_a_host_function(compiled: Instantiate, host: Callable[..., int]) -> None:
    imports = hosts({})
    imports["h"]["f"] = host
    exports = compiled(HOST, imports).exports
    assert [exports.f(i, None) for i in range(5)] == [1000 * i + 2 for i in range(5)]


def test_a_host_function_may_ask_for_its_caller(compiled: Instantiate) -> None:
    seen: list[Any] = []

    def f(caller: wasmine.Caller, number: wasmine.i32, value: wasmine.externref) -> wasmine.i32:
        caller.memory[0] = number
        seen.append((caller.instance, value))
        return caller.memory[0]

    imports = hosts({})
    imports["h"]["f"] = f
    instance = compiled(HOST, imports)
    assert instance.exports.f(7, "x") == 7007
    assert instance.exports.tail(8, "y") == 8
    assert seen == [(instance, "x"), (instance, "y")]


class Custom(BaseException):
    pass


@pytest.mark.parametrize("kind", [Custom, KeyboardInterrupt, SystemExit, KeyError, GeneratorExit, wasmine.Exit])
def test_what_a_host_function_raises_is_the_same_object(compiled: Instantiate, kind: Any) -> None:
    error = kind(3)
    cause = ValueError("cause")

    def fail(*_: Any) -> None:
        raise error from cause

    exports = compiled(HOST, hosts({"f": fail})).exports
    for call in (exports.f, exports.tail):
        with pytest.raises(kind) as caught:
            call(1, None)
        assert caught.value is error
        assert (error.__cause__, error.__context__) == (cause, None)
        assert error.__traceback__ is not None


def test_a_wasm_exception_is_caught_or_passes(compiled: Instantiate) -> None:
    does: dict[str, Any] = {}
    exports = compiled(HOST, hosts(does)).exports

    def throw() -> None:
        raise WasmException(exports.t, 30)

    does["nothing"] = throw
    assert [exports.caught() for _ in range(3)] == [37] * 3
    with pytest.raises(WasmException) as caught:
        exports.nothing()
    assert caught.value.values == (30,)
    does["nothing"] = lambda: None
    assert exports.caught() == 6


def test_any_number_of_objects_is_known(compiled: Instantiate) -> None:
    """More than fit where machine code looks for them at first, and objects that lie in different places there."""
    exports = compiled(ECHO).exports
    objects = [kind() for kind in (object, list, lambda: bytearray(5000), lambda: [0] * 500) for _ in range(700)]
    for _ in range(3):
        assert all(exports.externref(value) is value for value in objects)
        assert all(exports.externref(value) is value for value in reversed(objects))
    assert exports.externref(None) is None


@counting
def test_results_and_references_leave_no_counts_behind(compiled: Instantiate) -> None:
    exports = compiled(ECHO).exports
    bits = b"0123456789abcdef"
    markers = [object() for _ in range(200)]
    for marker in markers:
        exports.externref(marker)
    gc.collect()
    before, blocks = [sys.getrefcount(marker) for marker in markers], allocated_blocks()
    for _ in range(100):
        for marker in markers:
            assert exports.externref(marker) is marker
            found = exports.mixed(-1, 1e300, marker, bits, 1 << 40, 1.0)
            assert found == (1.0, 1 << 40, bits, marker, 1e300, -1)
    del found
    gc.collect()
    assert [sys.getrefcount(marker) for marker in markers] == before
    assert allocated_blocks() - blocks < 500


@counting
def test_a_tuple_of_results_is_seen_by_the_collector(compiled: Instantiate) -> None:
    exports = compiled(ECHO).exports
    cycle: list[Any] = []
    found = exports.mixed(1, 2.0, cycle, b"0123456789abcdef", 3, 4.0)
    assert gc.is_tracked(found)
    assert any(value is cycle for value in gc.get_referents(found))


@counting
def test_a_host_function_leaks_nothing(compiled: Instantiate) -> None:
    marker, error = object(), KeyError("x")
    does: dict[str, Any] = {"f": lambda a, b: a, "several": lambda: (1, 2.0, b"0123456789abcdef", marker)}
    exports = compiled(HOST, hosts(does)).exports

    def fail() -> None:
        raise error

    does["nothing"] = fail
    exports.f(1, marker)
    before, none = (sys.getrefcount(marker), sys.getrefcount(does["several"])), sys.getrefcount(None)
    for _ in range(5_000):
        exports.f(1, marker)
        exports.several()
    for _ in range(300):
        with pytest.raises(KeyError):
            exports.nothing()
        error.__traceback__ = None
    after = sys.getrefcount(marker), sys.getrefcount(does["several"])
    assert after == before
    assert abs(sys.getrefcount(None) - none) < 1_000


@counting
def test_an_object_that_cannot_be_found_leaves_nothing_behind(compiled: Instantiate, monkeypatch: Any) -> None:
    """An argument of a host function, and a result: objects that were made before it are given up."""

    def lost(address: int) -> Function:
        raise KeyError("lost")

    monkeypatch.setattr(References, "function", staticmethod(lost))
    marker, called = object(), []
    exports = compiled(
        """(module (import "h" "f" (func $f (param externref funcref externref)))
          (elem declare func $self)
          (func (export "give") (param externref) (call $f (local.get 0) (ref.func $self) (local.get 0)))
          (func $self (export "self") (param externref) (result externref externref funcref)
            (local.get 0) (local.get 0) (ref.func $self)))""",
        {"h": {"f": lambda *args: called.append(args)}},
    ).exports
    assert outcome(exports.give, marker) == outcome(exports.self, marker) == ("KeyError", "'lost'")
    gc.collect()  # tracebacks
    before = sys.getrefcount(marker)
    for _ in range(100):
        outcome(exports.give, marker)
        outcome(exports.self, marker)
    gc.collect()
    assert sys.getrefcount(marker) == before
    assert not called


# ---------------------------------------------------------------------------------------------- nesting, threads, closing

NEST = """
(module (import "h" "f" (func $f (param i32) (result i32)))
  (func (export "down") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0))))
  (func (export "trap") unreachable)
  (func (export "spin") (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
"""


def test_calls_nest(compiled: Instantiate) -> None:
    exports: Any = None

    def f(n: int) -> int:
        with pytest.raises(Trap):
            exports.trap()
        found: int = exports.down(n)
        return found

    exports = compiled(NEST, {"h": {"f": f}}).exports
    assert exports.down(40) == 40


@pytest.mark.parametrize("via", ["python", "call", "method", "map"])
def test_endless_recursion_ends(compiled: Instantiate, via: str) -> None:
    """Through Python code, and through builtins that CPython does not count."""
    exports: Any = None
    ways: dict[str, Callable[[int], Any]] = {
        "python": lambda n: exports.down(n + 1),
        "call": functools.partial(operator.call, lambda n: exports.down(n + 1)),
        "method": lambda n: exports.down.__call__(n + 1),
        "map": lambda n: next(map(exports.down, [n + 1])),
    }
    exports = compiled(NEST, {"h": {"f": ways[via]}}).exports
    limit = sys.getrecursionlimit()
    gc.collect()  # what others left behind is not to be taken apart at the end of the stack
    try:
        for recursion in (limit, 100_000):
            sys.setrecursionlimit(recursion)
            with pytest.raises((RecursionError, Trap)) as caught:
                exports.down(1 << 30)
            if isinstance(caught.value, Trap):
                assert caught.value.kind is TrapKind.STACK_OVERFLOW
            assert exports.down(0) == 0
    finally:
        sys.setrecursionlimit(limit)


def test_threads_call_instances_of_their_own(compiled: Instantiate) -> None:
    failures: list[object] = []

    def work(instance: wasmine.Instance) -> None:
        exports = instance.exports
        failures.extend(i for i in range(5_000) if exports.i64(i) != i or exports.externref(i) is not i)

    threads = [threading.Thread(target=work, args=(compiled(ECHO),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_closed_instance(compiled: Instantiate) -> None:
    instance = compiled(ECHO)
    function = instance.exports.i32
    assert function(1) == 1
    instance.close()
    with pytest.raises(wasmine.WasmineError, match="closed"):
        function(1)


def test_a_time_limit_counts_from_when_it_is_set(compiled: Instantiate) -> None:
    instance = compiled(NEST, {"h": {"f": lambda n: n}})
    instance.exports.spin(1000)
    instance.timeout = 0.05
    with pytest.raises(wasmine.Timeout):
        instance.exports.spin(0)
    instance.timeout = None
    instance.exports.spin(1000)
    with pytest.raises(ValueError, match="negative"):
        instance.timeout = -1


def test_a_trap_has_the_context_of_any_exception(compiled: Instantiate) -> None:
    exports = compiled(NEST, {"h": {"f": lambda n: n}}).exports
    error = KeyError()

    def handle() -> None:
        try:
            raise error
        except KeyError:
            exports.trap()

    with pytest.raises(Trap) as caught:
        handle()
    assert caught.value.__context__ is error


def test_what_machine_code_trusts_of_a_function_cannot_be_changed(compiled: Instantiate) -> None:
    function = compiled('(module (func (export "f") (result i32) (i32.const 7)))').exports.f
    for name in ("record", "vectorcall", "target", "program"):
        with pytest.raises(AttributeError):
            setattr(function, name, 0)
    assert function() == 7
