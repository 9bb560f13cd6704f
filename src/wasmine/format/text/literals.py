"""Literals of the text format: integers, floats, strings, names, identifiers.

Every function takes a token. The answer is None if the token is not of that kind at all; a token that is, but says
something that cannot be, raises `DecodeError` without a place, which the parser adds. Time and memory are proportional
to the length of the token, whatever number it says.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from typing import Final, TypeAlias

from wasmine.errors import DecodeError
from wasmine.record import record

# The lexical grammar, as regular expressions without groups. The loops are possessive, so that matching is linear.
_DIGITS: Final = "[0-9]++(?>(?:_[0-9]++)*)"
_HEX_DIGITS: Final = "[0-9A-Fa-f]++(?>(?:_[0-9A-Fa-f]++)*)"
NATURAL: Final = f"(?:0x{_HEX_DIGITS}|{_DIGITS})"
FLOAT: Final = (
    rf"(?:0x{_HEX_DIGITS}(?:\.(?:{_HEX_DIGITS})?)?(?:[pP][+-]?{_DIGITS})?"
    rf"|{_DIGITS}(?:\.(?:{_DIGITS})?)?(?:[eE][+-]?{_DIGITS})?"
    rf"|inf|nan(?::0x{_HEX_DIGITS})?)"
)
STRING: Final = rf'"(?>(?:[^"\\\x00-\x1f\x7f]++|\\[tnr"\'\\]|\\[0-9A-Fa-f]{{2}}|\\u\{{{_HEX_DIGITS}\}})*)"'

_is_natural = re.compile(NATURAL).fullmatch
is_integer = re.compile(f"[+-]?{NATURAL}").fullmatch
is_float = re.compile(f"[+-]?{FLOAT}").fullmatch
_is_string = re.compile(STRING).fullmatch

# An integer with more digits than this, leading zeros aside, is beyond every range (a v128 has 39).
_MANY_DIGITS: Final = 40
# An exponent with more digits than this is beyond what any mantissa that fits into memory could make up for.
_MANY_EXPONENT_DIGITS: Final = 18


def natural(token: str, bits: int) -> int | None:
    """An unsigned integer, written without a sign."""
    if not _is_natural(token):
        return None
    value = _magnitude(token)
    if value is None or value >> bits:
        raise DecodeError(f"i{bits} constant out of range: {shortened(token)} does not fit into {bits} bits")
    return value


def integer(token: str, bits: int) -> int | None:
    """An integer of `bits` bits, signed; the literal may be any from -2^(bits-1) to 2^bits - 1."""
    if not is_integer(token):
        return None
    value = _magnitude(token.lstrip("+-"))
    negative = token[0] == "-"
    if value is None or (value > 1 << (bits - 1) if negative else value >> bits):
        raise DecodeError(f"constant out of range: {shortened(token)} does not fit into i{bits}")
    if negative:
        return -value
    return value - (1 << bits) if value >> (bits - 1) else value


def _magnitude(token: str) -> int | None:
    """The value of a natural number, None if it has too many digits for any range."""
    digits, base = (token[2:], 16) if token.startswith("0x") else (token, 10)
    digits = digits.replace("_", "").lstrip("0")
    return int(digits or "0", base) if len(digits) <= _MANY_DIGITS else None


def shortened(token: str) -> str:
    """The token, cut to what fits into a message."""
    return token if len(token) <= 60 else f"{token[:57]}..."


@record
class FloatFormat:
    """A binary interchange format of IEEE 754: `precision` counts the implicit bit of the significand."""

    bits: int
    precision: int
    least_exponent: int  # of the last bit of a subnormal number

    @property
    def infinity(self) -> int:
        """The bit pattern of infinity, exponent bits all ones."""
        return (1 << (self.bits - 1)) - (1 << (self.precision - 1))


F32_FORMAT: Final = FloatFormat(32, 24, -149)
F64_FORMAT: Final = FloatFormat(64, 53, -1074)
FLOAT_FORMATS: Final = {32: F32_FORMAT, 64: F64_FORMAT}


def float_bits(token: str, bits: int) -> int | None:
    """The bit pattern of a float of 32 or 64 bits, exactly rounded (to nearest, ties to even)."""
    if not is_float(token):
        return None
    form = FLOAT_FORMATS[bits]
    text = token.lstrip("+-").replace("_", "")
    if text == "inf":
        pattern = form.infinity
    elif text.startswith("nan"):
        pattern = form.infinity | _nan_payload(token, text, form)
    else:
        pattern = _hex_float(text, form) if text.startswith("0x") else _decimal_float(text, form)
        if pattern >= form.infinity:
            raise DecodeError(f"constant out of range: {shortened(token)} is too large for f{bits}")
    return pattern | 1 << (bits - 1) if token[0] == "-" else pattern


def _nan_payload(token: str, text: str, form: FloatFormat) -> int:
    quiet = 1 << (form.precision - 2)
    payload = _magnitude(text[4:]) if len(text) > 3 else quiet
    if payload is None or not 0 < payload < 2 * quiet:
        raise DecodeError(
            f"constant out of range: the payload of {shortened(token)} is not from 1 to {2 * quiet - 1:#x}"
        )
    return payload


def _hex_float(text: str, form: FloatFormat) -> int:
    mantissa, _, exponent = text[2:].lower().partition("p")
    whole, _, fraction = mantissa.partition(".")
    digits = exponent.lstrip("+-").lstrip("0")
    size = int(digits or "0") if len(digits) <= _MANY_EXPONENT_DIGITS else 10**_MANY_EXPONENT_DIGITS
    return _round(int(whole + fraction, 16), (-size if exponent[:1] == "-" else size) - 4 * len(fraction), form)


def _round(mantissa: int, exponent: int, form: FloatFormat) -> int:
    """The bit pattern nearest to mantissa * 2^exponent; `form.infinity` or more if that is too large."""
    length = mantissa.bit_length()
    if not length:
        return 0
    last = max(length + exponent - form.precision, form.least_exponent)  # the exponent of the last bit that is kept
    surplus = last - exponent
    if surplus <= 0:
        kept = mantissa << -surplus
    elif surplus > length + 1:
        return 0
    else:
        kept = mantissa >> surplus
        rest = mantissa - (kept << surplus)
        half = 1 << (surplus - 1)
        kept += rest > half or (rest == half and kept & 1)
    # The implicit bit of `kept` adds 1 to the exponent field, and so does a carry out of it, as it should be.
    return ((last - form.least_exponent) << (form.precision - 1)) + kept


def _decimal_float(text: str, form: FloatFormat) -> int:
    nearest = float(text)  # exactly rounded, by Python
    if nearest == math.inf:
        return form.infinity
    if form is F64_FORMAT or not nearest:
        return int.from_bytes(struct.pack("<d", nearest), "little")
    # Rounding twice goes wrong only where the f64 is in the middle of two f32: then it matters on which side the number
    # itself is.
    below, above = (_narrowed(math.nextafter(nearest, towards)) for towards in (-math.inf, math.inf))
    if (_widened(below) + _widened(above)) / 2 != nearest:
        return _narrowed(nearest)
    from decimal import Decimal  # rarely needed, and not cheap to import

    exact, rounded = Decimal(text), Decimal(nearest)
    return _narrowed(nearest) if exact == rounded else above if exact > rounded else below


def _narrowed(value: float) -> int:
    """The bit pattern of the f32 nearest to a positive f64."""
    try:
        return int.from_bytes(struct.pack("<f", value), "little")
    except OverflowError:
        return F32_FORMAT.infinity


def _widened(pattern: int) -> float:
    """The value of an f32's bit pattern; that of infinity is what would come next if there were no limit."""
    if pattern == F32_FORMAT.infinity:
        return 2.0**128
    value: float = struct.unpack("<f", pattern.to_bytes(4, "little"))[0]
    return value


