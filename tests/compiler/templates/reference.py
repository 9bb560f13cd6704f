"""What instructions compute, according to the interpreter, on bit patterns."""

from __future__ import annotations

import operator
from functools import partial
from typing import TYPE_CHECKING, Any

from wasmine.compiler.semantics import Meaning
from wasmine.errors import Trap, TrapKind
from wasmine.interpreter import simd
from wasmine.runtime import bits

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = {"i": 32, "I": 64, "f": 32, "F": 64, "v": 128, "a": 64}
_DECODE: dict[str, Callable[[int], Any]] = {"f": bits.f32_from_bits, "F": bits.f64_from_bits}
_ENCODE: dict[str, Callable[[Any], int]] = {"f": bits.f32_to_bits, "F": bits.f64_to_bits}
_BY_BITS = (
    "abs",
    "neg",
    "copysign",
    "const",
    "move!",
    "select!",
    "pmin",
    "pmax",
    "splat",
    "extract_lane",
    "replace_lane",
)
"""Operations that keep the bits of a NaN."""


def evaluate(name: str, meaning: Meaning, operands: tuple[int, ...], lane: int = -1) -> tuple[int, ...] | TrapKind:
    """The results' bits, or why the instruction traps."""
    if not meaning.results:
        return ()
    try:
        arguments = [_DECODE.get(letter, int)(value) for letter, value in zip(meaning.params, operands, strict=True)]
        found = (_function(name) if lane < 0 else simd.function(name, lane))(*arguments)
    except Trap as trap:
        return trap.kind
    results = found if isinstance(found, tuple) else (found,)
    return tuple(
        _ENCODE.get(letter, int)(value) & (1 << WIDTH[letter]) - 1
        for letter, value in zip(meaning.results, results, strict=True)
    )


def agrees(name: str, letter: str, found: int, expected: int) -> bool:
    """Whether a result is one that the specification allows, given one that it allows.

    Arithmetic may yield any quiet NaN where it yields a NaN.
    """
    if found == expected:
        return True
    type, _, operation = name.partition(".")
    if operation in _BY_BITS or operation.startswith(("reinterpret", "load")):
        return False
    if type in ("f32x4", "f64x2"):
        lane, width = ("f", 32) if type == "f32x4" else ("F", 64)
        ones = (1 << width) - 1
        return all(
            agrees(f"{lane}.", lane, found >> start & ones, expected >> start & ones) for start in range(0, 128, width)
        )
    if letter not in "fF":
        return False
    quiet = 0x7FC00000 if letter == "f" else 0x7FF8000000000000
    return found & quiet == expected & quiet == quiet


def _signed(value: int, width: int) -> int:
    return value - (value >> width - 1 << width)


def _function(name: str) -> Callable[..., Any]:
    if name in bits.SCALAR:
        return bits.SCALAR[name]
    if name in simd.SIMD and not name.endswith(".const"):
        return simd.function(name)
    type, _, operation = name.partition(".")
    if operation.startswith("interleave"):
        return partial(_interleave, int(type[1 : type.index("x")]), operation == "interleave_high!")
    if operation.startswith("add_shl"):
        scale = int(operation[7])
        return lambda x, y: x + (y << scale)
    if operation.endswith("!") and f"{type}.{operation[:-1]}" in bits.SCALAR:
        return bits.SCALAR[f"{type}.{operation[:-1]}"]
    if operation in _PLAIN:
        return _PLAIN[operation]
    width = int(type[1:])
    if operation in _SIGNED:
        function = _SIGNED[operation]
        return lambda x, y: function(_signed(x, width), _signed(y, width))
    if operation.startswith("extend"):
        source = int(operation.removeprefix("extend_i").removeprefix("extend")[:-2])
        if operation[-1] == "u":
            return lambda x: x
        return lambda x: _signed(x & (1 << source) - 1, source)
    return {"shl": lambda x, y: x << y % width, "shr_u": lambda x, y: x >> y % width}[operation]


def _interleave(width: int, high: bool, x: int, y: int) -> int:
    ones = (1 << width) - 1
    found = 0
    for number in range(64 // width):
        start = number * width + (64 if high else 0)
        pair = x >> start & ones | (y >> start & ones) << width
        found |= pair << 2 * width * number
    return found


def _permute(x: int, places: int) -> int:
    """Bytes of x; only indices that the compiler writes: below 16, or with the top bit set."""
    table, chosen = x.to_bytes(16, "little"), places.to_bytes(16, "little")
    return int.from_bytes(bytes(0 if place & 0x80 else table[place & 15] for place in chosen), "little")


def _add_address(x: int, y: int) -> int:
    if x + y >> 64:
        raise Trap(TrapKind.MEMORY_OUT_OF_BOUNDS)
    return x + y


def _wide(function: Callable[[int, int], int]) -> Callable[..., tuple[int, int]]:
    def combine(x_low: int, x_high: int, y_low: int, y_high: int) -> tuple[int, int]:
        total = function(x_low | x_high << 64, y_low | y_high << 64)
        return total & bits.M64, total >> 64

    return combine


_PLAIN: dict[str, Callable[..., Any]] = {
    "eqz": lambda x: x == 0,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "gt": operator.gt,
    "le": operator.le,
    "ge": operator.ge,
    "lt_u": operator.lt,
    "gt_u": operator.gt,
    "le_u": operator.le,
    "ge_u": operator.ge,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "wrap_i64": lambda x: x,
    "const": lambda x: x,
    "const_wide!": lambda x: x,
    "move!": lambda x: x,
    "select!": lambda x, y, condition: x if condition else y,
    "zero!": lambda: 0,
    "ones!": lambda: (1 << 128) - 1,
    "add_address!": _add_address,
    "permute!": _permute,
    "add128": _wide(operator.add),
    "sub128": _wide(operator.sub),
    "mul_wide_u": lambda x, y: (x * y & bits.M64, x * y >> 64),
    "mul_wide_s": lambda x, y: (_signed(x, 64) * _signed(y, 64) & bits.M64, _signed(x, 64) * _signed(y, 64) >> 64),
}
_SIGNED: dict[str, Callable[[int, int], bool]] = {
    "lt_s": operator.lt,
    "gt_s": operator.gt,
    "le_s": operator.le,
    "ge_s": operator.ge,
}
