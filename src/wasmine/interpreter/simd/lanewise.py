"""Instructions that take vectors apart into lanes and compute on each: multiplications, narrowing, all of the floats.

A row says, in the formats of `struct`, what lanes the operands and the result have, and gives the result's lane as an
expression: `a`, `b`, `c` are the operands' lanes in the same place, `a[0]`, `a[1]` ... those that lie in the same place
when the operand has more lanes than the result. The functions are generated with all lanes written out.
"""

from __future__ import annotations

import re
import sys
from math import sqrt
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from wasmine.record import record
from wasmine.runtime.bits import (
    f32_round,
    f64_div,
    f64_sqrt,
    float_ceil,
    float_floor,
    float_max,
    float_min,
    float_nearest,
    float_trunc,
    i32_trunc_sat_s,
    i32_trunc_sat_u,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@record
class Row:
    """One instruction.

    `operands` has one `struct` format per operand, or, when `joined`, one for both operands, the second after the first.
    """

    operands: tuple[str, ...]
    result: str
    lane: str
    joined: bool = False


def _row(operands: str, result: str, lane: str) -> Row:
    return Row(tuple(operands.split()), result, lane)


def _clamp(low: int, high: int) -> str:
    return f"({low} if a < {low} else {high} if a > {high} else a)"


def _integer_rows() -> dict[str, Row]:
    rows = {
        "i16x8.mul": _row("8H 8H", "8H", "a * b & 0xFFFF"),
        "i32x4.mul": _row("4I 4I", "4I", "a * b & 0xFFFFFFFF"),
        "i16x8.q15mulr_sat_s": _row("8h 8h", "8h", "(32767 if (t := a * b + 0x4000 >> 15) > 32767 else t)"),
        "i32x4.dot_i16x8_s": _row("8h 8h", "4I", "a[0] * b[0] + a[1] * b[1] & 0xFFFFFFFF"),
        "i8x16.narrow_i16x8_s": Row(("16h",), "16b", _clamp(-128, 127), joined=True),
        "i8x16.narrow_i16x8_u": Row(("16h",), "16B", _clamp(0, 255), joined=True),
        "i16x8.narrow_i32x4_s": Row(("8i",), "8h", _clamp(-32768, 32767), joined=True),
        "i16x8.narrow_i32x4_u": Row(("8i",), "8H", _clamp(0, 65535), joined=True),
    }
    for wide, half, lanes in (("i16x8", "i8x16", "8b 8h"), ("i32x4", "i16x8", "4h 4i"), ("i64x2", "i32x4", "2i 2q")):
        for sign, letters in (("s", lanes), ("u", lanes.upper())):
            source, result = letters.split()
            low, high = f"{source}8x", f"8x{source}"
            rows[f"{wide}.extmul_low_{half}_{sign}"] = Row((low, low), result, "a * b")
            rows[f"{wide}.extmul_high_{half}_{sign}"] = Row((high, high), result, "a * b")
    return rows


_FLOAT_UNARY: Final = {
    "ceil": "float_ceil(a)",
    "floor": "float_floor(a)",
    "trunc": "float_trunc(a)",
    "nearest": "float_nearest(a)",
    "sqrt": "(sqrt(a) if a >= 0.0 else f64_sqrt(a))",
}
_FLOAT_BINARY: Final = {
    "add": "a + b",
    "sub": "a - b",
    "mul": "a * b",
    "div": "(a / b if b else f64_div(a, b))",
    "min": "(a if a < b else b if b < a else float_min(a, b))",
    "max": "(a if a > b else b if b > a else float_max(a, b))",
}
_COMPARISONS: Final = {"eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">="}


def _float_rows() -> dict[str, Row]:
    """Lanes are computed in double precision; packing them as f32 rounds (see `bits.f32_round`)."""
    rows = {
        "f32x4.demote_f64x2_zero": _row("2d", "2f8x", "a"),
        "f64x2.promote_low_f32x4": _row("2f8x", "2d", "a"),
        "i32x4.trunc_sat_f32x4_s": _row("4f", "4I", "i32_trunc_sat_s(a)"),
        "i32x4.trunc_sat_f32x4_u": _row("4f", "4I", "i32_trunc_sat_u(a)"),
        "i32x4.trunc_sat_f64x2_s_zero": _row("2d", "2I8x", "i32_trunc_sat_s(a)"),
        "i32x4.trunc_sat_f64x2_u_zero": _row("2d", "2I8x", "i32_trunc_sat_u(a)"),
        "f32x4.convert_i32x4_s": _row("4i", "4f", "a"),
        "f32x4.convert_i32x4_u": _row("4I", "4f", "a"),
        "f64x2.convert_low_i32x4_s": _row("2i8x", "2d", "a"),
        "f64x2.convert_low_i32x4_u": _row("2I8x", "2d", "a"),
    }
    for shape, floats, integers in (("f32x4", "4f", "4i"), ("f64x2", "2d", "2q")):
        for operation, lane in _FLOAT_UNARY.items():
            rows[f"{shape}.{operation}"] = Row((floats,), floats, lane)
        for operation, lane in _FLOAT_BINARY.items():
            rows[f"{shape}.{operation}"] = Row((floats, floats), floats, lane)
        for operation, operator in _COMPARISONS.items():
            rows[f"{shape}.{operation}"] = Row((floats, floats), integers, f"-(a {operator} b)")
    return rows


def _dot_of_two(i: int) -> str:
    """The sum of two products of i8, which is a little too large for an i16 in one case only."""
    return f"(t if (t := a[{i}] * b[{i}] + a[{i + 1}] * b[{i + 1}]) < 32768 else 32767)"


_RELAXED_ROWS: Final = {
    "f32x4.relaxed_madd": _row("4f 4f 4f", "4f", "f32_round(a * b) + c"),
    "f32x4.relaxed_nmadd": _row("4f 4f 4f", "4f", "f32_round(-a * b) + c"),
    "f64x2.relaxed_madd": _row("2d 2d 2d", "2d", "a * b + c"),
    "f64x2.relaxed_nmadd": _row("2d 2d 2d", "2d", "-a * b + c"),
    "i16x8.relaxed_dot_i8x16_i7x16_s": _row("16b 16b", "8h", _dot_of_two(0)),
    "i32x4.relaxed_dot_i8x16_i7x16_add_s": _row(
        "16b 16b 4i",
        "4I",
        f"{_dot_of_two(0)} + {_dot_of_two(2)} + c & 0xFFFFFFFF",
    ),
}

ROWS: Final = _integer_rows() | _float_rows() | _RELAXED_ROWS
"""By instruction name."""


# ---------------------------------------------------------------------------------------------------- generation

# Native formats are the faster ones, and `f` in them rounds numbers beyond its range to infinities, as it should, where
# `<f` raises an exception. They can be used where a vector's lanes lie in memory as the processor has them.
_NATIVE: Final = sys.byteorder == "little"


def saturating_pack(layout: str) -> Callable[..., bytes]:
    """`Struct(layout).pack` for a layout with `f`, if it raises an exception for large numbers."""
    pack = Struct(layout).pack
    return lambda *lanes: pack(*map(f32_round, lanes))


def _packer(format: str) -> Callable[..., bytes]:
    layout = format if _NATIVE else f"<{format}"
    pack = Struct(layout).pack
    if "f" in format:
        try:
            pack(*[1e300] * _lanes(format))
        except OverflowError:
            return saturating_pack(layout)
    return pack


def _lanes(format: str) -> int:
    """The number of lanes of a `struct` format such as `8b8x`, `8x8b` or `4f`."""
    found = re.search(r"(\d+)[^\dx]", format)
    assert found is not None
    return int(found[1])


_NAMES: Final[dict[str, Any]] = {
    "from_bytes": int.from_bytes,
    "sqrt": sqrt,
    "f32_round": f32_round,
    "f64_div": f64_div,
    "f64_sqrt": f64_sqrt,
    "float_ceil": float_ceil,
    "float_floor": float_floor,
    "float_max": float_max,
    "float_min": float_min,
    "float_nearest": float_nearest,
    "float_trunc": float_trunc,
    "i32_trunc_sat_s": i32_trunc_sat_s,
    "i32_trunc_sat_u": i32_trunc_sat_u,
}


def source(name: str) -> str:
    """The Python source of an instruction's function."""
    row = ROWS[name]
    operands = "abc"[: len(row.operands)]
    counts = {operand: _lanes(format) for operand, format in zip(operands, row.operands, strict=True)}
    lines = []
    for operand, format in zip(operands, row.operands, strict=True):
        lanes = ", ".join(f"{operand}{i}" for i in range(counts[operand]))
        vector = "(b << 128 | a).to_bytes(32" if row.joined else f"{operand}.to_bytes(16"
        lines.append(f'    {lanes} = unpack_{format}({vector}, "little"))')
    if row.joined:
        operands = "ab"
    count = _lanes(row.result)

    def lane(i: int) -> str:
        def name_of(found: re.Match[str]) -> str:
            operand, index = found[1], int(found[2] or 0)
            return f"{operand}{counts[operand] // count * i + index}"

        return re.sub(r"\b([abc])\b(?:\[(\d)\])?", name_of, row.lane)

    results = ", ".join(map(lane, range(count)))
    lines.append(f'    return from_bytes(pack_{row.result}({results}), "little")')
    return "\n".join([f"def {name.replace('.', '_')}({', '.join(operands)}):", *lines])


def compiled(name: str) -> Callable[..., int]:
    """An instruction's function, on vectors as ints of 128 bits."""
    row = ROWS[name]
    names = dict(_NAMES)
    for format in row.operands:
        names[f"unpack_{format}"] = Struct(format if _NATIVE else f"<{format}").unpack
    names[f"pack_{row.result}"] = _packer(row.result)
    exec(compile(source(name), f"<{name}>", "exec"), names)
    function: Callable[..., int] = names[name.replace(".", "_")]
    return function
