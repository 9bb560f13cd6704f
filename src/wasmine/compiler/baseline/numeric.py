"""Instructions that only compute: constants, arithmetic, comparisons, conversions, vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.baseline.operation import (
    COMMUTATIVE,
    GENERAL,
    MIRRORED,
    Operation,
    negate,
    operation,
    signature,
)
from wasmine.compiler.baseline.state import CONSTANT, PENDING, PINNED, REGISTER, SLOT, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.baseline.state import Entry
    from wasmine.compiler.templates.library import TemplateLibrary

    Handler = Callable[..., object]
    Position = Callable[[], int]

SCALARS: Final = ("i32", "i64", "f32", "f64")


def constant(state: State, letter: str) -> Handler:
    """The handler of a `const`."""
    push = state.stack.append

    def handle(value: Any) -> None:
        push((CONSTANT, letter, value))

    return handle


def needed(state: State, name: str, kinds: str, access: str = "") -> Operation:
    """An operation that the library must have."""
    found = operation(state.emitter, name, kinds, access)
    if found is None:
        raise LookupError(f"the template library lacks {name} {kinds}: build it again")
    return found


def unary(state: State, name: str) -> Handler:
    """The handler of an instruction with one operand, which cannot trap."""
    op = needed(state, name, "R")
    result = op.result
    pop, push, in_register = state.stack.pop, state.stack.append, state.in_register
    # A result in another file than the operand's is computed at once, so that pending operations cannot block each
    # other's registers.
    at_once = not op.same_file

    def handle(*_: object) -> None:
        entry = pop()
        if entry[0] > PINNED:
            entry = in_register(entry)
        entry = (PENDING, result, op, entry[2], 0, 0, entry[0] == REGISTER, False, 0)
        push(state.materialize(entry) if at_once and entry[6] else entry)

    return handle


def trapping_unary(state: State, name: str) -> Handler:
    """The handler of a conversion that may trap."""
    op = needed(state, name, "R")
    result = op.result
    stack = state.stack

    def handle() -> None:
        entry = state.in_register(stack.pop())
        if state.reads:
            state.flush_reads()
        pending = (PENDING, result, op, entry[2], 0, 0, entry[0] == REGISTER, False, state.position())
        stack.append(state.materialize(pending))

    return handle


def eqz(state: State, name: str) -> Handler:
    """The handler of `eqz`: the opposite of a condition, or a comparison with zero."""
    in_register, in_slot = needed(state, name, "R"), needed(state, name, "S")
    pop, push = state.stack.pop, state.stack.append

    def handle() -> None:
        entry = pop()
        kind = entry[0]
        if kind == PENDING and entry[2].taken is not None:
            push((PENDING, "i", negate(entry[2]), *entry[3:]))
            return
        if kind == SLOT and entry[2] < state.operands:
            push((PENDING, "i", in_slot, 0, 0, entry[2], False, False, 0))
            return
        if kind > PINNED:
            entry = state.in_register(entry)
        push((PENDING, "i", in_register, entry[2], 0, 0, entry[0] == REGISTER, False, 0))

    return handle


def wrap(state: State) -> Handler:
    """The handler of `i32.wrap_i64`."""
    convert = unary(state, "i32.wrap_i64")
    stack = state.stack

    def handle() -> None:
        entry = stack[-1]
        if entry[0] == SLOT:
            stack[-1] = (SLOT, "i", entry[2], False)
        elif entry[0] == CONSTANT:
            stack[-1] = (CONSTANT, "i", (entry[2] + (1 << 31) & 0xFFFFFFFF) - (1 << 31))
        else:
            convert()

    return handle


def extend_unsigned(state: State) -> Handler:
    """The handler of `i64.extend_i32_u`: registers hold zeros above an i32 already."""
    stack = state.stack

    def handle() -> None:
        entry = stack[-1]
        kind = entry[0]
        if kind == CONSTANT:
            stack[-1] = (CONSTANT, "I", entry[2] & 0xFFFFFFFF)
        elif kind == PENDING and entry[2].to is None and entry[2].onto is None:
            _, _, register = state.materialize(stack.pop())
            stack.append((REGISTER, "I", register))
        else:
            if kind == SLOT:
                entry = state.in_register(stack.pop())
                stack.append(entry)
            stack[-1] = (entry[0], "I", *entry[2:])

    return handle


class Binary:
    """The operations of an instruction with two operands, by the kind of the second."""

    __slots__ = ("constant", "loaded", "pooled", "register", "slot")

    def __init__(self, state: State, name: str) -> None:
        self.register = needed(state, name, "RR")
        self.slot = operation(state.emitter, name, "RS")
        self.constant = operation(state.emitter, name, "RC")
        self.pooled = operation(state.emitter, name, "RK")
        self.loaded = operation(state.emitter, name, "RM")


def binary(state: State, name: str) -> Handler:
    """The handler of an instruction with two operands, which cannot trap."""
    type, _, short = name.partition(".")
    forms = Binary(state, name)
    mirrored: Binary | None = None
    if short in COMMUTATIVE:
        mirrored = forms
    elif short in MIRRORED and type in SCALARS:
        mirrored = Binary(state, f"{type}.{MIRRORED[short]}")
    params, result = signature(name)
    letter = params[1]
    general = letter in GENERAL
    accepted = _Accepted(state.emitter.library, name)
    pop, push = state.stack.pop, state.stack.append
    in_register = state.in_register

    def handle() -> None:
        y = pop()
        x = pop()
        use = forms
        kind = y[0]
        if (
            mirrored is not None
            and x[0] >= CONSTANT
            and ((x[0] == CONSTANT and kind != CONSTANT) or (kind <= PINNED and x[2].folds))
        ):
            x, y = y, x
            use = mirrored
            kind = y[0]
        if x[0] > PINNED:
            x = in_register(x)
        own = x[0] == REGISTER
        if kind > PINNED:
            value = y[2]
            if kind == CONSTANT:
                if not general:
                    if use.pooled is not None:
                        push((PENDING, result, use.pooled, x[2], 0, value, own, False, 0))
                        return
                elif use.constant is not None and accepted[value]:
                    push((PENDING, result, use.constant, x[2], 0, value, own, False, 0))
                    return
            elif kind == PENDING:
                # Not what `i64.extend_i32_u` has made of an i32.load: that reads 4 bytes.
                if value.folds and value.result == y[1] == letter and use.loaded is not None:
                    push((PENDING, result, use.loaded, x[2], y[3], y[5], own, y[6], y[8]))
                    return
            elif use.slot is not None and value < state.operands:
                push((PENDING, result, use.slot, x[2], 0, value, own, False, 0))
                return
            y = in_register(y)
        push((PENDING, result, use.register, x[2], y[2], 0, own, y[0] == REGISTER, 0))

    return handle


class _Accepted(dict[int, bool]):
    """Whether an instruction takes a constant as an immediate, for those that were asked about."""

    _MOST = 4096

    def __init__(self, library: TemplateLibrary, name: str) -> None:
        super().__init__()
        self._library = library
        self._name = name

    def __missing__(self, value: int) -> bool:
        if len(self) > self._MOST:
            self.clear()
        found = self[value] = self._library.accepts_immediate(self._name, value)
        return found


def shift(state: State, name: str) -> Handler:
    """The handler of a shift or rotation, of a scalar or of lanes: a constant count is taken modulo the width."""
    handle_any = binary(state, name)
    type = name.partition(".")[0]
    mask = (int(type.partition("x")[0][1:])) - 1
    letter = signature(name)[0][1]
    stack = state.stack

    def handle() -> None:
        y = stack[-1]
        if y[0] == CONSTANT:
            stack[-1] = (CONSTANT, letter, y[2] & mask)
        handle_any()

    return handle


def subtract(state: State, type: str) -> Handler:
    """The handler of the integer `sub`: a constant is added instead."""
    handle_any, add = binary(state, f"{type}.sub"), binary(state, f"{type}.add")
    least = -1 << (31 if type == "i32" else 63)
    stack = state.stack

    def handle() -> None:
        y = stack[-1]
        if y[0] == CONSTANT:
            stack[-1] = (CONSTANT, y[1], -y[2] if y[2] != least else least)
            add()
        else:
            handle_any()

    return handle


def add(state: State, type: str) -> Handler:
    """The handler of the integer `add`: an operand shifted left by 1 to 3 is scaled on the way."""
    handle_any = binary(state, f"{type}.add")
    shifted = needed(state, f"{type}.shl", "RC")
    scaled = [needed(state, f"{type}.add_shl{count}!", "RR") for count in (1, 2, 3)]
    stack = state.stack
    in_register = state.in_register

    def handle() -> None:
        y = stack[-1]
        x = stack[-2]
        if y[0] == PENDING and y[2] is shifted and 1 <= y[5] <= 3:
            pass
        elif x[0] == PENDING and x[2] is shifted and 1 <= x[5] <= 3 and y[0] != CONSTANT:
            x, y = y, x
        else:
            handle_any()
            return
        del stack[-2:]
        if x[0] > PINNED:
            x = in_register(x)
        stack.append((PENDING, y[1], scaled[y[5] - 1], x[2], y[3], 0, x[0] == REGISTER, y[6], 0))

    return handle


def divide(state: State, name: str) -> Handler:
    """The handler of an integer division or remainder. A harmless constant divisor needs no checks."""
    checked, unchecked = needed(state, name, "RR"), needed(state, f"{name}!", "RR")
    harmful = (0, -1) if name.endswith("_s") else (0,)
    letter = name[0] if name[1] == "3" else "I"
    stack = state.stack
    in_register = state.in_register

    def handle() -> None:
        y = stack.pop()
        x = in_register(stack.pop())
        op = unchecked if y[0] == CONSTANT and y[2] not in harmful else checked
        y = in_register(y)
        if op is checked and state.reads:
            state.flush_reads()
        position = state.position() if op is checked else 0
        entry = (PENDING, letter, op, x[2], y[2], 0, x[0] == REGISTER, y[0] == REGISTER, position)
        stack.append(state.materialize(entry) if op is checked else entry)

    return handle


def ternary(state: State, name: str) -> Handler:
    """The handler of an instruction with three vector operands."""
    in_place = state.emitter.form(f"{name} RRR A")
    stack = state.stack

    def handle() -> None:
        z = state.in_register(stack.pop())
        y = state.in_register(stack.pop())
        x = state.owned(stack.pop())
        state.emitter.emit(in_place, x[2] << 8 | y[2] << 4 | z[2])
        state.release(y)
        state.release(z)
        stack.append((REGISTER, "v", x[2]))

    return handle


def wide(state: State, name: str) -> Handler:
    """The handler of an instruction of wide arithmetic: its two results take the registers of the first two operands."""
    params = signature(name)[0]
    form = state.emitter.form(f"{name} {'R' * len(params)} A")
    stack = state.stack

    def handle() -> None:
        others = [state.in_register(stack.pop()) for _ in params[2:]]
        y = state.owned(stack.pop())
        x = state.owned(stack.pop())
        registers = [x[2], y[2], *(entry[2] for entry in reversed(others)), 0, 0]
        a, b, c, d = registers[:4]
        state.emitter.emit(form, d << 12 | a << 8 | b << 4 | c)
        for entry in others:
            state.release(entry)
        stack.append(x)
        stack.append(y)

    return handle


def lane(state: State, name: str) -> Handler:
    """The handler of an instruction that reads or replaces a lane."""
    params, result = signature(name)
    stack = state.stack

    def handle(number: int) -> None:
        if len(params) == 1:
            entry = state.in_register(stack.pop())
            op = needed(state, f"{name}:{number}", "R")
            stack.append(state.materialize((PENDING, result, op, entry[2], 0, 0, entry[0] == REGISTER, False, 0)))
            return
        value = state.in_register(stack.pop())
        vector = state.in_register(stack.pop())
        op = needed(state, f"{name}:{number}", "RR")
        own, own_value = vector[0] == REGISTER, value[0] == REGISTER
        entry = (PENDING, "v", op, vector[2], value[2], 0, own, own_value, 0)
        stack.append(entry if value[1] not in GENERAL else state.materialize(entry))

    return handle


def shuffle(state: State) -> Handler:
    """The handler of `i8x16.shuffle`: one instruction for the common ones, else the bytes of each operand, or-ed."""
    stack = state.stack
    interleaves = {
        bytes(_interleaved(16 // width, low)): needed(state, f"i{8 * width}x{16 // width}.interleave_{part}!", "RR")
        for width in (1, 2, 4, 8)
        for part, low in (("low", True), ("high", False))
    }
    permute = needed(state, "i8x16.permute!", "RK")
    join = needed(state, "v128.or", "RR")

    def pick(entry: Entry, lanes: bytes, first: int) -> Entry:
        places = bytes(lane - first if first <= lane < first + 16 else 0x80 for lane in lanes)
        pending = (PENDING, "v", permute, entry[2], 0, places, False, False, 0)
        return state.materialize(pending)

    def handle(lanes: bytes) -> None:
        y = state.in_register(stack.pop())
        x = state.in_register(stack.pop())
        op = interleaves.get(lanes)
        if op is not None:
            own, own_y = x[0] == REGISTER, y[0] == REGISTER
            stack.append((PENDING, "v", op, x[2], y[2], 0, own, own_y, 0))
            return
        if max(lanes) < 16 or min(lanes) >= 16:
            stack.append(pick(x, lanes, 0) if max(lanes) < 16 else pick(y, lanes, 16))
        else:
            low, high = pick(x, lanes, 0), pick(y, lanes, 16)
            stack.append(state.materialize((PENDING, "v", join, low[2], high[2], 0, True, True, 0)))
        state.release(x)
        state.release(y)

    return handle


def _interleaved(count: int, low: bool) -> list[int]:
    """The bytes of a shuffle that takes `count` lanes from the halves of both operands in turn."""
    width = 16 // count
    first = 0 if low else 8
    found: list[int] = []
    for place in range(first, first + 8, width):
        for operand in (0, 16):
            found += range(operand + place, operand + place + width)
    return found
