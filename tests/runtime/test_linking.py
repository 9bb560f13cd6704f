"""Linking: what satisfies an import, and what is said when nothing does."""

from __future__ import annotations

from typing import Any

import pytest

import wasmine
from wasmine import Runtime, f64, i32, i64
from wasmine.format.types import EXTERNREF, F32, F64, FUNCREF, I32, I64


def test_every_missing_import_is_listed_with_its_type(runtime: Runtime) -> None:
    text = """(module
        (import "env" "log" (func (param i32 i32)))
        (import "env" "memory" (memory 1 2))
        (import "env" "given" (func))
        (import "other" "g" (global (mut i64))))"""
    with pytest.raises(wasmine.LinkError) as caught:
        runtime.instantiate(text, {"env": {"given": lambda: None}})
    message = str(caught.value)
    assert "3 imports" in message
    assert "env.log: missing; expected function [i32 i32] -> []" in message
    assert "env.memory: missing; expected memory 1 2" in message
    assert "other.g: missing; expected global (mut i64)" in message
    assert "env.given" not in message


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        ("(func (param i32))", lambda rt: rt.memory(1), r"expected function \[i32\] -> \[\], found memory 1"),
        ("(func)", lambda rt: 5, r"expected function \[\] -> \[\], found a Python int"),
        ("(memory 2)", lambda rt: rt.memory(1), r"expected memory 2, found memory 1"),
        ("(memory 1 2)", lambda rt: rt.memory(1), r"expected memory 1 2, found memory 1"),
        ("(memory 1 2)", lambda rt: rt.memory(1, 3), r"expected memory 1 2, found memory 1 3"),
        ("(memory i64 1)", lambda rt: rt.memory(1), r"expected memory i64 1, found memory 1"),
        ("(table 1 externref)", lambda rt: rt.table(1), r"expected table 1 externref, found table 1 funcref"),
        ("(global i32)", lambda rt: rt.global_(I64, 1), r"expected global i32, found global i64"),
        ("(global i32)", lambda rt: rt.global_(I32, 1, mutable=True), r"found global \(mut i32\)"),
        ("(global (mut i32))", lambda rt: 1, r"expected global \(mut i32\), found a Python int"),
        ("(global i32)", lambda rt: 1 << 40, r"expected an i32 from -2147483648 to 4294967295, found 1099511627776"),
        ("(tag (param i32))", lambda rt: rt.tag([I64]), r"expected tag \[i32\] -> \[\], found tag \[i64\]"),
    ],
)
def test_a_misfit_says_what_was_expected_and_what_was_given(
    runtime: Runtime, declared: str, given: Any, message: str
) -> None:
    with pytest.raises(wasmine.LinkError, match=message):
        runtime.instantiate(f'(module (import "m" "x" {declared}))', {"m": {"x": given(runtime)}})


def test_imports_come_from_mappings_instances_and_registered_names(runtime: Runtime) -> None:
    runtime.instantiate('(module (func (export "one") (result i32) i32.const 1))', name="by_name")
    other = runtime.instantiate('(module (func (export "two") (result i32) i32.const 2))')
    user = runtime.instantiate(
        """(module (import "by_name" "one" (func $one (result i32))) (import "given" "two" (func $two (result i32)))
        (import "host" "three" (func $three (result i32)))
        (func (export "sum") (result i32) (i32.add (call $one) (i32.add (call $two) (call $three)))))""",
        {"given": other, "host": {"three": lambda: 3}},
    )
    assert user.exports.sum() == 6
    assert runtime["by_name"].exports.one() == 1


def test_the_mapping_goes_before_a_registered_instance(runtime: Runtime) -> None:
    runtime.instantiate('(module (func (export "f") (result i32) i32.const 1))', name="m")
    text = '(module (import "m" "f" (func $f (result i32))) (export "f" (func $f)))'
    assert runtime.instantiate(text).exports.f() == 1
    assert runtime.instantiate(text, {"m": {"f": lambda: 2}}).exports.f() == 2


def test_a_name_can_be_used_once_until_its_instance_is_closed(runtime: Runtime) -> None:
    first = runtime.instantiate("(module)", name="m")
    with pytest.raises(ValueError, match="'m' exists already"):
        runtime.instantiate("(module)", name="m")
    first.close()
    runtime.instantiate("(module)", name="m")


def test_memories_tables_and_globals_made_in_python_are_shared(runtime: Runtime) -> None:
    memory, table = runtime.memory(1, 3), runtime.table(2)
    counter, start = runtime.global_(I32, 5, mutable=True), runtime.global_(I64, 7)
    instance = runtime.instantiate(
        """(module (import "h" "m" (memory 1)) (import "h" "t" (table 1 funcref))
        (import "h" "c" (global $c (mut i32))) (import "h" "s" (global $s i64))
        (func $f (result i32) i32.const 11) (elem (i32.const 1) $f)
        (func (export "run") (result i64)
          (i32.store8 (i32.const 3) (i32.const 99)) (global.set $c (i32.add (global.get $c) (i32.const 1)))
          (drop (memory.grow (i32.const 1))) (global.get $s)))""",
        {"h": {"m": memory, "t": table, "c": counter, "s": start}},
    )
    assert instance.exports.run() == 7
    assert memory[3] == 99
    assert memory.size == 2
    assert counter.value == 6
    assert table[1]() == 11
    assert table[0] is None


