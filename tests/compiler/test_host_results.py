"""What host functions return, where it becomes a value in a register."""

from __future__ import annotations

import pytest

import wasmine

TEXT = """(module
  (import "host" "quick" (func $quick (param i32) (result i32)))
  (import "host" "slow" (func $slow (param externref) (result i32)))
  (memory 1)
  (func (export "quick") (param i32) (result i64) (i64.extend_i32_u (call $quick (local.get 0))))
  (func $tail (param i32) (result i32) (return_call $quick (local.get 0)))
  (func (export "tail") (param i32) (result i64) (i64.extend_i32_u (call $tail (local.get 0))))
  (func (export "slow") (param externref) (result i64) (i64.extend_i32_u (call $slow (local.get 0))))
  (func (export "address") (param i32) (result i32) (i32.load8_u (call $quick (local.get 0)))))"""


class Number(int):
    """Not exactly an int."""


@pytest.mark.parametrize("export", ["quick", "tail", "slow"])
@pytest.mark.parametrize("number", [-1, -(2**31), 2**31 + 5, 2**32 - 1, 7, True, Number(-9)])
def test_a_negative_i32_has_zeros_above_it(compiler: str, export: str, number: int) -> None:
    host = {"quick": lambda _: number, "slow": lambda _: number}
    with wasmine.Runtime(compiler) as runtime:  # type: ignore[arg-type]
        instance = runtime.instantiate(TEXT, {"host": host})
        assert instance.exports[export](3) == number % 2**32


def test_a_negative_i32_is_a_high_address(compiler: str) -> None:
    with wasmine.Runtime(compiler) as runtime:  # type: ignore[arg-type]
        instance = runtime.instantiate(TEXT, {"host": {"quick": lambda _: -0x7FFF_FFF7, "slow": lambda _: 0}})
        with pytest.raises(wasmine.Trap) as caught:
            instance.exports.address(0)
        assert caught.value.kind is wasmine.TrapKind.MEMORY_OUT_OF_BOUNDS
