"""`ModuleCode`: the machine code of a module in this process, shared by its instances.

The module has a table of code addresses, 8 bytes for each function it defines, in a page of data amid the code. Direct
calls go through it. A slot first holds the address of a stub that has the function compiled and then runs it.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from wasmine.compiler.baseline import compile_function
from wasmine.compiler.code import ALIGNMENT, RelocationKind
from wasmine.compiler.context import ContextLayout
from wasmine.compiler.machine import architecture, libc
from wasmine.compiler.machine.layout import Context, Record
from wasmine.compiler.references import display_address, type_number
from wasmine.compiler.storage import packed, unpacked
from wasmine.errors import Frame
from wasmine.format.types import FuncType, is_function_type
from wasmine.runtime.lock import lock
from wasmine.validation.location import Located, locate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.code import FunctionCode
    from wasmine.compiler.machine.glue import Glue
    from wasmine.compiler.templates.library import TemplateLibrary
    from wasmine.runtime.cache import Stored
    from wasmine.runtime.function import Function
    from wasmine.runtime.module import Module
    from wasmine.validation.context import Context as ValidContext


class Plan(NamedTuple):
    """Functions to be written into a table: where their records lie, in 64-bit lanes of long integers.

    A lane of `offsets` has the offset in the VM context, and one of `ones` has 1, for a function whose record lies there;
    both are 0 for null and for the `others`, which are positions and what `runtime.table.Functions` has there.
    """

    layout: ContextLayout
    length: int
    offsets: int
    ones: int
    others: list[tuple[int, int | Function]]


TABLE_OFFSET: Final = 2048
"""Where in its page a code table begins: away from where value stacks begin, whose first frames are used most.

Every call reads the table. If it lies in the same lines of the cache as the frame and their addresses have the same hash,
which goes by chance, a call costs 2 to 5 ns more on AMD's Zen.
"""


_MOST_FRAMES: Final = 4096
"""So many frames of call stacks are remembered for each module: instances may have any number of names."""

_MOST_PLACES: Final = 4096
"""So many return addresses are remembered, for a program that traps again and again."""

_STRIDE: Final = 13
"""Functions begin so many lines of the cache behind each other in their pages: prime to the 64 that a page has."""


_TOGETHER: Final = 64
"""So many functions behind the one that is placed may come to lie on its pages with it."""


class Placed(NamedTuple):
    """A compiled function where it lies in code memory."""

    start: int
    end: int
    code: FunctionCode
    module: ModuleNames


class Place:
    """A return address in a compiled function: what a frame of the native stack says.

    For a fault, it is the address of the byte behind the first one of the machine instruction.
    """

    __slots__ = ("frame_words", "pc", "placed")

    def __init__(self, pc: int, placed: Placed) -> None:
        self.pc = pc
        self.placed = placed
        self.frame_words = placed.code.frame_size >> 3  # from its stack pointer to its own return address

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


class PlacedCode:
    """Every compiled function of the process by its pages: what a program counter belongs to."""

    def __init__(self) -> None:
        self._by_page: dict[int, list[Placed]] = {}
        self.places: dict[int, Place] = {}  # those that were asked for since code was last given back

    @staticmethod
    def _pages(start: int, end: int) -> range:
        return range(start // libc.PAGE, (end - 1) // libc.PAGE + 1)

    def add(self, placed: Placed) -> None:
        """A function was placed."""
        for page in self._pages(placed.start, placed.end):
            self._by_page.setdefault(page, []).append(placed)

    def remove(self, start: int, end: int) -> None:
        """What lay on the pages of these addresses is gone."""
        self.places.clear()
        for page in self._pages(start, end):
            self._by_page.pop(page, None)

    def find(self, pc: int) -> Placed | None:
        """The function that an address lies in."""
        for placed in self._by_page.get(pc // libc.PAGE, ()):
            if placed.start <= pc < placed.end:
                return placed
        return None

    def place(self, pc: int) -> Place | None:
        """What a return address says, in code that cannot go while this is asked."""
        found = self.places.get(pc)
        if found is None:
            # The byte before: a call may be the last instruction of a function.
            placed = self.find(pc - 1)
            if placed is None:
                return None
            if len(self.places) > _MOST_PLACES:
                self.places.clear()
            found = self.places[pc] = Place(pc, placed)
        return found


placed_code = PlacedCode()


class ModuleNames:
    """What a call stack needs to know of a module. It does not keep the module alive, whose code this may be."""

    def __init__(self, module: Module) -> None:
        self.module_name = module.name
        self._module = weakref.ref(module)
        self._located: dict[tuple[int, int], Located] = {}
        self._frames: dict[tuple[str, int, int | None], Frame] = {}

    def function_name(self, index: int) -> str:
        """A function's name for people."""
        module = self._module()
        return module.function_name(index) if module is not None else f"func[{index}]"

    def frame(self, instance: str, index: int, offset: int | None) -> Frame:
        """A frame, as tracebacks show it; `instance` is the name of the instance, if it has one."""
        found = self._frames.get((instance, index, offset))
        if found is None:
            if len(self._frames) > _MOST_FRAMES:
                self._frames.clear()
            found = Frame(instance or self.module_name, self.function_name(index), index, offset)
            self._frames[instance, index, offset] = found
        return found

    def instruction(self, index: int, end: int) -> Located:
        """The instruction of a defined function that ends at an offset; its own is in the binary of the module.

        Where none ends, the function begins: it stands for what happens on entry.
        """
        found = self._located.get((index, end))
        if found is None:
            module = self._module()
            if module is None:
                return Located(end, "")
            found = locate(module.context, index, end) or Located(end, "")
            found = Located(module.binary_offset(index, found.offset), found.name, found.arguments)
            self._located[index, end] = found
        return found


