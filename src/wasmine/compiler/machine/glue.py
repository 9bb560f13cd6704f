"""The hand-written sequences, loaded: calling wasm code from Python, and what a trap left behind."""

from __future__ import annotations

import ctypes
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import amd64, faults, libc
from wasmine.compiler.machine.code import CodeMemory
from wasmine.compiler.machine.layout import Thread
from wasmine.compiler.machine.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wasmine.compiler.machine.threads import ThreadBlock

HostCallback: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
"""int (context, service, frame): what Context.CALL_HOST points at. 0, or the number of a trap."""


@dataclass(frozen=True, slots=True)
class NativeTrap:
    """How a call ended that did not return.

    `trap` is the number that the code gave, or `layout.FAULT`, then `signal` and `address` say more. `pc` is the place:
    of the instruction at fault, else behind the call of `trap`. `stack` is the native stack from there,
    `stack_pointer`, outwards.
    """

    trap: int
    pc: int
    signal: int
    address: int
    stack_pointer: int
    stack: bytes


class Glue:
    """The blob in code memory, the signal handlers and the threads; one per process (`glue()`)."""

    def __init__(self, blob: bytes, symbols: Mapping[str, int]) -> None:
        self.code = CodeMemory()
        self.threads = Threads()
        self._base = self.code.reserve(amd64.DATA + amd64.Data.SIZE)
        self.code.fill(self._base, blob)
        self._data = libc.map_memory(amd64.Data.SIZE, libc.PROT_READ | libc.PROT_WRITE, at=self._base + amd64.DATA)
        self.symbols = {name: self._base + offset for name, offset in symbols.items()}
        # The blob itself is not wasm code: a fault in it is a bug of ours and must be reported as a crash.
        self._set(amd64.Data.CODE_START, self._base + amd64.DATA + amd64.Data.SIZE)
        self._set(amd64.Data.CODE_SIZE, self.code.size - amd64.DATA - amd64.Data.SIZE)
        self._set(amd64.Data.THREAD_KEY, self.threads.key)
        self._set(amd64.Data.GET_SPECIFIC, libc.function_address("pthread_getspecific"))
        self._set(amd64.Data.PROCESS, os.getpid())
        os.register_at_fork(after_in_child=lambda: self._set(amd64.Data.PROCESS, os.getpid()))
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4)
        self._enter = prototype(self.symbols["enter"])

    def _set(self, offset: int, value: int) -> None:
        ctypes.c_uint64.from_address(self._data + offset).value = value

    def install_faults(self) -> None:
        """Make faults in wasm code traps, now and after a later `faulthandler.enable`. OSError."""

        def reinstall() -> None:
            faults.install(
                self.symbols["fault"], lambda number, address: self._set(amd64.Data.PREVIOUS + 8 * number, address)
            )

        reinstall()
        faults.follow_faulthandler(reinstall)

    def enter(self, block: ThreadBlock, code: int, context: int, frame: int) -> NativeTrap | None:
        """Call wasm code with its arguments in `frame`. None, or how it trapped. The GIL is released meanwhile."""
        if not self._enter(block.address, code, context, frame):
            return None
        copied = block[Thread.STACK_COPIED]
        return NativeTrap(
            block[Thread.TRAP],
            block[Thread.TRAP_PC],
            block[Thread.TRAP_SIGNAL],
            block[Thread.TRAP_ADDRESS],
            block[Thread.TRAP_STACK],
            ctypes.string_at(block.address + Thread.STACK_COPY, copied),
        )


_glue: Glue | None = None
_lock = threading.Lock()


def load() -> Glue:
    """The process's glue, made on the first call.

    FileNotFoundError where the package was made without machine code, OSError or MemoryError where executable memory
    cannot be had.
    """
    global _glue
    with _lock:
        if _glue is None:
            stored = (Path(__file__).parent / "amd64.bin").read_bytes()
            head, _, blob = stored.partition(b"\n")
            pairs = (pair.split("=") for pair in head.decode().split())
            _glue = Glue(blob, {name: int(offset) for name, offset in pairs})
        return _glue
