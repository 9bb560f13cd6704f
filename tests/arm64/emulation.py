"""What makes the emulator bear a whole test suite: `import emulation`, or `pytest -p emulation`.

qemu-user keeps 48 MB of its own for every 8 GiB of address space that were ever reserved, even when they were given back. So
memories get address space that earlier ones had, and garbage is collected often.
"""

from __future__ import annotations

from wasmine.compiler import memory
from wasmine.compiler.machine import mapping

memory.RESERVE_64 = 1 << 33  # type: ignore[misc]
mapping._IDLE = 1 << 20  # type: ignore[misc]
mapping._RESERVATIONS = 8  # type: ignore[misc]
