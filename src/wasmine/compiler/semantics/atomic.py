"""Atomic accesses, all sequentially consistent. Waiting and notifying are runtime functions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wasmine.compiler.semantics.builder import Builder, Meaning, internal, meaning

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTHS = {"i32": (32, 8, 16), "i64": (64, 8, 16, 32)}
_READ_MODIFY_WRITE = ("add", "sub", "and", "or", "xor", "xchg")


def meanings() -> Iterator[tuple[str, Meaning]]:
    """The family's meanings: the fence, loads, stores, read-modify-writes."""
    yield internal("atomic.fence", "->", _fence)
    for type, width, part in _accesses():
        yield meaning(f"{type}.atomic.load{part}{'_u' if part else ''}", partial(_load, type, width), size=width // 8)
    for type, width, part in _accesses():
        yield meaning(f"{type}.atomic.store{part}", partial(_store, type, width), size=width // 8)
    for operation in _READ_MODIFY_WRITE:
        for type, width, part in _accesses():
            name = f"{type}.atomic.rmw{part}.{operation}{'_u' if part else ''}"
            yield meaning(name, partial(_modify, operation, type, width), size=width // 8)
    for type, width, part in _accesses():
        name = f"{type}.atomic.rmw{part}.cmpxchg{'_u' if part else ''}"
        yield meaning(name, partial(_compare_exchange, type, width), size=width // 8)


def _accesses() -> Iterator[tuple[str, int, str]]:
    """Type, width of the access, and the width as the name has it."""
    for type, widths in _WIDTHS.items():
        for width in widths:
            yield type, width, "" if width == int(type[1:]) else str(width)


def _narrow(b: Builder, type: str, width: int, value: str) -> str:
    return value if type == f"i{width}" else b.let(f"trunc {type} {value} to i{width}")


def _widen(b: Builder, type: str, width: int, value: str) -> str:
    return value if type == f"i{width}" else b.let(f"zext i{width} {value} to {type}")


def _fence(b: Builder) -> None:
    b.do("fence seq_cst")


def _load(type: str, width: int, b: Builder, index: str | None) -> str:
    size = width // 8
    pointer = b.address(index, size, aligned=True)
    value = b.let(f"load atomic volatile i{width}, ptr {pointer} seq_cst, align {size}")
    return _widen(b, type, width, value)


def _store(type: str, width: int, b: Builder, index: str | None, value: str) -> None:
    size = width // 8
    pointer = b.address(index, size, aligned=True)
    narrow = _narrow(b, type, width, value)
    b.do(f"store atomic volatile i{width} {narrow}, ptr {pointer} seq_cst, align {size}")


def _modify(operation: str, type: str, width: int, b: Builder, index: str | None, value: str) -> str:
    size = width // 8
    pointer = b.address(index, size, aligned=True)
    narrow = _narrow(b, type, width, value)
    old = b.let(f"atomicrmw volatile {operation} ptr {pointer}, i{width} {narrow} seq_cst, align {size}")
    return _widen(b, type, width, old)


def _compare_exchange(type: str, width: int, b: Builder, index: str | None, expected: str, replacement: str) -> str:
    """Both operands are wrapped to the width of the access."""
    size = width // 8
    pointer = b.address(index, size, aligned=True)
    wrapped, narrow = _narrow(b, type, width, expected), _narrow(b, type, width, replacement)
    pair = b.let(f"cmpxchg volatile ptr {pointer}, i{width} {wrapped}, i{width} {narrow} seq_cst seq_cst, align {size}")
    return _widen(b, type, width, b.let(f"extractvalue {{ i{width}, i1 }} {pair}, 0"))
