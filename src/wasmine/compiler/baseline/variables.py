"""Locals, globals, `drop` and `select`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.compiler.baseline.numeric import needed
from wasmine.compiler.baseline.operation import GENERAL, Operation
from wasmine.compiler.baseline.state import (
    CONSTANT,
    PENDING,
    PINNED,
    REGISTER,
    TYPE_NAMES,
    State,
    letter_of,
)

if TYPE_CHECKING:
    from wasmine.compiler.baseline.numeric import Handler
    from wasmine.compiler.baseline.state import Entry
    from wasmine.format.types import ValueType


def local_get(state: State) -> Handler:
    """The handler of `local.get`."""
    push, homes = state.stack.append, state.homes

    def handle(index: int) -> None:
        push(homes[index])

    return handle


def local_set(state: State) -> Handler:
    """The handler of `local.set`: an operation that is pending writes a pinned local's register itself."""
    stack, homes = state.stack, state.homes
    pop = stack.pop
    vacate, compute = state.vacate, state.compute
    covered = state.emitter.covered

    def handle(index: int) -> None:
        entry = pop()
        home = homes[index]
        if home[0] == PINNED:
            register = home[2]
            if stack:
                vacate(register, general=home[1] in GENERAL)
            compute(entry, register)
            if covered:
                covered.pop(register, None)
        else:
            if stack:
                state.vacate_slot(home[2])
            state.put(entry, home[2])

    return handle


def local_tee(state: State) -> Handler:
    """The handler of `local.tee`."""
    stack, homes = state.stack, state.homes
    pop, push = stack.pop, stack.append
    covered = state.emitter.covered

    def handle(index: int) -> None:
        entry = pop()
        home = homes[index]
        if home[0] == PINNED:
            if stack:
                state.vacate(home[2], general=home[1] in GENERAL)
            state.compute(entry, home[2])
            if covered:
                covered.pop(home[2], None)
            push(home)
            return
        if stack:
            state.vacate_slot(home[2])
        if entry[0] == CONSTANT:
            state.put(entry, home[2])
        else:
            entry = state.in_register(entry)
            state.store(entry[1], entry[2], home[2])
        push(entry)

    return handle


class Globals:
    """`global.get` and `global.set`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._gets: dict[tuple[str, str], Operation] = {}
        for letter, name in TYPE_NAMES.items():
            for kind in "VP":
                op = Operation(letter, "i")
                op.to = state.emitter.form(f"{name}.move! {kind} D")
                op.reads = True
                self._gets[letter, kind] = op
        form = state.emitter.form
        self._sets = {
            (letter, kind): form(f"{name}.move! R {kind}") for letter, name in TYPE_NAMES.items() for kind in "VP"
        }

    def _place(self, index: int) -> tuple[str, str, int]:
        context = self._state.context
        kind = "P" if index < context.imported_globals else "V"
        return letter_of(context.globals[index].value), kind, self._state.layout.globals[index]

    def get(self, index: int) -> None:
        """global.get"""
        letter, kind, offset = self._place(index)
        state = self._state
        state.reads += 1
        state.stack.append((PENDING, letter, self._gets[letter, kind], 0, 0, offset, False, False, 0))

    def set(self, index: int) -> None:
        """global.set"""
        letter, kind, offset = self._place(index)
        state = self._state
        entry = state.in_register(state.stack.pop())
        if state.reads:
            state.flush_reads()
        state.emitter.emit(self._sets[letter, kind], entry[2] << 8, offset)
        state.release(entry)


def drop(state: State) -> Handler:
    """The handler of `drop`."""
    pop, discard = state.stack.pop, state.discard

    def handle(_: ValueType) -> None:
        discard(pop())

    return handle


def select(state: State) -> Handler:
    """The handler of `select`: a conditional move, fused with the comparison before it."""
    stack = state.stack
    emitter = state.emitter
    zero_64 = needed(state, "i64.eqz", "R")

    def handle(*_: object) -> None:
        condition = stack.pop()
        y: Entry = stack.pop()
        x: Entry = stack.pop()
        letter = x[1]
        file = "g" if letter in GENERAL else letter
        if condition[0] == PENDING:
            if condition[2].opposite is not None:
                condition = (PENDING, "i", condition[2].opposite, *condition[3:])
                x, y = y, x
            if file not in condition[2].selects or _cramped(state, condition, y):
                condition = state.materialize(condition)
        if condition[0] != PENDING:
            # Whether it is 0: then y stays, or becomes x.
            condition = state.in_register(condition)
            condition = (PENDING, "i", zero_64, condition[2], 0, 0, condition[0] == REGISTER, False, 0)
            x, y = y, x
        kept = state.owned(x)
        other = state.in_register(y)
        _, _, op, a, b, value, _, _, position = condition
        if op.reads:
            state.reads -= 1
            emitter.sites.append((len(emitter.code), position))
        emitter.emit(op.selects[file], other[2] << 12 | a << 8 | b << 4 | kept[2], value, position)
        state.release(condition)
        state.release(other)
        stack.append((REGISTER, letter, kept[2]))

    return handle


def _cramped(state: State, condition: Entry, other: Entry) -> bool:
    """Whether a fused selection might want more registers than there are."""
    op = condition[2]
    general = other[1] in GENERAL
    wanted = 1 + (other[0] != PINNED)
    wanted += (condition[6] and op.general_a == general) + (condition[7] and op.general_b == general)
    return bool(wanted > len(state.all_general if general else state.all_vector))
