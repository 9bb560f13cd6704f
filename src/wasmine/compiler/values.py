"""Internal values in slots of 8 bytes, as machine code has them."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from wasmine.format.types import F32, F64, I32, I64, V128
from wasmine.interpreter.bits import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wasmine.compiler.references import References
    from wasmine.format.types import ValueType

_MASK64 = (1 << 64) - 1


def slots(type: ValueType) -> int:
    """How many slots a value of this type takes."""
    return 2 if type is V128 else 1


def slot_count(types: Iterable[ValueType]) -> int:
    """How many slots values of these types take."""
    return sum(2 if type is V128 else 1 for type in types)


def in_vector_register(type: ValueType) -> bool:
    """Whether a single result of this type comes back in a vector register."""
    return type is F32 or type is F64 or type is V128


def to_native(references: References, type: ValueType, value: Any) -> int:
    """The bits of an internal value."""
    if type is I32 or type is I64 or type is V128:
        return int(value)
    if type is F32:
        return f32_to_bits(value)
    if type is F64:
        return f64_to_bits(value)
    return references.to_native(type, value)  # type: ignore[arg-type]


def to_internal(references: References, type: ValueType, bits: int) -> Any:
    """The internal value of bits; what lies above a value of 4 bytes is ignored."""
    if type is I32:
        return bits & 0xFFFF_FFFF
    if type is I64 or type is V128:
        return bits
    if type is F32:
        return f32_from_bits(bits & 0xFFFF_FFFF)
    if type is F64:
        return f64_from_bits(bits)
    return references.to_internal(type, bits)  # type: ignore[arg-type]


def write(references: References, address: int, types: Sequence[ValueType], values: Sequence[Any]) -> None:
    """Put internal values into slots from an address on."""
    cells = (ctypes.c_uint64 * slot_count(types)).from_address(address)
    i = 0
    for type, value in zip(types, values, strict=True):
        bits = to_native(references, type, value)
        cells[i] = bits & _MASK64
        i += 1
        if type is V128:
            cells[i] = bits >> 64
            i += 1


def read(references: References, address: int, types: Sequence[ValueType]) -> list[Any]:
    """The internal values in the slots from an address on."""
    cells = (ctypes.c_uint64 * slot_count(types)).from_address(address)
    found = []
    i = 0
    for type in types:
        bits = cells[i]
        i += 1
        if type is V128:
            bits |= cells[i] << 64
            i += 1
        found.append(to_internal(references, type, bits))
    return found