class ModuleCode:
    """The code of one module for one way of checking bounds (`bounds`), and with or without paying fuel (`metered`).

    The module holds it, and so does every runtime with an instance of the module. When all of them are gone nothing can run
    the code any more, and its memory is given back. `stored`, if there is one, has the code that other processes made, and
    keeps ours.
    """

    stored: Stored | None = None

    def __init__(
        self, module: Module, glue: Glue, library: TemplateLibrary, bounds: str, *, metered: bool = False
    ) -> None:
        self.context = module.context
        self.names = ModuleNames(module)
        self.layout = ContextLayout(module.context, metered=metered)
        self._glue = glue
        self._library = library
        self._bounds = bounds
        self._first = module.context.imported_functions
        self._pages: list[tuple[int, int]] = []  # address and size of what lies in code memory
        self._placed = 0  # how often
        self._owner = _owner_of(glue, self._pages)
        self._make_table(len(module.syntax.code))
        self._count = len(module.syntax.code)
        self._made: dict[int, FunctionCode] = {}  # code that has no place yet
        self._describe(module.context)
        self.initial = self._initial_context()
        self.context_type = ctypes.c_ubyte * self.layout.size
        self._initial_view = self.context_type.from_buffer(self.initial)
        self.initial_address = ctypes.addressof(self._initial_view)

    def _describe(self, context: ValidContext) -> None:
        """What every instantiation needs to know."""
        layout = self.layout
        self.first_function, self.first_table = context.imported_functions, context.imported_tables
        self.first_memory, self.first_global = context.imported_memories, context.imported_globals
        self.own_memories = layout.memories[self.first_memory :]
        self.own_tables = layout.tables[self.first_table :]
        self.own_globals = layout.globals[self.first_global :]
        self.recorded = list(layout.functions)
        self.records = len(layout.functions)
        boundary = {*context.functions[: self.first_function], *(context.functions[i] for i in layout.functions)}
        self.passes_functions = any(
            is_function_type(type)
            for defined in {*boundary, *context.tags}
            if isinstance(defined.composite, FuncType)
            for type in (*defined.composite.params, *defined.composite.results)
        )

    def _initial_context(self) -> bytearray:
        """What the VM contexts of all instances begin with."""
        found = bytearray(self.layout.size)
        words = memoryview(found).cast("Q")
        words[Context.TRAP // 8] = self._glue.symbols["trap"]
        for offset, type in zip(self.layout.types, self.context.types, strict=True):
            words[offset // 8] = type_number(type)
        for index, offset in self.layout.functions.items():
            defined = self.context.functions[index]
            words[(offset + Record.CODE) // 8] = self.address(index)
            words[(offset + Record.TYPE) // 8] = type_number(defined)
            words[(offset + Record.SUPERTYPES) // 8] = display_address(defined)
        return found

    def plan(self, items: Sequence[int | Function | None]) -> Plan:
        """How to write functions of an instance into a table."""
        offsets, ones = array("Q"), array("Q")
        others: list[tuple[int, int | Function]] = []
        for position, item in enumerate(items):
            offset = self.layout.functions.get(item, 0) if isinstance(item, int) else 0
            offsets.append(offset)
            ones.append(offset > 0)
            if not offset and item is not None:
                others.append((position, item))
        return Plan(
            self.layout,
            len(items),
            int.from_bytes(offsets.tobytes(), sys.byteorder),
            int.from_bytes(ones.tobytes(), sys.byteorder),
            others,
        )

    def _make_table(self, count: int) -> None:
        """The code table, then the stubs, in pages of their own."""
        table_size = libc.round_up(TABLE_OFFSET + max(8 * count, 8))
        machine = architecture.host()
        size = machine.STUB_SIZE
        stubs_size = libc.round_up(max(size * count, 1))
        start = self._reserve(table_size + stubs_size)
        self._table = start + TABLE_OFFSET
        stubs = start + table_size
        self._stubs = range(stubs, stubs + stubs_size)
        target = self._glue.symbols["compile_function"]
        self._glue.code.fill(
            stubs, b"".join(machine.stub(target, self._first + i, stubs + i * size) for i in range(count))
        )
        libc.map_memory(table_size, libc.PROT_READ | libc.PROT_WRITE, at=start)
        slots = (ctypes.c_uint64 * count).from_address(self._table)
        slots[:] = list(range(stubs, stubs + count * size, size))

    def _reserve(self, size: int) -> int:
        address = self._glue.code.reserve(size)
        self._pages.append((address, size))
        return address

    def slot(self, index: int) -> int:
        """The address of a defined function's slot in the code table."""
        return self._table + 8 * (index - self._first)

    def address(self, index: int) -> int:
        """Where a defined function's code is now: its stub, or the function itself once it is compiled."""
        return ctypes.c_uint64.from_address(self.slot(index)).value

    def is_stub(self, address: int) -> bool:
        """Whether code at this address has yet to be compiled."""
        return address in self._stubs

    def compile(self, index: int) -> int:
        """Compile a function if that was not done yet; its address. UnsupportedFeature, MemoryError, OSError."""
        with lock:
            start = self.address(index)
            if self.is_stub(start):
                self._place(self._together(index))
                start = self.address(index)
            return start

    def prepare(self, index: int) -> None:
        """Make the code of a function, to be placed when it is called. UnsupportedFeature, MemoryError."""
        with lock:
            if self.is_stub(self.address(index)) and index not in self._made:
                self._made[index] = self._known(index) or self._compiled(index)

    def _together(self, index: int) -> list[FunctionCode]:
        """The code of a function, and of those behind it that is known already and fits into the rest of its pages."""
        first = self._known(index) or self._compiled(index)
        self._made.pop(index, None)
        found = [first]
        room = -len(first.code) % libc.PAGE
        for other in range(index + 1, min(index + _TOGETHER, self._first + self._count)):
            if not self.is_stub(self.address(other)):
                continue
            code = self._known(other)
            if code is None:
                continue
            room -= libc.round_up(len(code.code), ALIGNMENT)
            if room < ALIGNMENT:
                self._made[other] = code
                break
            self._made.pop(other, None)
            found.append(code)
        return found

    def _known(self, index: int) -> FunctionCode | None:
        """A function's code if it was prepared, or made by an earlier process."""
        found = self._made.get(index)
        if found is None and self.stored is not None:
            piece = self.stored.get(index)
            found = unpacked(piece) if piece is not None else None
        return found

    def _compiled(self, index: int) -> FunctionCode:
        code = compile_function(self.context, self.layout, index, self._library, self._bounds)
        if self.stored is not None:
            self.stored.put(index, packed(code))
        return code

    def _place(self, codes: list[FunctionCode]) -> None:
        """Put functions into code memory, on pages of their own, and lead calls there."""
        offsets = [0]
        for code in codes:
            offsets.append(libc.round_up(offsets[-1] + len(code.code), ALIGNMENT))
        size = offsets.pop()
        # Not all at the start of their pages, or they would compete for the same lines of the cache.
        room = -size % libc.PAGE // ALIGNMENT + 1
        skipped = self._placed * _STRIDE % room * ALIGNMENT
        self._placed += 1
        page = self._reserve(skipped + size)
        contents = bytearray(skipped + size)
        for code, offset in zip(codes, offsets, strict=True):
            at = skipped + offset
            contents[at : at + len(code.code)] = self._relocated(code, page + at)
        self._glue.code.fill(page, contents)
        for code, offset in zip(codes, offsets, strict=True):
            self._lead(code, page + skipped + offset)

    def _relocated(self, code: FunctionCode, start: int) -> bytearray:
        """The bytes of a function that is to lie at an address."""
        body = bytearray(code.code)
        relocate = architecture.instructions(architecture.host().NAME).relocate
        for offset, kind, operand in code.relocations:
            if kind is RelocationKind.FUNCTION:
                assert isinstance(operand, int)
                target = self.slot(operand)
            else:
                target = self._glue.symbols[str(operand)]
            relocate(body, offset, start, target)
        return body

    def _lead(self, code: FunctionCode, start: int) -> None:
        """A function lies at an address: whoever calls it comes there from now on."""
        self._glue.interrupts.frame_of(code.slots)
        placed_code.add(Placed(start, start + len(code.code), code, self.names))
        ctypes.c_uint64.from_address(self.slot(code.index)).value = start
        offset = self.layout.functions.get(code.index)
        if offset is not None:  # records of instances to come need no stub
            self.initial[offset + Record.CODE : offset + Record.CODE + 8] = start.to_bytes(8, "little")


def _owner_of(glue: Glue, pages: list[tuple[int, int]]) -> object:
    """An object that gives pages of code memory (address and size) back when it goes."""

    # Their own names: this may be when the process ends and modules are empty.
    remove, release = placed_code.remove, glue.code.release

    def give_back() -> None:
        for address, size in pages:
            remove(address, address + size)
            release(address, size)

    return libc.when_deallocated(give_back)
