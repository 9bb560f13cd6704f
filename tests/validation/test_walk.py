"""The typing rules of instructions, one family after the other. The official suite covers the rest (`test_suite_modules`)."""

from __future__ import annotations

import pytest

from wasmine.errors import ValidationError

VALID = {
    "operands of a numeric instruction": "(func (result i32) (i32.add (i32.const 1) (i32.const 2)))",
    "a block with parameters": "(func (result i32) (i32.const 1) (block (param i32) (result i32)))",
    "a branch takes what its block gives": "(func (result i32) (block (result i32) (br 0 (i32.const 1))))",
    "a branch to a loop takes its parameters": "(func (i32.const 1) (loop (param i32) (br_if 0 (i32.const 0)) (drop)))",
    "more operands than a branch takes": "(func (result i32) (i64.const 0) (br 0 (i32.const 1)))",
    "br_table to labels of equal types": """
        (func (result i32) (block (result i32) (br_table 0 1 (i32.const 1) (i32.const 0))))""",
    "br_table to labels of a supertype": """
        (func (param funcref) (result funcref)
          (block $a (result funcref) (block $b (result (ref null func)) (br_table $a $b (local.get 0) (i32.const 0)))))""",
    "an if whose branches differ in reachability": """
        (func (param i32) (result i32) (if (result i32) (local.get 0) (then (unreachable)) (else (i32.const 1))))""",
    "an if without else leaves its parameters": "(func (i32.const 1) (i32.const 1) (if (param i32) (result i32) (then)) (drop))",
    "anything in unreachable code": "(func (result i32) (unreachable) (f32.add) (drop) (select) (i32.eqz))",
    "br_table to differing labels in unreachable code": """
        (func (result i64) (block (result i32) (unreachable) (br_table 0 1 (i32.const 0))) (drop) (i64.const 0))""",
    "a reference in unreachable code": "(func (unreachable) (ref.as_non_null) (ref.is_null) (drop))",
    "select of numbers": "(func (result f64) (select (f64.const 1) (f64.const 2) (i32.const 0)))",
    "select of references": "(func (select (result funcref) (ref.null func) (ref.null nofunc) (i32.const 0)) (drop))",
    "a 64-bit memory": "(memory i64 1) (func (result i32) (i32.load offset=0x100000000 (i64.const 0)))",
    "two memories of different widths": """
        (memory $a 1) (memory $b i64 1)
        (func (memory.copy $b $a (i64.const 0) (i32.const 0) (i32.const 8)))""",
    "a 64-bit table": "(table i64 1 funcref) (func (drop (table.get 0 (i64.const 0))))",
    "lanes": "(func (param v128) (result i32) (i8x16.extract_lane_u 15 (local.get 0)))",
    "atomics": "(memory 1 1 shared) (func (result i64) (i64.atomic.rmw.add (i32.const 0) (i64.const 1)))",
    "wide arithmetic": """
        (func (param i64 i64 i64 i64) (result i64 i64)
          (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))""",
    "a tail call": "(func $f (param i32) (result i64) (return_call $f (local.get 0)))",
    "try_table that catches": """
        (tag $e (param i32))
        (func (result i32) (block (result i32) (try_table (catch $e 0) (throw $e (i32.const 1))) (i32.const 2)))""",
    "try_table that catches a reference": """
        (func (result exnref) (block (result exnref) (try_table (catch_all_ref 0)) (unreachable)))""",
    "legacy try, catch, rethrow": """
        (tag $e (param i32)) (func (try (do (throw $e (i32.const 1))) (catch $e (drop) (rethrow 0)) (catch_all)))""",
    "legacy delegate": "(func (try (do (try (do) (delegate 0))) (catch_all)))",
    "a call through a typed reference": "(type $t (func (result i32))) (func (param (ref $t)) (result i32) (call_ref $t (local.get 0)))",
    "br_on_null": "(func (param funcref) (result (ref func)) (block (br_on_null 0 (local.get 0)) (return)) (unreachable))",
    "br_on_cast": """
        (func (param anyref) (result i31ref)
          (block $l (result i31ref) (br_on_cast $l anyref i31ref (local.get 0)) (drop) (ref.null i31)))""",
    "a struct": """
        (type $s (struct (field $a i8) (field $b (mut i64))))
        (func (result i32) (struct.get_u $s $a (struct.new $s (i32.const 1) (i64.const 2))))""",
    "an array": """
        (type $a (array (mut f32)))
        (func (array.set $a (array.new_default $a (i32.const 3)) (i32.const 0) (f32.const 1)))""",
    "a cast": "(type $s (struct)) (func (param anyref) (result (ref $s)) (ref.cast (ref $s) (local.get 0)))",
}

