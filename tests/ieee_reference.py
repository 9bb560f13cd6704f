"""IEEE 754 arithmetic by exact fractions: what the interpreter's floats are compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final


@dataclass(frozen=True)
class Format:
    """A binary format: bits of precision, exponent of its smallest number, exponent of the first number too large."""

    precision: int
    smallest: int
    limit: int

    def nearest(self, x: Fraction, negative: bool = False) -> float:
        """The number nearest to x, ties to even; `negative` is the sign of a zero."""
        magnitude = abs(x)
        if not magnitude:
            return -0.0 if negative else 0.0
        exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
        if Fraction(2) ** exponent > magnitude:
            exponent -= 1
        quantum = Fraction(2) ** max(exponent - self.precision + 1, self.smallest)
        rounded = round(magnitude / quantum) * quantum  # Python rounds a fraction half to even
        result = math.inf if rounded >= Fraction(2) ** self.limit else float(rounded)
        return -result if x < 0 or negative else result

    def add(self, x: float, y: float) -> float:
        """x + y."""
        if not math.isfinite(x) or not math.isfinite(y) or not (x or y):
            return x + y
        return self.nearest(Fraction(x) + Fraction(y))

    def subtract(self, x: float, y: float) -> float:
        """x - y."""
        return self.add(x, -y)

    def multiply(self, x: float, y: float) -> float:
        """x * y."""
        if not math.isfinite(x) or not math.isfinite(y):
            return x * y
        return self.nearest(Fraction(x) * Fraction(y), math.copysign(1, x) * math.copysign(1, y) < 0)

    def divide(self, x: float, y: float) -> float:
        """x / y."""
        sign = math.copysign(1, x) * math.copysign(1, y)
        if math.isnan(x) or math.isnan(y) or (math.isinf(x) and math.isinf(y)) or not (x or y):
            return math.nan
        if math.isinf(x) or not y:
            return math.copysign(math.inf, sign)
        if math.isinf(y):
            return math.copysign(0.0, sign)
        return self.nearest(Fraction(x) / Fraction(y), sign < 0)

    def square_root(self, x: float) -> float:
        """The square root of x."""
        if math.isnan(x) or x < 0:
            return math.nan
        if math.isinf(x) or not x:
            return x
        value = Fraction(x)
        shift = 1200  # enough bits for the root of the smallest number
        square = value.numerator * value.denominator << 2 * shift
        root = math.isqrt(square)
        inexact = root * root != square  # then the root is a little larger
        return self.nearest(Fraction(2 * root + inexact, 2 * (value.denominator << shift)))


F32: Final = Format(24, -149, 128)
F64: Final = Format(53, -1074, 1024)


def to_integer(x: float, rounding: str) -> float:
    """The integer that `ceil`, `floor`, `trunc` or `nearest` gives, with the sign of x."""
    if not math.isfinite(x):
        return x
    rounder = {"ceil": math.ceil, "floor": math.floor, "trunc": math.trunc, "nearest": round}[rounding]
    return math.copysign(float(rounder(Fraction(x))), x)


def smaller(x: float, y: float) -> float:
    """`min`: NaN if either is, -0 below +0."""
    if math.isnan(x) or math.isnan(y):
        return math.nan
    return min(x, y, key=lambda z: (z, math.copysign(1, z)))


def larger(x: float, y: float) -> float:
    """`max`: NaN if either is, +0 above -0."""
    return -smaller(-x, -y)


def to_integer_type(x: float, low: int, high: int) -> int:
    """x towards zero, as the nearest number from `low` to `high`; 0 for a NaN."""
    if math.isnan(x):
        return 0
    if math.isinf(x):
        return high if x > 0 else low
    return min(max(math.trunc(x), low), high)
