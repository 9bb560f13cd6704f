"""The integer shapes of a vector (i8x16 to i64x2) and the constants by which one int is computed on as many lanes.

A template is a Python expression in the operands `a`, `b`, `c` in which words in capitals stand for a shape's constants.
"""

from __future__ import annotations

import re
from typing import Final

from wasmine.record import record

ALL: Final = (1 << 128) - 1


@record
class Shape:
    """Lanes of `width` bits; lane 0 is the lowest."""

    width: int

    @property
    def count(self) -> int:
        """The number of lanes."""
        return 128 // self.width

    @property
    def name(self) -> str:
        """As in instruction names, `i8x16`."""
        return f"i{self.width}x{self.count}"

    @property
    def half(self) -> Shape:
        """The shape with lanes half as wide."""
        return Shape(self.width // 2)

    @property
    def lane(self) -> int:
        """All bits of one lane."""
        return (1 << self.width) - 1

    @property
    def ones(self) -> int:
        """A 1 in every lane."""
        return ALL // self.lane

    def fill(self, template: str) -> str:
        """The template with this shape's constants as numbers."""
        top = self.width - 1
        constants = {
            "ALL": ALL,
            "TOP": top,  # the number of a lane's highest bit; also what a shift count is masked with
            "LANE": self.lane,
            "ONES": self.ones,
            "HIGH": self.ones << top,  # the highest bit of every lane
            "LOW": ALL ^ self.ones << top,  # all other bits
        }
        return re.sub(r"\b[A-Z]+\b", lambda word: literal(constants[word[0]]), template)


def literal(value: int) -> str:
    """A number as it is easiest to read in generated source."""
    return str(value) if value < 256 else f"{value:#x}"


I8X16: Final = Shape(8)
I16X8: Final = Shape(16)
I32X4: Final = Shape(32)
I64X2: Final = Shape(64)
SHAPES: Final = (I8X16, I16X8, I32X4, I64X2)
