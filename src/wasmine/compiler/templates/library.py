"""The template library: how it is stored, and templates by key at run time."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from wasmine.compiler.templates.expand import Hole, Instruction, expand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.templates.lift import Template

LEVELS: Final = ("amd64_v3", "amd64")
"""The libraries there are: for x86-64-v3 (AVX2, BMI), and for x86-64 with SSE4.1 and POPCNT."""

_MAGIC: Final = b"wasmine templates 1\n"
_INSTRUCTION: Final = Struct("<10BiBqBBB")
_COUNTS: Final = Struct("<III")


class Code(NamedTuple):
    """A template with its registers filled in."""

    code: bytes
    holes: tuple[Hole, ...]


class TemplateLibrary:
    """The templates for one kind of processor.

    `numbers[key]` is a template's number, `code(number, ...)` its code with registers filled in. Instructions are
    unpacked when a template is first used; what was filled in is kept in `codes`, for whoever cannot afford a call:
    `codes[packed(number, ...)]` never fails either.
    """

    def __init__(self, data: bytes) -> None:
        self.keys, self._starts, self._hazards, self.constants, self._instructions = unpack(data)
        self._numbers: dict[str, int] | None = None
        self.codes = Codes(self)

    @property
    def numbers(self) -> dict[str, int]:
        """Every template's number by its key."""
        if self._numbers is None:
            self._numbers = dict(zip(self.keys, range(len(self.keys)), strict=True))
        return self._numbers

    def instructions(self, number: int) -> tuple[Instruction, ...]:
        """The instructions of a template, their fields open."""
        start, end = self._starts[number], self._starts[number + 1]
        size = _INSTRUCTION.size
        return tuple(map(Instruction._make, _INSTRUCTION.iter_unpack(self._instructions[start * size : end * size])))

    def hazards(self, number: int) -> int:
        """Which operands must not share a register: bit 4 * w + o if operand w is written before o is last read."""
        return self._hazards[number]

    def code(self, number: int, d: int = 0, a: int = 0, b: int = 0, c: int = 0, small: int = 0) -> Code:
        """A template's code with these registers for its operands.

        Bit n of `small` promises that value n lies between SMALL_MIN and SMALL_MAX, so that a byte may hold it.
        """
        return self.codes[packed(number, d, a, b, c, small)]


def packed(number: int, d: int = 0, a: int = 0, b: int = 0, c: int = 0, small: int = 0) -> int:
    """A template and all choices about it as one int."""
    return number << 24 | small << 16 | d << 12 | a << 8 | b << 4 | c


class Codes(dict[int, Code]):
    """Codes by what `packed` returns; what is missing is made."""

    def __init__(self, library: TemplateLibrary) -> None:
        super().__init__()
        self._library = library

    def __missing__(self, key: int) -> Code:
        registers = (key >> 8 & 15, key >> 4 & 15, key & 15, key >> 12 & 15)
        instructions = self._library.instructions(key >> 24)
        code = self[key] = Code(*expand(instructions, registers, key >> 16 & 255))
        return code


def accepts_immediate(name: str, value: int) -> bool:
    """Whether an integer instruction's second operand may be this constant, as kind `C`.

    It must fit in 32 bits with a sign. LLVM compares with the next constant where that is shorter, so the limits of the
    comparison's order are out: there the result is the same whatever the first operand is, or an equality.
    """
    if not -0x80000000 <= value < 0x80000000:
        return False
    operation = name.partition(".")[2]
    if operation[:2] not in ("lt", "gt", "le", "ge"):
        return True
    return value not in (-0x80000000, 0x7FFFFFFF) and (operation[-1] == "s" or value not in (-1, 0))


def load(level: str) -> TemplateLibrary | None:
    """The library of a level, or None where the package was made without."""
    path = Path(__file__).parent / f"{level}.bin"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return TemplateLibrary(data)


# The file, which a wheel compresses: the magic line, three counts (bytes of keys, templates, constants), the keys, one
# per line, then for each template the number of its first instruction (4 bytes, one more for the end) and its hazards
# (2 bytes), the constants, each as its length and its bytes, and the instructions.


def pack(templates: Sequence[Template], constants: Sequence[bytes]) -> bytes:
    """A library as it is stored."""
    keys = "\n".join(template.key for template in templates).encode()
    starts = [0]
    for template in templates:
        starts.append(starts[-1] + len(template.instructions))
    body = b"".join(
        (
            _COUNTS.pack(len(keys), len(templates), len(constants)),
            keys,
            b"".join(start.to_bytes(4, "little") for start in starts),
            b"".join(template.hazards.to_bytes(2, "little") for template in templates),
            b"".join(bytes((len(constant),)) + constant for constant in constants),
            b"".join(_INSTRUCTION.pack(*instruction) for t in templates for instruction in t.instructions),
        )
    )
    return _MAGIC + body


def unpack(data: bytes) -> tuple[list[str], Sequence[int], Sequence[int], tuple[bytes, ...], bytes]:
    """Keys, starts, hazards, constants and packed instructions of a stored library; ValueError if it is none."""
    if not data.startswith(_MAGIC):
        raise ValueError("not a template library of this version: build it again")
    body = data[len(_MAGIC) :]
    length, count, constant_count = _COUNTS.unpack_from(body)
    at = _COUNTS.size
    keys = body[at : at + length].decode().split("\n")
    at += length
    starts = _array("I", body[at : at + 4 * count + 4])
    at += 4 * count + 4
    hazards = _array("H", body[at : at + 2 * count])
    at += 2 * count
    constants = []
    for _ in range(constant_count):
        size = body[at]
        constants.append(body[at + 1 : at + 1 + size])
        at += 1 + size
    return keys, starts, hazards, tuple(constants), body[at:]


def _array(code: str, data: bytes) -> array[int]:
    numbers = array(code, data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
