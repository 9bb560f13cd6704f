"""Literals of the text format mean what the specification says, to the last bit."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wasmine.errors import DecodeError
from wasmine.format.text.literals import float_bits, identifier, integer, name, natural, string


def f64(bits: int) -> float:
    (value,) = struct.unpack("<d", bits.to_bytes(8, "little"))
    return value


def f32(bits: int) -> float:
    (value,) = struct.unpack("<f", bits.to_bytes(4, "little"))
    return value


def nearest_f32(exact: Fraction) -> int:
    """The bit pattern of the f32 nearest to a number that is not negative, ties to even; infinity if too large.

    By search: bit patterns of floats that are not negative are in the order of their values.
    """
    low, high = 0, 0x7F800000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if Fraction(f32(middle)) <= exact else (low, middle)
    below = Fraction(f32(low))
    above = Fraction(2) ** 128 if high == 0x7F800000 else Fraction(f32(high))
    if exact - below == above - exact:
        return low if low % 2 == 0 else high
    return low if exact - below < above - exact else high


def with_underscores(digits: str, places: list[int]) -> str:
    """The digits with an underscore at some of the places between them."""
    return "".join(f"_{digit}" if index and index in places else digit for index, digit in enumerate(digits))


places = st.lists(st.integers(1, 20))


# ---- integers


@given(st.integers(0, 2**64 - 1), places, st.booleans())
def test_a_natural_number_reads_back(value: int, places: list[int], hexadecimal: bool) -> None:
    token = "0x" + with_underscores(f"{value:X}", places) if hexadecimal else with_underscores(str(value), places)

    assert natural(token, 64) == value


@given(st.integers(-(2**31), 2**32 - 1), places)
def test_an_integer_may_be_signed_or_unsigned(value: int, places: list[int]) -> None:
    token = with_underscores(str(abs(value)), places)

    (expected,) = struct.unpack("<i", (value & 0xFFFFFFFF).to_bytes(4, "little"))
    assert integer(f"-{token}" if value < 0 else token, 32) == expected


@pytest.mark.parametrize(
    ("token", "value"),
    [("0", 0), ("+0", 0), ("-0", 0), ("007", 7), ("0x0_F", 15), ("-0x80", -128), ("0xff", -1), ("+255", -1)],
)
def test_small_integers(token: str, value: int) -> None:
    assert integer(token, 8) == value


@pytest.mark.parametrize("token", ["256", "-129", "0x100", "9" * 5000, "-" + "9" * 5000, "0x" + "f" * 1000])
def test_an_integer_that_does_not_fit_is_out_of_range(token: str) -> None:
    with pytest.raises(DecodeError, match="constant out of range"):
        integer(token, 8)


def test_leading_zeros_do_not_make_a_number_large() -> None:
    assert natural("0" * 100_000 + "1", 8) == 1
    assert natural("0x" + "0_" * 100_000 + "1", 8) == 1


@pytest.mark.parametrize(
    "token", ["", "+", "-", "_1", "1_", "1__2", "0x", "0x_1", "0X1", "1.0", "0b1", "a", "++1", "1e3", "$1", "١"]
)
def test_what_is_no_integer(token: str) -> None:
    assert integer(token, 64) is None
    assert natural(token, 64) is None


def test_a_natural_number_has_no_sign() -> None:
    assert natural("+1", 32) is None
    assert natural("-1", 32) is None


# ---- floats


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(5e-324)
@example(2.2250738585072014e-308)
@example(-0.0)
@example(1.7976931348623157e308)
def test_an_f64_reads_back_from_decimal_and_hexadecimal(value: float) -> None:
    (expected,) = struct.unpack("<Q", struct.pack("<d", value))

    assert float_bits(repr(value), 64) == expected
    assert float_bits(value.hex(), 64) == expected


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_an_f32_reads_back_from_decimal_and_hexadecimal(value: float) -> None:
    (expected,) = struct.unpack("<I", struct.pack("<f", value))

    assert float_bits(repr(value), 32) == expected
    assert float_bits(value.hex(), 32) == expected


mantissas = st.text("0123456789abcdef", min_size=1, max_size=40)


@given(mantissas, st.text("0123456789abcdef", max_size=40), st.integers(-1200, 1200))
@example("1", "00000000000008", 0)  # a tie, to even
@example("1", "000000000000081", 0)  # just above it
@example("1", "", -1075)  # half of the least subnormal number, to 0
@example("1", "0000000000000000001", -1075)
@example("1", "fffffffffffff8", 1023)  # half a unit above the largest number
@example("1", "fffffffffffff7", 1023)
def test_hexadecimal_floats_are_rounded_as_python_rounds_them(whole: str, fraction: str, exponent: int) -> None:
    token = f"0x{whole}.{fraction}p{exponent}"
    try:
        value = float.fromhex(token)
    except OverflowError:
        value = math.inf

    if math.isinf(value):
        with pytest.raises(DecodeError, match="constant out of range"):
            float_bits(token, 64)
    else:
        assert float_bits(token, 64) == struct.unpack("<Q", struct.pack("<d", value))[0]


@given(st.text("0123456789abcdef", min_size=1, max_size=20), st.integers(-200, 120))
@example("1000001", -24)  # a tie for f32, to even
@example("10000010000000000001", -52)  # just above it: rounding to f64 first would lose that
@example("1", -150)
@example("10000000000000001", -214)
@example("ffffff8", 100)  # half a unit above the largest number
@example("ffffff7f", 96)
def test_hexadecimal_f32_are_rounded_once(digits: str, exponent: int) -> None:
    exact = Fraction(int(digits, 16)) * Fraction(2) ** exponent
    expected = nearest_f32(exact)
    token = f"0x{digits}p{exponent}"

    if expected == 0x7F800000:
        with pytest.raises(DecodeError, match="constant out of range"):
            float_bits(token, 32)
    else:
        assert float_bits(token, 32) == expected


@given(st.integers(0, 0x7F7FFFFE), st.integers(-2, 2), st.integers(1, 60))
def test_decimal_f32_near_the_middle_of_two_are_rounded_once(bits: int, nudge: int, digits: int) -> None:
    middle = (Fraction(f32(bits)) + Fraction(f32(bits + 1))) / 2
    exact = middle + Fraction(nudge) * middle / 10 ** (digits + 9)
    # The decimal expansion of a fraction whose denominator has no factors but 2 and 5 is finite.
    scale = len(str(exact.denominator)) * 4 + 200
    token = f"{int(exact * 10**scale)}e-{scale}"

    assert Fraction(token) == exact
    assert float_bits(token, 32) == nearest_f32(exact)


@given(st.from_regex(r"\A[0-9]{1,30}(\.[0-9]{0,30})?(e[+-]?[0-9]{1,2})?\Z"))
@example("16777217")
@example("16777217.0000000000000000000000001")
@example("340282356779733661637539395458142568447.9")
@example("7.0064923216240853546186479164495e-46")
@example("7.0064923216240853546186479164496e-46")
def test_decimal_f32_are_rounded_once(token: str) -> None:
    expected = nearest_f32(Fraction(token.replace(".e", "e").rstrip(".")))

    if expected == 0x7F800000:
        with pytest.raises(DecodeError, match="constant out of range"):
            float_bits(token, 32)
    else:
        assert float_bits(token, 32) == expected


@pytest.mark.parametrize(
    ("token", "f32_bits", "f64_bits"),
    [
        ("inf", 0x7F800000, 0x7FF0000000000000),
        ("-inf", 0xFF800000, 0xFFF0000000000000),
        ("nan", 0x7FC00000, 0x7FF8000000000000),
        ("-nan", 0xFFC00000, 0xFFF8000000000000),
        ("+nan:0x1", 0x7F800001, 0x7FF0000000000001),
        ("nan:0x7f_ffff", 0x7FFFFFFF, 0x7FF00000007FFFFF),
        ("-0", 0x80000000, 0x8000000000000000),
        ("0x0p-99999999999999999999", 0, 0),
        ("0e99999999999999999999", 0, 0),
        ("1.", 0x3F800000, 0x3FF0000000000000),
        ("0x1.", 0x3F800000, 0x3FF0000000000000),
        ("1_0.5_0E+0_1", 0x42D20000, 0x405A400000000000),
        ("0x1_0.8P-0_4", 0x3F840000, 0x3FF0800000000000),
        ("1e-400", 0, 0),
        ("0x1p-99999999999999999999", 0, 0),
    ],
)
def test_special_floats(token: str, f32_bits: int, f64_bits: int) -> None:
    assert float_bits(token, 32) == f32_bits
    assert float_bits(token, 64) == f64_bits


@pytest.mark.parametrize(
    "token",
    [
        "1e400",
        "-1e400",
        "0x1p1024",
        "0x1p99999999999999999999",
        "1e99999999999999999999",
        "nan:0x0",
        "nan:0x10_0000_0000_0000",
        "nan:0x" + "f" * 100,
    ],
)
def test_a_float_that_cannot_be_is_out_of_range(token: str) -> None:
    with pytest.raises(DecodeError, match="constant out of range"):
        float_bits(token, 64)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        ".5",
        "e1",
        "1e",
        "1e+",
        "0x",
        "0x1p",
        "0x.8",
        "1_.5",
        "1._5",
        "1e_1",
        "1e1_",
        "0x1p0x1",
        "0x1e+1",
        "infinity",
        "Inf",
        "nan:",
        "nan:1",
        "nan:0x",
        "nan:canonical",
        "NaN",
        "1.5f",
        "--1",
        "1 ",
    ],
)
def test_what_is_no_float(token: str) -> None:
    assert float_bits(token, 64) is None


@pytest.mark.parametrize(
    "token",
    ["9" * 200_000 + "e-200000", "0." + "0" * 200_000 + "1e200001", "0x" + "f" * 200_000 + "p-800000"],
)
def test_long_floats_are_numbers_like_others(token: str) -> None:
    assert 0 < f64(float_bits(token, 64) or 0) <= 16


# ---- strings, names, identifiers


@given(st.binary())
def test_any_bytes_can_be_written_as_a_string(data: bytes) -> None:
    assert string('"' + "".join(f"\\{byte:02x}" for byte in data) + '"') == data


@given(st.text(st.characters(exclude_characters='"\\', exclude_categories=("Cc", "Cs"))))
def test_characters_stand_for_their_utf_8(text: str) -> None:
    assert string(f'"{text}"') == text.encode()
    assert name(f'"{text}"') == text


@given(st.characters(exclude_categories=("Cs",)))
def test_a_character_can_be_written_by_its_number(character: str) -> None:
    assert name(f'"\\u{{{ord(character):x}}}"') == character


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ('""', b""),
        (r'"\t\n\r\"\'\\"', b"\t\n\r\"'\\"),
        (r'"a\00b\fFc"', b"a\x00b\xffc"),
        (r'"\u{1_F600}\u{0041}"', "\U0001f600A".encode()),
        (r'"\\00"', rb"\00"),
        (r'"\nn"', b"\nn"),
    ],
)
def test_escapes(token: str, value: bytes) -> None:
    assert string(token) == value


@pytest.mark.parametrize("token", ['"', 'a"', '"a', '"a"b', '"a""b"', r'"\x41"', r'"\4"', r'"\u41"', r'"\u{}"', '"\n"'])
def test_what_is_no_string(token: str) -> None:
    assert string(token) is None
    assert name(token) is None


@pytest.mark.parametrize("escape", [r"\u{d800}", r"\u{dfff}", r"\u{110000}", r"\u{ffffffffffffffffffffffffffffff}"])
def test_an_escape_must_be_a_scalar_value(escape: str) -> None:
    with pytest.raises(DecodeError, match="illegal escape"):
        string(f'"{escape}"')


@pytest.mark.parametrize("token", [r'"\ff"', r'"\c0\80"', r'"\ed\a0\80"', r'"a\e2\82"', '"\ud800"'])
def test_a_name_must_be_utf_8(token: str) -> None:
    with pytest.raises(DecodeError, match="malformed UTF-8 encoding"):
        name(token)


@pytest.mark.parametrize(
    ("token", "value"),
    [("$a", "a"), ("$0!#$%&'*+-./:<=>?@\\^_`|~", "0!#$%&'*+-./:<=>?@\\^_`|~"), (r'$"a b\41"', "a bA"), ('$"é"', "é")],
)
def test_identifiers(token: str, value: str) -> None:
    assert identifier(token) == value


def test_what_is_no_identifier() -> None:
    assert identifier("a") is None
    assert identifier('$a"b"') is None


@pytest.mark.parametrize("token", ["$", '$""'])
def test_an_identifier_is_not_empty(token: str) -> None:
    with pytest.raises(DecodeError, match="empty identifier"):
        identifier(token)
