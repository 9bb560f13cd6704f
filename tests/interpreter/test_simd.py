"""Every vector instruction against its lane-by-lane meaning."""

from __future__ import annotations

import re
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_reference import is_nan, is_quiet_nan, join, reference, split

from wasmine.format.instructions import BY_NAME, INSTRUCTIONS, Instruction
from wasmine.interpreter.simd import EXPRESSIONS, NAMES, SIMD, TEMPORARIES, expression, function, lanewise
from wasmine.runtime.bits import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits

VECTOR_INSTRUCTIONS = [
    instruction
    for instruction in INSTRUCTIONS
    if instruction.feature in ("simd", "relaxed_simd") and instruction.name not in ("v128.load", "v128.store")
]

FLOATS = [
    0.0,
    0.5,
    1.0,
    1.5,
    2.5,
    3.0,
    127.5,
    2147483647.5,
    2147483648.0,
    4294967295.5,
    1e-40,
    1e10,
    3.4e38,
    1e39,
    1e300,
]
EXTREMES = {
    8: [0, 1, 0x7F, 0x80, 0x81, 0xFF],
    16: [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0x8001, 0xFF7F, 0xFF80, 0xFFFF],
    32: [0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFF8000, 0xFFFF7FFF, 0xFFFFFFFF]
    + [0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7FA00000, 0xFF800001]
    + [
        f32_to_bits(sign * f32_from_bits(struct.unpack("<I", struct.pack("<f", x))[0]))
        for x in FLOATS[:-2]
        for sign in (1, -1)
    ],
    64: [0, 1, 2**63 - 1, 2**63, 2**64 - 1, 2**32 - 1, 2**31]
    + [0x7FF0 << 48, 0xFFF0 << 48, 0x7FF8 << 48, 0xFFF8 << 48, 0x7FF4 << 48, (0xFFF0 << 48) + 1]
    + [f64_to_bits(sign * x) for x in FLOATS for sign in (1, -1)],
}


def bits_of(width: int) -> st.SearchStrategy[int]:
    """Numbers of `width` bits, extreme ones often."""
    return st.sampled_from(EXTREMES[width]) | st.integers(0, (1 << width) - 1)


vectors = st.one_of(
    *(
        st.lists(bits_of(width), min_size=128 // width, max_size=128 // width).map(
            lambda lanes, width=width: join(lanes, width)
        )
        for width in (8, 16, 32, 64)
    )
)
OPERANDS: dict[str, st.SearchStrategy[Any]] = {
    "i": bits_of(32),
    "I": bits_of(64),
    "f": bits_of(32).map(f32_from_bits),
    "F": bits_of(64).map(f64_from_bits),
    "v": vectors,
}


def operands(instruction: Instruction) -> st.SearchStrategy[tuple[Any, ...]]:
    """Operands; in place of an address, what a load reads, and nothing of a store."""
    strategies = []
    for letter in instruction.params or "":
        if letter != "a":
            strategies.append(OPERANDS[letter])
        elif instruction.results:
            strategies.append(bits_of(8 << instruction.alignment))
    return st.tuples(*strategies)


def immediates(instruction: Instruction) -> st.SearchStrategy[tuple[Any, ...]]:
    """The immediate, if there is one besides a memory argument."""
    for immediate in instruction.immediates:
        if immediate.kind == "lane":
            return st.tuples(st.integers(0, immediate.bound - 1))
        if immediate.kind == "v128":
            return st.tuples(st.binary(min_size=16, max_size=16))
        if immediate.kind == "lanes":
            shuffled = st.lists(st.integers(0, 31), min_size=16, max_size=16).map(bytes)
            run = st.integers(0, 16).map(lambda start: bytes(range(start, start + 16)))
            return st.tuples(shuffled | run)
    return st.just(())


# Of other instructions that give floats, the payload of a NaN is open, as long as it is a quiet one.
MOVES = re.compile(r"abs|neg|pmin|pmax|splat|replace_lane|extract_lane|eq|ne|lt|gt|le|ge")