Number: TypeAlias = Callable[[str, int], int | None]

# The shapes of vectors: what their lanes are, and how many bits these have.
SHAPES: Final[dict[str, tuple[Number, int]]] = {
    "i8x16": (integer, 8),
    "i16x8": (integer, 16),
    "i32x4": (integer, 32),
    "i64x2": (integer, 64),
    "f32x4": (float_bits, 32),
    "f64x2": (float_bits, 64),
}

_ESCAPES: Final = re.compile(rb"(?>(?:\\[0-9A-Fa-f]{2})+)|\\u\{([0-9A-Fa-f_]++)\}|\\(.)")
_SINGLE: Final = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}


def string(token: str) -> bytes | None:
    """The bytes of a string."""
    if not _is_string(token):
        return None
    try:
        body = token[1:-1].encode()
    except UnicodeEncodeError:  # a surrogate, which only Python lets into a text
        raise DecodeError("malformed UTF-8 encoding: a string holds a lone surrogate") from None
    return _ESCAPES.sub(_unescaped, body) if b"\\" in body else body


def _unescaped(escape: re.Match[bytes]) -> bytes:
    codepoint, single = escape.groups()
    if single:
        return _SINGLE.get(single, single)
    if not codepoint:
        return bytes.fromhex(escape[0].replace(b"\\", b" ").decode())
    value = _magnitude(f"0x{codepoint.decode()}")
    if value is None or value > 0x10FFFF or 0xD800 <= value < 0xE000:
        raise DecodeError(f"illegal escape: \\u{{{shortened(codepoint.decode())}}} is no Unicode scalar value")
    return chr(value).encode()


def name(token: str) -> str | None:
    """A string that must be UTF-8."""
    value = string(token)
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise DecodeError(f"malformed UTF-8 encoding: {shortened(token)}") from None


def identifier(token: str) -> str | None:
    """An identifier without its `$`; `$"..."` may hold any characters."""
    if not token.startswith("$"):
        return None
    text = name(token[1:]) if '"' in token else token[1:]
    if text == "":
        raise DecodeError("empty identifier: expected a name right after $")
    return text
