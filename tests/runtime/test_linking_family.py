"""The family of linking bugs that started the project: a function reference mistaken for one of another type.

Every route by which a function gets from the module that defines it to a `call_indirect` in another is tried: imports,
re-exports, shared tables, host functions, globals, segments, a second runtime that saw the types in another order. A call
with the right type must work, and one with a stale or wrong type must trap.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

import wasmine
from wasmine import Caller, TrapKind, i32

Instantiate = Callable[..., wasmine.Instance]


def trap_kind(function: Callable[..., object], *args: object) -> TrapKind:
    with pytest.raises(wasmine.Trap) as caught:
        function(*args)
    return caught.value.kind


LEAF = """(module
  (type $a (func (result i32)))
  (func (export "leaf") (type $a) i32.const 7))"""

PROVIDER = """(module
  (type $a (func (result i32)))
  (type $b (func (param i32) (result i32)))
  (import "leaf" "leaf" (func $leaf (type $a)))
  (func (export "f") (type $b) (i32.add (local.get 0) (call $leaf)))
  (func (export "g") (type $a) i32.const 42))"""

MAIN = """(module
  (type $void (func))
  (type $b (func (param i32) (result i32)))
  (type $a (func (result i32)))
  (import "p" "f" (func $f (type $b)))
  (import "p" "g" (func $g (type $a)))
  (table funcref (elem $f $g))
  (table $holes 4 funcref)
  (func (export "as_a") (param i32) (result i32) (call_indirect (type $a) (local.get 0)))
  (func (export "as_b") (param i32 i32) (result i32) (call_indirect (type $b) (local.get 1) (local.get 0)))
  (func (export "as_void") (param i32) (call_indirect (type $void) (local.get 0)))
  (func (export "hole") (param i32) (call_indirect $holes (type $void) (local.get 0))))"""


def test_imported_functions_in_a_table_whose_provider_has_imports_of_its_own(instantiate: Instantiate) -> None:
    leaf = instantiate(LEAF)
    provider = instantiate(PROVIDER, {"leaf": leaf})
    main = instantiate(MAIN, {"p": provider})
    assert main.exports.as_b(0, 35) == 42
    assert main.exports.as_a(1) == 42
    # The stale signatures, and those that the type numbers of the provider would suggest.
    assert trap_kind(main.exports.as_a, 0) is TrapKind.INDIRECT_CALL_TYPE_MISMATCH
    assert trap_kind(main.exports.as_b, 1, 0) is TrapKind.INDIRECT_CALL_TYPE_MISMATCH
    assert trap_kind(main.exports.as_void, 0) is TrapKind.INDIRECT_CALL_TYPE_MISMATCH
    assert trap_kind(main.exports.as_a, 2) is TrapKind.TABLE_OUT_OF_BOUNDS
    assert trap_kind(main.exports.as_a, -1) is TrapKind.TABLE_OUT_OF_BOUNDS
    assert trap_kind(main.exports.hole, 3) is TrapKind.UNINITIALIZED_ELEMENT


def test_a_mismatch_says_both_types(runtime: wasmine.Runtime) -> None:
    provider = runtime.instantiate(PROVIDER, {"leaf": runtime.instantiate(LEAF)})
    main = runtime.instantiate(MAIN, {"p": provider})
    with pytest.raises(wasmine.Trap, match=r"f is of type \[i32\] -> \[i32\], expected \[\] -> \[i32\]"):
        main.exports.as_a(0)


def test_re_export_chains_mix_imports_and_definitions(instantiate: Instantiate) -> None:
    a = instantiate('(module (func (export "f") (result i32) i32.const 1))')
    b = instantiate(
        """(module (type (func (param f64))) (import "a" "f" (func $f (result i32)))
        (func $g (result i32) i32.const 2) (export "f" (func $f)) (export "g" (func $g)))""",
        {"a": a},
    )
    c = instantiate(
        """(module (type (func (param i64))) (type (func (param f32)))
        (import "b" "g" (func $g (result i32))) (import "b" "f" (func $f (result i32)))
        (func $h (result i32) i32.const 3) (export "h" (func $h)) (export "f" (func $f)) (export "g" (func $g)))""",
        {"b": b},
    )
    d = instantiate(
        """(module (import "c" "h" (func $h (result i32))) (import "c" "f" (func $f (result i32)))
        (import "c" "g" (func $g (result i32)))
        (table funcref (elem $f $g $h))
        (func (export "direct") (result i32)
          (i32.add (i32.mul (call $f) (i32.const 100)) (i32.add (i32.mul (call $g) (i32.const 10)) (call $h))))
        (func (export "indirect") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))
        (export "f" (func $f)) (export "g" (func $g)) (export "h" (func $h)))""",
        {"c": c},
    )
    assert d.exports.direct() == 123
    assert [d.exports.indirect(i) for i in range(3)] == [1, 2, 3]
    assert [d.exports[name]() for name in "fgh"] == [1, 2, 3]
    assert d.exports.f is a.exports.f
    assert d.exports.f.instance is a


def test_a_table_shared_by_three_modules_with_types_in_different_orders(instantiate: Instantiate) -> None:
    owner = instantiate('(module (table (export "t") 4 funcref))')
    instantiate(
        """(module (type (func)) (type (func (param f32))) (type $s (func (param i32) (result i32)))
        (import "t" "t" (table 4 funcref)) (func $x (type $s) (i32.add (local.get 0) (i32.const 1)))
        (elem (i32.const 0) $x))""",
        {"t": owner},
    )
    instantiate(
        """(module (type $s (func (param i32) (result i32))) (import "t" "t" (table 4 funcref))
        (func $y (type $s) (i32.add (local.get 0) (i32.const 2))) (elem (i32.const 1) $y))""",
        {"t": owner},
    )
    main = instantiate(
        """(module (type $v (func)) (type $s (func (param i32) (result i32))) (type $twin (func (param i32) (result i32)))
        (import "t" "t" (table 4 funcref))
        (func (export "call") (param i32 i32) (result i32) (call_indirect (type $s) (local.get 1) (local.get 0)))
        (func (export "twin") (param i32 i32) (result i32) (call_indirect (type $twin) (local.get 1) (local.get 0)))
        (func (export "void") (param i32) (call_indirect (type $v) (local.get 0))))""",
        {"t": owner},
    )
    assert [main.exports.call(i, 10) for i in range(2)] == [11, 12]
    assert [main.exports.twin(i, 10) for i in range(2)] == [11, 12]
    assert trap_kind(main.exports.void, 0) is TrapKind.INDIRECT_CALL_TYPE_MISMATCH
    assert trap_kind(main.exports.call, 2, 0) is TrapKind.UNINITIALIZED_ELEMENT
    assert trap_kind(main.exports.call, 4, 0) is TrapKind.TABLE_OUT_OF_BOUNDS


def test_host_functions_in_tables_and_re_exported_see_their_caller(runtime: wasmine.Runtime) -> None:
    def first_byte(caller: Caller) -> i32:
        return caller.memory[0]

    def add(a: i32, b: i32) -> i32:
        return a + b

    middle = runtime.instantiate(
        """(module (type (func (param i64)))
        (import "host" "first_byte" (func $first (result i32))) (import "host" "add" (func $add (param i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "b")
        (table (export "table") funcref (elem $first $add))
        (func (export "ask") (result i32) (call_indirect (result i32) (i32.const 0)))
        (export "first_byte" (func $first)) (export "add" (func $add)))""",
        {"host": {"first_byte": first_byte, "add": add}},
    )
    main = runtime.instantiate(
        """(module (import "middle" "add" (func $add (param i32 i32) (result i32)))
        (import "middle" "first_byte" (func $first (result i32)))
        (import "middle" "table" (table 2 funcref))
        (memory (export "memory") 1) (data (i32.const 0) "m")
        (func (export "ask") (result i32) (call_indirect (result i32) (i32.const 0)))
        (func (export "ask_directly") (result i32) (call $first))
        (func (export "sum") (result i32) (call_indirect (param i32 i32) (result i32) (i32.const 2) (i32.const 3) (i32.const 1)))
        (func (export "wrong") (result i32) (call_indirect (result i32) (i32.const 1))))""",
        {"middle": middle},
    )
    assert chr(main.exports.ask()) == "m"
    assert chr(main.exports.ask_directly()) == "m"
    assert chr(middle.exports.ask()) == "b"
    assert main.exports.sum() == 5
    assert trap_kind(main.exports.wrong) is TrapKind.INDIRECT_CALL_TYPE_MISMATCH


def test_every_route_into_a_table_keeps_the_type(instantiate: Instantiate) -> None:
    provider = instantiate(
        """(module (type $pad (func (param v128))) (type $s (func (result i32)))
        (func $f (type $s) i32.const 5) (global (export "ref") funcref (ref.func $f)) (export "f" (func $f)))"""
    )
    main = instantiate(
        """(module (type $bad (func (param i32) (result i32))) (type $s (func (result i32)))
        (import "p" "f" (func $f (type $s))) (import "p" "ref" (global $ref funcref))
        (table $t 8 20 funcref) (table $u 8 funcref)
        (elem $passive funcref (ref.func $f) (global.get $ref))
        (elem (i32.const 6) funcref (global.get $ref))
        (func (export "fill")
          (table.set $t (i32.const 0) (ref.func $f))
          (table.set $t (i32.const 1) (global.get $ref))
          (table.init $t $passive (i32.const 2) (i32.const 0) (i32.const 2))
          (table.fill $t (i32.const 4) (ref.func $f) (i32.const 1))
          (table.copy $u $t (i32.const 0) (i32.const 0) (i32.const 8))
          (table.copy $t $u (i32.const 5) (i32.const 0) (i32.const 1))
          (drop (table.grow $t (global.get $ref) (i32.const 1))))
        (func (export "good") (param i32) (result i32) (call_indirect $t (type $s) (local.get 0)))
        (func (export "copied") (param i32) (result i32) (call_indirect $u (type $s) (local.get 0)))
        (func (export "bad") (param i32) (result i32) (call_indirect $t (type $bad) (i32.const 0) (local.get 0))))""",
        {"p": provider},
    )
    main.exports.fill()
    filled = [0, 1, 2, 3, 4, 5, 6, 8]
    assert [main.exports.good(i) for i in filled] == [5] * len(filled)
    assert [main.exports.copied(i) for i in (0, 1, 2, 3, 4, 6)] == [5] * 6
    assert {trap_kind(main.exports.bad, i) for i in filled} == {TrapKind.INDIRECT_CALL_TYPE_MISMATCH}
    assert trap_kind(main.exports.good, 7) is TrapKind.UNINITIALIZED_ELEMENT


def test_a_start_function_may_be_an_imported_host_function(runtime: wasmine.Runtime) -> None:
    calls = []
    text = '(module (type (func (param i32))) (import "h" "start" (func $s)) (start $s))'
    runtime.instantiate(text, {"h": {"start": lambda: calls.append(1)}})
    assert calls == [1]


def test_an_import_is_checked_against_the_current_size_of_a_table(instantiate: Instantiate) -> None:
    owner = instantiate('(module (table (export "t") 1 10 funcref))')
    needs_five = '(module (import "t" "t" (table 5 10 funcref)))'
    with pytest.raises(wasmine.LinkError, match=r"expected table 5 10 funcref, found table 1 10 funcref"):
        instantiate(needs_five, {"t": owner})
    owner.exports.t.grow(4)
    instantiate(needs_five, {"t": owner})


def test_a_module_used_in_a_second_runtime_that_saw_the_types_in_another_order(engine: str) -> None:
    provider, main = wasmine.Module(PROVIDER), wasmine.Module(MAIN)
    for other_types in ("", "(type (func (param i32) (result i32)))(type (func))(type (func (param i64)))"):
        with wasmine.Runtime(engine) as runtime:
            runtime.instantiate(f'(module {other_types} (func (export "x")))')
            for _ in range(2):
                leaf = runtime.instantiate(LEAF)
                instance = runtime.instantiate(main, {"p": runtime.instantiate(provider, {"leaf": leaf})})
                assert instance.exports.as_b(0, 35) == 42
                assert instance.exports.as_a(1) == 42
                assert trap_kind(instance.exports.as_a, 0) is TrapKind.INDIRECT_CALL_TYPE_MISMATCH
                assert trap_kind(instance.exports.as_void, 1) is TrapKind.INDIRECT_CALL_TYPE_MISMATCH


def test_functions_of_a_closed_instance_go_on_working_in_tables(instantiate: Instantiate) -> None:
    owner = instantiate('(module (table (export "t") 1 funcref))')
    filler = instantiate(
        """(module (import "t" "t" (table 1 funcref)) (global $g (mut i32) (i32.const 0))
        (func $count (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g))
        (elem (i32.const 0) $count))""",
        {"t": owner},
    )
    main = instantiate(
        """(module (import "t" "t" (table 1 funcref))
        (func (export "call") (result i32) (call_indirect (result i32) (i32.const 0))))""",
        {"t": owner},
    )
    assert main.exports.call() == 1
    filler.close()
    owner.close()
    del filler, owner
    gc.collect()
    assert main.exports.call() == 2


def test_a_function_runs_with_the_globals_of_the_instance_that_defined_it(runtime: wasmine.Runtime) -> None:
    counter = wasmine.Module(
        """(module (import "env" "start" (global $start i32)) (global $g (mut i32) (i32.const 0))
        (table (export "t") 1 funcref)
        (func $next (export "next") (result i32)
          (global.set $g (i32.add (global.get $g) (i32.const 1))) (i32.add (global.get $start) (global.get $g)))
        (func (export "indirect") (result i32) (call_indirect (result i32) (i32.const 0)))
        (elem declare func $next) (elem (i32.const 0) $next))"""
    )
    first = runtime.instantiate(counter, {"env": {"start": 100}})
    second = runtime.instantiate(counter, {"env": {"start": 200}})
    second.exports.t[0] = first.exports.next
    assert second.exports.indirect() == 101
    assert first.exports.next() == 102
    assert second.exports.next() == 201
    assert second.exports.t[0] is first.exports.next


def test_an_instance_of_another_runtime_cannot_be_imported(engine: str) -> None:
    with wasmine.Runtime(engine) as one, wasmine.Runtime(engine) as two:
        leaf = one.instantiate(LEAF)
        with pytest.raises(wasmine.LinkError, match="another runtime"):
            two.instantiate(PROVIDER, {"leaf": leaf})


def test_equal_recursive_types_of_two_modules_are_one_and_the_rest_differ(instantiate: Instantiate) -> None:
    recursive = "(rec (type $f (func (param (ref null $g)) (result i32))) (type $g (func (param (ref null $f)))))"
    provider = instantiate(f'(module (type (func (param i64))) {recursive} (func (export "f") (type $f) i32.const 9))')
    main = f"""(module {recursive} (type $twin (func (param (ref null $g)) (result i32)))
        (import "p" "f" (func $f (type $f))) (table funcref (elem $f))
        (func (export "call") (result i32) (call_indirect (type $f) (ref.null $g) (i32.const 0)))
        (func (export "twin") (result i32) (call_indirect (type $twin) (ref.null $g) (i32.const 0))))"""
    instance = instantiate(main, {"p": provider})
    assert instance.exports.call() == 9
    assert trap_kind(instance.exports.twin) is TrapKind.INDIRECT_CALL_TYPE_MISMATCH
