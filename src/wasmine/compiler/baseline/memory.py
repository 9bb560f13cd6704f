"""Loads, stores, atomic accesses, the size of memories; what concerns whole ranges is in `runtime`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from wasmine.compiler.baseline.emitter import Told
from wasmine.compiler.baseline.numeric import needed
from wasmine.compiler.baseline.operation import signature
from wasmine.compiler.baseline.state import CONSTANT, PENDING, PINNED, REGISTER, State
from wasmine.compiler.templates.expand import MEMORY_BASE, MEMORY_LENGTH, OFFSET
from wasmine.errors import TrapKind
from wasmine.format.instructions import BY_NAME
from wasmine.format.types import I64

if TYPE_CHECKING:
    from wasmine.compiler.baseline.emitter import Form, Values
    from wasmine.compiler.baseline.numeric import Handler
    from wasmine.compiler.baseline.state import Entry
    from wasmine.compiler.context import ContextLayout
    from wasmine.validation.context import Context

_LIMIT: Final = (1 << 31) - 64
"""Offsets below this are displacements of instructions."""

_PAGE: Final = 12
_FULL: Final = frozenset(("i32.load", "i64.load", "f32.load", "f64.load", "v128.load"))


class Access(NamedTuple):
    """How a memory is accessed: the suffix of template keys, and the holes that its place in the context fills.

    `minimum` is how many bytes the memory has at least.
    """

    suffix: str
    fields: dict[int, int]
    wide: bool
    minimum: int

    @property
    def plain(self) -> bool:
        """Whether it is the first memory behind guard pages."""
        return self.suffix == "guard"

    def at(self, address: int, size: int) -> Access:
        """How it is accessed at a constant address: what lies within the minimum need not be checked."""
        if address + size > self.minimum:
            return self
        return self._replace(suffix="guard_other" if self.suffix.endswith("_other") else "guard")


def accesses(context: Context, layout: ContextLayout, bounds: str) -> list[Access]:
    """For each memory of a module. Guard pages need 32-bit addresses and whole pages."""
    found = []
    for index, type in enumerate(context.memories):
        wide = type.address is I64
        guarded = bounds == "guard" and not wide and type.page_size_log2 >= _PAGE
        suffix = "guard" if guarded else "check64" if wide else "check"
        base = layout.memories[index]
        found.append(
            Access(
                suffix + ("_other" if index else ""),
                {MEMORY_BASE: base, MEMORY_LENGTH: base + 8},
                wide,
                type.limits.minimum << type.page_size_log2,
            )
        )
    return found


class Accesses:
    """Finds addresses and their checks for the function in the making."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.memories: list[Access] = []
        self._add = needed(state, "i64.add", "RR")
        self._add_checked = needed(state, "i64.add_address!", "RR")
        self._add_constant = needed(state, "i64.add", "RC")
        self._misaligned = state.emitter.form("i64.and RC B")

    def address(self, entry: Entry, offset: int, access: Access) -> tuple[Entry | None, int]:
        """The register of an address, None if it is a constant, and the offset; what the templates take."""
        state = self._state
        if entry[0] == CONSTANT:
            index = entry[2] & (0xFFFFFFFFFFFFFFFF if access.wide else 0xFFFFFFFF)
            if index + offset < _LIMIT:
                return None, index + offset
        entry = state.in_register(entry)
        if offset < _LIMIT:
            return entry, offset
        register = state.general()
        state.set_constant("I", register, offset if offset < 1 << 63 else offset - (1 << 64))
        op = self._add_checked if access.wide else self._add
        sum = (PENDING, "I", op, entry[2], register, 0, entry[0] == REGISTER, True, state.position())
        return state.materialize(sum), 0

    @staticmethod
    def known(entry: Entry, offset: int, access: Access, size: int) -> Access:
        """How to access an address, given what is known of it."""
        if entry[0] == PENDING and entry[2].highest is not None and not access.wide:
            return access.at(entry[2].highest(entry[5]) + offset, size)
        return access

    def check_alignment(self, entry: Entry, offset: int, size: int) -> None:
        """Trap if the address of an atomic access of `size` bytes, which is in a register, is not aligned."""
        if size == 1:
            return
        state = self._state
        if offset % size:
            near = (PENDING, "I", self._add_constant, entry[2], 0, offset % size, False, False, 0)
            address = state.materialize(near)
        else:
            address = (PINNED, "I", entry[2])
        fields: list[int] = []
        state.emitter.branch(self._misaligned, address[2] << 8, size - 1, 0, fields)
        told = Told(entry[2], offset) if offset < _LIMIT else None
        state.emitter.trap_at(fields, TrapKind.UNALIGNED_ATOMIC, state.position(), told)
        state.release(address)

    def values(self, offset: int, access: Access) -> Values:
        """The values of a template's holes."""
        return offset if access.plain else {OFFSET: offset, **access.fields}


