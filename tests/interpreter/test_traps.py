"""Traps say what happened and where; what host functions raise passes through untouched."""

from __future__ import annotations

import struct
import traceback
from collections.abc import Callable

import pytest

import wasmine
from wasmine import Trap, TrapKind

Instantiate = Callable[..., wasmine.Instance]

MODULE = """
(module $calculator
  (import "host" "call" (func $host))
  (memory 1)
  (table 1 funcref)
  (func $divide (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
  (func (export "main") (param i32) (result i32) (i32.mul (i32.const 2) (call $divide (i32.const 6) (local.get 0))))
  (func (export "unreachable") (unreachable))
  (func (export "load") (drop (i64.load (i32.const -1))))
  (func (export "overflow") (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))
  (func (export "conversion") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func (export "null") (result i32) (i31.get_s (ref.null i31)))
  (func (export "host") (call $host)))
"""


@pytest.mark.parametrize(
    ("function", "arguments", "kind"),
    [
        ("main", (0,), TrapKind.INTEGER_DIVIDE_BY_ZERO),
        ("unreachable", (), TrapKind.UNREACHABLE),
        ("load", (), TrapKind.MEMORY_OUT_OF_BOUNDS),
        ("overflow", (), TrapKind.INTEGER_OVERFLOW),
        ("conversion", (float("nan"),), TrapKind.INVALID_CONVERSION),
        ("conversion", (float("inf"),), TrapKind.INTEGER_OVERFLOW),
        ("conversion", (-2147483649.0,), TrapKind.INTEGER_OVERFLOW),
        ("null", (), TrapKind.NULL_REFERENCE),
    ],
)
def test_kinds(instantiate: Instantiate, function: str, arguments: tuple[object, ...], kind: TrapKind) -> None:
    exports = instantiate(MODULE, {"host": {"call": lambda: None}}).exports
    with pytest.raises(Trap) as caught:
        exports[function](*arguments)
    assert caught.value.kind is kind


def test_frames_name_functions_and_offsets(instantiate: Instantiate) -> None:
    binary = wasmine.Module(MODULE).to_bytes()
    exports = instantiate(binary, {"host": {"call": lambda: None}}).exports
    with pytest.raises(Trap) as caught:
        exports.main(0)
    inner, outer = caught.value.frames
    assert (inner.module, inner.function, inner.index) == ("calculator", "divide", 1)
    assert (outer.function, outer.index) == ("main", 2)
    # The offsets lie within the functions' bodies.
    bodies = [code.body for code in wasmine.Module(binary).syntax.code]
    for frame, body in ((inner, bodies[0]), (outer, bodies[1])):
        assert frame.offset is not None
        assert body.offset <= frame.offset < body.offset + len(body.code)


def test_the_traceback_shows_generated_lines(instantiate: Instantiate) -> None:
    exports = instantiate(MODULE, {"host": {"call": lambda: None}}).exports
    with pytest.raises(Trap) as caught:
        exports.main(0)
    shown = "".join(traceback.format_exception(caught.value))
    assert "in divide\n    return l0 // l1" in shown
    assert "in main\n" in shown
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


ERRORS = [ZeroDivisionError("own"), IndexError("own"), RecursionError("own"), struct.error("own"), OverflowError("own")]


@pytest.mark.parametrize("error", [*ERRORS, AttributeError("own"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_exceptions_of_the_host_are_not_touched(instantiate: Instantiate, error: BaseException) -> None:
    def call() -> None:
        raise error

    exports = instantiate(MODULE, {"host": {"call": call}}).exports
    with pytest.raises(type(error)) as caught:
        exports.host()
    assert caught.value is error
    names = [entry.name for entry in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-1] == "call"
    assert "host" in names


def test_exceptions_of_host_functions_in_c_are_not_touched(instantiate: Instantiate) -> None:
    exports = instantiate(MODULE, {"host": {"call": [].pop}}).exports
    with pytest.raises(IndexError, match="pop from empty list"):
        exports.host()


def test_a_trap_below_python_keeps_its_frames_and_gets_those_above(instantiate: Instantiate) -> None:
    inner = instantiate(MODULE, {"host": {"call": lambda: None}}, name="inner").exports
    outer = instantiate(MODULE, {"host": {"call": lambda: inner.main(0)}}, name="outer").exports
    with pytest.raises(Trap) as caught:
        outer.host()
    assert [frame.function for frame in caught.value.frames] == ["divide", "main", "host"]
    assert [frame.module for frame in caught.value.frames] == ["inner", "inner", "outer"]


def test_the_instance_is_usable_after_a_trap(instantiate: Instantiate) -> None:
    exports = instantiate(MODULE, {"host": {"call": lambda: None}}).exports
    with pytest.raises(Trap):
        exports.main(0)
    assert exports.main(3) == 4
