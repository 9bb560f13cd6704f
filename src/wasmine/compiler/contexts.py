"""`Contexts`: memory for VM contexts, and whose they are."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.machine import libc, python
from wasmine.compiler.machine.layout import Context
from wasmine.compiler.registry import Registry
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from wasmine.runtime.module import Module

ALIGNMENT: Final = 64
"""What the address of a VM context is a multiple of."""

_CHUNK: Final = 256 << 10
"""Contexts are cut from pieces of so many bytes; a larger one has pages of its own."""

_LARGE: Final = 16
"""How many of a large size are kept for the next instance."""


class Contexts(Registry[Any]):
    """All VM contexts of the process, by address: the `NativeCode` of each."""

    def __init__(self) -> None:
        super().__init__()
        self.whose: dict[int, tuple[str, Module]] = {}  # the instance's name and module, for call stacks
        self._sizes: dict[int, int] = {}
        self._free: dict[int, list[int]] = {}
        self._fields: dict[int, list[tuple[dict[int, None], int]]] = {}
        self._before: dict[int, bool] | None = None  # which were slow before all are
        self._gone: list[int] = []  # nobody's any more, and for nobody yet

    def take(self, size: int) -> tuple[int, object]:
        """The address of a context, and what holds it until it is deallocated. MemoryError."""
        size = libc.round_up(size, ALIGNMENT if size <= libc.PAGE else libc.PAGE)
        if self._gone:
            with lock:
                self._settle()
        try:
            address = self._free[size].pop()
        except (KeyError, IndexError):
            address = self._make(size)
        self._sizes[address] = size
        return address, _leases.new(address)

    def _make(self, size: int) -> int:
        try:
            if size > _CHUNK:
                return libc.map_memory(size, libc.PROT_READ | libc.PROT_WRITE)
            start = libc.map_memory(_CHUNK, libc.PROT_READ | libc.PROT_WRITE)
        except OSError as error:
            raise MemoryError(str(error)) from None
        self._free.setdefault(size, []).extend(range(start + size, start + _CHUNK - size + 1, size))
        return start

    def add(self, number: int, value: Any) -> None:
        super().add(number, value)
        self.whose[number] = value.instance.name, value.instance.module

    def note(self, context: int, fields: dict[int, None], field: int) -> None:
        """An address in a context is noted in `fields`: it has to be taken out when the context is gone."""
        fields[field] = None
        self._fields.setdefault(context, []).append((fields, field))

    def set_slow(self, address: int, slow: bool) -> None:
        """Whether calls of an instance begin in Python."""
        with lock:
            if self._before is not None:
                self._before[address] = slow
            else:
                ctypes.c_uint32.from_address(address + Context.SLOW).value = slow

    def slow_down(self) -> None:
        """Have the calls of all begin in Python. The caller holds `lock` until `speed_up`."""
        self._before = before = {}
        for address in list(self._sizes):
            field = ctypes.c_uint32.from_address(address + Context.SLOW)
            before[address] = bool(field.value)
            field.value = 1

    def speed_up(self) -> None:
        """Have calls go as they went before."""
        before, self._before = self._before or {}, None
        for address, slow in before.items():
            if address in self._sizes:
                self.set_slow(address, slow)

    def release(self, address: int) -> None:
        """Nobody can reach a context any more.

        Any thread may come here, in the middle of anything, so it does not wait for `lock`. But who has that may be
        writing to the context: then the next one to take a context gives this one to others.
        """
        self.discard(address)
        self.whose.pop(address, None)
        self._gone.append(address)
        if lock.acquire(blocking=False):
            try:
                self._settle()
            finally:
                lock.release()

    def _settle(self) -> None:
        """Make room for others of the contexts that are gone. The caller holds `lock`."""
        with suppress(IndexError):
            while True:
                address = self._gone.pop()
                for fields, field in self._fields.pop(address, ()):
                    fields.pop(field, None)
                size = self._sizes.pop(address)
                free = self._free.setdefault(size, [])
                if size > _CHUNK and len(free) >= _LARGE:
                    libc.unmap(address, size)
                else:
                    free.append(address)


contexts: Final = Contexts()

_leases: Final = python.host().leases(contexts.release)
