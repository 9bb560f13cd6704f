"""`locate`: which instruction of a function ends at an offset. Engines that note ends only say with it what trapped."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from wasmine.format.instructions import INSTRUCTIONS, SLOTS
from wasmine.record import record
from wasmine.validation.walk import walk_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.validation.context import Context


@record
class Located:
    """An instruction: its offset in the binary, its name, and what visitors of the typed walk get of its immediates."""

    offset: int
    name: str
    arguments: tuple[Any, ...] = ()


class _Search(Exception):
    """A visitor, which raises itself when it has found the instruction."""

    wants_unreachable = True

    def __init__(self, end: int) -> None:
        self._end = end
        self._position: Callable[[], int] = int
        self._offset = 0
        self.found: Located | None = None
        self.handlers: list[Callable[..., None]] = [partial(self._visit, "")] * SLOTS
        for instruction in INSTRUCTIONS:
            self.handlers[instruction.slot] = partial(self._visit, instruction.name)

    def begin(self, position: Callable[[], int]) -> None:
        """Called by the walk before the first instruction."""
        self._position = position
        self._offset = position()

    def _visit(self, name: str, *arguments: Any) -> None:
        end = self._position()
        if end == self._end:
            self.found = Located(self._offset, name, arguments)
            raise self
        self._offset = end


def locate(context: Context, index: int, end: int) -> Located | None:
    """The instruction of function `index`, which is valid, that ends at offset `end`; None if there is none."""
    search = _Search(end)
    with suppress(_Search):
        walk_function(context, index, search)
    return search.found
