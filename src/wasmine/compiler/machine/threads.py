"""The block of each thread that runs wasm code: its limits, its value stack, and how its last call ended."""

from __future__ import annotations

import ctypes
import threading
from typing import Final

from wasmine.compiler.machine import libc
from wasmine.compiler.machine.layout import Thread

VALUE_STACK: Final = 64 << 20
"""Bytes of value stack for each thread. Only what is used takes memory."""

VALUES_SLACK: Final = 1 << 20
"""Bytes behind the limit of the value stack: for the operands of the last call, for results of host functions, and for
functions that call nothing and have small frames, which do not check it."""

STACK_RESERVE: Final = 256 << 10
"""Bytes of native stack that wasm code leaves for Python: the C functions of a host call must fit."""

NATIVE_STACK: Final = 64 << 20
"""The most of a thread's native stack that wasm code uses, where the stack is larger or unlimited."""


class ThreadBlock:
    """One block, used by one thread at a time and re-used when its thread is gone. Never unmapped: see `layout`."""

    def __init__(self) -> None:
        self.address = libc.map_memory(Thread.SIZE, libc.PROT_READ | libc.PROT_WRITE)
        self.values = libc.map_memory(VALUE_STACK, libc.PROT_READ | libc.PROT_WRITE)
        self.top = self.values  # where the frame of the next call from Python begins
        self.pending: BaseException | None = None  # what ended a call with PYTHON_EXCEPTION

    def attach(self, key: int) -> None:
        """Make the block the calling thread's."""
        low, size = libc.thread_stack()
        usable = min(size, NATIVE_STACK)
        reserve = min(STACK_RESERVE, usable // 4)
        self[Thread.ACTIVATION] = 0
        self[Thread.STACK_LIMIT] = low + size - usable + reserve
        self[Thread.VALUES] = self.values
        self[Thread.VALUES_LIMIT] = self.values + VALUE_STACK - VALUES_SLACK
        self.top = self.values
        self.pending = None
        libc.set_thread_specific(key, self.address)

    def __getitem__(self, offset: int) -> int:
        return ctypes.c_uint64.from_address(self.address + offset).value

    def __setitem__(self, offset: int, value: int) -> None:
        ctypes.c_uint64.from_address(self.address + offset).value = value


class Threads:
    """Finds the calling thread's block. Blocks of threads that ended are given to new ones."""

    def __init__(self) -> None:
        self.key = libc.new_thread_key()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._free: list[ThreadBlock] = []

    def current(self) -> ThreadBlock:
        """The calling thread's block. OSError or MemoryError if a new one cannot be had."""
        lease: _Lease | None = getattr(self._local, "lease", None)
        if lease is None:
            with self._lock:
                block = self._free.pop() if self._free else None
            block = block or ThreadBlock()
            block.attach(self.key)
            lease = _Lease(block, self)
            self._local.lease = lease
        return lease.block

    def give_back(self, block: ThreadBlock) -> None:
        """A thread ended."""
        with self._lock:
            self._free.append(block)


class _Lease:
    """Gives a block back when its thread's locals are destroyed."""

    def __init__(self, block: ThreadBlock, threads: Threads) -> None:
        self.block = block
        self._threads = threads

    def __del__(self) -> None:
        self._threads.give_back(self.block)
