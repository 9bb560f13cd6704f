"""`Fuel`: how much an instance may still compute."""

from __future__ import annotations

from wasmine.errors import OutOfFuel


class Fuel:
    """What is left, in units. Code pays before it runs: see docs/limits.md."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def run_out(self, cost: int) -> None:
        """Code paid `cost`, and that was more than there was: it gets it back and ends. OutOfFuel."""
        self.left += cost
        raise OutOfFuel(self.describe(cost))

    def describe(self, cost: int) -> str:
        """What is to be said if there is not enough left."""
        return f"the guest is out of fuel: {self.left} units are left, and what comes next takes {cost}"
