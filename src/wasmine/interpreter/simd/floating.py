"""Float instructions that only move bits, as expressions. The others are in `lanewise`."""

from __future__ import annotations

from typing import Final

from wasmine.interpreter.simd.shapes import I32X4, I64X2

_OPERATIONS: Final = {
    "abs": "a & LOW",
    "neg": "a ^ HIGH",
    # "If b < a then b else a", bit for bit: not the same as min, which treats zeros and NaNs specially.
    "pmin": "a ^ {shape}_lt(b, a) & (a ^ b)",
    "pmax": "a ^ {shape}_lt(a, b) & (a ^ b)",
    "splat": "f{width}_to_bits(a) * ONES",
}

TEMPLATES: Final = {
    f"{name}.{operation}": shape.fill(template.format(shape=name, width=shape.width))
    for name, shape in (("f32x4", I32X4), ("f64x2", I64X2))
    for operation, template in _OPERATIONS.items()
}
"""By instruction name."""
