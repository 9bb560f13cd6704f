"""Scalar numerics on internal values: bit patterns of floats, rounding to f32, and instructions too long to inline.

Internal values: i32 and i64 are unsigned ints, an f64 is a float, an f32 is a float whose value is exactly an f32. An
f32 NaN is the f64 NaN whose payload is the f32's shifted left by 29 bits, signaling bit included; so `abs`, `neg`,
`copysign`, `min`, `max`, comparisons and the roundings to an integer are the same functions for f32 and f64.

`struct` moves doubles bit for bit, signaling NaNs included (the tests check it), but its format `f` converts, and
a conversion makes a signaling NaN quiet: no NaN ever goes through `f` here. Arithmetic on NaNs is Python's own float
arithmetic, which quiets and keeps a payload: one of the results that WebAssembly allows.
"""

from __future__ import annotations

from math import copysign, inf
from math import sqrt as _sqrt
from struct import Struct
from typing import TYPE_CHECKING, Final, NoReturn

from wasmine.errors import Trap, TrapKind

if TYPE_CHECKING:
    from collections.abc import Callable

_pack_f32: Final = Struct("<f").pack
_unpack_f32: Final = Struct("<f").unpack
_pack_f64: Final = Struct("<d").pack
_unpack_f64: Final = Struct("<d").unpack

M32: Final = 0xFFFFFFFF
M64: Final = 0xFFFFFFFFFFFFFFFF

_F32_EXPONENT: Final = 0x7F800000
_F64_QUIET: Final = 0x0008000000000000
_LOW_29: Final = (1 << 29) - 1

# ---------------------------------------------------------------------------------------------------- bit patterns


def f64_to_bits(x: float) -> int:
    """The 64 bits of an f64."""
    return int.from_bytes(_pack_f64(x), "little")


def f64_from_bits(bits: int) -> float:
    """The f64 with these 64 bits."""
    value: float = _unpack_f64(bits.to_bytes(8, "little"))[0]
    return value


def f32_to_bits(x: float) -> int:
    """The 32 bits of an f32."""
    if x == x:
        return int.from_bytes(_pack_f32(x), "little")
    bits = int.from_bytes(_pack_f64(x), "little")
    return bits >> 32 & 0x80000000 | _F32_EXPONENT | bits >> 29 & 0x7FFFFF


def f32_from_bits(bits: int) -> float:
    """The f32 with these 32 bits."""
    value: float
    if bits & 0x7FFFFFFF <= _F32_EXPONENT:
        value = _unpack_f32(bits.to_bytes(4, "little"))[0]
        return value
    value = _unpack_f64(((bits & 0x80000000) << 32 | 0x7FF << 52 | (bits & 0x7FFFFF) << 29).to_bytes(8, "little"))[0]
    return value


# ---------------------------------------------------------------------------------------------------- rounding to f32

# A double within the normal range of f32 is rounded to 24 bits, ties to even, by Veltkamp's splitting: with
# t = x * (2^29 + 1), t - (t - x) is x without its low 29 bits, rounded. Half the time of a round trip through `struct`,
# and an expression, so that generated code can do without a call. The bounds are those of x * x: below them (2^-252) x
# is zero or may be subnormal as an f32, above them (a little less than the largest f32, squared) it may overflow.
_SPLIT: Final = 536870913.0
_SMALLEST_SQUARE: Final = 1.4e-76
_LARGEST_SQUARE: Final = 1.1e77

F32_ROUND: Final = "((_t := {x} * 536870913.0) - (_t - {x}) if 1.4e-76 < {x} * {x} < 1.1e77 else f32_round({x}))"
"""`f32_round` as a template for generated code: `{x}` is a name (it is used often), `_t` a local for scratch."""


def f32_round(x: float) -> float:
    """The f32 nearest to a double, ties to even; beyond the range of f32 an infinity. A NaN becomes quiet.

    This is all of `f32.demote_f64`, and what ends every f32 operation that is computed in double precision: for the
    sum, difference, product, quotient and square root of f32s the second rounding never changes the result
    (53 >= 2 * 24 + 2).
    """
    if _SMALLEST_SQUARE < x * x < _LARGEST_SQUARE:
        t = x * _SPLIT
        return t - (t - x)
    if not x:
        return x
    if x != x:
        return f64_from_bits((f64_to_bits(x) | _F64_QUIET) & ~_LOW_29)
    try:
        value: float = _unpack_f32(_pack_f32(x))[0]
    except OverflowError:
        return inf if x > 0.0 else -inf
    return value


# ---------------------------------------------------------------------------------------------------- floats


def f64_div(x: float, y: float) -> float:
    """x / y, where Python would raise an exception for a division by zero."""
    if y:
        return x / y
    if x and x == x:
        return copysign(inf, x) * copysign(1.0, y)
    return x * inf  # NaN: 0 / 0, or x is a NaN


