"""Wasm exceptions within wasm, from wasm to Python, from Python to wasm, and the legacy instructions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import wasmine
from wasmine import Trap, WasmException
from wasmine.interpreter import structure

Instantiate = Callable[..., wasmine.Instance]


@pytest.fixture(params=["structured", "dispatcher"], autouse=True)
def printer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way of printing control flow."""
    if request.param == "dispatcher":
        monkeypatch.setattr(structure, "MAX_LOOPS", -1)


MODULE = """
(module
  (import "host" "call" (func $host (param i32) (result i32)))
  (tag $number (export "number") (param i32))
  (tag $pair (export "pair") (param i64 f32))
  (tag $nothing (export "nothing"))
  (func $throw (export "throw") (param i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $number (i32.const 11))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $pair (i64.const -5) (f32.const 1.5))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $nothing)))
    (if (i32.eq (local.get 0) (i32.const 4)) (then (unreachable))))
  (func (export "catch") (param i32) (result i32)
    (block $number (result i32)
      (block $all
        (try_table (catch $number $number) (catch_all $all)
          (call $throw (local.get 0))
          (return (i32.const 0))))
      (i32.const 99)))
  (func (export "in_a_loop") (param i32) (result i32) (local $caught i32)
    (loop $again
      (block $next (result i32)
        (try_table (catch $number $next)
          (call $throw (i32.const 1)))
        (unreachable))
      (local.set $caught (i32.add (local.get $caught)))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $caught))
  (func (export "rethrow") (param i32) (result i32)
    (block $again (result exnref)
      (try_table (catch_all_ref $again) (call $throw (local.get 0)))
      (return (i32.const 0)))
    (throw_ref))
  (func (export "returned") (param i32) (result i32)
    (try_table (result i32) (catch $number 0) (call $throw (local.get 0)) (i32.const -1)))
  (func (export "host") (param i32) (result i32)
    (block $number (result i32)
      (try_table (result i32) (catch $number $number) (call $host (local.get 0)))))
  (func (export "null") (throw_ref (ref.null exn))))
"""


@pytest.fixture
def exports(instantiate: Instantiate) -> wasmine.Exports:
    return instantiate(MODULE, {"host": {"call": lambda number: number}}).exports


@pytest.mark.parametrize(("thrown", "result"), [(0, 0), (1, 11), (2, 99), (3, 99)])
def test_catching(exports: wasmine.Exports, thrown: int, result: int) -> None:
    assert exports["catch"](thrown) == result


def test_traps_are_not_caught(exports: wasmine.Exports) -> None:
    with pytest.raises(Trap):
        exports["catch"](4)


def test_catching_in_a_loop(exports: wasmine.Exports) -> None:
    assert exports.in_a_loop(10) == 110


def test_a_branch_of_a_handler_to_the_function(exports: wasmine.Exports) -> None:
    assert exports.returned(1) == 11
    assert exports.returned(0) == -1


@pytest.mark.parametrize("function", ["throw", "rethrow"])
@pytest.mark.parametrize(
    ("thrown", "tag", "values"), [(1, "number", (11,)), (2, "pair", (-5, 1.5)), (3, "nothing", ())]
)
def test_python_sees_tag_and_values(
    exports: wasmine.Exports, function: str, thrown: int, tag: str, values: tuple[object, ...]
) -> None:
    with pytest.raises(WasmException) as caught:
        exports[function](thrown)
    assert caught.value.tag is exports[tag]
    assert caught.value.values == values


def test_null_cannot_be_thrown(exports: wasmine.Exports) -> None:
    with pytest.raises(Trap, match="null reference"):
        exports.null()


def test_python_throws_into_wasm(instantiate: Instantiate) -> None:
    exports: wasmine.Exports

    def call(number: int) -> int:
        if number == 1:
            raise WasmException(exports.number, 77)
        if number == 2:
            raise WasmException(exports.nothing)
        if number == 3:
            raise KeyError("mine")
        return number

    exports = instantiate(MODULE, {"host": {"call": call}}).exports
    assert exports.host(5) == 5
    assert exports.host(1) == 77
    with pytest.raises(WasmException) as caught:
        exports.host(2)
    assert caught.value.tag is exports.nothing
    with pytest.raises(KeyError, match="mine"):
        exports.host(3)


