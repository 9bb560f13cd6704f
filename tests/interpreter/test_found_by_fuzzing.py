"""What `tests/fuzz/engines.py` found in the interpreter, made small."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from wasmine import Instance, Trap, TrapKind


@pytest.mark.parametrize(
    ("index", "kind"),
    [
        ("(i32.load (i32.const 0x10000))", TrapKind.MEMORY_OUT_OF_BOUNDS),
        ("(array.get $numbers (array.new_default $numbers (i32.const 1)) (i32.const 1))", TrapKind.ARRAY_OUT_OF_BOUNDS),
        ("(i31.get_u (ref.null i31))", TrapKind.NULL_REFERENCE),
        ("(i32.const 1)", TrapKind.TABLE_OUT_OF_BOUNDS),
    ],
)
def test_a_trap_of_the_index_of_an_indirect_call_is_not_one_of_the_table(
    instantiate: Callable[..., Instance], index: str, kind: TrapKind
) -> None:
    instance = instantiate(f"""
        (module
          (type $numbers (array i32))
          (memory 1)
          (table 1 funcref)
          (func (export "call") (call_indirect {index}))
          (func (export "tail call") (return_call_indirect {index})))""")
    for export in ("call", "tail call"):
        with pytest.raises(Trap) as caught:
            instance.exports[export]()
        assert caught.value.kind is kind


def test_a_parameter_of_a_loop_or_an_if_is_exact_before_it_meets_others(
    instantiate: Callable[..., Instance],
) -> None:
    # A sign-extended operand was pending as a negative Python int when the loop took it for an unsigned one.
    exports = instantiate(
        """(module (global $g (export "g") (mut i64) (i64.const 0))
        (func (export "loop") (param i64)
          (i64.extend8_s (local.get 0))
          (loop (param i64) (global.set $g (i64.xor (global.get $g)))))
        (func (export "if") (param i64 i32) (result i64)
          (i64.extend8_s (local.get 0))
          (if (param i64) (result i64) (local.get 1) (then (drop) (i64.const 5)))
          (i64.shr_u (i64.const 1))))"""
    ).exports
    exports.loop(255)
    assert exports.g.value == -1
    assert exports["if"](255, 0) == 0x7FFF_FFFF_FFFF_FFFF
    assert exports["if"](255, 1) == 2


def test_what_is_known_of_a_local_in_the_then_part_is_not_known_in_the_else_part(
    instantiate: Callable[..., Instance],
) -> None:
    exports = instantiate(
        """(module (func (export "f") (param i32 i32) (result f64) (local i32)
          (local.set 2 (i32.mul (local.get 1) (local.get 1)))
          (if (result f64) (i32.mul (local.get 0) (i32.const 3))
            (then (local.set 2 (i32.const 7)) (f64.convert_i32_s (local.get 2)))
            (else (f64.convert_i32_s (local.get 2))))))"""
    ).exports
    assert exports.f(1, 60000) == 7
    assert exports.f(0, 60000) == float(60000 * 60000 - (1 << 32))


def test_an_address_is_computed_while_an_f32_waits_to_be_stored(instantiate: Callable[..., Instance]) -> None:
    # Both had their intermediate values in the same variable.
    exports = instantiate(
        """(module (memory (export "m") 1) (global $g (mut i32) (i32.const 6))
        (func (export "f") (param i32 f32)
          (f32.store offset=2 (i32.le_s (local.get 0) (global.get $g))
            (select (local.get 1) (f32.const 0) (f32.eq (local.get 1) (local.get 1))))))"""
    ).exports
    exports.f(6, 1.5)
    exports.f(7, 2.5)
    assert bytes(exports.m.view()[2:7]) == struct.pack("<f", 2.5) + struct.pack("<f", 1.5)[3:]