def f64_sqrt(x: float) -> float:
    """The square root; NaN below zero, where Python would raise an exception."""
    if x >= 0.0:
        return _sqrt(x)
    return x * inf * 0.0 if x < 0.0 else x * 1.0


def f32_add(x: float, y: float) -> float:
    """x + y in f32."""
    return f32_round(x + y)


def f32_sub(x: float, y: float) -> float:
    """x - y in f32."""
    return f32_round(x - y)


def f32_mul(x: float, y: float) -> float:
    """x * y in f32."""
    return f32_round(x * y)


def f32_div(x: float, y: float) -> float:
    """x / y in f32."""
    return f32_round(x / y if y else f64_div(x, y))


def f32_sqrt(x: float) -> float:
    """The square root in f32."""
    return f32_round(f64_sqrt(x))


def float_min(x: float, y: float) -> float:
    """The smaller, -0 below +0; NaN if either is."""
    if x < y:
        return x
    if y < x:
        return y
    if x == y:
        return x if x else -(-x - y)
    return x + y


def float_max(x: float, y: float) -> float:
    """The larger, +0 above -0; NaN if either is."""
    if x > y:
        return x
    if y > x:
        return y
    if x == y:
        return x if x else x + y
    return x + y


# From 2^52 on (and -2^52 down) every double is an integer. `* 1.0` quiets a NaN and changes nothing else.
_ALL_INTEGERS: Final = 4503599627370496.0


def float_floor(x: float) -> float:
    """The integer at or below x."""
    return x // 1.0 if -_ALL_INTEGERS < x < _ALL_INTEGERS else x * 1.0


