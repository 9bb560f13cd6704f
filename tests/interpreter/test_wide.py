"""128-bit arithmetic against Python's."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from wasmine.format.instructions import INSTRUCTIONS
from wasmine.interpreter.wide import WIDE

words = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1])


def number(low: int, high: int) -> int:
    """The 128-bit number of two words."""
    return int.from_bytes(low.to_bytes(8, "little") + high.to_bytes(8, "little"), "little")


def signed(n: int) -> int:
    """The signed number with the same 64 bits."""
    return int.from_bytes(n.to_bytes(8, "little"), "little", signed=True)


def test_every_instruction_has_a_meaning() -> None:
    assert set(WIDE) == {instruction.name for instruction in INSTRUCTIONS if instruction.feature == "wide_arithmetic"}


@given(words, words, words, words)
@example(2**64 - 1, 2**64 - 1, 1, 0)
@example(0, 0, 1, 0)
def test_sums_and_differences_wrap(low: int, high: int, other_low: int, other_high: int) -> None:
    x, y = number(low, high), number(other_low, other_high)
    assert number(*WIDE["i64.add128"](low, high, other_low, other_high)) == (x + y) % 2**128
    assert number(*WIDE["i64.sub128"](low, high, other_low, other_high)) == (x - y) % 2**128


@given(words, words)
@example(2**63, 2**63)
@example(2**64 - 1, 2**64 - 1)
@example(2**63, 2**64 - 1)
def test_products_are_whole(x: int, y: int) -> None:
    assert number(*WIDE["i64.mul_wide_u"](x, y)) == x * y
    assert number(*WIDE["i64.mul_wide_s"](x, y)) == signed(x) * signed(y) % 2**128
