"""The name section: names for people. Nothing depends on them, so what is malformed in one is dropped silently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from wasmine.errors import DecodeError
from wasmine.format.cursor import Cursor
from wasmine.format.leb128 import unsigned
from wasmine.format.module import Names
from wasmine.format.writer import name, sized, vector

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.module import IndirectNameMap, NameMap

SECTION: Final = "name"


def read_names(data: bytes) -> Names:
    """The names in the content of a name section. A malformed or unknown subsection is ignored."""
    names = Names()
    cursor = Cursor(data)
    while cursor.position < cursor.end:
        try:
            subsection = _SUBSECTIONS.get(cursor.byte())
            content = Cursor(cursor.sized())
        except DecodeError:
            break
        if subsection is None:
            continue
        try:
            value = subsection.read(content)
        except DecodeError:
            continue
        if content.position == content.end:
            setattr(names, subsection.field, value)
    return names


def write_names(names: Names) -> bytes:
    """The content of a name section."""
    parts = []
    for number, subsection in _SUBSECTIONS.items():
        value = getattr(names, subsection.field)
        if value is not None and value != {}:
            parts.append(bytes((number,)) + sized(subsection.write(value)))
    return b"".join(parts)


def _read_map(cursor: Cursor) -> NameMap:
    return {cursor.u32(): cursor.name() for _ in range(cursor.count("names"))}


def _read_indirect_map(cursor: Cursor) -> IndirectNameMap:
    return {cursor.u32(): _read_map(cursor) for _ in range(cursor.count("names"))}


def _write_map(names: NameMap) -> bytes:
    return vector([unsigned(index) + name(text) for index, text in sorted(names.items())])


def _write_indirect_map(names: IndirectNameMap) -> bytes:
    return vector([unsigned(index) + _write_map(inner) for index, inner in sorted(names.items())])


class _Subsection(NamedTuple):
    """The field of `Names` that a subsection fills, and its encoding."""

    field: str
    read: Callable[[Cursor], Any]
    write: Callable[[Any], bytes]


def _map(field: str) -> _Subsection:
    return _Subsection(field, _read_map, _write_map)


def _indirect(field: str) -> _Subsection:
    return _Subsection(field, _read_indirect_map, _write_indirect_map)


_SUBSECTIONS: Final = {
    0: _Subsection("module", Cursor.name, name),
    1: _map("functions"),
    2: _indirect("locals"),
    3: _indirect("labels"),
    4: _map("types"),
    5: _map("tables"),
    6: _map("memories"),
    7: _map("globals"),
    8: _map("elements"),
    9: _map("data"),
    10: _indirect("fields"),
    11: _map("tags"),
}
