"""Walking the native stack of a call into wasm: the wasm call stack of a trap, and who catches an exception.

Frames have no frame pointers. A return address says by its function how far above it the next one lies.
"""

from __future__ import annotations

import functools
import sys
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from wasmine.compiler.machine import architecture, glue
from wasmine.compiler.module import placed_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wasmine.compiler.module import Placed
    from wasmine.errors import Frame
    from wasmine.validation.location import Located


class Place(NamedTuple):
    """One frame of a wasm function: the return address, its native stack pointer and context.

    For a fault, that is the address of the byte behind the first one of the machine instruction.
    """

    pc: int
    stack: int
    context: int
    placed: Placed

    def instruction(self) -> Located | None:
        """The wasm instruction that the function is at; None if that is not known."""
        placed = self.placed
        sites = placed.code.sites
        i = bisect_right(sites, (self.pc - placed.start - 1, sys.maxsize)) - 1
        return placed.module.instruction(placed.code.index, sites[i][1]) if i >= 0 else None

    def frame(self, instance: str) -> Frame:
        """The frame as tracebacks show it. `instance` is the instance's name, or "" for that of the module."""
        placed = self.placed
        index = placed.code.index
        found = self.instruction()
        return placed.module.frame(instance, index, found.offset if found is not None else None)


@functools.cache
def _ways() -> tuple[dict[int, int], int, int]:
    """Return addresses into the blob with the sizes of the frames there, that of a switch of instances, and the end."""
    symbols, machine = glue.load().symbols, architecture.host()
    between = {symbols[name]: machine.HOST_FRAME for name in ("host_returned", "service_returned", "compile_returned")}
    other = symbols["other_return"]
    between[other] = machine.OTHER_FRAME
    return between, other, symbols["enter_returned"]


def walk(pc: int, stack: int, context: int, read: Callable[[int], int | None]) -> Iterator[Place]:
    """The frames of wasm functions, innermost first, from a place in code, and the stack pointer and VM context there.

    `read(address)` is the word of the native stack at an address, None where it is not known any more.
    """
    between, other, end = _ways()
    here: int | None = pc
    while here is not None and here != end:
        size = between.get(here)
        if size is None:
            # The byte before: a call may be the last instruction of a function.
            placed = placed_code.find(here - 1)
            if placed is None:
                return
            yield Place(here, stack, context, placed)
            size = placed.code.frame_size
        elif here == other:
            context = read(stack) or 0
        here = read(stack + size)
        stack += size + 8