INVALID = {
    "(func (result i32) (i64.const 1))": "type mismatch: end expected [i32], found [i64]",
    "(func (i32.const 1))": "type mismatch: end expected [], found [i32]",
    "(func (result i32))": "type mismatch: end expected [i32], found []",
    "(func (drop (i32.add (i64.const 1) (i32.const 2))))": "type mismatch: i32.add expected [i32 i32], found [i64 i32]",
    "(func (i32.const 0) (block (i32.eqz) (drop)))": "type mismatch: i32.eqz expected [i32], found []",
    "(func (i64.const 7) (i32.const 1) (i64.add) (drop))": "type mismatch: i64.add expected [i64 i64], found [i64 i32]",
    "(func (drop))": "type mismatch: drop expected more operands, found []",
    "(func (unreachable) (i64.const 0) (i32.eqz) (drop))": "type mismatch: i32.eqz expected [i32], found [... i64]",
    "(func (unreachable) (ref.as_non_null) (i32.eqz) (drop))": (
        "type mismatch: i32.eqz expected [i32], found [... any reference]"
    ),
    "(func (local.get 3))": "unknown local 3: there are 0",
    "(func (param i32) (local.set 1 (i32.const 0)))": "unknown local 1: there are 1",
    "(func (param i32) (local.set 0 (i64.const 0)))": "type mismatch: local.set expected [i32], found [i64]",
    "(func (global.get 0))": "unknown global 0: there are 0",
    "(global i32 (i32.const 0)) (func (global.set 0 (i32.const 1)))": "immutable global: global 0 cannot be set",
    "(func (call 7))": "unknown function 7: there are 1",
    "(func $f (param i32 i64) (call $f (i64.const 0)))": "type mismatch: call expected [i32 i64], found [i64]",
    "(type $t (func (param f32))) (table 1 funcref) (func (call_indirect (type $t) (i32.const 0)))": (
        "type mismatch: call_indirect expected [f32 address], found [i32]"
    ),
    "(func (i64.const 0) (i32.const 1) (if (param i32) (then (drop))))": (
        "type mismatch: if expected [i32 i32], found [i64 i32]"
    ),
    "(func (br 1))": "unknown label 1: there are 1",
    "(func (block (block (br_table 0 1 5 (i32.const 0)))))": "unknown label 5: 3 are in scope",
    "(func (result i32) (block (br_table 0 1 (i32.const 0) (i32.const 0))) (i32.const 0))": (
        "type mismatch: br_table with a label of 0 operands and a default of 1"
    ),
    "(func (result i32) (if (result i32) (i32.const 1) (then (i32.const 1))))": (
        "type mismatch: an if without else leaves its parameters [], but its results are [i32]"
    ),
    "(func (drop (i32.load (i32.const 0))))": "unknown memory 0: the module has no memory",
    "(memory 1) (func (drop (i32.load align=8 (i32.const 0))))": "alignment must not be larger than natural",
    "(memory 1) (func (drop (i32.load offset=0x100000000 (i32.const 0))))": "offset out of range: 4294967296",
    "(memory 1) (func (drop (i32.load 1 (i32.const 0))))": "unknown memory 1: the module has 1",
    "(memory i64 1) (func (drop (i32.load (i32.const 0))))": "type mismatch: i32.load expected [i64], found [i32]",
    "(memory 1 1 shared) (func (drop (i32.atomic.load align=2 (i32.const 0))))": "atomic alignment must be natural",
    "(memory 1) (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))": "unknown data segment 0",
    "(func (drop (table.get 0 (i32.const 0))))": "unknown table 0: the module has 0",
    "(table 1 externref) (type $t (func)) (func (call_indirect (type $t) (i32.const 0)))": (
        "type mismatch: table 0 holds externref, not functions"
    ),
    "(table 1 externref) (elem funcref) (func (table.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))": (
        "type mismatch: element segment 0 holds funcref, table 0 externref"
    ),
    "(func $f) (func (drop (ref.func $f)))": "undeclared function reference: function 0",
    "(func (param v128) (drop (i16x8.extract_lane_s 8 (local.get 0))))": "invalid lane index: 8 is not below 8",
    "(func (param v128) (drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 32 (local.get 0) (local.get 0))))": (
        "invalid lane index: 32 is not below 32"
    ),
    "(func (drop (select (i32.const 0) (i64.const 0) (i32.const 0))))": "type mismatch: select expected",
    "(func (drop (select (ref.null func) (ref.null func) (i32.const 0))))": "type mismatch: select expected",
    "(func (result i64) (return_call 1)) (func (result i32) (i32.const 0))": (
        "type mismatch: a tail call returns [i32], but the function itself [i64]"
    ),
    "(func (throw 0))": "unknown tag 0: the module has 0",
    "(tag $e (param i64)) (func (result i32) (try_table (catch $e 0)) (i32.const 0))": (
        "type mismatch: a catch clause carries [i64], but its label takes [i32]"
    ),
    "(func (block (rethrow 0)))": "invalid rethrow label: label 0 is no catch",
    "(func (try (do) (delegate 1)))": "unknown label 1: 1 are in scope",
    "(type $t (func)) (func (param funcref) (call_ref $t (local.get 0)))": "type mismatch: call_ref expected",
    "(func (param externref) (drop (ref.as_non_null (i32.const 0))))": (
        "type mismatch: ref.as_non_null expected a reference, found i32"
    ),
    "(func (param externref) (drop (ref.test i31ref (local.get 0))))": (
        "type mismatch: ref.test expected anyref, found externref"
    ),
    "(func (param i31ref) (drop (block (result anyref) (br_on_cast 0 i31ref anyref (local.get 0)))))": (
        "type mismatch: a cast from i31ref to anyref, which is no subtype of it"
    ),
    "(type $s (struct (field i8))) (func (param (ref $s)) (drop (struct.get $s 0 (local.get 0))))": (
        "type mismatch: reading i8 with an instruction for a type that is not packed"
    ),
    "(type $s (struct (field i32))) (func (param (ref $s)) (struct.set $s 0 (local.get 0) (i32.const 1)))": (
        "immutable field: field 0 of type 0 cannot be set"
    ),
    "(type $s (struct (field i32))) (func (param (ref $s)) (drop (struct.get $s 1 (local.get 0))))": (
        "unknown field 1: type 0 has 1"
    ),
    "(type $s (struct (field (ref any)))) (func (drop (struct.new_default $s)))": "type mismatch: (ref any) has no default value",
    "(type $a (array i32)) (func (param (ref $a)) (array.set $a (local.get 0) (i32.const 0) (i32.const 0)))": (
        "immutable array: the elements of type 0 cannot be set"
    ),
    "(type $s (struct)) (func (drop (array.new_default $s (i32.const 0))))": "unknown type: type 0 is no array type",
}


