"""Modules in the text format become what they say, abbreviations what they abbreviate, and errors say where."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmine.errors import DecodeError
from wasmine.format.module import (
    Active,
    CustomSection,
    DataSegment,
    ElementSegment,
    Export,
    Expression,
    Import,
    Mode,
    ModuleSyntax,
    Names,
    Section,
)
from wasmine.format.names import read_names
from wasmine.format.text import parse_module
from wasmine.format.types import (
    EXTERNREF,
    FUNCREF,
    I32,
    I64,
    ArrayType,
    FieldType,
    FuncIndex,
    FuncType,
    GlobalType,
    Heap,
    Kind,
    Limits,
    MemoryType,
    Packed,
    RefType,
    StructType,
    SubType,
    TableType,
    TagIndex,
)
from wasmine.format.writer import write

FUNC = RefType(False, Heap.FUNC)


def without_names(text: str) -> ModuleSyntax:
    """The module without its custom sections."""
    return replace(parse_module(text), customs=())


def names_of(text: str) -> Names:
    (section,) = (custom for custom in parse_module(text).customs if custom.name == "name")
    return read_names(section.data)


def body_of(text: str, fields: str = "") -> str:
    """The code of the last function, which holds these instructions, in hexadecimal and without the final `end`."""
    code = parse_module(f"{fields} (func {text})").code[-1].body.code
    assert code[-1] == 0x0B
    return code[:-1].hex(" ")


# ---- types


@pytest.mark.parametrize(
    ("text", "composite"),
    [
        ("(func)", FuncType()),
        ("(func (param $x i32) (param i64 f32) (param) (result f64) (result v128))", None),
        ("(struct)", StructType()),
        (
            "(struct (field $x i8) (field) (field i16 (mut i32)) (field $y (mut i8)))",
            StructType((FieldType(Packed.I8), FieldType(Packed.I16), FieldType(I32, True), FieldType(Packed.I8, True))),
        ),
        ("(array i64)", ArrayType(FieldType(I64))),
        ("(array (mut (ref null $t)))", ArrayType(FieldType(RefType(True, 0), True))),
    ],
)
def test_type_definitions(text: str, composite: object) -> None:
    ((defined,),) = parse_module(f"(type $t {text})").types

    assert defined.final
    assert defined.supertypes == ()
    if composite is None:
        assert str(defined.composite) == "[i32 i64 f32] -> [f64 v128]"
    else:
        assert defined.composite == composite


@pytest.mark.parametrize("heap", list(Heap))
def test_reference_types(heap: Heap) -> None:
    short = str(RefType(True, heap))
    ((defined,),) = parse_module(f"(type (func (param {short} (ref null {heap}) (ref {heap}))))").types

    assert defined.composite == FuncType((RefType(True, heap), RefType(True, heap), RefType(False, heap)))


def test_recursive_groups_and_subtypes() -> None:
    module = parse_module(
        """
        (rec (type $a (sub (struct (field (ref null $b))))) (type $b (sub final $a (struct (field (ref null 1)) (field (ref $c))))))
        (type $c (sub $a 1 (func)))
        (rec)
        (type (sub final (func)))
        """
    )

    field = FieldType(RefType(True, 1))
    assert module.types == (
        (
            SubType(StructType((field,)), False),
            SubType(StructType((field, FieldType(RefType(False, 2)))), True, (0,)),
        ),
        (SubType(FuncType(), False, (0, 1)),),
        (),
        (SubType(FuncType()),),
    )


def test_a_type_use_without_a_type_means_the_first_that_fits_or_a_new_one() -> None:
    module = parse_module(
        """
        (type (sub (func (param i32))))
        (func (param f32) (block (param i64) (result i64)))
        (func (param i32))
        (func (result f64))
        (type $t (func (param i32)))
        (rec (type (func (result f64))) (type (struct)))
        """
    )

    composites = [str(defined.composite) for group in module.types for defined in group]
    assert composites == [
        "[i32] -> []",
        "[i32] -> []",
        "[] -> [f64]",
        "(struct )",
        "[f32] -> []",
        "[i64] -> [i64]",
        "[] -> [f64]",
    ]
    assert module.functions == (4, 1, 6)
    assert module.code[0].body.code.hex(" ") == "02 05 0b 0b"


def test_parameters_are_counted_by_the_type_that_is_named() -> None:
    fields = "(type $t (func (param i32 i32)))"

    assert body_of("(type $t) (local $x i64) local.get $x", fields) == "20 02"
    assert body_of("(type $t) (param $a i32) (param $b i32) (local $x i64) (local.get $b) local.get $x", fields) == (
        "20 01 20 02"
    )


# ---- the fields of a module


def test_imports() -> None:
    module = parse_module(
        """
        (import "m" "f" (func $f (param $x i32)))
        (import "m" "t" (table 1 2 funcref))
        (import "m" "m" (memory i64 1))
        (import "m" "g" (global (mut i32)))
        (import "\\u{e9}" "" (tag $e (type 0)))
        """
    )

    assert module.imports == (
        Import("m", "f", FuncIndex(0)),
        Import("m", "t", TableType(FUNCREF, Limits(1, 2))),
        Import("m", "m", MemoryType(Limits(1), address=I64)),
        Import("m", "g", GlobalType(I32, True)),
        Import("é", "", TagIndex(0)),
    )


@pytest.mark.parametrize(
    ("short", "long"),
    [
        # Imports and exports in definitions.
        ('(func $f (import "m" "n") (param i32))', '(import "m" "n" (func $f (param i32)))'),
        ('(table (import "m" "n") 1 funcref)', '(import "m" "n" (table 1 funcref))'),
        ('(memory (import "m" "n") 1 2 shared)', '(import "m" "n" (memory 1 2 shared))'),
        ('(global (import "m" "n") (mut i64))', '(import "m" "n" (global (mut i64)))'),
        ('(tag (import "m" "n") (param i32))', '(import "m" "n" (tag (param i32)))'),
        ('(func (export "a") (export "b"))', '(func) (export "a" (func 0)) (export "b" (func 0))'),
        ('(table (export "a") 1 funcref)', '(table 1 funcref) (export "a" (table 0))'),
        ('(memory (export "a") 1)', '(memory 1) (export "a" (memory 0))'),
        ('(global (export "a") i32 (i32.const 0))', '(global i32 (i32.const 0)) (export "a" (global 0))'),
        ('(tag (export "a"))', '(tag) (export "a" (tag 0))'),
        (
            '(memory $m (export "a") (import "b" "c") 1)',
            '(import "b" "c" (memory $m 1)) (export "a" (memory $m))',
        ),
        # Segments in definitions.
        ('(memory (data "ab" "c"))', '(memory 1 1) (data (i32.const 0) "abc")'),
        ("(memory (data))", "(memory 0 0) (data (i32.const 0))"),
        ('(memory 0) (memory $m i64 (data "a"))', '(memory 0) (memory i64 1 1) (data (memory 1) (i64.const 0) "a")'),
        ('(memory (pagesize 1) (data "abc"))', '(memory 3 3 (pagesize 1)) (data (i32.const 0) "abc")'),
        ("(func $f) (table funcref (elem $f $f))", "(func) (table 2 2 funcref) (elem (i32.const 0) func 0 0)"),
        ("(table funcref (elem))", "(table 0 0 funcref) (elem (i32.const 0) func)"),
        (
            "(table 1 funcref) (table i64 externref (elem (ref.null extern) (item ref.null extern)))",
            """(table 1 funcref) (table i64 2 2 externref)
            (elem (table 1) (offset i64.const 0) externref (item (ref.null extern)) (ref.null extern))""",
        ),
        # Segments.
        ('(memory 1) (data 0 (i32.const 1) "a")', '(memory 1) (data (memory 0) (offset (i32.const 1)) "a")'),
        ("(table 1 funcref) (elem 0 (i32.const 0) 0)", "(table 1 funcref) (elem (table 0) (i32.const 0) func 0)"),
        ("(table 1 funcref) (elem (i32.const 0) 0)", "(table 1 funcref) (elem (i32.const 0) func 0)"),
        ("(table 1 funcref) (elem (i32.const 0))", "(table 1 funcref) (elem (i32.const 0) func)"),
        ("(elem funcref (ref.func 0))", "(elem funcref (item ref.func 0))"),
        # Types.
        ("(func (param i32) (param i64) (local i32) (local i64 i64))", "(func (param i32 i64) (local i32 i64 i64))"),
        ("(rec (type (func)))", "(type (sub final (func)))"),
        ("(memory i32 1)", "(memory 1)"),
        ("(memory 1 (pagesize 65536))", "(memory 1)"),
        ("(table 1 (ref null func))", "(table i32 1 funcref)"),
        # Modules.
        ("(module (func))", "(func)"),
        ("(module $m)", "(module)"),
        ('(module binary "\\00asm" "\\01\\00\\00\\00")', ""),
        ('(module quote "(func " "nop)")', "(func nop)"),
        ('(module $m quote "(module quote \\"(func)\\")")', "(func)"),
    ],
)
def test_abbreviations(short: str, long: str) -> None:
    assert write(without_names(short)) == write(without_names(long))


def test_exports_are_in_the_order_of_the_text() -> None:
    module = parse_module('(export "b" (func $f)) (func $f (export "a")) (export "c" (func 0))')

    assert [export.name for export in module.exports] == ["b", "a", "c"]
    assert module.exports[0] == Export("b", Kind.FUNC, 0)


def test_memories_and_tables() -> None:
    module = parse_module(
        """
        (memory 1 2) (memory i64 0 0x1_0000_0000) (memory 1 1 shared) (memory i64 5 6 shared (pagesize 1))
        (table 0 10 externref) (table i64 1 (ref null $t)) (table 3 (ref func) (ref.func $f))
        (table 3 funcref ref.null func) (type $t (func)) (func $f)
        """
    )

    assert module.memories == (
        MemoryType(Limits(1, 2)),
        MemoryType(Limits(0, 2**32), address=I64),
        MemoryType(Limits(1, 1), shared=True),
        MemoryType(Limits(5, 6), True, I64, 0),
    )
    assert [table.type for table in module.tables] == [
        TableType(EXTERNREF, Limits(0, 10)),
        TableType(RefType(True, 0), Limits(1), I64),
        TableType(FUNC, Limits(3)),
        TableType(FUNCREF, Limits(3)),
    ]
    assert [table.init and table.init.code.hex(" ") for table in module.tables] == [
        None,
        None,
        "d2 00 0b",
        "d0 70 0b",
    ]


def test_globals_tags_and_start() -> None:
    module = parse_module(
        """
        (global $g (mut i32) i32.const 1 (i32.const 2) i32.add) (global i64 (i64.const 3))
        (tag $e (param i32)) (tag) (start $f) (func $f)
        """
    )

    assert [str(defined.type) for defined in module.globals] == ["(mut i32)", "i64"]
    assert module.globals[0].init.code.hex(" ") == "41 01 41 02 6a 0b"
    assert module.tags == (TagIndex(0), TagIndex(1))
    assert module.start == 0


def test_element_segments() -> None:
    module = parse_module(
        """
        (table $t 1 funcref) (table $u 1 funcref) (func $f)
        (elem $a func $f 0)
        (elem declare func $f)
        (elem (table $u) (offset (i32.const 1)) func $f)
        (elem (i32.const 2) funcref (ref.func $f) (item ref.null func))
        (elem (ref null extern))
        (elem declare (ref func) (item (ref.func $f)))
        (elem $b (offset i32.const 3))
        """
    )

    def constant(value: int) -> Expression:
        return Expression(bytes((0x41, value, 0x0B)))

    function, null = Expression(b"\xd2\x00\x0b"), Expression(b"\xd0\x70\x0b")
    assert module.elements == (
        ElementSegment(FUNC, (0, 0), Mode.PASSIVE),
        ElementSegment(FUNC, (0,), Mode.DECLARATIVE),
        ElementSegment(FUNC, (0,), Active(1, constant(1))),
        ElementSegment(FUNCREF, (function, null), Active(0, constant(2))),
        ElementSegment(EXTERNREF, (), Mode.PASSIVE),
        ElementSegment(FUNC, (function,), Mode.DECLARATIVE),
        ElementSegment(FUNC, (), Active(0, constant(3))),
    )


def test_data_segments() -> None:
    module = parse_module(
        r"""
        (memory $m 1) (memory $n 1)
        (data $a "a\00" "" "\ff") (data) (data (memory $n) (offset i32.const 1) "b") (data (i32.const 2))
        """
    )

    assert module.data == (
        DataSegment(b"a\x00\xff", Mode.PASSIVE),
        DataSegment(b"", Mode.PASSIVE),
        DataSegment(b"b", Active(1, Expression(b"\x41\x01\x0b"))),
        DataSegment(b"", Active(0, Expression(b"\x41\x02\x0b"))),
    )
    assert module.data_count is None


@pytest.mark.parametrize("text", ["memory.init $d", "data.drop $d", "array.new_data 0 $d", "array.init_data 0 $d"])
def test_code_that_names_data_needs_a_data_count_section(text: str) -> None:
    assert parse_module(f"(memory 1) (func {text}) (data) (data $d)").data_count == 2


def test_segments_inside_definitions_count() -> None:
    fields = """
        (memory (data "a")) (data $d "b") (memory $n (export "m") i64 (pagesize 1) (data "c")) (data $e "d")
        (table funcref (elem 0)) (elem $k func) (table $u i64 (ref null $t) (elem (ref.null $t))) (elem $l func)
        (type $t (func))
        """

    assert body_of("data.drop $d data.drop $e elem.drop $k elem.drop $l", fields) == (
        "fc 09 01 fc 09 03 fc 0d 01 fc 0d 03"
    )


def test_runs_of_locals() -> None:
    (code,) = parse_module("(func (local i32 i32) (local $x i32) (local i64) (local) (local i32))").code

    assert code.locals == ((3, I32), (1, I64), (1, I32))


# ---- names and annotations


def test_identifiers_become_the_name_section() -> None:
    names = names_of(
        """
        (module $m
          (type $t (func (param $ignored i32))) (type $s (struct (field $x i32) (field i32) (field $"y z" i32)))
          (import "" "" (func $imported (param $p i32)))
          (func $f (param $a i32) (param i32) (local $b i32) (block $l0) (if (block $l1) (then (loop $l3))) (try_table $l4))
          (func (param $only i32))
          (table $table 0 funcref) (memory $memory 0) (global $global i32 (i32.const 0)) (tag $tag)
          (elem $elem func) (data $data)
        )
        """
    )

    assert names == Names(
        module="m",
        functions={0: "imported", 1: "f"},
        locals={1: {0: "a", 2: "b"}, 2: {0: "only"}},
        labels={1: {0: "l0", 1: "l1", 3: "l3", 4: "l4"}},
        types={0: "t", 1: "s"},
        tables={0: "table"},
        memories={0: "memory"},
        globals={0: "global"},
        elements={0: "elem"},
        data={0: "data"},
        fields={1: {0: "x", 2: "y z"}},
        tags={0: "tag"},
    )


def test_annotations_give_names_that_need_not_be_unique() -> None:
    names = names_of(
        """
        (module $m (@name "the module")
          (func $f1 (@name "f") (param $x (@name "same") i32) (local $y (@name "same") i32) (block $l (@name "label")))
          (func (@name "f")) (func $f2 (@name "f")) (type $t (@name "type") (func)) (global (@name "g") i32 (i32.const 0)))
        """
    )

    assert names.module == "the module"
    assert names.functions == {0: "f", 1: "f", 2: "f"}
    assert names.locals == {0: {0: "same", 1: "same"}}
    assert names.labels == {0: {0: "label"}}
    assert names.types == {0: "type"}
    assert names.globals == {0: "g"}


def test_without_identifiers_there_is_no_name_section() -> None:
    assert parse_module("(module (func (param i32) (block)))").customs == ()


def test_custom_sections_go_where_they_say() -> None:
    module = parse_module(
        r"""
        (module $m
          (@custom "end" "a" "\00b") (@custom "first" (before first) "1")
          (type (func)) (@custom "before func" (before func)) (@custom "after type" (after type))
          (@custom "after code" (after code)) (func) (@custom "second" (before type))
          (@custom "after global, which is not there" (after global)) (@custom "last" (after last)))
        """
    )

    assert module.customs[:-1] == (
        CustomSection("first", b"1", None),
        CustomSection("second", b"", None),
        CustomSection("after type", b"", Section.TYPE),
        CustomSection("before func", b"", Section.TYPE),
        CustomSection("after global, which is not there", b"", Section.FUNCTION),
        CustomSection("after code", b"", Section.CODE),
        CustomSection("end", b"a\x00b", Section.CODE),
        CustomSection("last", b"", Section.CODE),
    )
    assert module.customs[-1].name == "name"
    assert module.customs[-1].after is Section.CODE


def test_branch_hints_become_a_custom_section_before_the_code() -> None:
    module = parse_module(
        r"""
        (func)
        (func (local i32 i64)
          (@metadata.code.branch_hint "\00") if end
          (@metadata.code.branch_hint "\01") (if (i32.const 0) (then))
          block (@metadata.code.branch_hint "\01") (br_if 0 (nop)) end)
        """
    )

    (hints,) = module.customs
    assert hints.name == "metadata.code.branch_hint"
    assert hints.after is Section.FUNCTION
    body = module.code[1].body.code
    offsets = [5, 10, 16]  # 5 bytes declare the locals
    assert [body[offset - 5] for offset in offsets] == [0x04, 0x04, 0x0D]
    assert hints.data.hex(" ") == "01 01 03 05 01 00 0a 01 01 10 01 01"


def test_unknown_annotations_may_stand_anywhere() -> None:
    text = '(module $m (@a) (func (@b (c)) $f (@d) (param (@e) i32) (@f ")") (i32.add (@g) (nop))) (@h))'

    assert parse_module(text) == parse_module("(module $m (func $f (param i32) (i32.add (nop))))")


# ---- errors


@pytest.mark.parametrize(
    ("text", "reason", "line", "column"),
    [
        # Modules and fields.
        ("(module", "unexpected token: expected ), found the end of the text", 1, 8),
        ("(module))", "unexpected token ): expected nothing after the module", 1, 9),
        ("(module)\n(module)", "unexpected token (: expected nothing after the module", 2, 1),
        ("module", "unexpected token module: expected a module field", 1, 1),
        ("(fun)", "unknown operator fun: expected a module field", 1, 2),
        ("(param)", "unexpected token param: expected a module field", 1, 2),
        ("(func\n(", "unexpected token: expected )", 2, 2),
        ("(func) i32", "unexpected token i32", 1, 8),
        ('(func) (import "" "" (func))', "import after function", 1, 9),
        ('(table 0 funcref) (func (import "" ""))', "import after table", 1, 25),
        ('(memory 0) (import "" "" (func))', "import after memory", 1, 13),
        ('(global i32 (i32.const 0)) (import "" "" (func))', "import after global", 1, 29),
        ('(tag) (import "" "" (func))', "import after tag", 1, 8),
        ('(import "" "" (fun))', "unknown operator fun: expected func, table, memory, global or tag", 1, 16),
        ('(import "" "")', "unexpected token ): expected (func,", 1, 14),
        ('(import "\\ff" "" (func))', "malformed UTF-8 encoding", 1, 9),
        ('(export "" (label 0))', "unknown operator label: expected func, table, memory, global or tag", 1, 13),
        ("(start 0) (start 0)", "multiple start sections", 1, 12),
        ("(start)", "unexpected token ): expected a func index", 1, 7),
        ("(func) (start 0 0)", "unexpected token 0: expected )", 1, 17),
        ('(module binary "\\00asm\\01\\00\\00\\00" x)', "unknown operator x: expected )", 1, 37),
        ('(module quote "\\ff")', "malformed UTF-8 encoding", 1, 20),
        # Identifiers.
        ("(func $a)\n(func $a)", "duplicate func $a", 2, 7),
        ("(table $a 0 funcref) (table $a 0 funcref)", "duplicate table $a", 1, 29),
        ("(memory $a 0) (memory $a 0)", "duplicate memory $a", 1, 23),
        ("(global $a i32 (i32.const 0)) (global $a i32 (i32.const 0))", "duplicate global $a", 1, 39),
        ("(tag $a) (tag $a)", "duplicate tag $a", 1, 15),
        ("(type $a (func)) (rec (type $a (func)))", "duplicate type $a", 1, 29),
        ("(elem $a func) (elem $a func)", "duplicate elem segment $a", 1, 22),
        ("(data $a) (data $a)", "duplicate data segment $a", 1, 17),
        ("(func (param $a i32) (local $a i32))", "duplicate local $a", 1, 29),
        ("(type (struct (field $a i32) (field $a i32)))", "duplicate field $a", 1, 37),
        ("(func $)", "empty identifier", 1, 7),
        ("(func call $f)", "unknown func $f", 1, 12),
        ("(func local.get $x)", "unknown local $x", 1, 17),
        ("(global i32 (local.get $x))", "unknown local $x", 1, 24),
        ("(func global.get $x)", "unknown global $x", 1, 18),
        ("(func memory.size $x)", "unknown memory $x", 1, 19),
        ("(func table.size $x)", "unknown table $x", 1, 18),
        ("(func throw $x)", "unknown tag $x", 1, 13),
        ("(func elem.drop $x)", "unknown elem segment $x", 1, 17),
        ("(func data.drop $x)", "unknown data segment $x", 1, 17),
        ("(func (type $x))", "unknown type $x", 1, 13),
        ("(type $s (struct)) (func struct.get $s $x)", "unknown field $x", 1, 40),
        ("(func struct.get 9 $x)", "unknown field $x", 1, 20),
        ("(func br $x)", "unknown label $x", 1, 10),
        ("(func block $x end br $x)", "unknown label $x", 1, 23),
        ("(func block $x end $y)", "mismatching label $y: the block has $x", 1, 20),
        ("(func block end $y)", "mismatching label $y: the block has no label", 1, 17),
        ("(func if $x else $y end)", "mismatching label $y", 1, 18),
        # Types.
        ("(type (func (result i32) (param i32)))", "unexpected token param", 1, 27),
        ("(type (func (result $x i32)))", "unexpected token $x: expected a value type", 1, 21),
        ("(type (fun))", "unknown operator fun: expected (array", 1, 8),
        ("(type)", "unexpected token ): expected (array", 1, 6),
        ("(func (param i33))", "unknown operator i33: expected a value type", 1, 14),
        ("(func (param (ref)))", "unexpected token ): expected a heap type", 1, 18),
        ("(func (param (ref null null)))", "unexpected token null: expected a heap type", 1, 24),
        ("(func (param (ref 4294967296)))", "i32 constant out of range", 1, 19),
        ("(type (array i32 i32))", "unexpected token i32: expected )", 1, 18),
        ("(type $t (func)) (func (type $t) (param i32))", "inline function type [i32] -> [] does not agree", 1, 24),
        ("(type $s (struct)) (func (type $s) (param i32))", "inline function type", 1, 26),
        ("(func (type 1) (param i32))", "unknown type 1", 1, 7),
        ("(type $t (func)) (func block (type $t) (result i32) end)", "inline function type", 1, 30),
        ("(func (block (param $x i32)))", "unexpected token $x: expected a value type", 1, 21),
        ("(func (call_indirect (param $x i32)))", "unexpected token $x: expected a value type", 1, 29),
        ("(func (nop) (local i32))", "unexpected token local", 1, 14),
        ("(table 0)", "unexpected token ): expected a reference type", 1, 9),
        ("(table 0 i32)", "unexpected token i32: expected a reference type", 1, 10),
        ("(memory)", "unexpected token ): expected a size", 1, 8),
        ("(memory -1)", "unexpected token -1: expected a size", 1, 9),
        ("(memory 0x1_0000_0000_0000_0000)", "i64 constant out of range", 1, 9),
        ("(memory 1 2 3)", "unexpected token 3: expected )", 1, 13),
        ("(memory 0 (pagesize 3))", "invalid custom page size 3", 1, 21),
        ("(memory (pagesize 0) (data))", "invalid custom page size 0", 1, 19),
        ("(elem $e)", "unexpected token ): expected a reference type", 1, 9),
        ("(data (i32.const 0) (i32.const 0))", "unexpected token (: expected )", 1, 21),
        ('(data (memory 0) "")', 'unexpected token "": expected a folded instruction', 1, 18),
        ('(data ""x)', "unknown operator", 1, 7),
        # Instructions.
        ("(func i32.ad)", "unknown operator i32.ad: expected an instruction", 1, 7),
        ("(func (i32.ad))", "unknown operator i32.ad: expected an instruction", 1, 8),
        ("(func get_local 0)", "unknown operator get_local", 1, 7),
        ("(func 0)", "unexpected token 0: expected an instruction", 1, 7),
        ("(func (i32.add nop))", "unexpected token nop: expected a folded instruction or )", 1, 16),
        ("(func i32.const)", "unexpected token ): expected an integer", 1, 16),
        ("(func i32.const 1.0)", "unexpected token 1.0: expected an integer", 1, 17),
        ("(func i32.const 0x100000000)", "constant out of range", 1, 17),
        ("(func i64.const -9223372036854775809)", "constant out of range", 1, 17),
        ("(func f32.const nan:canonical)", "unexpected token nan:canonical: expected a number", 1, 17),
        ("(func f32.const 1e39)", "constant out of range", 1, 17),
        ("(func f32.const 0x)", "unknown operator 0x", 1, 17),
        ("(func local.get -1)", "unexpected token -1: expected a local index", 1, 17),
        ("(func local.get 4294967296)", "i32 constant out of range", 1, 17),
        ("(func br)", "unexpected token ): expected a label", 1, 9),
        ("(func br_table)", "unexpected token ): expected a label", 1, 15),
        ("(func memory.copy 0)", "unexpected token ): expected a memory index", 1, 20),
        ("(func i32.load align=0)", "alignment must be a power of two", 1, 16),
        ("(func i32.load align=3)", "alignment must be a power of two", 1, 16),
        ("(func i32.load align=1 offset=0)", "unexpected token offset=0: expected an instruction", 1, 24),
        ("(func i32.load offset=-1)", "unknown operator offset=-1", 1, 16),
        ("(func i32.load offset=18446744073709551616)", "i64 constant out of range", 1, 16),
        ("(func i8x16.extract_lane_s 256)", "i8 constant out of range", 1, 28),
        ("(func i8x16.extract_lane_s)", "unexpected token ): expected a lane index", 1, 27),
        ("(func i8x16.shuffle 0 1 2)", "invalid lane length: expected 16 lane indices, found 3", 1, 21),
        ("(func i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 -1)", "i8 constant out of range", 1, 56),
        ("(func v128.const 0 0 0 0)", "unexpected token 0: expected a shape", 1, 18),
        ("(func v128.const i32x4 0 0 0)", "wrong number of lane literals: expected 4, found 3", 1, 24),
        ("(func v128.const i32x4 0 0 0 0.5)", "unexpected token 0.5: expected an integer", 1, 30),
        ("(func v128.const i8x16 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 256)", "constant out of range", 1, 54),
        ("(func ref.null)", "unexpected token ): expected a heap type", 1, 15),
        ("(func ref.test i32)", "unexpected token i32: expected a reference type", 1, 16),
        # Blocks.
        ("(func block)", "unexpected token ): expected an instruction or end", 1, 12),
        ("(func end)", "unexpected token end: expected an instruction or )", 1, 7),
        ("(func (block end))", "unexpected token end", 1, 14),
        ("(func else)", "unexpected token else", 1, 7),
        ("(func block else end)", "unexpected token else", 1, 13),
        ("(func if else else end)", "unexpected token else", 1, 15),
        ("(func (then))", "unexpected token then", 1, 8),
        ("(func (if))", "unexpected token ): expected a folded instruction or (then", 1, 10),
        ("(func (if nop (then)))", "unexpected token nop", 1, 11),
        ("(func (if (then) nop))", "unexpected token nop: expected (else or ) to end the if", 1, 18),
        ("(func (if (then) (then)))", "unexpected token (: expected (else or ) to end the if", 1, 18),
        ("(func (if (then) (else) (else)))", "unexpected token (: expected ) to end the if", 1, 25),
        ("(func (catch_all))", "unexpected token catch_all", 1, 8),
        ("(func catch_all)", "unexpected token catch_all", 1, 7),
        ("(func block catch_all end)", "unexpected token catch_all", 1, 13),
        ("(func try catch_all catch 0 end)", "unexpected token catch", 1, 21),
        ("(func try catch_all delegate 0)", "unexpected token delegate", 1, 21),
        ("(func delegate 0)", "unexpected token delegate", 1, 7),
        ("(func (try))", "unexpected token ): expected (do", 1, 11),
        ("(func (try (nop)))", "unexpected token (: expected (do", 1, 12),
        ("(func (try (do) (do)))", "unexpected token (: expected (catch", 1, 17),
        ("(func (try (do) (catch_all) (catch 0)))", "unexpected token (: expected ) to end the try", 1, 29),
        ("(func (try (do) (catch 0) (delegate 0)))", "unexpected token (: expected (catch", 1, 27),
        ("(func (try (do) (delegate 0) (catch 0)))", "unexpected token (: expected ) to end the try", 1, 30),
        ("(func (try (do) (delegate)))", "unexpected token ): expected a label", 1, 26),
        ("(func (try_table (catch 0)))", "unexpected token ): expected a label", 1, 26),
        # Annotations.
        ('(func (@name "a") (@name "b"))', "@name annotation: multiple func names", 1, 19),
        ("(func (@name))", "@name annotation: expected one string", 1, 7),
        ('(module (func) (@name "M"))', "misplaced @name annotation", 1, 16),
        ('(func (block (@custom "bla")))', "misplaced @custom annotation", 1, 14),
        ("(@custom)", "@custom annotation: missing section name", 1, 1),
        ('(@custom "\\df")', "@custom annotation: malformed UTF-8 encoding", 1, 1),
        ('(@custom "a" here)', "@custom annotation: unexpected token", 1, 1),
        ('(@custom "a" (after))', "@custom annotation: malformed section kind", 1, 1),
        ('(@custom "a" (after types))', "@custom annotation: malformed section kind", 1, 1),
        ('(@custom "a" (type))', "@custom annotation: malformed placement", 1, 1),
        ('(@custom "a" (after type "b"))', "@custom annotation: unexpected token", 1, 1),
        (
            '(func (@metadata.code.branch_hint "\\00") nop)',
            "@metadata.code.branch_hint annotation: invalid target",
            1,
            7,
        ),
        (
            '(func (@metadata.code.branch_hint "\\00") (@metadata.code.branch_hint "\\00") if end)',
            "@metadata.code.branch_hint annotation: duplicate annotation",
            1,
            42,
        ),
        (
            '(func (@metadata.code.branch_hint "\\02") if end)',
            "@metadata.code.branch_hint annotation: malformed value",
            1,
            7,
        ),
        (
            '(@metadata.code.branch_hint "\\00") (func)',
            "@metadata.code.branch_hint annotation: not in a function",
            1,
            1,
        ),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(text: str, reason: str, line: int, column: int) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_module(text)

    assert caught.value.reason.startswith(reason)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_malformed_binary_inside_text_is_refused_with_its_offset() -> None:
    with pytest.raises(DecodeError) as caught:
        parse_module('(module binary "\\00asm\\01\\00\\00\\00\\01\\7f")')

    assert caught.value.offset is not None
    assert caught.value.line is None


# Pieces of modules, which in a random order are sometimes one, and nearly always nearly one.
PIECES = (
    "( ) (module (func (type (param (result (local (table (memory (global (export (import (elem (data (start (tag (rec (sub "
    "(struct (array (field (mut (ref (offset (item (then (else (do (catch (catch_all (delegate (if (block (loop (try "
    "(try_table (call_indirect (i32.add (i32.const (select (br_table (memory.init (v128.const (@custom (@name (@x "
    "block loop if else end try catch delegate i32.const i32.load br br_table call local.get ref.null v128.const i32x4 "
    "v128.load8_lane struct.get memory.copy table.init call_indirect offset=1 align=4 align=0 i32 i64 funcref null func "
    'any 0 1 2 -1 0x10 1.5 nan inf $a $b $"a" $ "a" "\\00" "\\ff" "m" " ; ;; (; ;) \n shared declare binary quote'
)


@given(st.lists(st.sampled_from(PIECES.split(" ")), max_size=30), st.booleans())
def test_random_pieces_are_a_module_or_malformed(pieces: list[str], closed: bool) -> None:
    text = " ".join(pieces)
    if closed:
        text += ")" * (text.count("(") - text.count(")"))
    try:
        module = parse_module(text)
    except DecodeError:
        return
    assert isinstance(write(module), bytes)
