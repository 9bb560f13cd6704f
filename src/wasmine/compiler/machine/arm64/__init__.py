"""What is ARM64's alone: the hand-written sequences, the instructions of the baseline compiler (`instructions`), and what
generic code needs to know.

LLVM's assembler for ARM64 is not part of llvmlite, so sequences are functions that write words (`words`, `assembly`), in
the same modules as those of `amd64`. They lie in one position-independent blob. Behind it, at `DATA`, lies a page of data
that `glue` fills in before use (`layout.Data`).

Registers in wasm code: x20 the VM context, x21 the frame in the value stack, x22 the base of memory 0. x12 to x17 are
scratch of what is here, x8 to x10, x16, x17 and v16 to v31 the templates'; x18 is the platform's, and x29 is not touched.
x15 is where interrupted code goes on. The return address lies on top of a function's native frame.
"""

from __future__ import annotations

import pkgutil
from typing import Final

from wasmine.compiler.machine.arm64.linux import DATA as DATA
from wasmine.compiler.machine.arm64.words import add_imm, adrp, br, movk, movz

NAME: Final = "arm64"

CONTROL: Final = 0
"""FPCR as WebAssembly wants it: round to nearest, subnormal numbers and NaNs as they are, no exceptions."""

HOST_FRAME: Final = 136
OTHER_FRAME: Final = 8

STUB_SIZE: Final = 20


def stub(symbol: int, number: int, at: int) -> bytes:
    """`mov x12, number; jmp symbol`, by way of x16."""
    pages = (symbol >> 12) - (at + 8 >> 12)
    code = (
        movz(12, number & 0xFFFF),
        movk(12, number >> 16, 16),
        adrp(16, pages),
        add_imm(16, 16, symbol & 4095),
        br(16),
    )
    return b"".join(word.to_bytes(4, "little") for word in code)


_MODULES: Final = (
    "words",
    "assembly",
    "registers",
    "linux",
    "entry",
    "calls",
    "host",
    "function",
    "steps",
    "bulk",
    "faults",
    "interrupts",
    "ticker",
    "blob",
)


def source() -> str:
    """The text that the blob is made from."""
    found = [pkgutil.get_data(__name__, f"{name}.py") for name in _MODULES]
    found += [pkgutil.get_data("wasmine.compiler.machine", name) for name in ("layout.py", "linux.py")]
    return "".join(text.decode() for text in found if text is not None)


def level() -> str:
    """The name of the template library for this processor: there is one for all."""
    return "arm64"


def assemble() -> tuple[bytes, dict[str, int]]:
    """The blob and the offsets of its symbols."""
    from wasmine.compiler.machine.arm64.blob import assemble as build

    return build()
