"""Instructions in the text format, flat and folded, become the bytes of the binary format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmine.errors import DecodeError
from wasmine.format.instructions import INSTRUCTIONS, Instruction
from wasmine.format.text import parse_module


def body_of(text: str, fields: str = "") -> str:
    """The code of the last function, which holds these instructions, in hexadecimal and without the final `end`."""
    code = parse_module(f"{fields} (func {text})").code[-1].body.code
    assert code[-1] == 0x0B
    return code[:-1].hex(" ")


# The text and the encoding of an immediate by its kind, where it is the same for every instruction.
IMMEDIATES = {
    "label": ("1", "01"),
    "labels": ("1 2 0", "02 01 02 00"),
    "func": ("3", "03"),
    "type": ("4", "04"),
    "table": ("5", "05"),
    "local": ("6", "06"),
    "global": ("7", "07"),
    "memory": ("8", "08"),
    "tag": ("9", "09"),
    "elem": ("10", "0a"),
    "data": ("11", "0b"),
    "field": ("12", "0c"),
    "count": ("13", "0d"),
    "lane": ("1", "01"),
    "lanes": (" ".join(map(str, range(16))), bytes(range(16)).hex(" ")),
    "i32": ("-2", "7e"),
    "i64": ("0x7fffffffffffffff", "ff ff ff ff ff ff ff ff ff 00"),
    "f32": ("1.5", "00 00 c0 3f"),
    "f64": ("-1.5", "00 00 00 00 00 00 f8 bf"),
    "v128": ("i32x4 1 2 3 -1", "01 00 00 00 02 00 00 00 03 00 00 00 ff ff ff ff"),
    "heap": ("extern", "6f"),
    "castop": ("1 (ref null any) (ref i31)", "01 01 6e 6c"),
    "ref": ("(ref 3)", "03"),
    "refnull": ("anyref", "6e"),
    "valtypes": ("(result i32 f64)", "02 7f 7c"),
    "zero": ("", "00"),
}
# Of these the text format has other forms or another order.
APART = {"call_indirect", "return_call_indirect", "memory.init", "table.init"}
CONTROL = {"block", "loop", "if", "else", "end", "try", "try_table", "catch", "catch_all", "delegate"}


@pytest.mark.parametrize(
    "instruction",
    [instruction for instruction in INSTRUCTIONS if instruction.name not in APART | CONTROL],
    ids=lambda instruction: f"{instruction.name}-{instruction.opcode:x}",
)
def test_every_plain_instruction_has_its_code(instruction: Instruction) -> None:
    texts, codes = [], []
    for kind, bound in instruction.immediates:
        text, code = ("offset=300", f"{bound:02x} ac 02") if kind == "memarg" else IMMEDIATES[kind]
        texts.append(text)
        codes.append(code)
    text = " ".join([instruction.name, *texts])
    code = " ".join([instruction.encoding.hex(" "), *codes])

    assert body_of(text) == code
    assert body_of(f"({text})") == code
    assert body_of(f"({text} (nop) (drop (nop)))") == f"01 01 1a {code}"


FIELDS = """
    (type $f (func (param i32) (result i64))) (type $s (struct (field $x i32) (field i64 i64) (field $y i8)))
    (func $g) (table $t 1 funcref) (table $u 1 funcref) (memory $m 1) (memory $n 1) (global $v i32 (i32.const 0))
    (tag $e) (tag $e2) (elem $k func) (elem $l func) (data $d) (data $c)
    """


@pytest.mark.parametrize(
    ("text", "code"),
    [
        # Indices by identifier.
        ("call $g", "10 00"),
        ("local.get $p", "20 00"),
        ("global.set $v", "24 00"),
        ("throw $e2", "08 01"),
        ("elem.drop $l", "fc 0d 01"),
        ("data.drop $c", "fc 09 01"),
        ("struct.get $s $y", "fb 02 01 03"),
        ("struct.set 1 $x", "fb 05 01 00"),
        ("array.new_elem $s $l", "fb 0a 01 01"),
        ("ref.null $s", "d0 01"),
        ("local.get 0x0", "20 00"),
        ("local.get 1_000", "20 e8 07"),
        # What may be left out.
        ("memory.size", "3f 00"),
        ("memory.size $n", "3f 01"),
        ("memory.fill 1", "fc 0b 01"),
        ("table.get", "25 00"),
        ("table.grow $u", "fc 0f 01"),
        ("memory.copy", "fc 0a 00 00"),
        ("memory.copy $n $m", "fc 0a 01 00"),
        ("table.copy", "fc 0e 00 00"),
        ("table.copy 1 0", "fc 0e 01 00"),
        ("memory.init $c", "fc 08 01 00"),
        ("memory.init 1", "fc 08 01 00"),
        ("memory.init $n $c", "fc 08 01 01"),
        ("memory.init 1 0", "fc 08 00 01"),
        ("table.init $l", "fc 0c 01 00"),
        ("table.init $u $k", "fc 0c 00 01"),
        ("call_indirect", "11 02 00"),
        ("call_indirect $u", "11 02 01"),
        ("call_indirect (type $f)", "11 00 00"),
        ("call_indirect 1 (type $f) (param i32) (result i64)", "11 00 01"),
        ("call_indirect (param i32) (result i64)", "11 00 00"),
        ("return_call_indirect $u (param i32) (param) (result i64)", "13 00 01"),
        # Memory accesses.
        ("i32.load", "28 02 00"),
        ("i32.load offset=0x10", "28 02 10"),
        ("i32.load align=1", "28 00 00"),
        ("i32.load offset=1 align=2", "28 01 01"),
        ("i64.store16 1", "3d 41 01 00"),
        ("i64.store16 $n offset=2 align=1", "3d 40 01 02"),
        ("i32.load $m offset=18446744073709551615", "28 02 ff ff ff ff ff ff ff ff ff 01"),
        ("i32.load align=0x8000000000000000", "28 3f 00"),
        ("v128.load8_lane 1", "fd 54 00 00 01"),
        ("v128.load8_lane 1 2", "fd 54 40 01 00 02"),
        ("v128.load8_lane $n 2", "fd 54 40 01 00 02"),
        ("v128.load16_lane 1 offset=3 2", "fd 55 41 01 03 02"),
        ("v128.load16_lane 1 align=1 2", "fd 55 40 01 00 02"),
        ("v128.store64_lane offset=3 align=4 1", "fd 5b 02 03 01"),
        ("i32.atomic.rmw.add offset=4", "fe 1e 02 04"),
        # One name, two instructions.
        ("select", "1b"),
        ("select (result i32)", "1c 01 7f"),
        ("select (result)", "1c 00"),
        ("select (result i32) (result (ref $s))", "1c 02 7f 64 01"),
        ("ref.test (ref $s)", "fb 14 01"),
        ("ref.test (ref null $s)", "fb 15 01"),
        ("ref.cast (ref i31)", "fb 16 6c"),
        ("ref.cast i31ref", "fb 17 6c"),
        ("block br_on_cast 0 anyref (ref $s) end", "02 40 fb 18 01 00 6e 01 0b"),
        ("block br_on_cast_fail 0 (ref any) nullref end", "02 40 fb 19 02 00 6e 71 0b"),
        # Constants.
        ("i32.const 4294967295", "41 7f"),
        ("i32.const -0x8000_0000", "41 80 80 80 80 78"),
        ("i64.const 0xffffffffffffffff", "42 7f"),
        ("f32.const -nan:0x1", "43 01 00 80 ff"),
        ("f64.const 0x1p-1074", "44 01 00 00 00 00 00 00 00"),
        ("f32.const 7", "43 00 00 e0 40"),
        ("v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 -1 255", f"fd 0c {bytes(range(14)).hex(' ')} ff ff"),
        ("v128.const i16x8 1 2 3 4 5 6 7 -2", "fd 0c 01 00 02 00 03 00 04 00 05 00 06 00 07 00 fe ff"),
        ("v128.const i64x2 1 -1", "fd 0c 01 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff"),
        ("v128.const f32x4 1 -0 inf nan", "fd 0c 00 00 80 3f 00 00 00 80 00 00 80 7f 00 00 c0 7f"),
        ("v128.const f64x2 0x1p0 nan:0x1", "fd 0c 00 00 00 00 00 00 f0 3f 01 00 00 00 00 00 f0 7f"),
    ],
)
def test_instructions_with_forms_of_their_own(text: str, code: str) -> None:
    assert body_of(f"(param $p i64) {text}", FIELDS) == code
    if not text.startswith("block"):
        assert body_of(f"(param $p i64) ({text})", FIELDS) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nop (nop) nop", "01 01 01"),
        ("(i32.add (i32.const 1) (i32.const 2))", "41 01 41 02 6a"),
        ("(i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3)))", "41 01 41 02 41 03 6c 6a"),
        ("(i32.const 1) (drop)", "41 01 1a"),
        # Blocks, flat and folded.
        ("block end", "02 40 0b"),
        ("(block)", "02 40 0b"),
        ("(block nop (nop))", "02 40 01 01 0b"),
        ("loop (result i32) i32.const 1 end", "03 7f 41 01 0b"),
        ("(loop (result i32) i32.const 1)", "03 7f 41 01 0b"),
        ("block (result (ref null $s)) unreachable end", "02 63 01 00 0b"),
        ("block (param i32) (result i64) end", "02 00 0b"),
        ("(block (type $f))", "02 00 0b"),
        ("(block (type $f) (param i32) (result i64))", "02 00 0b"),
        ("(block (result i32 i32))", "02 03 0b"),
        ("(block (param))", "02 40 0b"),
        # Labels.
        ("block $a block $b br $a br $b br 1 end end", "02 40 02 40 0c 01 0c 00 0c 01 0b 0b"),
        ("(block $a (br_if $a (i32.const 0)))", "02 40 41 00 0d 00 0b"),
        ("block $a block $a br $a end br $a end", "02 40 02 40 0c 00 0b 0c 00 0b"),
        ("block $a loop $b end $b end $a", "02 40 03 40 0b 0b"),
        ('block $a br $"a" end $"\\61"', "02 40 0c 00 0b"),
        ("(block $a (block $b (br_table $a $b 7)))", "02 40 02 40 0e 02 01 00 07 0b 0b"),
        # if
        ("if end", "04 40 0b"),
        ("if else end", "04 40 05 0b"),
        ("if $a br $a else $a br $a end $a", "04 40 0c 00 05 0c 00 0b"),
        ("(if (i32.const 1) (then))", "41 01 04 40 0b"),
        ("(if (then (nop)))", "04 40 01 0b"),
        ("(if (i32.const 1) (then nop) (else (nop) nop))", "41 01 04 40 01 05 01 01 0b"),
        ("(if $a (result i32) (i32.const 1) (nop) (then (br $a)) (else (br $a)))", "41 01 01 04 7f 0c 00 05 0c 00 0b"),
        ("(block $a (if $a (br $a) (then (br $a))))", "02 40 0c 00 04 40 0c 00 0b 0b"),
        # try_table
        ("try_table end", "1f 40 00 0b"),
        (
            "block $l try_table (result i32) (catch $e2 0) (catch_ref 0 $l) (catch_all $l) (catch_all_ref 1) nop end end",
            "02 40 1f 7f 04 00 01 00 01 00 00 02 00 03 01 01 0b 0b",
        ),
        ("(block $l (try_table $t (catch_all $l) (br $t)))", "02 40 1f 40 01 02 00 0c 00 0b 0b"),
        ("(throw_ref (nop))", "01 0a"),
        # The exceptions before 3.0.
        ("try end", "06 40 0b"),
        ("try catch $e2 nop catch 0 catch_all rethrow 0 end", "06 40 07 01 01 07 00 19 09 00 0b"),
        ("try $t try delegate $t end", "06 40 06 40 18 00 0b"),
        ("try nop delegate 0", "06 40 01 18 00"),
        ("(try (do))", "06 40 0b"),
        ("(try (do nop) (catch $e2 (nop)) (catch_all nop nop))", "06 40 01 07 01 01 19 01 01 0b"),
        ("(try $l (result i32) (do (br $l)) (catch 0 (rethrow $l)))", "06 7f 0c 00 07 00 09 00 0b"),
        ("(try $a (do (try $b (do (br $b)) (delegate $a))) (catch_all))", "06 40 06 40 0c 00 18 00 19 0b"),
        ("(i32.eqz (try (do) (delegate 0)))", "06 40 18 00 45"),
    ],
)
def test_control_instructions_flat_and_folded(text: str, code: str) -> None:
    assert body_of(text, FIELDS) == code


@given(
    st.recursive(
        st.sampled_from([("nop", "(nop)"), ("br 0", "(br 0)"), ("i32.const 1", "(i32.const 1)")]),
        lambda inner: st.one_of(
            st.builds(
                lambda parts, name: (
                    " ".join([*(flat for flat, _ in parts), name]),
                    f"({' '.join([name, *(folded for _, folded in parts)])})",
                ),
                st.lists(inner, max_size=3),
                st.sampled_from(["i32.add", "drop", "call 0", "select"]),
            ),
            st.builds(
                lambda parts, name: (
                    " ".join([name, *(flat for flat, _ in parts), "end"]),
                    f"({' '.join([name, *(folded for _, folded in parts)])})",
                ),
                st.lists(inner, max_size=3),
                st.sampled_from(["block", "loop (result i32)", "try_table (catch_all 0)"]),
            ),
            st.builds(
                lambda condition, then, otherwise: (
                    f"{condition[0]} if $l {then[0]} else $l {otherwise[0]} end",
                    f"(if $l {condition[1]} (then {then[1]}) (else {otherwise[1]}))",
                ),
                inner,
                inner,
                inner,
            ),
            st.builds(
                lambda body, handler: (
                    f"try {body[0]} catch 0 {handler[0]} catch_all {handler[0]} end",
                    f"(try (do {body[1]}) (catch 0 {handler[1]}) (catch_all {handler[1]}))",
                ),
                inner,
                inner,
            ),
        ),
    )
)
def test_folded_instructions_are_the_flat_ones(forms: tuple[str, str]) -> None:
    flat, folded = forms

    assert body_of(flat) == body_of(folded)
    assert body_of(f"{folded} {flat}") == body_of(f"{flat} {folded}")


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("(i32.eqz ", ")"),
        ("(block $l ", ")"),
        ("block $l ", "end $l "),
        ("(if (i32.const 0) (then ", "))"),
        ("(if ", "(then) (else))"),
        ("(try (do ", "))"),
        ("try ", "delegate 0 "),
    ],
)
def test_nesting_is_limited_by_nothing(opening: str, closing: str) -> None:
    depth = 20_000

    code = parse_module(f"(func {opening * depth} {closing * depth})").code[0].body.code

    assert len(code) > depth


@pytest.mark.parametrize(
    "text", ["(" * 100_000, "(module " * 100_000, "(func " + "(block " * 100_000, "(@a " * 100_000]
)
def test_nesting_without_an_end_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_module(text)
