"""The block of each thread that runs wasm code: its limits and its value stack."""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import faults, libc, python
from wasmine.compiler.machine.layout import START_TICKER, Context, Thread
from wasmine.runtime import native_stack
from wasmine.runtime.gil import FREE_THREADED
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE_STACK: Final = 64 << 20
"""Bytes of value stack for each thread. Only what is used takes memory."""

_SMALL_VALUE_STACK: Final = 4 << 20
"""The same where address space is short."""

VALUES_SLACK: Final = 1 << 20
"""Bytes behind the limit of the value stack: for the operands of the last call, for results of host functions, for calls
from Python there, and for functions that call nothing and have small frames, which do not check it."""

STACK_RESERVE: Final = 1 << 20
"""Bytes of native stack that wasm code leaves for Python: the C functions of a host call must fit."""

_MANY: Final = 16
"""With so many blocks, those of threads that ended are looked for before there is another."""

NATIVE_STACK: Final = 64 << 20
"""The most of a thread's native stack that wasm code uses, where the stack is larger or unlimited."""


class ThreadBlock:
    """One block, used by one thread at a time and re-used when its thread is gone. Never unmapped: see `layout`.

    `values` is the address of the value stack, `view` its bytes and `words` the same as numbers. `top.value` is the address
    where the next call from Python may begin, which must not be higher than `limit`. `thread` is the identifier of its
    thread, 0 for none, `watched` says that it is the main thread, and `signals`, `stop`, `inside` and `task` are the fields
    of the block.
    """

    __slots__ = (
        "address",
        "inside",
        "limit",
        "signals",
        "stop",
        "task",
        "thread",
        "top",
        "values",
        "view",
        "watched",
        "words",
    )

    def __init__(self) -> None:
        self.address = libc.map_memory(Thread.SIZE, libc.PROT_READ | libc.PROT_WRITE)
        size = VALUE_STACK
        try:
            self.values = libc.map_memory(size, libc.PROT_READ | libc.PROT_WRITE)
        except OSError:
            size = _SMALL_VALUE_STACK
            self.values = libc.map_memory(size, libc.PROT_READ | libc.PROT_WRITE)
        self.limit = self.values + size - VALUES_SLACK
        self.view = python.host().view(self.values, size, None)
        self.words = self.view.cast("Q")
        self.thread = 0
        self.watched = False
        self.top = ctypes.c_uint64.from_address(self.address + Thread.TOP)
        self.signals = ctypes.c_uint32.from_address(self.address + Thread.SIGNALS)
        self.task = ctypes.c_uint32.from_address(self.address + Thread.TASK)
        self.stop = ctypes.c_uint32.from_address(self.address + Thread.STOP)
        self.inside = ctypes.c_uint32.from_address(self.address + Thread.INSIDE)

    def attach(self) -> None:
        """Make the block the calling thread's."""
        low, size = native_stack.bounds()
        usable = min(python.host().stack(size), NATIVE_STACK)
        reserve = min(STACK_RESERVE, usable // 2)
        self._set(Thread.ACTIVATION, 0)
        self._set(Thread.OWNED, 0)
        self._set(Thread.STATE, 0)
        self._set(Thread.STACK_LIMIT, low + size - usable + reserve)
        self._set(Thread.VALUES_LIMIT, self.limit)
        self.top.value = self.values
        self.inside.value = self.stop.value = 0
        self.signals.value = START_TICKER
        self.thread = threading.get_ident()
        self.task.value = threading.get_native_id()
        self.watched = threading.current_thread() is threading.main_thread()

    def lend_limits(self, context: int) -> None:
        """Its thread has taken a VM context: that has the limits of the stacks."""
        for source, target in ((Thread.STACK_LIMIT, Context.STACK_LIMIT), (Thread.VALUES_LIMIT, Context.VALUES_LIMIT)):
            limit = ctypes.c_uint64.from_address(self.address + source).value
            ctypes.c_uint64.from_address(context + target).value = limit

    def follow(self, other: ThreadBlock | None) -> None:
        """Be the one before `other` in the list of all blocks."""
        self._set(Thread.NEXT, other.address if other is not None else 0)

    def is_busy(self) -> bool:
        """Whether its thread is in a call of wasm code."""
        return (
            self.top.value != self.values or ctypes.c_uint64.from_address(self.address + Thread.ACTIVATION).value != 0
        )

    def give_up(self) -> None:
        """The thread is gone, in the middle of whatever it did: the instances that it used are nobody's now."""
        self.thread = self.task.value = self.inside.value = 0
        context = ctypes.c_uint64.from_address(self.address + Thread.OWNED).value
        self._set(Thread.OWNED, 0)
        while context:
            following = ctypes.c_uint64.from_address(context + Context.NEXT).value
            ctypes.c_uint64.from_address(context + Context.THREAD).value = 0
            context = following

    def _set(self, offset: int, value: int) -> None:
        ctypes.c_uint64.from_address(self.address + offset).value = value


class Threads:
    """Finds the calling thread's block. Blocks of threads that ended are given to new ones."""

    def __init__(self) -> None:
        self.key = libc.new_thread_key()
        self._local = threading.local()
        self.all: list[ThreadBlock] = []
        self._free: list[ThreadBlock] = []  # appending and popping are atomic
        self.attached: Callable[[ThreadBlock], None] = lambda block: None  # called when a thread has got its block
        self.held_up = False  # calls that Python begins wait for `lock`

    def current(self) -> ThreadBlock:
        """The calling thread's block. OSError if a new one cannot be had."""
        try:
            return self._local.block  # type: ignore[no-any-return]
        except AttributeError:
            return self._attach()

    def has_block(self) -> bool:
        """Whether the calling thread has one: it has called wasm code."""
        return hasattr(self._local, "block")

    def busy(self) -> bool:
        """Whether a thread is in a call of wasm code."""
        return any(block.thread and block.is_busy() for block in self.all)

    def busy_elsewhere(self) -> bool:
        """Whether another thread than this one is."""
        here = threading.get_ident()
        return any(block.thread not in (0, here) and block.is_busy() for block in self.all)

    def several(self) -> bool:
        """Whether more than one thread has called wasm code."""
        return sum(block.thread != 0 for block in self.all) > 1

    def idle(self) -> bool:
        """Whether no thread is in a call of wasm code, nor can get into one while the caller holds `lock` and the GIL.

        Where there is none, every other thread that has a block can, at any time; one that has none waits for `lock`.
        """
        here = threading.get_ident()
        return not self.busy() and not (
            FREE_THREADED and any(block.thread and block.thread != here for block in self.all)
        )

    def _attach(self) -> ThreadBlock:
        faults.unblock()
        if not self._free and len(self.all) >= _MANY:
            python.host().collect()
        with lock:
            try:
                block = self._free.pop()
            except IndexError:
                block = ThreadBlock()
                self.all.append(block)
            block.attach()
            for other in self.all:
                if other.thread == block.thread and other is not block:
                    other.give_up()  # its thread is gone, though nobody has seen it yet, and had the same identifier
            self.attached(block)
        self._local.lease = _Lease(block, self._free, self.key)
        try:
            libc.set_thread_specific(self.key, block.address)  # machine code finds it now
            self._local.block = block
        except BaseException:  # of a signal handler: neither finds it, then, or both do
            libc.set_thread_specific(self.key, 0)
            raise
        return block


class _Lease:
    """Gives a block back when its thread's locals are destroyed."""

    def __init__(self, block: ThreadBlock, free: list[ThreadBlock], key: int) -> None:
        self._block = block
        self._free = free
        self._key = key

    def __del__(self) -> None:
        self._block.thread = self._block.task.value = 0
        # The thread itself destroys its locals, usually: what it still does must not use the block any more. Where
        # references are not counted it is any thread, perhaps one that has got the identifier of that one.
        if libc.thread_specific(self._key) == self._block.address:
            libc.set_thread_specific(self._key, 0)
        self._free.append(self._block)
