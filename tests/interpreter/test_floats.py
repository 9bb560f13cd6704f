"""Floats bit for bit: NaN payloads wherever values go, rounding to f32, signs of zeros."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import wasmine
from ieee_reference import F32, F64

NANS_32 = (0x7FC0_0000, 0xFFC0_0000, 0x7F80_0001, 0xFF80_0001, 0x7FA0_1234, 0x7FFF_FFFF, 0xFFFF_FFFF)
NANS_64 = (
    0x7FF8 << 48,
    0xFFF8 << 48,
    (0x7FF0 << 48) + 1,
    (0xFFF0 << 48) + 1,
    (0x7FF4 << 48) + 5,
    (1 << 63) - 1,
    (1 << 64) - 1,
)
bits_32 = st.integers(0, 2**32 - 1) | st.sampled_from(
    (*NANS_32, 0, 0x8000_0000, 1, 0x7F80_0000, 0x7F7F_FFFF, 0x3F80_0000)
)
bits_64 = st.integers(0, 2**64 - 1) | st.sampled_from((*NANS_64, 0, 1 << 63, 1, 0x7FF0 << 48, 0x3FF0 << 48))

# Values travel as bits, so that Python's face is not part of what is tested.
ROUTES = """
(module
  (memory 1)
  (table 1 funcref)
  (elem (i32.const 0) $echo32)
  (global $g32 (mut f32) (f32.const 0))
  (global $g64 (mut f64) (f64.const 0))
  (func $echo32 (param f32) (result f32) (local.get 0))
  (func $echo64 (param f64) (result f64) (local.get 0))
  (func (export "load32") (param i32) (result i32)
    (i32.store (i32.const 8) (local.get 0)) (f32.store (i32.const 21) (f32.load (i32.const 8))) (i32.load (i32.const 21)))
  (func (export "store32") (param i32) (result i32)
    (i32.store (i32.const 9) (local.get 0)) (f32.store (i32.const 16) (f32.load (i32.const 9))) (i32.load (i32.const 16)))
  (func (export "reinterpret32") (param i32) (result i32) (i32.reinterpret_f32 (f32.reinterpret_i32 (local.get 0))))
  (func (export "local32") (param i32) (result i32) (local f32)
    (local.set 1 (f32.reinterpret_i32 (local.get 0))) (i32.reinterpret_f32 (local.get 1)))
  (func (export "global32") (param i32) (result i32)
    (global.set $g32 (f32.reinterpret_i32 (local.get 0))) (i32.reinterpret_f32 (global.get $g32)))
  (func (export "call32") (param i32) (result i32) (i32.reinterpret_f32 (call $echo32 (f32.reinterpret_i32 (local.get 0)))))
  (func (export "indirect32") (param i32) (result i32)
    (i32.reinterpret_f32 (call_indirect (param f32) (result f32) (f32.reinterpret_i32 (local.get 0)) (i32.const 0))))
  (func (export "select32") (param i32) (result i32)
    (i32.reinterpret_f32 (select (f32.reinterpret_i32 (local.get 0)) (f32.const 1) (i32.const 1))))
  (func (export "block32") (param i32) (result i32)
    (i32.reinterpret_f32 (block (result f32) (br 0 (f32.reinterpret_i32 (local.get 0))))))
  (func (export "load64") (param i64) (result i64)
    (i64.store (i32.const 8) (local.get 0)) (f64.store (i32.const 21) (f64.load (i32.const 8))) (i64.load (i32.const 21)))
  (func (export "store64") (param i64) (result i64)
    (i64.store (i32.const 9) (local.get 0)) (f64.store (i32.const 32) (f64.load (i32.const 9))) (i64.load (i32.const 32)))
  (func (export "reinterpret64") (param i64) (result i64) (i64.reinterpret_f64 (f64.reinterpret_i64 (local.get 0))))
  (func (export "local64") (param i64) (result i64) (local f64)
    (local.set 1 (f64.reinterpret_i64 (local.get 0))) (i64.reinterpret_f64 (local.get 1)))
  (func (export "global64") (param i64) (result i64)
    (global.set $g64 (f64.reinterpret_i64 (local.get 0))) (i64.reinterpret_f64 (global.get $g64)))
  (func (export "call64") (param i64) (result i64) (i64.reinterpret_f64 (call $echo64 (f64.reinterpret_i64 (local.get 0))))))