def load(state: State, found: Accesses, name: str) -> Handler:
    """The handler of a load: pending, so that it can become the operand of another instruction."""
    letter = signature(name)[1]
    by_register, by_constant = needed(state, name, "R", "guard"), needed(state, name, "C", "guard")
    by_register.folds = name in _FULL
    size = 1 << BY_NAME[name].alignment
    stack = state.stack
    in_register = state.in_register
    memories = found.memories

    def handle(offset: int, memory: int, _: int) -> None:
        entry = stack.pop()
        access = memories[memory]
        if offset < _LIMIT and access.plain and entry[0] != CONSTANT:
            if entry[0] > PINNED:
                entry = in_register(entry)
            state.reads += 1
            own = entry[0] == REGISTER
            stack.append((PENDING, letter, by_register, entry[2], 0, offset, own, False, state.position()))
            return
        access = found.known(entry, offset, access, size)
        register, offset = found.address(entry, offset, access)
        state.reads += 1
        if register is None:
            access = access.at(offset, size)
        values = found.values(offset, access)
        if register is None:
            op = by_constant if access.plain else needed(state, name, "C", access.suffix)
            stack.append((PENDING, letter, op, 0, 0, values, False, False, state.position()))
        else:
            op = by_register if access.plain else needed(state, name, "R", access.suffix)
            own = register[0] == REGISTER
            stack.append((PENDING, letter, op, register[2], 0, values, own, False, state.position()))

    return handle


def store(state: State, found: Accesses, name: str) -> Handler:
    """The handler of a store."""
    general = signature(name)[0][1] in "iI"
    size = int(name[9:] or 0) if name[9:].isdigit() else 32
    bytes_ = 1 << BY_NAME[name].alignment
    plain = needed_form(state, name, "RR")
    stack = state.stack
    emitter = state.emitter
    memories = found.memories

    def handle(offset: int, memory: int, _: int) -> None:
        value = stack.pop()
        entry = stack.pop()
        access = memories[memory]
        if state.reads:
            state.flush_reads()
        if value[0] != CONSTANT and entry[0] != CONSTANT and offset < _LIMIT and access.plain:
            if entry[0] > PINNED:
                entry = state.in_register(entry)
            if value[0] > PINNED:
                value = state.in_register(value)
            emitter.sites.append((len(emitter.code), state.position()))
            emitter.emit(plain, entry[2] << 8 | value[2] << 4, offset)
            state.release(entry)
            state.release(value)
            return
        access = found.known(entry, offset, access, bytes_)
        register, offset = found.address(entry, offset, access)
        if register is None:
            access = access.at(offset, bytes_)
        immediate = general and value[0] == CONSTANT and (size < 32 or -(1 << 31) <= value[2] < 1 << 31)
        values: Values = {OFFSET: offset, **access.fields}
        if immediate:
            assert isinstance(values, dict)
            values[1] = value[2] & (1 << size) - 1 if size < 32 else value[2]
        else:
            value = state.in_register(value)
        kinds = ("C" if register is None else "R") + ("C" if immediate else "R")
        registers = 0
        if register is not None:
            registers |= register[2] << 8
        if not immediate:
            registers |= value[2] << 4
        position = state.position()
        emitter.sites.append((len(emitter.code), position))
        emitter.special(needed_form(state, name, kinds, access.suffix), registers, values, position)
        if register is not None:
            state.release(register)
        state.release(value)

    return handle


