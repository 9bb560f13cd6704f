"""`trap_of`: a trap of machine code as an exception, in the words of `runtime.traps`.

Machine code tells the kind, and for some kinds one number; the rest is in the instruction.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from wasmine.errors import Trap, TrapKind
from wasmine.format.instructions import BY_NAME
from wasmine.runtime import traps

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.instance import NativeCode
    from wasmine.validation.location import Located


def _access(code: NativeCode, instruction: Located, address: int) -> Trap:
    offset, memory, *_ = instruction.arguments
    if address < offset:
        address += 1 << 64  # the sum of index and offset
    return traps.memory_access(address, _size(instruction), code.instance.memories[memory].byte_length)


def _unaligned(_: NativeCode, instruction: Located, address: int) -> Trap:
    return traps.unaligned_access(address, _size(instruction))


def _element(code: NativeCode, instruction: Located, index: int) -> Trap:
    table = instruction.arguments[-1]
    return traps.table_access(index, 1, len(code.instance.tables[table]))


def _type(code: NativeCode, instruction: Located, record: int) -> Trap:
    function = code.engine.references.function(record)
    assert function is not None
    return traps.type_mismatch(function, code.instance.module.context.types[instruction.arguments[0]])


_TOLD: Final[dict[TrapKind, Callable[[NativeCode, Located, int], Trap]]] = {
    TrapKind.MEMORY_OUT_OF_BOUNDS: _access,
    TrapKind.UNALIGNED_ATOMIC: _unaligned,
    TrapKind.TABLE_OUT_OF_BOUNDS: _element,
    TrapKind.INDIRECT_CALL_TYPE_MISMATCH: _type,
}


def trap_of(kind: TrapKind, told: int, code: NativeCode, instruction: Located) -> Trap:
    """An explicit trap that the code told a number."""
    return _TOLD[kind](code, instruction, told)


def fault_of(address: int, length: int, instruction: Located) -> Trap:
    """An access to an address in the guarded part of a memory.

    One that begins before the end of the memory faults at the end, so it is not known where it begins.
    """
    size, is_atomic = _access_of(instruction.name)
    if address > length or size == 1 or is_atomic:  # which is aligned
        return traps.memory_access(address, size, length)
    detail = f"{size} bytes at or across the end of a memory of {length:#x} bytes"
    return Trap(TrapKind.MEMORY_OUT_OF_BOUNDS, detail)


@functools.cache
def _access_of(name: str) -> tuple[int, bool]:
    """How many bytes an instruction accesses, and whether atomically."""
    instruction = BY_NAME[name]
    return 1 << max(instruction.alignment, 0), instruction.is_atomic


def _size(instruction: Located) -> int:
    return _access_of(instruction.name)[0]
