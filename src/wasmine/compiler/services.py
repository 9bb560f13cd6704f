"""What machine code asks of Python: host functions, growing, bulk operations on tables, waiting, exceptions.

There is one Python callable, `answer`, whose number is in every VM context. What it returns makes the machine code
go on behind its call or at a handler; when it raises, machine code leaves the innermost `enter`, which raises the same.
"""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.code import Catch, CatchKind, Service
from wasmine.compiler.contexts import contexts
from wasmine.compiler.machine import layout, python
from wasmine.compiler.machine.layout import Reply
from wasmine.compiler.machine.threads import NATIVE_STACK
from wasmine.compiler.unwind import walk_all
from wasmine.errors import Trap, TrapKind, WasmException
from wasmine.format.types import EXNREF, I64
from wasmine.runtime import traps
from wasmine.runtime.atomics import ATOMICS
from wasmine.runtime.deadline import returned
from wasmine.runtime.reference import ExceptionPackage
from wasmine.runtime.thrown import Thrown, from_public, to_public
from wasmine.runtime.values import signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.engine import CompilerEngine
    from wasmine.compiler.function import NativeHostFunction
    from wasmine.compiler.instance import NativeCode
    from wasmine.compiler.table import NativeTable
    from wasmine.format.types import NumberType

_MASK32: Final = 0xFFFF_FFFF
_STACK_WORDS: Final = NATIVE_STACK // 8  # no walk gets so far: it ends at `enter`


class Operands:
    """The slots of a service call."""

    __slots__ = ("address",)

    def __init__(self, address: int) -> None:
        self.address = address

    def __getitem__(self, slot: int) -> int:
        return ctypes.c_uint64.from_address(self.address + 8 * slot).value

    def __setitem__(self, slot: int, value: int) -> None:
        ctypes.c_uint64.from_address(self.address + 8 * slot).value = value & 0xFFFF_FFFF_FFFF_FFFF

    def u32(self, slot: int) -> int:
        """A slot of which 4 bytes count."""
        return self[slot] & _MASK32

    def index(self, slot: int, address: NumberType) -> int:
        """An index or a length, of the address type of its memory or table."""
        return self[slot] if address is I64 else self.u32(slot)


