"""Instructions with lanes as immediates, as factories of templates, and constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.interpreter.simd.shapes import ALL, I32X4, I64X2, SHAPES, Shape, literal

if TYPE_CHECKING:
    from collections.abc import Callable


def _field(vector: str, start: int, width: int) -> str:
    """The `width` bits of the vector from bit `start`."""
    shifted = f"{vector} >> {start}" if start else vector
    return shifted if start + width == 128 else f"{shifted} & {literal((1 << width) - 1)}"


def _extract_unsigned(shape: Shape) -> Callable[[int], str]:
    return lambda lane: _field("a", lane * shape.width, shape.width)


def _extract_signed(shape: Shape) -> Callable[[int], str]:
    """The lane sign-extended to an i32: an exclusive or and a subtraction do it, and a mask makes it unsigned."""
    sign = literal(1 << shape.width - 1)
    return lambda lane: f"(({_field('a', lane * shape.width, shape.width)}) ^ {sign}) - {sign} & 0xFFFFFFFF"


def _replace(shape: Shape, vector: str, value: str) -> Callable[[int], str]:
    """The vector with one lane replaced; `value` has no bits beyond the lane."""

    def template(lane: int) -> str:
        start = lane * shape.width
        placed = f"({value}) << {start}" if start else value
        return f"{vector} & {literal(ALL ^ shape.lane << start)} | {placed}"

    return template


def _float_extract(shape: Shape) -> Callable[[int], str]:
    return lambda lane: f"f{shape.width}_from_bits({_field('a', lane * shape.width, shape.width)})"


def shuffle(lanes: bytes) -> str:
    """The bytes of `a` (0 to 15) and `b` (16 to 31) that `lanes` names.

    Up to two runs of neighbouring bytes are moved by shifts; else `bytes.translate` looks all bytes up at once.
    """
    runs: list[list[int]] = []  # [first byte of the result, first byte of the source, length]
    for place, lane in enumerate(lanes):
        if runs and lane == runs[-1][1] + runs[-1][2] and lane != 16:
            runs[-1][2] += 1
        else:
            runs.append([place, lane, 1])
    if len(runs) > 2:
        places = "".join(f"\\x{lane:02x}" for lane in lanes)  # prefix B, for b is an operand
        return f'from_bytes(B"{places}".translate((b << 128 | a).to_bytes(256, "little")), "little")'
    moved = []
    for place, lane, length in runs:
        bits = _field("a" if lane < 16 else "b", lane % 16 * 8, length * 8)
        moved.append(f"({bits}) << {place * 8}" if place else f"({bits})")
    return " | ".join(moved)


def constant(value: bytes) -> str:
    """The value of `v128.const`."""
    return literal(int.from_bytes(value, "little"))


def _factories() -> dict[str, Callable[[int], str] | Callable[[bytes], str]]:
    table: dict[str, Callable[[int], str] | Callable[[bytes], str]] = {
        "v128.const": constant,
        "i8x16.shuffle": shuffle,
        "f32x4.extract_lane": _float_extract(I32X4),
        "f64x2.extract_lane": _float_extract(I64X2),
        "f32x4.replace_lane": _replace(I32X4, "a", "f32_to_bits(b)"),
        "f64x2.replace_lane": _replace(I64X2, "a", "f64_to_bits(b)"),
    }
    for shape in SHAPES:
        narrow = shape.width < 32
        if narrow:
            table[f"{shape.name}.extract_lane_s"] = _extract_signed(shape)
        table[f"{shape.name}.extract_lane{'_u' * narrow}"] = _extract_unsigned(shape)
        value = f"b & {literal(shape.lane)}" if narrow else "b"
        table[f"{shape.name}.replace_lane"] = _replace(shape, "a", value)
        table[f"v128.load{shape.width}_lane"] = _replace(shape, "b", "a")
        table[f"v128.store{shape.width}_lane"] = _extract_unsigned(shape)
    return table


FACTORIES: Final = _factories()
"""By instruction name: what makes the template from the immediate.

`load*_lane` takes the bits it read in place of the address, `store*_lane` only the vector; it gives the bits to write.
"""