def float_ceil(x: float) -> float:
    """The integer at or above x; -0 for -1 < x <= -0."""
    return -(-x // 1.0) if -_ALL_INTEGERS < x < _ALL_INTEGERS else x * 1.0


def float_trunc(x: float) -> float:
    """The integer next to x towards zero, with the sign of x."""
    if -_ALL_INTEGERS < x < _ALL_INTEGERS:
        return x // 1.0 if x >= 0.0 else -(-x // 1.0)
    return x * 1.0


def float_nearest(x: float) -> float:
    """The integer nearest to x, ties to even, with the sign of x."""
    if 0.0 < x < _ALL_INTEGERS:
        return x + _ALL_INTEGERS - _ALL_INTEGERS
    if -_ALL_INTEGERS < x < 0.0:
        return -(_ALL_INTEGERS - x - _ALL_INTEGERS)
    return x * 1.0


def float_abs(x: float) -> float:
    """x with the sign bit cleared, NaNs included."""
    return abs(x)


def float_neg(x: float) -> float:
    """x with the sign bit flipped, NaNs included."""
    return -x


# ---------------------------------------------------------------------------------------------------- float to integer


def _cannot_convert(x: float) -> NoReturn:
    """Traps: x is a NaN or lies outside the integer type."""
    if x != x:
        raise Trap(TrapKind.INVALID_CONVERSION)
    raise Trap(TrapKind.INTEGER_OVERFLOW)


def i32_trunc_s(x: float) -> int:
    """x towards zero as an i32, signed; traps where it does not fit."""
    if -2147483649.0 < x < 2147483648.0:
        return int(x) & M32
    _cannot_convert(x)


def i32_trunc_u(x: float) -> int:
    """x towards zero as an i32, unsigned; traps where it does not fit."""
    if -1.0 < x < 4294967296.0:
        return int(x)
    _cannot_convert(x)


def i64_trunc_s(x: float) -> int:
    """x towards zero as an i64, signed; traps where it does not fit."""
    if -9223372036854775808.0 <= x < 9223372036854775808.0:
        return int(x) & M64
    _cannot_convert(x)


def i64_trunc_u(x: float) -> int:
    """x towards zero as an i64, unsigned; traps where it does not fit."""
    if -1.0 < x < 18446744073709551616.0:
        return int(x)
    _cannot_convert(x)


def i32_trunc_sat_s(x: float) -> int:
    """x towards zero as the closest i32, signed; 0 for a NaN."""
    if -2147483649.0 < x < 2147483648.0:
        return int(x) & M32
    return 0x80000000 if x < 0.0 else 0x7FFFFFFF if x > 0.0 else 0


def i32_trunc_sat_u(x: float) -> int:
    """x towards zero as the closest i32, unsigned; 0 for a NaN."""
    if -1.0 < x < 4294967296.0:
        return int(x)
    return M32 if x > 0.0 else 0


def i64_trunc_sat_s(x: float) -> int:
    """x towards zero as the closest i64, signed; 0 for a NaN."""
    if -9223372036854775808.0 <= x < 9223372036854775808.0:
        return int(x) & M64
    return 0x8000000000000000 if x < 0.0 else 0x7FFFFFFFFFFFFFFF if x > 0.0 else 0


def i64_trunc_sat_u(x: float) -> int:
    """x towards zero as the closest i64, unsigned; 0 for a NaN."""
    if -1.0 < x < 18446744073709551616.0:
        return int(x)
    return M64 if x > 0.0 else 0


# ---------------------------------------------------------------------------------------------------- integer to float


def f32_convert_u(n: int) -> float:
    """An unsigned integer of at most 64 bits as the nearest f32, rounded once."""
    if n < 1 << 53:
        return f32_round(float(n))
    # The low 11 bits only matter as "more than half" or not: one sticky bit stands for them, and the rest is exact.
    return f32_round(float(n >> 11 | (n & 0x7FF != 0))) * 2048.0


def f32_convert_i32_s(n: int) -> float:
    """An i32, signed, as the nearest f32."""
    return f32_round(float(n - ((n & 0x80000000) << 1)))


def f32_convert_i64_s(n: int) -> float:
    """An i64, signed, as the nearest f32, rounded once."""
    return -f32_convert_u((1 << 64) - n) if n >> 63 else f32_convert_u(n)


def f64_convert_i32_s(n: int) -> float:
    """An i32, signed, as an f64."""
    return float(n - ((n & 0x80000000) << 1))


def f64_convert_i64_s(n: int) -> float:
    """An i64, signed, as the nearest f64."""
    return float(n - ((n & 0x8000000000000000) << 1))


def f64_promote_f32(x: float) -> float:
    """An f32 as an f64; a NaN becomes quiet."""
    return x * 1.0


# ---------------------------------------------------------------------------------------------------- integers


def i32_clz(n: int) -> int:
    """The number of leading zero bits."""
    return 32 - n.bit_length()


def i64_clz(n: int) -> int:
    """The number of leading zero bits."""
    return 64 - n.bit_length()


def i32_ctz(n: int) -> int:
    """The number of trailing zero bits."""
    return (n & -n).bit_length() - 1 if n else 32


def i64_ctz(n: int) -> int:
    """The number of trailing zero bits."""
    return (n & -n).bit_length() - 1 if n else 64


def popcnt(n: int) -> int:
    """The number of one bits."""
    return n.bit_count()


def i32_rotl(n: int, by: int) -> int:
    """n rotated left."""
    by &= 31
    return n << by & M32 | n >> 32 - by


def i32_rotr(n: int, by: int) -> int:
    """n rotated right."""
    by &= 31
    return n >> by | n << 32 - by & M32


def i64_rotl(n: int, by: int) -> int:
    """n rotated left."""
    by &= 63
    return n << by & M64 | n >> 64 - by


def i64_rotr(n: int, by: int) -> int:
    """n rotated right."""
    by &= 63
    return n >> by | n << 64 - by & M64


def _division_by_zero() -> NoReturn:
    raise Trap(TrapKind.INTEGER_DIVIDE_BY_ZERO)


def div_u(x: int, y: int) -> int:
    """x / y, unsigned, for i32 and i64."""
    return x // y if y else _division_by_zero()


def rem_u(x: int, y: int) -> int:
    """The remainder of x / y, unsigned, for i32 and i64."""
    return x % y if y else _division_by_zero()


def i32_div_s(x: int, y: int) -> int:
    """x / y towards zero, signed."""
    if not y:
        _division_by_zero()
    if x < 0x80000000:
        return x // y if y < 0x80000000 else -(x // (0x100000000 - y)) & M32
    if y < 0x80000000:
        return -((0x100000000 - x) // y) & M32
    quotient = (0x100000000 - x) // (0x100000000 - y)
    if quotient == 0x80000000:
        raise Trap(TrapKind.INTEGER_OVERFLOW)
    return quotient


def i64_div_s(x: int, y: int) -> int:
    """x / y towards zero, signed."""
    if not y:
        _division_by_zero()
    if x < 0x8000000000000000:
        return x // y if y < 0x8000000000000000 else -(x // (0x10000000000000000 - y)) & M64
    if y < 0x8000000000000000:
        return -((0x10000000000000000 - x) // y) & M64
    quotient = (0x10000000000000000 - x) // (0x10000000000000000 - y)
    if quotient == 0x8000000000000000:
        raise Trap(TrapKind.INTEGER_OVERFLOW)
    return quotient


def i32_rem_s(x: int, y: int) -> int:
    """The remainder of x / y, signed; it has the sign of x."""
    if not y:
        _division_by_zero()
    if y >= 0x80000000:
        y = 0x100000000 - y
    return x % y if x < 0x80000000 else -((0x100000000 - x) % y) & M32


def i64_rem_s(x: int, y: int) -> int:
    """The remainder of x / y, signed; it has the sign of x."""
    if not y:
        _division_by_zero()
    if y >= 0x8000000000000000:
        y = 0x10000000000000000 - y
    return x % y if x < 0x8000000000000000 else -((0x10000000000000000 - x) % y) & M64


def i32_shr_s(n: int, by: int) -> int:
    """n shifted right, copies of the sign bit coming in."""
    return n >> (by & 31) if n < 0x80000000 else (n - 0x100000000 >> (by & 31)) & M32


def i64_shr_s(n: int, by: int) -> int:
    """n shifted right, copies of the sign bit coming in."""
    return n >> (by & 63) if n < 0x8000000000000000 else (n - 0x10000000000000000 >> (by & 63)) & M64


# ---------------------------------------------------------------------------------------------------- by instruction

SCALAR: Final[dict[str, Callable[..., int] | Callable[..., float]]] = {
    "i32.clz": i32_clz,
    "i32.ctz": i32_ctz,
    "i32.popcnt": popcnt,
    "i32.div_s": i32_div_s,
    "i32.div_u": div_u,
    "i32.rem_s": i32_rem_s,
    "i32.rem_u": rem_u,
    "i32.shr_s": i32_shr_s,
    "i32.rotl": i32_rotl,
    "i32.rotr": i32_rotr,
    "i64.clz": i64_clz,
    "i64.ctz": i64_ctz,
    "i64.popcnt": popcnt,
    "i64.div_s": i64_div_s,
    "i64.div_u": div_u,
    "i64.rem_s": i64_rem_s,
    "i64.rem_u": rem_u,
    "i64.shr_s": i64_shr_s,
    "i64.rotl": i64_rotl,
    "i64.rotr": i64_rotr,
    "f32.abs": float_abs,
    "f32.neg": float_neg,
    "f32.ceil": float_ceil,
    "f32.floor": float_floor,
    "f32.trunc": float_trunc,
    "f32.nearest": float_nearest,
    "f32.sqrt": f32_sqrt,
    "f32.add": f32_add,
    "f32.sub": f32_sub,
    "f32.mul": f32_mul,
    "f32.div": f32_div,
    "f32.min": float_min,
    "f32.max": float_max,
    "f32.copysign": copysign,
    "f64.abs": float_abs,
    "f64.neg": float_neg,
    "f64.ceil": float_ceil,
    "f64.floor": float_floor,
    "f64.trunc": float_trunc,
    "f64.nearest": float_nearest,
    "f64.sqrt": f64_sqrt,
    "f64.div": f64_div,
    "f64.min": float_min,
    "f64.max": float_max,
    "f64.copysign": copysign,
    "i32.trunc_f32_s": i32_trunc_s,
    "i32.trunc_f32_u": i32_trunc_u,
    "i32.trunc_f64_s": i32_trunc_s,
    "i32.trunc_f64_u": i32_trunc_u,
    "i64.trunc_f32_s": i64_trunc_s,
    "i64.trunc_f32_u": i64_trunc_u,
    "i64.trunc_f64_s": i64_trunc_s,
    "i64.trunc_f64_u": i64_trunc_u,
    "i32.trunc_sat_f32_s": i32_trunc_sat_s,
    "i32.trunc_sat_f32_u": i32_trunc_sat_u,
    "i32.trunc_sat_f64_s": i32_trunc_sat_s,
    "i32.trunc_sat_f64_u": i32_trunc_sat_u,
    "i64.trunc_sat_f32_s": i64_trunc_sat_s,
    "i64.trunc_sat_f32_u": i64_trunc_sat_u,
    "i64.trunc_sat_f64_s": i64_trunc_sat_s,
    "i64.trunc_sat_f64_u": i64_trunc_sat_u,
    "f32.convert_i32_s": f32_convert_i32_s,
    "f32.convert_i32_u": f32_convert_u,
    "f32.convert_i64_s": f32_convert_i64_s,
    "f32.convert_i64_u": f32_convert_u,
    "f32.demote_f64": f32_round,
    "f64.convert_i32_s": f64_convert_i32_s,
    "f64.convert_i32_u": float,
    "f64.convert_i64_s": f64_convert_i64_s,
    "f64.convert_i64_u": float,
    "f64.promote_f32": f64_promote_f32,
    "i32.reinterpret_f32": f32_to_bits,
    "i64.reinterpret_f64": f64_to_bits,
    "f32.reinterpret_i32": f32_from_bits,
    "f64.reinterpret_i64": f64_from_bits,
}
"""The scalar instructions that take more than an operator, by name."""
