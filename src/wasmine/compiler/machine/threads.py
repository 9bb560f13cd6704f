"""The block of each thread that runs wasm code: its limits and its value stack."""

from __future__ import annotations

import ctypes
import threading
from typing import Final

from wasmine.compiler.machine import libc
from wasmine.compiler.machine.layout import Thread

VALUE_STACK: Final = 64 << 20
"""Bytes of value stack for each thread. Only what is used takes memory."""

_SMALL_VALUE_STACK: Final = 4 << 20
"""The same where address space is short."""

VALUES_SLACK: Final = 1 << 20
"""Bytes behind the limit of the value stack: for the operands of the last call, for results of host functions, for calls
from Python there, and for functions that call nothing and have small frames, which do not check it."""

STACK_RESERVE: Final = 1 << 20
"""Bytes of native stack that wasm code leaves for Python: the C functions of a host call must fit."""

NATIVE_STACK: Final = 64 << 20
"""The most of a thread's native stack that wasm code uses, where the stack is larger or unlimited."""


class ThreadBlock:
    """One block, used by one thread at a time and re-used when its thread is gone. Never unmapped: see `layout`.

    `values` is the address of the value stack and `view` its bytes. `top.value` is the address where the next call from
    Python may begin, which must not be higher than `limit`.
    """

    __slots__ = ("address", "limit", "top", "values", "view")

    def __init__(self) -> None:
        self.address = libc.map_memory(Thread.SIZE, libc.PROT_READ | libc.PROT_WRITE)
        size = VALUE_STACK
        try:
            self.values = libc.map_memory(size, libc.PROT_READ | libc.PROT_WRITE)
        except OSError:
            size = _SMALL_VALUE_STACK
            self.values = libc.map_memory(size, libc.PROT_READ | libc.PROT_WRITE)
        self.limit = self.values + size - VALUES_SLACK
        self.view = memoryview((ctypes.c_ubyte * size).from_address(self.values)).cast("B")
        self.top = ctypes.c_uint64.from_address(self.address + Thread.TOP)

    def attach(self, key: int) -> None:
        """Make the block the calling thread's."""
        low, size = libc.thread_stack()
        usable = min(size, NATIVE_STACK)
        reserve = min(STACK_RESERVE, usable // 4)
        self._set(Thread.ACTIVATION, 0)
        self._set(Thread.OWNED, 0)
        self._set(Thread.STACK_LIMIT, low + size - usable + reserve)
        self._set(Thread.VALUES_LIMIT, self.limit)
        self.top.value = self.values
        libc.set_thread_specific(key, self.address)

    def _set(self, offset: int, value: int) -> None:
        ctypes.c_uint64.from_address(self.address + offset).value = value


class Threads:
    """Finds the calling thread's block. Blocks of threads that ended are given to new ones."""

    def __init__(self) -> None:
        self.key = libc.new_thread_key()
        self._local = threading.local()
        self._free: list[ThreadBlock] = []  # appending and popping are atomic

    def current(self) -> ThreadBlock:
        """The calling thread's block. OSError if a new one cannot be had."""
        try:
            return self._local.block  # type: ignore[no-any-return]
        except AttributeError:
            return self._attach()

    def _attach(self) -> ThreadBlock:
        try:
            block = self._free.pop()
        except IndexError:
            block = ThreadBlock()
        block.attach(self.key)
        self._local.lease = _Lease(block, self._free, self.key)
        self._local.block = block
        return block


class _Lease:
    """Gives a block back when its thread's locals are destroyed."""

    def __init__(self, block: ThreadBlock, free: list[ThreadBlock], key: int) -> None:
        self._block = block
        self._free = free
        self._key = key
        self._thread = threading.get_ident()

    def __del__(self) -> None:
        # The thread itself destroys its locals, usually: what it still does must not use the block any more.
        if threading.get_ident() == self._thread:
            libc.set_thread_specific(self._key, 0)
        self._free.append(self._block)