def test_a_number_satisfies_an_immutable_global(runtime: Runtime) -> None:
    text = """(module (import "env" "i" (global $i i32)) (import "env" "f" (global $f f64)) (import "env" "r" (global $r externref))
        (export "i" (global $i)) (export "f" (global $f)) (export "r" (global $r)))"""
    thing = object()
    exports = runtime.instantiate(text, {"env": {"i": -1, "f": 2, "r": thing}}).exports
    assert exports.i.value == -1
    assert exports.f.value == 2.0
    assert exports.r.value is thing
    with pytest.raises(TypeError, match="immutable"):
        exports.i.value = 3


def test_annotations_are_checked_against_the_import(runtime: Runtime) -> None:
    def typed(a: i32, b: f64) -> i64:
        return a + int(b)

    good = '(module (import "m" "f" (func $f (param i32 f64) (result i64))) (export "f" (func $f)))'
    assert runtime.instantiate(good, {"m": {"f": typed}}).exports.f(2, 3.5) == 5
    for bad, message in [
        ("(param i64 f64) (result i64)", "parameter 1 is annotated i32, not i64"),
        ("(param i32 f64) (result i32)", "result 1 is annotated i64, not i32"),
        ("(param i32) (result i64)", "it has 2 parameters"),
        ("(param i32 f64)", "it has 1 results"),
    ]:
        with pytest.raises(wasmine.LinkError, match=message):
            runtime.instantiate(f'(module (import "m" "f" (func {bad})))', {"m": {"f": typed}})


def test_plain_int_and_float_annotations_fit_either_width(runtime: Runtime) -> None:
    def scale(a: int, b: float) -> float:
        return a * b

    for ints, floats in (("i32", "f32"), ("i64", "f64")):
        text = f'(module (import "m" "f" (func $f (param {ints} {floats}) (result {floats}))) (export "f" (func $f)))'
        assert runtime.instantiate(text, {"m": {"f": scale}}).exports.f(3, 0.5) == 1.5
    with pytest.raises(wasmine.LinkError, match="annotated i32 or i64, not f32"):
        runtime.instantiate('(module (import "m" "f" (func (param f32 f32) (result f32))))', {"m": {"f": scale}})


def test_a_function_reference_made_in_python(runtime: Runtime) -> None:
    def double(x: i32) -> i32:
        return 2 * x

    function = runtime.function(double)
    assert function(21) == 42
    table = runtime.table(1)
    table[0] = function
    assert table[0] is function
    typed = runtime.function(lambda a, b: a + b, wasmine.FuncType((F32, F64), (F64,)))
    assert typed(1, 2) == 3.0
    with pytest.raises(TypeError, match="parameter 1 is not clear"):
        runtime.function(lambda a: a)
    with pytest.raises(TypeError, match="expected a funcref, found int"):
        table[0] = 5


def test_a_closed_runtime_and_a_closed_instance_refuse_work(engine: str) -> None:
    runtime = Runtime(engine)  # type: ignore[arg-type]
    instance = runtime.instantiate('(module (func (export "f")))')
    function = instance.exports.f
    instance.close()
    instance.close()
    with pytest.raises(wasmine.WasmineError, match="is closed"):
        function()
    runtime.close()
    with pytest.raises(wasmine.WasmineError, match="runtime is closed"):
        runtime.instantiate("(module)")


def test_a_failed_start_function_registers_nothing(runtime: Runtime) -> None:
    with pytest.raises(wasmine.Trap):
        runtime.instantiate("(module (func $s unreachable) (start $s))", name="m")
    assert "m" not in runtime.instances


def test_an_active_segment_out_of_bounds_traps_and_earlier_ones_stay_written(runtime: Runtime) -> None:
    memory, table = runtime.memory(1), runtime.table(2, element=EXTERNREF)
    assert table.type.element is not FUNCREF
    text = '(module (import "h" "m" (memory 1)) (data (i32.const 0) "yes") (data (i32.const 65534) "no!"))'
    with pytest.raises(wasmine.Trap) as caught:
        runtime.instantiate(text, {"h": {"m": memory}})
    assert caught.value.kind is wasmine.TrapKind.MEMORY_OUT_OF_BOUNDS
    assert memory[0:3] == b"yes"
    assert memory[65534:65536] == b"\0\0"


def test_sizes_of_tables_and_memories_are_numbers(runtime: Runtime) -> None:
    arguments: list[tuple[Any, ...]] = [(8, EXTERNREF), ("8",), (1.5,), (None,)]
    for make in (runtime.table, runtime.memory):
        for given in arguments:
            with pytest.raises(TypeError, match=r"the (minimum|maximum) must be an int, found .*keyword"):
                make(*given)
