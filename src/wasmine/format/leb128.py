"""The integers of the binary format, written as short as they can be; `cursor.py` reads them."""

from __future__ import annotations

from typing import Final

_BYTES: Final = tuple(bytes((value,)) for value in range(256))


def unsigned(value: int) -> bytes:
    """The shortest unsigned LEB128 of `value`, which must not be negative."""
    if 0 <= value < 0x80:
        return _BYTES[value]
    if value < 0:
        raise ValueError(f"an unsigned integer cannot be negative: {value}")
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def signed(value: int) -> bytes:
    """The shortest signed LEB128 of `value`."""
    if -0x40 <= value < 0x40:
        return _BYTES[value & 0x7F]
    encoded = bytearray()
    while not -0x40 <= value < 0x40:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value & 0x7F)
    return bytes(encoded)
