"""The Python face of values: ranges, conversions, several results, references."""

from __future__ import annotations

import array
import inspect
import math
import pydoc
import struct
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wasmine
from wasmine import Runtime

IDENTITY = "(module {})".format(
    "".join(
        f'(func (export "{type}") (param {type}) (result {type}) local.get 0)'
        for type in ("i32", "i64", "f32", "f64", "v128", "externref", "funcref")
    )
)


@pytest.fixture
def exports(runtime: Runtime) -> wasmine.Exports:
    return runtime.instantiate(IDENTITY).exports


@pytest.mark.parametrize(("name", "bits"), [("i32", 32), ("i64", 64)])
def test_integers_come_back_signed_and_may_be_given_unsigned(exports: wasmine.Exports, name: str, bits: int) -> None:
    identity = exports[name]
    top = 1 << bits - 1
    assert [identity(v) for v in (0, 1, -1, top - 1, -top)] == [0, 1, -1, top - 1, -top]
    assert identity(2 * top - 1) == -1
    assert identity(top) == -top
    assert identity(True) == 1
    for value in (2 * top, -top - 1):
        with pytest.raises(
            OverflowError, match=rf"{name}\(\) argument 1: expected an {name} from -{top} to {2 * top - 1}"
        ):
            identity(value)
    for wrong in (1.0, "1", None):
        with pytest.raises(TypeError, match=rf"{name}\(\) argument 1"):
            identity(wrong)


def test_floats_take_ints_and_f32_rounds(exports: wasmine.Exports) -> None:
    assert exports.f64(3) == 3.0
    assert exports.f32(0.1) == struct.unpack("f", struct.pack("f", 0.1))[0]
    assert exports.f32(1e300) == math.inf
    assert math.isnan(exports.f32(math.nan))
    assert math.copysign(1, exports.f32(-0.0)) == -1
    for wrong in ("1", b"1", None):
        with pytest.raises(TypeError):
            exports.f64(wrong)


@given(st.floats(width=32, allow_nan=False))
def test_every_f32_passes_unchanged(value: float) -> None:
    with Runtime("interpreter") as runtime:
        assert runtime.instantiate(IDENTITY).exports.f32(value) == value


def test_vectors_are_bytes_and_ints_are_accepted(exports: wasmine.Exports) -> None:
    data = bytes(range(16))
    assert exports.v128(data) == data
    assert exports.v128(1) == b"\1" + bytes(15)
    assert exports.v128(-1) == b"\xff" * 16
    with pytest.raises(ValueError, match="expected 16 bytes for v128, found 3"):
        exports.v128(b"abc")
    with pytest.raises(TypeError, match="found str"):
        exports.v128("x" * 16)


def test_references(exports: wasmine.Exports) -> None:
    thing = object()
    assert exports.externref(thing) is thing
    assert exports.externref(5) == 5
    assert exports.externref(None) is None
    assert exports.funcref(exports.i32) is exports.i32
    assert exports.funcref(None) is None
    with pytest.raises(TypeError, match="expected a funcref, found object"):
        exports.funcref(thing)


def test_the_number_of_arguments_is_checked_as_python_does(exports: wasmine.Exports) -> None:
    with pytest.raises(TypeError, match=r"i32\(\) takes 1 argument \(2 given\)"):
        exports.i32(1, 2)


def test_several_results_are_a_tuple_and_none_is_none(runtime: Runtime) -> None:
    exports = runtime.instantiate(
        """(module (func (export "none")) (func (export "two") (result i32 f64) (i32.const -1) (f64.const 2.5)))"""
    ).exports
    assert exports.none() is None
    assert exports.two() == (-1, 2.5)


def test_results_of_host_functions_are_checked(runtime: Runtime) -> None:
    text = '(module (import "h" "f" (func $f (result {}))) (func (export "f") (result {}) call $f))'
    for type, returned, error in [
        ("i32", "x", TypeError),
        ("i32", 1 << 33, OverflowError),
        ("i32 i32", 1, TypeError),
        ("i32 i32", (1, 2, 3), TypeError),
        ("i32 i32", (1, None), TypeError),
    ]:
        instance = runtime.instantiate(text.format(type, type), {"h": {"f": lambda returned=returned: returned}})
        with pytest.raises(error, match=r"host function h\.f"):
            instance.exports.f()
    instance = runtime.instantiate(text.format("", ""), {"h": {"f": lambda: 1}})
    with pytest.raises(TypeError, match="expected None, found int"):
        instance.exports.f()


