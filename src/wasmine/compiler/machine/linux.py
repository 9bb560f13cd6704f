"""Numbers of Linux with 64 bits that are the same on every architecture we know."""

from __future__ import annotations

from typing import Final

# Offsets in siginfo_t.
SI_CODE: Final = 8
SI_ADDR: Final = 16

SS_AUTODISARM: Final = 1 << 31
"""The flag of an alternate stack that the kernel takes away while a handler runs."""

# Of the C library's struct sigaction, the same in glibc and musl.
SA_MASK: Final = 8  # the offset of the set of signals that wait until the handler is through
SA_FLAGS: Final = 136  # that of the flags, 4 bytes
SA_SIGINFO: Final = 4
SA_ONSTACK: Final = 0x0800_0000
SA_RESTART: Final = 0x1000_0000
SA_NODEFER: Final = 0x4000_0000

# Of pthread_sigmask.
SIG_SETMASK: Final = 2
SIGSET_SIZE: Final = 128
