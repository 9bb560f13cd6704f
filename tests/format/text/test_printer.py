"""What is printed reads back to the same module, and is laid out for people."""

from __future__ import annotations

import struct
from textwrap import dedent

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wasmine.errors import ValidationError
from wasmine.format.instructions import INSTRUCTIONS
from wasmine.format.module import CustomSection, ModuleSyntax, Names, Section
from wasmine.format.names import read_names, write_names
from wasmine.format.reader import read
from wasmine.format.text import parse_module, print_lines, print_module
from wasmine.format.text.printer_body import BodyPrinter
from wasmine.format.text.printer_literals import print_bytes, print_f32, print_f64, print_identifier, print_name
from wasmine.format.text.printer_names import Scope
from wasmine.format.writer import write

MODULES = {
    "types": """
        (module
          (type $f (func (param i32 i64) (result f32 f64 v128)))
          (type $s (struct (field $x i8) (field (mut i16)) (field $y (ref null $s)) (field (mut externref))))
          (type $a (array (mut i32)))
          (type (array i8))
          (type (struct))
          (rec (type $r (sub (func))) (type $q (sub $r (func))) (type (sub final $q (func))))
          (type (sub (struct (field nullref nullexternref nullfuncref nullexnref exnref i31ref eqref structref arrayref))))
          (rec))
        """,
    "imports": """
        (module
          (type $t (func (param i32)))
          (import "m" "f" (func $f (param $p i32) (result i64)))
          (import "m" "" (func (type $t)))
          (import "m\\00" "t" (table $table i64 0 10 externref))
          (import "ö" "\\"" (memory $memory 0 65536))
          (import "m" "g" (global $global (mut i64)))
          (import "m" "e" (tag $tag (type $t)))
          (func (call $f (i32.const 0)) drop)
          (export "f" (func $f))
          (export "f2" (func 2))
          (export "table" (table $table))
          (export "memory" (memory $memory))
          (export "global" (global $global))
          (export "tag" (tag $tag))
          (start 2))
        """,
    "storage": """
        (module
          (table $t 1 2 funcref)
          (table i64 0 (ref func) (ref.func $f))
          (memory $m 1)
          (memory i64 0 5)
          (memory 1 2 shared)
          (memory 3 (pagesize 1))
          (memory i64 3 4 shared (pagesize 1))
          (tag $e (param i32))
          (tag)
          (global $g (mut i32) (i32.const -5))
          (global i32 (i32.add (i32.mul (i32.const 2) (i32.const 3)) (i32.const 4)))
          (global (ref $s) (struct.new $s (i32.const 1) (ref.null func)))
          (type $s (struct (field i32 funcref)))
          (func $f))
        """,
    "segments": """
        (module
          (table $t 10 funcref)
          (table $u 10 externref)
          (memory $m 1)
          (memory $n 1)
          (func $f)
          (elem $passive func $f 0)
          (elem (i32.const 0) func $f)
          (elem (i32.const 0) funcref (ref.null func) (ref.func $f))
          (elem (table $u) (i32.const 0) externref (ref.null extern))
          (elem (table $t) (offset (i32.add (i32.const 1) (i32.const 2))) func)
          (elem declare func $f)
          (elem declare (ref null func) (item ref.func $f))
          (elem (ref func))
          (data $d "passive \\00\\01\\ff\\22\\5c")
          (data (i32.const 0) "active")
          (data (memory $n) (i32.const 0) "")
          (data "long: 0123456789012345678901234567890123456789012345678901234567890123456789")
          (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0)))
          (func (memory.init $n $d (i32.const 0) (i32.const 0) (i32.const 0)))
          (func (table.init $passive (i32.const 0) (i32.const 0) (i32.const 0)))
          (func (table.init $t 1 (i32.const 0) (i32.const 0) (i32.const 0)))
          (func (memory.copy (i32.const 0) (i32.const 0) (i32.const 0)))
          (func (memory.copy $n $m (i32.const 0) (i32.const 0) (i32.const 0)))
          (func (table.copy $u $u (i32.const 0) (i32.const 0) (i32.const 0)))
          (func (memory.fill $n (i32.const 0) (i32.const 0) (i32.const 0)))
          (func (data.drop $d) (elem.drop $passive))
          (func (result i32) (memory.size $n) (memory.grow $n))
          (func (result i32) (table.grow $u (ref.null extern) (i32.const 1)))
          (func (table.fill $u (i32.const 0) (table.get $u (i32.const 0)) (table.size $t)))
          (func (table.set (i32.const 0) (table.get (i32.const 0)))))
        """,
    "control": """
        (module
          (type $pair (func (param i32 i32) (result i32 i32)))
          (table funcref (elem $f))
          (func $f (param $x i32) (result i32)
            (block $out (result i32)
              (loop $again (br_if $again (local.get $x)))
              (block (br 0) (br 1 (i32.const 5)) (br $out (i32.const 1)))
              (if (local.get $x) (then (nop)))
              (if (local.get $x) (then) (else))
              (drop (if $named (result i32) (local.get $x) (then (i32.const 1)) (else (br $named (i32.const 2)))))
              (block (block (br_table 0 1 0 (local.get $x))))
              (drop (block (result i32) (br_table 0 $out (i32.const 2) (local.get $x))))
              (i32.const 3)))
          (func (param i32 i32) (result i32 i32)
            (local.get 0) (local.get 1)
            (block (type $pair) (call_indirect (type $pair) (i32.const 0)))
            (if (type $pair) (i32.const 1) (then) (else))
            (loop (param i32 i32) (result i32 i32)))
          (func (result i32) (return_call $f (i32.const 1)))
          (func (result i32) (return_call_indirect (param i32) (result i32) (i32.const 1) (i32.const 0)))
          (func (return) (unreachable) (drop (i32.add)) (block (result i64) (loop) (unreachable)) (drop))
          (func (result f32) (select (f32.const 1) (f32.const 2) (i32.const 1)))
          (func (result funcref) (select (result funcref) (ref.null func) (ref.func $f) (i32.const 1))))
        """,
    "flat": """
        (module
          (func $f (param i32) (result i32)
            local.get 0
            if $l (result i32)
              i32.const 1
              i32.const 2
              i32.const 3
              drop
              i32.add
            else
              unreachable
            end
            local.tee 0
            block (param i32) (result i32) end
            call $f
            nop
            return
            i32.const 1
            drop
            block
              br 0
              i32.add
              drop
            end))
        """,
    "shadowed labels": """
        (module (func
          (block $l (block $l (br $l) (br 1)) (br $l))
          (block (block $k (br 1) (br $k)))))
        """,
    "numbers": """
        (module
          (func (drop (i32.const -2147483648)) (drop (i64.const 9223372036854775807)) (drop (i64.const -1)))
          (func (drop (f32.const 0.1)) (drop (f32.const -0)) (drop (f32.const inf)) (drop (f32.const -nan)))
          (func (drop (f32.const nan:0x200000)) (drop (f32.const 0x1p-149)) (drop (f32.const 0x1.fffffep127)))
          (func (drop (f64.const 0.1)) (drop (f64.const -0)) (drop (f64.const -inf)) (drop (f64.const nan)))
          (func (drop (f64.const -nan:0x4000000000000)) (drop (f64.const 0x1p-1074)) (drop (f64.const 1e300)))
          (func (drop (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 255)) (drop (v128.const f64x2 -0 nan))))
        """,
    "memory accesses": """
        (module (memory 1) (memory $n 1) (memory $w i64 1)
          (func (result i32) (i32.load offset=4 align=1 (i32.const 0)))
          (func (result i32) (i32.load $n (i32.const 0)))
          (func (result i64) (i64.load32_u $w offset=0x1_0000_0000 align=2 (i64.const 0)))
          (func (i32.store (i32.const 0) (i32.const 1)))
          (func (result v128) (v128.load8_lane $n offset=1 align=1 3 (i32.const 0) (v128.const i64x2 0 0)))
          (func (v128.store64_lane 1 (i32.const 0) (v128.const i64x2 0 0)))
          (func (result i32) (i32.atomic.rmw.cmpxchg $n offset=8 (i32.const 0) (i32.const 0) (i32.const 1)))
          (func (atomic.fence) (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))))
        """,
    "vectors": """
        (module (func (param v128 v128) (result v128)
          (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 31 (local.get 0) (local.get 1))
          (i32x4.replace_lane 3 (i32.const 1))
          (i8x16.relaxed_laneselect (local.get 0) (local.get 1)))
          (func (param v128) (result i32) (i16x8.extract_lane_u 7 (local.get 0))))
        """,
    "exceptions": """
        (module
          (tag $e (param i32)) (tag $none)
          (func (result i32)
            (block $out (result i32)
              (block $ref (result i32 exnref)
                (block $any
                  (try_table (catch $e $out) (catch_ref 0 $ref) (catch $none $any) (catch_all $any) (throw $e (i32.const 1)))
                  (return (i32.const 1)))
                (return (i32.const 2)))
              (throw_ref)))
          (func (result exnref)
            (block (result exnref) (try_table (catch_all_ref 0)) (unreachable))))
        """,
    "legacy exceptions": """
        (module
          (tag $e (param i32)) (tag)
          (func (result i32)
            (try $t (result i32)
              (do (try (do (throw $e (i32.const 1))) (delegate $t)) (i32.const 0))
              (catch $e)
              (catch 1 (rethrow $t))
              (catch_all (i32.const 2))))
          (func (try (do)))
          (func (try $outer (do (try (do (throw 1)) (delegate 1))) (catch_all)) (try (do) (catch_all (rethrow 0)))))
        """,
    "references": """
        (module
          (type $f (func (param i32) (result i32)))
          (type $s (struct (field $a i8) (field $b (mut i64))))
          (type $array (array (mut i8)))
          (type $funcs (array (mut funcref)))
          (func $id (type $f) (local.get 0))
          (elem $elem declare func $id)
          (data $data "abc")
          (func (result i32) (call_ref $f (i32.const 1) (ref.func $id)))
          (func (result i32) (return_call_ref $f (i32.const 1) (ref.as_non_null (ref.null $f))))
          (func (param $r (ref null $f)) (result i32)
            (block $null (return (call_ref $f (i32.const 0) (br_on_null $null (local.get $r)))))
            (block $some (result (ref $f)) (br_on_non_null $some (local.get $r)) (return (i32.const 1)))
            (drop) (ref.is_null (local.get $r)))
          (func (result i32) (struct.get_s $s $a (struct.new $s (i32.const 1) (i64.const 2))))
          (func (struct.set $s $b (struct.new_default $s) (i64.const 2)))
          (func (param anyref) (result i32)
            (block $yes (result (ref $s))
              (drop (br_on_cast $yes anyref (ref $s) (local.get 0)))
              (unreachable))
            (drop)
            (block $no (result anyref)
              (drop (br_on_cast_fail $no anyref (ref $s) (local.get 0)))
              (unreachable))
            (drop)
            (ref.test (ref null i31) (local.get 0))
            (drop (ref.cast (ref $s) (local.get 0)))
            (drop (ref.cast nullref (local.get 0))))
          (func (local $a (ref $array)) (local $n i32)
            (local.set $a (array.new_fixed $array 3 (i32.const 1) (i32.const 2) (i32.const 3)))
            (array.copy $array $array (local.get $a) (i32.const 0) (local.get $a) (i32.const 0) (i32.const 0))
            (array.fill $array (local.get $a) (i32.const 0) (i32.const 0) (i32.const 0))
            (array.init_data $array $data (local.get $a) (i32.const 0) (i32.const 0) (i32.const 0))
            (drop (array.new_data $array $data (i32.const 0) (i32.const 0)))
            (drop (array.new_elem $funcs $elem (i32.const 0) (i32.const 0)))
            (array.set $array (local.get $a) (i32.const 0) (array.get_u $array (local.get $a) (i32.const 1)))
            (local.set $n (array.len (array.new $array (i32.const 0) (i32.const 1))))
            (drop (ref.eq (ref.i31 (i32.const 1)) (ref.null none)))
            (drop (i31.get_s (ref.i31 (i32.const 1))))
            (drop (any.convert_extern (extern.convert_any (ref.null any))))))
        """,
    "wide arithmetic": """
        (module (func (param i64 i64 i64 i64) (result i64 i64)
          (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3))
          (i64.mul_wide_u)))
        """,
    "names": """
        (module $"the module"
          (type $"a type" (func))
          (func $"say \\"hi\\"" (param $" " i32) (local $"1 2" i64) (block $"é\\u{7f}" (br $"é\\u{7f}")))
          (func $a.b+c!d) (func $"ordinary"))
        """,
    "custom sections": """
        (module
          (@custom "first" (before first) "\\00\\01")
          (type (func))
          (@custom "after types" (after type) "abc" "def")
          (func)
          (@custom "again" (after type))
          (@custom "after functions" (after func) "x")
          (@custom "last" (after code) "0123456789012345678901234567890123456789012345678901234567890123456789"))
        """,
    "nothing": "(module)",
}


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "flat"])
@pytest.mark.parametrize("name", MODULES)
def test_what_is_printed_reads_back_to_the_same_module(name: str, folded: bool) -> None:
    binary = write(parse_module(MODULES[name]))

    printed = print_module(read(binary), folded=folded)

    assert write(parse_module(printed)) == binary, printed


