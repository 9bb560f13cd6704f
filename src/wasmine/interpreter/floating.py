"""Lowerings of the float instructions, in the order of the instruction table.

Python's floats are f64; the result of an f32 operation is computed in f64 and rounded, which for the operations here is
the same as computing in f32. What is too long to inline is a call of the function in `bits`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from wasmine.interpreter.operand import EXPRESSION, NAME, PRIMARY, TRAPS, W32, W64, Operand, named, slot_bit
from wasmine.runtime.bits import f32_from_bits, f64_from_bits, f64_to_bits
from wasmine.runtime.gil import FREE_THREADED

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.interpreter.lowering import Handler, Lowering

    Unary = Callable[[Operand, int], Operand]
    Binary = Callable[[Operand, Operand, int], Operand]

# With a GIL, storing a number into one shared element of a C float array and reading it back is the fastest rounding to
# f32 (measured 48 ns; `struct` 85, a splitting in Python 60 to 75), for nothing can come between the two.
_SHARED_SLOT: Final = not FREE_THREADED


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    table: dict[str, Handler] = {
        "f32.const": _constant(lowering, f32_from_bits),
        "f64.const": _constant(lowering, f64_from_bits),
    }
    for prefix in ("f32", "f64"):
        for name, symbol in _COMPARISONS.items():
            table[f"{prefix}.{name}"] = _binary_handler(lowering, _comparison(symbol))
        for name in ("ceil", "floor", "trunc", "nearest"):
            table[f"{prefix}.{name}"] = _unary_handler(lowering, _call(f"{prefix}_{name}"))
        for name in ("min", "max"):
            table[f"{prefix}.{name}"] = _binary_handler(lowering, _call_of_two(f"{prefix}_{name}"))
        table[f"{prefix}.abs"] = _unary_handler(lowering, _call("abs"))
        table[f"{prefix}.neg"] = _unary_handler(lowering, lambda a, h: Operand(f"-{a.factor}", reads=a.reads))
        table[f"{prefix}.copysign"] = _binary_handler(lowering, _call_of_two("copysign"))
    for name, binary in _ARITHMETIC.items():
        table[f"f32.{name}"] = _rounding(lowering, _binary_handler(lowering, binary))
        table[f"f64.{name}"] = _binary_handler(lowering, binary)
    table["f32.sqrt"] = _rounding(lowering, _unary_handler(lowering, _sqrt))
    table["f64.sqrt"] = _unary_handler(lowering, _sqrt)
    for name, unary in _CONVERSIONS.items():
        table[name] = _unary_handler(lowering, unary)
    for name, unary in _ROUNDED_CONVERSIONS.items():
        table[name] = _rounding(lowering, _unary_handler(lowering, unary))
    return table


def _constant(lowering: Lowering, decode: Callable[[int], float]) -> Handler:
    stack = lowering.stack

    def handler(data: bytes) -> None:
        value = decode(int.from_bytes(data, "little"))
        if math.isfinite(value):
            text = repr(value)
            stack.append(Operand(text, EXPRESSION if text[0] == "-" else NAME))
        elif math.isinf(value):
            stack.append(Operand("inf", NAME) if value > 0 else Operand("-inf"))
        else:
            stack.append(Operand(lowering.need("nan_", "float", f64_to_bits(value)), NAME))

    return handler


def _unary_handler(lowering: Lowering, build: Unary) -> Handler:
    stack, shorten = lowering.stack, lowering.shorten

    def handler() -> None:
        operand = stack.pop()
        stack.append(build(operand, len(stack)))
        shorten()

    return handler


def _binary_handler(lowering: Lowering, build: Binary) -> Handler:
    stack, shorten = lowering.stack, lowering.shorten

    def handler() -> None:
        right = stack.pop()
        left = stack.pop()
        stack.append(build(left, right, len(stack)))
        shorten()

    return handler


def _rounding(lowering: Lowering, compute: Handler) -> Handler:
    """The handler of an f32 operation from the one of the same operation in f64."""
    stack = lowering.stack

    def store_and_load() -> None:
        compute()
        operand = stack.pop()
        height = len(stack)
        bit = slot_bit(height)
        # On one line, so that nothing comes between, not even a debugger.
        lowering.statement(f"single[0] = {operand.text}; s{height} = single[0]", operand.reads, bit)
        stack.append(Operand(f"s{height}", NAME, reads=bit))

    def call() -> None:
        compute()
        operand = stack.pop()
        stack.append(Operand(f"f32_round({operand.text})", PRIMARY, reads=operand.reads))

    return store_and_load if _SHARED_SLOT else call


# ---------------------------------------------------------------------------------------------------- builders


def _comparison(symbol: str) -> Binary:
    def build(a: Operand, b: Operand, h: int) -> Operand:
        return Operand(f"{a.factor} {symbol} {b.factor}", EXPRESSION, 0, 1, a.reads | b.reads, truth=True)

    return build


def _call(name: str) -> Unary:
    return lambda a, h: Operand(f"{name}({a.text})", PRIMARY, reads=a.reads)


def _call_of_two(name: str) -> Binary:
    return lambda a, b, h: Operand(f"{name}({a.text}, {b.text})", PRIMARY, reads=a.reads | b.reads)


def _operator(symbol: str) -> Binary:
    return lambda a, b, h: Operand(f"{a.factor} {symbol} {b.factor}", reads=a.reads | b.reads)


def _div(a: Operand, b: Operand, h: int) -> Operand:
    reads = a.reads | b.reads
    if b.grade == NAME and not b.reads and b.text[0].isdigit() and float(b.text):
        return Operand(f"{a.factor} / {b.text}", reads=reads)
    if a.grade == NAME and b.grade == NAME:
        return Operand(f"{a.text} / {b.text} if {b.text} else f64_div({a.text}, {b.text})", reads=reads)
    return Operand(f"f64_div({a.text}, {b.text})", PRIMARY, reads=reads)


def _sqrt(a: Operand, h: int) -> Operand:
    first, again = named(a, f"t{h}")
    return Operand(f"sqrt({again}) if {first} >= 0.0 else f64_sqrt({again})", reads=a.reads)


def _truncation(name: str, bounds: str, low: int, high: int) -> Unary:
    """Float to integer, with a trap: the function in `bits` raises it, the common case is inline."""

    def build(a: Operand, h: int) -> Operand:
        first, again = named(a, f"t{h}")
        text = f"int({again}) if {bounds.format(first)} else {name}({again})"
        return Operand(text, EXPRESSION, low, high, a.reads | TRAPS)

    return build


def _saturation(name: str, mask: int) -> Unary:
    return lambda a, h: Operand(f"{name}({a.text})", PRIMARY, 0, mask, a.reads)


def _from_signed_32(a: Operand, h: int) -> Operand:
    a = W32.signed(a, f"t{h}")
    return Operand(f"float({a.text})", PRIMARY, reads=a.reads)


def _from_signed_64(a: Operand, h: int) -> Operand:
    a = W64.signed(a, f"t{h}")
    return Operand(f"float({a.text})", PRIMARY, reads=a.reads)


def _from_unsigned_32(a: Operand, h: int) -> Operand:
    return Operand(f"float({W32.exact(a, f't{h}').text})", PRIMARY, reads=a.reads)


def _from_unsigned_64(a: Operand, h: int) -> Operand:
    return Operand(f"float({W64.exact(a, f't{h}').text})", PRIMARY, reads=a.reads)


def _f32_from_signed_64(a: Operand, h: int) -> Operand:
    return Operand(f"f32_convert_i64_s({W64.exact(a, f't{h}').text})", PRIMARY, reads=a.reads)


def _f32_from_unsigned_64(a: Operand, h: int) -> Operand:
    return Operand(f"f32_convert_i64_u({W64.exact(a, f't{h}').text})", PRIMARY, reads=a.reads)


def _from_bits(name: str) -> Unary:
    width = W32 if name.startswith("f32") else W64
    return lambda a, h: Operand(f"{name}({width.exact(a, f't{h}').text})", PRIMARY, reads=a.reads)


def _to_bits(name: str, mask: int) -> Unary:
    return lambda a, h: Operand(f"{name}({a.text})", PRIMARY, 0, mask, a.reads)


_COMPARISONS: Final = {"eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}

_ARITHMETIC: Final[dict[str, Binary]] = {
    "add": _operator("+"),
    "sub": _operator("-"),
    "mul": _operator("*"),
    "div": _div,
}

_SIGNED_32: Final = "-2147483649.0 < {} < 2147483648.0"
_UNSIGNED_32: Final = "-1.0 < {} < 4294967296.0"
_SIGNED_64: Final = "-9223372036854775808.0 <= {} < 9223372036854775808.0"
_UNSIGNED_64: Final = "-1.0 < {} < 18446744073709551616.0"

_CONVERSIONS: Final[dict[str, Unary]] = {
    "i32.trunc_f32_s": _truncation("i32_trunc_f32_s", _SIGNED_32, -W32.sign, W32.sign - 1),
    "i32.trunc_f32_u": _truncation("i32_trunc_f32_u", _UNSIGNED_32, 0, W32.mask),
    "i32.trunc_f64_s": _truncation("i32_trunc_f64_s", _SIGNED_32, -W32.sign, W32.sign - 1),
    "i32.trunc_f64_u": _truncation("i32_trunc_f64_u", _UNSIGNED_32, 0, W32.mask),
    "i64.trunc_f32_s": _truncation("i64_trunc_f32_s", _SIGNED_64, -W64.sign, W64.sign - 1),
    "i64.trunc_f32_u": _truncation("i64_trunc_f32_u", _UNSIGNED_64, 0, W64.mask),
    "i64.trunc_f64_s": _truncation("i64_trunc_f64_s", _SIGNED_64, -W64.sign, W64.sign - 1),
    "i64.trunc_f64_u": _truncation("i64_trunc_f64_u", _UNSIGNED_64, 0, W64.mask),
    "f32.convert_i64_s": _f32_from_signed_64,
    "f32.convert_i64_u": _f32_from_unsigned_64,
    "f64.convert_i32_s": _from_signed_32,
    "f64.convert_i32_u": _from_unsigned_32,
    "f64.convert_i64_s": _from_signed_64,
    "f64.convert_i64_u": _from_unsigned_64,
    # A NaN becomes quiet; everything else stays.
    "f64.promote_f32": lambda a, h: Operand(f"{a.factor} * 1.0", reads=a.reads),
    "i32.reinterpret_f32": _to_bits("i32_reinterpret_f32", W32.mask),
    "i64.reinterpret_f64": _to_bits("i64_reinterpret_f64", W64.mask),
    "f32.reinterpret_i32": _from_bits("f32_reinterpret_i32"),
    "f64.reinterpret_i64": _from_bits("f64_reinterpret_i64"),
    "i32.trunc_sat_f32_s": _saturation("i32_trunc_sat_f32_s", W32.mask),
    "i32.trunc_sat_f32_u": _saturation("i32_trunc_sat_f32_u", W32.mask),
    "i32.trunc_sat_f64_s": _saturation("i32_trunc_sat_f64_s", W32.mask),
    "i32.trunc_sat_f64_u": _saturation("i32_trunc_sat_f64_u", W32.mask),
    "i64.trunc_sat_f32_s": _saturation("i64_trunc_sat_f32_s", W64.mask),
    "i64.trunc_sat_f32_u": _saturation("i64_trunc_sat_f32_u", W64.mask),
    "i64.trunc_sat_f64_s": _saturation("i64_trunc_sat_f64_s", W64.mask),
    "i64.trunc_sat_f64_u": _saturation("i64_trunc_sat_f64_u", W64.mask),
}

# Conversions to f32 whose f64 result is exact or rounded once: rounding it gives the f32 result.
_ROUNDED_CONVERSIONS: Final[dict[str, Unary]] = {
    "f32.convert_i32_s": _from_signed_32,
    "f32.convert_i32_u": _from_unsigned_32,
    "f32.demote_f64": lambda a, h: a,
}
