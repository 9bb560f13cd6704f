"""Which references machine code may still have.

A word that looks like a reference is taken for one, wherever machine code could keep one: in the value stacks, in the
native stack and the registers of the calling thread, in tables and globals.
"""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Final, Protocol

from wasmine.compiler.machine.layout import TOP_SLACK
from wasmine.runtime import native_stack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from wasmine.compiler.machine.glue import Glue

SAVED_REGISTERS: Final = 16
"""Room for the registers that `Glue.registers` writes, in words: more than any architecture has."""


class Holder(Protocol):
    """A table or a global."""

    def words(self) -> Collection[int]:
        """What it has, in native form."""


def reachable(wanted: set[int], glue: Glue, holders: Iterable[Holder]) -> tuple[set[int], int]:
    """Those of some references that may be in use, and how many words were looked at.

    No other thread is in a call of wasm code meanwhile: its registers could not be seen.
    """
    here = threading.get_ident()
    blocks = [block for block in glue.threads.all if block.thread]
    found: set[int] = set()
    count = 0
    # Operands lie behind the last frame, too.
    slack = TOP_SLACK + glue.interrupts.largest_frame
    sources: list[Collection[int]] = [block.words[: block.top.value - block.values + slack >> 3] for block in blocks]
    if any(block.thread == here and block.is_busy() for block in blocks):
        registers = (ctypes.c_uint64 * SAVED_REGISTERS)()
        at = glue.registers(ctypes.addressof(registers))
        low, size = native_stack.bounds()
        sources += [registers[:], memoryview(ctypes.string_at(at, low + size - at)).cast("Q")]
    for source in (*sources, *(holder.words() for holder in holders)):
        found.update(wanted.intersection(source))
        count += len(source)
    return found, count
