"""`MeteredLowering`: functions that pay for what they compute, by docs/limits.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.interpreter.lowering import Lowering
from wasmine.validation.metering import Meter

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.interpreter.statements import Body
    from wasmine.validation.context import Context

_COST: Final = "COST"
"""What stands for a cost until it is known."""


class MeteredLowering(Lowering):
    """Puts out, at the start of each function and loop, what pays for the instructions up to its end."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._meter = Meter(self._opened, self._settled)
        self._plain = self._meter.handlers(self._plain)

    def begin(self, position: Callable[[], int]) -> None:
        """Called by the walk before the first instruction."""
        super().begin(position)
        self._meter.begin()

    def _opened(self) -> tuple[Body, int]:
        fuel = self.need("fuel", "fuel", 0)
        note = self.note()
        self.out += [f"{fuel}.left -= {_COST}{note}", f"if {fuel}.left < 0: {fuel}.run_out({_COST}){note}"]
        return self.out, len(self.out) - 2

    @staticmethod
    def _settled(place: tuple[Body, int], cost: int) -> None:
        body, at = place
        for i in (at, at + 1):
            line = body[i]
            assert isinstance(line, str)
            body[i] = line.replace(_COST, str(cost))
