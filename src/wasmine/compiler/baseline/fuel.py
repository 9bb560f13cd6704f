"""Paying with fuel: at the start of functions and loops, where a module's code is metered (`ContextLayout.fuel`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wasmine.compiler.machine.layout import OUT_OF_FUEL
from wasmine.validation.metering import Meter

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.baseline.numeric import Handler
    from wasmine.compiler.baseline.state import State
    from wasmine.validation.walk import Visitor


class Payment(NamedTuple):
    """Code that pays: where it is, the jump of who cannot, and the wasm position."""

    start: int
    field: int
    position: int


class Metered:
    """A visitor that has another one's code pay. It writes a payment before it knows the cost, and fills that in later."""

    def __init__(self, visitor: Visitor, state: State) -> None:
        self._visitor = visitor
        self._state = state
        self._meter = Meter(self._opened, self._settled)
        self.handlers: list[Handler] = self._meter.handlers(visitor.handlers)

    def begin(self, position: Callable[[], int]) -> None:
        """Called by the walk, behind the prologue."""
        self._visitor.begin(position)
        self._meter.begin()

    @property
    def _fuel(self) -> int:
        offset = self._state.layout.fuel
        assert offset is not None
        return offset

    def _opened(self) -> Payment:
        emitter, machine = self._state.emitter, self._state.machine
        start = len(emitter.code)
        emitter.code += machine.pay(self._fuel, 0)
        return Payment(start, emitter.jump_if(machine.BELOW), self._state.position())

    def _settled(self, payment: Payment, cost: int) -> None:
        emitter, machine = self._state.emitter, self._state.machine
        code = machine.pay(self._fuel, cost)
        emitter.code[payment.start : payment.start + len(code)] = code
        offset = self._fuel

        def run_out() -> None:
            emitter.land([payment.field])
            emitter.code += machine.refund(offset, cost)
            emitter.trap_numbered(OUT_OF_FUEL, payment.position)

        emitter.later(run_out)
