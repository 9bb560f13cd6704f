"""ARM64: registers and values in templates, short and long."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from execution_arm64 import Arm64Processor

from wasmine.compiler.templates.arm64.decode import decode
from wasmine.compiler.templates.arm64.filling import (
    ADDITION,
    AT_ZERO,
    DISPLACEMENT,
    GENERAL,
    KEEP,
    LANES_LEFT,
    LANES_RIGHT,
    LEFT,
    LOGICAL,
    LOW,
    MOVE,
    RIGHT,
    ROTATE_LEFT,
    ROTATE_RIGHT,
    accepts_immediate,
    encode,
    expand,
    fill,
)
from wasmine.compiler.templates.expand import HOLE_TRAP, OFFSET, Field, Hole, Variant

if TYPE_CHECKING:
    from wasmine.compiler.templates.library import TemplateLibrary

LDR_W, LDR_X, LDR_Q, LDRB = 0xB9400000, 0xF9400000, 0x3DC00000, 0x39400000
ADD_W, CMP_W, MOVZ_W, MOVZ_X = 0x11000000, 0x7100001F, 0x52800000, 0xD2800000


def variant(*words: int, fields: tuple[Field, ...] = (), holes: tuple[Hole, ...] = ()) -> Variant:
    code = b"".join(word.to_bytes(4, "little") for word in words)
    return Variant(int.from_bytes(code, "little"), len(code), fields, (), holes)


def words(code: bytes) -> list[int]:
    return [int.from_bytes(code[at : at + 4], "little") for at in range(0, len(code), 4)]


def test_the_compiler_s_registers_become_the_processor_s() -> None:
    add = variant(0x0B000000, fields=(Field(0, 1 << 5, 0), Field(1, 1 << 16, 0), Field(3, 1, 0)))
    assert words(expand(add, (0, 8, 0, 15), 0)[0]) == [0x0B0B001C]  # add w28, w0, w11
    fadd = variant(0x1E602800, fields=(Field(0, 0, 1 << 5), Field(1, 0, 1 << 16), Field(3, 0, 1)))
    assert words(expand(fadd, (8, 15, 0, 9), 0)[0]) == [0x1E6F2909]  # fadd d9, d8, d15


@pytest.mark.parametrize(
    ("kind", "blank", "value", "word"),
    [
        (DISPLACEMENT, LDR_W, 592, 0xB9425000),
        (DISPLACEMENT, LDR_W, 16380, 0xB97FFC00),
        (DISPLACEMENT, LDR_W, 16384, None),
        (DISPLACEMENT, LDR_W, 2, 0xB8402000),  # ldur
        (DISPLACEMENT, LDR_W, -4, 0xB85FC000),
        (DISPLACEMENT, LDR_W, 258, None),
        (DISPLACEMENT, LDR_X, 32760, 0xF97FFC00),
        (DISPLACEMENT, LDR_Q, 65520, 0x3DFFFC00),
        (DISPLACEMENT, LDR_Q, 8, 0x3CC08000),
        (DISPLACEMENT, LDR_Q, 264, None),
        (DISPLACEMENT, LDRB, 4095, 0x397FFC00),
        (ADDITION, ADD_W, 71, 0x11011C00),
        (ADDITION, ADD_W, -71, 0x51011C00),
        (ADDITION, ADD_W, 0x5000, 0x11401400),
        (ADDITION, ADD_W, 0x5001, None),
        (ADDITION, CMP_W, -71, 0x31011C1F),
        (ADDITION, CMP_W, 0, CMP_W),
        (LOGICAL, 0x12000000, 0xFF, 0x12001C00),
        (LOGICAL, 0x92000000, 0x5555555555555555, 0x9200F000),
        (LOGICAL, 0x12000000, 0, None),
        (LOGICAL, 0x92000000, -1, None),
        (LEFT, 0x53000000, 5, 0x531B6800),
        (LEFT, 0x53000000, 32, None),
        (RIGHT, 0xD340FC00, 13, 0xD34DFC00),
        (ROTATE_RIGHT, 0x13800000, 27, 0x13806C00),
        (ROTATE_LEFT, 0x13800000, 5, 0x13806C00),
        (ROTATE_LEFT, 0x13800000, 0, 0x13800000),
        (LANES_LEFT, 0x4F105400, 5, 0x4F155400),
        (LANES_LEFT, 0x4F105400, 16, None),
        (LANES_RIGHT, 0x4F200400, 5, 0x4F3B0400),
        (LANES_RIGHT, 0x4F200400, 0, None),
        (LANES_RIGHT, 0x4F200400, 32, 0x4F200400),
        (MOVE, MOVZ_W, 71, 0x528008E0),
        (MOVE, MOVZ_W, -72, 0x128008E0),
        (MOVE, MOVZ_W, 0x10000, None),
        (LOW, MOVZ_X, 0x12345678, 0xD28ACF00),
        (KEEP, 0xF2A00000, 0x12345678, 0xF2A24680),
    ],
)
def test_values_go_where_the_assembler_puts_them(kind: int, blank: int, value: int, word: int | None) -> None:
    assert encode(kind, blank, value) == word


@pytest.mark.parametrize("width", [32, 64])
def test_every_bit_pattern_there_is_has_an_encoding_and_nothing_else(width: int) -> None:
    """The 5,334 numbers of 64 bits (1,302 of 32): a run of ones, rotated within an element, repeated."""
    blank = 0x92000000 if width == 64 else 0x12000000
    patterns = set()
    size = 2
    while size <= width:
        for ones in range(1, size):
            for rotation in range(size):
                run = (1 << ones) - 1
                element = (run >> rotation | run << size - rotation) & (1 << size) - 1
                patterns.add(sum(element << at for at in range(0, width, size)))
        size *= 2
    encoded = {encode(LOGICAL, blank, pattern) for pattern in patterns}
    assert None not in encoded
    assert len(encoded) == len(patterns) == {32: 1302, 64: 5334}[width]
    rng = random.Random(1)
    for _ in range(2000):
        value = rng.getrandbits(width)
        assert (encode(LOGICAL, blank, value) is not None) == (value in patterns)


def test_a_displacement_that_does_not_fit_comes_from_a_register() -> None:
    load = variant(0x8B000000, LDR_W, 0xD503201F, holes=(Hole(4, DISPLACEMENT, OFFSET, 4), Hole(8, HOLE_TRAP, 3, 0)))
    code, holes = expand(load, (0, 0, 0, 0), 0)
    assert words(code) == [0x8B000000, 0xD2800011, 0xF2A00011, 0xB8716800, 0xD503201F]
    assert holes == (Hole(4, LOW, OFFSET, 4), Hole(8, KEEP, OFFSET, 4), Hole(16, HOLE_TRAP, 3, 0))
    filled = bytearray(code)
    for hole in holes[:2]:
        fill(filled, hole, 0x7FFFFFFF - 4)
    assert words(filled)[1:3] == [0xD29FFFF1, 0xF2AFFFF1]  # movz x17, #0xffff; movk x17, #0x7fff, lsl #16
    assert expand(load, (0, 0, 0, 0), 1 << OFFSET)[0] == code[:4] + LDR_W.to_bytes(4, "little") + code[16:]


def test_a_displacement_of_24_bits_takes_one_more_instruction() -> None:
    load = variant(LDR_W | 8 << 5, holes=(Hole(0, DISPLACEMENT, OFFSET, 0),))
    code, holes = expand(load, (0, 0, 0, 0), AT_ZERO)
    filled = bytearray(code)
    for hole in holes:
        fill(filled, hole, 0x123450)
    assert words(filled) == [0x91448D11, 0xB9445220]  # add x17, x8, #0x123, lsl #12; ldr w0, [x17, #0x450]


def test_an_immediate_of_24_bits_is_added_in_two_steps() -> None:
    add = variant(ADD_W, holes=(Hole(0, ADDITION, 1, 0),))
    code, holes = expand(add, (0, 0, 0, 0), 0)
    filled = bytearray(code)
    for hole in holes:
        fill(filled, hole, -0x123456)
    assert words(filled) == [0x51448C11, 0x51115A20]  # sub w17, w0, #0x123, lsl #12; sub w0, w17, #0x456


def test_a_move_that_does_not_fit_is_two() -> None:
    move = variant(MOVZ_W, holes=(Hole(0, MOVE, 0, 0),))
    code, holes = expand(move, (0, 0, 0, 0), 0)
    filled = bytearray(code)
    for hole in holes:
        fill(filled, hole, -0x12345678)
    assert words(filled) == [0x128ACEE0, 0x72BDB960]  # movn w0, #0x5677; movk w0, #0xedcb, lsl #16


def test_a_value_that_no_instruction_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        fill(bytearray(4), Hole(0, DISPLACEMENT, OFFSET, 0), 1 << 20)


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("i32.add", 4095, True),
        ("i32.add", -4095, True),
        ("i32.add", 0xFFFFFF, True),
        ("i32.add", 0x1000000, False),
        ("i64.add", 0x5000, True),
        ("i32.and", 0xFF, True),
        ("i32.and", -2, True),
        ("i32.and", 0, False),
        ("i32.or", 5, False),
        ("i32.eq", 4094, True),
        ("i32.eq", 4095, False),
        ("i32.lt_s", -1, True),
        ("i32.lt_u", -1, False),
        ("i64.ge_u", 0, False),
        ("i32.shl", 0, True),
        ("i32x4.shl", 0, True),
        ("i32x4.shr_u", 0, False),
        ("i32x4.shr_u", 31, True),
        ("i32.shr_u", 0, True),
    ],
)
def test_immediates_are_what_instructions_hold(name: str, value: int, accepted: bool) -> None:
    assert accepts_immediate(name, value) is accepted


def test_promises_about_values_are_those_that_hold(libraries: dict[str, TemplateLibrary]) -> None:
    library = libraries["arm64"]
    load = library.numbers["i32.load R D guard"]
    sizes = {}
    for offset in (0, 16380, 16384, 0xFFFFFC, 0x100002, 0x1000000, 0x100FFF):
        small = library.small(load, {OFFSET: offset})
        sizes[offset] = small, len(library.code(load, small=small).code)
    fits = 1 << OFFSET
    assert sizes == {
        0: (fits | AT_ZERO, 4),
        16380: (fits, 8),
        16384: (AT_ZERO, 12),
        0xFFFFFC: (AT_ZERO, 12),
        0x100002: (AT_ZERO, 12),
        0x1000000: (0, 16),
        0x100FFF: (0, 16),  # the rest is not a multiple of 4, and too large for a displacement that is none
    }
    checked = library.numbers["i64.load R D check"]
    assert library.small(checked, {OFFSET: 4096, 6: 8}) == 1 << 6 | AT_ZERO  # not the end of the access


def test_code_with_any_registers_decodes_to_these_registers(libraries: dict[str, TemplateLibrary]) -> None:
    """Every word of every template is one of the table's, and reads and writes operands, scratch and fixed registers only."""
    library = libraries["arm64"]
    machine = Arm64Processor.registers
    rng = random.Random(2)
    for number in range(len(library.keys)):
        registers = [rng.randrange(16) for _ in range(4)]
        a, b, c, d = registers
        for small in (0, 0x7F, 0xFF):
            for word in words(library.code(number, d, a, b, c, small).code):
                for register, found in decode(word).registers:
                    scratch = machine.scratch["gx".index(register.file)]
                    given = {GENERAL[each] for each in registers} if register.file == "g" else set(registers)
                    fixed = {20, 21, 22} if register.file == "g" and not register.writes else set()
                    assert found in scratch | given | fixed, (library.keys[number], hex(word))
