"""Random integer expressions give what the specification's definitions give, however they are masked and folded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wasmine
from wasmine import Trap, TrapKind

VALUES = (0, 1, 2, 7, 31, 32, 63, 64, 127, 128, 255, 0x7FFF, 0x8000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)
WIDE = (*VALUES, 1 << 32, (1 << 32) + 5, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 2, (1 << 64) - 1)


class Trapped(Exception):
    """The reference trapped."""

    def __init__(self, kind: TrapKind) -> None:
        self.kind = kind


# ---------------------------------------------------------------------------------------------------- the reference


def signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


def div_s(a: int, b: int, bits: int) -> int:
    x, y = signed(a, bits), signed(b, bits)
    if not y:
        raise Trapped(TrapKind.INTEGER_DIVIDE_BY_ZERO)
    quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    if quotient == 1 << bits - 1:
        raise Trapped(TrapKind.INTEGER_OVERFLOW)
    return quotient


def rem_s(a: int, b: int, bits: int) -> int:
    x, y = signed(a, bits), signed(b, bits)
    if not y:
        raise Trapped(TrapKind.INTEGER_DIVIDE_BY_ZERO)
    return abs(x) % abs(y) * (-1 if x < 0 else 1)


def div_u(a: int, b: int, bits: int) -> int:
    if not b:
        raise Trapped(TrapKind.INTEGER_DIVIDE_BY_ZERO)
    return a // b


def rem_u(a: int, b: int, bits: int) -> int:
    return a - b * div_u(a, b, bits)


def rotl(a: int, b: int, bits: int) -> int:
    by = b % bits
    return a << by | a >> bits - by


BINARY: dict[str, Callable[[int, int, int], int]] = {
    "add": lambda a, b, n: a + b,
    "sub": lambda a, b, n: a - b,
    "mul": lambda a, b, n: a * b,
    "div_s": div_s,
    "div_u": div_u,
    "rem_s": rem_s,
    "rem_u": rem_u,
    "and": lambda a, b, n: a & b,
    "or": lambda a, b, n: a | b,
    "xor": lambda a, b, n: a ^ b,
    "shl": lambda a, b, n: a << b % n,
    "shr_s": lambda a, b, n: signed(a, n) >> b % n,
    "shr_u": lambda a, b, n: a >> b % n,
    "rotl": rotl,
    "rotr": lambda a, b, n: rotl(a, n - b % n, n),
}
COMPARISONS: dict[str, Callable[[int, int, int], bool]] = {
    "eq": lambda a, b, n: a == b,
    "ne": lambda a, b, n: a != b,
    "lt_s": lambda a, b, n: signed(a, n) < signed(b, n),
    "lt_u": lambda a, b, n: a < b,
    "gt_s": lambda a, b, n: signed(a, n) > signed(b, n),
    "gt_u": lambda a, b, n: a > b,
    "le_s": lambda a, b, n: signed(a, n) <= signed(b, n),
    "le_u": lambda a, b, n: a <= b,
    "ge_s": lambda a, b, n: signed(a, n) >= signed(b, n),
    "ge_u": lambda a, b, n: a >= b,
}
UNARY: dict[str, Callable[[int, int], int]] = {
    "clz": lambda a, n: n - len(f"{a:b}") if a else n,
    "ctz": lambda a, n: len(f"{a:b}") - len(f"{a:b}".rstrip("0")) if a else n,
    "popcnt": lambda a, n: f"{a:b}".count("1"),
    "extend8_s": lambda a, n: signed(a & 0xFF, 8),
    "extend16_s": lambda a, n: signed(a & 0xFFFF, 16),
}


@dataclass
class Expression:
    """An expression as text, and its value as a function of the parameters (unsigned) and of the locals."""

    text: str
    value: Callable[[dict[str, int]], int]


def masked(bits: int, text: str, value: Callable[[dict[str, int]], int]) -> Expression:
    return Expression(text, lambda names: value(names) & (1 << bits) - 1)


def leaf(bits: int) -> st.SearchStrategy[Expression]:
    names = ("a", "b", "x") if bits == 32 else ("c", "d", "y")
    constants = VALUES if bits == 32 else WIDE
    return st.sampled_from(names).map(
        lambda name: Expression(f"(local.get ${name})", lambda values: values[name])
    ) | st.sampled_from(constants).map(
        lambda constant: Expression(f"(i{bits}.const {constant})", lambda values: constant)
    )


@cache
def node(bits: int, depth: int) -> st.SearchStrategy[Expression]:
    """Expressions of a width; those below are made first, so that sizes stay small."""
    if not depth:
        return leaf(bits)
    other = 96 - bits

    def binary(name: str, left: Expression, right: Expression) -> Expression:
        operation = BINARY[name]
        return masked(
            bits,
            f"(i{bits}.{name} {left.text} {right.text})",
            lambda values: operation(left.value(values), right.value(values), bits),
        )

    def unary(name: str, inner: Expression) -> Expression:
        operation = UNARY[name]
        return masked(bits, f"(i{bits}.{name} {inner.text})", lambda values: operation(inner.value(values), bits))

    def comparison(name: str, width: int, left: Expression, right: Expression) -> Expression:
        operation = COMPARISONS[name]
        text = f"(i{width}.{name} {left.text} {right.text})"
        return Expression(
            text if bits == 32 else f"(i64.extend_i32_u {text})",
            lambda values: int(operation(left.value(values), right.value(values), width)),
        )

    def conversion(name: str, inner: Expression) -> Expression:
        convert: dict[str, Callable[[int], int]] = {
            "i32.wrap_i64": lambda n: n,
            "i64.extend_i32_s": lambda n: signed(n, 32),
            "i64.extend_i32_u": lambda n: n,
        }
        return masked(bits, f"({name} {inner.text})", lambda values: convert[name](inner.value(values)))

    def select(left: Expression, right: Expression, condition: Expression) -> Expression:
        def value(values: dict[str, int]) -> int:
            chosen = left.value(values), right.value(values)
            return chosen[0] if condition.value(values) else chosen[1]

        return Expression(f"(select {left.text} {right.text} {condition.text})", value)

    def eqz(inner: Expression) -> Expression:
        text = f"(i32.eqz {inner.text})"
        return Expression(
            text if bits == 32 else f"(i64.extend_i32_u {text})", lambda values: int(not inner.value(values))
        )

    below = node(bits, depth - 1)
    conversions = st.just("i32.wrap_i64") if bits == 32 else st.sampled_from(["i64.extend_i32_s", "i64.extend_i32_u"])
    return st.one_of(
        leaf(bits),
        st.builds(binary, st.sampled_from(list(BINARY)), below, below),
        st.builds(binary, st.sampled_from(["add", "sub", "and", "shl", "xor"]), below, below),
        st.builds(unary, st.sampled_from(list(UNARY)), below),
        st.sampled_from([32, 64]).flatmap(
            lambda width: st.builds(
                comparison,
                st.sampled_from(list(COMPARISONS)),
                st.just(width),
                node(width, min(depth - 1, 2)),
                node(width, min(depth - 1, 2)),
            )
        ),
        st.builds(conversion, conversions, node(other, min(depth - 1, 2))),
        st.builds(select, below, below, node(32, min(depth - 1, 2))),
        st.builds(eqz, node(32, min(depth - 1, 2))),
    )


def values(bits: int) -> st.SearchStrategy[int]:
    return st.sampled_from(VALUES if bits == 32 else WIDE) | st.integers(0, (1 << bits) - 1)


MODULE = """
(module (func (export "run") (param $a i32) (param $b i32) (param $c i64) (param $d i64) (result i32 i64 i32)
  (local $x i32) (local $y i64)
  (local.set $x {first})
  (local.set $y {second})
  {third} {fourth}
  (if (result i32) {condition} (then (i32.const 1)) (else (i32.const 0)))))
