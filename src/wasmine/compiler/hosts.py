"""`Hosts`: the host functions of the process: their numbers, by which machine code calls them, and their records."""

from __future__ import annotations

import ctypes
import functools
import itertools
from typing import TYPE_CHECKING, Final

from wasmine.compiler.code import FIRST_HOST
from wasmine.compiler.machine import architecture, glue, libc
from wasmine.compiler.machine.layout import Record
from wasmine.compiler.machine.lock import lock
from wasmine.compiler.registry import Registry

if TYPE_CHECKING:
    from wasmine.compiler.function import NativeHostFunction

_RECORD: Final = Record.SIZE + 8
"""A host function's record, and behind it its number."""

_CHUNK: Final = 64 << 10


class Hosts(Registry["NativeHostFunction"]):
    """All host functions, by number. A number and its record serve another function when theirs is gone."""

    def __init__(self) -> None:
        super().__init__()
        self._next = itertools.count(FIRST_HOST)
        self._records: dict[int, int] = {}  # every record there is, by number
        self._room: list[int] = []
        self._free: list[int] = []

    def take(self) -> tuple[int, object]:
        """A number for a function, and what holds it until it is deallocated. MemoryError."""
        try:
            number = self._free.pop()
        except IndexError:
            number = self._make()
        return number, _leases.new(number)

    def _make(self) -> int:
        with lock:
            number = next(self._next)
            if not self._room:
                start = libc.map_memory(_CHUNK, libc.PROT_READ | libc.PROT_WRITE)
                self._room.extend(range(start, start + _CHUNK - _RECORD + 1, _RECORD))
            record = self._records[number] = self._room.pop()
            fields = (ctypes.c_uint64 * 5).from_address(record)
            fields[Record.CODE // 8] = stubs().stub(number)
            fields[4] = number
            return number

    def record(self, number: int) -> int:
        """The address of the record that belongs to a number."""
        return self._records[number]

    def at(self, record: int) -> NativeHostFunction:
        """The function whose record lies at an address."""
        return self[ctypes.c_uint64.from_address(record + Record.SIZE).value]

    def release(self, number: int) -> None:
        """Nobody can reach a function any more."""
        self.discard(number)
        self._free.append(number)


hosts: Final = Hosts()

_leases: Final = libc.Leases(hosts.release)


class Stubs:
    """Makes the code of host functions, a page of stubs at a time."""

    def __init__(self) -> None:
        self._glue = glue.load()
        self._machine = architecture.host()
        self._per_page = 4096 // self._machine.STUB_SIZE
        self._pages: dict[int, int] = {}

    def stub(self, number: int) -> int:
        """The address of the stub for a host function."""
        page, position = divmod(number, self._per_page)
        with lock:
            start = self._pages.get(page)
            if start is None:
                start = self._pages[page] = self._make(page * self._per_page)
        return start + position * self._machine.STUB_SIZE

    def _make(self, first: int) -> int:
        start = self._glue.code.reserve(4096)
        target = self._glue.symbols["host_function"]
        size = self._machine.STUB_SIZE
        self._glue.code.fill(
            start, b"".join(self._machine.stub(target, first + i, start + i * size) for i in range(self._per_page))
        )
        return start


@functools.cache
def stubs() -> Stubs:
    """The stubs of this process."""
    return Stubs()
