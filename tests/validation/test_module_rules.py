"""The rules for everything outside function bodies."""

from __future__ import annotations

import pytest

from wasmine.errors import ValidationError

VALID = {
    "a global that reads one before": "(global $a i32 (i32.const 1)) (global i32 (i32.add (global.get $a) (i32.const 1)))",
    "an offset that reads any global": '(global $a i32 (i32.const 1)) (memory 1) (data (global.get $a) "x")',
    "constants of garbage collection": """
        (type $a (array i32)) (type $s (struct (field (ref $a)) (field i31ref)))
        (global (ref $s) (struct.new $s (array.new_fixed $a 2 (i32.const 1) (i32.const 2)) (ref.i31 (i32.const 3))))
        (global externref (extern.convert_any (global.get 0)))""",
    "a function that a global declares": "(func $f) (global funcref (ref.func $f)) (func (drop (ref.func $f)))",
    "a function that an export declares": '(func $f (export "f")) (func (drop (ref.func $f)))',
    "a function that a declarative segment declares": "(func $f) (elem declare func $f) (func (drop (ref.func $f)))",
    "a table with an initial value": "(func $f) (table 1 (ref func) (ref.func $f))",
    "a typed segment for a table of a supertype": """
        (type $t (func)) (func $f (type $t)) (table 1 funcref) (elem (i32.const 0) (ref $t) (ref.func $f))""",
    "the largest memory": "(memory 65536 65536)",
    "a large 64-bit memory": "(memory i64 0x1000000000000)",
    "pages of one byte": "(memory 0xffffffff (pagesize 1))",
    "a start function": "(func $f) (start $f)",
    "two names for one function": '(func (export "a") (export "b"))',
}

INVALID = {
    '(func (export "a")) (memory (export "a") 1)': 'duplicate export name "a" (in export 1)',
    '(export "a" (func 0))': "unknown function 0: the module has 0 (in export 0)",
    '(export "a" (table 0))': "unknown table 0",
    '(export "a" (memory 0))': "unknown memory 0",
    '(export "a" (global 0))': "unknown global 0",
    '(export "a" (tag 0))': "unknown tag 0",
    "(func (type 3))": "unknown type 3: the module has 0 (in function 0)",
    "(type (struct)) (func (type 0))": "unknown type: type 0 is no function type",
    '(import "m" "f" (func (type 9)))': 'unknown type 9: the module has 0 (in import "m" "f")',
    "(func (param i32)) (start 0)": "start function: expected type [] -> [], function 0 has [i32] -> [] (in start)",
    "(start 0)": "unknown function 0: the module has 0 (in start)",
    "(global i32 (i64.const 0))": "type mismatch: end expected [i32], found [i64] (in global 0",
    "(global i32)": "type mismatch: end expected [i32], found [] (in global 0",
    "(global i32 (i32.const 0) (i32.const 1))": "type mismatch: end expected [i32], found [i32 i32] (in global 0",
    "(global i32 (i32.clz (i32.const 0)))": "constant expression required: i32.clz is not constant (in global 0",
    "(global i32 (block (result i32) (i32.const 0)))": "constant expression required: block is not constant",
    "(global (mut i32) (i32.const 0)) (global i32 (global.get 0))": "constant expression required: global 0 is mutable",
    "(global i32 (global.get 0))": "unknown global 0: 0 are visible here",
    "(global i32 (global.get 1)) (global i32 (i32.const 0))": "unknown global 1: 0 are visible here (in global 0",
    "(global $g funcref (ref.null func)) (table 1 funcref (global.get $g))": "unknown global 0: 0 are visible here (in table 0",
    "(global funcref (ref.func 2))": "unknown function 2: the module has 0 (in global 0",
    "(table 2 1 funcref)": "size minimum must not be greater than maximum: 2 is more than 1 (in table 0)",
    "(table 1 (ref func))": "type mismatch: a table of (ref func), which has no default value, needs an initial value",
    "(memory 2 1)": "size minimum must not be greater than maximum",
    "(memory 65537)": "memory size must be at most 65536 pages (4GiB), found limits 65537 (in memory 0)",
    "(memory 0 65537)": "memory size must be at most 65536 pages (4GiB)",
    "(memory i64 0x1000000000001)": "memory size must be at most 281474976710656 pages of 65536 bytes",
    "(memory 1 (pagesize 256))": "invalid custom page size: 256, expected 1 or 65536",
    "(memory 1 shared)": "shared memory must have maximum",
    "(tag (result i32))": "non-empty tag result type: [] -> [i32] (in tag 0)",
    '(data (i32.const 0) "x")': "unknown memory 0: the module has 0 (in data segment 0)",
    '(memory i64 1) (data (i32.const 0) "x")': "type mismatch: end expected [i64], found [i32] (in data segment 0",
    "(func $f) (elem (i32.const 0) $f)": "unknown table 0: the module has 0 (in element segment 0)",
    "(table 1 funcref) (elem (i32.const 0) 3)": "unknown function 3: the module has 0 (in element segment 0)",
    "(func $f) (table 1 externref) (elem (i32.const 0) $f)": (
        "type mismatch: the segment holds (ref func), table 0 externref (in element segment 0)"
    ),
    "(table 1 funcref) (elem (i64.const 0) func)": "type mismatch: end expected [i32], found [i64] (in element segment 0",
    "(elem funcref (ref.null extern))": "type mismatch: end expected [funcref], found [externref]",
    "(func $f) (start $f) (func (drop (ref.func $f)))": "undeclared function reference: function 0",
}


@pytest.mark.parametrize("fields", VALID.values(), ids=VALID)
def test_what_the_rules_allow(check, fields):
    check(f"(module {fields})")


@pytest.mark.parametrize(("fields", "message"), INVALID.items())
def test_what_the_rules_forbid(refused, fields, message):
    error = refused(f"(module {fields})")

    assert isinstance(error, ValidationError)
    assert str(error).startswith(message), str(error)


def test_the_context_holds_whole_index_spaces(check):
    context = check("""(module
        (import "m" "g" (global i64)) (import "m" "f" (func (param i32))) (import "m" "t" (table 1 externref))
        (import "m" "m" (memory i64 1)) (import "m" "e" (tag (param f32)))
        (func (result f64) (f64.const 0)) (table 2 funcref) (memory 3) (tag) (global i32 (i32.const 0))
        (elem declare func 1) (elem externref))""")

    assert [str(type_) for type_ in context.signatures] == ["[i32] -> []", "[] -> [f64]"]
    assert [type_.composite for type_ in context.functions] == context.signatures
    assert [str(type_) for type_ in context.tables] == ["1 externref", "2 funcref"]
    assert [str(type_) for type_ in context.memories] == ["i64 1", "3"]
    assert [str(type_) for type_ in context.globals] == ["i64", "i32"]
    assert [str(type_) for type_ in context.tags] == ["[f32] -> []", "[] -> []"]
    assert [str(type_) for type_ in context.elements] == ["(ref func)", "externref"]
    assert context.declared == {1}
    assert context.data_count is None
    assert (context.imported_functions, context.imported_tables, context.imported_memories) == (1, 1, 1)
    assert (context.imported_globals, context.imported_tags) == (1, 1)
