"""Calls of functions: direct, imported, through tables and references; tail calls; calls of the runtime's services."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from wasmine.compiler.baseline.state import SLOT, State, letters_of, size_of
from wasmine.compiler.code import Relocation, RelocationKind
from wasmine.compiler.machine.amd64 import instructions as assembler
from wasmine.compiler.machine.amd64.instructions import R12, RAX, RCX
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
        """Append a call instruction."""
        emitter = self._emitter
        emitter.sites.append((len(emitter.code), position))
        emitter.code += code
        end = len(emitter.code)
        if relocation is not None:
            emitter.relocations.append(Relocation(end - 4, *relocation))
        region = self._control.labels[-1].region
        if region is not None:
            self.covered[end] = region

    def _returned(self, count: int, results: str, place: int) -> None:
        """Behind a call: its arguments are gone, its results are there."""
        state = self._state
        state.truncate(len(state.stack) - count)
        state.push_result(results, place)

    def call(self, index: int) -> None:
        """call"""
        state, emitter = self._state, self._emitter
        position = state.position()
        type = state.context.signatures[index]
        count = len(type.params)
        place = self.arguments(count)
        if index < state.context.imported_functions:
            emitter.code += assembler.load(RAX, R12, state.layout.records[index])
            emitter.code += assembler.add_frame(place)
            self.called(assembler.CALL, position, (RelocationKind.SYMBOL, "call_record"))
        else:
            emitter.code += assembler.add_frame(place)
            if index == self._index:
                self.called(assembler.CALL, position)
                emitter.aim(len(emitter.code) - 4, 0)
            else:
                self.called(assembler.CALL_THROUGH, position, (RelocationKind.FUNCTION, index))
        emitter.code += assembler.add_frame(-place)
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
        """The record of a function reference into rax."""
        code = self._emitter.code
        code += assembler.move(RAX, entry[2])
        code += assembler.IS_NULL
        self._emitter.trap_if(assembler.EQUAL, TrapKind.NULL_REFERENCE, position)

    def _find_element(self, entry: Entry, type_index: int, table: int, position: int) -> None:
        """The record of the function in an element of a table into rax, its type checked."""
        emitter, layout = self._emitter, self._state.layout
        code = emitter.code
        place = layout.tables[table]
        code += assembler.compare(entry[2], R12, place + 8)
        emitter.trap_if(assembler.NOT_BELOW, TrapKind.TABLE_OUT_OF_BOUNDS, position)
        code += assembler.load(RAX, R12, place)
        code += assembler.load_element(entry[2])
        expected = self._state.context.types[type_index]
        element = self._state.context.tables[table].element
        if element.nullable:
            code += assembler.IS_NULL
            emitter.trap_if(assembler.EQUAL, TrapKind.UNINITIALIZED_ELEMENT, position)
        if isinstance(element.heap, DefinedType) and element.heap.is_subtype_of(expected):
            return
        number = layout.types[type_index]
        code += assembler.load(RCX, RAX, Record.TYPE)
        code += assembler.compare(RCX, R12, number)
        if expected.final:
            emitter.trap_if(assembler.NOT_EQUAL, TrapKind.INDIRECT_CALL_TYPE_MISMATCH, position)
            return
        field = emitter.jump_if(assembler.NOT_EQUAL)
        back = len(code)

        def check_supertypes() -> None:
            # The display: how many types, then their numbers from the root down.
            emitter.land([field])
            code.extend(assembler.load(RCX, RAX, Record.SUPERTYPES))
            code.extend(assembler.compare_memory(RCX, expected.depth))
            emitter.trap_if(assembler.NOT_ABOVE, TrapKind.INDIRECT_CALL_TYPE_MISMATCH, position)
            code.extend(assembler.load(RCX, RCX, 8 + 8 * expected.depth))
            code.extend(assembler.compare(RCX, R12, number))
            emitter.trap_if(assembler.NOT_EQUAL, TrapKind.INDIRECT_CALL_TYPE_MISMATCH, position)
            emitter.aim(emitter.jump(), back)

        emitter.later(check_supertypes)

    def _call_record(self, type_index: int, place: int, position: int) -> None:
        """Call the function whose record is in rax."""
        emitter = self._emitter
        code = emitter.code
        code += assembler.add_frame(place)
        code += assembler.IS_OWN_RECORD
        field = emitter.jump_if(assembler.NOT_EQUAL)
        self.called(assembler.CALL_RECORD, position)
        back = len(code)
        region = self._control.labels[-1].region

        def call_other() -> None:
            emitter.land([field])
            emitter.sites.append((len(code), position))
            code.extend(assembler.CALL)
            emitter.relocations.append(Relocation(len(code) - 4, RelocationKind.SYMBOL, "call_record"))
            if region is not None:
                self.covered[len(code)] = region
            emitter.aim(emitter.jump(), back)

        emitter.later(call_other)
        code += assembler.add_frame(-place)
        type = self._type(type_index)
        self._returned(len(type.params), letters_of(type.results), place)

    # ------------------------------------------------------------------------------------------------ tail calls

    def return_call(self, index: int) -> None:
        """return_call"""
        state, emitter = self._state, self._emitter
        params = letters_of(state.context.signatures[index].params)
        place = self.arguments(len(params))
        imported = index < state.context.imported_functions
        if imported:
            emitter.code += assembler.load(assembler.R9, R12, state.layout.records[index])
        self._leave_frame(params, place)
        if imported:
            emitter.code += assembler.move(RAX, assembler.R9)
            self._jump(assembler.JUMP, (RelocationKind.SYMBOL, "jump_record"))
        elif index == self._index:
            emitter.aim(emitter.jump(), 0)
        else:
            self._jump(assembler.JUMP_THROUGH, (RelocationKind.FUNCTION, index))

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
        emitter = self._emitter
        # Copying arguments uses rax.
        emitter.code += assembler.move(assembler.R9, RAX)
        self._leave_frame(params, place)
        emitter.code += assembler.move(RAX, assembler.R9)
        emitter.code += assembler.IS_OWN_RECORD
        field = emitter.jump_if(assembler.NOT_EQUAL)
        emitter.relocations.append(Relocation(field, RelocationKind.SYMBOL, "jump_record"))
        emitter.code += assembler.JUMP_RECORD

    def _jump(self, code: bytes, relocation: tuple[RelocationKind, int | str]) -> None:
        self._emitter.code += code
        self._emitter.relocations.append(Relocation(len(self._emitter.code) - 4, *relocation))

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
        code = self._emitter.code
        code += assembler.add_frame(place)
        code += assembler.set_eax(number)
        self.called(assembler.CALL, position, (RelocationKind.SYMBOL, "call_host"))
        code += assembler.add_frame(-place)

    def set_slot(self, place: int, value: int) -> None:
        """Store a constant."""
        self._emitter.code += assembler.set_slot_64(place, value)
