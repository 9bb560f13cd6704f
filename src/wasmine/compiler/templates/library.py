"""The template library: how it is stored, and templates by key at run time."""

from __future__ import annotations

import importlib
import pkgutil
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from wasmine.compiler.templates.expand import Field, Hole, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wasmine.compiler.templates.architecture import Prepared, Template
    from wasmine.compiler.templates.expand import Filling

LEVELS: Final = ("amd64_v3", "amd64", "arm64")
"""The libraries there are: for x86-64-v3 (AVX2, BMI), for x86-64 with SSE4.1 and POPCNT, for ARMv8.0."""

MAGICS: Final = {"amd64": b"wasmine templates 1\n", "arm64": b"wasmine templates 1 arm64\n"}
"""How the files of an architecture begin."""

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

    def __init__(self, data: bytes) -> None:
        end = data.find(b"\n") + 1
        names = [name for name, magic in MAGICS.items() if data[:end] == magic]
        if not names:
            raise ValueError("not a template library of this version: build it again")
        self.architecture = names[0]
        self._filling: Filling = importlib.import_module(f"{__package__}.{names[0]}.filling")
        self._data = data
        at = end
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

        `small` are promises about the values of its holes, which make it shorter: see `small`.
        """
        return self.codes[packed(number, d, a, b, c, small)]

    def small(self, number: int, values: Mapping[int, int]) -> int:
        """The promises that can be made about values, by their numbers: for the argument `small` of `code`.

        Bit n says that value n fits wherever the template's shortest code has it. Bit 7 says that the static offset is 0.
        """
        shrinkable: int = self._templates[number][2]
        return self._filling.small(self._variants_of(number)[0], values) & shrinkable

    def fill(self, code: bytearray, hole: Hole, value: int) -> None:
        """Puts a value into a hole of a template's code; not for the distances of branches, traps and constants."""
        self._filling.fill(code, hole, value)

    def accepts_immediate(self, name: str, value: int) -> bool:
        """Whether an integer instruction's second operand may be this constant, as kind `C`."""
        return self._filling.accepts_immediate(name, value)

    def expanded(self, number: int, registers: Sequence[int], small: int) -> Code:
        """The same as `code`, made anew, registers of operand 0 first."""
        _, _, shrinkable, bases = self._templates[number]
        choice = self._filling.choice(small, registers, shrinkable, bases)
        return Code(*self._filling.expand(self._variants_of(number)[choice], registers, small))

    def _variants_of(self, number: int) -> dict[int, Variant]:
        """The variants of a template by what distinguishes them."""
        found = self._variants.get(number)
        if found is None:
            at, _, shrinkable, bases = self._templates[number]
            found = {}
            for choice in self._filling.choices(shrinkable, bases):
                found[choice], at = _unpack_variant(self._data, at)
            self._variants[number] = found  # when it is whole: a signal handler may end this at any place
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
        code = self[key] = self._library.expanded(key >> 24, registers, key >> 16 & 255)
        return code


def load(level: str) -> TemplateLibrary | None:
    """The library of a level, or None where the package was made without."""
    try:
        data = pkgutil.get_data(__package__, f"{level}.bin")
    except FileNotFoundError:
        return None
    return TemplateLibrary(data) if data is not None else None


# ---------------------------------------------------------------------------------------------------- the file

# The magic line; three counts (bytes of keys, templates, constants); the keys, one per line; for each template where its
# variants start in the file, its hazards, its shrinkable values and its bare bases; the constants, each as its length and
# its bytes; the variants. A wheel compresses all this.


def pack(architecture: str, templates: Sequence[tuple[Template[Any], Prepared]], constants: Sequence[bytes]) -> bytes:
    """A library as it is stored."""
    keys = "\n".join(template.key for template, _ in templates).encode()
    stored = b"".join(bytes((len(constant),)) + constant for constant in constants)
    head = MAGICS[architecture] + _COUNTS.pack(len(keys), len(templates), len(constants)) + keys
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
