"""`ModuleCode`: the machine code of a module in this process, shared by its instances.

The module has a table of code addresses, 8 bytes for each function it defines, in a page of data amid the code. Direct
calls go through it. A slot first holds the address of a stub that has the function compiled and then runs it.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from bisect import bisect_right, insort
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from wasmine.compiler.baseline import compile_function
from wasmine.compiler.code import ALIGNMENT, RelocationKind
from wasmine.compiler.context import ContextLayout
from wasmine.compiler.machine import amd64, libc

if TYPE_CHECKING:
    from wasmine.compiler.code import FunctionCode
    from wasmine.compiler.instance import NativeCode
    from wasmine.compiler.machine.glue import Glue
    from wasmine.compiler.templates.library import TemplateLibrary
    from wasmine.runtime.module import Module


class Placed(NamedTuple):
    """A compiled function where it lies in code memory."""

    start: int
    end: int
    code: FunctionCode
    module: ModuleCode


class PlacedCode:
    """Every compiled function of the process by address: what a program counter belongs to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._functions: list[Placed] = []

    def add(self, placed: Placed) -> None:
        """A function was placed."""
        with self._lock:
            insort(self._functions, placed, key=attrgetter("start"))

    def find(self, pc: int) -> Placed | None:
        """The function that an address lies in."""
        functions = self._functions
        i = bisect_right(functions, pc, key=attrgetter("start")) - 1
        if i >= 0 and pc < functions[i].end:
            return functions[i]
        return None


placed_code = PlacedCode()


class ModuleCode:
    """The code of one module for one way of checking bounds (`options`)."""

    def __init__(self, module: Module, glue: Glue, library: TemplateLibrary, options: str) -> None:
        self.module = module
        self.layout = ContextLayout(module.context)
        self._glue = glue
        self._library = library
        self._options = options
        self._lock = threading.RLock()
        self._instances: weakref.WeakSet[NativeCode] = weakref.WeakSet()
        self._first = module.context.imported_functions
        self._make_table(len(module.syntax.code))

    def _make_table(self, count: int) -> None:
        """The code table, then the stubs, in pages of their own."""
        table_size = libc.round_up(max(8 * count, 8))
        stubs_size = libc.round_up(max(amd64.STUB_SIZE * count, 1))
        self._table = self._glue.code.reserve(table_size + stubs_size)
        stubs = self._table + table_size
        self._stubs = range(stubs, stubs + stubs_size)
        target = self._glue.symbols["compile_function"]
        size = amd64.STUB_SIZE
        self._glue.code.fill(
            stubs, b"".join(amd64.stub(target, self._first + i, stubs + i * size) for i in range(count))
        )
        libc.map_memory(table_size, libc.PROT_READ | libc.PROT_WRITE, at=self._table)
        slots = (ctypes.c_uint64 * count).from_address(self._table)
        slots[:] = list(range(stubs, stubs + count * size, size))

    def slot(self, index: int) -> int:
        """The address of a defined function's slot in the code table."""
        return self._table + 8 * (index - self._first)

    def address(self, index: int) -> int:
        """Where a defined function's code is now: its stub, or the function itself once it is compiled."""
        return ctypes.c_uint64.from_address(self.slot(index)).value

    def is_stub(self, address: int) -> bool:
        """Whether code at this address has yet to be compiled."""
        return address in self._stubs

    def add(self, instance: NativeCode) -> None:
        """Tell an instance where functions are, as soon as they are compiled."""
        with self._lock:
            self._instances.add(instance)

    def compile(self, index: int) -> int:
        """Compile a function if that was not done yet; its address. UnsupportedFeature, MemoryError, OSError."""
        with self._lock:
            start = self.address(index)
            if self.is_stub(start):
                code = compile_function(self.module.context, self.layout, index, self._library, self._options)
                start = self._place(code)
                ctypes.c_uint64.from_address(self.slot(index)).value = start
            for instance in self._instances:
                instance.compiled(index, start)
            return start

    def _place(self, code: FunctionCode) -> int:
        memory = self._glue.code
        start = memory.reserve(len(code.code))  # page-aligned, so ALIGNMENT holds
        assert start % ALIGNMENT == 0
        body = bytearray(code.code)
        for offset, kind, operand in code.relocations:
            if kind is RelocationKind.FUNCTION:
                assert isinstance(operand, int)
                target = self.slot(operand)
            else:
                target = self._glue.symbols[str(operand)]
            body[offset : offset + 4] = (target - (start + offset + 4)).to_bytes(4, "little", signed=True)
        memory.fill(start, body)
        placed_code.add(Placed(start, start + len(body), code, self))
        return start
