"""Relaxed vector instructions: which of the permitted results Wasmine gives.

The specification lets an implementation choose for each of these instructions, once and for all. Wasmine takes the first
choice everywhere, which is what the specification's deterministic profile prescribes: the same results on every
machine and in every engine, equal to those of the ordinary instruction where there is one. So `relaxed_madd` rounds twice
(it is not fused), a lane select works bit by bit, and the second operand of a dot product is signed and its sums of
two products saturate. The instructions without an ordinary counterpart are in `lanewise`.
"""

from __future__ import annotations

from typing import Final

COUNTERPARTS: Final = {
    "i8x16.relaxed_swizzle": "i8x16.swizzle",
    "i32x4.relaxed_trunc_f32x4_s": "i32x4.trunc_sat_f32x4_s",
    "i32x4.relaxed_trunc_f32x4_u": "i32x4.trunc_sat_f32x4_u",
    "i32x4.relaxed_trunc_f64x2_s_zero": "i32x4.trunc_sat_f64x2_s_zero",
    "i32x4.relaxed_trunc_f64x2_u_zero": "i32x4.trunc_sat_f64x2_u_zero",
    "i8x16.relaxed_laneselect": "v128.bitselect",
    "i16x8.relaxed_laneselect": "v128.bitselect",
    "i32x4.relaxed_laneselect": "v128.bitselect",
    "i64x2.relaxed_laneselect": "v128.bitselect",
    "f32x4.relaxed_min": "f32x4.min",
    "f32x4.relaxed_max": "f32x4.max",
    "f64x2.relaxed_min": "f64x2.min",
    "f64x2.relaxed_max": "f64x2.max",
    "i16x8.relaxed_q15mulr_s": "i16x8.q15mulr_sat_s",
}
"""The ordinary instruction that a relaxed one is."""
