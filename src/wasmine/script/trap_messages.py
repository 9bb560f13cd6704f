"""The words of the suite for why something traps, and what they are here."""

from __future__ import annotations

from typing import Final

from wasmine.errors import TrapKind

# A message of the suite starts with one of these. The longest that fits decides.
_KINDS: Final[dict[str, TrapKind]] = {
    "unreachable": TrapKind.UNREACHABLE,
    "call stack exhausted": TrapKind.STACK_OVERFLOW,
    "out of bounds memory access": TrapKind.MEMORY_OUT_OF_BOUNDS,
    "out of bounds table access": TrapKind.TABLE_OUT_OF_BOUNDS,
    "undefined element": TrapKind.TABLE_OUT_OF_BOUNDS,
    "uninitialized element": TrapKind.UNINITIALIZED_ELEMENT,
    "indirect call type mismatch": TrapKind.INDIRECT_CALL_TYPE_MISMATCH,
    "integer divide by zero": TrapKind.INTEGER_DIVIDE_BY_ZERO,
    "integer overflow": TrapKind.INTEGER_OVERFLOW,
    "invalid conversion to integer": TrapKind.INVALID_CONVERSION,
    "unaligned atomic": TrapKind.UNALIGNED_ATOMIC,
    "expected shared memory": TrapKind.EXPECTED_SHARED_MEMORY,
    "null": TrapKind.NULL_REFERENCE,
    "cast failure": TrapKind.CAST_FAILURE,
    "out of bounds array access": TrapKind.ARRAY_OUT_OF_BOUNDS,
}


def trap_kind(message: str) -> TrapKind | None:
    """The kind of trap that a message of the suite means, None for words it is not known to use."""
    found = [words for words in _KINDS if message.startswith(words)]
    return _KINDS[max(found, key=len)] if found else None
