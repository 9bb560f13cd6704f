"""Custom sections in the text format: `(@custom "name" (before|after SECTION)? "data"*)`, and where sections go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from wasmine.errors import DecodeError
from wasmine.format.module import ORDER, CustomSection, Section
from wasmine.format.text import literals

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# What annotations call the sections; `first` and `last` stand for both ends of the module.
_SECTIONS: Final = {
    "type": Section.TYPE,
    "import": Section.IMPORT,
    "func": Section.FUNCTION,
    "table": Section.TABLE,
    "memory": Section.MEMORY,
    "tag": Section.TAG,
    "global": Section.GLOBAL,
    "export": Section.EXPORT,
    "start": Section.START,
    "elem": Section.ELEMENT,
    "datacount": Section.DATA_COUNT,
    "code": Section.CODE,
    "data": Section.DATA,
}
_PLACES: Final = {("before", "first"): -1, ("after", "last"): 2 * len(ORDER)} | {
    (side, name): 2 * ORDER.index(section) + (side == "after")
    for name, section in _SECTIONS.items()
    for side in ("before", "after")
}
LAST: Final = _PLACES["after", "last"]
BEFORE_CODE: Final = _PLACES["before", "code"]


class Custom(NamedTuple):
    """A custom section. `place` is even before a section of `ORDER` (twice its position) and odd after it."""

    place: int
    name: str
    data: bytes


def custom_section(tokens: Sequence[str]) -> Custom:
    """What the tokens inside a `@custom` annotation say. DecodeError (without a place) if they are malformed."""
    try:
        name = literals.name(tokens[0]) if tokens else None
    except DecodeError as error:
        raise _error(error.reason) from None
    if name is None:
        raise _error("missing section name: expected a string first")
    place = LAST
    rest = tokens[1:]
    if rest and rest[0] == "(":
        place, rest = _placement(rest[1:4]), rest[4:]
    data = [literals.string(token) for token in rest]
    if None in data:
        raise _error("unexpected token: expected strings")
    return Custom(place, name, b"".join(part or b"" for part in data))


def _placement(tokens: Sequence[str]) -> int:
    side, section, end = (*tokens, "", "", "")[:3]
    if side not in ("before", "after"):
        raise _error("malformed placement: expected (before SECTION) or (after SECTION)")
    place = _PLACES.get((side, section))
    if place is None:
        raise _error(f"malformed section kind: expected first or last, or one of {', '.join(_SECTIONS)}")
    if end != ")":
        raise _error("unexpected token: expected ) after the section kind")
    return place


def _error(reason: str) -> DecodeError:
    return DecodeError(f"@custom annotation: {reason}")


def placed(customs: Sequence[Custom], present: Collection[Section]) -> tuple[CustomSection, ...]:
    """The custom sections in their order, each after a section that is `present` in the module."""
    sections = [(2 * position, section) for position, section in enumerate(ORDER) if section in present]
    result = []
    for custom in sorted(customs, key=lambda custom: custom.place):
        before = [section for position, section in sections if position < custom.place]
        result.append(CustomSection(custom.name, custom.data, before[-1] if before else None))
    return tuple(result)
