"""Between Python values and internal values (docs/architecture.md says what each is).

`to_internal` checks: ints are range-checked (-2^31 to 2^32-1 for i32, -2^63 to 2^64-1 for i64), ints are accepted for
floats, v128 is `bytes` of 16 or an int, references must match their type. `to_python` never fails.
"""

from __future__ import annotations

import math
from functools import lru_cache
from operator import index, length_hint
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from wasmine.format.types import F32, F64, I32, I64, V128, Heap, RefType, heap_matches
from wasmine.runtime.bits import f32_from_bits, f32_round, f64_to_bits
from wasmine.runtime.reference import I31, Array, ExceptionPackage, Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.types import FuncType, HeapType, ValueType


def _i32(value: Any) -> int:
    number = index(value)
    if -0x8000_0000 <= number <= 0xFFFF_FFFF:
        return number & 0xFFFF_FFFF
    raise OverflowError(f"expected an i32 from -2147483648 to 4294967295, found {number}")


def _i64(value: Any) -> int:
    number = index(value)
    if -0x8000_0000_0000_0000 <= number <= 0xFFFF_FFFF_FFFF_FFFF:
        return number & 0xFFFF_FFFF_FFFF_FFFF
    raise OverflowError(f"expected an i64 from -9223372036854775808 to 18446744073709551615, found {number}")


def _number(value: Any) -> float:
    if type(value) is float:
        return value
    kind = type(value)
    if not (hasattr(kind, "__float__") or hasattr(kind, "__index__")):  # float() would parse text and buffers
        raise TypeError(f"{kind.__name__!r} object cannot be interpreted as a number")
    return float(value)


def _f32(value: Any) -> float:
    number = _number(value)
    if math.isnan(number):
        bits = f64_to_bits(number)
        payload = bits >> 29 & 0x7F_FFFF or 0x40_0000
        return f32_from_bits(bits >> 32 & 0x8000_0000 | 0x7F80_0000 | payload)
    return f32_round(number)


def _v128(value: Any) -> int:
    if isinstance(value, int):
        if -(1 << 127) <= value < 1 << 128:
            return value & (1 << 128) - 1
        raise OverflowError(f"expected a v128 from -2^127 to 2^128-1, found {value}")
    data = bytes(value) if isinstance(value, bytes | bytearray | memoryview) else None
    if data is None:
        raise TypeError(f"expected bytes of 16 or an int for v128, found {type(value).__name__}")
    if len(data) != 16:
        raise ValueError(f"expected 16 bytes for v128, found {len(data)}")
    return int.from_bytes(data, "little")


_ENCODERS: dict[ValueType, Callable[[Any], Any]] = {I32: _i32, I64: _i64, F32: _f32, F64: _number, V128: _v128}


def _signed32(value: int) -> int:
    return value - 0x1_0000_0000 if value & 0x8000_0000 else value


def _signed64(value: int) -> int:
    return value - 0x1_0000_0000_0000_0000 if value & 0x8000_0000_0000_0000 else value


def _bytes16(value: int) -> bytes:
    return value.to_bytes(16, "little")


def _identity(value: Any) -> Any:
    return value


def _reference(value: Any) -> Any:
    return value.signed if type(value) is I31 else value


_DECODERS: dict[ValueType, Callable[[Any], Any]] = {
    I32: _signed32,
    I64: _signed64,
    F32: _identity,
    F64: _identity,
    V128: _bytes16,
}


def heap_of(value: Any) -> HeapType:
    """The most specific closed heap type of a non-null internal reference; `Heap.ANY` for host objects."""
    from wasmine.runtime.function import Function

    if isinstance(value, Function):
        return value.defined
    if isinstance(value, Struct | Array):
        return value.type
    if isinstance(value, I31):
        return Heap.I31
    if isinstance(value, ExceptionPackage):
        return Heap.EXN
    return Heap.ANY


def reference_matches(value: Any, type: RefType) -> bool:
    """Whether an internal reference value is of the closed type."""
    if value is None:
        return type.nullable
    if type.heap is Heap.EXTERN:
        return True
    return heap_matches(heap_of(value), type.heap)


_NUMBERED = (Heap.ANY, Heap.EQ, Heap.I31)


def _reference_encoder(type: RefType) -> Callable[[Any], Any]:
    if type.heap is Heap.EXTERN:
        if type.nullable:
            return _identity

        def external(value: Any) -> Any:
            if value is None:
                raise TypeError(f"expected a {type}, found None")
            return value

        return external

    def reference(value: Any) -> Any:
        if isinstance(value, int) and type.heap in _NUMBERED:
            if -0x4000_0000 <= value <= 0x7FFF_FFFF:
                return I31(value)
            raise OverflowError(f"expected an i31 from -1073741824 to 2147483647, found {value}")
        if not reference_matches(value, type):
            found = "None" if value is None else _name(value)
            raise TypeError(f"expected a {type}, found {found}")
        return value

    return reference


