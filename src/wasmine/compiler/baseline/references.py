"""References, tables, and what happens to whole ranges of memories and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.compiler.baseline.emitter import Told
from wasmine.compiler.baseline.numeric import needed
from wasmine.compiler.baseline.state import CONSTANT, PENDING, PINNED, REGISTER, State
from wasmine.compiler.code import RelocationKind, Service
from wasmine.errors import TrapKind
from wasmine.format.types import I64

if TYPE_CHECKING:
    from wasmine.compiler.baseline.calls import Calls
    from wasmine.compiler.baseline.control import Control
    from wasmine.compiler.baseline.state import Entry
    from wasmine.format.types import NumberType, ValueType


def _letter(address: NumberType) -> str:
    return "I" if address is I64 else "i"


class References:
    """The handlers of these instructions."""

    def __init__(self, state: State, control: Control, calls: Calls) -> None:
        self._state = state
        self._machine = state.machine
        self._control = control
        self._calls = calls
        self._is_zero = needed(state, "i64.eqz", "R")

    # ------------------------------------------------------------------------------------------------ references

    def null(self, _: object) -> None:
        """ref.null"""
        self._state.stack.append((CONSTANT, "I", 0))

    def is_null(self, _: ValueType) -> None:
        """ref.is_null"""
        self._state.stack.append(self._null_test(self._state.stack.pop()))

    def _null_test(self, entry: Entry) -> Entry:
        if entry[0] > PINNED:
            entry = self._state.in_register(entry)
        return (PENDING, "i", self._is_zero, entry[2], 0, 0, entry[0] == REGISTER, False, 0)

    def as_non_null(self, _: ValueType) -> None:
        """ref.as_non_null"""
        state = self._state
        entry = state.in_register(state.stack.pop())
        if state.reads:
            state.flush_reads()
        emitter = state.emitter
        emitter.code += self._machine.compare_zero(entry[2])
        emitter.trap_if(self._machine.EQUAL, TrapKind.NULL_REFERENCE, state.position())
        state.stack.append(entry)

    def br_on_null(self, depth: int, _: ValueType) -> None:
        """br_on_null: what it tests stays on the stack if it is not null."""
        state = self._state
        entry = state.in_register(state.stack.pop())
        state.stack.append(self._control.branch_if(depth, entry, holds=False, keep=True))

    def br_on_non_null(self, depth: int, _: ValueType) -> None:
        """br_on_non_null: the branch takes the reference along."""
        self._control.branch_with(depth)

    def func(self, index: int) -> None:
        """ref.func: the record's address is in the context, or is asked for."""
        state, emitter, machine = self._state, self._state.emitter, self._machine
        place = state.layout.records[index]
        if index < state.context.imported_functions:
            register = state.general()
            emitter.code += machine.load(register, machine.CONTEXT, place)
            state.stack.append((REGISTER, "I", register))
            return
        position = state.position()
        frame = self._calls.arguments(0)
        state.deepest = max(state.deepest, frame + 8)
        emitter.code += machine.load(machine.GENERAL_RESULT, machine.CONTEXT, place)
        emitter.code += machine.compare_zero(machine.GENERAL_RESULT)
        field = emitter.jump_if(machine.EQUAL)
        back = len(emitter.code)

        def ask() -> None:
            emitter.land([field])
            self._calls.set_slot(frame, index)
            self._calls.call_host(Service.REF_FUNC, frame, position)
            emitter.code += machine.load(machine.GENERAL_RESULT, machine.FRAME, frame)
            emitter.aim(emitter.jump(), back)

        emitter.later(ask)
        state.truncate(len(state.stack))
        state.push_result("I", frame)

    # ------------------------------------------------------------------------------------------------ tables

    def table_size(self, table: int) -> None:
        """table.size"""
        state = self._state
        register = state.general()
        state.emitter.code += self._machine.load(register, self._machine.CONTEXT, state.layout.tables[table] + 8)
        state.stack.append((REGISTER, _letter(state.context.tables[table].address), register))

    def _element(self, index: Entry, table: int) -> None:
        """The base of a table into RECORD, the index checked."""
        state, machine = self._state, self._machine
        place = state.layout.tables[table]
        emitter = state.emitter
        emitter.code += machine.compare(index[2], machine.CONTEXT, place + 8)
        emitter.trap_if(machine.NOT_BELOW, TrapKind.TABLE_OUT_OF_BOUNDS, state.position(), Told(index[2]))
        emitter.code += machine.load(machine.RECORD, machine.CONTEXT, place)

    def table_get(self, table: int) -> None:
        """table.get"""
        state = self._state
        index = state.in_register(state.stack.pop())
        if state.reads:
            state.flush_reads()
        # Taken before there is anything in rax: others may have to be computed and stored for it.
        register = index[2] if index[0] == REGISTER else state.general()
        self._element(index, table)
        state.emitter.code += self._machine.load_element(register, index[2])
        state.stack.append((REGISTER, "I", register))

    def table_set(self, table: int) -> None:
        """table.set"""
        state = self._state
        value = state.in_register(state.stack.pop())
        index = state.in_register(state.stack.pop())
        if state.reads:
            state.flush_reads()
        self._element(index, table)
        state.emitter.code += self._machine.store_element(value[2], index[2])
        state.release(value)
        state.release(index)

    def table_grow(self, table: int) -> None:
        """table.grow"""
        address = self._state.context.tables[table].address
        self._calls.service(Service.TABLE_GROW, 2, (table,), _letter(address))

    def table_fill(self, table: int) -> None:
        """table.fill"""
        self._calls.service(Service.TABLE_FILL, 3, (table,), "")

    def table_copy(self, target: int, source: int) -> None:
        """table.copy"""
        self._calls.service(Service.TABLE_COPY, 3, (target, source), "")

    def table_init(self, segment: int, table: int) -> None:
        """table.init"""
        self._calls.service(Service.TABLE_INIT, 3, (segment, table), "")

    def elem_drop(self, segment: int) -> None:
        """elem.drop"""
        self._calls.service(Service.ELEM_DROP, 0, (segment,), "")

    # ------------------------------------------------------------------------------------------------ memories

    def memory_grow(self, memory: int) -> None:
        """memory.grow"""
        address = self._state.context.memories[memory].address
        self._calls.service(Service.MEMORY_GROW, 1, (memory,), _letter(address))

    def memory_init(self, segment: int, memory: int) -> None:
        """memory.init"""
        self._calls.service(Service.MEMORY_INIT, 3, (segment, memory), "")

    def data_drop(self, segment: int) -> None:
        """data.drop"""
        self._calls.service(Service.DATA_DROP, 0, (segment,), "")

    def memory_copy(self, target: int, source: int) -> None:
        """memory.copy"""
        to, of = (self._state.context.memories[index].address is I64 for index in (target, source))
        self._bulk("copy", (to, of, to and of), target, source)

    def memory_fill(self, memory: int) -> None:
        """memory.fill"""
        wide = self._state.context.memories[memory].address is I64
        self._bulk("fill", (wide, wide, wide), memory)

    def _bulk(self, name: str, wide: tuple[bool, bool, bool], target: int, source: int = 0) -> None:
        """Call the blob's sequence, which spares all registers that operands may be in."""
        state = self._state
        position = state.position()
        place = self._calls.arguments(3)
        memories = state.layout.memories
        code, machine = state.emitter.code, self._machine
        bits = 64 if any(wide) else 32
        for number, is_wide in enumerate(wide):
            if bits == 64 and not is_wide:
                code += machine.set_slot_32(place + 8 * number + 4, 0)
        code += machine.address(machine.BULK_OPERANDS, machine.FRAME, place)
        code += machine.address(machine.BULK_TARGET, machine.CONTEXT, memories[target])
        if name == "copy":
            code += machine.address(machine.BULK_SOURCE, machine.CONTEXT, memories[source])
        self._calls.called(machine.CALL_SYMBOL, position, (RelocationKind.SYMBOL, f"{name}{bits}"))
        state.truncate(len(state.stack) - 3)

    def notify(self, offset: int, memory: int, _: int) -> None:
        """memory.atomic.notify"""
        self._calls.service(Service.ATOMIC_NOTIFY, 2, (memory, offset), "i")

    def wait_32(self, offset: int, memory: int, _: int) -> None:
        """memory.atomic.wait32"""
        self._calls.service(Service.ATOMIC_WAIT32, 3, (memory, offset), "i")

    def wait_64(self, offset: int, memory: int, _: int) -> None:
        """memory.atomic.wait64"""
        self._calls.service(Service.ATOMIC_WAIT64, 3, (memory, offset), "i")
