"""Calls of functions: direct, imported, through tables and references; tail calls; calls of the runtime's services."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from wasmine.compiler.baseline.emitter import Told
from wasmine.compiler.baseline.state import SLOT, State, letters_of, size_of
from wasmine.compiler.code import Relocation, RelocationKind
from wasmine.compiler.machine.layout import Record
from wasmine.errors import TrapKind
from wasmine.format.types import DefinedType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.baseline.control import Control
    from wasmine.compiler.baseline.state import Entry
    from wasmine.compiler.code import Service
    from wasmine.format.types import FuncType


class Calls:
    """The handlers of calls. Arguments are put into their places, which are the first locals of the callee."""

    def __init__(self, state: State, control: Control) -> None:
        self._state = state
        self._emitter = state.emitter
        self._machine = state.machine
        self._control = control
        self._index = 0
        self.covered: dict[int, int] = {}
        self._leave: Sequence[bytes] = ()

    def reset(self, index: int) -> None:
        """Begin function `index`."""
        self._index = index
        self.covered = {}

    # ------------------------------------------------------------------------------------------------ the sequences

    def arguments(self, count: int) -> int:
        """Put arguments into their places, everything else out of temporary registers; where the arguments start."""
        return self._state.settle_top(count)

    def called(self, code: bytes, position: int, relocation: tuple[RelocationKind, int | str] | None = None) -> None:
        """Append a call instruction. Behind the body, it may not throw."""
        emitter = self._emitter
        emitter.sites.append((len(emitter.code), position))
        emitter.code += code
        end = len(emitter.code)
        if relocation is not None:
            emitter.relocations.append(Relocation(end - self._machine.REFERENCE, *relocation))
        labels = self._control.labels
        region = labels[-1].region if labels else None
        if region is not None:
            self.covered[end] = region

    def _returned(self, count: int, results: str, place: int) -> None:
        """Behind a call: its arguments are gone, its results are there."""
        state = self._state
        state.truncate(len(state.stack) - count)
        state.push_result(results, place)

    def call(self, index: int) -> None:
        """call"""
        state, emitter, machine = self._state, self._emitter, self._machine
        position = state.position()
        type = state.context.signatures[index]
        count = len(type.params)
        place = self.arguments(count)
        if index < state.context.imported_functions:
            emitter.code += machine.load(machine.RECORD, machine.CONTEXT, state.layout.records[index])
            emitter.code += machine.add_frame(place)
            self.called(machine.CALL_SYMBOL, position, (RelocationKind.SYMBOL, "call_record"))
        else:
            emitter.code += machine.add_frame(place)
            if index == self._index:
                self.called(machine.CALL, position)
                emitter.aim(len(emitter.code) - 4, 0)
            else:
                self.called(machine.CALL_FUNCTION, position, (RelocationKind.FUNCTION, index))
        emitter.code += machine.add_frame(-place)
        self._returned(count, letters_of(type.results), place)

    def call_indirect(self, type_index: int, table: int) -> None:
        """call_indirect"""
        position = self._state.position()
        entry = self._state.in_register(self._state.stack.pop())
        place = self.arguments(len(self._type(type_index).params))
        self._find_element(entry, type_index, table, position)
        self._call_record(type_index, place, position)

    def call_ref(self, type_index: int) -> None:
        """call_ref"""
        position = self._state.position()
        entry = self._state.in_register(self._state.stack.pop())
        place = self.arguments(len(self._type(type_index).params))
        self._find_reference(entry, position)
        self._call_record(type_index, place, position)

    def _type(self, index: int) -> FuncType:
        return cast("FuncType", self._state.context.types[index].composite)

    def _find_reference(self, entry: Entry, position: int) -> None:
        """The record of a function reference into RECORD."""
        code, machine = self._emitter.code, self._machine
        code += machine.move(machine.RECORD, entry[2])
        code += machine.compare_zero(machine.RECORD)
        self._emitter.trap_if(machine.EQUAL, TrapKind.NULL_REFERENCE, position)

    def _find_element(self, entry: Entry, type_index: int, table: int, position: int) -> None:
        """The record of the function in an element of a table into RECORD, its type checked."""
        emitter, layout, machine = self._emitter, self._state.layout, self._machine
        code = emitter.code
        place = layout.tables[table]
        code += machine.compare(entry[2], machine.CONTEXT, place + 8)
        emitter.trap_if(machine.NOT_BELOW, TrapKind.TABLE_OUT_OF_BOUNDS, position, Told(entry[2]))
        code += machine.load(machine.RECORD, machine.CONTEXT, place)
        code += machine.load_element(machine.RECORD, entry[2])
        expected = self._state.context.types[type_index]
        element = self._state.context.tables[table].element
        if element.nullable:
            code += machine.compare_zero(machine.RECORD)
            emitter.trap_if(machine.EQUAL, TrapKind.UNINITIALIZED_ELEMENT, position)
        if isinstance(element.heap, DefinedType) and element.heap.is_subtype_of(expected):
            return
        number = layout.types[type_index]
        found = Told(machine.RECORD)
        code += machine.load(machine.SCRATCH, machine.RECORD, Record.TYPE)
        code += machine.compare(machine.SCRATCH, machine.CONTEXT, number)
        if expected.final:
            emitter.trap_if(machine.NOT_EQUAL, TrapKind.INDIRECT_CALL_TYPE_MISMATCH, position, found)
            return
        field = emitter.jump_if(machine.NOT_EQUAL)
        back = len(code)

        def check_supertypes() -> None:
            # The display: how many types, then their numbers from the root down.
            emitter.land([field])
            code.extend(machine.load(machine.SCRATCH, machine.RECORD, Record.SUPERTYPES))
            code.extend(machine.compare_word(machine.SCRATCH, expected.depth))
            emitter.trap_if(machine.NOT_ABOVE, TrapKind.INDIRECT_CALL_TYPE_MISMATCH, position, found)
            code.extend(machine.load(machine.SCRATCH, machine.SCRATCH, 8 + 8 * expected.depth))
            code.extend(machine.compare(machine.SCRATCH, machine.CONTEXT, number))
            emitter.trap_if(machine.NOT_EQUAL, TrapKind.INDIRECT_CALL_TYPE_MISMATCH, position, found)
            emitter.aim(emitter.jump(), back)

        emitter.later(check_supertypes)

    def _call_record(self, type_index: int, place: int, position: int) -> None:
        """Call the function whose record is in RECORD."""
        emitter, machine = self._emitter, self._machine
        code = emitter.code
        code += machine.add_frame(place)
        code += machine.IS_OWN_RECORD
        field = emitter.jump_if(machine.NOT_EQUAL)
        self.called(machine.CALL_RECORD, position)
        back = len(code)
        region = self._control.labels[-1].region

        def call_other() -> None:
            emitter.land([field])
            emitter.sites.append((len(code), position))
            code.extend(machine.CALL_SYMBOL)
            emitter.relocations.append(Relocation(len(code) - machine.REFERENCE, RelocationKind.SYMBOL, "call_record"))
            if region is not None:
                self.covered[len(code)] = region
            emitter.aim(emitter.jump(), back)

        emitter.later(call_other)
        code += machine.add_frame(-place)
        type = self._type(type_index)
        self._returned(len(type.params), letters_of(type.results), place)

    # ------------------------------------------------------------------------------------------------ tail calls

    def return_call(self, index: int) -> None:
        """return_call"""
        state, emitter, machine = self._state, self._emitter, self._machine
        params = letters_of(state.context.signatures[index].params)
        place = self.arguments(len(params))
        imported = index < state.context.imported_functions
        if imported:
            emitter.code += machine.load(machine.KEPT, machine.CONTEXT, state.layout.records[index])
        self._leave_frame(params, place)
        if imported:
            emitter.code += machine.move(machine.RECORD, machine.KEPT)
            self._jump(machine.JUMP_SYMBOL, (RelocationKind.SYMBOL, "jump_record"))
        elif index == self._index:
            emitter.aim(emitter.jump(), 0)
        else:
            self._jump(machine.JUMP_FUNCTION, (RelocationKind.FUNCTION, index))

    def return_call_indirect(self, type_index: int, table: int) -> None:
        """return_call_indirect"""
        position = self._state.position()
        entry = self._state.in_register(self._state.stack.pop())
        params = letters_of(self._type(type_index).params)
        place = self.arguments(len(params))
        self._find_element(entry, type_index, table, position)
        self._jump_record(params, place)

    def return_call_ref(self, type_index: int) -> None:
        """return_call_ref"""
        position = self._state.position()
        entry = self._state.in_register(self._state.stack.pop())
        params = letters_of(self._type(type_index).params)
        place = self.arguments(len(params))
        self._find_reference(entry, position)
        self._jump_record(params, place)

    def _jump_record(self, params: str, place: int) -> None:
        emitter, machine = self._emitter, self._machine
        # Copying arguments uses RECORD.
        emitter.code += machine.move(machine.KEPT, machine.RECORD)
        self._leave_frame(params, place)
        emitter.code += machine.move(machine.RECORD, machine.KEPT)
        emitter.code += machine.IS_OWN_RECORD
        field = emitter.jump_if(machine.NOT_EQUAL)
        emitter.code += machine.JUMP_RECORD

        def jump_other() -> None:
            emitter.land([field])
            self._jump(machine.JUMP_SYMBOL, (RelocationKind.SYMBOL, "jump_record"))

        emitter.later(jump_other)

    def _jump(self, code: bytes, relocation: tuple[RelocationKind, int | str]) -> None:
        self._emitter.code += code
        self._emitter.relocations.append(Relocation(len(self._emitter.code) - self._machine.REFERENCE, *relocation))

    def _leave_frame(self, params: str, place: int) -> None:
        """Restore the caller's registers and move arguments down to where the frame begins."""
        state = self._state
        # The vectors first: the arguments may go to where they are kept.
        state.emitter.code += self._control.restore_vectors
        target = 0
        for letter in params:
            state.copy_slot(letter, target, place)
            size = size_of(letter)
            target += size
            place += size
        state.emitter.code += self._control.pops

    # ------------------------------------------------------------------------------------------------ services

    def service(self, number: Service, operands: int, immediates: Sequence[int], results: str) -> None:
        """Call a runtime service with operands from the stack."""
        state = self._state
        position = state.position()
        place = self.arguments(operands)
        end = state.place(len(state.stack))
        for immediate in immediates:
            self.set_slot(end, immediate)
            end += 8
        state.deepest = max(state.deepest, end, place + 8)
        self.call_host(number, place, position)
        state.truncate(len(state.stack) - operands)
        if results:
            state.stack.append((SLOT, results, place, False))

    def call_host(self, number: Service, place: int, position: int) -> None:
        """Call a service with the frame at `place`."""
        code, machine = self._emitter.code, self._machine
        code += machine.add_frame(place)
        code += machine.set_service(number)
        self.called(machine.CALL_SYMBOL, position, (RelocationKind.SYMBOL, "call_host"))
        code += machine.add_frame(-place)

    def set_slot(self, place: int, value: int) -> None:
        """Store a constant."""
        self._emitter.code += self._machine.set_slot_64(place, value)
