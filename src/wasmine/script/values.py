"""Arguments and expected results of scripts, as internal values of the runtime, so that every bit of a NaN counts."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from wasmine.format.text.script import AnyReference, Either, Host, Nan, Null, Number, Vector
from wasmine.format.types import F32, F64, V128, NumberType, RefType
from wasmine.runtime.bits import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits
from wasmine.runtime.reference import I31, Array, ExceptionPackage, Struct
from wasmine.runtime.values import reference_matches

if TYPE_CHECKING:
    from wasmine.format.text.script import Argument, Result
    from wasmine.format.types import ValueType

# Of a NaN by the width of its type: everything but the sign, and the canonical payload with the exponent.
_MAGNITUDE: Final = {32: 0x7FFF_FFFF, 64: 0x7FFF_FFFF_FFFF_FFFF}
_QUIET: Final = {32: 0x7FC0_0000, 64: 0x7FF8_0000_0000_0000}


class HostReference:
    """What `(ref.extern N)` refers to; there is one of each number."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"(ref.extern {self.number})"


@cache
def host_reference(number: int) -> HostReference:
    """The host reference of this number."""
    return HostReference(number)


def to_value(argument: Argument) -> Any:
    """The internal value of an argument."""
    match argument:
        case Number(type, bits):
            if type is F32:
                return f32_from_bits(bits)
            return f64_from_bits(bits) if type is F64 else bits
        case Host(number):
            return host_reference(number)
        case Null():
            return None


def fits(argument: Argument, type: ValueType) -> bool:
    """Whether an argument may be passed as a parameter of a closed type."""
    if isinstance(argument, Number):
        return argument.type is type
    return isinstance(type, RefType) and reference_matches(to_value(argument), type)


def matches(value: Any, type: ValueType, expected: Result) -> bool:
    """Whether an internal value of a closed type is what a script expects."""
    match expected:
        case Number(kind, bits):
            return kind is type and _bits(value, type) == bits
        case Nan(kind, canonical):
            return kind is type and _is_nan(_bits(value, type), 8 * kind.size, canonical)
        case Vector(lane_bits, lanes):
            return type is V128 and all(
                _lane_matches(value >> position * lane_bits & (1 << lane_bits) - 1, lane_bits, lane)
                for position, lane in enumerate(lanes)
            )
        case Either(alternatives):
            return any(matches(value, type, alternative) for alternative in alternatives)
        case Null():
            return isinstance(type, RefType) and value is None
        case Host(number):
            return isinstance(value, HostReference) and value.number == number
        case AnyReference(heap):
            return isinstance(type, RefType) and reference_matches(value, RefType(False, heap))


def _bits(value: Any, type: ValueType) -> int:
    """The bit pattern of an internal number."""
    if type is F32:
        return f32_to_bits(value)
    if type is F64:
        return f64_to_bits(value)
    number: int = value
    return number


def _is_nan(bits: int, width: int, canonical: bool) -> bool:
    quiet = _QUIET[width]
    return bits & _MAGNITUDE[width] == quiet if canonical else bits & quiet == quiet


def _lane_matches(bits: int, width: int, expected: int | Nan) -> bool:
    return _is_nan(bits, width, expected.canonical) if isinstance(expected, Nan) else bits == expected


def describe_expected(expected: Result) -> str:
    """What a script expects, in the words of the text format."""
    match expected:
        case Number(type, bits):
            return _describe_number(bits, type)
        case Nan(type, canonical):
            return f"({type}.const nan:{'canonical' if canonical else 'arithmetic'})"
        case Vector(lane_bits, lanes):
            return f"(v128 of {lane_bits}-bit lanes {' '.join(map(_describe_lane, lanes))})"
        case Either(alternatives):
            return f"(either {' '.join(map(describe_expected, alternatives))})"
        case Null(heap):
            return f"(ref.null {heap})" if heap else "(ref.null)"
        case Host(number, internal):
            return f"(ref.{'host' if internal else 'extern'} {number})"
        case AnyReference(heap):
            return f"(ref.{heap})"


def _describe_lane(lane: int | Nan) -> str:
    if isinstance(lane, Nan):
        return f"nan:{'canonical' if lane.canonical else 'arithmetic'}"
    return f"{lane:#x}"


def describe_value(value: Any, type: ValueType) -> str:
    """An internal value of a closed type, in the words of the text format."""
    if isinstance(type, NumberType):
        return _describe_number(_bits(value, type), type)
    if value is None:
        return "(ref.null)"
    kind = next((name for name, kind in _KINDS.items() if isinstance(value, kind)), None)
    return f"(ref.{kind})" if kind else repr(value)


_KINDS: Final[dict[str, type]] = {"struct": Struct, "array": Array, "i31": I31, "exn": ExceptionPackage}


def _describe_number(bits: int, type: NumberType) -> str:
    if type is V128:
        return f"(v128.const i32x4 {' '.join(f'{bits >> shift & 0xFFFF_FFFF:#010x}' for shift in (0, 32, 64, 96))})"
    if type in (F32, F64):
        value = f32_from_bits(bits) if type is F32 else f64_from_bits(bits)
        return f"({type}.const {value!r} = {bits:#x})"
    return f"({type}.const {bits:#x})"