def agree(name: str, got: Any, expected: Any) -> bool:
    """Whether a result is as it should be."""
    if isinstance(expected, float):
        to_bits = f32_to_bits if name.startswith("f32") else f64_to_bits
        return to_bits(got) == to_bits(expected)
    shape, _, operation = name.partition(".")
    if got == expected or shape[0] != "f" or MOVES.fullmatch(operation):
        return bool(got == expected)
    width = int(shape[1:3])
    return all(
        one == other or (is_nan(other, width) and is_quiet_nan(one, width))
        for one, other in zip(split(got, width), split(expected, width), strict=True)
    )


def test_every_vector_instruction_has_a_meaning() -> None:
    assert set(SIMD) == {instruction.name for instruction in VECTOR_INSTRUCTIONS}
    assert len(SIMD) == len(VECTOR_INSTRUCTIONS)


@pytest.mark.parametrize("instruction", VECTOR_INSTRUCTIONS, ids=lambda instruction: instruction.name)
def test_meaning(instruction: Instruction) -> None:
    expected = reference(instruction.name)

    @settings(max_examples=50)
    @given(immediates(instruction), operands(instruction))
    def check(given_immediates: tuple[Any, ...], given_operands: tuple[Any, ...]) -> None:
        result = SIMD[instruction.name](*given_immediates, *given_operands)
        assert type(result) is (float if instruction.results in ("f", "F") else int)
        assert agree(instruction.name, result, expected(*given_immediates, *given_operands))

    check()


@pytest.mark.parametrize(
    "operation", ["add", "sub", "mul", "div", "min", "max", "sqrt", "ceil", "floor", "trunc", "nearest"]
)
@pytest.mark.parametrize(("shape", "width", "canonical"), [("f32x4", 32, 0x7FC00000), ("f64x2", 64, 0x7FF8 << 48)])
def test_a_canonical_nan_gives_a_canonical_nan(operation: str, shape: str, width: int, canonical: int) -> None:
    nan = join([canonical] * (128 // width), width)
    others = (
        [join([0x3F8 << width - 12] * (128 // width), width)] if BY_NAME[f"{shape}.{operation}"].params == "vv" else []
    )
    result = function(f"{shape}.{operation}")(nan, *others)
    assert {lane & (1 << width - 1) - 1 for lane in split(result, width)} == {canonical}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_stand_alone(name: str) -> None:
    """In generated code they are put into larger expressions, with names that only `NAMES` and they themselves define."""
    template = EXPRESSIONS[name]
    assert template == expression(name)
    code = compile(template.format("a", "b", "c"), name, "eval")
    assert set(code.co_names) <= {"a", "b", "c", "to_bytes", "translate", *NAMES, *TEMPORARIES}
    letters = BY_NAME[name].params or ""
    values = {"a": 0x80FF7F01 << 96 | 0x123456789ABCDEF, "b": 0x0102038485868788FF << 40 | 3, "c": 0x5555}
    if letters[0] == "a":
        values["a"] &= 0xFF
    elif letters[0] in "iI":
        values["a"] &= 0xFFFFFFFF
    elif letters[0] in "fF":
        values["a"] = 1.5  # type: ignore[assignment]
    if letters.endswith("i") and len(letters) == 2:
        values["b"] = 35
    alone = function(name)(*[values[letter] for letter in "abc"[: len(letters)]])
    assert eval(f"1 + {template.format('a', 'b', 'c')} * 1 - 1", dict(NAMES), dict(values)) == alone


def test_a_shuffle_of_few_runs_needs_no_table() -> None:
    assert expression("i8x16.shuffle", bytes(range(3, 19))) == "(({0} >> 24) | ({1} & 0xffffff) << 104)"
    assert "translate" in str(expression("i8x16.shuffle", bytes(range(15, -1, -1))))


def test_packing_where_large_floats_are_refused_rounds_them_to_infinity() -> None:
    pack = lanewise.saturating_pack("<4f")
    assert struct.unpack("<4f", pack(1e39, -1e39, 1 + 2**-24, 3)) == (float("inf"), float("-inf"), 1.0, 3.0)


def test_an_unknown_instruction_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        SIMD["i8x16.mul"]
    assert "i8x16.mul" not in SIMD
