"""`ContextLayout`: where in the VM context of an instance what of its module lies.

Machine code reaches everything of its instance through the context (`machine.layout.Context`), whose fixed fields come
first. The layout depends on the module alone, so code is the same for all its instances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.compiler.machine.layout import Context as Fixed
from wasmine.compiler.machine.layout import Record

if TYPE_CHECKING:
    from wasmine.validation.context import Context

_CELL = 16
_PAIR = 16
_WORD = 8


class ContextLayout:
    """Byte offsets in the VM contexts of a module's instances, by index.

    `globals`: of what the module defines, the offset of the cell itself (16 bytes; the value is in native form in its
    first bytes); of an imported global, the offset of the address of its cell. `memories` and `tables`: the offset of a
    pair, base and length (bytes; elements), kept up to date by the memory or table (`NativeMemory.attach`); memory 0
    has its fixed place. `records`: for every imported function and every function that `ref.func` may name
    (`Context.declared`), the offset of the address of its function record; it may be 0 for one that the module defines,
    then code asks for it (`Service.REF_FUNC`), and the answer should be kept here. `types`: for every type index, the
    offset of the number of the type (`references.type_number`). `fuel`: the offset of what is left of the fuel, None where
    it is not counted. `functions`: the offset of the function record itself, for every function that the module defines
    and that may be referred to; one after another, in the order of their indices, from `first_record` on. `size` is the
    size of the whole.
    """

    __slots__ = ("first_record", "fuel", "functions", "globals", "memories", "records", "size", "tables", "types")

    def __init__(self, context: Context, *, metered: bool = False) -> None:
        at = Fixed.FIXED
        self.fuel = at if metered else None
        at += _WORD if metered else 0
        # Globals first: code addresses the first bytes of a context with shorter instructions.
        self.globals: list[int] = []
        for index in range(len(context.globals)):
            self.globals.append(at)
            at += _WORD if index < context.imported_globals else _CELL
        self.memories: list[int] = []
        for index in range(len(context.memories)):
            self.memories.append(at if index else Fixed.MEMORY)
            at += _PAIR if index else 0
        self.tables = list(range(at, at + _PAIR * len(context.tables), _PAIR))
        at += _PAIR * len(context.tables)
        self.records: dict[int, int] = {}
        imported = range(context.imported_functions)
        declared = sorted(context.declared.difference(imported))
        for index in (*imported, *declared):
            self.records[index] = at
            at += _WORD
        self.types = range(at, at + _WORD * len(context.types), _WORD)
        at += _WORD * len(context.types)
        self.first_record = at
        own = set(declared)
        if context.syntax.start is not None and context.syntax.start not in imported:
            own.add(context.syntax.start)
        self.functions = dict(zip(sorted(own), range(at, at + Record.SIZE * len(own), Record.SIZE), strict=True))
        self.size = at + Record.SIZE * len(own)
