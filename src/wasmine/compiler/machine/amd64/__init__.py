"""What is x86-64's alone: the hand-written sequences as assembly text, the instructions of the baseline compiler
(`instructions`), and what generic code needs to know.

What `source` returns is assembled when the package is built (`machine.assemble`), as one position-independent blob with the
offsets of its global symbols (`blob.SYMBOLS`). Behind the blob, at `DATA`, lies a page of data that `glue` fills in before
use (`layout.Data`).

Registers in wasm code: r12 the VM context, r13 the frame in the value stack, r14 the base of memory 0. Everything else is
the compiler's; rax, rcx and rdx are scratch everywhere.
"""

from __future__ import annotations

from typing import Final

from wasmine.compiler.machine.amd64.bulk import BULK
from wasmine.compiler.machine.amd64.calls import CALLS, HOST_FRAME, OTHER_FRAME
from wasmine.compiler.machine.amd64.entry import ENTRY
from wasmine.compiler.machine.amd64.faults import FAULTS
from wasmine.compiler.machine.amd64.function import FUNCTION
from wasmine.compiler.machine.amd64.host import HOST
from wasmine.compiler.machine.amd64.interrupts import INTERRUPTS
from wasmine.compiler.machine.amd64.linux import DATA
from wasmine.compiler.machine.amd64.processor import level
from wasmine.compiler.machine.amd64.steps import STEPS
from wasmine.compiler.machine.amd64.ticker import TICKER

NAME: Final = "amd64"

CONTROL: Final = 0x1F80
"""MXCSR as WebAssembly wants it: round to nearest, subnormal numbers as they are, no exceptions."""


def stub(symbol: int, number: int, at: int) -> bytes:
    """`mov eax, number; jmp symbol`, to lie at an address near the symbol's."""
    distance = symbol - (at + STUB_SIZE)
    return b"\xb8" + number.to_bytes(4, "little") + b"\xe9" + distance.to_bytes(4, "little", signed=True)


STUB_SIZE: Final = 10


def source() -> str:
    """The assembly text of the blob."""
    return f"""
.intel_syntax noprefix
.text
blob_start:
  .quad 0

{ENTRY}{CALLS}{HOST}{FUNCTION}{STEPS}{BULK}
{FAULTS}
{INTERRUPTS}
{TICKER}
.globl blob_end
blob_end:
"""


def assemble() -> tuple[bytes, dict[str, int]]:
    """The blob and the offsets of its symbols. It takes llvmlite."""
    from wasmine.compiler.machine.amd64 import assembler
    from wasmine.compiler.machine.blob import SYMBOLS

    return assembler.assemble(source(), SYMBOLS)


__all__ = ["CONTROL", "DATA", "HOST_FRAME", "NAME", "OTHER_FRAME", "STUB_SIZE", "assemble", "level", "source", "stub"]
