"""`MeteredLowering`: functions that pay for what they compute, by docs/limits.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wasmine.format.instructions import INSTRUCTIONS
from wasmine.interpreter.lowering import Lowering

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.interpreter.lowering import Frame, Handler
    from wasmine.interpreter.statements import Body
    from wasmine.validation.context import Context

# They only say where others begin and end.
_FREE: Final = frozenset({"else", "end", "catch", "catch_all", "delegate"})


class _Stretch:
    """The instructions of a function or loop, without those of the loops inside: what paying once is good for.

    The lines that pay stand in `body` from `at` on. `frame` is the control frame, the one at `depth`.
    """

    __slots__ = ("at", "body", "cost", "depth", "frame")

    def __init__(self, frame: Frame, depth: int, body: Body) -> None:
        self.frame = frame
        self.depth = depth
        self.body = body
        self.at = len(body)
        self.cost = 0


class MeteredLowering(Lowering):
    """Puts out, at the start of each function and loop, what pays for the instructions up to its end."""

    def __init__(self, context: Context) -> None:
        self._stretches: list[_Stretch] = []
        super().__init__(context)
        for instruction in INSTRUCTIONS:
            self._plain[instruction.slot] = self._metered(
                self._plain[instruction.slot], 0 if instruction.name in _FREE else 1
            )

    def begin(self, position: Callable[[], int]) -> None:
        """Called by the walk before the first instruction."""
        super().begin(position)
        self._stretches.clear()
        self._open()

    def _open(self) -> None:
        self._fuel = self.need("fuel", "fuel", 0)
        stretch = _Stretch(self.frames[-1], len(self.frames) - 1, self.out)
        self._stretches.append(stretch)
        self.out += ["", ""]
        self._pay(stretch, 1)

    def _pay(self, stretch: _Stretch, more: int) -> None:
        stretch.cost += more
        stretch.body[stretch.at] = f"{self._fuel}.left -= {stretch.cost}"
        stretch.body[stretch.at + 1] = f"if {self._fuel}.left < 0: {self._fuel}.run_out({stretch.cost})"

    def _metered(self, handler: Handler, cost: int) -> Handler:
        stretches = self._stretches

        def call(*immediates: Any) -> None:
            if cost:
                self._pay(stretches[-1], cost)
            handler(*immediates)
            frames = self.frames
            innermost = stretches[-1]
            if len(frames) <= innermost.depth and len(stretches) > 1:
                stretches.pop()
            elif frames[-1].kind == "loop" and frames[-1] is not innermost.frame:
                self._open()

        return call