class Services:
    """The services of one engine."""

    def __init__(self, engine: CompilerEngine) -> None:
        self._engine = engine
        self._of_hosts: dict[int, Callable[[NativeCode, int, int], None]] = {
            layout.HOST_CALL: self._host_call,
            layout.HOST_RESULT: self._host_result,
        }
        self._table: dict[int, Callable[[NativeCode, Operands], object]] = {
            Service.MEMORY_GROW: self._memory_grow,
            Service.MEMORY_INIT: self._memory_init,
            Service.DATA_DROP: self._data_drop,
            Service.TABLE_GROW: self._table_grow,
            Service.TABLE_FILL: self._table_fill,
            Service.TABLE_COPY: self._table_copy,
            Service.TABLE_INIT: self._table_init,
            Service.ELEM_DROP: self._elem_drop,
            Service.REF_FUNC: self._ref_func,
            Service.ATOMIC_NOTIFY: self._notify,
            Service.ATOMIC_WAIT32: self._wait32,
            Service.ATOMIC_WAIT64: self._wait64,
            Service.BULK_OUTSIDE_32: self._outside_32,
            Service.BULK_OUTSIDE_64: self._outside_64,
            Service.THROW: self._throw,
            Service.THROW_REF: self._throw_ref,
        }

    def answer(self, code: NativeCode, service: int, frame: int, reply: int) -> int:
        """What machine code gets: 0 to go on, or RESUME."""
        if service >= layout.COMPILE:
            index = service - layout.COMPILE
            start = code.module.compile(index)
            code.compiled(index, start)
            _write(reply + Reply.PC, start)
            return 0
        try:
            if service == layout.HOST_RAISED:
                caught = self._catch(from_public(_object(reply)).package, code, reply)
                return layout.RESUME if caught else 0
            handler = self._of_hosts.get(service)
            if handler is not None:
                handler(code, frame, reply)
            else:
                self._table[service](code, Operands(frame))
        except Thrown as thrown:
            if not self._catch(thrown.package, code, reply):
                raise to_public(thrown) from None
            return layout.RESUME
        except WasmException as error:
            if not self._catch(from_public(error).package, code, reply):
                raise
            return layout.RESUME
        return 0

    # ------------------------------------------------------------------------------------------------ host functions

    def _host(self, reply: int) -> NativeHostFunction:
        return self._engine.references.function(_read(reply + Reply.RECORD))  # type: ignore[return-value]

    def _host_call(self, code: NativeCode, frame: int, reply: int) -> None:
        function = self._host(reply)
        block = self._engine.glue.threads.current()
        arguments = function.convention.arguments.read(block.view, frame - block.values)
        self._give(function, frame, function.host.call(arguments, lambda: code.instance))

    def _host_result(self, code: NativeCode, frame: int, reply: int) -> None:
        function = self._host(reply)
        self._give(function, frame, signature(function.type).results(function.host.name, _object(reply)))

    def _give(self, function: NativeHostFunction, frame: int, result: Any) -> None:
        """Put the internal result of a host function where machine code looks for it."""
        results = function.convention.results
        block = self._engine.glue.threads.current()
        if len(function.type.results) == 1:
            results.write(block.view, frame - block.values, (result,))
        elif results.size:
            results.write(block.view, frame - block.values, result)

    # ------------------------------------------------------------------------------------------------ memories

    def _memory_grow(self, code: NativeCode, operands: Operands) -> None:
        memory = code.instance.memories[operands[1]]
        operands[0] = memory.extend(operands.index(0, memory.type.address))

    def _memory_init(self, code: NativeCode, operands: Operands) -> None:
        memory = code.instance.memories[operands[4]]
        data = code.instance.data[operands[3]]
        start, count = operands.u32(1), operands.u32(2)
        if start + count > len(data):
            raise traps.data_access(start, count, len(data))
        memory.initialize(operands.index(0, memory.type.address), data[start : start + count])

    def _outside_32(self, code: NativeCode, operands: Operands) -> None:
        self._outside(operands.u32(0), operands.u32(1), operands.u32(2), operands)

    def _outside_64(self, code: NativeCode, operands: Operands) -> None:
        self._outside(operands[0], operands[1], operands[2], operands)

    @staticmethod
    def _outside(target: int, source: int, count: int, operands: Operands) -> None:
        # A pair is the base and the length of a memory; there is none for the source of memory.fill.
        for start, pair in ((source, operands[4]), (target, operands[3])):
            if pair and start + count > (length := _read(pair + 8)):
                raise traps.memory_access(start, count, length)

    def _data_drop(self, code: NativeCode, operands: Operands) -> None:
        code.instance.data[operands[0]] = b""

    def _wait32(self, code: NativeCode, operands: Operands) -> None:
        self._atomic("memory.atomic.wait32", code, operands, (operands.u32(1), operands[2]), 3)

    def _wait64(self, code: NativeCode, operands: Operands) -> None:
        self._atomic("memory.atomic.wait64", code, operands, (operands[1], operands[2]), 3)

    def _notify(self, code: NativeCode, operands: Operands) -> None:
        self._atomic("memory.atomic.notify", code, operands, (operands.u32(1),), 2)

    @staticmethod
    def _atomic(name: str, code: NativeCode, operands: Operands, arguments: tuple[int, ...], immediates: int) -> None:
        index = operands[immediates]
        memory = code.instance.memories[index]
        address = operands.index(0, memory.type.address) + operands[immediates + 1]
        operands[0] = ATOMICS[name](code.monitor(index), memory.view(), address, *arguments) or 0

    # ------------------------------------------------------------------------------------------------ tables

    @staticmethod
    def _native_table(code: NativeCode, index: int) -> NativeTable:
        return code.instance.tables[index]  # type: ignore[return-value]

    def _table_grow(self, code: NativeCode, operands: Operands) -> None:
        table = self._native_table(code, operands[2])
        operands[0] = table.extend_native(operands.index(1, table.type.address), operands[0])

    def _table_fill(self, code: NativeCode, operands: Operands) -> None:
        table = self._native_table(code, operands[3])
        address = table.type.address
        start, count = operands.index(0, address), operands.index(2, address)
        if start + count > len(table):
            raise traps.table_access(start, count, len(table))
        table.fill_native(start, count, operands[1])

    def _table_copy(self, code: NativeCode, operands: Operands) -> None:
        target, source = self._native_table(code, operands[3]), self._native_table(code, operands[4])
        to, of = target.type.address, source.type.address
        end, start = operands.index(0, to), operands.index(1, of)
        count = operands.index(2, to if to is not I64 else of)
        if start + count > len(source):
            raise traps.table_access(start, count, len(source))
        if end + count > len(target):
            raise traps.table_access(end, count, len(target))
        ctypes.memmove(target.base + 8 * end, source.base + 8 * start, 8 * count)

    def _table_init(self, code: NativeCode, operands: Operands) -> None:
        table = self._native_table(code, operands[4])
        elements = code.instance.elements[operands[3]]
        start, count = operands.u32(1), operands.u32(2)
        if start + count > len(elements):
            raise traps.element_access(start, count, len(elements))
        table.write(operands.index(0, table.type.address), elements[start : start + count])

    def _elem_drop(self, code: NativeCode, operands: Operands) -> None:
        code.instance.elements[operands[0]] = []

    def _ref_func(self, code: NativeCode, operands: Operands) -> None:
        operands[0] = code.record(operands[0])

    # ------------------------------------------------------------------------------------------------ exceptions

    def _throw(self, code: NativeCode, operands: Operands) -> None:
        tag = code.instance.tags[operands[0]]
        slots = self._engine.references.slots(tag.type.params)
        block = self._engine.glue.threads.current()
        values = slots.read(block.view, operands.address - slots.size - block.values)
        raise Thrown(ExceptionPackage(tag, tuple(values)))

    def _throw_ref(self, code: NativeCode, operands: Operands) -> None:
        package = self._engine.references.object(operands[0])
        if package is None:
            raise Trap(TrapKind.NULL_REFERENCE)
        raise Thrown(package)

    def _catch(self, package: ExceptionPackage, thrower: NativeCode, reply: int) -> bool:
        """Find the handler of an exception in this activation; whether there is one, and machine code is to go on there.

        Expired if the time is over: machine code does not look when it goes on at a handler.
        """
        returned()
        caller = _read(reply + Reply.CALLER)
        stack = (ctypes.c_uint64 * _STACK_WORDS).from_address(caller)
        for place, at, _ in walk_all(stack[0], thrower.address, stack, 1, _STACK_WORDS):
            placed = place.placed
            region = placed.code.covered.get(place.pc - placed.start)
            while region is not None:
                catches, parent = placed.code.regions[region]
                # In its body such a function keeps its frame and its context at the top of its native stack.
                frame, context = stack[at], stack[at + 1]
                tags = self._engine.instances[context].instance.tags
                for clause in catches:
                    if clause.tag is None or tags[clause.tag] is package.tag:
                        self._deliver(clause, frame, package)
                        _write(reply + Reply.PC, placed.start + clause.landing)
                        _write(reply + Reply.STACK, caller + 8 * at)
                        _write(reply + Reply.FRAME, frame)
                        _write(reply + Reply.CONTEXT, context)
                        return True
                region = parent
        return False

    def _deliver(self, clause: Catch, frame: int, package: ExceptionPackage) -> None:
        """Put what a clause gives into the frame of its function."""
        references = self._engine.references
        block = self._engine.glue.threads.current()
        at = frame + clause.values - block.values
        if clause.kind in (CatchKind.CATCH, CatchKind.CATCH_REF):
            slots = references.slots(package.tag.type.params)
            slots.write(block.view, at, package.values)
            at += slots.size
        if clause.kind in (CatchKind.CATCH_REF, CatchKind.CATCH_ALL_REF):
            references.slots((EXNREF,)).write(block.view, at, (package,))


def answer(context: int, service: int, frame: int, reply: int) -> int:
    """What machine code calls."""
    code: NativeCode = contexts[context]
    return code.engine.services.answer(code, service, frame, reply)


@functools.cache
def answering() -> int:
    """The number by which machine code knows `answer`."""
    return python.host().reference(answer)


def _object(reply: int) -> Any:
    return ctypes.py_object.from_address(reply + Reply.OBJECT).value


def _read(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _write(address: int, value: int) -> None:
    ctypes.c_uint64.from_address(address).value = value
