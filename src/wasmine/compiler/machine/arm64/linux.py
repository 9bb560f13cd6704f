"""Numbers of Linux on ARM64."""

from __future__ import annotations

from typing import Final

# Offsets in ucontext_t: uc_mcontext starts at 176 with the fault's address, then the 31 general registers.
UC_REGISTERS: Final = 184
UC_SP: Final = 432
UC_PC: Final = 440

# System call numbers (asm-generic/unistd.h).
SYS_TGKILL: Final = 131
SYS_RT_SIGACTION: Final = 134
SYS_GETTID: Final = 178
SYS_MEMBARRIER: Final = 283

# Commands of membarrier (linux/membarrier.h).
SYNCHRONIZE_CODE: Final = 32
REGISTER_SYNCHRONIZE_CODE: Final = 64

DATA: Final = 65536
"""Where the data page lies behind the start of the blob. Pages may be as large."""
