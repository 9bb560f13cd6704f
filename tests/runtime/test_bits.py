"""Scalar numerics against exact arithmetic."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ieee_reference import F32, F64, larger, smaller, to_integer, to_integer_type
from wasmine.errors import Trap, TrapKind
from wasmine.runtime import bits
from wasmine.runtime.bits import SCALAR, f32_from_bits, f32_round, f32_to_bits, f64_from_bits, f64_to_bits

F32_NANS = [0x7FC00000, 0xFFC00000, 0x7F800001, 0xFF800001, 0x7FA00000, 0xFFBFFFFF, 0x7FFFFFFF]
F64_NANS = [0x7FF8 << 48, 0xFFF8 << 48, (0x7FF0 << 48) + 1, (0xFFF0 << 48) + 1, 0x7FF4 << 48, (1 << 63) - 1]

f32_bits = st.integers(0, 2**32 - 1) | st.sampled_from(F32_NANS)
f64_bits = st.integers(0, 2**64 - 1) | st.sampled_from(F64_NANS)
f32s = st.floats(width=32) | f32_bits.map(f32_from_bits)
f64s = st.floats() | f64_bits.map(f64_from_bits)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)


def same(x: float, y: float) -> bool:
    """Equal, zeros by their sign, any NaN to any."""
    return (x == y and math.copysign(1, x) == math.copysign(1, y)) or (math.isnan(x) and math.isnan(y))


def is_f32(x: float) -> bool:
    """Whether x is a form that an f32 has as an internal value."""
    return not f64_to_bits(x) & (1 << 29) - 1 if math.isnan(x) else f32_from_bits(f32_to_bits(x)) == x


def signed(n: int, width: int) -> int:
    """The signed number with the same bits."""
    return n - (1 << width) if n >> width - 1 else n


# ---------------------------------------------------------------------------------------------------- bit patterns


@given(f64_bits)
def test_every_f64_keeps_its_bits(pattern: int) -> None:
    assert f64_to_bits(f64_from_bits(pattern)) == pattern


@given(f32_bits)
def test_every_f32_keeps_its_bits(pattern: int) -> None:
    assert f32_to_bits(f32_from_bits(pattern)) == pattern


@given(st.floats(width=32, allow_nan=False))
def test_f32_bits_are_those_of_the_format(x: float) -> None:
    assert f32_to_bits(x) == struct.unpack("<I", struct.pack("<f", x))[0]


@pytest.mark.parametrize("pattern", F32_NANS)
def test_an_f32_nan_is_the_f64_nan_with_its_payload_shifted(pattern: int) -> None:
    expected = (pattern >> 31) << 63 | 0x7FF << 52 | (pattern & 0x7FFFFF) << 29
    assert f64_to_bits(f32_from_bits(pattern)) == expected


@pytest.mark.parametrize("pattern", F64_NANS)
def test_signaling_nans_pass_through_lists_arguments_and_buffers(pattern: int) -> None:
    x = [f64_from_bits(pattern)][0]
    assert (lambda y: f64_to_bits(y))(x) == pattern
    memory = bytearray(16)
    struct.pack_into("<d", memory, 3, x)
    assert f64_to_bits(struct.unpack_from("<d", memory, 3)[0]) == pattern
    cast = memoryview(memory)[8:].cast("d")
    cast[0] = x
    assert f64_to_bits(cast[0]) == pattern


# ---------------------------------------------------------------------------------------------------- rounding to f32


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(3.4028234663852886e38)
@example(3.4028235677973362e38)
@example(3.4028235677973366e38)  # the first number that is rounded to infinity
@example(-3.4028235677973366e38)
@example(1.7976931348623157e308)
@example(1.1754943508222875e-38)
@example(1.1754942807573643e-38)
@example(7.006492321624085e-46)  # half the smallest number, a tie
@example(7.006492321624087e-46)
@example(1 + 2**-24)
@example(1 + 2**-23 + 2**-24)
@example(2 - 2**-52)
def test_rounding_to_f32_is_to_the_nearest_even(x: float) -> None:
    assert same(f32_round(x), F32.nearest(Fraction(x), math.copysign(1, x) < 0))


@given(st.integers(-160, 130), st.integers(2**23, 2**24 - 1), st.sampled_from([-1, 0, 1]), st.booleans())
def test_rounding_to_f32_of_ties_and_their_neighbours(exponent: int, whole: int, beside: int, negative: bool) -> None:
    x = math.ldexp(whole + 0.5, exponent - 23)
    x = math.nextafter(x, math.inf * beside) if beside else x
    x = -x if negative else x
    assert same(f32_round(x), F32.nearest(Fraction(x), negative))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_expression_for_generated_code_is_the_function(x: float) -> None:
    template = bits.F32_ROUND.format(x="x")
    assert same(eval(template, {"x": x, "f32_round": f32_round}), f32_round(x))


def test_infinities_stay_and_nans_become_quiet() -> None:
    assert f32_round(math.inf) == math.inf
    assert f32_round(-math.inf) == -math.inf
    for pattern in F64_NANS:
        result = f32_round(f64_from_bits(pattern))
        assert is_f32(result)
        assert f32_to_bits(result) & 0x7FC00000 == 0x7FC00000
        assert f64_to_bits(result) >> 63 == pattern >> 63


# ---------------------------------------------------------------------------------------------------- floats


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f32.add", F32.add),
        ("f32.sub", F32.subtract),
        ("f32.mul", F32.multiply),
        ("f32.div", F32.divide),
        ("f32.min", smaller),
        ("f32.max", larger),
        ("f64.div", F64.divide),
        ("f64.min", smaller),
        ("f64.max", larger),
    ],
)
def test_binary_operations(name: str, expected: Callable[[float, float], float]) -> None:
    numbers = f32s if name.startswith("f32") else f64s

    @given(numbers, numbers)
    @example(0.0, -0.0)
    @example(-0.0, 0.0)
    @example(-0.0, -0.0)
    @example(1.0, 0.0)
    @example(-1.0, 0.0)
    @example(1.0, -0.0)
    @example(0.0, 0.0)
    @example(math.inf, 0.0)
    @example(math.inf, -math.inf)
    @example(math.nan, 0.0)
    @example(2.0**-149, 2.0**-149)
    def check(x: float, y: float) -> None:
        result = SCALAR[name](x, y)
        assert same(result, expected(x, y))
        assert f64_to_bits(result) & 1 << 51 or not math.isnan(result)
        assert not name.startswith("f32") or is_f32(result)

    check()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{type}.{operation}", (lambda x, operation=operation: to_integer(x, operation)))
        for type in ("f32", "f64")
        for operation in ("ceil", "floor", "trunc", "nearest")
    ]
    + [("f32.sqrt", F32.square_root), ("f64.sqrt", F64.square_root)],
)
def test_unary_operations(name: str, expected: Callable[[float], float]) -> None:
    @given(f32s if name.startswith("f32") else f64s)
    @example(-0.0)
    @example(0.49999999999999994)
    @example(-0.49999999999999994)
    @example(0.5)
    @example(-0.5)
    @example(1.5)
    @example(2.5)
    @example(-2.5)
    @example(4503599627370495.5)
    @example(-4503599627370495.5)
    @example(4503599627370496.0)
    @example(9007199254740993.0)
    @example(-math.inf)
    @example(5e-324)
    def check(x: float) -> None:
        if name.startswith("f32"):
            x = f32_round(x)
        result = SCALAR[name](x)
        assert same(result, expected(x))
        assert f64_to_bits(result) & 1 << 51 or not math.isnan(result)
        assert not name.startswith("f32") or is_f32(result)

    check()


@given(f64_bits, f64_bits)
def test_sign_operations_touch_nothing_but_the_sign(pattern: int, other: int) -> None:
    x, y = f64_from_bits(pattern), f64_from_bits(other)
    assert f64_to_bits(SCALAR["f64.abs"](x)) == pattern & ~(1 << 63)
    assert f64_to_bits(SCALAR["f64.neg"](x)) == pattern ^ 1 << 63
    assert f64_to_bits(SCALAR["f64.copysign"](x, y)) == pattern & ~(1 << 63) | other & 1 << 63


@given(f32_bits, f32_bits)
def test_f32_sign_operations_touch_nothing_but_the_sign(pattern: int, other: int) -> None:
    x, y = f32_from_bits(pattern), f32_from_bits(other)
    assert f32_to_bits(SCALAR["f32.abs"](x)) == pattern & ~(1 << 31)
    assert f32_to_bits(SCALAR["f32.neg"](x)) == pattern ^ 1 << 31
    assert f32_to_bits(SCALAR["f32.copysign"](x, y)) == pattern & ~(1 << 31) | other & 1 << 31


@pytest.mark.parametrize("pattern", F32_NANS)
def test_promotion_quiets_and_keeps_the_payload(pattern: int) -> None:
    result = f64_to_bits(SCALAR["f64.promote_f32"](f32_from_bits(pattern)))
    assert result == f64_to_bits(f32_from_bits(pattern)) | 1 << 51


# ---------------------------------------------------------------------------------------------------- conversions

BOUNDS = {
    "i32_s": (-(2**31), 2**31 - 1),
    "i32_u": (0, 2**32 - 1),
    "i64_s": (-(2**63), 2**63 - 1),
    "i64_u": (0, 2**64 - 1),
}
EDGES = [
    math.nextafter(float(edge), direction)
    for edge in (-(2**63), -(2**31), -1, 0, 2**31, 2**32, 2**63, 2**64)
    for direction in (-math.inf, edge, math.inf)
] + [-(2.0**31) - 1, -(2.0**31) - 0.5, 2.0**31 - 0.5, 2.0**32 - 0.5, -0.99, -0.0, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("source", ["f32", "f64"])
@pytest.mark.parametrize("target", BOUNDS)
def test_truncation(source: str, target: str) -> None:
    low, high = BOUNDS[target]
    mask = (1 << int(target[1:3])) - 1
    type, sign = target.split("_")
    trapping, saturating = SCALAR[f"{type}.trunc_{source}_{sign}"], SCALAR[f"{type}.trunc_sat_{source}_{sign}"]

    @given((f32s if source == "f32" else f64s) | st.sampled_from(EDGES))
    def check(x: float) -> None:
        assert saturating(x) == to_integer_type(x, low, high) & mask
        if math.isfinite(x) and low <= math.trunc(x) <= high:
            assert trapping(x) == math.trunc(x) & mask
            return
        with pytest.raises(Trap) as caught:
            trapping(x)
        assert caught.value.kind is (TrapKind.INVALID_CONVERSION if math.isnan(x) else TrapKind.INTEGER_OVERFLOW)

    check()


@given(u64)
@example(0x8000008000000001)  # twice rounded (to f64, then to f32) it would be one f32 lower
@example(0x7FFFFF4000000001)
@example(0x0020000020000001)
@example(2**64 - 1)
@example(2**63)
@example((1 << 53) + (1 << 29))
def test_integers_become_floats_with_one_rounding(n: int) -> None:
    assert SCALAR["f32.convert_i64_u"](n) == F32.nearest(Fraction(n))
    assert SCALAR["f32.convert_i64_s"](n) == F32.nearest(Fraction(signed(n, 64)))
    assert SCALAR["f64.convert_i64_u"](n) == F64.nearest(Fraction(n))
    assert SCALAR["f64.convert_i64_s"](n) == F64.nearest(Fraction(signed(n, 64)))


@given(u32)
@example(2**31)
@example(2**32 - 1)
@example(2**24 + 1)
def test_small_integers_become_floats(n: int) -> None:
    assert SCALAR["f32.convert_i32_u"](n) == F32.nearest(Fraction(n))
    assert SCALAR["f32.convert_i32_s"](n) == F32.nearest(Fraction(signed(n, 32)))
    assert SCALAR["f64.convert_i32_u"](n) == n
    assert SCALAR["f64.convert_i32_s"](n) == signed(n, 32)


# ---------------------------------------------------------------------------------------------------- integers


@pytest.mark.parametrize(("type", "width"), [("i32", 32), ("i64", 64)])
def test_counting_and_shifting_bits(type: str, width: int) -> None:
    @given(st.integers(0, 2**width - 1), st.integers(0, 2**width - 1))
    @example(0, 0)
    @example(1, width)
    @example(2**width - 1, width - 1)
    def check(n: int, by: int) -> None:
        digits = f"{n:0{width}b}"
        turn = by % width
        assert SCALAR[f"{type}.clz"](n) == len(digits) - len(digits.lstrip("0"))
        assert SCALAR[f"{type}.ctz"](n) == len(digits) - len(digits.rstrip("0"))
        assert SCALAR[f"{type}.popcnt"](n) == digits.count("1")
        assert SCALAR[f"{type}.rotl"](n, by) == int(digits[turn:] + digits[:turn], 2)
        assert SCALAR[f"{type}.rotr"](n, by) == int(digits[width - turn :] + digits[: width - turn], 2)
        assert SCALAR[f"{type}.shr_s"](n, by) == int(digits[0] * turn + digits[: width - turn], 2)

    check()


@pytest.mark.parametrize(("type", "width"), [("i32", 32), ("i64", 64)])
def test_division(type: str, width: int) -> None:
    numbers = st.integers(0, 2**width - 1) | st.sampled_from([1, 2, 2**width - 1, 2 ** (width - 1)])
    mask = (1 << width) - 1

    @given(numbers, numbers.filter(bool))
    def check(x: int, y: int) -> None:
        assert SCALAR[f"{type}.div_u"](x, y) == math.floor(Fraction(x, y))
        assert SCALAR[f"{type}.rem_u"](x, y) == x - math.floor(Fraction(x, y)) * y
        quotient = math.trunc(Fraction(signed(x, width), signed(y, width)))
        assert SCALAR[f"{type}.rem_s"](x, y) == signed(x, width) - quotient * signed(y, width) & mask
        if quotient < 1 << width - 1:
            assert SCALAR[f"{type}.div_s"](x, y) == quotient & mask

    check()


@pytest.mark.parametrize("type", ["i32", "i64"])
@pytest.mark.parametrize("operation", ["div_s", "div_u", "rem_s", "rem_u"])
def test_division_by_zero_traps(type: str, operation: str) -> None:
    with pytest.raises(Trap) as caught:
        SCALAR[f"{type}.{operation}"](7, 0)
    assert caught.value.kind is TrapKind.INTEGER_DIVIDE_BY_ZERO


@pytest.mark.parametrize(("type", "width"), [("i32", 32), ("i64", 64)])
def test_the_quotient_that_does_not_fit_traps_and_its_remainder_is_zero(type: str, width: int) -> None:
    smallest, minus_one = 1 << width - 1, (1 << width) - 1
    with pytest.raises(Trap) as caught:
        SCALAR[f"{type}.div_s"](smallest, minus_one)
    assert caught.value.kind is TrapKind.INTEGER_OVERFLOW
    assert SCALAR[f"{type}.rem_s"](smallest, minus_one) == 0
