"""Walking the native stack of a call into wasm: the wasm call stack of a trap, and who catches an exception.

Frames have no frame pointers. A return address says by its function how far above it the next one lies.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from wasmine.compiler.machine import architecture
from wasmine.compiler.module import placed_code
from wasmine.errors import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from wasmine.compiler.module import Placed


class Place(NamedTuple):
    """One frame of a wasm function: the return address (or the place of a trap), its native stack pointer and context."""

    pc: int
    stack: int
    context: int
    placed: Placed


def walk(
    pc: int, stack: int, context: int, read: Callable[[int], int | None], symbols: Mapping[str, int]
) -> Iterator[Place]:
    """The frames of wasm functions, innermost first, from a place in code, and the stack pointer and VM context there.

    `read(address)` is the word of the native stack at an address, None where it is not known any more.
    """
    other = symbols["other_return"]
    machine = architecture.host()
    between = {symbols[name]: machine.HOST_FRAME for name in ("host_returned", "service_returned", "compile_returned")}
    between[other] = machine.OTHER_FRAME
    here: int | None = pc
    while here is not None and here != symbols["enter_returned"]:
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


def frame_of(place: Place, instance: str, *, exact: bool) -> Frame:
    """The frame as tracebacks show it. `exact`: the place is an instruction, not what follows a call."""
    placed = place.placed
    offset = place.pc - placed.start - (0 if exact else 1)
    sites = placed.code.sites
    i = bisect_right(sites, offset, key=lambda site: site[0]) - 1
    index = placed.code.index
    where = placed.module.instruction(index, sites[i][1]).offset if i >= 0 else None
    return Frame(instance or placed.module.module_name, placed.module.function_name(index), index, where)