"""

SIGNS = """
(module
  (func (export "neg32") (param i32) (result i32) (i32.reinterpret_f32 (f32.neg (f32.reinterpret_i32 (local.get 0)))))
  (func (export "abs32") (param i32) (result i32) (i32.reinterpret_f32 (f32.abs (f32.reinterpret_i32 (local.get 0)))))
  (func (export "copysign32") (param i32) (result i32)
    (i32.reinterpret_f32 (f32.copysign (f32.reinterpret_i32 (local.get 0)) (f32.const -nan))))
  (func (export "neg64") (param i64) (result i64) (i64.reinterpret_f64 (f64.neg (f64.reinterpret_i64 (local.get 0)))))
  (func (export "abs64") (param i64) (result i64) (i64.reinterpret_f64 (f64.abs (f64.reinterpret_i64 (local.get 0)))))
  (func (export "copysign64") (param i64) (result i64)
    (i64.reinterpret_f64 (f64.copysign (f64.reinterpret_i64 (local.get 0)) (f64.const -0)))))
"""

ARITHMETIC = "(module {})".format(
    "\n".join(
        f"""(func (export "{type}.{name}") (param {type} {type}) (result i64)
              {convert} ({type}.{name} (local.get 0) (local.get 1)) {end})"""
        for type, convert, end in (
            ("f64", "(i64.reinterpret_f64", ")"),
            ("f32", "(i64.extend_i32_u (i32.reinterpret_f32", "))"),
        )
        for name in ("add", "sub", "mul", "div")
    )
)


@pytest.fixture(scope="module")
def routes() -> Iterator[wasmine.Exports]:
    with wasmine.Runtime("interpreter") as runtime:
        yield runtime.instantiate(ROUTES).exports


@pytest.fixture(scope="module")
def signs() -> Iterator[wasmine.Exports]:
    with wasmine.Runtime("interpreter") as runtime:
        yield runtime.instantiate(SIGNS).exports


@pytest.fixture(scope="module")
def arithmetic() -> Iterator[wasmine.Exports]:
    with wasmine.Runtime("interpreter") as runtime:
        yield runtime.instantiate(ARITHMETIC).exports


@given(bits=bits_32)
def test_every_route_keeps_the_bits_of_an_f32(routes: wasmine.Exports, bits: int) -> None:
    for name in routes:
        if name.endswith("32"):
            assert routes[name](bits) & 0xFFFF_FFFF == bits, name


@given(bits=bits_64)
def test_every_route_keeps_the_bits_of_an_f64(routes: wasmine.Exports, bits: int) -> None:
    for name in routes:
        if name.endswith("64"):
            assert routes[name](bits) & 0xFFFF_FFFF_FFFF_FFFF == bits, name


@given(bits=bits_32)
def test_sign_operations_change_the_sign_bit_only(signs: wasmine.Exports, bits: int) -> None:
    assert signs.neg32(bits) & 0xFFFF_FFFF == bits ^ 0x8000_0000
    assert signs.abs32(bits) & 0xFFFF_FFFF == bits & 0x7FFF_FFFF
    assert signs.copysign32(bits) & 0xFFFF_FFFF == bits | 0x8000_0000


@given(bits=bits_64)
def test_sign_operations_on_f64(signs: wasmine.Exports, bits: int) -> None:
    sign, mask = 1 << 63, (1 << 64) - 1
    assert signs.neg64(bits) & mask == bits ^ sign
    assert signs.abs64(bits) & mask == bits & ~sign
    assert signs.copysign64(bits) & mask == bits | sign


FORMATS = {"f32": (F32, "<f", "<I", 0xFFFF_FFFF), "f64": (F64, "<d", "<Q", 0xFFFF_FFFF_FFFF_FFFF)}
REFERENCES = {"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide"}
numbers_32 = st.floats(width=32, allow_nan=False)


@pytest.mark.parametrize("type", FORMATS)
@given(a=numbers_32, b=numbers_32)
@example(a=16777216.0, b=1.0)
@example(a=3.4028234663852886e38, b=3.4028234663852886e38)
@example(a=1.401298464324817e-45, b=0.5)
@example(a=1.0, b=0.0)
@example(a=1.0, b=-0.0)
@example(a=0.0, b=-5.0)
def test_arithmetic_is_rounded_once(arithmetic: wasmine.Exports, type: str, a: float, b: float) -> None:
    format, floats, integers, mask = FORMATS[type]
    for name, reference in REFERENCES.items():
        expected = getattr(format, reference)(a, b)
        bits = arithmetic[f"{type}.{name}"](a, b) & mask
        if not math.isnan(expected):
            assert struct.pack(integers, bits) == struct.pack(floats, expected), name


@pytest.mark.parametrize("type", ["f32", "f64"])
@pytest.mark.parametrize(("name", "a", "b"), [("div", 0.0, 0.0), ("sub", math.inf, math.inf), ("mul", math.inf, 0.0)])
def test_invalid_operations_give_a_quiet_nan(
    arithmetic: wasmine.Exports, type: str, name: str, a: float, b: float
) -> None:
    bits = arithmetic[f"{type}.{name}"](a, b)
    quiet = 0x7FC0_0000 if type == "f32" else 0x7FF8 << 48
    assert bits & quiet == quiet