def body(text: str, *, folded: bool = True) -> str:
    """The lines that a function body is printed as."""
    lines = print_module(parse_module(f"(module (memory 1) (func $f {text}))"), folded=folded).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  (func")) + 1
    return dedent("\n".join(lines[start:-1])).removesuffix(")")


def test_instructions_are_folded_around_their_operands() -> None:
    assert body("i32.const 0 i32.const 1 i32.const 2 i32.add i32.store") == (
        "(i32.store (i32.const 0) (i32.add (i32.const 1) (i32.const 2)))"
    )


def test_a_long_expression_takes_a_line_for_each_operand() -> None:
    total = "(i32.add (i32.const 1000000) (i32.const 2000000))"
    assert body(f"(i32.store (i32.add {total} {total}) (i32.add {total} (i32.const 3000000)))") == (
        dedent(
            """\
            (i32.store
              (i32.add
                (i32.add (i32.const 1000000) (i32.const 2000000))
                (i32.add (i32.const 1000000) (i32.const 2000000)))
              (i32.add (i32.add (i32.const 1000000) (i32.const 2000000)) (i32.const 3000000)))"""
        )
    )


def test_operands_that_do_not_stand_before_their_instruction_are_not_folded() -> None:
    assert body("i32.const 1 nop i32.const 2 i32.add drop") == dedent(
        """\
        (i32.const 1)
        (nop)
        (i32.const 2)
        i32.add
        drop"""
    )


def test_blocks_enclose_their_bodies() -> None:
    text = "(block $out (if (i32.const 1) (then (br $out)) (else (loop (br 0)))))"
    assert body(text) == dedent(
        """\
        (block $out
          (if (;@2;)
            (i32.const 1)
            (then
              (br $out))
            (else
              (loop (;@3;)
                (br 0 (;@3;))))))"""
    )
    assert body(text, folded=False) == dedent(
        """\
        block $out
          i32.const 1
          if (;@2;)
            br $out
          else
            loop (;@3;)
              br 0 (;@3;)
            end
          end
        end"""
    )


def test_unreachable_code_is_printed_too() -> None:
    assert body("unreachable i32.add drop (block (br 0)) (drop (i32.const 1))", folded=False) == dedent(
        """\
        unreachable
        i32.add
        drop
        block (;@1;)
          br 0 (;@1;)
        end
        i32.const 1
        drop"""
    )


def test_indices_are_in_comments_and_names_are_identifiers() -> None:
    text = print_module(
        parse_module("(module (func $f (param $x i32) (param i64 i64) (local f32 f32) (local $y f64)))")
    )
    assert text == dedent(
        """\
        (module
          (type (;0;) (func (param i32 i64 i64)))
          (func $f (;0;) (type 0) (param $x i32) (param i64 i64)
            (local f32 f32) (local $y f64))
        )
        """
    )


def named(names: Names, text: str) -> ModuleSyntax:
    """A module with this name section."""
    syntax = parse_module(text)
    section = CustomSection("name", write_names(names), Section.DATA)
    return ModuleSyntax(**{**{f: getattr(syntax, f) for f in syntax.__slots__}, "customs": (section,)})


def test_names_that_are_no_identifiers_are_kept_in_annotations() -> None:
    names = Names(functions={0: "twin", 1: "twin", 2: ""}, locals={0: {0: "x", 1: "x"}}, module="")
    syntax = named(names, "(module (func (param i32) (local i32) (drop (local.get 1))) (func) (func (call 1)))")

    text = print_module(syntax)
    back = parse_module(text)

    assert '(func (@name "twin") (;1;) (type 1)' in text
    assert "(call 1)" in text
    (section,) = back.customs
    assert read_names(section.data) == names


NAMED = """
    (module
      (type (func (param i32)))
      (type (struct (field i32) (field i64)))
      (import "a" "b" (func (type 0)))
      (import "a" "g" (global i32))
      (table 1 funcref)
      (memory 1)
      (tag (type 0))
      (global i32 (i32.const 1))
      (func (type 0) (local i32 i64)
        (block (loop (br 1)) (if (local.get 1) (then (br 0))))
        (call 0 (local.get 0))
        (drop (struct.get 1 1 (struct.new 1 (i32.const 0) (i64.const 0)))))
      (func (type 0) (call 1 (local.get 0)) (drop (global.get 0)))
      (elem func 0 1)
      (data "x"))
    """
a_name = st.sampled_from(["a", "b", "", "a b", "$", '"', "\\", "(;", ";)", "\n", "é", "\u202e", "\x7f", "😀"])


def maps(size: int) -> st.SearchStrategy[dict[int, str]]:
    """Names for some of the first `size` indices."""
    return st.dictionaries(st.integers(0, size - 1), a_name)


def inner(index: int, size: int) -> st.SearchStrategy[dict[int, dict[int, str]]]:
    """Names for what is inside `index`."""
    return maps(size).map(lambda names: {index: names} if names else {})


@given(
    st.builds(
        Names,
        module=st.none() | a_name,
        functions=maps(3),
        types=maps(2),
        tables=maps(1),
        memories=maps(1),
        globals=maps(2),
        elements=maps(1),
        data=maps(1),
        tags=maps(1),
        locals=inner(1, 3),
        labels=inner(1, 3),
        fields=inner(1, 2),
    ),
    st.booleans(),
)
def test_names_of_every_kind_come_back(names: Names, folded: bool) -> None:
    back = parse_module(print_module(named(names, NAMED), folded=folded))

    sections = [custom.data for custom in back.customs if custom.name == "name"]
    assert read_names(b"".join(sections)) == names
    assert [code.body for code in back.code] == [code.body for code in parse_module(NAMED).code]


def test_names_can_be_left_out() -> None:
    text = print_module(parse_module("(module (func $f (local $x i32) (call $f)))"), names=False)

    assert "$" not in text
    assert parse_module(text).customs == ()


def test_a_skeleton_has_no_bodies_and_no_contents() -> None:
    text = print_module(
        parse_module('(module (table 1 funcref) (elem func $f) (func $f (local i32) (nop)) (data "abc"))'),
        skeleton=True,
    )
    assert text == dedent(
        """\
        (module
          (type (;0;) (func))
          (table (;0;) 1 funcref)
          (elem (;0;) func (; 1 items ;))
          (func $f (;0;) (type 0) (; ... ;))
          (data (;0;) (; 3 bytes ;))
        )
        """
    )


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "flat"])
def test_every_instruction_has_a_printer(folded: bool) -> None:
    printer = BodyPrinter(Scope(ModuleSyntax(), Names()), folded=folded)

    assert all(callable(printer.handler(instruction)) for instruction in INSTRUCTIONS)


