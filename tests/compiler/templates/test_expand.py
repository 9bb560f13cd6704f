"""Filling registers into stored templates gives what the encoder would write for them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from execution_amd64 import Amd64Processor

from wasmine.compiler.templates.amd64.encode import assemble
from wasmine.compiler.templates.amd64.filling import expand
from wasmine.compiler.templates.amd64.prepare import shrinkable
from wasmine.compiler.templates.expand import Field, Hole, Variant

if TYPE_CHECKING:
    from wasmine.compiler.templates.architecture import Template
    from wasmine.compiler.templates.library import TemplateLibrary


def variant(code: str, *fields: Field, prefixes: tuple[int, ...] = (), holes: tuple[Hole, ...] = ()) -> Variant:
    data = bytes.fromhex(code)
    return Variant(int.from_bytes(data, "little"), len(data), fields, prefixes, holes)


def test_registers_are_filled_in_by_exclusive_or() -> None:
    add = variant("40 01 c0", Field(0, 1 << 16, 1 << 0), Field(1, 8 << 16, 4 << 0))
    assert expand(add, (7, 14))[0] == bytes.fromhex("44 01 f7")


def test_needless_prefixes_are_dropped_and_holes_move_up() -> None:
    add = variant("40 81 c0 00000000", Field(0, 1 << 16, 1), prefixes=(0,), holes=(Hole(3, 4, 1, 0),))
    assert expand(add, (6,)) == (bytes.fromhex("81 c6 00000000"), (Hole(2, 4, 1, 0),))
    assert expand(add, (9,)) == (bytes.fromhex("41 81 c1 00000000"), (Hole(3, 4, 1, 0),))


def test_a_long_vector_prefix_becomes_a_short_one() -> None:
    add = variant("c4 e1 79 fe c0", Field(0, 1 << 32, 0x20 << 8), prefixes=(0,))
    assert expand(add, (3,))[0] == bytes.fromhex("c5 f9 fe c3")
    assert expand(add, (11,))[0] == bytes.fromhex("c4 c1 79 fe c3")


@pytest.mark.parametrize("level", ["amd64_v3", "amd64"])
def test_what_is_stored_for_every_template_gives_the_encoder_s_code(
    level: str, libraries: dict[str, TemplateLibrary], lifted: dict[str, tuple[list[Template], list[bytes]]]
) -> None:
    rng = random.Random(level)
    library = libraries[level]
    longer = 0
    for number, template in enumerate(lifted[level][0]):
        for files in (Amd64Processor.registers.general, Amd64Processor.registers.vector) * 3:
            registers = [rng.choice([register for register in files if register not in (4, 12)]) for _ in range(4)]
            small = rng.getrandbits(5) & shrinkable(template)
            a, b, c, d = registers
            code, holes = library.code(number, d, a, b, c, small)
            shortest = assemble(template.instructions, registers, small)
            if code == shortest.code:
                assert holes == shortest.holes
                continue
            # A prefix stays where only some byte registers need it, and where jumps inside count on it.
            longer += 1
            assert len(shortest.code) < len(code)
            assert [hole[1:] for hole in holes] == [hole[1:] for hole in shortest.holes]
    assert longer < len(lifted[level][0])
