"""The hand-written sequences, loaded: calling wasm code from Python, and what a trap left behind."""

from __future__ import annotations

import ctypes
import os
from struct import Struct
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import architecture, blob, faults, layout, libc, python
from wasmine.compiler.machine.code import CodeMemory
from wasmine.compiler.machine.interrupts import Interrupts
from wasmine.compiler.machine.layout import Call, Data
from wasmine.compiler.machine.threads import Threads
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from collections.abc import Mapping


native_trap: Final = Struct(f"<{Call.TRAP}x7Q").unpack_from
"""How a call ended that did not return and begins at an offset of a thread's `ThreadBlock.view`: the fields of
`layout.Call` from TRAP to STACK_COPIED. They are there until the next call, like the copy of the native stack.

A tuple, for this is done at every trap.
"""


class Glue:
    """The blob in code memory, the signal handlers and the threads; one per process (`load`).

    `enter(word(frame))` calls wasm code as `layout.Call` says: 0, or 1 after a trap. Or it raises what Python code raised
    that the wasm code had called. `seize(context, owner)` takes a VM context for `owner` if it is nobody's, which is
    the result then; otherwise whose it is. `registers(words)` writes the registers that C functions preserve to an address,
    `reachable.SAVED_REGISTERS` words at most, and gives the stack pointer.
    """

    def __init__(self, code: bytes, symbols: Mapping[str, int]) -> None:
        here = architecture.host()
        self.code = CodeMemory()
        self.threads = Threads()
        self._base = self.code.reserve(here.DATA + Data.SIZE)
        self._data = libc.map_memory(Data.SIZE, libc.PROT_READ | libc.PROT_WRITE, at=self._base + here.DATA)
        self.code.fill(self._base, code)
        if "flush" in symbols:
            flush = ctypes.CFUNCTYPE(None, ctypes.c_size_t, ctypes.c_size_t)(self._base + symbols["flush"])
            flush(self._base, self._base + len(code))
            self.code.flush = flush
        self.symbols = {name: self._base + offset for name, offset in symbols.items()}
        self._fault = self.symbols["fault"]
        # The blob itself is not wasm code: a fault in it is a bug of ours and must be reported as a crash.
        self.set(Data.CODE_START, self._base + here.DATA + Data.SIZE)
        self.set(Data.CODE_SIZE, self.code.size - here.DATA - Data.SIZE)
        self.set(Data.THREAD_KEY, self.threads.key)
        self.set(Data.CONTROL, here.CONTROL)
        for offset, name in layout.C_FUNCTIONS.items():
            self.set(offset, libc.function_address(name))
        running = python.host()
        running.fill(self.set)
        self.set(Data.PROCESS, os.getpid())
        ctypes.CFUNCTYPE(None)(self.symbols["measure_processor"])()
        self.interrupts = Interrupts(self.symbols, self.set)
        self.threads.attached = self.interrupts.attached
        os.register_at_fork(after_in_child=self._forked)
        self.enter = running.entry(self.symbols["enter"])
        self.word = running.word
        self.seize = running.function(self.symbols["seize"], 2)
        self.registers = running.function(self.symbols["registers"], 1)

    def set(self, offset: int, value: int) -> None:
        """Set a field of the data page."""
        ctypes.c_uint64.from_address(self._data + offset).value = value

    def set_object(self, offset: int, value: object) -> None:
        """Set a field of the data page to the address of an object, which lives on until the process ends."""
        self.set(offset, python.host().reference(value))

    def _forked(self) -> None:
        self.set(Data.PROCESS, os.getpid())
        self.interrupts.forked()

    def install_faults(self) -> None:
        """Make faults in wasm code traps, now and after others have changed what happens then. OSError."""
        if not faults.installed(self._fault):
            self._reinstall()
            faults.follow_others(self._reinstall, self.threads.has_block)

    def _reinstall(self) -> None:
        if not faults.installed(self._fault):
            faults.install(self._fault, lambda number, address: self.set(Data.PREVIOUS + 8 * number, address))


_glue: Glue | None = None


def load() -> Glue:
    """The process's glue, made on the first call.

    FileNotFoundError where the package was made without machine code, OSError or MemoryError where executable memory
    cannot be had.
    """
    global _glue
    with lock:
        if _glue is None:
            _glue = Glue(*blob.load())
        return _glue
