"""Conversions between the scalar types."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wasmine.compiler.semantics.builder import Builder, Meaning, meaning
from wasmine.errors import TrapKind

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLOATS = {"f32": "float", "f64": "double"}
_LLVM = {"i32": "i32", "i64": "i64", **_FLOATS}


def meanings() -> Iterator[tuple[str, Meaning]]:
    """The family's meanings, those of all widths in the table's order."""
    yield meaning("i32.wrap_i64", partial(_convert, "trunc", "i64", "i32"))
    yield meaning("i64.extend_i32_s", partial(_convert, "sext", "i32", "i64"))
    yield meaning("i64.extend_i32_u", partial(_convert, "zext", "i32", "i64"))
    for integer in ("i32", "i64"):
        for float in _FLOATS:
            for sign in "su":
                yield meaning(f"{integer}.trunc_{float}_{sign}", partial(_truncate, integer, float, sign))
    for float, type in _FLOATS.items():
        for integer in ("i32", "i64"):
            for sign in "su":
                conversion = partial(_convert, f"{sign}itofp", integer, type)
                yield meaning(f"{float}.convert_{integer}_{sign}", conversion)
    yield meaning("f32.demote_f64", partial(_convert, "fptrunc", "double", "float"))
    yield meaning("f64.promote_f32", partial(_convert, "fpext", "float", "double"))
    for target, source in ("i32", "f32"), ("i64", "f64"), ("f32", "i32"), ("f64", "i64"):
        conversion = partial(_convert, "bitcast", _LLVM[source], _LLVM[target])
        yield meaning(f"{target}.reinterpret_{source}", conversion)
    for type, widths in ("i32", (8, 16)), ("i64", (8, 16, 32)):
        for width in widths:
            yield meaning(f"{type}.extend{width}_s", partial(_sign_extend, type, width))
    for integer in ("i32", "i64"):
        for float in _FLOATS:
            for sign in "su":
                yield meaning(f"{integer}.trunc_sat_{float}_{sign}", partial(_saturate, integer, float, sign))


def _convert(operation: str, source: str, target: str, b: Builder, x: str) -> str:
    return b.let(f"{operation} {source} {x} to {target}")


def _sign_extend(type: str, width: int, b: Builder, x: str) -> str:
    return b.let(f"sext i{width} {b.let(f'trunc {type} {x} to i{width}')} to {type}")


def _saturate(integer: str, float: str, sign: str, b: Builder, x: str) -> str:
    return b.call(integer, f"llvm.fpto{sign}i.sat.{integer}.{float}", f"{_FLOATS[float]} {x}")


def _truncate(integer: str, float: str, sign: str, b: Builder, x: str) -> str:
    """Both bounds are exact floats. The lower one is exclusive where the float type has one between it and the range."""
    type = _FLOATS[float]
    width = int(integer[1:])
    precision = 24 if float == "f32" else 53
    b.trap_if(b.let(f"fcmp uno {type} {x}, {x}"), TrapKind.INVALID_CONVERSION)
    upper = 1 << width - (sign == "s")
    lower = -upper if sign == "s" else 0
    exclusive = lower == 0 or width <= precision
    below = b.let(f"fcmp {'ule' if exclusive else 'ult'} {type} {x}, {_hexadecimal(lower - exclusive)}")
    b.trap_if(below, TrapKind.INTEGER_OVERFLOW)
    above = b.let(f"fcmp uge {type} {x}, {_hexadecimal(upper)}")
    b.trap_if(above, TrapKind.INTEGER_OVERFLOW)
    return b.let(f"fpto{sign}i {type} {x} to {integer}")


def _hexadecimal(value: int) -> str:
    """An integer as a float constant of either width, in LLVM's exact notation."""
    from struct import pack

    return f"0x{int.from_bytes(pack('<d', value), 'little'):016X}"
