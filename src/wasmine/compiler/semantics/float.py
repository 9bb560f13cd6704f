"""Scalar floats. No operation may lose the bits of a NaN that the specification keeps, nor yield a signaling one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wasmine.compiler.semantics.builder import Builder, Meaning, Target, meaning

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPARISONS = {"eq": "oeq", "ne": "une", "lt": "olt", "gt": "ogt", "le": "ole", "ge": "oge"}
ROUNDINGS = {"ceil": "ceil", "floor": "floor", "trunc": "trunc", "nearest": "roundeven", "sqrt": "sqrt"}
ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
EXTREMES = {"min": ("olt", "or"), "max": ("ogt", "and")}


class Floats:
    """The LLVM types of one float type, or of a vector of them."""

    def __init__(self, type: str, bits: str, intrinsic: str, width: int) -> None:
        self.type = type
        self.bits = bits
        self.intrinsic = intrinsic
        self.lanes = int(type[1]) if type[0] == "<" else 0
        self.width = width

    @property
    def condition(self) -> str:
        """The type of a comparison."""
        return f"<{self.lanes} x i1>" if self.lanes else "i1"

    def mask(self, value: int) -> str:
        """An integer constant in every lane."""
        if not self.lanes:
            return str(value)
        return f"<{', '.join([f'i{self.width} {value}'] * self.lanes)}>"


SCALARS = {"f32": Floats("float", "i32", "f32", 32), "f64": Floats("double", "i64", "f64", 64)}


def meanings() -> Iterator[tuple[str, Meaning]]:
    """The family's meanings, those of both widths in the table's order."""
    for name, floats in SCALARS.items():
        for comparison, condition in COMPARISONS.items():
            yield meaning(f"{name}.{comparison}", partial(_compare, floats, condition))
    for name, floats in SCALARS.items():
        yield meaning(f"{name}.abs", partial(absolute, floats))
        yield meaning(f"{name}.neg", partial(negate, floats))
        for rounding, function in ROUNDINGS.items():
            yield meaning(f"{name}.{rounding}", partial(unary, floats, function))
        for arithmetic, operation in ARITHMETIC.items():
            yield meaning(f"{name}.{arithmetic}", partial(binary, floats, operation))
        for extreme, (condition, zeros) in EXTREMES.items():
            yield meaning(f"{name}.{extreme}", partial(extremum, floats, condition, zeros))
        yield meaning(f"{name}.copysign", partial(_copysign, floats))


def _compare(floats: Floats, condition: str, b: Builder, x: str, y: str) -> str:
    return b.let(f"zext i1 {b.let(f'fcmp {condition} {floats.type} {x}, {y}')} to i32")


def absolute(floats: Floats, b: Builder, x: str) -> str:
    """x without its sign bit."""
    bits = b.cast(x, floats.type, floats.bits)
    cleared = b.let(f"and {floats.bits} {bits}, {floats.mask((1 << floats.width - 1) - 1)}")
    return b.cast(cleared, floats.bits, floats.type)


def negate(floats: Floats, b: Builder, x: str) -> str:
    """x with its sign bit flipped."""
    bits = b.cast(x, floats.type, floats.bits)
    flipped = b.let(f"xor {floats.bits} {bits}, {floats.mask(-(1 << floats.width - 1))}")
    return b.cast(flipped, floats.bits, floats.type)


def unary(floats: Floats, function: str, b: Builder, x: str) -> str:
    """A rounding or the square root."""
    return b.call(floats.type, f"llvm.{function}.{floats.intrinsic}", f"{floats.type} {x}")


def binary(floats: Floats, operation: str, b: Builder, x: str, y: str) -> str:
    """Arithmetic."""
    return b.let(f"{operation} {floats.type} {x}, {y}")


def extremum(floats: Floats, condition: str, zeros: str, b: Builder, x: str, y: str) -> str:
    """min or max: of equal operands (zeros of either sign) the bits are joined, and a NaN comes from an addition.

    ARM64 has an instruction for all this.
    """
    t, bits = floats.type, floats.bits
    if b.target is Target.ARM64:
        name = f"llvm.{'minimum' if condition == 'olt' else 'maximum'}.{floats.intrinsic}"
        return b.call(t, name, f"{t} {x}", f"{t} {y}")
    one = pseudo_extremum(floats, condition, b, x, y)
    other = pseudo_extremum(floats, condition, b, y, x)
    joined = b.let(f"{zeros} {bits} {b.cast(one, t, bits)}, {b.cast(other, t, bits)}")
    total = b.let(f"fadd {t} {x}, {y}")
    unordered = b.let(f"fcmp uno {t} {x}, {y}")
    return b.let(f"select {floats.condition} {unordered}, {t} {total}, {t} {b.cast(joined, bits, t)}")


def pseudo_extremum(floats: Floats, condition: str, b: Builder, x: str, y: str) -> str:
    """x where the condition holds, else y: one instruction of many processors."""
    holds = b.let(f"fcmp {condition} {floats.type} {x}, {y}")
    return b.let(f"select {floats.condition} {holds}, {floats.type} {x}, {floats.type} {y}")


def _copysign(floats: Floats, b: Builder, x: str, y: str) -> str:
    """LLVM's own is as much a matter of bits, NaNs included, and stays out of general registers."""
    return b.call(floats.type, f"llvm.copysign.{floats.intrinsic}", f"{floats.type} {x}", f"{floats.type} {y}")
