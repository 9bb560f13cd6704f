"""Functions' code as bytes, to be kept for other processes (`runtime.cache`), and back."""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.code import Catch, CatchKind, FunctionCode, Region, Relocation, RelocationKind

if TYPE_CHECKING:
    from collections.abc import Callable

_SITE: Final = Struct("<II")


class Sites(Sequence[tuple[int, int]]):
    """`FunctionCode.sites` as bytes. There are a hundred in a function, and only tracebacks ask for one."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data) // _SITE.size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return _SITE.unpack_from(self._data, _SITE.size * range(len(self))[index])


def packed(code: FunctionCode) -> bytes:
    """The code as bytes. It has no address in it, and depends on nothing but the module and the options."""
    fields: dict[str, Any] = {name: getattr(code, name) for name in code.__match_args__}
    return marshal.dumps(fields | {name: pack(fields[name]) for name, (pack, _) in _CONVERSIONS.items()})


def unpacked(data: bytes) -> FunctionCode:
    """The code that was packed."""
    fields = marshal.loads(data)
    return FunctionCode(**fields | {name: unpack(fields[name]) for name, (_, unpack) in _CONVERSIONS.items()})


def _pack_relocations(relocations: Sequence[Relocation]) -> Any:
    return [(offset, kind.value, operand) for offset, kind, operand in relocations]


def _unpack_relocations(found: Any) -> Sequence[Relocation]:
    return [Relocation(offset, RelocationKind(kind), operand) for offset, kind, operand in found]


def _pack_regions(regions: Sequence[Region]) -> Any:
    return [([(int(kind), *rest) for kind, *rest in catches], parent) for catches, parent in regions]


def _unpack_regions(found: Any) -> Sequence[Region]:
    return [
        Region(tuple(Catch(CatchKind(kind), *rest) for kind, *rest in catches), parent) for catches, parent in found
    ]


# What is not made of ints, strings, lists, tuples and dicts alone.
_CONVERSIONS: Final[dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]]] = {
    "code": (bytes, bytes),
    "relocations": (_pack_relocations, _unpack_relocations),
    "sites": (lambda sites: b"".join(_SITE.pack(*site) for site in sites), Sites),
    "regions": (_pack_regions, _unpack_regions),
    "covered": (dict, dict),
}
