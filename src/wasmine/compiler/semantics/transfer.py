"""What moves values about: constants, moves between registers and places in memory, selection by a value."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wasmine.compiler.semantics.builder import LLVM_TYPES, Builder, Meaning, Target, internal
from wasmine.compiler.semantics.memory import splat

if TYPE_CHECKING:
    from collections.abc import Iterator

_LETTERS = {"i32": "i", "i64": "I", "f32": "f", "f64": "F", "v128": "v"}


def meanings() -> Iterator[tuple[str, Meaning]]:
    """The family's meanings. The operand of a `const` is the constant itself."""
    for name, letter in _LETTERS.items():
        yield internal(f"{name}.const", f"{letter} -> {letter}", _same)
    for name, letter in _LETTERS.items():
        yield internal(f"{name}.move!", f"{letter} -> {letter}", _same)
        if letter != "i":
            # References and i32s are selected as i64s: their registers hold zeros above.
            yield internal(f"{name}.select!", f"{letter}{letter}i -> {letter}", partial(_select, LLVM_TYPES[letter]))
    # A constant that does not fit in 32 bits with a sign.
    yield internal("i64.const_wide!", "I -> I", _same)
    # The integer zero of either width: shorter than a move.
    yield internal("i64.zero!", " -> I", lambda b: "0")
    # The two vector constants that need no memory; the first is also the f32 and f64 zero.
    yield internal("v128.zero!", " -> v", lambda b: "zeroinitializer")
    yield internal("v128.ones!", " -> v", lambda b: "<i64 -1, i64 -1>")


def _same(b: Builder, x: str) -> str:
    return x


def _select(type: str, b: Builder, x: str, y: str, condition: str) -> str:
    return choose(b, type, b.let(f"icmp ne i32 {condition}, 0"), x, y)


def choose(b: Builder, type: str, holds: str, x: str, y: str) -> str:
    """x if the i1 `holds`, else y."""
    if type != LLVM_TYPES["v"] or b.target is not Target.ARM64:
        return b.let(f"select i1 {holds}, {type} {x}, {type} {y}")
    # LLVM would compare vectors to get a mask.
    mask = splat(b, 64, b.let(f"sext i1 {holds} to i64"))
    differing = b.let(f"xor {type} {x}, {y}")
    return b.let(f"xor {type} {b.let(f'and {type} {differing}, {mask}')}, {y}")
