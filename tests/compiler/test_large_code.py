"""Functions and modules whose code is larger than the short forms of jumps and calls reach.

ARM64: 1 MiB for conditional branches and constants, 128 MiB for calls. x86-64: 2 GiB, more than code memory has.
"""

from __future__ import annotations

import ctypes
import gc
from typing import TYPE_CHECKING, Any

import pytest

import wasmine
from wasmine.compiler.baseline import compiler as baseline
from wasmine.compiler.machine import architecture, glue, layout
from wasmine.compiler.machine.code import RESERVE
from wasmine.compiler.machine.instructions import TooFar

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("compiler")

MIB = 1 << 20


def placed(instance: Any, export: str) -> int:
    """Where the code of a function begins."""
    return ctypes.c_uint64.from_address(instance.exports[export].record + layout.Record.CODE).value


def used() -> int:
    """Bytes of code memory that are in use."""
    code = glue.load().code
    return code.size - sum(code._free.values())


# A loop around so much code that its beginning, its end, the constants behind it and the traps are out of reach of each
# other.
STEP = """
  (local.set $v (i64x2.add (local.get $v) (v128.const i64x2 {0} -{0})))
  (local.set $a (i64.xor (local.get $a) (i64.const {0})))"""
STEPS = 40_000
HALVES = [
    "".join(STEP.format(0x1234_5678_9ABC_DEF1 + i * i) for i in some)
    for some in (range(STEPS // 2), range(STEPS // 2, STEPS))
]
LARGE = f"""(module
  (import "host" "call" (func $call (param i64) (result i64)))
  (func $add (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))
  (func (export "large") (param $n i32) (param $zero i64) (result i64 v128 f64)
    (local $a i64) (local $v v128) (local $x f64)
    (block $out
      (loop $again
        (br_if $out (i32.gt_u (local.get $n) (i32.const 1000)))
        (block $two (block $one
          (br_table $one $two $out (i32.rem_u (local.get $n) (i32.const 3))))
          {HALVES[0]})
        (local.set $a (call $call (call $add (local.get $a) (i64.const 1))))
        (local.set $x (f64.add (local.get $x) (f64.const 1.5)))
        (if (i64.eq (local.get $zero) (i64.const 1)) (then (local.set $zero (i64.div_u (local.get $a) (i64.const 0)))))
        (local.set $a (i64.add (local.get $a) (i64.div_u (i64.const 1000) (i64.sub (local.get $zero) (i64.const 2)))))
        {HALVES[1]}
        (br_if $again (i32.ge_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0)))))
    (local.get $a) (local.get $v) (local.get $x)))"""


class Large:
    """The module on both engines; `far` says how its functions were compiled."""

    def __init__(self, plain: wasmine.Runtime, fast: wasmine.Runtime) -> None:
        module = wasmine.Module(LARGE)
        imports = {"host": {"call": lambda number: number ^ 5}}
        self.plain = plain.instantiate(module, imports).exports.large
        self.fast = fast.instantiate(module, imports).exports.large
        self.far: list[bool] = []
        compile = baseline.Compiler.compile

        def watched(compiler: baseline.Compiler, *arguments: Any, far: bool) -> Any:
            self.far.append(far)
            return compile(compiler, *arguments, far=far)

        gc.collect()  # the code of earlier tests would go meanwhile
        before = used()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(baseline.Compiler, "compile", watched)
            self.fast(0, 0)
        self.size = used() - before


@pytest.fixture(scope="module")
def large() -> Iterator[Large]:
    with wasmine.Runtime("interpreter") as plain, wasmine.Runtime("compiler") as fast:
        yield Large(plain, fast)


def test_a_function_over_a_mebibyte_does_what_the_interpreter_does(large: Large) -> None:
    assert large.size > MIB
    for number in (0, 4, 5, 2000):
        assert large.fast(number, 0) == large.plain(number, 0)


def test_short_forms_do_not_reach_so_far(large: Large) -> None:
    """On ARM64 such a function is compiled twice; small ones are compiled once."""
    assert sorted(large.far) == ([False, False, True] if architecture.host().NAME == "arm64" else [False, False])


def test_its_traps_say_where(large: Large) -> None:
    offsets = []
    for zero in (1, 2):
        with pytest.raises(wasmine.Trap, match="integer divide by zero") as caught:
            large.fast(1, zero)
        offsets.append(caught.value.frames[0].offset)
    assert offsets[0] < offsets[1]


def test_a_function_larger_than_jumps_reach_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile(*_: Any, **__: Any) -> Any:
        raise TooFar

    monkeypatch.setattr(baseline.Compiler, "compile", compile)
    instance = wasmine.Runtime("compiler").instantiate('(module (func (export "f")))')
    with pytest.raises(MemoryError, match="function 0 is too large: jumps"):
        instance.exports.f()


def test_functions_that_lie_further_apart_than_calls_reach() -> None:
    """Calls to and fro, tail calls, calls by table, and exceptions, with 300 MiB of code memory between the functions."""
    text = """(module
      (import "host" "call" (func $call (param i32) (result i32)))
      (table funcref (elem $low $high))
      (type $f (func (param i32) (result i32)))
      (tag $tag (param i32))
      (func $low (export "low") (type $f)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
          (else (i32.add (i32.const 1) (call $high (i32.sub (local.get 0) (i32.const 1)))))))
      (func $high (export "high") (type $f)
        (if (result i32) (i32.eqz (local.get 0)) (then (call $call (i32.const 7)))
          (else (i32.add (i32.const 10) (call $low (i32.sub (local.get 0) (i32.const 1)))))))
      (func $throw (export "throw") (type $f) (throw $tag (local.get 0)))
      (func (export "catch") (type $f) (block $caught (result i32)
        (try_table (result i32) (catch $tag $caught) (call $throw (local.get 0)))))
      (func (export "jump") (type $f) (return_call $low (local.get 0)))
      (func (export "trap") (type $f) (i32.div_u (call $low (local.get 0)) (i32.const 0)))
      (func (export "by table") (param i32 i32) (result i32) (call_indirect (type $f) (local.get 0) (local.get 1))))"""
    code = glue.load().code
    if code.size < RESERVE:
        pytest.skip("address space is short")
    instance = wasmine.Runtime("compiler").instantiate(text, {"host": {"call": lambda number: number + 100}})
    exports = instance.exports
    assert exports.low(0) == 0
    with pytest.raises(wasmine.WasmException):
        exports.throw(1)
    between = 300 * MIB
    gap = code.reserve(between)
    nearer = {address: code._free.pop(address) for address in list(code._free) if address < gap}
    try:
        assert exports.high(0) == 107
        apart = abs(placed(instance, "high") - placed(instance, "low"))
        assert apart > 128 * MIB
        assert (exports.low(9), exports.high(9)) == (152, 54)
        assert (exports.jump(9), exports["by table"](9, 0), exports["by table"](9, 1)) == (152, 152, 54)
        assert exports["catch"](5) == 5
        with pytest.raises(wasmine.Trap, match="divide by zero"):
            exports.trap(9)
    finally:
        code._free.update(nearer)
        code.release(gap, between)
