"""Code of functions as bytes and back."""

from __future__ import annotations

from bisect import bisect_right

from wasmine.compiler.code import Catch, CatchKind, FunctionCode, Region, Relocation, RelocationKind
from wasmine.compiler.storage import packed, unpacked

CODE = FunctionCode(
    7,
    b"code",
    [Relocation(3, RelocationKind.FUNCTION, 5), Relocation(9, RelocationKind.SYMBOL, "call_host")],
    [(0, 100), (4, 2**32 - 1), (9, 7)],
    16,
    24,
    (Region((Catch(CatchKind.CATCH_REF, 1, 30, 8), Catch(CatchKind.CATCH_ALL, None, 40, 8)), None), Region((), 0)),
    {12: 0, 20: 1},
)


def test_nothing_is_lost() -> None:
    found = unpacked(packed(CODE))
    for name in FunctionCode.__match_args__:
        before, after = getattr(CODE, name), getattr(found, name)
        assert list(after) == list(before) if name in ("sites", "regions", "relocations") else after == before
    assert [type(relocation.kind) for relocation in found.relocations] == [RelocationKind] * 2
    assert type(found.regions[0].catches[0].kind) is CatchKind


def test_sites_are_searched_and_sliced_like_a_list() -> None:
    sites = unpacked(packed(CODE)).sites
    assert (len(sites), sites[0], sites[-1], sites[1:]) == (3, (0, 100), (9, 7), [(4, 2**32 - 1), (9, 7)])
    assert [bisect_right(sites, offset, key=lambda site: site[0]) for offset in (0, 3, 4, 8, 9, 99)] == [
        1,
        1,
        2,
        2,
        3,
        3,
    ]
