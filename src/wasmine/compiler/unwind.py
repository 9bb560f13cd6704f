"""Walking the native stack of a call into wasm: the wasm call stack of a trap, and who catches an exception.

Frames have no frame pointers. A return address says by its function how far above it the next one lies.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from wasmine.compiler.machine import architecture, glue
from wasmine.compiler.module import placed_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wasmine.compiler.module import Place


T = TypeVar("T")

_AT_A_TIME: Final = 8


class _Words(Protocol):
    """Numbers by index."""

    def __getitem__(self, index: int, /) -> int: ...


@functools.cache
def _ways() -> tuple[dict[int, int], int, int]:
    """Return addresses into the blob with the sizes of the frames there, that of a switch of instances, and the end."""
    symbols, machine = glue.load().symbols, architecture.host()
    between = {symbols[name]: machine.HOST_FRAME for name in ("host_returned", "service_returned", "compile_returned")}
    other = symbols["other_return"]
    between[other] = machine.OTHER_FRAME
    return between, other, symbols["enter_returned"]


def walk(
    pc: int, context: int, words: _Words, at: int, end: int, most: int, owner: Callable[[int], T]
) -> list[tuple[Place, int, T]]:
    """The innermost frames of wasm functions, from a place in code and the VM context there: the place in each, its native
    stack pointer, and what `owner` says of its context. They begin with the innermost one.

    Stack pointers are indices of `words`, the native stack: here it is `at`. From `end` on they are not known.
    """
    between, other, entered = _ways()
    find = placed_code.places.get
    found: list[tuple[Place, int, T]] = []
    known = 0
    while True:
        place = find(pc)
        if place is None:
            size = between.get(pc)
            if size is not None:
                if pc == other and at < end:
                    context = words[at]
                at += size >> 3
            else:
                place = placed_code.place(pc)
                if place is None:
                    return found
        if place is not None:
            if len(found) == most:
                return found
            if context != known:
                whose = owner(context)
                known = context
            found.append((place, at, whose))
            at += place.frame_words
        if at >= end:
            return found
        pc = words[at]
        if pc == entered:
            return found
        at += 1


def walk_all(pc: int, context: int, words: _Words, at: int, end: int) -> Iterator[tuple[Place, int, int]]:
    """The same of all frames with their contexts, a few at a time."""
    found = walk(pc, context, words, at, end, _AT_A_TIME, int)
    while found:
        yield from found
        place, at, context = found[-1]
        found = walk(place.pc, context, words, at, end, _AT_A_TIME, int)[1:]
