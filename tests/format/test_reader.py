"""Reading the binary format: what each section means, and that malformed input of any kind is refused where it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syntax_strategies import modules, same_module
from tests.objects import peak_of

from wasmine.errors import DecodeError
from wasmine.format.leb128 import unsigned
from wasmine.format.module import (
    Active,
    Code,
    DataSegment,
    ElementSegment,
    Export,
    Expression,
    Global,
    Import,
    Mode,
    ModuleSyntax,
    Section,
    Table,
)
from wasmine.format.reader import read
from wasmine.format.types import (
    ANYREF,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    V128,
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

PREAMBLE = "00 61 73 6d 01 00 00 00"


def binary(*sections: str) -> bytes:
    """A module of sections in hexadecimal, each given as its id and, after a colon, its content."""
    parts = [bytes.fromhex(PREAMBLE)]
    for text in sections:
        number, content = (bytes.fromhex(part) for part in text.split(":"))
        parts.append(number + unsigned(len(content)) + content)
    return b"".join(parts)


def module(*sections: str) -> ModuleSyntax:
    return read(binary(*sections))


# What sections mean.


def test_a_module_may_be_empty() -> None:
    assert module() == ModuleSyntax()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_will_do(kind: type) -> None:
    assert read(kind(binary("08: 05"))).start == 5


def test_types() -> None:
    syntax = module(
        "01: 07"
        "60 02 7f 7e 03 7d 7c 7b"  # func [i32 i64] -> [f32 f64 v128]
        "60 01 70 02 63 00 64 6f"  # func [funcref] -> [(ref null 0) (ref extern)]
        "5f 02 78 00 77 01"  # struct i8, mut i16
        "5e 6e 01"  # array of mut anyref
        "50 00 5f 00"  # open struct
        "4f 01 04 5f 00"  # final struct below it
        "4e 02 5f 00 60 00 00"  # a recursive group of two
    )
    assert syntax.types == (
        (SubType(FuncType((I32, I64), (F32, F64, V128))),),
        (SubType(FuncType((FUNCREF,), (RefType(True, 0), RefType(False, Heap.EXTERN)))),),
        (SubType(StructType((FieldType(Packed.I8), FieldType(Packed.I16, mutable=True)))),),
        (SubType(ArrayType(FieldType(ANYREF, mutable=True))),),
        (SubType(StructType(), final=False),),
        (SubType(StructType(), final=True, supertypes=(4,)),),
        (SubType(StructType()), SubType(FuncType())),
    )


def test_imports() -> None:
    syntax = module(
        "02: 05"
        "01 6d 01 66 00 80 01"  # m.f: function of type 128
        "00 00 01 70 01 01 02"  # table
        "00 00 02 00 00"  # memory
        "00 00 03 7f 01"  # mutable global
        "00 00 04 00 07"  # tag
    )
    assert syntax.imports == (
        Import("m", "f", FuncIndex(128)),
        Import("", "", TableType(FUNCREF, Limits(1, 2))),
        Import("", "", MemoryType(Limits(0))),
        Import("", "", GlobalType(I32, mutable=True)),
        Import("", "", TagIndex(7)),
    )


def test_functions_keep_runs_of_locals() -> None:
    syntax = module(
        "03: 03 00 ac 02 00",
        "0a: 03  07 01 ff ff ff ff 0f 7f  05 02 01 7f 02 7e  02 00 0b",
    )
    start = 8 + 2 + 5 + 2 + 1
    assert syntax.functions == (0, 300, 0)
    assert [code.locals for code in syntax.code] == [((2**32 - 1, I32),), ((1, I32), (2, I64)), ()]
    assert [code.body for code in syntax.code] == [
        Expression(b"", start + 8),
        Expression(b"", start + 14),
        Expression(b"\x0b", start + 16),
    ]


def test_bodies_are_not_decoded() -> None:
    assert module("03: 01 00", "0a: 01 04 00 ff ff ff").code == (Code((), Expression(b"\xff\xff\xff", 17)),)


def test_tables() -> None:
    syntax = module("04: 03  70 00 01  6f 05 01 02  40 00 64 70 00 01 d2 00 0b")
    assert syntax.tables == (
        Table(TableType(FUNCREF, Limits(1))),
        Table(TableType(EXTERNREF, Limits(1, 2), I64)),
        Table(TableType(RefType(False, Heap.FUNC), Limits(1)), Expression(b"\xd2\x00\x0b", 24)),
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("00 01", MemoryType(Limits(1))),
        ("01 01 02", MemoryType(Limits(1, 2))),
        ("02 01", MemoryType(Limits(1), shared=True)),
        ("03 01 02", MemoryType(Limits(1, 2), shared=True)),
        ("04 01", MemoryType(Limits(1), address=I64)),
        ("05 01 80 80 80 80 80 80 80 80 80 01", MemoryType(Limits(1, 2**63), address=I64)),
        ("08 01 00", MemoryType(Limits(1), page_size_log2=0)),
        ("0f 01 02 10", MemoryType(Limits(1, 2), shared=True, address=I64, page_size_log2=16)),
    ],
)
def test_memories(content: str, expected: MemoryType) -> None:
    assert module("05: 01" + content).memories == (expected,)


def test_tags_globals_exports_and_start() -> None:
    syntax = module("0d: 01 00 03", "06: 01 7e 01 42 7f 0b", "07: 02 01 61 00 05 00 04 00", "08: 09")
    assert syntax.tags == (TagIndex(3),)
    assert syntax.globals == (Global(GlobalType(I64, mutable=True), Expression(b"\x42\x7f\x0b", 18)),)
    assert syntax.exports == (Export("a", Kind.FUNC, 5), Export("", Kind.TAG, 0))
    assert syntax.start == 9


ZERO = "41 00 0b"


@pytest.mark.parametrize(
    ("content", "type_", "items", "table"),
    [
        (f"00 {ZERO} 02 01 80 01", RefType(False, Heap.FUNC), (1, 128), 0),
        ("01 00 01 05", RefType(False, Heap.FUNC), (5,), Mode.PASSIVE),
        (f"02 03 {ZERO} 00 00", RefType(False, Heap.FUNC), (), 3),
        ("03 00 01 05", RefType(False, Heap.FUNC), (5,), Mode.DECLARATIVE),
        (f"04 {ZERO} 01 d2 00 0b", FUNCREF, (b"\xd2\x00\x0b",), 0),
        ("05 6f 01 d0 6f 0b", EXTERNREF, (b"\xd0\x6f\x0b",), Mode.PASSIVE),
        (f"06 03 {ZERO} 6f 00", EXTERNREF, (), 3),
        ("07 64 6c 00", RefType(False, Heap.I31), (), Mode.DECLARATIVE),
    ],
)
def test_element_segments(content: str, type_: RefType, items: tuple[int | bytes, ...], table: int | Mode) -> None:
    (segment,) = module("09: 01" + content).elements
    assert isinstance(segment, ElementSegment)
    assert segment.type == type_
    assert tuple(item.code if isinstance(item, Expression) else item for item in segment.items) == items
    if isinstance(table, Mode):
        assert segment.mode is table
    else:
        assert isinstance(segment.mode, Active)
        assert (segment.mode.index, segment.mode.offset.code) == (table, bytes.fromhex(ZERO))


def test_data_segments() -> None:
    syntax = module("0c: 03", f"0b: 03  00 {ZERO} 01 61  01 02 62 63  02 05 {ZERO} 00")
    assert syntax.data_count == 3
    assert syntax.data == (
        DataSegment(b"a", Active(0, Expression(b"\x41\x00\x0b", 15))),
        DataSegment(b"bc", Mode.PASSIVE),
        DataSegment(b"", Active(5, Expression(b"\x41\x00\x0b", 26))),
    )


def test_custom_sections_remember_their_place() -> None:
    syntax = module("00: 01 61 01", "01: 00", "00: 01 62", "05: 01 00 00", "00: 01 63 02 03")
    assert [(custom.name, custom.data, custom.after) for custom in syntax.customs] == [
        ("a", b"\1", None),
        ("b", b"", None),  # an empty section is as good as none
        ("c", b"\2\3", Section.MEMORY),
    ]
    whole = binary("00: 01 61 01", "01: 00", "00: 01 62", "05: 01 00 00", "00: 01 63 02 03")
    for custom in syntax.customs:
        assert whole[custom.offset : custom.offset + len(custom.data)] == custom.data


@pytest.mark.parametrize(
    "code",
    [
        "0b",
        "41 ff ff ff ff 07 0b",
        "42 80 80 80 80 80 80 80 80 80 7f 0b",
        "43 0b 0b 0b 0b 0b",
        "44 0b 0b 0b 0b 0b 0b 0b 0b 0b",
        "fd 0c 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b 0b",
        "41 0b 41 0b 6a 0b",
        "fb 08 0b 0b 0b",
        "d0 0b 0b",
        "02 40 0b 0b",
        "02 7f 03 0b 04 63 0b 05 0b 0b 0b 0b",
        "06 40 18 0b 0b",  # a delegate closes its try
        "1f 40 01 00 0b 0b 0b 0b",
        "0e 02 0b 0b 0b 0b",
        "1c 01 63 0b 0b",
        "28 42 0b 0b 0b",
        "fb 18 03 0b 0b 6e 0b",
        "fe 03 00 0b",
        "fd 15 0b 0b",
    ],
)
def test_expressions_end_at_their_own_end(code: str) -> None:
    # The next global would be misread if the expression ended anywhere else.
    syntax = module(f"06: 02  7f 00 {code}  7e 01 42 00 0b")
    assert syntax.globals[0].init.code == bytes.fromhex(code)
    assert syntax.globals[1].type == GlobalType(I64, mutable=True)


# Malformed input. The beginnings of the messages are those of the official test suite.


@pytest.mark.parametrize(
    ("content", "reason", "offset"),
    [
        ("", "unexpected end", 0),
        ("00 61 73", "unexpected end", 3),
        ("00 61 73 6e", "magic header not detected", 0),
        ("28 6d 6f 64 75 6c 65 29", "magic header not detected", 0),
        ("00 61 73 6d 01 00 00", "unexpected end", 7),
        ("00 61 73 6d 02 00 00 00", "unknown binary version 0x2", 4),
        ("00 61 73 6d 0d 00 01 00", "unknown binary version 0x1000d, a component", 4),
        (PREAMBLE + "0e 01 00", "malformed section id", 8),
        (PREAMBLE + "80 01 00", "malformed section id", 8),
        (PREAMBLE + "01", "unexpected end", 9),
        (PREAMBLE + "01 02 00", "length out of bounds", 9),
        (PREAMBLE + "01 80 80 80 80 80 00", "integer representation too long", 9),
        (PREAMBLE + "01 80 80 80 80 10", "integer too large", 9),
        (PREAMBLE + "01 02 00 00", "section size mismatch: 1 bytes left over in the type section", 11),
        (PREAMBLE + "03 01 00 01 01 00", "unexpected content after last section: type section out of order", 11),
        (PREAMBLE + "0c 01 00 0c 01 00", "unexpected content after last section: data count section", 11),
        (PREAMBLE + "00 00", "unexpected end", 10),
        (PREAMBLE + "00 02 05 61", "length out of bounds", 10),
        (PREAMBLE + "00 03 02 61 ff", "malformed UTF-8 encoding", 12),
    ],
)
def test_malformed_framing(content: str, reason: str, offset: int) -> None:
    assert_malformed(bytes.fromhex(content), reason, offset)


@pytest.mark.parametrize(
    ("section", "reason", "offset"),
    [
        ("01: 01 61", "malformed type 0x61", 11),
        ("01: 01 e0 7f", "integer representation too long", 11),
        ("01: 01 60 01 40 00", "malformed value type 0x40", 13),
        ("01: 01 60 01 78 00", "malformed value type 0x78", 13),
        ("01: 01 60 01 63 75 00", "malformed heap type 0x75", 14),
        ("01: 01 60 01 63 f0 7f 00", "malformed heap type 0xf0", 14),
        ("01: 01 60 01 63 80 80 80 80 10 00", "integer too large", 14),
        ("01: 01 5e 79 00", "malformed storage type 0x79", 12),
        ("01: 01 5e 78 02", "malformed mutability 0x02", 13),
        ("01: 01 60 00", "unexpected end", 13),
        ("01: 02 60 00 00", "unexpected end", 14),
        ("01: 01 4e 01 4e 00", "malformed type 0x4e", 13),
        ("02: 01 00 00 05 00", "malformed import kind 0x05", 13),
        ("02: 01 00 00 04 01 00", "zero byte expected", 14),
        ("02: 01 00 01 c0 00 00", "malformed UTF-8 encoding", 13),
        ("02: 01 03 ed a0 80 00 00 00", "malformed UTF-8 encoding", 12),
        ("02: 01 00 00 03 7f 02", "malformed mutability 0x02", 15),
        ("04: 01 7f 00 00", "malformed reference type i32", 11),
        ("04: 01 70 02 00", "malformed limits flags 0x02", 12),
        ("04: 01 70 08 00 00", "malformed limits flags 0x08", 12),
        ("04: 01 40 01 70 00 00 d0 70 0b", "zero byte expected", 12),
        ("05: 01 10 00", "malformed limits flags 0x10", 11),
        ("05: 01 81 00 00", "malformed limits flags 0x81", 11),
        ("05: 01 00 80 80 80 80 80 80 80 80 80 02", "integer too large", 12),
        ("05: 01 08 00 41", "invalid custom page size", 13),
        ("06: 01 7f 00 41 00", "unexpected end", 15),
        ("06: 01 7f 00 ff 0b", "illegal opcode ff", 13),
        ("06: 01 7f 00 fd ff 04 0b", "illegal opcode fd ff 04", 13),
        ("06: 01 7f 00 fc 80 80 04 0b", "illegal opcode fc 80 80 04", 13),
        ("06: 01 7f 00 41 80 80 80 80 70 0b", "integer too large", 14),
        ("06: 01 7f 00 41 ff ff ff ff 0f 0b", "integer too large", 14),
        ("06: 01 7f 00 41 80 80 80 80 80 00 0b", "integer representation too long", 14),
        ("06: 01 7f 00 02 40 0b", "unexpected end", 16),
        ("06: 01 7f 00 02 75 0b 0b", "malformed block type 0x75", 14),
        ("06: 01 7f 00 28 80 01 00 0b", "malformed memop flags", 14),
        ("06: 01 7f 00 fb 18 04 00 6e 6e 0b", "malformed br_on_cast flags", 15),
        ("06: 01 7f 00 1f 40 01 04 00 0b 0b", "malformed catch clause", 16),
        ("06: 01 7f 00 fd 0c 00 00 0b", "unexpected end", 18),
        ("07: 01 00 05 00", "malformed export kind 0x05", 12),
        ("07: 01 00 00 80 80 80 80 10", "integer too large", 13),
        ("09: 01 08", "malformed element segment kind 8", 11),
        ("09: 01 01 01 00", "malformed element kind", 12),
        ("09: 01 05 7f 00", "malformed reference type i32", 12),
        ("09: 01 01 00 02 00", "unexpected end", 13),
        ("0b: 01 03", "malformed data segment kind 3", 11),
        ("0b: 01 01 02 00", "unexpected end of section or function: 2 bytes announced, 1 bytes left", 12),
        ("0d: 01 01 00", "zero byte expected", 11),
    ],
)
def test_malformed_content(section: str, reason: str, offset: int) -> None:
    assert_malformed(binary(section), reason, offset)


@pytest.mark.parametrize(
    ("code", "reason", "offset"),
    [
        ("01 00", "unexpected end", 16),
        ("01 03 00 0b", "length out of bounds", 15),
        ("01 01 01", "unexpected end", 16),
        ("01 01 80", "unexpected end", 17),
        ("01 03 01 01 40", "malformed value type 0x40", 18),
        ("01 03 02 01 7f", "unexpected end", 19),
        ("01 09 02 ff ff ff ff 0f 7f 01 7f", "too many locals: 4294967296", 16),
        ("01 08 01 80 80 80 80 10 7f 0b", "integer too large", 17),
    ],
)
def test_malformed_bodies(code: str, reason: str, offset: int) -> None:
    whole = binary("03: 01 00", "0a:" + code)
    assert_malformed(whole, reason, offset)


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        (["03: 01 00"], "function and code section have inconsistent lengths: 1 functions, 0 bodies"),
        (["0a: 01 02 00 0b"], "function and code section have inconsistent lengths: 0 functions, 1 bodies"),
        (["0c: 01"], "data count and data section have inconsistent lengths: 1 announced, 0 there"),
        (["0c: 00", "0b: 01 01 00"], "data count and data section have inconsistent lengths: 0 announced, 1 there"),
    ],
)
def test_inconsistent_lengths(sections: list[str], reason: str) -> None:
    whole = binary(*sections)
    assert_malformed(whole, reason, len(whole))


def assert_malformed(whole: bytes, reason: str, offset: int) -> None:
    with pytest.raises(DecodeError) as caught:
        read(whole)
    assert caught.value.reason.startswith(reason)
    assert caught.value.offset == offset


# Hostile input.

HUGE = "ff ff ff ff 0f"


@pytest.mark.parametrize("section", ["01", "02", "03", "04", "05", "06", "07", "09", "0a", "0b", "0d"])
def test_counts_are_not_believed(section: str) -> None:
    assert_cheaply_refused(binary(f"{section}: {HUGE} 00"))


@pytest.mark.parametrize(
    "section",
    [
        f"01: 01 60 {HUGE}",
        f"01: 01 5f {HUGE}",
        f"01: 01 4e {HUGE}",
        f"01: 01 50 {HUGE}",
        f"09: 01 01 00 {HUGE}",
        f"09: 01 05 70 {HUGE}",
        f"0b: 01 01 {HUGE}",
        f"0a: 01 06 {HUGE} 7f",
        f"06: 01 7f 00 0e {HUGE}",
        f"06: 01 7f 00 1c {HUGE}",
        f"06: 01 7f 00 1f 40 {HUGE}",
        f"00: {HUGE}",
    ],
)
def test_counts_inside_are_not_believed(section: str) -> None:
    assert_cheaply_refused(binary(section))


def assert_cheaply_refused(whole: bytes) -> None:
    def refuse() -> None:
        with pytest.raises(DecodeError, match=r"unexpected end|length out of bounds"):
            read(whole)

    assert peak_of(refuse) < 100_000


def read_or_refuse(whole: bytes) -> ModuleSyntax | None:
    """The module, or None if it is refused, properly: with an offset inside."""
    try:
        return read(whole)
    except DecodeError as error:
        offset = error.offset
    assert offset is not None
    assert 0 <= offset <= len(whole)
    return None


@given(modules(), st.data())
def test_truncated_modules_are_refused_or_end_between_sections(syntax: ModuleSyntax, data: st.DataObject) -> None:
    whole = write(syntax)
    length = data.draw(st.integers(0, len(whole)))
    shorter = read_or_refuse(whole[:length])
    assert shorter is None or len(write(shorter)) == length


@given(modules(), st.data())
def test_damaged_modules_give_a_module_or_a_decode_error(syntax: ModuleSyntax, data: st.DataObject) -> None:
    damaged = bytearray(write(syntax))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    again = read_or_refuse(bytes(damaged))
    assert again is None or same_module(read(write(again)), again)


@given(st.binary(max_size=100))
def test_random_bytes_give_a_module_or_a_decode_error(content: bytes) -> None:
    again = read_or_refuse(bytes.fromhex(PREAMBLE) + content)
    assert again is None or same_module(read(write(again)), again)
