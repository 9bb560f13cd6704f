"""Values of constant expressions of i32, of which some modules have tens of thousands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import wasmine

NUMBERS = (0, 1, -1, 63, 64, -64, -65, 8191, 8192, -8193, 2**31 - 1, -(2**31))


def test_literals(instantiate: Callable[..., wasmine.Instance]) -> None:
    globals_ = "".join(f'(global (export "{number}") i32 (i32.const {number}))' for number in NUMBERS)
    exports = instantiate(f"(module {globals_})").exports
    assert [exports[str(number)].value for number in NUMBERS] == list(NUMBERS)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (b"\x41\x80\x80\x80\x80\x00\x0b", 0),
        (b"\x41\xff\xff\xff\xff\x7f\x0b", -1),
        (b"\x41\xff\x00\x0b", 127),
        (b"\x41\x05\x41\x06\x6a\x0b", 11),
        (b"\x41\x0b\x41\x0b\x6c\x0b", 121),  # bytes that are an `end` elsewhere
    ],
)
def test_encodings(instantiate: Callable[..., wasmine.Instance], code: bytes, value: int) -> None:
    section = b"\x01\x7f\x00" + code
    exported = b"\x07\x05\x01\x01g\x03\x00"
    binary = b"\0asm\1\0\0\0\x06" + bytes([len(section)]) + section + exported
    assert instantiate(binary).exports.g.value == value
