"""Reads what LLVM wrote: the functions of a relocatable ELF file, their relocations, and the constants they refer to."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = Struct("<16xHHIQQQIHHHHHH")
_SECTION = Struct("<IIQQQQIIQQ")
_SYMBOL = Struct("<IBBHQQ")
_RELOCATION = Struct("<QQq")


@dataclass(frozen=True, slots=True)
class Relocation:
    """A place in a function's code that the linker would fill: offset, ELF type, symbol and addend."""

    offset: int
    type: int
    symbol: str
    addend: int


@dataclass(frozen=True, slots=True)
class Function:
    """The code of one function and its relocations, in order."""

    name: str
    code: bytes
    relocations: tuple[Relocation, ...]


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """The functions of the file by name and the constants by symbol."""

    functions: dict[str, Function]
    constants: dict[str, bytes]


def read_object(data: bytes) -> ObjectFile:
    """The parts of an object file that the lifter needs; ValueError for code outside `.text`."""
    sections = list(_sections(data))
    names = [name for name, *_ in sections]
    text_index = names.index(".text")
    _, text_offset, text_size, _ = sections[text_index]
    text = data[text_offset : text_offset + text_size]
    symbols = list(_symbols(data, sections))
    constants: dict[str, bytes] = {}
    relocations = sorted(_relocations(data, sections, symbols, constants), key=lambda relocation: relocation.offset)
    offsets = [relocation.offset for relocation in relocations]
    functions = {}
    for name, section, value, size in symbols:
        if section == text_index and name.startswith("t") and size:
            first, last = bisect.bisect_left(offsets, value), bisect.bisect_left(offsets, value + size)
            own = tuple(Relocation(r.offset - value, r.type, r.symbol, r.addend) for r in relocations[first:last])
            functions[name] = Function(name, text[value : value + size], own)
        elif name.startswith(".LCPI"):
            constants[name] = _constant(data, sections[section], value)
    return ObjectFile(functions, constants)


def _constant(data: bytes, section: tuple[str, int, int, int], at: int) -> bytes:
    name, offset, _, entry = section
    if not name.startswith(".rodata.cst"):
        raise ValueError(f"a constant lies in {name}, not among mergeable constants")
    return data[offset + at : offset + at + entry]


def _sections(data: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Name, file offset, size and size of an entry of each section."""
    fields = _HEADER.unpack_from(data)
    table, count, names_index = fields[5], fields[11], fields[12]
    rows = [_SECTION.unpack_from(data, table + _SECTION.size * index) for index in range(count)]
    names = rows[names_index][4]
    for row in rows:
        yield _string(data, names + row[0]), row[4], row[5], row[9]


def _symbols(data: bytes, sections: list[tuple[str, int, int, int]]) -> Iterator[tuple[str, int, int, int]]:
    """Name, section, value and size of each symbol."""
    by_name = {name: (offset, size) for name, offset, size, _ in sections}
    offset, size = by_name[".symtab"]
    strings = by_name[".strtab"][0]
    for name, _, _, section, value, length in _SYMBOL.iter_unpack(data[offset : offset + size]):
        yield _string(data, strings + name), section, value, length


def _relocations(
    data: bytes,
    sections: list[tuple[str, int, int, int]],
    symbols: list[tuple[str, int, int, int]],
    constants: dict[str, bytes],
) -> Iterator[Relocation]:
    """The relocations. Constants that only a section and an addend name get a symbol of their own."""
    for name, offset, size, _ in sections:
        if name == ".rela.text":
            for place, info, addend in _RELOCATION.iter_unpack(data[offset : offset + size]):
                symbol, section, _, _ = symbols[info >> 32]
                if not symbol:
                    symbol = f".LCPI{section}_{addend}"
                    constants[symbol] = _constant(data, sections[section], addend)
                    addend = 0
                yield Relocation(place, info & 0xFFFFFFFF, symbol, addend)


def _string(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()
