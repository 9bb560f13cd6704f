"""Numbers of Linux on x86-64, and what its calling convention says of the stack."""

from __future__ import annotations

from typing import Final

# Offsets in ucontext_t (sys/ucontext.h): uc_mcontext.gregs starts at 40.
UC_R12: Final = 72
UC_RDI: Final = 104
UC_RSP: Final = 160
UC_RIP: Final = 168

# Offsets in siginfo_t.
SI_CODE: Final = 8
SI_ADDR: Final = 16

# Of the C library's struct sigaction, the same in glibc and musl.
SA_FLAGS: Final = 136  # the offset of the flags, 4 bytes
SA_SIGINFO: Final = 4
SA_ONSTACK: Final = 0x0800_0000
SA_RESTART: Final = 0x1000_0000

# Of pthread_sigmask.
SIG_SETMASK: Final = 2
SIGSET_SIZE: Final = 128

# System call numbers (asm/unistd_64.h).
SYS_RT_SIGACTION: Final = 13
SYS_GETTID: Final = 186
SYS_TGKILL: Final = 234

RED_ZONE: Final = 128
"""Bytes below the stack pointer that signal handlers leave alone, and so does whoever interrupts code."""

DATA: Final = 8192
"""Where the data page lies behind the start of the blob."""
