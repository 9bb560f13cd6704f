"""Bytes of bodies and constant expressions that are no instructions: `DecodeError`, with the offset."""

from __future__ import annotations

import pytest

from wasmine.errors import DecodeError
from wasmine.format.module import Code, Expression, Global, ModuleSyntax
from wasmine.format.types import I32, FuncType, GlobalType, Limits, MemoryType, SubType
from wasmine.validation import validate

MALFORMED = {
    "no instruction at all": (b"", "unexpected end of section or function: END opcode expected"),
    "no end": (b"\x01\x01", "unexpected end of section or function: END opcode expected"),
    "code after the end": (b"\x0b\x01\x0b", "END opcode expected at the end: 2 bytes follow it"),
    "an unknown opcode": (b"\xff\x0b", "illegal opcode ff"),
    "an unknown prefixed opcode": (b"\xfd\xff\x7f\x0b", "illegal opcode fd 3fff"),
    "a cut off index": (b"\x10\x80", "unexpected end of section or function: the code ends inside an instruction"),
    "a cut off float": (b"\x43\x00\x0b", "unexpected end of section or function: the code ends inside an instruction"),
    "a missing second immediate": (b"\x00\x11\x0b", "unexpected end of section or function"),
    "an index of 33 bits": (b"\x20\xff\xff\xff\xff\x1f\x0b", "integer too large: it does not fit in 32 bits"),
    "an index of six bytes": (b"\x20\x80\x80\x80\x80\x80\x00\x0b", "integer representation too long for 32 bits"),
    "an i32 of 33 bits": (b"\x41\x80\x80\x80\x80\x70\x0b", "integer too large: it does not fit in 32 bits"),
    "an i32 of six bytes": (b"\x41\x80\x80\x80\x80\x80\x00\x0b", "integer representation too long for 32 bits"),
    "an i64 of 65 bits": (b"\x42" + b"\x80" * 9 + b"\x7e\x0b", "integer too large: it does not fit in 64 bits"),
    "an unknown block type": (b"\x02\x5e\x0b\x0b", "malformed value type 0x5e"),
    "a negative type index": (b"\x02\x80\x7f\x0b\x0b", "malformed block type -128"),
    "an unknown heap type": (b"\xd0\x5e\x1a\x0b", "malformed heap type 0x5e"),
    "more labels than bytes": (b"\x41\x00\x0e\xff\xff\xff\xff\x0f\x0b", "unexpected end of section or function"),
    "more handlers than bytes": (b"\x1f\x40\xff\xff\xff\xff\x0f\x0b", "unexpected end of section or function"),
    "an unknown handler": (b"\x1f\x40\x01\x04\x00\x0b\x0b", "malformed catch clause 0x04"),
    "an unknown alignment": (b"\x41\x00\x28\x80\x01\x00\x1a\x0b", "malformed memop flags: alignment 128"),
    "unknown flags of a cast": (b"\xfb\x18\x04\x00\x6e\x6e\x0b", "malformed br_on_cast flags 0x04"),
    "a fence that is not zero": (b"\xfe\x03\x01\x0b", "zero byte expected, found 0x01"),
    "an else without if": (b"\x02\x40\x05\x0b\x0b", "END opcode expected: else without if"),
    "a second else": (b"\x41\x00\x04\x40\x05\x05\x0b\x0b", "END opcode expected: else without if"),
    "a catch without try": (b"\x02\x40\x07\x00\x0b\x0b", "END opcode expected: catch without try"),
    "a catch after catch_all": (b"\x06\x40\x19\x19\x0b\x0b", "END opcode expected: catch_all without try"),
    "a delegate after catch": (b"\x06\x40\x19\x18\x00\x0b", "END opcode expected: delegate without try"),
    "a data segment without their count": (
        b"\x41\x00\x41\x00\x41\x00\xfc\x08\x00\x00\x0b",
        "data count section required: a body names a data segment",
    ),
}


def module(body: bytes) -> ModuleSyntax:
    """A module with one function, a memory, and the body at offset 100."""
    return ModuleSyntax(
        types=((SubType(FuncType()),),),
        functions=(0,),
        memories=(MemoryType(Limits(1)),),
        code=(Code((), Expression(body, 100)),),
    )


@pytest.mark.parametrize(("body", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_bodies(body, reason):
    with pytest.raises(DecodeError) as caught:
        validate(module(body))

    assert caught.value.reason.startswith(reason), caught.value.reason
    assert caught.value.reason.endswith(", in function 0")
    assert 100 <= caught.value.offset <= 100 + len(body)


def test_the_offset_is_that_of_the_instruction():
    with pytest.raises(DecodeError) as caught:
        validate(module(b"\x01\x41\xac\x02\x1a\x27\x0b"))

    assert caught.value.offset == 105
    assert str(caught.value) == "illegal opcode 27, in function 0 (at offset 0x69)"


def test_integers_may_be_padded():
    validate(
        module(b"\x41\xff\xff\xff\xff\x7f\x1a\x41\x80\x80\x80\x80\x78\x1a\x42\xff" + b"\xff" * 8 + b"\x7f\x1a\x0b")
    )


def test_malformed_constant_expressions():
    init = Expression(b"\x41\x80", 7)

    with pytest.raises(DecodeError, match="the code ends inside an instruction, in global 0") as caught:
        validate(ModuleSyntax(globals=(Global(GlobalType(I32), init),)))

    assert caught.value.offset == 7


@pytest.mark.parametrize("end", range(1, 30))
def test_a_body_cut_off_anywhere_is_refused(end):
    body = (
        b"\x02\x40\x41\x80\x80\x00\x28\x02\x80\x01\x1a\x43\x00\x00\x80\x3f\x1a\xfd\x0c" + bytes(16) + b"\x1a\x41\x00"
        b"\x0e\x01\x00\x01\x0b\x0b"
    )
    validate(module(body))

    with pytest.raises(DecodeError):
        validate(module(body[:end]))
