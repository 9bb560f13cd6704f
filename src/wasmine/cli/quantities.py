"""Durations and sizes on the command line."""

from __future__ import annotations

import re
from typing import Final

_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
_FACTORS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE: Final = re.compile(r"(\d+)([kmgt]?)(i?b)?", re.IGNORECASE)


def duration(text: str) -> float:
    """Seconds: `1.5`, or numbers with units as in `1m30s` or `200ms`. ValueError."""
    if text.startswith("-"):
        raise ValueError(f"timeout duration may not be negative, {text}")
    try:
        return _finite(float(text))
    except ValueError:
        pass
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise ValueError("expected seconds, or a duration such as 200ms or 1m30s")
    return _finite(sum(float(part[1]) * _SECONDS[part[2]] for part in parts))


def _finite(seconds: float) -> float:
    if not 0 <= seconds < 1e9:
        raise ValueError("expected a duration of less than thirty years")
    return seconds


def size(text: str) -> int:
    """Bytes: a number, or one with K, M, G or T for powers of 1024. ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("expected bytes, or a size such as 64K or 512M")
    return int(found[1]) * _FACTORS[found[2].lower()]


def units(text: str) -> int:
    """A natural number. ValueError."""
    if not text.isdecimal():
        raise ValueError("expected a natural number")
    return int(text)
