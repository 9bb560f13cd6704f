"""`Meter`: what code pays for with fuel, by docs/limits.md. It goes along with a visitor of the typed walk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from wasmine.format.instructions import INSTRUCTIONS, SLOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Handler = Callable[..., object]

Place = TypeVar("Place")

# They only say where others begin and end.
_FREE: Final = frozenset({"else", "catch", "catch_all"})
_OPENING: Final = frozenset({"block", "if", "try", "try_table"})
_CLOSING: Final = frozenset({"end", "delegate"})


class Meter(Generic[Place]):
    """Adds up what functions and loops cost: their instructions, without those of the loops inside, and one unit more.

    `opened` is called where a function or loop begins, behind the visitor's own `begin` or its handler of the loop, and
    returns whatever says where that was. `settled` gets this and the cost, before the handler of the `end`.
    """

    def __init__(self, opened: Callable[[], Place], settled: Callable[[Place, int], None]) -> None:
        self._opened = opened
        self._settled = settled
        self._depth = 0
        self._costs: list[int] = []  # of the function and of the loops around the code, innermost last
        self._places: list[tuple[int, Place]] = []  # how deep in blocks each of them lies, and where

    def begin(self) -> None:
        """A function begins."""
        self._depth = 0
        self._costs[:] = (1,)
        self._places[:] = ((0, self._opened()),)

    def handlers(self, given: Sequence[Handler]) -> list[Handler]:
        """Handlers that count, and then call those that `given` has at that time."""
        made = [self._paid(slot, given) for slot in range(SLOTS)]
        for instruction in INSTRUCTIONS:
            name, slot = instruction.name, instruction.slot
            if name in _FREE:
                made[slot] = self._free(slot, given)
            elif name in _OPENING:
                made[slot] = self._opening(slot, given)
            elif name in _CLOSING:
                made[slot] = self._closing(slot, given)
            elif name == "loop":
                made[slot] = self._loop(slot, given)
        return made

    def _paid(self, slot: int, given: Sequence[Handler]) -> Handler:
        costs = self._costs

        def handle(*arguments: Any) -> None:
            costs[-1] += 1
            given[slot](*arguments)

        return handle

    @staticmethod
    def _free(slot: int, given: Sequence[Handler]) -> Handler:
        def handle(*arguments: Any) -> None:
            given[slot](*arguments)

        return handle

    def _opening(self, slot: int, given: Sequence[Handler]) -> Handler:
        def handle(*arguments: Any) -> None:
            self._costs[-1] += 1
            self._depth += 1
            given[slot](*arguments)

        return handle

    def _loop(self, slot: int, given: Sequence[Handler]) -> Handler:
        def handle(*arguments: Any) -> None:
            self._costs[-1] += 1
            self._depth += 1
            given[slot](*arguments)
            self._costs.append(1)
            self._places.append((self._depth, self._opened()))

        return handle

    def _closing(self, slot: int, given: Sequence[Handler]) -> Handler:
        def handle(*arguments: Any) -> None:
            depth, place = self._places[-1]
            if depth == self._depth:
                self._settled(place, self._costs.pop())
                self._places.pop()
            self._depth -= 1
            given[slot](*arguments)

        return handle
