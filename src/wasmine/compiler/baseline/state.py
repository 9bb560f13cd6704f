"""The abstract stack: where each operand is, or how it is still to be computed; and the registers.

An entry is a tuple that starts with a kind and the letter of a type:

    REGISTER  letter  register                   a temporary register that the entry owns
    PINNED    letter  register                   the register of a pinned local, until that is written
    SLOT      letter  offset  floor              a slot of the frame: the entry's own place, or that of a local
    CONSTANT  letter  value                      an int with a sign, or bytes
    PENDING   letter  operation  a  b  value  owned_a  owned_b  position
                                                 an instruction not emitted yet: its operands' registers (owned or pinned
                                                 ones), the value of its hole, where it stands in the binary

    HELD      letter                             in the making: a register is being found for it

Every entry has a place of its own in the frame, the canonical slot: those of the entries below it and then its own. A
slot with `floor` says that all entries below it are in their places, so that searches can stop there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.baseline.operation import GENERAL, operation
from wasmine.format.types import F32, F64, I32, I64, V128, NumberType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wasmine.compiler.baseline.emitter import Emitter, Form
    from wasmine.compiler.baseline.operation import Operation
    from wasmine.compiler.context import ContextLayout
    from wasmine.format.types import ValueType
    from wasmine.validation.context import Context

    # Entries are plain tuples, because there are as many as instructions.
    Entry = tuple[Any, ...]

REGISTER, PINNED, SLOT, CONSTANT, PENDING, HELD = range(6)

TYPE_NAMES: Final = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "v": "v128"}
_LETTERS: Final[dict[ValueType, str]] = {I32: "i", I64: "I", F32: "f", F64: "F", V128: "v"}
_SEARCHED: Final = 64
"""If more entries than these must be searched, all are put into their places first, so that the next search is short."""


def letter_of(type: ValueType) -> str:
    """The letter of a type; references are `I`."""
    return _LETTERS[type] if type.__class__ is NumberType else "I"


def letters_of(types: Sequence[ValueType]) -> str:
    """The letters of types."""
    return "".join([_LETTERS[type] if type.__class__ is NumberType else "I" for type in types]) if types else ""


def size_of(letters: str) -> int:
    """How many bytes values of these types take in slots."""
    return 8 * (len(letters) + letters.count("v"))


class Pressed(Exception):
    """All registers are taken by pending instructions: compile the function without these."""


class State:
    """The abstract stack of the function in the making, free registers, and code that moves values."""

    context: Context
    layout: ContextLayout

    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self.machine = emitter.machine
        self.stack: list[Entry] = []
        self.homes: list[Entry] = []  # for each local the entry that stands for it
        self.free_general: list[int] = []
        self.free_vector: list[int] = []
        self.all_general: Sequence[int] = ()
        self.all_vector: Sequence[int] = ()
        self.reads = 0  # how many entries are pending operations that read state
        self.operands = 0  # the place of the first operand
        self.deepest = 0  # the end of the last place used
        self._lowest = 0  # below this index hardly any entry owns a register
        self.position: Callable[[], int] = int  # of the first byte of the binary not read yet
        form = emitter.form
        moves = {letter: f"{name}.move!" for letter, name in TYPE_NAMES.items()}
        self._load = {letter: form(f"{name} S D") for letter, name in moves.items()}
        self._store = {letter: form(f"{name} R S") for letter, name in moves.items()}
        self._copy_vector = form("v128.move! S S")
        self._move_general = form("i64.move! R D")
        self._move_vector = form("v128.move! R D")
        self._zero = form("i64.zero! - D")
        self._zero_vector = form("v128.zero! - D")
        self._ones_vector = form("v128.ones! - D")
        self._constant_32 = form("i32.const C D")
        self._constant_64 = form("i64.const C D")
        self._constant_wide = form("i64.const_wide! C D")
        self._constants = {letter: form(f"{TYPE_NAMES[letter]}.const K D") for letter in "fFv"}
        is_zero = operation(emitter, "i64.eqz", "R")
        assert is_zero is not None
        self._is_zero = is_zero

    def reset(self, general: Sequence[int], vector: Sequence[int], operands: int) -> None:
        """Begin a function with these temporary registers, the first taken last."""
        self.stack.clear()
        self.all_general = tuple(reversed(general))
        self.all_vector = tuple(reversed(vector))
        self.reads = 0
        self._lowest = 0
        self.operands = self.deepest = operands
        self.free_all()

    def free_all(self) -> None:
        """No entry owns a register any more."""
        self.free_general[:] = self.all_general
        self.free_vector[:] = self.all_vector

    # ------------------------------------------------------------------------------------------------ registers

    def general(self) -> int:
        """A general register, taken."""
        if not self.free_general:
            self._spill(general=True)
        return self.free_general.pop()

    def vector(self) -> int:
        """A vector register, taken."""
        if not self.free_vector:
            self._spill(general=False)
        return self.free_vector.pop()

    def register_for(self, letter: str) -> int:
        """A register for a value of this type, taken."""
        return self.general() if letter in GENERAL else self.vector()

    def result_register(self, letter: str) -> int:
        """Where a single result is."""
        return self.machine.GENERAL_RESULT if letter in GENERAL else self.machine.VECTOR_RESULT

    def free(self, letter: str, register: int) -> None:
        """Give a register back."""
        (self.free_general if letter in GENERAL else self.free_vector).append(register)

    def release(self, entry: Entry) -> None:
        """Give back what an entry owns, which was taken off the stack."""
        kind = entry[0]
        if kind == REGISTER:
            self.free(entry[1], entry[2])
        elif kind == PENDING:
            op = entry[2]
            if entry[6]:
                (self.free_general if op.general_a else self.free_vector).append(entry[3])
            if entry[7]:
                (self.free_general if op.general_b else self.free_vector).append(entry[4])

    def discard(self, entry: Entry) -> None:
        """Forget an entry, which was taken off the stack. What may trap is computed nevertheless."""
        if entry[0] == PENDING and entry[2].reads:
            entry = self.materialize(entry)
        self.release(entry)

    def _spill(self, *, general: bool) -> None:
        """Free a register by putting the lowest entry that owns one into its place."""
        stack = self.stack
        start = min(self._lowest, len(stack))
        j = self._owner(start, general=general)
        if j < 0 and start:
            j = self._owner(max(start - _SEARCHED, 0), general=general)
        if j < 0 and start:
            j = self._owner(self._floor(), general=general)
        if j < 0:
            raise Pressed
        self._lowest = j
        entry = stack[j]
        place = self._near_place(j)
        # Computing it may take registers of other entries, but not its own.
        stack[j] = (HELD, entry[1])
        stack[j] = self._put(entry, place)

    def _owner(self, start: int, *, general: bool) -> int:
        """The first entry from an index on that owns a register, best one that need not be computed; -1 for none."""
        pending = -1
        stack = self.stack
        for j in range(start, len(stack)):
            entry = stack[j]
            if self._owns(entry, general=general):
                if entry[0] == REGISTER:
                    return j
                if pending < 0:
                    pending = j
        return pending

    def _near_place(self, index: int) -> int:
        """`place`. What lies below is put into its place if there is so much of it that the next search would be long."""
        stack = self.stack
        j = index
        while j and not (stack[j - 1][0] == SLOT and stack[j - 1][2] >= self.operands):
            j -= 1
        if index - j > _SEARCHED:
            place = self.place(j)
            for k in range(j, index):
                entry = stack[k]
                if entry[0] < PENDING:
                    stack[k] = self._put(entry, place)
                place += 16 if entry[1] == "v" else 8
        return self.place(index)

    @staticmethod
    def _owns(entry: Entry, *, general: bool) -> bool:
        if entry[0] == REGISTER:
            return (entry[1] in GENERAL) == general
        if entry[0] == PENDING:
            op = entry[2]
            return bool((entry[6] and op.general_a == general) or (entry[7] and op.general_b == general))
        return False

    # ------------------------------------------------------------------------------------------------ values

    def move(self, letter: str, target: int, source: int) -> None:
        """Copy a register."""
        if letter in GENERAL:
            self.emitter.emit(self._move_general, target << 12 | source << 8)
        else:
            self.emitter.emit(self._move_vector, target << 12 | source << 8)

    def load(self, letter: str, register: int, offset: int) -> None:
        """Load a register from a slot."""
        self.emitter.emit(self._load[letter], register << 12, offset)

    def store(self, letter: str, register: int, offset: int) -> None:
        """Store a register into a slot."""
        self.emitter.emit(self._store[letter], register << 8, offset)

    def copy_slot(self, letter: str, target: int, source: int) -> None:
        """Copy a slot."""
        if target != source:
            if letter == "v":
                self.emitter.special(self._copy_vector, 0, {0: source, 3: target})
            else:
                self.emitter.code += self.machine.copy_slot(target, source, wide=letter in "IF")

    def set_constant(self, letter: str, register: int, value: Any) -> None:
        """Load a register with a constant."""
        emit = self.emitter.emit
        d = register << 12
        if letter in GENERAL:
            if not value:
                emit(self._zero, d)
            elif letter == "i" or 0 <= value < 1 << 32:
                emit(self._constant_32, d, value if value < 1 << 31 else value - (1 << 32))
            elif -(1 << 31) <= value < 0:
                emit(self._constant_64, d, value)
            else:
                emit(self._constant_wide, d, value)
        elif not any(value):
            emit(self._zero_vector, d)
        elif letter == "v" and value == b"\xff" * 16:
            emit(self._ones_vector, d)
        else:
            emit(self._constants[letter], d, value)

    def in_register(self, entry: Entry) -> Entry:
        """The entry, which was taken off the stack, as REGISTER or PINNED."""
        kind = entry[0]
        if kind <= PINNED:
            return entry
        if kind == PENDING:
            return self.materialize(entry)
        letter = entry[1]
        register = self.general() if letter in GENERAL else self.vector()
        if kind == SLOT:
            self.emitter.emit(self._load[letter], register << 12, entry[2])
        else:
            self.set_constant(letter, register, entry[2])
        return (REGISTER, letter, register)

    def owned(self, entry: Entry) -> Entry:
        """The entry, which was taken off the stack, as REGISTER."""
        if entry[0] == PINNED:
            register = self.register_for(entry[1])
            self.move(entry[1], register, entry[2])
            return (REGISTER, entry[1], register)
        return self.in_register(entry)

    def compute(self, entry: Entry, target: int) -> None:
        """Bring an entry, which was taken off the stack, into a register: a pinned one, or one that nobody owns.

        What the entry owns is given back, but for the target.
        """
        kind = entry[0]
        letter = entry[1]
        if kind == PENDING:
            self._materialize_in(entry, target)
        elif kind == SLOT:
            self.emitter.emit(self._load[letter], target << 12, entry[2])
        elif kind == CONSTANT:
            self.set_constant(letter, target, entry[2])
        elif entry[2] != target:
            self.move(letter, target, entry[2])
            if kind == REGISTER:
                self.free(letter, entry[2])

    def materialize(self, entry: Entry) -> Entry:
        """A pending operation, which was taken off the stack, as REGISTER."""
        _, letter, op, a, b, value, own_a, own_b, position = entry
        emitter = self.emitter
        if op.reads:
            self.reads -= 1
            emitter.sites.append((len(emitter.code), position))
        if op.to is None and op.onto is None:
            return self._materialize_opposite(entry)
        same_a = op.general_a == op.general_d
        onto: Form | None = op.onto
        if onto is not None:
            if own_a and same_a:
                if own_b:
                    (self.free_general if op.general_b else self.free_vector).append(b)
                emitter.emit(onto, a << 8 | b << 4, value, position)
                return (REGISTER, letter, a)
            if own_b and op.swaps and op.general_b == op.general_d:
                emitter.emit(onto, b << 8 | a << 4, value, position)
                return (REGISTER, letter, b)
        to: Form | None = op.to
        if to is None:
            # Only in place: on a copy.
            assert onto is not None
            d = self.register_for(op.result)
            self.move(op.result, d, a)
            emitter.emit(onto, d << 8 | b << 4, value, position)
            if own_b:
                (self.free_general if op.general_b else self.free_vector).append(b)
            return (REGISTER, letter, d)
        if own_a and same_a and not to.hazards >> 12 & 1:
            d = a
            if own_b:
                (self.free_general if op.general_b else self.free_vector).append(b)
        elif own_b and op.general_b == op.general_d and not to.hazards >> 13 & 1:
            d = b
            if own_a:
                (self.free_general if op.general_a else self.free_vector).append(a)
        else:
            d = self.general() if op.general_d else self.vector()
            if own_a:
                (self.free_general if op.general_a else self.free_vector).append(a)
            if own_b:
                (self.free_general if op.general_b else self.free_vector).append(b)
        emitter.emit(to, d << 12 | a << 8 | b << 4, value, position)
        return (REGISTER, letter, d)

    def _materialize_in(self, entry: Entry, target: int) -> None:
        """A pending operation into a register that it may use itself."""
        _, letter, op, a, b, value, own_a, own_b, position = entry
        emitter = self.emitter
        to: Form | None = op.to
        onto: Form | None = op.onto
        is_a = a == target and op.general_a == op.general_d
        is_b = b == target and op.general_b == op.general_d
        if onto is not None and is_a and not (is_b and onto.hazards >> 1 & 1):
            form, registers = onto, a << 8 | b << 4
        elif onto is not None and is_b and op.swaps:
            form, registers = onto, b << 8 | a << 4
        elif to is not None and not (is_a and to.hazards >> 12 & 1) and not (is_b and to.hazards >> 13 & 1):
            form, registers = to, target << 12 | a << 8 | b << 4
        else:
            found = self.materialize(entry)[2]
            if found != target:
                self.move(letter, target, found)
                self.free(letter, found)
            return
        if op.reads:
            self.reads -= 1
            emitter.sites.append((len(emitter.code), position))
        emitter.emit(form, registers, value, position)
        if own_a and not is_a:
            (self.free_general if op.general_a else self.free_vector).append(a)
        if own_b and not is_b:
            (self.free_general if op.general_b else self.free_vector).append(b)

    def _materialize_opposite(self, entry: Entry) -> Entry:
        """A condition that only branches: its opposite, then negated."""
        op: Operation = entry[2]
        opposite = op.opposite
        assert opposite is not None
        if op.reads:
            self.reads += 1
            self.emitter.sites.pop()
        _, _, register = self.materialize((PENDING, "i", opposite, *entry[3:]))
        return self.materialize((PENDING, "i", self._is_zero, register, 0, 0, True, False, 0))

    # ------------------------------------------------------------------------------------------------ places

    def _floor(self) -> int:
        """The index of the first entry that is not known to be in its place with all below."""
        stack = self.stack
        j = len(stack)
        while j:
            entry = stack[j - 1]
            if entry[0] == SLOT and entry[3]:
                break
            j -= 1
        return j

    def place(self, index: int) -> int:
        """The place of the entry with an index in the stack, or of the next one to come."""
        stack = self.stack
        operands = self.operands
        j = index
        extra = 0
        while j:
            j -= 1
            entry = stack[j]
            extra += 16 if entry[1] == "v" else 8
            if entry[0] == SLOT and entry[2] >= operands:
                return int(entry[2]) + extra
        return operands + extra

    def put(self, entry: Entry, place: int) -> None:
        """Bring an entry, which was taken off the stack, into a slot."""
        self._put(entry, place)

    def _put(self, entry: Entry, place: int, *, floor: bool = False) -> Entry:
        """No register is needed for it but for what is pending."""
        kind, letter = entry[0], entry[1]
        if kind == SLOT:
            self.copy_slot(letter, place, entry[2])
        elif kind == CONSTANT:
            self._put_constant(letter, entry[2], place)
        else:
            if kind == PENDING:
                entry = self.materialize(entry)
            self.emitter.emit(self._store[letter], entry[2] << 8, place)
            if entry[0] == REGISTER:
                self.free(letter, entry[2])
        end = place + (16 if letter == "v" else 8)
        if end > self.deepest:
            self.deepest = end
        return (SLOT, letter, place, floor)

    def _put_constant(self, letter: str, value: Any, place: int) -> None:
        code = self.emitter.code
        if letter not in GENERAL:
            if letter == "v":
                self._put_constant("F", value[8:], place + 8)
                value = value[:8]
            value = int.from_bytes(value, "little", signed=True)
        if letter in "if":
            code += self.machine.set_slot_32(place, value)
        else:
            code += self.machine.set_slot_64(place, value)

    def settle(self) -> None:
        """Bring every entry into its place."""
        stack = self.stack
        start = self._floor()
        if start == len(stack):
            return
        first = place = self.place(start)
        pending = False
        for j in range(start, len(stack)):
            entry = stack[j]
            if entry[0] == PENDING:
                pending = True
            else:
                stack[j] = self._put(entry, place, floor=True)
            place += 16 if entry[1] == "v" else 8
        if not pending:
            return
        # Now there are registers for these, and any of them may be spilled meanwhile.
        place = first
        for j in range(start, len(stack)):
            entry = stack[j]
            if entry[0] == PENDING:
                stack[j] = (HELD, entry[1])
            if entry[0] == PENDING or not entry[3]:
                stack[j] = self._put(entry, place, floor=True)
            place += 16 if entry[1] == "v" else 8

    def _unsettled(self) -> int:
        """The index of the first entry that may not be in its place: from there on a search is short."""
        start = self._floor()
        if len(self.stack) - start > _SEARCHED:
            self.settle()
            return len(self.stack)
        return start

    def settle_top(self, count: int) -> int:
        """Bring the last `count` entries into their places, and all others out of temporary registers, for a call.

        The place of the first of them. What was pending is computed.
        """
        stack = self.stack
        first = len(stack) - count
        start = self._unsettled()
        place = self.place(start)
        for j in range(start, len(stack)):
            entry = stack[j]
            if j >= first or entry[0] == REGISTER or entry[0] == PENDING:
                if entry[0] == PENDING:
                    stack[j] = (HELD, entry[1])
                stack[j] = self._put(entry, place)
            place += 16 if entry[1] == "v" else 8
        return self.place(first)

    # ------------------------------------------------------------------------------------------------ order

    def vacate(self, register: int, *, general: bool) -> None:
        """A pinned local's register is about to change: entries that refer to it get its value first."""
        stack = self.stack
        for j in range(self._unsettled(), len(stack)):
            entry = stack[j]
            kind = entry[0]
            if kind == PINNED:
                if entry[2] == register and (entry[1] in GENERAL) == general:
                    stack[j] = self.owned(entry)
            elif kind == PENDING:
                op = entry[2]
                if (entry[3] == register and op.general_a == general) or (
                    entry[4] == register and op.general_b == general
                ):
                    self._compute_in_stack(j)

    def vacate_slot(self, offset: int) -> None:
        """The same for the slot of a local."""
        stack = self.stack
        for j in range(self._unsettled(), len(stack)):
            entry = stack[j]
            if entry[0] == SLOT:
                if entry[2] == offset:
                    stack[j] = self.in_register(entry)
            elif entry[0] == PENDING and entry[2].slot and entry[5] == offset:
                self._compute_in_stack(j)

    def _compute_in_stack(self, index: int) -> None:
        """A pending operation becomes a register."""
        stack = self.stack
        entry = stack[index]
        stack[index] = (HELD, entry[1])
        stack[index] = self.materialize(entry)

    def flush_reads(self) -> None:
        """Compute what is pending and reads memory or other state: it is about to change, or code may leave."""
        stack = self.stack
        for j in range(self._unsettled(), len(stack)):
            entry = stack[j]
            if entry[0] == PENDING and entry[2].reads:
                self._compute_in_stack(j)

    def truncate(self, height: int) -> None:
        """Forget the entries from a height on, and all registers: no entry below owns any."""
        del self.stack[height:]
        self.reads = 0
        self.free_all()

    def claim(self, letter: str, register: int, *others: Entry) -> list[Entry]:
        """Take a temporary register, whoever has it: an entry of the stack, or one of `others`, which are given back."""
        general = letter in GENERAL
        free = self.free_general if general else self.free_vector
        found = list(others)
        if register in free:
            free.remove(register)
            return found
        stack = self.stack
        for entries in (found, stack):
            for j in range(len(entries) - 1, -1, -1):
                entry = entries[j]
                if not self._owns(entry, general=general):
                    continue
                if entry[0] == PENDING and register in (entry[3] if entry[6] else -1, entry[4] if entry[7] else -1):
                    entries[j] = (HELD, entry[1])
                    entry = entries[j] = self.materialize(entry)
                    if register in free:
                        free.remove(register)
                        return found
                if entry[0] == REGISTER and entry[2] == register and (entry[1] in GENERAL) == general:
                    # Others may be spilled for it, but not this one.
                    entries[j] = (HELD, entry[1])
                    other = self.register_for(letter)
                    self.move(entry[1], other, register)
                    entries[j] = (REGISTER, entry[1], other)
                    return found
        return found

    def push_result(self, letters: str, place: int) -> None:
        """Push what a call or a block leaves: one value in its register, several in slots from `place` on.

        No entry owns a temporary register.
        """
        if len(letters) == 1:
            if letters in GENERAL:
                self.free_general.remove(self.machine.GENERAL_RESULT)
                self.stack.append((REGISTER, letters, self.machine.GENERAL_RESULT))
            else:
                self.free_vector.remove(self.machine.VECTOR_RESULT)
                self.stack.append((REGISTER, letters, self.machine.VECTOR_RESULT))
            return
        for letter in letters:
            self.stack.append((SLOT, letter, place, False))
            place += 16 if letter == "v" else 8
        if place > self.deepest:
            self.deepest = place