"""


@settings(max_examples=250, deadline=None)
@given(
    st.tuples(node(32, 3), node(64, 3), node(32, 4), node(64, 4), node(32, 3)),
    st.tuples(values(32), values(32), values(64), values(64)),
)
def test_expressions(parts: tuple[Expression, ...], arguments: tuple[int, int, int, int]) -> None:
    first, second, third, fourth, condition = parts
    text = MODULE.format(
        first=first.text, second=second.text, third=third.text, fourth=fourth.text, condition=condition.text
    )
    names = dict(zip("abcd", arguments, strict=True)) | {"x": 0, "y": 0}
    expected: object
    try:
        names["x"] = first.value(names)
        names["y"] = second.value(names)
        results = third.value(names), fourth.value(names), int(condition.value(names) != 0)
        expected = signed(results[0], 32), signed(results[1], 64), results[2]
    except Trapped as trap:
        expected = trap.kind

    with wasmine.Runtime("interpreter") as runtime:
        run = runtime.instantiate(text).exports.run
        try:
            found = run(*arguments)
        except Trap as trap:
            found = trap.kind

    assert found == expected, text
    assert not isinstance(found, tuple) or all(type(value) is int for value in found)


@pytest.mark.parametrize("count", [50, 1000, 5000])
def test_expressions_of_any_depth(count: int) -> None:
    right = "(i32.add (i32.const 3) " * count + "(local.get 0)" + ")" * count
    left = "(local.get 0)" + " (local.get 0) i32.xor i32.const 7 i32.mul" * count
    text = f'(module (func (export "right") (param i32) (result i32) {right}) (func (export "left") (param i32) (result i32) {left}))'

    with wasmine.Runtime("interpreter") as runtime:
        exports = runtime.instantiate(text).exports
        assert exports.right(5) == 5 + 3 * count
        expected = 9
        for _ in range(count):
            expected = (expected ^ 9) * 7 & 0xFFFF_FFFF
        assert exports.left(9) == signed(expected, 32)
