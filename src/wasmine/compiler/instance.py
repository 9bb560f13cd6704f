"""`NativeCode`: the code of one instance, and its VM context."""

from __future__ import annotations

import ctypes
import weakref
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.contexts import contexts
from wasmine.compiler.function import NativeFunction, compiled_function
from wasmine.compiler.machine.layout import Context, Record
from wasmine.compiler.references import display_address, type_number
from wasmine.compiler.services import answering
from wasmine.runtime.host import Caller
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmine.compiler.domain import Domain
    from wasmine.compiler.engine import CompilerEngine
    from wasmine.compiler.memory import NativeMemory
    from wasmine.compiler.module import ModuleCode, Plan
    from wasmine.compiler.table import NativeTable
    from wasmine.runtime.atomics import Monitor
    from wasmine.runtime.function import Function
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.table import Functions, Table

CLOSED: Final = 1
"""In Context.THREAD: nobody can take the instance any more. No thread block has this address."""

_MANY: Final = 32
"""With so many importers noted, those that are gone are forgotten."""


class NativeCode:
    """The engine's side of an instance. `address` is that of its VM context, which stays where it is.

    `complete` fills the context in once the instance has its memories, tables and globals; no code runs before. `domain`
    keeps alive what machine code may hold references to, None where there is no such thing.
    """

    __slots__ = (
        "__weakref__",
        "_importers",
        "_many",
        "address",
        "caller",
        "domain",
        "engine",
        "extra_records",
        "instance",
        "lease",
        "module",
    )

    def __init__(self, engine: CompilerEngine, instance: Instance, module: ModuleCode) -> None:
        self.engine = engine
        self.instance = instance
        self.module = module
        self.address, self.lease = contexts.take(module.layout.size)
        contexts.add(self.address, self)
        self.extra_records: dict[int, tuple[int, Any]] = {}  # records that have no place in the context, by address
        self._importers: list[weakref.ref[NativeCode]] = []
        self._many = _MANY
        self.caller = Caller(instance)
        self.domain: Domain | None = None
        if module.passes_functions:
            self.join(engine.references.common)

    # -------------------------------------------------------------------------------------------- the context

    def complete(self) -> None:
        """The instance is complete: point the context at what it consists of."""
        module, instance, address = self.module, self.instance, self.address
        ctypes.memmove(address, module.initial_address, module.layout.size)
        words = memoryview(module.context_type.from_address(address)).cast("B").cast("Q")
        words[Context.CALL_HOST // 8] = answering()
        words[Context.CALLER // 8] = id(self.caller)
        words[Context.RELEASE // 8] = self.engine.release
        if module.records:
            at = (module.layout.first_record + Record.CONTEXT) // 8
            words[at :: Record.SIZE // 8] = array("Q", (address,)) * module.records
        self._define(words)
        if instance.module.syntax.imports:
            self._import(words)
        self.refresh()
        if module.layout.fuel is not None:
            instance.meter.place(address + module.layout.fuel, self.lease)  # type: ignore[union-attr]

    def _define(self, words: memoryview) -> None:
        """What the instance has of its own, in the context."""
        module, instance = self.module, self.instance
        for offset, memory in zip(module.own_memories, instance.memories[module.first_memory :], strict=True):
            self._point(words, offset, memory)
        if module.own_tables:
            for offset, table in zip(module.own_tables, instance.tables[module.first_table :], strict=True):
                self._point(words, offset, table)
                self._adopt(table)
        if module.own_globals:
            for offset, variable in zip(module.own_globals, instance.globals[module.first_global :], strict=True):
                variable.place(offset, self)  # type: ignore[attr-defined]
                self._adopt(variable)

    def _point(self, words: memoryview, offset: int, own: Any) -> None:
        contexts.note(self.address, own.fields, self.address + offset)
        words[offset // 8], words[offset // 8 + 1] = own.base, own.length

    def _adopt(self, own: Any) -> None:
        """A table or global of the instance itself: if it holds functions, it belongs to the domain."""
        if own.domain is not None:
            own.home = self
            self.join(own.domain)

    def _import(self, words: memoryview) -> None:
        """What is imported: in the context, and among what keeps whom alive."""
        module, instance = self.module, self.instance
        address = self.engine.references.address
        for index in range(module.first_function):
            function = instance.function(index)
            words[module.layout.records[index] // 8] = address(function)
            if function.instance is not None:
                self._note_importer(function.instance.code)
        for offset, variable in zip(module.layout.globals, instance.globals[: module.first_global], strict=False):
            words[offset // 8] = variable.address  # type: ignore[attr-defined]
        for offset, memory in zip(module.layout.memories, instance.memories[: module.first_memory], strict=False):
            memory.attach(self.address, self.address + offset)  # type: ignore[attr-defined]
        for offset, table in zip(module.layout.tables, instance.tables[: module.first_table], strict=False):
            table.attach(self.address, self.address + offset)  # type: ignore[attr-defined]
        shared: list[Any] = [*instance.tables[: module.first_table], *instance.globals[: module.first_global]]
        for member in shared:
            if member.domain is not None:
                self.join(member.domain)
                if member.home is not None:
                    member.home.join(member.domain)  # it may have been closed, and may have left
                self._note_importer(member.home)

    def refresh(self) -> None:
        """Whether functions are called by machine code alone depends on the instance's being open, and its limits."""
        with lock:
            contexts.set_slow(self.address, self.instance.closed or self.instance.timeout is not None)

    # -------------------------------------------------------------------------------------------- lifetime

    def join(self, domain: Domain) -> None:
        """Live as long as everything in a domain does, and keep it alive."""
        with lock:
            if self.domain is not None:
                self.domain = domain.absorb(self.domain)
                return
            self.domain = domain.current()
            self.domain.members.add(self)
            if self.instance.closed:  # it left its domain then, but somebody held a function or a table
                self.domain.closed.add(self)

    def leave(self, domain: Domain) -> None:
        """The closed instance is no member any more: no table or global of others has its functions."""
        domain.members.discard(self)
        domain.closed.discard(self)
        self.domain = None
        self.let_go()

    def _note_importer(self, provider: Any) -> None:
        if provider is None or provider is self:
            return
        importers = provider._importers
        with lock:
            if len(importers) > provider._many:
                importers[:] = [reference for reference in importers if reference() is not None]
                provider._many = 2 * len(importers) + _MANY
            importers.append(weakref.ref(self))

    def is_imported(self) -> bool:
        """Whether another instance that is still there imports functions, tables or globals of this one."""
        return any(reference() is not None for reference in self._importers)

    def imported_functions(self) -> list[Any]:
        """The functions that the instance imports."""
        return [self.instance.function(index) for index in range(self.module.first_function)]

    def close(self) -> None:
        """Give everything back if nobody else can reach the functions; otherwise that comes when nobody can."""
        self.refresh()
        with lock:
            domain = self.domain.current() if self.domain is not None else None
            if domain is not None and not domain.is_of(self):
                domain.closed.add(self)
                with self.engine.still(due=domain.is_due()) as still:
                    if still:
                        domain.sweep()
            elif not self.is_imported():
                if domain is not None:
                    self.leave(domain)
                else:
                    self.let_go()

    def let_go(self) -> None:
        """Give back what a closed instance has that nobody else can reach. If it runs, that comes when it is collected."""
        if not self.engine.glue.seize(self.address, CLOSED):
            self.instance.abandon()

    # -------------------------------------------------------------------------------------------- functions

    def function(self, index: int) -> NativeFunction:
        """A new function reference of a defined function."""
        instance = self.instance
        kind: type[NativeFunction] = compiled_function() if self.engine.calls_natively else NativeFunction
        defined = instance.module.context.functions[index]
        return kind(defined, None, instance, index, self.engine, self._record(index))

    def _record(self, index: int) -> int:
        """The address of the record of a defined function."""
        offset = self.module.layout.functions.get(index)
        if offset is not None:
            return self.address + offset
        # One that wasm code has no reference to: somebody asked for it by its number.
        defined = self.module.context.functions[index]
        block = (ctypes.c_uint64 * 4)(
            self.module.address(index), self.address, type_number(defined), display_address(defined)
        )
        address = ctypes.addressof(block)
        self.extra_records[address] = index, block
        return address

    def function_at(self, record: int) -> Any:
        """The function whose record lies at an address."""
        extra = self.extra_records.get(record)
        if extra is not None:
            return self.instance.function(extra[0])
        number = (record - self.address - self.module.layout.first_record) // Record.SIZE
        return self.instance.function(self.module.recorded[number])

    def compiled(self, index: int, code: int) -> None:
        """A function's stub was called, and this is its code: its record leads there from now on."""
        offset = self.module.layout.functions.get(index)
        if offset is not None:
            ctypes.c_uint64.from_address(self.address + offset + Record.CODE).value = code

    def record(self, index: int) -> int:
        """The address of the record of any function of the index space, kept in the context if that has a place."""
        if index < self.module.first_function:
            address = self.engine.references.address(self.instance.function(index))
        else:
            address = self._record(index)
        offset = self.module.layout.records.get(index)
        if offset is not None:
            ctypes.c_uint64.from_address(self.address + offset).value = address
        return address

    def place(self, table: Table, at: int, functions: Functions) -> None:
        """Copy functions of the instance into a table. Trap."""
        native: NativeTable = table  # type: ignore[assignment]
        plan: Plan | None = functions.plan
        if plan is None or plan.layout is not self.module.layout:
            plan = functions.plan = self.module.plan(functions.items)
        # All additions at once, as one of long integers: there may be 100,000 functions.
        words = bytearray((plan.offsets + self.address * plan.ones).to_bytes(8 * plan.length, "little"))
        others = [self.instance.function(item) if isinstance(item, int) else item for _, item in plan.others]
        for (position, _), function in zip(plan.others, others, strict=True):
            address = self.engine.references.address(function)
            words[8 * position : 8 * position + 8] = address.to_bytes(8, "little")
        with lock:
            native.write_native(at, words)
            native.hold(others)

    def placed(self, table: Table) -> list[int | Function | None]:
        """The elements of a table of functions."""
        native: NativeTable = table  # type: ignore[assignment]
        references, first = self.engine.references, self.address + self.module.layout.first_record
        own = range(first, first + Record.SIZE * self.module.records)
        known: dict[int, int | Function | None] = {
            references.address(function): index for index, function in enumerate(self.imported_functions())
        }
        known[0] = None
        found: list[int | Function | None] = []
        for word in native.words():
            if word in own:
                found.append(self.module.recorded[(word - first) // Record.SIZE])
            else:
                if word not in known:
                    function: Function = references.function(word)  # type: ignore[assignment]
                    known[word] = function.index if function.instance is self.instance else function
                found.append(known[word])
        return found

    @contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile no other thread runs the instance. WasmineError if one does."""
        glue = self.engine.glue
        block = glue.threads.current()
        owner = glue.seize(self.address, block.address)
        if owner not in (0, block.address):
            raise self.instance.in_use()
        try:
            if not owner:  # as machine code does that takes an instance
                block.lend_limits(self.address)
            yield
        finally:
            if not owner:
                ctypes.c_uint64.from_address(self.address + Context.THREAD).value = 0

    def monitor(self, memory: int) -> Monitor:
        """The waiters of a memory."""
        found: NativeMemory = self.instance.memories[memory]  # type: ignore[assignment]
        return found.monitor
