"""Numbers of Linux on x86-64, and what its calling convention says of the stack."""

from __future__ import annotations

from typing import Final

# Offsets in ucontext_t (sys/ucontext.h): uc_mcontext.gregs starts at 40.
UC_STACK_FLAGS: Final = 24  # of the thread's alternate stack
UC_R12: Final = 72
UC_RDI: Final = 104
UC_RSP: Final = 160
UC_RIP: Final = 168
UC_VECTORS: Final = 224  # uc_mcontext.fpregs: the address of what XSAVE saved

# System call numbers (asm/unistd_64.h).
SYS_RT_SIGACTION: Final = 13
SYS_GETTID: Final = 186
SYS_TGKILL: Final = 234

RED_ZONE: Final = 128
"""Bytes below the stack pointer that signal handlers leave alone, and so does whoever interrupts code."""

DATA: Final = 8192
"""Where the data page lies behind the start of the blob."""
