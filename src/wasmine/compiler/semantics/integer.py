"""Scalar integers: comparisons, arithmetic, shifts, and the wide arithmetic proposal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wasmine.compiler.semantics.builder import Builder, Meaning, internal, meaning
from wasmine.errors import TrapKind

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPARISONS = {
    "eq": "eq",
    "ne": "ne",
    "lt_s": "slt",
    "lt_u": "ult",
    "gt_s": "sgt",
    "gt_u": "ugt",
    "le_s": "sle",
    "le_u": "ule",
    "ge_s": "sge",
    "ge_u": "uge",
}
_COUNTS = {"clz": "ctlz", "ctz": "cttz"}
_DIVISIONS = {"div_s": "sdiv", "div_u": "udiv", "rem_s": "srem", "rem_u": "urem"}
_SHIFTS = {"shl": "shl", "shr_s": "ashr", "shr_u": "lshr"}
_ROTATIONS = {"rotl": "fshl", "rotr": "fshr"}


def meanings() -> Iterator[tuple[str, Meaning]]:
    """The family's meanings, those of both widths in the table's order."""
    for type in ("i32", "i64"):
        yield meaning(f"{type}.eqz", partial(_eqz, type))
        for name, condition in COMPARISONS.items():
            yield meaning(f"{type}.{name}", partial(_compare, type, condition))
    for type in ("i32", "i64"):
        for name, function in _COUNTS.items():
            yield meaning(f"{type}.{name}", partial(_count, type, function))
        yield meaning(f"{type}.popcnt", partial(_popcnt, type))
        for name in ("add", "sub", "mul"):
            yield meaning(f"{type}.{name}", partial(_binary, type, name))
        for name, operation in _DIVISIONS.items():
            yield meaning(f"{type}.{name}", partial(_divide, type, operation))
        for name in ("and", "or", "xor"):
            yield meaning(f"{type}.{name}", partial(_binary, type, name))
        for name, operation in _SHIFTS.items():
            yield meaning(f"{type}.{name}", partial(_shift, type, operation))
        for name, function in _ROTATIONS.items():
            yield meaning(f"{type}.{name}", partial(_rotate, type, function))
    yield meaning("i64.add128", partial(_wide, "add"))
    yield meaning("i64.sub128", partial(_wide, "sub"))
    yield meaning("i64.mul_wide_s", partial(_multiply_wide, "sext"))
    yield meaning("i64.mul_wide_u", partial(_multiply_wide, "zext"))
    yield from _internal()


def _internal() -> Iterator[tuple[str, Meaning]]:
    """What the baseline compiler uses besides."""
    for letter, type in ("i", "i32"), ("I", "i64"):
        # For a divisor that is a constant other than 0 and -1.
        for name, operation in _DIVISIONS.items():
            yield internal(f"{type}.{name}!", f"{letter}{letter} -> {letter}", partial(_binary, type, operation))
        # An index scaled by the size of an element: the most common shape of an address.
        for scale in (1, 2, 3):
            yield internal(
                f"{type}.add_shl{scale}!", f"{letter}{letter} -> {letter}", partial(_add_scaled, type, scale)
            )
    # A 64-bit index plus an offset that does not fit in a displacement.
    yield internal("i64.add_address!", "II -> I", _add_address)


def _binary(type: str, operation: str, b: Builder, x: str, y: str) -> str:
    return b.let(f"{operation} {type} {x}, {y}")


def _eqz(type: str, b: Builder, x: str) -> str:
    return _compare(type, "eq", b, x, "0")


def _compare(type: str, condition: str, b: Builder, x: str, y: str) -> str:
    return b.let(f"zext i1 {b.let(f'icmp {condition} {type} {x}, {y}')} to i32")


def _count(type: str, function: str, b: Builder, x: str) -> str:
    return b.call(type, f"llvm.{function}.{type}", f"{type} {x}", "i1 false")


def _popcnt(type: str, b: Builder, x: str) -> str:
    return b.call(type, f"llvm.ctpop.{type}", f"{type} {x}")


def _divide(type: str, operation: str, b: Builder, x: str, y: str) -> str:
    b.trap_if(b.let(f"icmp eq {type} {y}, 0"), TrapKind.INTEGER_DIVIDE_BY_ZERO)
    if operation[0] == "u":
        return _binary(type, operation, b, x, y)
    minus_one = b.let(f"icmp eq {type} {y}, -1")
    if operation == "srem":
        # The remainder by -1 is 0 whatever x is, but hardware and LLVM stumble over the smallest x: divide by 1 then.
        return _binary(type, operation, b, x, b.let(f"select i1 {minus_one}, {type} 1, {type} {y}"))
    smallest = b.let(f"icmp eq {type} {x}, {-(1 << (31 if type == 'i32' else 63))}")
    b.trap_if(b.let(f"and i1 {smallest}, {minus_one}"), TrapKind.INTEGER_OVERFLOW)
    return _binary(type, operation, b, x, y)


def _shift(type: str, operation: str, b: Builder, x: str, y: str) -> str:
    return _binary(type, operation, b, x, b.let(f"and {type} {y}, {31 if type == 'i32' else 63}"))


def _rotate(type: str, function: str, b: Builder, x: str, y: str) -> str:
    return b.call(type, f"llvm.{function}.{type}", f"{type} {x}", f"{type} {x}", f"{type} {y}")


def _add_scaled(type: str, scale: int, b: Builder, x: str, y: str) -> str:
    return _binary(type, "add", b, x, b.let(f"shl {type} {y}, {scale}"))


def _add_address(b: Builder, x: str, y: str) -> str:
    total = _binary("i64", "add", b, x, y)
    b.trap_if(b.let(f"icmp ult i64 {total}, {x}"), TrapKind.MEMORY_OUT_OF_BOUNDS)
    return total


def _halves(b: Builder, wide: str) -> tuple[str, str]:
    high = b.let(f"lshr i128 {wide}, 64")
    return b.let(f"trunc i128 {wide} to i64"), b.let(f"trunc i128 {high} to i64")


def _join(b: Builder, low: str, high: str) -> str:
    wide_low, wide_high = b.let(f"zext i64 {low} to i128"), b.let(f"zext i64 {high} to i128")
    return b.let(f"or i128 {wide_low}, {b.let(f'shl i128 {wide_high}, 64')}")


def _wide(operation: str, b: Builder, x_low: str, x_high: str, y_low: str, y_high: str) -> tuple[str, str]:
    x, y = _join(b, x_low, x_high), _join(b, y_low, y_high)
    return _halves(b, b.let(f"{operation} i128 {x}, {y}"))


def _multiply_wide(extend: str, b: Builder, x: str, y: str) -> tuple[str, str]:
    wide_x, wide_y = (b.let(f"{extend} i64 {operand} to i128") for operand in (x, y))
    return _halves(b, b.let(f"mul i128 {wide_x}, {wide_y}"))