def test_functions_look_like_functions(runtime: Runtime) -> None:
    exports = runtime.instantiate(
        '(module (func (export "mix") (param $count i32) (param f64) (result f32) (f32.const 0)))'
    ).exports
    assert str(inspect.signature(exports.mix)) == "(count: int, p1: float, /) -> float"
    assert exports.mix.__name__ == "mix"
    assert inspect.getdoc(exports.mix) == (
        "mix(count: int, p1: float, /) -> float\n\nA WebAssembly function, [i32 f64] -> [f32]."
    )
    assert "mix(count: int" in pydoc.render_doc(exports.mix)
    assert inspect.getdoc(wasmine.Function).startswith("A WebAssembly function as a Python callable.")
    assert "mix" in dir(exports)
    with pytest.raises(AttributeError, match="no export 'mux'; the instance exports mix"):
        _ = exports.mux


GC_MODULE = """(module (type $p (struct (field i8) (field (mut f64)) (field (ref null $p)))) (type $a (array i32))
        (func (export "struct") (result anyref) (struct.new $p (i32.const 255) (f64.const 1.5) (ref.null $p)))
        (func (export "array") (result (ref $a)) (array.new_fixed $a 2 (i32.const 7) (i32.const -8)))
        (func (export "i31") (param i31ref) (result i31ref) (local.get 0)))"""


@pytest.fixture
def interpreter() -> Iterator[Runtime]:
    """A runtime of the engine that has GC objects."""
    with Runtime("interpreter") as runtime:
        yield runtime


def test_gc_values_can_be_read_from_python(interpreter: Runtime) -> None:
    exports = interpreter.instantiate(GC_MODULE).exports
    assert list(exports.struct()) == [-1, 1.5, None]
    assert list(exports.array()) == [7, -8]
    assert exports.i31(-5) == -5
    with pytest.raises(OverflowError):
        exports.i31(1 << 31)


def test_the_compiler_refuses_modules_with_gc_objects_and_auto_takes_the_interpreter(compiler: str) -> None:
    with Runtime(compiler) as runtime, pytest.raises(wasmine.UnsupportedFeature, match="gc"):
        runtime.instantiate(GC_MODULE)
    with Runtime() as runtime:
        assert runtime.instantiate(GC_MODULE).exports.i31(7) == 7
        assert runtime.engine.name == "interpreter"


class Number:
    """Says what it is when it is asked."""

    def __init__(self, answer: Callable[[], int]) -> None:
        self.answer = answer

    def __index__(self) -> int:
        return self.answer()

    def __float__(self) -> float:
        return self.answer()


class Refused(TypeError):
    """An error that needs more than a message."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(first, second)


@pytest.mark.parametrize("type", ["i32", "i64", "f32", "f64"])
def test_an_error_of_the_hosts_own_class_stays_what_it_is(
    exports: wasmine.Exports, runtime: Runtime, type: str
) -> None:
    error = Refused(1, 2)

    def refuse() -> int:
        raise error

    with pytest.raises(Refused) as caught:
        exports[type](Number(refuse))
    assert caught.value is error
    text = f'(module (import "h" "f" (func $f (result {type}))) (func (export "f") (result {type}) call $f))'
    host = runtime.instantiate(text, {"h": {"f": lambda: Number(refuse)}}).exports.f
    with pytest.raises(Refused) as caught:
        host()
    assert caught.value is error


def test_an_argument_is_asked_for_its_value_once(runtime: Runtime) -> None:
    answers = [1 << 40, 1, 1]
    three = runtime.instantiate('(module (func (export "three") (param i32 i32 i32)))').exports.three
    with pytest.raises(OverflowError, match=r"three\(\) argument 2: "):
        three(5, Number(lambda: answers.pop(0)), 5)
    assert answers == [1, 1]


@pytest.mark.parametrize(
    "wrong", ["1", b"1", bytearray(b"1"), memoryview(b"1"), array.array("b", b"1"), None, [1], 1j, int]
)
def test_what_float_would_parse_is_no_number(exports: wasmine.Exports, wrong: object) -> None:
    for function in (exports.f32, exports.f64):
        with pytest.raises(TypeError, match=f"'{type(wrong).__name__}' object cannot be interpreted as a number"):
            function(wrong)


def test_there_are_no_keyword_arguments(exports: wasmine.Exports) -> None:
    for positional, named in ((), {"p0": 1}), ((1,), {"p0": 1}), ((1,), {"x": 1, "y": 2}):
        with pytest.raises(TypeError, match=r"^i32\(\) takes no keyword arguments$"):
            exports.i32(*positional, **named)