def needed_form(state: State, name: str, kinds: str, access: str = "guard") -> Form:
    """The template of an access without a result."""
    return state.emitter.form(f"{name} {kinds} - {access}")


def memory_size(state: State) -> Handler:
    """The handler of `memory.size`."""
    machine = state.machine

    def handle(memory: int) -> None:
        type = state.context.memories[memory]
        register = state.general()
        code = state.emitter.code
        code += machine.load(register, machine.CONTEXT, state.layout.memories[memory] + 8)
        if type.page_size_log2:
            code += machine.shift_right(register, type.page_size_log2)
        state.stack.append((REGISTER, "I" if type.address is I64 else "i", register))

    return handle


def lane_load(state: State, found: Accesses, name: str) -> Handler:
    """The handler of `v128.load8_lane` and its like: a load and the replacement of a lane."""
    width, parts = _parts(name)
    load_part = load(state, found, f"{parts}.load" + (f"{width}_u" if width < 32 else ""))
    stack = state.stack

    def handle(offset: int, memory: int, align: int, lane: int) -> None:
        vector = stack.pop()
        if state.reads and vector[0] == PENDING:
            vector = state.materialize(vector)
        load_part(offset, memory, align)
        value = state.materialize(stack.pop())
        vector = state.owned(vector)
        form = state.emitter.form(f"{_shape(width)}.replace_lane:{lane} RR A")
        state.emitter.emit(form, vector[2] << 8 | value[2] << 4)
        state.release(value)
        stack.append(vector)

    return handle


def lane_store(state: State, found: Accesses, name: str) -> Handler:
    """The handler of `v128.store8_lane` and its like: the extraction of a lane and a store."""
    width, parts = _parts(name)
    store_part = store(state, found, f"{parts}.store" + (str(width) if width < 32 else ""))
    stack = state.stack

    def handle(offset: int, memory: int, align: int, lane: int) -> None:
        vector = state.in_register(stack.pop())
        register = state.general()
        suffix = "_u" if width < 32 else ""
        form = state.emitter.form(f"{_shape(width)}.extract_lane{suffix}:{lane} R D")
        state.emitter.emit(form, register << 12 | vector[2] << 8)
        state.release(vector)
        stack.append((REGISTER, "I" if width == 64 else "i", register))
        store_part(offset, memory, align)

    return handle


def _parts(name: str) -> tuple[int, str]:
    width = int("".join(filter(str.isdigit, name.partition(".")[2])))
    return width, "i64" if width == 64 else "i32"


def _shape(width: int) -> str:
    return f"i{width}x{128 // width}"


def atomic(state: State, found: Accesses, name: str) -> Handler:
    """The handler of an atomic access: in order with all others."""
    params, result = signature(name)
    stack = state.stack
    emitter = state.emitter

    def handle(offset: int, memory: int, align: int) -> None:
        operands = [state.in_register(stack.pop()) for _ in params[1:]]
        operands.reverse()
        entry = stack.pop()
        if state.reads:
            state.flush_reads()
        access = found.memories[memory]
        entry = state.in_register(entry)
        if offset >= _LIMIT and access.wide:
            # The sum that the template would look at may wrap: which traps too, but second.
            found.check_alignment(entry, offset, 1 << align)
        register, offset = found.address(entry, offset, access)
        assert register is not None
        b, c = ([operand[2] for operand in operands] + [0, 0])[:2]
        registers = register[2] << 8 | b << 4 | c
        if result:
            d = state.general()
            registers |= d << 12
        position = state.position()
        emitter.sites.append((len(emitter.code), position))
        form = emitter.form(f"{name} {'R' * len(params)} {'D' if result else '-'} {access.suffix}")
        emitter.special(form, registers, {OFFSET: offset, **access.fields}, position)
        state.release(register)
        for operand in operands:
            state.release(operand)
        if result:
            stack.append((REGISTER, result, d))

    return handle


def fence(state: State) -> Handler:
    """The handler of `atomic.fence`."""
    form = state.emitter.form("atomic.fence - -")

    def handle() -> None:
        if state.reads:
            state.flush_reads()
        state.emitter.emit(form, 0)

    return handle
