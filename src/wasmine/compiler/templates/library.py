"""The template library: how it is stored, and templates by key at run time."""

from __future__ import annotations

import pkgutil
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from wasmine.compiler.templates.expand import (
    HOLE_64,
    HOLE_NEGATED,
    SMALL_MAX,
    SMALL_MIN,
    Field,
    Hole,
    Variant,
    expand,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wasmine.compiler.templates.lift import Template
    from wasmine.compiler.templates.prepare import Prepared

LEVELS: Final = ("amd64_v3", "amd64")
"""The libraries there are: for x86-64-v3 (AVX2, BMI), and for x86-64 with SSE4.1 and POPCNT."""

_MAGIC: Final = b"wasmine templates 1\n"
_COUNTS: Final = Struct("<III")
_TEMPLATE: Final = Struct("<IHBB")
_VARIANT: Final = Struct("<BBBB")
_HOLE: Final = Struct("<BBBb")


class Code(NamedTuple):
    """A template with its registers filled in."""

    code: bytes
    holes: tuple[Hole, ...]


class TemplateLibrary:
    """The templates for one kind of processor.

    `numbers[key]` is a template's number, `code(number, ...)` its code with registers filled in. A template is unpacked
    when it is first used; what was filled in is kept in `codes`, for whoever cannot afford a call:
    `codes[packed(number, ...)]` never fails either. `small`, `fill` and `accepts_immediate` know what values the holes of
    this architecture take.
    """

    def __init__(self, data: bytes, architecture: str = "amd64") -> None:
        self.architecture = architecture
        if not data.startswith(_MAGIC):
            raise ValueError("not a template library of this version: build it again")
        self._data = data
        at = len(_MAGIC)
        length, count, constants = _COUNTS.unpack_from(data, at)
        at += _COUNTS.size
        self.keys = data[at : at + length].decode().split("\n")
        at += length
        self._templates = tuple(_TEMPLATE.iter_unpack(data[at : at + _TEMPLATE.size * count]))
        at += _TEMPLATE.size * count
        self.constants = tuple(_constants(data, at, constants))
        self._variants: dict[int, dict[int, Variant]] = {}
        self._numbers: dict[str, int] | None = None
        self.codes = Codes(self)

    @property
    def numbers(self) -> dict[str, int]:
        """Every template's number by its key."""
        if self._numbers is None:
            self._numbers = dict(zip(self.keys, range(len(self.keys)), strict=True))
        return self._numbers

    def hazards(self, number: int) -> int:
        """Which operands must not share a register: bit 4 * w + o if operand w is written before o is last read."""
        hazards: int = self._templates[number][1]
        return hazards

    def code(self, number: int, d: int = 0, a: int = 0, b: int = 0, c: int = 0, small: int = 0) -> Code:
        """A template's code with these registers for its operands.

        Bit n of `small` promises that value n lies between SMALL_MIN and SMALL_MAX, so that a byte may hold it.
        """
        return self.codes[packed(number, d, a, b, c, small)]

    def small(self, number: int, values: Mapping[int, int]) -> int:
        """What may be promised for these values of a template's holes, by their numbers."""
        small = 0
        for hole, value in values.items():
            if SMALL_MIN <= value <= SMALL_MAX:
                small |= 1 << hole
        return small

    def fill(self, code: bytearray, hole: Hole, value: int) -> None:
        """Put a value into a hole of a template's code."""
        at, kind, _, addend = hole
        if kind == HOLE_NEGATED:
            code[at] = addend - value & 255
        elif kind == HOLE_64:
            code[at : at + 8] = (value + addend & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")
        else:
            code[at : at + kind] = (value + addend & 0xFFFFFFFF).to_bytes(4, "little")[:kind]

    def accepts_immediate(self, name: str, value: int) -> bool:
        """Whether an instruction's second operand may be this constant, as kind `C`."""
        return accepts_immediate(name, value)

    def variant(self, number: int, small: int, registers: Sequence[int]) -> Variant:
        """The variant of a template for these registers and promises about its values."""
        _, _, shrinkable, bases = self._templates[number]
        choice = small & shrinkable
        if bases:
            # An address in rbp (or r13) alone has a displacement, be it 0.
            for operand in range(4):
                if bases >> operand & 1 and registers[operand] & 7 == 5:
                    choice |= 256 << operand
        variants = self._variants.get(number)
        if variants is None:
            variants = self._variants[number] = self._unpack(number)
        return variants[choice]

    def _unpack(self, number: int) -> dict[int, Variant]:
        """The variants of a template by what distinguishes them."""
        at, _, shrinkable, bases = self._templates[number]
        found = {}
        for small in subsets(shrinkable):
            for padded in subsets(bases):
                found[small | padded << 8], at = _unpack_variant(self._data, at)
        return found


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
        variant = self._library.variant(key >> 24, key >> 16 & 255, registers)
        code = self[key] = Code(*expand(variant, registers))
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
    try:
        data = pkgutil.get_data(__package__, f"{level}.bin")
    except FileNotFoundError:
        return None
    return TemplateLibrary(data, level.partition("_")[0]) if data is not None else None


# ---------------------------------------------------------------------------------------------------- the file

# The magic line; three counts (bytes of keys, templates, constants); the keys, one per line; for each template where its
# variants start in the file, its hazards, its shrinkable values and its bare bases; the constants, each as its length and
# its bytes; the variants. A wheel compresses all this.


def pack(templates: Sequence[tuple[Template, Prepared]], constants: Sequence[bytes]) -> bytes:
    """A library as it is stored."""
    keys = "\n".join(template.key for template, _ in templates).encode()
    stored = b"".join(bytes((len(constant),)) + constant for constant in constants)
    head = _MAGIC + _COUNTS.pack(len(keys), len(templates), len(constants)) + keys
    at = len(head) + _TEMPLATE.size * len(templates) + len(stored)
    table, bodies = [], []
    for template, prepared in templates:
        table.append(_TEMPLATE.pack(at, template.hazards, prepared.shrinkable, prepared.bases))
        for variant in prepared.variants:
            bodies.append(_pack_variant(variant))
            at += len(bodies[-1])
    return b"".join((head, *table, stored, *bodies))


def _pack_variant(variant: Variant) -> bytes:
    code, length, fields, prefixes, holes = variant
    return b"".join(
        (
            _VARIANT.pack(length, len(fields), len(prefixes), len(holes)),
            code.to_bytes(length, "little"),
            *(
                bytes((operand,)) + low.to_bytes(length, "little") + high.to_bytes(length, "little")
                for operand, low, high in fields
            ),
            bytes(prefixes),
            *(_HOLE.pack(*hole) for hole in holes),
        )
    )


def _unpack_variant(data: bytes, at: int) -> tuple[Variant, int]:
    """The variant that starts at `at`, and where it ends."""
    length, field_count, prefix_count, hole_count = _VARIANT.unpack_from(data, at)
    at += _VARIANT.size
    number = int.from_bytes
    code = number(data[at : at + length], "little")
    at += length
    fields = []
    for _ in range(field_count):
        middle, end = at + 1 + length, at + 1 + 2 * length
        fields.append(Field(data[at], number(data[at + 1 : middle], "little"), number(data[middle:end], "little")))
        at = end
    prefixes = tuple(data[at : at + prefix_count])
    at += prefix_count
    end = at + _HOLE.size * hole_count
    holes = tuple(map(Hole._make, _HOLE.iter_unpack(data[at:end])))
    return Variant(code, length, tuple(fields), prefixes, holes), end


def _constants(data: bytes, at: int, count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]


def subsets(bits: int) -> Iterator[int]:
    """Every subset of some bits, in ascending order."""
    subset = 0
    while True:
        yield subset
        if subset == bits:
            return
        subset = subset - bits & bits
