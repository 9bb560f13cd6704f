"""What machine code asks of Python: host functions, growing, bulk operations on tables, waiting, exceptions.

There is one C callback for an engine. It never lets an exception out: what Python raises is kept in the thread's block,
and the number that it returns makes the machine code leave its call, or go on at a handler.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

from wasmine.compiler import values
from wasmine.compiler.code import FIRST_HOST, Catch, CatchKind, Service
from wasmine.compiler.machine import layout
from wasmine.compiler.machine.glue import HostCallback
from wasmine.compiler.machine.layout import Thread
from wasmine.compiler.unwind import walk
from wasmine.errors import Trap, TrapKind, WasmException
from wasmine.format.types import EXNREF, I64
from wasmine.interpreter.atomics import ATOMICS
from wasmine.interpreter.thrown import Thrown, from_public, to_public
from wasmine.runtime.reference import ExceptionPackage

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.engine import CompilerEngine
    from wasmine.compiler.instance import NativeCode
    from wasmine.compiler.machine.threads import ThreadBlock
    from wasmine.compiler.table import NativeTable
    from wasmine.format.types import NumberType

_MASK32: Final = 0xFFFF_FFFF


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
        self._callback = HostCallback(self._answer)
        address = ctypes.cast(self._callback, ctypes.c_void_p).value
        assert address is not None
        self.callback_address = address
        self._table: dict[int, Callable[[NativeCode, Operands], object]] = {
            Service.MEMORY_GROW: self._memory_grow,
            Service.MEMORY_INIT: self._memory_init,
            Service.DATA_DROP: self._data_drop,
            Service.MEMORY_COPY: self._memory_copy,
            Service.MEMORY_FILL: self._memory_fill,
            Service.TABLE_GROW: self._table_grow,
            Service.TABLE_FILL: self._table_fill,
            Service.TABLE_COPY: self._table_copy,
            Service.TABLE_INIT: self._table_init,
            Service.ELEM_DROP: self._elem_drop,
            Service.REF_FUNC: self._ref_func,
            Service.ATOMIC_NOTIFY: self._notify,
            Service.ATOMIC_WAIT32: self._wait32,
            Service.ATOMIC_WAIT64: self._wait64,
            Service.THROW: self._throw,
            Service.THROW_REF: self._throw_ref,
        }

    def _answer(self, context: int, service: int, frame: int) -> int:
        block = self._engine.glue.threads.current()
        # The block's notes of this call: nested calls, made by what is called now, overwrite them.
        stack = block[Thread.TRAP_STACK]
        top = block.top
        try:
            code = self._engine.instances[context]
            if service == layout.COMPILE:
                block[Thread.RESUME_PC] = code.module.compile(frame or 0)
                return 0
            if service >= FIRST_HOST:
                self._call_host(block, code, service - FIRST_HOST, frame)
            else:
                self._table[service](code, Operands(frame))
            return 0
        except Trap as trap:
            if trap.frames or trap.detail:
                block.pending = trap
                return layout.PYTHON_EXCEPTION
            return layout.trap_number(trap.kind)
        except Thrown as thrown:
            return self._unwind(block, stack, thrown.package, to_public)
        except WasmException as error:
            same = error
            return self._unwind(block, stack, from_public(error).package, lambda _: same)
        except BaseException as error:  # KeyboardInterrupt and SystemExit too: they go on in `CompilerEngine.call`
            block.pending = error
            return layout.PYTHON_EXCEPTION
        finally:
            block.top = top

    def _call_host(self, block: ThreadBlock, code: NativeCode, number: int, frame: int) -> None:
        function = self._engine.hosts[number]
        type, references = function.type, self._engine.references
        arguments = values.read(references, frame, type.params)
        block.top = frame + 8 * max(values.slot_count(type.params), values.slot_count(type.results))
        result = function.host.call(arguments, lambda: code.instance)
        if len(type.results) == 1:
            values.write(references, frame, type.results, (result,))
        elif type.results:
            values.write(references, frame, type.results, result)

    # ------------------------------------------------------------------------------------------------ memories

    def _memory_grow(self, code: NativeCode, operands: Operands) -> None:
        memory = code.instance.memories[operands[1]]
        operands[0] = memory.extend(operands.index(0, memory.type.address))

    def _memory_init(self, code: NativeCode, operands: Operands) -> None:
        memory = code.instance.memories[operands[4]]
        data = code.instance.data[operands[3]]
        start, count = operands.u32(1), operands.u32(2)
        if start + count > len(data):
            raise Trap(TrapKind.MEMORY_OUT_OF_BOUNDS)
        memory.initialize(operands.index(0, memory.type.address), data[start : start + count])

    def _data_drop(self, code: NativeCode, operands: Operands) -> None:
        code.instance.data[operands[0]] = b""

    def _memory_copy(self, code: NativeCode, operands: Operands) -> None:
        target, source = code.instance.memories[operands[3]], code.instance.memories[operands[4]]
        to, of = target.type.address, source.type.address
        start, end = operands.index(1, of), operands.index(0, to)
        count = operands.index(2, to if to is not I64 else of)
        if start + count > source.byte_length or end + count > target.byte_length:
            raise Trap(TrapKind.MEMORY_OUT_OF_BOUNDS)
        ctypes.memmove(target.base + end, source.base + start, count)  # type: ignore[attr-defined]

    def _memory_fill(self, code: NativeCode, operands: Operands) -> None:
        memory = code.instance.memories[operands[3]]
        address = memory.type.address
        start, count = operands.index(0, address), operands.index(2, address)
        if start + count > memory.byte_length:
            raise Trap(TrapKind.MEMORY_OUT_OF_BOUNDS)
        ctypes.memset(memory.base + start, operands[1] & 0xFF, count)  # type: ignore[attr-defined]

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
            raise Trap(TrapKind.TABLE_OUT_OF_BOUNDS)
        table.fill_native(start, count, operands[1])

    def _table_copy(self, code: NativeCode, operands: Operands) -> None:
        target, source = self._native_table(code, operands[3]), self._native_table(code, operands[4])
        to, of = target.type.address, source.type.address
        end, start = operands.index(0, to), operands.index(1, of)
        count = operands.index(2, to if to is not I64 else of)
        if start + count > len(source) or end + count > len(target):
            raise Trap(TrapKind.TABLE_OUT_OF_BOUNDS)
        ctypes.memmove(target.base + 8 * end, source.base + 8 * start, 8 * count)

    def _table_init(self, code: NativeCode, operands: Operands) -> None:
        table = self._native_table(code, operands[4])
        elements = code.instance.elements[operands[3]]
        start, count = operands.u32(1), operands.u32(2)
        if start + count > len(elements):
            raise Trap(TrapKind.TABLE_OUT_OF_BOUNDS)
        table.write(operands.index(0, table.type.address), elements[start : start + count])

    def _elem_drop(self, code: NativeCode, operands: Operands) -> None:
        code.instance.elements[operands[0]] = []

    def _ref_func(self, code: NativeCode, operands: Operands) -> None:
        operands[0] = code.record(operands[0])

    # ------------------------------------------------------------------------------------------------ exceptions

    def _throw(self, code: NativeCode, operands: Operands) -> None:
        tag = code.instance.tags[operands[0]]
        types = tag.type.params
        start = operands.address - 8 * values.slot_count(types)
        raise Thrown(ExceptionPackage(tag, tuple(values.read(self._engine.references, start, types))))

    def _throw_ref(self, code: NativeCode, operands: Operands) -> None:
        package = self._engine.references.object(operands[0])
        if package is None:
            raise Trap(TrapKind.NULL_REFERENCE)
        raise Thrown(package)

    def _unwind(
        self, block: ThreadBlock, stack: int, package: ExceptionPackage, public: Callable[[Thrown], BaseException]
    ) -> int:
        """Go on at the handler of an exception in this activation, or leave the activation with it."""

        def read(address: int) -> int:
            return ctypes.c_uint64.from_address(address).value

        for place in walk(read(stack), stack + 8, read, self._engine.glue.symbols):
            placed = place.placed
            region = placed.code.covered.get(place.pc - placed.start)
            while region is not None:
                catches, parent = placed.code.regions[region]
                # In its body such a function keeps its frame and its context at the top of its native stack.
                frame, context = read(place.stack), read(place.stack + 8)
                code = self._engine.instances[context]
                for clause in catches:
                    if clause.tag is None or code.instance.tags[clause.tag] is package.tag:
                        self._deliver(clause, frame, package)
                        block[Thread.RESUME_PC] = placed.start + clause.landing
                        block[Thread.RESUME_STACK] = place.stack
                        block[Thread.RESUME_FRAME] = frame
                        block[Thread.RESUME_CONTEXT] = context
                        return layout.RESUME
                region = parent
        block.pending = public(Thrown(package))
        return layout.PYTHON_EXCEPTION

    def _deliver(self, clause: Catch, frame: int, package: ExceptionPackage) -> None:
        """Put what a clause gives into the frame of its function."""
        at = frame + clause.values
        references = self._engine.references
        if clause.kind in (CatchKind.CATCH, CatchKind.CATCH_REF):
            types = package.tag.type.params
            values.write(references, at, types, package.values)
            at += 8 * values.slot_count(types)
        if clause.kind in (CatchKind.CATCH_REF, CatchKind.CATCH_ALL_REF):
            values.write(references, at, (EXNREF,), (package,))