def _name(value: Any) -> str:
    heap = heap_of(value)
    return f"{type(value).__name__} of type {heap}" if heap is not Heap.ANY else type(value).__name__


def encoder(type: ValueType) -> Callable[[Any], Any]:
    """The function that checks a Python value of a closed type and gives the internal value.

    It raises TypeError, OverflowError or ValueError (wrong number of bytes).
    """
    known = _ENCODERS.get(type)
    return known if known is not None else _reference_encoder(cast("RefType", type))


def decoder(type: ValueType) -> Callable[[Any], Any]:
    """The function from an internal value of a closed type to the Python value."""
    return _DECODERS.get(type, _reference)


def to_internal(type: ValueType, value: Any) -> Any:
    """`encoder(type)(value)`."""
    return encoder(type)(value)


def to_python(type: ValueType, value: Any) -> Any:
    """`decoder(type)(value)`."""
    return decoder(type)(value)


def default(type: ValueType) -> Any:
    """The internal default value: zero or null. Non-nullable references have none (ValueError)."""
    if type is F32 or type is F64:
        return 0.0
    if isinstance(type, RefType):
        if not type.nullable:
            raise ValueError(f"{type} has no default value")
        return None
    return 0


class Signature:
    """The conversions of a function type: arguments in, results out. One per type; see `signature`."""

    __slots__ = ("decoders", "encoders", "result_decoders", "result_encoders", "type")

    def __init__(self, type: FuncType) -> None:
        self.type = type
        self.encoders = tuple(map(encoder, type.params))
        self.decoders = tuple(map(decoder, type.params))
        self.result_encoders = tuple(map(encoder, type.results))
        self.result_decoders = tuple(map(decoder, type.results))

    def arguments(self, name: str, args: tuple[Any, ...]) -> list[Any]:
        """Internal arguments of a call from Python. TypeError, OverflowError or ValueError say which argument is wrong."""
        if len(args) != len(self.encoders):
            raise TypeError(f"{name}() takes {_count(len(self.encoders), 'argument')} ({len(args)} given)")
        left = iter(args)
        try:
            return [encode(arg) for encode, arg in zip(self.encoders, left)]  # noqa: B905 - as many, see above
        except _UNFIT as error:
            _misfit(error, f"{name}() argument {len(args) - length_hint(left)}")

    def results(self, name: str, returned: Any) -> Any:
        """The internal result (None, a value, or a tuple of several) of what a host function returned."""
        encoders = self.result_encoders
        if len(encoders) == 1:
            try:
                return encoders[0](returned)
            except _UNFIT as error:
                _misfit(error, f"host function {name}() returned a wrong value")
        if not encoders:
            if returned is not None:
                found = type(returned).__name__
                raise TypeError(f"host function {name}() has no results: expected None, found {found}")
            return None
        if not isinstance(returned, tuple | list) or len(returned) != len(encoders):
            found = f"{len(returned)} values" if isinstance(returned, tuple | list) else type(returned).__name__
            raise TypeError(f"host function {name}(): expected a tuple of {len(encoders)} results, found {found}")
        left = iter(encoders)
        try:
            return tuple([encode(value) for encode, value in zip(left, returned, strict=True)])
        except _UNFIT as error:
            _misfit(error, f"host function {name}() result {len(encoders) - length_hint(left)}")

    def python_arguments(self, args: tuple[Any, ...]) -> list[Any]:
        """Python values of internal arguments, for a host function."""
        return [decode(arg) for decode, arg in zip(self.decoders, args, strict=True)]

    def python_result(self, result: Any) -> Any:
        """What a call from Python returns: None, a value, or a tuple, from the internal result."""
        decoders = self.result_decoders
        if len(decoders) == 1:
            return decoders[0](result)
        if not decoders:
            return None
        return tuple(decode(value) for decode, value in zip(decoders, result, strict=True))


_UNFIT: Final = (TypeError, OverflowError, ValueError)


def _misfit(error: Exception, where: str) -> NoReturn:
    """Raise the error of a conversion again, with the place; one of a class of the host's own as it is."""
    kind = type(error)
    if kind not in _UNFIT:
        raise error
    raise kind(f"{where}: {error}") from None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@lru_cache(maxsize=4096)
def signature(type: FuncType) -> Signature:
    """The conversions for a closed function type, made once."""
    return Signature(type)
