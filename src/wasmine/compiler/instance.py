"""`NativeCode`: the code of one instance, and its VM context."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from wasmine.compiler.fuel import NativeFuel
from wasmine.compiler.function import NativeFunction
from wasmine.compiler.globals import NativeGlobal
from wasmine.compiler.machine.layout import Context, Record
from wasmine.compiler.memory import NativeMemory, Pair
from wasmine.compiler.module import CONTEXT_ALIGNMENT
from wasmine.compiler.table import NativeTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wasmine.compiler.engine import CompilerEngine
    from wasmine.compiler.module import ModuleCode
    from wasmine.interpreter.atomics import Monitor
    from wasmine.runtime.instance import Instance


class NativeCode:
    """The engine's side of an instance. `address` is that of its VM context, which stays where it is.

    `complete` fills the context in once the instance has its memories, tables and globals; no code runs before.
    """

    def __init__(self, engine: CompilerEngine, instance: Instance, module: ModuleCode) -> None:
        self.engine = engine
        self.instance = instance
        self.module = module
        self._buffer = module.buffer_type()
        start = ctypes.addressof(self._buffer)
        self.address = (start + CONTEXT_ALIGNMENT - 1) & -CONTEXT_ALIGNMENT
        self._shift = self.address - start
        self._waiting: dict[int, int] = {}  # records that still lead to a stub, by function
        ctypes.memmove(self.address, module.initial, len(module.initial))
        self._set(Context.CALL_HOST, engine.services.callable_address)

    def _set(self, offset: int, value: int) -> None:
        ctypes.c_uint64.from_address(self.address + offset).value = value

    def complete(self) -> None:
        """The instance is complete: point the context at what it consists of."""
        layout, instance = self.module.layout, self.instance
        self._attach(layout.memories, instance.memories)
        self._attach(layout.tables, instance.tables)
        imported = instance.module.context.imported_globals
        for index, (offset, variable) in enumerate(zip(layout.globals, instance.globals, strict=True)):
            assert isinstance(variable, NativeGlobal)
            if index < imported:
                self._set(offset, variable.address)
            else:
                variable.move(self._buffer, self._shift + offset)
        for index in range(instance.module.context.imported_functions):
            self._set(layout.records[index], self.engine.references.record(instance.function(index)))
        if layout.fuel is not None:
            assert isinstance(instance.meter, NativeFuel)
            instance.meter.move(self._buffer, self._shift + layout.fuel)
        self.engine.instances[self.address] = self

    def _attach(self, offsets: Iterable[int], members: Iterable[object]) -> None:
        for offset, shared in zip(offsets, members, strict=True):
            assert isinstance(shared, NativeMemory | NativeTable)
            shared.attach(Pair.from_buffer(self._buffer, self._shift + offset))

    def function(self, index: int) -> NativeFunction:
        """A new function reference of a defined function."""
        instance = self.instance
        defined = instance.module.context.functions[index]
        name = instance.module.function_name(index)
        function = NativeFunction(defined, name, instance, index, self.engine)
        code = self.module.address(index)
        function.record = self.engine.references.new_record(function, code, self.address)
        if self.module.is_stub(code):
            self._waiting[index] = function.record
        return function

    def compiled(self, index: int, code: int) -> None:
        """A function's stub was called, and this is its code: its record leads there from now on."""
        record = self._waiting.pop(index, None)
        if record is not None:
            ctypes.c_uint64.from_address(record + Record.CODE).value = code

    def record(self, index: int) -> int:
        """The address of the record of any function of the index space, kept in the context if that has a place."""
        address = self.engine.references.record(self.instance.function(index))
        offset = self.module.layout.records.get(index)
        if offset is not None:
            self._set(offset, address)
        return address

    def monitor(self, memory: int) -> Monitor:
        """The waiters of a memory."""
        found = self.instance.memories[memory]
        assert isinstance(found, NativeMemory)
        return found.monitor

    def close(self) -> None:
        """Functions may still be held by tables: everything stays as long as the engine."""
