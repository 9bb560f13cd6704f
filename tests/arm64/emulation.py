"""What makes the emulator bear a whole test suite: `import emulation`, or `pytest -p emulation`.

qemu-user keeps 48 MB of its own for every 8 GiB of address space that were ever reserved, even when they were given back. So
memories get address space that earlier ones had.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

from wasmine.compiler import memory
from wasmine.compiler.machine import libc, mapping

_PATIENCE: Final = 8
"""So many reservations are made before garbage is collected, in which there may be some."""

_free: Final[dict[int, list[int]]] = {}
_made: Final[dict[int, int]] = {}


class Reused(mapping.Mapping):
    """A mapping at an address that may have served before."""

    __slots__ = ()

    def __init__(self, size: int) -> None:
        free = _free.setdefault(size, [])
        _made[size] = _made.get(size, 0) + 1
        if not free and not _made[size] % _PATIENCE:
            gc.collect()
        base = free.pop() if free else libc.map_memory(size, libc.PROT_NONE)

        def give_back() -> None:
            libc.map_memory(size, libc.PROT_NONE, at=base)
            free.append(base)

        self._pages = libc.when_deallocated(give_back)  # type: ignore[assignment]
        self.base = base
        self.size = size

    def view(self) -> memoryview:
        """All bytes."""
        array = mapping._Bytes.from_address(self.base)
        array.owner = self._pages
        return memoryview(array).cast("B")


memory.Mapping = Reused  # type: ignore[misc]
assert ctypes.sizeof(ctypes.c_void_p) == 8