def test_lines_come_one_by_one() -> None:
    syntax = parse_module(MODULES["control"])

    assert "".join(print_lines(syntax)) == print_module(syntax)
    assert next(iter(print_lines(syntax))) == "(module"


def test_an_invalid_module_is_not_printed() -> None:
    with pytest.raises(ValidationError, match="type mismatch"):
        print_module(parse_module("(module (func (result i32)))"))


def test_deep_nesting_neither_recurses_nor_indents_without_end() -> None:
    depth = 5000
    blocks = parse_module(f"(module (func {'block ' * depth} {'end ' * depth}))")
    chain = parse_module(f"(module (func (i32.const 0) {'i32.const 1 i32.add ' * depth} drop))")

    for syntax in (blocks, chain):
        text = print_module(syntax)
        assert max(map(len, text.splitlines())) < 2 * depth
        assert len(text) < 500 * depth
        assert write(parse_module(text)) == write(syntax)


def test_the_types_of_a_block_are_not_spelled_out_without_end() -> None:
    many = "i32 " * 900
    text = f"(module (type (func (param {many}))) (func (unreachable) {'(block (type 0) (unreachable))' * 900}))"
    syntax = parse_module(text)

    printed = print_module(syntax)

    assert len(printed) < 2 * len(text)
    assert write(parse_module(printed)) == write(syntax)


