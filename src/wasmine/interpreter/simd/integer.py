"""Integer instructions on whole vectors as expressions: one int operation works on all lanes at once.

The recurring ideas, for lanes of any width (H is the highest bit of a lane, "the rest" its other bits):

- `(a & LOW) + (b & LOW)` adds the rest of each lane; a carry stops in H, which an exclusive or then completes.
- `(a | HIGH) - (b & LOW)` subtracts the rest; H stays set where nothing was borrowed.
- A condition is one bit per lane, in H. `spread` makes a mask of it, all bits of the lane.

A 128-bit operation takes CPython about 30 ns, taking a vector apart into lanes and putting it together again 200 to 400.
"""

from __future__ import annotations

import re
from typing import Final

from wasmine.format.instructions import BY_NAME
from wasmine.interpreter.simd.shapes import I8X16, I16X8, I32X4, I64X2, SHAPES, Shape, literal


def _spread(bits: str) -> str:
    """All bits of the lanes whose highest bit is set in `bits` (which has no others)."""
    return f"((t := {bits}) << 1) - (t >> TOP)"


def _swap(template: str) -> str:
    """The template with its operands exchanged."""
    return re.sub(r"\b[ab]\b", lambda name: "b" if name[0] == "a" else "a", template)


_ADD: Final = "(a & LOW) + (b & LOW) ^ (a ^ b) & HIGH"
_SUB: Final = "(a | HIGH) - (b & LOW) ^ (a ^ b) & HIGH ^ HIGH"

# Conditions. `x` is left as a ^ b, and `d` as the difference of the rests (see above): where the highest bits of a and b
# are equal, d decides; where they differ, that of a decides for unsigned numbers and that of b for signed ones.
_DIFFER: Final = "(((x := a ^ b) & LOW) + LOW | x) & HIGH"
_AT_LEAST_U: Final = "((d := (a | HIGH) - (b & LOW)) ^ (x := a ^ b) & (d ^ a)) & HIGH"
_AT_LEAST_S: Final = "((d := (a | HIGH) - (b & LOW)) ^ (x := a ^ b) & (d ^ b)) & HIGH"

# The largest positive number of a lane, or the smallest negative one where a is negative.
_LIMIT: Final = "LOW + ((a & HIGH) >> TOP)"

_OPERATIONS: Final = {
    "splat": "(a & LANE) * ONES",
    "eq": _spread(f"{_DIFFER} ^ HIGH"),
    "ne": _spread(_DIFFER),
    "lt_s": _spread(f"{_AT_LEAST_S} ^ HIGH"),
    "lt_u": _spread(f"{_AT_LEAST_U} ^ HIGH"),
    "gt_s": _swap(_spread(f"{_AT_LEAST_S} ^ HIGH")),
    "gt_u": _swap(_spread(f"{_AT_LEAST_U} ^ HIGH")),
    "le_s": _swap(_spread(_AT_LEAST_S)),
    "le_u": _swap(_spread(_AT_LEAST_U)),
    "ge_s": _spread(_AT_LEAST_S),
    "ge_u": _spread(_AT_LEAST_U),
    "abs": "(a ^ ((t := a & HIGH) << 1) - (s := t >> TOP)) + s",
    "neg": "HIGH - (a & LOW) ^ a & HIGH ^ HIGH",
    "all_true": "1 if ((a & LOW) + LOW | a) & HIGH == HIGH else 0",
    "shl": "(a & ONES * (LANE >> (n := b & TOP))) << n",
    "shr_s": "a >> (n := b & TOP) & ONES * (LANE >> n) | (s := (a & HIGH) << 1) - (s >> n)",
    "shr_u": "a >> (n := b & TOP) & ONES * (LANE >> n)",
    "add": _ADD,
    "add_sat_s": f"(s := {_ADD}) ^ {_spread('(a ^ s) & (b ^ s) & HIGH')} & (s ^ {_LIMIT})",
    "add_sat_u": f"(s := (t := (a & LOW) + (b & LOW)) ^ (x := a ^ b) & HIGH) | {_spread('(a & b | x & t) & HIGH')}",
    "sub": _SUB,
    "sub_sat_s": f"(s := {_SUB}) ^ {_spread('(a ^ b) & (a ^ s) & HIGH')} & (s ^ {_LIMIT})",
    "sub_sat_u": f"{_spread(_AT_LEAST_U)} & (d ^ x & HIGH ^ HIGH)",
    "min_s": f"a ^ {_spread(_AT_LEAST_S)} & x",
    "min_u": f"a ^ {_spread(_AT_LEAST_U)} & x",
    "max_s": f"b ^ {_spread(_AT_LEAST_S)} & x",
    "max_u": f"b ^ {_spread(_AT_LEAST_U)} & x",
    "avgr_u": "(a | b) - ((a ^ b) >> 1 & LOW)",
}
"""Templates by the part of the instruction's name after the dot, for all shapes that have the instruction."""


