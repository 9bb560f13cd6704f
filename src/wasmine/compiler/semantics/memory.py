"""Loads and stores of scalars and vectors. Where in memory, and what is checked first, is the builder's to know."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wasmine.compiler.semantics.builder import Builder, Meaning, meaning

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN = {"i32": ("i32", 4), "i64": ("i64", 8), "f32": ("float", 4), "f64": ("double", 8), "v128": ("<2 x i64>", 16)}
_NARROW = {"i32": (8, 16), "i64": (8, 16, 32)}


def meanings() -> Iterator[tuple[str, Meaning]]:
    """The family's meanings: loads, then stores, then the vector loads of a special form."""
    for name, (type, size) in _PLAIN.items():
        yield meaning(f"{name}.load", partial(_load, type, size), size=size)
    for name, widths in _NARROW.items():
        for width in widths:
            for sign, extend in ("s", "sext"), ("u", "zext"):
                write = partial(_load_narrow, name, f"i{width}", width // 8, extend)
                yield meaning(f"{name}.load{width}_{sign}", write, size=width // 8)
    for name, (type, size) in _PLAIN.items():
        yield meaning(f"{name}.store", partial(_store, type, size), size=size)
    for name, widths in _NARROW.items():
        for width in widths:
            yield meaning(f"{name}.store{width}", partial(_store_narrow, name, width), size=width // 8)
    yield from _vector_loads()


def _vector_loads() -> Iterator[tuple[str, Meaning]]:
    for width, lanes in (8, 8), (16, 4), (32, 2):
        for sign, extend in ("s", "sext"), ("u", "zext"):
            yield meaning(f"v128.load{width}x{lanes}_{sign}", partial(_load_extended, width, lanes, extend), size=8)
    for width in (8, 16, 32, 64):
        yield meaning(f"v128.load{width}_splat", partial(_load_splat, width), size=width // 8)
    for width in (32, 64):
        yield meaning(f"v128.load{width}_zero", partial(_load_zero, width), size=width // 8)
    for width in (8, 16, 32, 64):
        yield meaning(f"v128.load{width}_lane", partial(_load_lane, width), lanes=128 // width, size=width // 8)
        yield meaning(f"v128.store{width}_lane", partial(_store_lane, width), lanes=128 // width, size=width // 8)


def _load(type: str, size: int, b: Builder, index: str | None) -> str:
    return b.load(type, b.address(index, size))


def _load_narrow(type: str, narrow: str, size: int, extend: str, b: Builder, index: str | None) -> str:
    return b.let(f"{extend} {narrow} {b.load(narrow, b.address(index, size))} to {type}")


def _store(type: str, size: int, b: Builder, index: str | None, value: str) -> None:
    b.store(type, value, b.address(index, size))


def _store_narrow(type: str, width: int, b: Builder, index: str | None, value: str) -> None:
    pointer = b.address(index, width // 8)
    b.store(f"i{width}", b.let(f"trunc {type} {value} to i{width}"), pointer)


def _load_extended(width: int, lanes: int, extend: str, b: Builder, index: str | None) -> str:
    narrow, wide = f"<{lanes} x i{width}>", f"<{lanes} x i{2 * width}>"
    value = b.cast(b.load("i64", b.address(index, 8)), "i64", narrow)
    return b.cast(b.let(f"{extend} {narrow} {value} to {wide}"), wide, "<2 x i64>")


def _load_splat(width: int, b: Builder, index: str | None) -> str:
    value = b.load(f"i{width}", b.address(index, width // 8))
    return splat(b, width, value)


def splat(b: Builder, width: int, value: str) -> str:
    """A vector with an integer in every lane."""
    lanes = 128 // width
    shape = f"<{lanes} x i{width}>"
    first = b.let(f"insertelement {shape} poison, i{width} {value}, i32 0")
    every = b.let(f"shufflevector {shape} {first}, {shape} poison, <{lanes} x i32> zeroinitializer")
    return b.cast(every, shape, "<2 x i64>")


def _load_zero(width: int, b: Builder, index: str | None) -> str:
    shape = f"<{128 // width} x i{width}>"
    value = b.load(f"i{width}", b.address(index, width // 8))
    return b.cast(b.let(f"insertelement {shape} zeroinitializer, i{width} {value}, i32 0"), shape, "<2 x i64>")


def _load_lane(width: int, b: Builder, index: str | None, vector: str, lane: int) -> str:
    shape = f"<{128 // width} x i{width}>"
    value = b.load(f"i{width}", b.address(index, width // 8))
    lanes = b.cast(vector, "<2 x i64>", shape)
    return b.cast(b.let(f"insertelement {shape} {lanes}, i{width} {value}, i32 {lane}"), shape, "<2 x i64>")


def _store_lane(width: int, b: Builder, index: str | None, vector: str, lane: int) -> None:
    shape = f"<{128 // width} x i{width}>"
    pointer = b.address(index, width // 8)
    lanes = b.cast(vector, "<2 x i64>", shape)
    b.store(f"i{width}", b.let(f"extractelement {shape} {lanes}, i32 {lane}"), pointer)