@given(st.binary(min_size=4, max_size=4))
@example(struct.pack("<f", 0.1))
@example(struct.pack("<f", 16777216.0))
@example(struct.pack("<I", 1))
@example(struct.pack("<I", 0x7F7F_FFFF))
@example(struct.pack("<I", 0xFFA0_0000))
def test_an_f32_reads_back_to_its_bits(bits: bytes) -> None:
    code = parse_module(f"(module (func (drop (f32.const {print_f32(bits)}))))").code[0].body.code
    assert code == b"\x43" + bits + b"\x1a\x0b"


@given(st.binary(min_size=8, max_size=8))
@example(struct.pack("<d", 0.1))
@example(struct.pack("<d", 1e22))
@example(struct.pack("<Q", 1))
@example(struct.pack("<Q", 0xFFF4_0000_0000_0000))
def test_an_f64_reads_back_to_its_bits(bits: bytes) -> None:
    code = parse_module(f"(module (func (drop (f64.const {print_f64(bits)}))))").code[0].body.code
    assert code == b"\x44" + bits + b"\x1a\x0b"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (1.0, "1"), (-0.0, "-0"), (16777216.0, "16777216"), (1e10, "1e+10"), (float("-inf"), "-inf")],
)
def test_a_float_is_as_short_as_it_can_be(value: float, text: str) -> None:
    assert print_f32(struct.pack("<f", value)) == text


@given(st.binary())
def test_a_string_reads_back_to_its_bytes(data: bytes) -> None:
    assert parse_module(f"(module (data {print_bytes(data)}))").data[0].data == data


@given(st.text())
def test_a_name_reads_back(name: str) -> None:
    assert parse_module(f"(module (export {print_name(name)} (func 0)) (func))").exports[0].name == name


@given(st.text(min_size=1))
def test_an_identifier_reads_back(name: str) -> None:
    (section,) = parse_module(f"(module (func {print_identifier(name)}))").customs
    assert read_names(section.data).functions == {0: name}
