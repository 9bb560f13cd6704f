"""How the text format writes strings, identifiers and numbers, so that they read back to the same bits."""

from __future__ import annotations

import re
import struct
from typing import Final

_IDENTIFIER: Final = re.compile(r"[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+")

_ESCAPES: Final = {ord("\t"): r"\t", ord("\n"): r"\n", ord("\r"): r"\r", ord('"'): r"\"", ord("\\"): r"\\"}
_PRINTABLE: Final = range(0x20, 0x7F)
_BYTES: Final = {byte: _ESCAPES.get(byte, chr(byte) if byte in _PRINTABLE else f"\\{byte:02x}") for byte in range(256)}


def print_bytes(data: bytes) -> str:
    """A string literal of any bytes, in ASCII."""
    return f'"{data.decode("latin-1").translate(_BYTES)}"'


def print_name(name: str) -> str:
    """A string literal of a name: what can be read stays readable, in any script."""
    if name.isascii():
        return print_bytes(name.encode())
    return f'"{"".join(_print_character(character) for character in name)}"'


def _print_character(character: str) -> str:
    if ord(character) < 0x80:
        return _BYTES[ord(character)]
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"


def print_identifier(name: str) -> str:
    """The identifier `$name`, as `$"..."` where the name has characters that a plain one cannot have."""
    return f"${name}" if _IDENTIFIER.fullmatch(name) else f"${print_name(name)}"


def print_f32(bits: bytes) -> str:
    """The f32 with these four bytes: the shortest decimal that reads back to it, `inf`, or a `nan` with its payload."""
    (number,) = struct.unpack("<I", bits)
    if number & 0x7F80_0000 == 0x7F80_0000:
        return _print_special(number >> 31, number & 0x7F_FFFF, 0x40_0000)
    (value,) = struct.unpack("<f", bits)
    return next(text for digits in range(6, 10) if _reads_back(text := f"{value:.{digits}g}", bits, digits))


def _reads_back(text: str, bits: bytes, digits: int) -> bool:
    # Python reads decimals to f64, the text format to f32 at once. The two differ only if the f64 falls on the middle
    # between two f32s; such a text is not used. Nine digits are enough for any f32.
    value = float(text)
    if digits == 9:
        return True
    try:
        rounded = struct.pack("<f", value)
    except OverflowError:
        return False
    (wide,) = struct.unpack("<Q", struct.pack("<d", value))
    return rounded == bits and wide & 0x1FFF_FFFF != 0x1000_0000


def print_f64(bits: bytes) -> str:
    """The f64 with these eight bytes: the shortest decimal that reads back to it, `inf`, or a `nan` with its payload."""
    (number,) = struct.unpack("<Q", bits)
    if number & 0x7FF0_0000_0000_0000 == 0x7FF0_0000_0000_0000:
        return _print_special(number >> 63, number & 0xF_FFFF_FFFF_FFFF, 0x8_0000_0000_0000)
    (value,) = struct.unpack("<d", bits)
    return repr(value).removesuffix(".0")


def _print_special(negative: int, payload: int, canonical: int) -> str:
    text = "inf" if not payload else "nan" if payload == canonical else f"nan:{payload:#x}"
    return f"-{text}" if negative else text


def print_v128(bits: bytes) -> str:
    """The v128 with these sixteen bytes, as four lanes of 32 bits."""
    return "i32x4 " + " ".join(f"{lane:#010x}" for lane in struct.unpack("<4I", bits))