def _bitmask(shape: Shape) -> str:
    """The highest bits of all lanes, side by side: a multiplication brings each of them to its place.

    Lane i has its bit at WIDTH * i + TOP, the factor has bits at TOP * j. The product of i and j with i + j = count - 1
    falls on TOP * count + i, and no other into these `count` bits as long as count <= TOP.
    """
    if shape is I8X16:  # first bring two lanes together, in the two highest bits of a lane twice as wide
        pairs = f"((t := a & HIGH) | t << 7) & {literal(I16X8.ones * 0xC000)}"
        return shape.fill(f"({pairs}) * {literal(sum(1 << 14 * j for j in range(8)))} >> 112 & 65535")
    top, count = shape.width - 1, shape.count
    factor = sum(1 << top * j for j in range(count))
    return shape.fill(f"(a & HIGH) * {literal(factor)} >> {top * count} & {literal((1 << count) - 1)}")


def _widen(vector: str, wide: Shape, sign: str) -> str:
    """The 64 bits of `vector` as lanes of half the width of `wide`, each extended to one of `wide`.

    Halves of the bits are moved apart, then halves of the halves, down to single lanes. For signed lanes, an exclusive or
    with the sign bit makes an excess code, from which the excess is subtracted under the guard of the highest bit.
    """
    spacing = 32
    while spacing >= wide.half.width:
        vector = f"((t := {vector}) | t << {spacing}) & {literal(Shape(2 * spacing).ones * Shape(spacing).lane)}"
        spacing //= 2
    if sign == "u":
        return vector
    excess = wide.ones << wide.half.width - 1
    return wide.fill(f"({vector} ^ {literal(excess | wide.ones << wide.width - 1)}) - {literal(excess)} ^ HIGH")


def _add_pairs(wide: Shape, sign: str) -> str:
    """The sums of neighbouring lanes of half the width; signed ones in excess code (see `_widen`)."""
    half = wide.half
    low = literal(wide.ones * half.lane)
    if sign == "u":
        return f"(a & {low}) + (a >> {half.width} & {low})"
    excess = literal(half.ones << half.width - 1)
    bias = literal(wide.ones * ((1 << wide.width - 1) - (1 << half.width)))
    return wide.fill(f"((t := a ^ {excess}) & {low}) + (t >> {half.width} & {low}) + {bias} ^ HIGH")


def _templates() -> dict[str, str]:
    table = {
        "v128.not": "a ^ ALL",
        "v128.and": "a & b",
        "v128.andnot": "a ^ a & b",
        "v128.or": "a | b",
        "v128.xor": "a ^ b",
        "v128.bitselect": "b ^ (a ^ b) & c",
        "v128.any_true": "1 if a else 0",
        "v128.load32_zero": "a",
        "v128.load64_zero": "a",
        "i8x16.all_true": '0 if 0 in a.to_bytes(16, "little") else 1',
        "i8x16.popcnt": 'from_bytes(a.to_bytes(16, "little").translate(population), "little")',
        # Bytes 16 to 255 of the table are zero: what an index out of range gives.
        "i8x16.swizzle": 'from_bytes(b.to_bytes(16, "little").translate(a.to_bytes(256, "little")), "little")',
        "i64x2.mul": "(a & LANE) * (b & LANE) & LANE | ((a >> 64) * (b >> 64) & LANE) << 64",
    }
    table = {name: I64X2.fill(template) for name, template in table.items()}
    for shape in SHAPES:
        for operation, template in _OPERATIONS.items():
            if f"{shape.name}.{operation}" in BY_NAME:
                table.setdefault(f"{shape.name}.{operation}", shape.fill(template))
        table[f"{shape.name}.bitmask"] = _bitmask(shape)
        table[f"v128.load{shape.width}_splat"] = shape.fill("a * ONES")
    for wide in (I16X8, I32X4, I64X2):
        half = wide.half
        for sign in "su":
            table[f"{wide.name}.extend_low_{half.name}_{sign}"] = _widen(f"a & {literal(I64X2.lane)}", wide, sign)
            table[f"{wide.name}.extend_high_{half.name}_{sign}"] = _widen("a >> 64", wide, sign)
            table[f"v128.load{half.width}x{wide.count}_{sign}"] = _widen("a", wide, sign)
            if wide is not I64X2:
                table[f"{wide.name}.extadd_pairwise_{half.name}_{sign}"] = _add_pairs(wide, sign)
    return table


TEMPLATES: Final = _templates()
"""By instruction name. A load takes the bits it read, zero-extended, in place of the address."""
