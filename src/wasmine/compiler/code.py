"""What the compiler of functions hands to the rest of the engine: `FunctionCode`, and what such code asks of it.

A compiled function is entered with r12, r13 and r14 as `machine.amd64` says and its arguments in slots 0.. of its frame.
It preserves these and rbx, rbp, r10, r15, xmm6 to xmm12 (all 128 bits). A single result comes back in rdi or xmm1,
several in slots 0.. of the frame. An i32 is zero-extended in a register; in a slot only its 4 bytes count.

Code calls the blob of `machine.amd64`, by relocations to these symbols, always with the native stack as it finds it:

- `call_host`: eax a `Service`, r13 the place of its operands. It preserves the same registers as a function: r10 and
  xmm6 to xmm12 too, which C functions do not.
- `call_record`: calls the function whose record's address is in rax, with its arguments at r13, whatever instance it
  belongs to. It behaves like the function: same results, same registers preserved.
- `jump_record`: the same for a tail call: the frame of the caller is gone, the return address on top of the stack.
- `trap` through `Context.TRAP`: eax a trap's number (`machine.layout.trap_number`).

Code calls a record's function directly where the record's context equals r12, and through these otherwise.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

from wasmine.compiler.machine.layout import trap_number as trap_number
from wasmine.record import field, record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALIGNMENT: Final = 64
"""What the address of a function's code must be a multiple of."""


class Service(enum.IntEnum):
    """Runtime functions written in Python.

    A service finds its operands in slots 0.. of the frame it is given, then, one slot each, its immediates (as the
    comment says after the bar), and puts its result into slot 0. Operands are native values; addresses of 32-bit
    memories and tables have 32 valid bits, of 64-bit ones 64. It returns 0, or the number of a trap.
    """

    MEMORY_GROW = 1  # delta | memory -> old size or -1
    MEMORY_INIT = 2  # destination, source (i32), count (i32) | data, memory
    DATA_DROP = 3  # | data
    # Traps for a memory.fill or memory.copy that is out of bounds, by the width of its operands: these | the addresses of
    # the pair (base, length) of the target, and of that of the source, 0 if there is none.
    BULK_OUTSIDE_32 = 4
    BULK_OUTSIDE_64 = 5
    TABLE_GROW = 6  # value, delta | table -> old size or -1
    TABLE_FILL = 7  # index, value, count | table
    TABLE_COPY = 8  # destination, source, count | destination table, source table
    TABLE_INIT = 9  # destination, source (i32), count (i32) | element segment, table
    ELEM_DROP = 10  # | element segment
    REF_FUNC = 11  # | function -> address of its record
    ATOMIC_NOTIFY = 12  # address, count (i32) | memory, offset -> number of threads
    ATOMIC_WAIT32 = 13  # address, expected (i32), timeout (i64) | memory, offset -> 0, 1, 2
    ATOMIC_WAIT64 = 14  # address, expected (i64), timeout (i64) | memory, offset -> 0, 1, 2
    THROW_REF = 15  # exnref; does not return
    # The frame points *behind* the tag's values: | tag; does not return.
    THROW = 16


class RelocationKind(enum.Enum):
    """What a 32-bit field's distance, counted from the end of the field, leads to."""

    FUNCTION = "function"  # operand: index of a defined function; its 8-byte slot in the module's code table
    SYMBOL = "symbol"  # operand: name of a symbol of the blob


class Relocation(NamedTuple):
    """A field of 4 bytes at `offset` that holds `target - (address of the field + 4)`."""

    offset: int
    kind: RelocationKind
    operand: int | str


class CatchKind(enum.IntEnum):
    """The kinds of catch clauses, numbered as in the binary format."""

    CATCH = 0
    CATCH_REF = 1
    CATCH_ALL = 2
    CATCH_ALL_REF = 3


class Catch(NamedTuple):
    """One clause: a matching exception goes on at `landing`, an offset in the code.

    Its values go to slots from byte `values` of the frame on (native, 8 bytes each, a v128 16), then, for the kinds
    with a reference, the exnref. `tag` is an index of the module's tag space, None for the kinds that catch all.
    """

    kind: CatchKind
    tag: int | None
    landing: int
    values: int


class Region(NamedTuple):
    """A try block: its clauses in order, and the region to search next, or None to leave the function."""

    catches: tuple[Catch, ...]
    parent: int | None


@record(frozen=False)
class FunctionCode:
    """The code of one function.

    `sites` is sorted by offset; the entry for a place is the last one whose code offset is not greater: for a fault,
    that of the instruction at fault; for a return address (and for a trap's pc, which is one), that of the byte before
    it. Each is (code offset, offset in the binary just behind the wasm instruction).

    In the body, after the prologue, the return address always lies `frame_size` bytes above the stack pointer, which is
    constant but for the return addresses of calls; no explicit trap happens before. `slots` is the size in bytes of the
    frame in the value stack.

    A function with try blocks (`regions`) keeps r13 at [rsp] and r12 at [rsp+8] in its body. `covered` gives, for the
    return addresses of calls inside them, as offsets, the innermost region. To catch, write the values and the exnref
    into its frame, set rsp, and jump to the landing: it restores the rest, and needs no other register.
    """

    index: int
    code: bytes
    relocations: Sequence[Relocation] = ()
    sites: Sequence[tuple[int, int]] = ()
    frame_size: int = 0
    slots: int = 0
    regions: Sequence[Region] = ()
    covered: Mapping[int, int] = field(default_factory=dict)
