"""SQLite as a host drives it: an Emscripten library whose memory is imported, with no files and no clock."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

import wasmine
from wasmine.format.types import FuncType

ROW, DONE = 100, 101
READ_WRITE_CREATE: Final = 2 | 4
NO_SUCH_FILE: Final = -44  # what Emscripten's system calls answer
BAD_DESCRIPTOR: Final = 8  # and WASI's


class SQLiteError(Exception):
    """What `sqlite3_errmsg` says."""


def _imports(module: wasmine.Module, memory: wasmine.Memory) -> dict[str, dict[str, Any]]:
    """The memory, and functions that refuse: a database in memory asks for none of what they would do."""
    found: dict[str, dict[str, Any]] = {}
    for entry in module.imports:
        given: Any = memory
        if isinstance(entry.type, FuncType):
            answer = NO_SUCH_FILE if entry.name.startswith("__syscall") else BAD_DESCRIPTOR
            given = _answering(answer if entry.type.results else None)
        found.setdefault(entry.module, {})[entry.name] = given
    return found


def _answering(answer: int | None) -> Callable[..., int | None]:
    def call(*arguments: Any) -> int | None:
        return answer

    return call


class Database:
    """A database in memory. `execute` gives the rows as tuples of text, None for NULL."""

    def __init__(self, runtime: wasmine.Runtime, module: wasmine.Module) -> None:
        self._memory = runtime.memory(256, 32768)
        self._sqlite = runtime.instantiate(module, _imports(module, self._memory)).exports
        self._sqlite["__wasm_call_ctors"]()
        self._cell = self._sqlite.sqlite3_malloc(4)
        name = self._text(":memory:")
        assert self._sqlite.sqlite3_open_v2(name, self._cell, READ_WRITE_CREATE, 0) == 0
        self._database = self._pointer()

    def _text(self, text: str) -> int:
        data = text.encode() + b"\0"
        address: int = self._sqlite.sqlite3_malloc(len(data))
        self._memory.write(address, data)
        return address

    def _pointer(self) -> int:
        found: int = struct.unpack("<I", self._memory.read(self._cell, 4))[0]
        return found

    def _check(self, status: int, *fine: int) -> int:
        if status not in fine:
            raise SQLiteError(self._memory.read_c_string(self._sqlite.sqlite3_errmsg(self._database)))
        return status

    def execute(self, statement: str) -> list[tuple[str | None, ...]]:
        """Run one statement. SQLiteError."""
        sqlite = self._sqlite
        text = self._text(statement)
        self._check(sqlite.sqlite3_prepare_v2(self._database, text, -1, self._cell, 0), 0)
        prepared = self._pointer()
        rows = []
        try:
            while self._check(sqlite.sqlite3_step(prepared), ROW, DONE) == ROW:
                rows.append(tuple(self._column(prepared, i) for i in range(sqlite.sqlite3_column_count(prepared))))
        finally:
            sqlite.sqlite3_finalize(prepared)
            sqlite.sqlite3_free(text)
        return rows

    def _column(self, prepared: int, number: int) -> str | None:
        address = self._sqlite.sqlite3_column_text(prepared, number)
        return self._memory.read_c_string(address) if address else None
