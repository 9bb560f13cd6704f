"""`Hosts`: the host functions of the process by number, and their records, by which machine code calls them."""

from __future__ import annotations

import ctypes
import itertools
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import libc, python
from wasmine.compiler.machine.layout import Record
from wasmine.compiler.registry import Registry
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from wasmine.compiler.function import NativeHostFunction

_CHUNK: Final = 64 << 10


class Hosts(Registry["NativeHostFunction"]):
    """All host functions, by number. A number and its record serve another function when theirs is gone."""

    def __init__(self) -> None:
        super().__init__()
        self._next = itertools.count(1)
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
                self._room.extend(range(start, start + _CHUNK - Record.HOST_SIZE + 1, Record.HOST_SIZE))
            record = self._records[number] = self._room.pop()
            ctypes.c_uint64.from_address(record + Record.NUMBER).value = number
            return number

    def record(self, number: int) -> int:
        """The address of the record that belongs to a number."""
        return self._records[number]

    def at(self, record: int) -> NativeHostFunction:
        """The function whose record lies at an address."""
        return self[ctypes.c_uint64.from_address(record + Record.NUMBER).value]

    def release(self, number: int) -> None:
        """Nobody can reach a function any more."""
        self.discard(number)
        self._free.append(number)


hosts: Final = Hosts()

_leases: Final = python.host().leases(hosts.release)
