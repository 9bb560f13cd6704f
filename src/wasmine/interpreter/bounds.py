"""What is known of the values of integer locals at a place: bounds narrower than their types'.

Bounds come from assignments (`l3 = m0[l1]` is at most 255) and from conditions (`l1 < l0` leaves `l1` below 2^32 - 1, so
that `l1 + 1` needs no mask). Within straight code they are simply kept up to date; where control flow joins, bounds of
locals that were assigned on the way are dropped. At the head of a loop that would be all that the loop counts with: so a
pass over a function notes, per loop, what is assigned in it and what holds where it starts again, and if that is worth
anything, a second pass starts loops with the bounds that hold both at the entry and at every return to the head.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from wasmine.interpreter.operand import local_bit

Range: TypeAlias = tuple[int, int]
Bounds: TypeAlias = dict[int, Range]

# Of no more locals is anything known at a place, for bounds are copied at every block.
_MOST: Final = 64


class LoopBounds:
    """Of a loop: bounds at the entry, bounds that hold at every branch to the head (None without one), what it assigns."""

    __slots__ = ("assigned", "entry", "returning")

    def __init__(self, entry: Bounds) -> None:
        self.entry = entry
        self.returning: Bounds | None = None
        self.assigned = 0

    def returns(self, bounds: Bounds) -> None:
        """A branch to the head."""
        self.returning = dict(bounds) if self.returning is None else _joined(self.returning, bounds)

    @property
    def useful(self) -> bool:
        """Whether a second pass would know more at the head."""
        returning = self.returning or {}
        return any(index in returning and self.assigned & local_bit(index) for index in self.entry)


class LocalBounds:
    """The bounds at the current place, by local (`at`), and the loops of the pass in order.

    `known` are the loops of the first pass.
    """

    def __init__(self, known: list[LoopBounds] | None = None) -> None:
        self.at: Bounds = {}
        self.loops: list[LoopBounds] = []
        self._known = known

    def enter_loop(self) -> LoopBounds:
        """At the head of a loop."""
        loop = LoopBounds(self.at)
        self.loops.append(loop)
        if self._known is None:
            self.at = {}
            return loop
        known = self._known[len(self.loops) - 1]
        self.at = without(self.at, known.assigned) | _joined(loop.entry, known.returning or {})
        return loop

    def set(self, index: int, low: int, high: int) -> None:
        """A local was assigned a value within these bounds."""
        if index in self.at or len(self.at) < _MOST:
            self.at[index] = (low, high)

    def forget(self, index: int) -> None:
        """A local was assigned a value of which nothing is known."""
        self.at.pop(index, None)


def without(bounds: Bounds, assigned: int) -> Bounds:
    """The bounds that hold whatever the locals with these bits were assigned."""
    return {index: range for index, range in bounds.items() if not assigned & local_bit(index)}


def _joined(one: Bounds, other: Bounds) -> Bounds:
    """The bounds that hold where two ways join."""
    return {
        index: (min(low, other[index][0]), max(high, other[index][1]))
        for index, (low, high) in one.items()
        if index in other
    }


class Test:
    """What a condition says of a local: bounds if it holds and if it does not, None for nothing."""

    __slots__ = ("fails", "holds", "index")

    def __init__(self, index: int, holds: Range | None, fails: Range | None) -> None:
        self.index = index
        self.holds = holds
        self.fails = fails

    def narrowed(self, bounds: Bounds, truth: bool) -> Bounds:
        """The bounds where the condition has this truth."""
        found = self.holds if truth else self.fails
        if found is None:
            return bounds
        low, high = found
        if self.index in bounds:
            low, high = max(low, bounds[self.index][0]), min(high, bounds[self.index][1])
        elif len(bounds) >= _MOST:
            return bounds
        # Where they contradict each other control never comes; any bounds will do.
        return {**bounds, self.index: (low, max(low, high))}
