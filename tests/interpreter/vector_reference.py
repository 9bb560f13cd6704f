"""The vector instructions lane by lane, as the specification words them: what the interpreter's are compared with.

A lane is a number (of an integer lane the unsigned or signed one, whichever the instruction says), a vector a list.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from ieee_reference import F32, F64, larger, smaller, to_integer, to_integer_type
from wasmine.runtime.bits import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits

Reference = Callable[..., Any]
Lane = Callable[..., Any]


def split(vector: int, width: int, sign: str = "u") -> list[int]:
    """The integer lanes."""
    data = vector.to_bytes(16, "little")
    size = width // 8
    return [int.from_bytes(data[i : i + size], "little", signed=sign == "s") for i in range(0, 16, size)]


def join(lanes: list[int], width: int) -> int:
    """The vector with these lanes, each modulo 2^width; missing ones at the end are zero."""
    return int.from_bytes(b"".join((lane % (1 << width)).to_bytes(width // 8, "little") for lane in lanes), "little")


def split_floats(vector: int, width: int) -> list[float]:
    """The float lanes."""
    return [f32_from_bits(lane) if width == 32 else f64_from_bits(lane) for lane in split(vector, width)]


def join_floats(lanes: list[float], width: int) -> int:
    """The vector with these lanes."""
    return join([f32_to_bits(lane) if width == 32 else f64_to_bits(lane) for lane in lanes], width)


def clamp(x: int, width: int, sign: str) -> int:
    """The closest number that an integer type has."""
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if sign == "s" else (0, (1 << width) - 1)
    return min(max(x, low), high)


def on_lanes(width: int, sign: str, operation: Lane) -> Reference:
    """The instruction that does the same on all integer lanes."""
    return lambda *vectors: join(
        [operation(*lanes) for lanes in zip(*(split(v, width, sign) for v in vectors), strict=True)], width
    )


def on_floats(width: int, operation: Lane) -> Reference:
    """The instruction that does the same on all float lanes."""
    return lambda *vectors: join_floats(
        [operation(*lanes) for lanes in zip(*(split_floats(v, width) for v in vectors), strict=True)], width
    )


def pairs(lanes: list[Any]) -> list[tuple[Any, Any]]:
    """Neighbours."""
    return list(zip(lanes[::2], lanes[1::2], strict=True))


COMPARISONS: Final[dict[str, Lane]] = {
    "eq": lambda x, y: -(x == y),
    "ne": lambda x, y: -(x != y),
    "lt": lambda x, y: -(x < y),
    "gt": lambda x, y: -(x > y),
    "le": lambda x, y: -(x <= y),
    "ge": lambda x, y: -(x >= y),
}


def _integer_instructions(width: int) -> dict[str, Reference]:
    shape = f"i{width}x{128 // width}"
    table: dict[str, Reference] = {
        "splat": lambda n: join([n] * (128 // width), width),
        "replace_lane": lambda lane, v, n: join([*split(v, width)[:lane], n, *split(v, width)[lane + 1 :]], width),
        "extract_lane": lambda lane, v: split(v, width)[lane],
        "extract_lane_u": lambda lane, v: split(v, width)[lane],
        "extract_lane_s": lambda lane, v: split(v, width, "s")[lane] % (1 << 32),
        "all_true": lambda v: int(all(split(v, width))),
        "bitmask": lambda v: sum((lane < 0) << i for i, lane in enumerate(split(v, width, "s"))),
        "abs": on_lanes(width, "s", abs),
        "neg": on_lanes(width, "s", lambda x: -x),
        "add": on_lanes(width, "s", lambda x, y: x + y),
        "sub": on_lanes(width, "s", lambda x, y: x - y),
        "mul": on_lanes(width, "s", lambda x, y: x * y),
        "popcnt": on_lanes(width, "u", lambda x: f"{x:b}".count("1")),
        "avgr_u": on_lanes(width, "u", lambda x, y: (x + y + 1) // 2),
        "shl": lambda v, n: join([x * 2 ** (n % width) for x in split(v, width)], width),
    }
    for sign in "su":
        table |= {
            f"min_{sign}": on_lanes(width, sign, min),
            f"max_{sign}": on_lanes(width, sign, max),
            f"add_sat_{sign}": on_lanes(width, sign, lambda x, y, sign=sign: clamp(x + y, width, sign)),
            f"sub_sat_{sign}": on_lanes(width, sign, lambda x, y, sign=sign: clamp(x - y, width, sign)),
            f"shr_{sign}": lambda v, n, sign=sign: join([x // 2 ** (n % width) for x in split(v, width, sign)], width),
        }
        table |= {f"{name}_{sign}": on_lanes(width, sign, lane) for name, lane in COMPARISONS.items()}
    table |= {name: on_lanes(width, "u", COMPARISONS[name]) for name in ("eq", "ne")}
    return {f"{shape}.{name}": reference for name, reference in table.items()}


def _widening_instructions(width: int) -> dict[str, Reference]:
    """Instructions that give lanes of `width` bits of lanes half as wide, or the other way round."""
    half, count = width // 2, 128 // width
    wide, narrow = f"i{width}x{count}", f"i{half}x{2 * count}"
    table: dict[str, Reference] = {}
    for sign in "su":
        for part, chosen in (("low", slice(count)), ("high", slice(count, None))):

            def extend(v: int, sign: str = sign, chosen: slice = chosen) -> int:
                return join(split(v, half, sign)[chosen], width)

            def multiply(v: int, w: int, sign: str = sign, chosen: slice = chosen) -> int:
                lanes = zip(split(v, half, sign)[chosen], split(w, half, sign)[chosen], strict=True)
                return join([x * y for x, y in lanes], width)

            table[f"{wide}.extend_{part}_{narrow}_{sign}"] = extend
            table[f"{wide}.extmul_{part}_{narrow}_{sign}"] = multiply

        def add_pairs(v: int, sign: str = sign) -> int:
            return join([x + y for x, y in pairs(split(v, half, sign))], width)

        def narrowed(v: int, w: int, sign: str = sign) -> int:
            return join([clamp(x, half, sign) for x in split(v, width, "s") + split(w, width, "s")], half)

        table[f"{wide}.extadd_pairwise_{narrow}_{sign}"] = add_pairs
        table[f"{narrow}.narrow_{wide}_{sign}"] = narrowed
        table[f"v128.load{half}x{count}_{sign}"] = table[f"{wide}.extend_low_{narrow}_{sign}"]
    return table


def _float_instructions(width: int) -> dict[str, Reference]:
    shape = f"f{width}x{128 // width}"
    ieee = F32 if width == 32 else F64
    sign = 1 << width - 1
    from_bits, to_bits = (f32_from_bits, f32_to_bits) if width == 32 else (f64_from_bits, f64_to_bits)
    table: dict[str, Reference] = {
        "splat": lambda x: join([to_bits(x)] * (128 // width), width),
        "replace_lane": lambda lane, v, x: join(
            [*split(v, width)[:lane], to_bits(x), *split(v, width)[lane + 1 :]], width
        ),
        "extract_lane": lambda lane, v: split_floats(v, width)[lane],
        "abs": on_lanes(width, "u", lambda x: x & ~sign),
        "neg": on_lanes(width, "u", lambda x: x ^ sign),
        "sqrt": on_floats(width, ieee.square_root),
        "add": on_floats(width, ieee.add),
        "sub": on_floats(width, ieee.subtract),
        "mul": on_floats(width, ieee.multiply),
        "div": on_floats(width, ieee.divide),
        "min": on_floats(width, smaller),
        "max": on_floats(width, larger),
        "pmin": on_lanes(width, "u", lambda x, y: y if from_bits(y) < from_bits(x) else x),
        "pmax": on_lanes(width, "u", lambda x, y: y if from_bits(x) < from_bits(y) else x),
        "relaxed_madd": on_floats(width, lambda x, y, z: ieee.add(ieee.multiply(x, y), z)),
        "relaxed_nmadd": on_floats(width, lambda x, y, z: ieee.add(ieee.multiply(-x, y), z)),
    }
    for name, lane in COMPARISONS.items():
        table[name] = on_lanes(width, "u", lambda x, y, lane=lane: lane(from_bits(x), from_bits(y)))
    for name in ("ceil", "floor", "trunc", "nearest"):
        table[name] = on_floats(width, lambda x, name=name: to_integer(x, name))
    return {f"{shape}.{name}": reference for name, reference in table.items()}


def _conversions() -> dict[str, Reference]:
    table: dict[str, Reference] = {
        "f32x4.demote_f64x2_zero": lambda v: join_floats(
            [F32.add(x, 0.0) if x else x for x in split_floats(v, 64)], 32
        ),
        "f64x2.promote_low_f32x4": lambda v: join_floats([x * 1.0 for x in split_floats(v, 32)[:2]], 64),
    }
    for sign, low, high in (("s", -(2**31), 2**31 - 1), ("u", 0, 2**32 - 1)):

        def truncate(v: int, width: int = 32, low: int = low, high: int = high) -> int:
            return join([to_integer_type(x, low, high) for x in split_floats(v, width)], 32)

        def convert(v: int, sign: str = sign) -> int:
            return join_floats([F32.add(float(n), 0.0) for n in split(v, 32, sign)], 32)

        def convert_low(v: int, sign: str = sign) -> int:
            return join_floats([float(n) for n in split(v, 32, sign)[:2]], 64)

        table[f"i32x4.trunc_sat_f32x4_{sign}"] = truncate
        table[f"i32x4.trunc_sat_f64x2_{sign}_zero"] = lambda v, truncate=truncate: truncate(v, 64)
        table[f"f32x4.convert_i32x4_{sign}"] = convert
        table[f"f64x2.convert_low_i32x4_{sign}"] = convert_low
    return table


def _swizzle(v: int, indices: int) -> int:
    lanes = split(v, 8)
    return join([lanes[i] if i < 16 else 0 for i in split(indices, 8)], 8)


def _shuffle(lanes: bytes, v: int, w: int) -> int:
    both = split(v, 8) + split(w, 8)
    return join([both[i] for i in lanes], 8)


def _q15_multiply(x: int, y: int) -> int:
    return clamp((x * y + 2**14) // 2**15, 16, "s")


def _dot(v: int, w: int) -> int:
    products = [x * y for x, y in zip(split(v, 16, "s"), split(w, 16, "s"), strict=True)]
    return join([x + y for x, y in pairs(products)], 32)


def _relaxed_dot(v: int, w: int) -> int:
    products = [x * y for x, y in zip(split(v, 8, "s"), split(w, 8, "s"), strict=True)]
    return join([clamp(x + y, 16, "s") for x, y in pairs(products)], 16)


def _relaxed_dot_add(v: int, w: int, z: int) -> int:
    sums = pairs(split(_relaxed_dot(v, w), 16, "s"))
    return join([x + y + addend for (x, y), addend in zip(sums, split(z, 32, "s"), strict=True)], 32)


def _bitwise(operation: Callable[..., str]) -> Reference:
    """The instruction that does the same on all bits, which are given as "0" and "1"."""
    return lambda *vectors: int(
        "".join(operation(*bits) for bits in zip(*(f"{v:0128b}" for v in vectors), strict=True)), 2
    )


def _others() -> dict[str, Reference]:
    table: dict[str, Reference] = {
        "v128.const": lambda data: int.from_bytes(data, "little"),
        "v128.not": _bitwise(lambda x: "10"[int(x)]),
        "v128.and": _bitwise(min),
        "v128.or": _bitwise(max),
        "v128.xor": _bitwise(lambda x, y: "01"[x != y]),
        "v128.andnot": _bitwise(lambda x, y: "01"[x > y]),
        "v128.bitselect": _bitwise(lambda x, y, mask: x if mask == "1" else y),
        "v128.any_true": lambda v: int(v != 0),
        "v128.load32_zero": lambda n: n,
        "v128.load64_zero": lambda n: n,
        "i8x16.swizzle": _swizzle,
        "i8x16.shuffle": _shuffle,
        "i16x8.q15mulr_sat_s": on_lanes(16, "s", _q15_multiply),
        "i32x4.dot_i16x8_s": _dot,
        "i16x8.relaxed_dot_i8x16_i7x16_s": _relaxed_dot,
        "i32x4.relaxed_dot_i8x16_i7x16_add_s": _relaxed_dot_add,
    }
    for width in (8, 16, 32, 64):
        shape = f"i{width}x{128 // width}"
        replace = _integer_instructions(width)[f"{shape}.replace_lane"]
        table[f"v128.load{width}_splat"] = _integer_instructions(width)[f"{shape}.splat"]
        table[f"v128.load{width}_lane"] = lambda lane, n, v, replace=replace: replace(lane, v, n)
        table[f"v128.store{width}_lane"] = lambda lane, v, width=width: split(v, width)[lane]
        table[f"{shape}.relaxed_laneselect"] = table["v128.bitselect"]
    return table


def _references() -> dict[str, Reference]:
    table = _conversions() | _others()
    for width in (8, 16, 32, 64):
        table |= _integer_instructions(width)
    for width in (16, 32, 64):
        table |= _widening_instructions(width)
    for width in (32, 64):
        table |= _float_instructions(width)
    return table


REFERENCES: Final = _references()


def reference(name: str) -> Reference:
    """What an instruction is to give; immediates come first."""
    plain = re.sub(r"relaxed_(trunc)", r"\1_sat", name)
    plain = plain.replace("relaxed_q15mulr", "q15mulr_sat")
    plain = re.sub(r"relaxed_(swizzle|min|max)", r"\1", plain)
    return REFERENCES[plain]


def is_quiet_nan(lane: int, width: int) -> bool:
    """Whether the bits are those of an arithmetic NaN."""
    quiet = 0x7FC00000 if width == 32 else 0x7FF8 << 48
    return lane & quiet == quiet


def is_nan(lane: int, width: int) -> bool:
    """Whether the bits are those of a NaN."""
    return math.isnan(f32_from_bits(lane) if width == 32 else f64_from_bits(lane))