def test_an_exception_that_passes_python_is_the_same(instantiate: Instantiate) -> None:
    inner: wasmine.Exports = instantiate(MODULE, {"host": {"call": lambda number: number}}).exports
    seen = []

    def call(number: int) -> int:
        try:
            inner.throw(number)
        except WasmException as error:
            seen.append(error)
            raise
        return 0

    outer = instantiate(
        """(module (import "host" "call" (func $host (param i32) (result i32)))
          (import "host" "number" (tag $number (param i32)))
          (func (export "run") (param i32) (result i32)
            (try_table (result i32) (catch $number 0) (call $host (local.get 0)))))""",
        {"host": {"call": call, "number": inner.number}},
    ).exports
    assert outer.run(1) == 11
    assert len(seen) == 1
    with pytest.raises(WasmException) as caught:
        outer.run(2)
    assert caught.value.values == (-5, 1.5)


def test_wrong_values_are_the_host_s_mistake(instantiate: Instantiate) -> None:
    exports: wasmine.Exports

    def call(number: int) -> int:
        raise WasmException(exports.number, "text") if number else WasmException(exports.number)

    exports = instantiate(MODULE, {"host": {"call": call}}).exports
    with pytest.raises(TypeError):
        exports.host(0)
    with pytest.raises(TypeError):
        exports.host(1)


# ---------------------------------------------------------------------------------------------------- legacy

LEGACY = """
(module
  (tag $number (param i32))
  (tag $other)
  (func $throw (param i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $number (i32.const 11))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $other))))
  (func (export "catch") (param i32) (result i32)
    (try (result i32)
      (do (call $throw (local.get 0)) (i32.const 0))
      (catch $number (i32.add (i32.const 1)))
      (catch_all (i32.const 99))))
  (func $rethrow (param i32) (result i32)
    (try (result i32)
      (do (call $throw (local.get 0)) (i32.const 0))
      (catch_all (try (do (throw $other)) (catch $other (rethrow 1))) (i32.const 5))))
  (func (export "rethrow") (param i32) (result i32)
    (try (result i32) (do (call $rethrow (local.get 0))) (catch $number) (catch $other (i32.const -2))))
  (func (export "delegate") (param i32) (result i32)
    (try $outer (result i32)
      (do
        (try $middle (result i32)
          (do
            (try (result i32) (do (call $throw (local.get 0)) (i32.const 0)) (delegate $outer)))
          (catch_all (i32.const -1))))
      (catch $number)
      (catch_all (i32.const 50))))
  (func $to_caller (param i32)
    (try (do (try (do (call $throw (local.get 0))) (delegate 1))) (catch_all (unreachable))))
  (func (export "to_caller") (param i32) (result i32)
    (try (result i32) (do (call $to_caller (local.get 0)) (i32.const 0)) (catch $number) (catch_all (i32.const 51))))
  (func (export "catch_throws") (result i32)
    (try (result i32)
      (do (try (result i32) (do (throw $other)) (catch $other (throw $number (i32.const 8))) (catch $number)))
      (catch $number (i32.add (i32.const 100))))))
"""


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        ("catch", (0,), 0),
        ("catch", (1,), 12),
        ("catch", (2,), 99),
        ("rethrow", (0,), 0),
        ("rethrow", (1,), 11),
        ("rethrow", (2,), -2),
        ("delegate", (0,), 0),
        ("delegate", (1,), 11),
        ("delegate", (2,), 50),
        ("to_caller", (0,), 0),
        ("to_caller", (1,), 11),
        ("to_caller", (2,), 51),
        ("catch_throws", (), 108),
    ],
)
def test_legacy_exceptions(instantiate: Instantiate, function: str, arguments: tuple[int, ...], result: int) -> None:
    assert instantiate(LEGACY).exports[function](*arguments) == result
