"""Accesses to memories and tables where registers or displacements run out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wasmine.errors import TrapKind

Agree = Callable[[Any], Callable[..., Any]]

# Computed late, by way of rax; the second with a register fewer.
DIVISION = "(i32.div_u (i32.mul (local.get 0) (i32.const 3)) (i32.const 10))"
SUM = "(i32.xor (i32.mul (local.get 0) (i32.const 3)) (i32.const 10))"


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("above", [0, 1, 2])
def test_an_element_is_found_when_all_registers_are_taken(agree: Agree, count: int, above: int) -> None:
    call = agree(f"""(module (table $t 4 externref) (func (export "f") (param i32 externref) (result i32) (local $n i32)
        (table.set $t (i32.const 2) (local.get 1))
        (local.set $n (i32.const 2))
        {DIVISION * count} {SUM * above}
        (ref.is_null (table.get $t (local.get $n)))
        {"i32.add " * (count + above)}))""")
    assert call("f", 100, "something") == 30 * count + (300 ^ 10) * above


@pytest.mark.parametrize("offset", [0, 4, 2**31, 2**31 + 1, 2**32 + 2, 2**64 - 8, 2**64 - 1])
@pytest.mark.parametrize("operation", ["i32.atomic.load", "i32.atomic.load8_u", "i32.atomic.rmw16.add_u"])
def test_alignment_comes_before_bounds_at_any_offset(agree: Agree, offset: int, operation: str) -> None:
    size = 1 if "8" in operation else 2 if "16" in operation else 4
    operand = "(i32.const 1)" if "add" in operation else ""
    call = agree(f"""(module (memory i64 1) (func (export "f") (param i64) (result i32)
        ({operation} offset={offset} (local.get 0) {operand})))""")
    for index in (0, 1, 2, 4, -1, -4, -8, -offset % 2**64 - 2**63 + 4, 65536):
        address = index % 2**64 + offset
        expected = TrapKind.UNALIGNED_ATOMIC if address % size else TrapKind.MEMORY_OUT_OF_BOUNDS
        found = call("f", index)
        assert found == 0 if address + size <= 65536 and not address % size else found is expected


@pytest.mark.parametrize("operation", ["i32.atomic.rmw8", "i32.atomic.rmw16", "i64.atomic.rmw32"])
def test_a_narrow_compare_exchange_compares_what_fits(agree: Agree, operation: str) -> None:
    type = operation[:3]
    call = agree(f"""(module (memory 1) (data (i32.const 0) "\\11\\11\\11\\11\\11\\11\\11\\11")
        (func (export "f") (param {type} {type}) (result {type})
          ({operation}.cmpxchg_u (i32.const 0) (local.get 0) (local.get 1))))""")
    there = int("11" * (int(operation[14:]) // 8), 16)
    above = 0x44 << int(type[1:]) - 8
    assert call("f", above, 5) == there
    assert call("f", above | there, 7) == there
    assert call("f", 7, 8) == 7