@pytest.mark.parametrize("fields", VALID.values(), ids=VALID)
def test_what_the_rules_allow(check, fields):
    check(f"(module {fields})")


@pytest.mark.parametrize(("fields", "reason"), INVALID.items())
def test_what_the_rules_forbid(refused, fields, reason):
    error = refused(f"(module {fields})")

    assert isinstance(error, ValidationError)
    assert error.reason.startswith(reason), error.reason


def test_an_error_names_the_function_and_the_offset_of_the_instruction(refused):
    error = refused('(module (import "m" "f" (func)) (func) (func (nop) (nop) (i32.eqz (i64.const 1)) (drop)))')

    assert error.function == 2
    # Magic and version 8, types 6, import 9, functions 5 and code: header 3, body of function 1, size and locals.
    assert str(error) == (
        f"type mismatch: i32.eqz expected [i32], found [i64] (in function 2, at offset {error.offset:#x})"
    )


def test_the_offset_is_where_the_instruction_starts(check, refused):
    text = "(module (func (nop) (f64.const 1) (drop) (call 0) {} (nop)))"
    (code,) = check(text.format("")).syntax.code

    error = refused(text.format("(i32.const 300) (f32.neg) (drop)"))

    assert error.offset == code.body.offset + 1 + 9 + 1 + 2 + 3


def test_a_wrong_instruction_in_unreachable_code_is_found_where_it_is(check, refused):
    text = "(module (func (unreachable) (i64.const 0) {}))"

    error = refused(text.format("(i32.eqz) (drop)"))

    assert error.offset == check(text.format("(drop)")).syntax.code[0].body.offset + 3


def test_equal_looking_types_are_told_apart(refused):
    error = refused("""(module
        (type $a (func)) (rec (type $b (func)) (type (struct)))
        (func (param (ref $b)) (result (ref $a)) (local.get 0)))""")

    assert error.reason.endswith("of another definition")
