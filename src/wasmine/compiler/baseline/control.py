"""Blocks, branches and the ends of functions.

At every join values are in canonical places: what lies below the block in its slots; a single result in the result
register of its file, several results, and the parameters of blocks and loops, in their slots.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from wasmine.compiler.baseline.numeric import needed
from wasmine.compiler.baseline.state import (
    CONSTANT,
    PENDING,
    REGISTER,
    SLOT,
    State,
    letters_of,
)
from wasmine.errors import TrapKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.baseline.state import Entry
    from wasmine.format.types import ValueType

_INT32: Final = Struct("<i")


class Label:
    """A block that is open.

    `height` is the number of entries below it, `place` where its parameters and results have their slots; `letters` is
    what a branch to it carries. `target` is the head of a loop, else None: then `fields` are the distances of the jumps
    that want its end, and `table` those of jump tables, with the start of the table; `end` is where they lead, once known.
    `region` is the innermost try block around the code (`exceptions`), `own_region` that of a `try` in its catch parts.
    `is_caught`: exceptions may arrive at the end.
    """

    __slots__ = (
        "end",
        "fields",
        "height",
        "is_caught",
        "letters",
        "otherwise",
        "own_region",
        "params",
        "place",
        "region",
        "results",
        "table",
        "target",
    )

    def __init__(self, height: int, place: int, params: str, results: str) -> None:
        self.height = height
        self.place = place
        self.params = params
        self.results = results
        self.letters = results
        self.target: int | None = None
        self.fields: list[int] = []
        self.table: list[tuple[int, int]] = []
        self.otherwise: list[int] | None = None  # of an `if` without `else` so far: the jumps to the else part
        self.region: int | None = None
        self.own_region: int | None = None
        self.is_caught = False
        self.end = 0

    @property
    def in_register(self) -> bool:
        """Whether a branch carries its one value in the result register."""
        return self.target is None and len(self.letters) == 1


class Control:
    """The open blocks, and the handlers of the instructions that open, close and leave them."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._emitter = state.emitter
        self._machine = state.machine
        self.labels: list[Label] = []
        self.restore_vectors = self.pops = b""
        self.epilogue = b""
        self.inline_epilogue = False
        self._zero_32 = needed(state, "i32.eqz", "R")
        self._zero_32_slot = needed(state, "i32.eqz", "S")
        self.zero_64 = needed(state, "i64.eqz", "R")

    def reset(self, results: str, restore_vectors: bytes, pops: bytes) -> None:
        """Begin a function. Its epilogue restores vector registers from the frame, others from the native stack."""
        self.labels.clear()
        self.labels.append(Label(0, 0, "", results))
        self.restore_vectors, self.pops = restore_vectors, pops
        self.epilogue = restore_vectors + pops + self._machine.RETURN
        self.inline_epilogue = len(self.epilogue) <= 8

    # ------------------------------------------------------------------------------------------------ blocks

    def open(self, params: Sequence[ValueType], results: Sequence[ValueType]) -> Label:
        """A new innermost label, with everything in its place."""
        state = self._state
        if state.stack:
            state.settle()
        height = len(state.stack) - len(params)
        label = Label(height, state.place(height), letters_of(params), letters_of(results))
        label.region = self.labels[-1].region
        self.labels.append(label)
        return label

    def block(self, params: Sequence[ValueType], results: Sequence[ValueType], _: int | None) -> None:
        """block"""
        self.open(params, results)

    def loop(self, params: Sequence[ValueType], results: Sequence[ValueType], _: int | None) -> None:
        """loop"""
        label = self.open(params, results)
        label.letters = label.params
        self._emitter.align(self._machine.LOOP_ALIGNMENT)
        label.target = len(self._emitter.code)
        self._emitter.covered.clear()

    def if_(self, params: Sequence[ValueType], results: Sequence[ValueType], _: int | None) -> None:
        """if"""
        condition = self._state.stack.pop()
        label = self.open(params, results)
        label.otherwise = []
        self.branch(condition, holds=False, fields=label.otherwise)

    def else_(self, reachable: bool) -> None:
        """else"""
        label = self.labels[-1]
        if reachable:
            self.arrive(label)
            label.fields.append(self._emitter.jump())
        self._else_part(label)

    def _else_part(self, label: Label) -> None:
        state = self._state
        state.truncate(label.height)
        self._emitter.land(label.otherwise or [])
        label.otherwise = None
        self._push_slots(label.params, label.place)

    def _push_slots(self, letters: str, place: int) -> None:
        for letter in letters:
            self._state.stack.append((SLOT, letter, place, True))
            place += 16 if letter == "v" else 8

    def end(self, reachable: bool) -> None:
        """end"""
        label = self.labels[-1]
        state = self._state
        if label.otherwise is not None:
            if label.results:
                # An else part that does nothing: its parameters are the results.
                self.else_(reachable)
                reachable = True
            else:
                label.fields += label.otherwise
        self.labels.pop()
        if reachable and self.labels and not (label.fields or label.table or label.is_caught):
            return  # nothing joins here
        if reachable:
            self.arrive(label)
        state.truncate(label.height)
        if label.target is None:
            self.land(label)
        if self.labels:
            state.push_result(label.results, label.place)
        elif reachable or label.fields or label.table or label.is_caught:
            self._emitter.code += self.epilogue

    def land(self, label: Label) -> None:
        """Make the branches to a label lead here."""
        emitter = self._emitter
        emitter.land(label.fields)
        here = label.end = len(emitter.code)
        for field, start in label.table:
            _INT32.pack_into(emitter.code, field, here - start)

    # ------------------------------------------------------------------------------------------------ branches

    def arrive(self, label: Label) -> None:
        """Bring what a branch carries to where the label wants it. All other entries are lost on the way."""
        state = self._state
        letters = label.letters
        if not letters:
            if state.reads:
                state.flush_reads()
        elif label.in_register:
            entry = state.stack.pop()
            if state.reads:
                state.flush_reads()
            state.compute(entry, state.result_register(letters))
        else:
            state.settle()
            self._copy(label)

    def _copy(self, label: Label) -> None:
        """Copy settled values to the slots of a label."""
        state = self._state
        source = state.place(len(state.stack) - len(label.letters))
        target = label.place
        for letter in label.letters:
            state.copy_slot(letter, target, source)
            size = 16 if letter == "v" else 8
            target += size
            source += size
        state.deepest = max(state.deepest, target)

    def _needs_copy(self, label: Label) -> bool:
        state = self._state
        return bool(label.letters) and state.place(len(state.stack) - len(label.letters)) != label.place

    def jump(self, label: Label) -> None:
        """Jump to a label, at which everything has arrived."""
        emitter = self._emitter
        if label is self.labels[0] and self.inline_epilogue:
            emitter.code += self.epilogue
        elif label.target is None:
            label.fields.append(emitter.jump())
        else:
            emitter.aim(emitter.jump(), label.target)

    def branch(self, condition: Entry, *, holds: bool, fields: list[int], keep: bool = False) -> None:
        """A jump taken if a condition, which was taken off the stack, holds or not; its distances go to `fields`.

        What the condition owns is given back, unless `keep`: then it must be in a register or a constant.
        """
        state, emitter = self._state, self._emitter
        kind = condition[0]
        if kind == CONSTANT:
            if bool(condition[2]) == holds:
                fields.append(emitter.jump())
            return
        if kind == PENDING and condition[2].taken is not None:
            _, _, op, a, b, value, _, _, position = condition
            if op.reads:
                state.reads -= 1
                emitter.sites.append((len(emitter.code), position))
            form = op.taken if holds else op.skipped
            emitter.branch(form, a << 8 | b << 4, value, position, fields)
            state.release(condition)
            return
        # It holds if it is not 0.
        if kind == SLOT:
            op = self._zero_32_slot
            emitter.branch(op.skipped if holds else op.taken, 0, condition[2], 0, fields)  # type: ignore[arg-type]
            return
        condition = state.in_register(condition)
        op = self._zero_32 if condition[1] == "i" else self.zero_64
        emitter.branch(op.skipped if holds else op.taken, condition[2] << 8, 0, 0, fields)  # type: ignore[arg-type]
        if not keep:
            state.release(condition)

    def branch_to(self, label: Label, condition: Entry, *, holds: bool, keep: bool = False) -> None:
        """A conditional branch to a label, at which everything has arrived."""
        if label.target is None:
            self.branch(condition, holds=holds, fields=label.fields, keep=keep)
            return
        fields: list[int] = []
        self.branch(condition, holds=holds, fields=fields, keep=keep)
        for field in fields:
            self._emitter.aim(field, label.target)

    def br(self, depth: int) -> None:
        """br"""
        label = self.labels[~depth]
        self.arrive(label)
        self.jump(label)

    def return_(self) -> None:
        """return"""
        label = self.labels[0]
        self.arrive(label)
        self.jump(label)

    def br_if(self, depth: int) -> None:
        """br_if"""
        self.branch_if(depth, self._state.stack.pop(), holds=True)

    def branch_if(self, depth: int, condition: Entry, *, holds: bool, keep: bool = False) -> Entry:
        """A conditional branch that leaves what it carries on the stack. The condition, where it is now."""
        state = self._state
        label = self.labels[~depth]
        if state.reads:
            state.flush_reads()
        letters = label.letters
        if label.in_register:
            register = state.result_register(letters)
            value = state.in_register(state.stack.pop())
            if not (value[0] == REGISTER and value[2] == register):
                condition, value = state.claim(letters, register, condition, value)
                state.compute(value, register)
            state.stack.append((REGISTER, letters, register))
        elif letters:
            state.settle()
        self._branch_arrived(label, condition, holds=holds, keep=keep)
        return condition

    def _branch_arrived(self, label: Label, condition: Entry, *, holds: bool, keep: bool = False) -> None:
        """A conditional branch with values in the result register or in their places."""
        if label.in_register or not self._needs_copy(label):
            self.branch_to(label, condition, holds=holds, keep=keep)
            return
        fields: list[int] = []
        self.branch(condition, holds=not holds, fields=fields, keep=keep)
        self._copy(label)
        self.jump(label)
        self._emitter.land(fields)

    def branch_with(self, depth: int) -> None:
        """A branch if the reference on top is not null, which takes it along; else it is dropped."""
        state = self._state
        label = self.labels[~depth]
        if label.in_register:
            value = state.in_register(state.stack.pop())
            if state.reads:
                state.flush_reads()
            register = self._machine.GENERAL_RESULT
            if not (value[0] == REGISTER and value[2] == register):
                (value,) = state.claim("I", register, value)
                state.compute(value, register)
            self.branch_to(label, (REGISTER, "I", register), holds=True)
            return
        state.settle()
        self._branch_arrived(label, state.in_register(state.stack[-1]), holds=True)
        state.stack.pop()

    def br_table(self, depths: tuple[int, ...]) -> None:
        """br_table"""
        state, emitter, machine = self._state, self._emitter, self._machine
        labels = [self.labels[~depth] for depth in depths]
        if len(depths) == 1:
            state.discard(state.stack.pop())
            self.arrive(labels[0])
            self.jump(labels[0])
            return
        index = state.in_register(state.stack.pop())
        register = index[2]
        first = labels[0]
        if state.reads:
            state.flush_reads()
        in_register = all(label.in_register for label in labels)
        if in_register:
            value = state.in_register(state.stack.pop())
            # The index into a scratch register: nothing but a move comes in between.
            emitter.code += machine.move(machine.INDEX, register)
            register = machine.INDEX
            if value[2] != state.result_register(first.letters):
                state.move(value[1], state.result_register(first.letters), value[2])
        elif first.letters:
            emitter.code += machine.move(machine.INDEX, register)
            register = machine.INDEX
            self._settle_scratch(register)
        code = emitter.code
        code += machine.compare_constant(register, len(labels) - 1)
        default = emitter.jump_if(machine.NOT_BELOW)
        code += machine.jump_by_table(register)
        start = len(code)
        code += bytes(4 * (len(labels) - 1))
        entries = [(start + 4 * i, label) for i, label in enumerate(labels[:-1])]
        stubs: dict[int, list[tuple[int, Label]]] = {}
        for field, label in entries:
            if in_register or self._is_direct(label):
                self._table_entry(label, field, start)
            else:
                stubs.setdefault(id(label), []).append((field, label))
        last = labels[-1]
        if in_register or self._is_direct(last):
            if last.target is None:
                last.fields.append(default)
            else:
                emitter.aim(default, last.target)
        else:
            emitter.land([default])
            self._stub(last)
        for wanting in stubs.values():
            here = len(code)
            for field, _ in wanting:
                _INT32.pack_into(code, field, here - start)
            self._stub(wanting[0][1])

    def _settle_scratch(self, register: int) -> None:
        """Everything into its place, but for the value of a scratch register, which is to survive."""
        state, emitter = self._state, self._emitter
        # Through a place of its own behind all others: settling uses scratch registers.
        place = state.place(len(state.stack)) + 16 * 2
        state.deepest = max(state.deepest, place + 8)
        emitter.code += self._machine.store(register, self._machine.FRAME, place)
        state.settle()
        emitter.code += self._machine.load(register, self._machine.FRAME, place)

    def _is_direct(self, label: Label) -> bool:
        return not label.in_register and not self._needs_copy(label)

    def _table_entry(self, label: Label, field: int, start: int) -> None:
        if label.target is None:
            label.table.append((field, start))
        else:
            _INT32.pack_into(self._emitter.code, field, label.target - start)

    def _stub(self, label: Label) -> None:
        """Where a jump table leads if values must be moved."""
        if label.in_register:
            self._state.load(
                label.letters, self._state.result_register(label.letters), self._state.place(len(self._state.stack) - 1)
            )
        else:
            self._copy(label)
        self.jump(label)

    def unreachable(self) -> None:
        """unreachable"""
        if self._state.reads:
            self._state.flush_reads()
        self._emitter.trap(TrapKind.UNREACHABLE, self._state.position())
