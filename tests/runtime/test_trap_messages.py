"""Every kind of trap says the same on both engines: what was done, with which figures, and at which instruction."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conftest import skip_unless_available

import wasmine
from wasmine import Trap, TrapKind
from wasmine.format.instructions import BY_NAME

MODULE = wasmine.Module(
    """(module
 (type $a (func (param i32) (result i32))) (type $b (func (result i32)))
 (type $s (sub (func (param i64)))) (type $t (sub $s (func (param i64))))
 (memory 1) (memory $m64 i64 1) (memory $sh 1 1 shared)
 (table $t 4 funcref) (table $u 3 funcref) (table $t64 i64 5 funcref)
 (table $ty 2 (ref null $a))
 (elem (table $t) (i32.const 0) func $fa $fb $fs)
 (elem $seg func $fa $fb)
 (data $d "abc")
 (func $fa (type $a) (local.get 0)) (func $fb (type $b) (i32.const 1)) (func $fs (type $s))
 (func (export "unreachable") unreachable)
 (func (export "load") (param i32) (drop (i32.load offset=4 (local.get 0))))
 (func (export "load8") (param i32) (drop (i32.load8_u (local.get 0))))
 (func (export "load_vector") (param i32) (drop (v128.load (local.get 0))))
 (func (export "load_lane") (param i32) (drop (v128.load8_lane 3 (local.get 0) (v128.const i32x4 0 0 0 0))))
 (func (export "splat") (param i32) (drop (v128.load16_splat (local.get 0))))
 (func (export "load_f64") (param i32) (result f64) (f64.add (f64.const 1) (f64.load (local.get 0))))
 (func (export "load_f32") (param i32) (result f32) (f32.load (local.get 0)))
 (func (export "store") (param i32) (i64.store16 (local.get 0) (i64.const 5)))
 (func (export "store_f32") (param i32) (f32.store offset=8 (local.get 0) (f32.const 5)))
 (func (export "store_constant") (i64.store offset=16 (i32.const 65532) (i64.const 5)))
 (func (export "load_constant") (drop (i64.load offset=16 (i32.const 65532) )))
 (func (export "store_far") (param i32) (i64.store offset=0xffffffff (local.get 0) (i64.const 5)))
 (func (export "load_64") (param i64) (drop (i32.load $m64 offset=4 (local.get 0))))
 (func (export "load_64_far") (param i64) (drop (i32.load $m64 offset=0xffffffffffffff00 (local.get 0))))
 (func (export "atomic_load") (param i32) (drop (i32.atomic.load $sh (local.get 0))))
 (func (export "atomic_add") (param i32) (drop (i64.atomic.rmw16.add_u $sh (local.get 0) (i64.const 1))))
 (func (export "wait") (param i32) (drop (memory.atomic.wait32 $sh (local.get 0) (i32.const 0) (i64.const 0))))
 (func (export "wait_unshared") (param i32) (drop (memory.atomic.wait32 (local.get 0) (i32.const 0) (i64.const 0))))
 (func (export "notify") (param i32) (drop (memory.atomic.notify $sh (local.get 0) (i32.const 0))))
 (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 1) (local.get 1)))
 (func (export "fill_64") (param i64 i64) (memory.fill $m64 (local.get 0) (i32.const 1) (local.get 1)))
 (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
 (func (export "init") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
 (func (export "get") (param i32) (drop (table.get $t (local.get 0))))
 (func (export "get_64") (param i64) (drop (table.get $t64 (local.get 0))))
 (func (export "set") (param i32) (table.set $u (local.get 0) (ref.null func)))
 (func (export "table_fill") (param i32 i32) (table.fill $t (local.get 0) (ref.null func) (local.get 1)))
 (func (export "table_copy") (param i32 i32 i32) (table.copy $t $u (local.get 0) (local.get 1) (local.get 2)))
 (func (export "table_init") (param i32 i32 i32) (table.init $t $seg (local.get 0) (local.get 1) (local.get 2)))
 (func (export "indirect") (param i32) (result i32) (call_indirect $t (type $b) (local.get 0)))
 (func (export "indirect_sub") (param i32) (call_indirect $t (type $s) (i64.const 1) (local.get 0)))
 (func (export "indirect_final") (param i32) (call_indirect $t (type $t) (i64.const 1) (local.get 0)))
 (func (export "indirect_typed") (param i32) (result i32) (call_indirect $ty (type $a) (i32.const 1) (local.get 0)))
 (func (export "return_indirect") (param i32) (result i32) (return_call_indirect $t (type $b) (local.get 0)))
 (func (export "call_ref") (param i32) (result i32) (call_ref $a (i32.const 2) (ref.null $a)))
 (func (export "return_call_ref") (param i32) (result i32) (return_call_ref $a (i32.const 2) (ref.null $a)))
 (func (export "as_non_null") (param externref) (drop (ref.as_non_null (local.get 0))))
 (func (export "throw_ref") (throw_ref (ref.null exn)))
 (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
 (func (export "remainder") (param i64 i64) (result i64) (i64.rem_u (local.get 0) (local.get 1)))
 (func (export "trunc") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
 (func $so (export "recurse") (param i32) (result i32) (i32.add (i32.const 1) (call $so (local.get 0))))
 (func (export "tgrow") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0)))
)"""
)

MEMORY = TrapKind.MEMORY_OUT_OF_BOUNDS
UNALIGNED = TrapKind.UNALIGNED_ATOMIC
TABLE = TrapKind.TABLE_OUT_OF_BOUNDS
TYPE = TrapKind.INDIRECT_CALL_TYPE_MISMATCH

# Export, arguments, instruction, kind, detail.
CASES: list[tuple[str, tuple[Any, ...], str, TrapKind, str]] = [
    ("unreachable", (), "unreachable", TrapKind.UNREACHABLE, ""),
    ("load", (65530,), "i32.load", MEMORY, "4 bytes at 0xfffe in a memory of 0x10000 bytes"),
    ("load", (-1,), "i32.load", MEMORY, "4 bytes at 0x100000003 in a memory of 0x10000 bytes"),
    ("load", (65531,), "i32.load", MEMORY, "4 bytes at 0xffff in a memory of 0x10000 bytes"),
    ("load", (65532,), "i32.load", MEMORY, "4 bytes at 0x10000 in a memory of 0x10000 bytes"),
    ("load8", (65536,), "i32.load8_u", MEMORY, "1 byte at 0x10000 in a memory of 0x10000 bytes"),
    ("load8", (-1,), "i32.load8_u", MEMORY, "1 byte at 0xffffffff in a memory of 0x10000 bytes"),
    ("load_vector", (65530,), "v128.load", MEMORY, "16 bytes at 0xfffa in a memory of 0x10000 bytes"),
    ("load_vector", (70000,), "v128.load", MEMORY, "16 bytes at 0x11170 in a memory of 0x10000 bytes"),
    ("load_lane", (65536,), "v128.load8_lane", MEMORY, "1 byte at 0x10000 in a memory of 0x10000 bytes"),
    ("splat", (65535,), "v128.load16_splat", MEMORY, "2 bytes at 0xffff in a memory of 0x10000 bytes"),
    ("load_f64", (65532,), "f64.load", MEMORY, "8 bytes at 0xfffc in a memory of 0x10000 bytes"),
    ("load_f32", (65533,), "f32.load", MEMORY, "4 bytes at 0xfffd in a memory of 0x10000 bytes"),
    ("store", (65535,), "i64.store16", MEMORY, "2 bytes at 0xffff in a memory of 0x10000 bytes"),
    ("store", (-1,), "i64.store16", MEMORY, "2 bytes at 0xffffffff in a memory of 0x10000 bytes"),
    ("store_f32", (65528,), "f32.store", MEMORY, "4 bytes at 0x10000 in a memory of 0x10000 bytes"),
    ("store_constant", (), "i64.store", MEMORY, "8 bytes at 0x1000c in a memory of 0x10000 bytes"),
    ("load_constant", (), "i64.load", MEMORY, "8 bytes at 0x1000c in a memory of 0x10000 bytes"),
    ("store_far", (1,), "i64.store", MEMORY, "8 bytes at 0x100000000 in a memory of 0x10000 bytes"),
    ("load_64", (65530,), "i32.load", MEMORY, "4 bytes at 0xfffe in a memory of 0x10000 bytes"),
    ("load_64", (-1,), "i32.load", MEMORY, "4 bytes at 0x10000000000000003 in a memory of 0x10000 bytes"),
    ("load_64_far", (0,), "i32.load", MEMORY, "4 bytes at 0xffffffffffffff00 in a memory of 0x10000 bytes"),
    ("atomic_load", (65536,), "i32.atomic.load", MEMORY, "4 bytes at 0x10000 in a memory of 0x10000 bytes"),
    ("atomic_load", (2,), "i32.atomic.load", UNALIGNED, "4 bytes at 0x2"),
    ("atomic_load", (65537,), "i32.atomic.load", UNALIGNED, "4 bytes at 0x10001"),
    ("atomic_add", (65536,), "i64.atomic.rmw16.add_u", MEMORY, "2 bytes at 0x10000 in a memory of 0x10000 bytes"),
    ("atomic_add", (1,), "i64.atomic.rmw16.add_u", UNALIGNED, "2 bytes at 0x1"),
    ("wait", (65536,), "memory.atomic.wait32", MEMORY, "4 bytes at 0x10000 in a memory of 0x10000 bytes"),
    ("wait", (2,), "memory.atomic.wait32", UNALIGNED, "4 bytes at 0x2"),
    ("wait_unshared", (0,), "memory.atomic.wait32", TrapKind.EXPECTED_SHARED_MEMORY, ""),
    ("notify", (65536,), "memory.atomic.notify", MEMORY, "4 bytes at 0x10000 in a memory of 0x10000 bytes"),
    ("notify", (1,), "memory.atomic.notify", UNALIGNED, "4 bytes at 0x1"),
    ("fill", (65530, 20), "memory.fill", MEMORY, "20 bytes at 0xfffa in a memory of 0x10000 bytes"),
    ("fill", (-1, -1), "memory.fill", MEMORY, "4294967295 bytes at 0xffffffff in a memory of 0x10000 bytes"),
    ("fill_64", (-1, 5), "memory.fill", MEMORY, "5 bytes at 0xffffffffffffffff in a memory of 0x10000 bytes"),
    ("copy", (0, 65530, 10), "memory.copy", MEMORY, "10 bytes at 0xfffa in a memory of 0x10000 bytes"),
    ("copy", (65530, 0, 10), "memory.copy", MEMORY, "10 bytes at 0xfffa in a memory of 0x10000 bytes"),
    ("init", (0, 1, 10), "memory.init", MEMORY, "10 bytes at 0x1 of a data segment of 0x3 bytes"),
    ("init", (65535, 0, 2), "memory.init", MEMORY, "2 bytes at 0xffff in a memory of 0x10000 bytes"),
    ("get", (4,), "table.get", TABLE, "element 4 of a table of 4"),
    ("get", (-1,), "table.get", TABLE, "element 4294967295 of a table of 4"),
    ("get_64", (5,), "table.get", TABLE, "element 5 of a table of 5"),
    ("get_64", (-1,), "table.get", TABLE, "element 18446744073709551615 of a table of 5"),
    ("set", (3,), "table.set", TABLE, "element 3 of a table of 3"),
    ("table_fill", (3, 2), "table.fill", TABLE, "elements 3 to 5 of a table of 4"),
    ("table_copy", (3, 0, 2), "table.copy", TABLE, "elements 3 to 5 of a table of 4"),
    ("table_copy", (0, 2, 2), "table.copy", TABLE, "elements 2 to 4 of a table of 3"),
    ("table_init", (3, 0, 2), "table.init", TABLE, "elements 3 to 5 of a table of 4"),
    ("table_init", (0, 1, 2), "table.init", TABLE, "elements 1 to 3 of an element segment of 2"),
    ("indirect", (4,), "call_indirect", TABLE, "element 4 of a table of 4"),
    ("indirect", (3,), "call_indirect", TrapKind.UNINITIALIZED_ELEMENT, ""),
    ("indirect", (0,), "call_indirect", TYPE, "fa is of type [i32] -> [i32], expected [] -> [i32]"),
    ("indirect", (-1,), "call_indirect", TABLE, "element 4294967295 of a table of 4"),
    ("indirect_sub", (0,), "call_indirect", TYPE, "fa is of type [i32] -> [i32], expected [i64] -> []"),
    ("indirect_final", (2,), "call_indirect", TYPE, "fs is of type [i64] -> [], expected [i64] -> []"),
    ("indirect_typed", (0,), "call_indirect", TrapKind.UNINITIALIZED_ELEMENT, ""),
    ("indirect_typed", (2,), "call_indirect", TABLE, "element 2 of a table of 2"),
    ("return_indirect", (0,), "return_call_indirect", TYPE, "fa is of type [i32] -> [i32], expected [] -> [i32]"),
    ("return_indirect", (7,), "return_call_indirect", TABLE, "element 7 of a table of 4"),
    ("return_indirect", (3,), "return_call_indirect", TrapKind.UNINITIALIZED_ELEMENT, ""),
    ("call_ref", (1,), "call_ref", TrapKind.NULL_REFERENCE, ""),
    ("return_call_ref", (1,), "return_call_ref", TrapKind.NULL_REFERENCE, ""),
    ("as_non_null", (None,), "ref.as_non_null", TrapKind.NULL_REFERENCE, ""),
    ("throw_ref", (), "throw_ref", TrapKind.NULL_REFERENCE, ""),
    ("divide", (1, 0), "i32.div_s", TrapKind.INTEGER_DIVIDE_BY_ZERO, ""),
    ("divide", (-2147483648, -1), "i32.div_s", TrapKind.INTEGER_OVERFLOW, ""),
    ("remainder", (1, 0), "i64.rem_u", TrapKind.INTEGER_DIVIDE_BY_ZERO, ""),
    ("trunc", (1e300,), "i32.trunc_f64_s", TrapKind.INTEGER_OVERFLOW, ""),
    ("trunc", (float("nan"),), "i32.trunc_f64_s", TrapKind.INVALID_CONVERSION, ""),
    ("recurse", (0,), "i32.const", TrapKind.STACK_OVERFLOW, ""),
]


@pytest.fixture(scope="module", params=["interpreter", "compiler, guard", "compiler, checked"])
def way(request: pytest.FixtureRequest) -> str:
    """An engine, and how it checks bounds."""
    found: str = request.param
    skip_unless_available(found.partition(",")[0])
    return found


@pytest.fixture(scope="module")
def exports(way: str) -> Any:
    engine, _, bounds = way.partition(", ")
    chosen: Any = (engine, bounds or "auto")
    return wasmine.Runtime(chosen[0], bounds=chosen[1]).instantiate(MODULE).exports


@pytest.mark.parametrize(("name", "arguments", "instruction", "kind", "detail"), CASES)
def test_a_trap_says_what_and_where(
    exports: Any, way: str, name: str, arguments: tuple[Any, ...], instruction: str, kind: TrapKind, detail: str
) -> None:
    with pytest.raises(Trap) as caught:
        exports[name](*arguments)
    trap = caught.value
    assert trap.kind is kind
    if trap.detail != detail:
        # All that a guard page can tell of an access that begins before the end of the memory.
        count = detail.partition(" at ")[0]
        assert (way, trap.detail) == (
            "compiler, guard",
            f"{count} at or across the end of a memory of 0x10000 bytes",
        )
    offset = trap.frames[0].offset
    assert offset is not None
    if way != "interpreter":  # which may say the instruction that takes the result
        assert MODULE.to_bytes().startswith(BY_NAME[instruction].encoding, offset)
    body = wasmine.Module(MODULE.to_bytes()).syntax.code[trap.frames[0].index].body
    assert body.offset <= offset < body.offset + len(body.code)


def test_the_cases_are_of_every_kind_that_wasm_code_without_objects_has() -> None:
    rest = {TrapKind.CAST_FAILURE, TrapKind.ARRAY_OUT_OF_BOUNDS, TrapKind.ALLOCATION_TOO_LARGE, TrapKind.HOST}
    assert {case[3] for case in CASES} == set(TrapKind) - rest
