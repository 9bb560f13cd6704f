"""Loads that become memory operands of other instructions: only where the bytes read are the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import wasmine

OPERATIONS = ("add", "sub", "mul", "and", "or", "xor")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_extended_i32_load_is_not_a_64_bit_operand(
    instantiate: Callable[..., wasmine.Instance], operation: str
) -> None:
    exports = instantiate(
        f"""(module (memory 1) (data (i32.const 8) "\\01\\02\\03\\04\\ff\\ff\\ff\\ff")
        (func (export "second") (param i64 i32) (result i64)
          (i64.{operation} (local.get 0) (i64.extend_i32_u (i32.load (local.get 1)))))
        (func (export "first") (param i64 i32) (result i64)
          (i64.{operation} (i64.extend_i32_u (i32.load (local.get 1))) (local.get 0)))
        (func (export "last bytes") (param i32) (result i64)
          (i64.{operation} (i64.const 3) (i64.extend_i32_u (i32.load (local.get 0))))))"""
    ).exports
    python = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "and": lambda a, b: a & b,
        "or": lambda a, b: a | b,
        "xor": lambda a, b: a ^ b,
    }[operation]
    left, loaded = 0x5_0000_0007, 0x04030201
    assert exports.second(left, 8) == python(left, loaded)
    assert exports.first(left, 8) == python(loaded, left)
    # Four bytes are left at the end of the memory: eight would be out of bounds.
    assert exports["last bytes"](65532) == python(3, 0)


def test_the_low_half_of_an_i64_load_still_reads_eight_bytes(instantiate: Callable[..., wasmine.Instance]) -> None:
    exports = instantiate(
        """(module (memory 1)
        (func (export "f") (param i32) (result i32) (i32.add (i32.const 1) (i32.wrap_i64 (i64.load (local.get 0))))))"""
    ).exports
    assert exports.f(65528) == 1
    with pytest.raises(wasmine.Trap) as caught:
        exports.f(65532)
    assert caught.value.kind is wasmine.TrapKind.MEMORY_OUT_OF_BOUNDS
