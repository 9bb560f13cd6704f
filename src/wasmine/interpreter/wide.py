"""128-bit arithmetic on pairs of i64 (feature wide_arithmetic): functions of unsigned ints that give (low, high)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_M64: Final = 0xFFFFFFFFFFFFFFFF
_SIGN: Final = 0x8000000000000000


def add128(low: int, high: int, other_low: int, other_high: int) -> tuple[int, int]:
    """The sum, modulo 2^128."""
    total = (high + other_high << 64) + low + other_low
    return total & _M64, total >> 64 & _M64


def sub128(low: int, high: int, other_low: int, other_high: int) -> tuple[int, int]:
    """The difference, modulo 2^128."""
    difference = (high - other_high << 64) + low - other_low
    return difference & _M64, difference >> 64 & _M64


def mul_wide_s(x: int, y: int) -> tuple[int, int]:
    """The whole product of two signed numbers."""
    product = ((x ^ _SIGN) - _SIGN) * ((y ^ _SIGN) - _SIGN)
    return product & _M64, product >> 64 & _M64


def mul_wide_u(x: int, y: int) -> tuple[int, int]:
    """The whole product of two unsigned numbers."""
    product = x * y
    return product & _M64, product >> 64


WIDE: Final[dict[str, Callable[..., tuple[int, int]]]] = {
    "i64.add128": add128,
    "i64.sub128": sub128,
    "i64.mul_wide_s": mul_wide_s,
    "i64.mul_wide_u": mul_wide_u,
}
"""By instruction name."""
