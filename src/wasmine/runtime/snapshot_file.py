"""Snapshots in files.

A file is the line `wasmine snapshot 1`, the SHA-256 of all that follows, 8 bytes with the length of the header, the header
and the contents of memories. Numbers are little-endian. The header is a JSON object:

- `module`: the digest of the module, in hexadecimal
- `memories`: for each that the module defines `[length in bytes, positions]`; a position is that of a piece of 64 KiB that
  is not all zeros. These pieces, the last one of a memory maybe shorter, follow the header in this order.
- `tables`: for each the elements, and `globals`: for each the value. A function is its index, null is null, a number is its
  bits as an unsigned integer.
- `elements`, `data`: for each segment whether it was dropped
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from wasmine.errors import SnapshotError
from wasmine.format.types import F32, F64, I64, NumberType, RefType, is_function_type, matches
from wasmine.runtime.bits import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits
from wasmine.runtime.cache import digest
from wasmine.runtime.image import PIECE, Image
from wasmine.runtime.snapshot import Snapshot
from wasmine.runtime.table import MAXIMUM_ELEMENTS, Functions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmine.format.types import MemoryType, TableType, ValueType
    from wasmine.runtime.module import Module
    from wasmine.validation.context import Context

_MAGIC: Final = b"wasmine snapshot 1\n"
_CHECKSUM: Final = 32
_START: Final = len(_MAGIC) + _CHECKSUM


def save(snapshot: Snapshot, path: str | os.PathLike[str]) -> None:
    """Write a snapshot to a file, whole or not at all. SnapshotError, OSError."""
    memories = [list(image.pieces()) for image in snapshot.memories]
    context = snapshot.module.context
    tables = zip(context.tables[context.imported_tables :], snapshot.tables, strict=True)
    variables = zip(context.globals[context.imported_globals :], snapshot.globals, strict=True)
    header = {
        "module": snapshot.module.digest.hex(),
        "memories": [
            [image.length, [position for position, _ in pieces]]
            for image, pieces in zip(snapshot.memories, memories, strict=True)
        ],
        "tables": [[_written(type.element, value) for value in _contents(table)] for type, table in tables],
        "globals": [_written(type.value, value) for type, value in variables],
        "elements": snapshot.dropped_elements,
        "data": snapshot.dropped_data,
    }
    head = json.dumps(header, separators=(",", ":")).encode()
    body = [len(head).to_bytes(8, "little"), head, *(data for pieces in memories for _, data in pieces)]
    _write(os.fsdecode(path), [_MAGIC, digest(*body), *body])


def _write(path: str, parts: list[bytes]) -> None:
    unfinished = f"{path}.{os.getpid()}-{threading.get_ident()}.new"
    try:
        with open(unfinished, "wb") as file:  # noqa: PTH123
            file.writelines(parts)
        os.replace(unfinished, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)  # noqa: PTH108
        raise


def _contents(table: Functions | list[Any]) -> Any:
    return table.items if isinstance(table, Functions) else table


def _written(type: ValueType, value: Any) -> int | None:
    """An internal value, or what a snapshot has instead, as it is written."""
    if isinstance(type, NumberType):
        if type is F32:
            return f32_to_bits(value)
        return f64_to_bits(value) if type is F64 else int(value)
    if value is None:
        return None
    if is_function_type(type):
        index = value if isinstance(value, int) else getattr(value, "index_in_module", None)
        if index is None:
            raise SnapshotError(f"a reference to {value!r}, which is no function of the module, cannot be written")
        return int(index)
    raise SnapshotError(f"a reference to an object cannot be written: {value!r}")


def load(path: str | os.PathLike[str], module: Module) -> Snapshot:
    """The snapshot in a file. SnapshotError, OSError."""
    with open(path, "rb") as file:  # noqa: PTH123
        data = memoryview(file.read())
    try:
        return _Reader(data, module).snapshot()
    except SnapshotError as error:
        raise SnapshotError(f"{os.fsdecode(path)}: {error}") from None


class _Reader:
    """Reads a file. Every value is checked as if whoever wrote it wanted to break us: it becomes part of a guest."""

    def __init__(self, data: memoryview, module: Module) -> None:
        self._module = module
        self._context: Context = module.context
        if bytes(data[: len(_MAGIC)]) != _MAGIC:
            raise SnapshotError("not a snapshot, or one of another version of wasmine")
        body = data[_START:]
        if bytes(data[len(_MAGIC) : _START]) != digest(body):
            raise SnapshotError("damaged or cut off: its checksum is another one")
        size = int.from_bytes(body[:8], "little")
        _require(len(body) >= 8 and size <= len(body) - 8, "its header is longer than the file")
        self._pieces = body[8 + size :]
        try:
            header = json.loads(bytes(body[8 : 8 + size]))
        except (ValueError, RecursionError):
            raise SnapshotError("its header is not JSON") from None
        _require(isinstance(header, dict), "its header is not an object")
        self._header: dict[str, Any] = header

    def snapshot(self) -> Snapshot:
        """What is in the file."""
        module, context = self._module, self._context
        if self._header.get("module") != module.digest.hex():
            raise SnapshotError(f"a snapshot of another module than {module.name or 'this one'}")
        memories = self._list("memories", len(context.memories) - context.imported_memories)
        tables = self._list("tables", len(context.tables) - context.imported_tables)
        variables = self._list("globals", len(context.globals) - context.imported_globals)
        found = Snapshot(
            module,
            [
                self._memory(type, value)
                for type, value in zip(context.memories[context.imported_memories :], memories, strict=True)
            ],
            [
                self._table(type, value)
                for type, value in zip(context.tables[context.imported_tables :], tables, strict=True)
            ],
            [
                self._value(type.value, value)
                for type, value in zip(context.globals[context.imported_globals :], variables, strict=True)
            ],
            self._flags("elements", len(module.syntax.elements)),
            self._flags("data", len(module.syntax.data)),
        )
        _require(not self._pieces, "there is more in it than its header says")
        return found

    def _list(self, name: str, length: int) -> list[Any]:
        found = self._header.get(name)
        _require(isinstance(found, list) and len(found) == length, f"{name}: expected {length}, found {_short(found)}")
        return found  # type: ignore[return-value]

    def _flags(self, name: str, length: int) -> list[bool]:
        found = self._list(name, length)
        _require(all(isinstance(flag, bool) for flag in found), f"{name}: expected true or false")
        return found

    def _memory(self, type: MemoryType, value: Any) -> Image:
        _require(isinstance(value, list) and len(value) == 2, f"a memory is {_short(value)}")
        length, positions = value
        log2 = type.page_size_log2
        most = (1 << (48 if type.address is I64 else 32)) >> log2
        if type.limits.maximum is not None:
            most = min(most, type.limits.maximum)
        fits = _is_index(length) and not length % (1 << log2) and type.limits.minimum <= length >> log2 <= most
        _require(fits and not type.shared, f"a memory of {_short(length)} bytes does not fit {type}")
        _require(isinstance(positions, list), f"the pieces of a memory are {_short(positions)}")
        return Image(length, self._contents(length, positions))

    def _contents(self, length: int, positions: list[Any]) -> Iterator[tuple[int, bytes]]:
        least = 0
        for position in positions:
            fits = _is_index(position) and least <= position < length and not position % PIECE
            _require(fits, f"a piece of a memory at {_short(position)}")
            least = position + PIECE
            size = min(PIECE, length - position)
            _require(len(self._pieces) >= size, "the contents of a memory are cut off")
            yield position, bytes(self._pieces[:size])
            self._pieces = self._pieces[size:]

    def _table(self, type: TableType, value: Any) -> Functions | list[Any]:
        most = type.limits.maximum if type.limits.maximum is not None else MAXIMUM_ELEMENTS
        fits = isinstance(value, list) and type.limits.minimum <= len(value) <= min(most, MAXIMUM_ELEMENTS)
        _require(fits, f"a table does not fit {type}")
        if is_function_type(type.element):
            for item in value:
                self._check_reference(type.element, item)
            return Functions(value)
        return [self._value(type.element, item) for item in value]

    def _value(self, type: ValueType, value: Any) -> Any:
        """What a snapshot has for a value as it is written."""
        if isinstance(type, NumberType):
            _require(_is_index(value) and value < 1 << (8 * type.size), f"a value of type {type} is {_short(value)}")
            if type is F32:
                return f32_from_bits(value)
            return f64_from_bits(value) if type is F64 else value
        self._check_reference(type, value)
        return Snapshot.own_function(value) if value is not None else None

    def _check_reference(self, type: RefType, value: Any) -> None:
        if value is None:
            _require(type.nullable, f"a value of type {type} is null")
            return
        functions = self._context.functions
        fits = is_function_type(type) and _is_index(value) and value < len(functions)
        _require(fits and matches(functions[value].ref, type), f"a value of type {type} is {_short(value)}")


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _short(value: Any) -> str:
    text = f"{len(value)} values" if isinstance(value, list) else repr(value)
    return text if len(text) < 40 else text[:40] + "..."


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise SnapshotError(f"not a valid snapshot: {problem}")
