"""What to run a template on: registers, values for its holes, operands."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from execution import Registers

    from wasmine.compiler.semantics import Meaning
    from wasmine.compiler.templates.forms import Shape
    from wasmine.compiler.templates.library import TemplateLibrary

_I32 = (0, 1, 2, 3, 5, 31, 32, 33, 64, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x12345678, 0x7FFFFFFE,
        0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFF7F, 0xFFFFFF80, 0xFFFFFFFE, 0xFFFFFFFF)  # fmt: skip
_I64 = (*_I32, 0xFFFFFFFF80000000, 0xFFFFFFFF7FFFFFFF, 0x100000000, 0x123456789ABCDEF, 0x7FFFFFFFFFFFFFFF,
        0x8000000000000000, 0x8000000000000001, 0xFFFFFFFFFFFFFF80, 0xFFFFFFFFFFFFFFFE, 0xFFFFFFFFFFFFFFFF)  # fmt: skip
_FLOATS = (0.0, -0.0, 0.3, 0.5, -0.5, 0.99, -0.99, 1.0, -1.0, 1.5, -1.5, 2.5, 3.5, -2.5, 3.14, 1e-30, -7.25e10, 8388607.5,
           2147483647.0, 2147483648.0, -2147483648.0, -2147483649.0, 4294967295.0, 4294967296.0, 9.2233720368547748e18,
           9.2233720368547758e18, -9.2233720368547758e18, 1.8446744073709550e19, 1.8446744073709552e19, 1e38, -1e38)  # fmt: skip


def _f32(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")


def _f64(value: float) -> int:
    return int.from_bytes(struct.pack("<d", value), "little")


_NAN32 = (0x7FC00000, 0xFFC00000, 0x7FA00001, 0xFF800001, 0x7FFFFFFF)
_NAN64 = (0x7FF8000000000000, 0xFFF8000000000000, 0x7FF4000000000001, 0xFFF0000000000001, 0x7FFFFFFFFFFFFFFF)
EXTREMES = {
    "i": _I32,
    "I": _I64,
    "f": (*map(_f32, _FLOATS), 0x7F800000, 0xFF800000, 1, 0x80000001, 0x007FFFFF, 0x7F7FFFFF, 0x4EFFFFFF, 0x4F7FFFFF,
          0xCF000001, 0x5EFFFFFF, 0x5F7FFFFF, *_NAN32),
    "F": (*map(_f64, _FLOATS), *map(_f64, (4294967295.5, 2147483647.9, -2147483648.9, 1e308)), 0x7FF0000000000000,
          0xFFF0000000000000, 1, 0x8000000000000001, 0x000FFFFFFFFFFFFF, 0x7FEFFFFFFFFFFFFF, *_NAN64),
}  # fmt: skip


def values(letter: str, rng: random.Random) -> list[int]:
    """Operands worth trying: the extremes, shuffled, and as many random ones."""
    if letter == "v":
        return [_vector(rng) for _ in range(40)]
    width = 32 if letter in "if" else 64
    found = [*EXTREMES[letter], *(rng.getrandbits(rng.choice((8, width // 2, width))) for _ in range(16))]
    rng.shuffle(found)
    return found


def _vector(rng: random.Random) -> int:
    """A vector of extremes of one lane shape, of random bits, or of bytes near each other."""
    choice = rng.randrange(7)
    if choice < 2:
        return rng.getrandbits(128)
    if choice == 2:
        return sum(rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.getrandbits(8))) << 8 * lane for lane in range(16))
    if choice == 3:
        return sum(rng.choice((0, 1, 0x7FFF, 0x8000, 0xFFFF, rng.getrandbits(16))) << 16 * lane for lane in range(8))
    letter, width = (("i", 32), ("f", 32), ("F", 64))[choice - 4]
    return sum(rng.choice(EXTREMES[letter]) << width * lane for lane in range(128 // width))


def constants(library: TemplateLibrary, shape: Shape, rng: random.Random) -> list[int]:
    """Values of an immediate operand: what the kind admits."""
    if shape.is_shift_by_constant:
        width = int(shape.name[1:].partition(".")[0].partition("x")[0])
        counts = [0, 1, width - 1, rng.randrange(width)]
        return [count for count in counts if library.accepts_immediate(shape.name, count)]
    if shape.name == "i64.const_wide!":
        return [0, 0x8000000000000000, 0x123456789ABCDEF, 0xFFFFFFFFFFFFFFFF]
    found = [0, 1, -1, 5, 100, -120, 127, 128, -128, -129, 0xFFFF, 0x7FFFFFFE, 0x7FFFFFFF, -0x80000000, -0x7FFFFFFF]
    found.append(rng.randrange(-0x80000000, 0x80000000))
    if shape.kinds != "RC" and not shape.kinds.startswith("RCR"):
        return found
    # What ARM64 has immediates for.
    found += [4094, -4094, 4095, 0x5000, -0xFFF000, 0xFFFFFF, -0x123456, 0xFF0, 0x7F8000, 0x55555555, ~0x3C, -0x10000]
    return [value for value in found if library.accepts_immediate(shape.name, value)]


def assignments(
    machine: Registers, shape: Shape, meaning: Meaning, hazards: int, rng: random.Random
) -> list[dict[str, int]]:
    """Registers for operands a to d: two choices of different ones, then every pair that may share does."""
    files = operand_files(shape, meaning)
    found = []
    for _ in range(2):
        general, vector = iter(rng.sample(machine.general, 9)), iter(rng.sample(machine.vector, 12))
        found.append({place: next(general if file == "g" else vector) for place, file in files.items()})
    places = list(files)
    for number, one in enumerate(places):
        for other in places[number + 1 :]:
            bit = 1 << 4 * "abcd".index(one) + "abcd".index(other)
            back = 1 << 4 * "abcd".index(other) + "abcd".index(one)
            if files[one] == files[other] and not hazards & (bit | back):
                found.append({**found[0], other: found[0][one]})
    return found


def operand_files(shape: Shape, meaning: Meaning) -> dict[str, str]:
    """The register file of each operand that lies in a register."""
    files = {}
    for place, kind, letter in zip("abcd", shape.kinds, meaning.params, strict=False):
        if kind in "RM":
            files[place] = "g" if letter in "aiI" or kind == "M" else "x"
    if shape.form == "D":
        files["d"] = "g" if meaning.results in "iI" else "x"
    elif len(shape.form) == 2:
        files["c"] = files["d"] = "g" if shape.form == "Sg" else "x"
    return files
