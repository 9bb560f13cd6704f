"""`compile_function`: the visitor of the typed walk that writes the code of a function."""

from __future__ import annotations

import sys
from bisect import bisect
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from wasmine.compiler.baseline import memory, numeric, variables
from wasmine.compiler.baseline.calls import Calls
from wasmine.compiler.baseline.control import Control
from wasmine.compiler.baseline.emitter import Emitter
from wasmine.compiler.baseline.exceptions import Exceptions
from wasmine.compiler.baseline.fuel import Metered
from wasmine.compiler.baseline.operation import GENERAL, signature
from wasmine.compiler.baseline.references import References
from wasmine.compiler.baseline.state import PENDING, PINNED, SLOT, Pressed, State, letter_of, letters_of, size_of
from wasmine.compiler.baseline.weights import Weights, weigh
from wasmine.compiler.code import FunctionCode
from wasmine.compiler.machine.instructions import TooFar
from wasmine.errors import TrapKind, UnsupportedFeature
from wasmine.format.instructions import INSTRUCTIONS, SLOTS
from wasmine.validation.walk import walk_function

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wasmine.compiler.baseline.numeric import Handler
    from wasmine.compiler.context import ContextLayout
    from wasmine.compiler.machine.instructions import Instructions
    from wasmine.compiler.templates.library import TemplateLibrary
    from wasmine.format.instructions import Instruction
    from wasmine.format.types import FuncType
    from wasmine.validation.context import Context
    from wasmine.validation.walk import Visitor

LEAF_FRAME: Final = 32 << 10
"""A function that calls nothing and has a frame of no more bytes need not check limits (`threads.VALUES_SLACK`)."""

_EVERYWHERE: Final = (0, sys.maxsize)


class Allocation(NamedTuple):
    """The registers of a function: of pinned locals by index, those to be saved, and those left for temporaries."""

    pins: dict[int, int]
    saved_general: Sequence[int]
    saved_vector: Sequence[int]
    general: Sequence[int]
    vector: Sequence[int]


class _File:
    """The registers of one file, given out to locals: temporary ones to spare first, then ones that must be saved."""

    def __init__(self, temporaries: Sequence[int], saved: Sequence[int], spare: int) -> None:
        self.temporaries = list(temporaries)
        self.saved: list[int] = []
        self._left = list(saved)
        self._spare = spare
        self._lives: dict[int, list[tuple[int, int]]] = {}  # of the locals in each register, in order

    def pin(self, weight: int, life: tuple[int, int]) -> int | None:
        """A register for a local, shared with others that live elsewhere; None if there is none or it does not pay."""
        for register, lives in self._lives.items():
            i = bisect(lives, life)
            if (not i or lives[i - 1][1] < life[0]) and (i == len(lives) or life[1] < lives[i][0]):
                lives.insert(i, life)
                return register
        if self._spare:
            self._spare -= 1
            register = self.temporaries.pop()
        elif self._left and weight > 2:
            register = self._left.pop(0)
            self.saved.append(register)
        else:
            return None
        self._lives[register] = [life]
        return register


def allocate(machine: Instructions, letters: str, weights: Weights, *, spare: bool) -> Allocation:
    """Choose registers for the heaviest locals.

    Registers that calls preserve must be saved first, so a local must be used more than twice. A function that calls
    nothing, nor has instructions of four operands, may do with fewer temporary registers if they are `spare`.
    """
    if weights.handlers:
        saved = machine.GENERAL_SAVED, machine.VECTOR_SAVED
        return Allocation({}, *saved, machine.GENERAL_TEMPORARIES, machine.VECTOR_TEMPORARIES)
    count = 0 if weights.calls or weights.wide or not spare else machine.SPARE
    general = _File(machine.GENERAL_TEMPORARIES, machine.GENERAL_SAVED, count)
    vector = _File(machine.VECTOR_TEMPORARIES, machine.VECTOR_SAVED, count)
    pins: dict[int, int] = {}
    for local, weight in sorted(weights.locals.items(), key=lambda item: -item[1]):
        if weight < 2:
            break
        file = general if letters[local] in GENERAL else vector
        register = file.pin(weight, weights.lives.get(local, _EVERYWHERE))
        if register is not None:
            pins[local] = register
    return Allocation(pins, general.saved, vector.saved, general.temporaries, vector.temporaries)


class Compiler:
    """Compiles functions one after another. The visitor of the typed walk."""

    def __init__(self, library: TemplateLibrary) -> None:
        self._emitter = Emitter(library)
        self._state = State(self._emitter)
        self._machine = self._emitter.machine
        self._control = Control(self._state)
        self._calls = Calls(self._state, self._control)
        self._accesses = memory.Accesses(self._state)
        self._references = References(self._state, self._control, self._calls)
        self._exceptions = Exceptions(self._state, self._control, self._calls)
        self._makers = self._named_makers()
        self._layout: ContextLayout | None = None
        self._bounds = ""
        self.handlers: list[Handler] = [self._unknown] * SLOTS
        for instruction in INSTRUCTIONS:
            self.handlers[instruction.slot] = self._lazy(instruction)
        self._metered: Metered | None = None

    # ------------------------------------------------------------------------------------------------ handlers

    def _unknown(self, *_: object) -> None:
        raise UnsupportedFeature("instruction", "the compiler met an instruction that it does not know")

    def _lazy(self, instruction: Instruction) -> Handler:
        """A handler that makes the real one when it is first called."""

        def handle(*arguments: object) -> None:
            made = self._make(instruction)
            self.handlers[instruction.slot] = made
            made(*arguments)

        return handle

    def _make(self, instruction: Instruction) -> Handler:
        name = instruction.name
        maker = self._makers.get(name)
        if maker is not None:
            return maker()
        if instruction.feature == "gc" or instruction.params is None:
            return self._refuse(name)
        state, accesses = self._state, self._accesses
        type, _, short = name.partition(".")
        params, results = signature(name)
        if params[:1] == "a":
            if "atomic" in name:
                return memory.atomic(state, accesses, name)
            if short.endswith("_lane"):
                return (memory.lane_load if results else memory.lane_store)(state, accesses, name)
            return (memory.load if results else memory.store)(state, accesses, name)
        if short == "const":
            return numeric.constant(state, results)
        if "lane" in short and short[0] in "er" and "relaxed" not in short:
            return numeric.lane(state, name)
        if len(results) == 2:
            return numeric.wide(state, name)
        if short.startswith("trunc_f") and type in numeric.SCALARS and len(short) == len("trunc_f32_s"):
            return numeric.trapping_unary(state, name)
        if len(params) == 1:
            return numeric.unary(state, name)
        if len(params) == 3:
            return numeric.ternary(state, name)
        if short in ("div_s", "div_u", "rem_s", "rem_u"):
            return numeric.divide(state, name)
        if short in ("shl", "shr_s", "shr_u", "rotl", "rotr"):
            return numeric.shift(state, name)
        return numeric.binary(state, name)

    def _refuse(self, name: str) -> Handler:
        def handle(*_: object) -> None:
            raise UnsupportedFeature("gc", f"{name}: the compiler cannot run modules with GC objects yet")

        return handle

    def _named_makers(self) -> dict[str, Callable[[], Handler]]:
        """Instructions that are lowered in a way of their own."""
        state, control, calls, references = self._state, self._control, self._calls, self._references
        exceptions = self._exceptions
        made: dict[str, Callable[[], Handler]] = {
            "local.get": lambda: variables.local_get(state),
            "local.set": lambda: variables.local_set(state),
            "local.tee": lambda: variables.local_tee(state),
            "drop": lambda: variables.drop(state),
            "select": lambda: variables.select(state),
            "i32.eqz": lambda: numeric.eqz(state, "i32.eqz"),
            "i64.eqz": lambda: numeric.eqz(state, "i64.eqz"),
            "i32.wrap_i64": lambda: numeric.wrap(state),
            "i64.extend_i32_u": lambda: numeric.extend_unsigned(state),
            "i32.add": lambda: numeric.add(state, "i32"),
            "i64.add": lambda: numeric.add(state, "i64"),
            "i32.sub": lambda: numeric.subtract(state, "i32"),
            "i64.sub": lambda: numeric.subtract(state, "i64"),
            "i8x16.shuffle": lambda: numeric.shuffle(state),
            "memory.size": lambda: memory.memory_size(state),
            "nop": lambda: self._nop,
            "atomic.fence": lambda: memory.fence(state),
        }
        globals_ = variables.Globals(state)
        direct: dict[str, Handler] = {
            "global.get": globals_.get,
            "global.set": globals_.set,
            "block": control.block,
            "loop": control.loop,
            "if": control.if_,
            "else": control.else_,
            "end": control.end,
            "br": control.br,
            "br_if": control.br_if,
            "br_table": control.br_table,
            "return": control.return_,
            "unreachable": control.unreachable,
            "call": calls.call,
            "call_indirect": calls.call_indirect,
            "call_ref": calls.call_ref,
            "return_call": calls.return_call,
            "return_call_indirect": calls.return_call_indirect,
            "return_call_ref": calls.return_call_ref,
            "ref.null": references.null,
            "ref.is_null": references.is_null,
            "ref.as_non_null": references.as_non_null,
            "br_on_null": references.br_on_null,
            "br_on_non_null": references.br_on_non_null,
            "ref.func": references.func,
            "table.get": references.table_get,
            "table.set": references.table_set,
            "table.size": references.table_size,
            "table.grow": references.table_grow,
            "table.fill": references.table_fill,
            "table.copy": references.table_copy,
            "table.init": references.table_init,
            "elem.drop": references.elem_drop,
            "memory.grow": references.memory_grow,
            "memory.init": references.memory_init,
            "memory.copy": references.memory_copy,
            "memory.fill": references.memory_fill,
            "data.drop": references.data_drop,
            "try_table": exceptions.try_table,
            "throw": exceptions.throw,
            "throw_ref": exceptions.throw_ref,
            "try": exceptions.try_,
            "catch": exceptions.catch,
            "catch_all": exceptions.catch_all,
            "delegate": exceptions.delegate,
            "rethrow": exceptions.rethrow,
            "memory.atomic.notify": references.notify,
            "memory.atomic.wait32": references.wait_32,
            "memory.atomic.wait64": references.wait_64,
        }
        made |= {name: partial(_itself, handler) for name, handler in direct.items()}
        return made

    def _nop(self) -> None:
        pass

    # ------------------------------------------------------------------------------------------------ functions

    def begin(self, position: Callable[[], int]) -> None:
        """Called by the walk."""
        self._state.position = position

    def compile(
        self, context: Context, layout: ContextLayout, index: int, bounds: str, caution: int, *, far: bool
    ) -> FunctionCode:
        """The code of a function.

        Pressed: more `caution` is needed. 1: all temporary registers, and limits are always checked. 2: nothing is left
        pending, so that there are always enough of them. TooFar: it must be compiled with `far`.
        """
        state, emitter = self._state, self._emitter
        if self._layout is not layout or self._bounds != bounds:
            self._layout, self._bounds = layout, bounds
            state.layout = layout
            self._accesses.memories[:] = memory.accesses(context, layout, bounds)
        state.context = context
        weights = weigh(context, index)
        body = context.syntax.code[index - context.imported_functions]
        letters = letters_of(context.signatures[index].params)
        letters += "".join(letter_of(local) * count for count, local in body.locals)
        chosen = allocate(self._machine, letters, weights, spare=not caution)
        emitter.bases = {register for local, register in chosen.pins.items() if letters[local] in GENERAL}
        emitter.reset(far=far)
        self._calls.reset(index)
        self._exceptions.reset()
        checked = weights.calls or caution > 0 or size_of(letters) > LEAF_FRAME
        frame_end = self._enter(context.signatures[index], letters, chosen, weights, body.body.offset, checked=checked)
        walk_function(context, index, self._visitor(caution))
        if frame_end:
            self._machine.set_frame_end(emitter.code, frame_end, state.deepest)
        elif state.deepest > LEAF_FRAME:
            raise Pressed
        frame_size = self._machine.frame_size(len(chosen.saved_general), handlers=weights.handlers)
        return FunctionCode(
            index,
            emitter.finish(),
            emitter.relocations,
            emitter.sites,
            frame_size,
            state.deepest,
            self._exceptions.finish(),
            self._calls.covered,
        )

    def _visitor(self, caution: int) -> Visitor:
        """What the walk of the function is to call."""
        if caution > 1:
            careful = _Careful(self, self._state)
            return careful if self._state.layout.fuel is None else Metered(careful, self._state)
        if self._state.layout.fuel is None:
            return self
        if self._metered is None:
            self._metered = Metered(self, self._state)
        return self._metered

    def _enter(
        self,
        type: FuncType,
        letters: str,
        chosen: Allocation,
        weights: Weights,
        offset: int,
        *,
        checked: bool,
    ) -> int:
        """Write the prologue. Where in it the end of the frame is compared, 0 if nowhere."""
        state, emitter, machine = self._state, self._emitter, self._machine
        params, results = letters_of(type.params), letters_of(type.results)
        saves = max(size_of(letters), size_of(results) if len(results) > 1 else 0)
        state.reset(chosen.general, chosen.vector, saves + 16 * len(chosen.saved_vector))
        state.homes.clear()
        place = 0
        for local, letter in enumerate(letters):
            register = chosen.pins.get(local)
            home = (SLOT, letter, place, False) if register is None else (PINNED, letter, register)
            state.homes.append(home)
            place += 16 if letter == "v" else 8
        code = emitter.code
        code += machine.enter(chosen.saved_general, handlers=weights.handlers)
        frame_end = 0
        if checked:
            code += machine.COMPARE_STACK_LIMIT
            emitter.trap_if(machine.BELOW, TrapKind.STACK_OVERFLOW, offset)
            code += machine.COMPARE_FRAME_END
            frame_end = len(code)
            emitter.trap_if(machine.ABOVE, TrapKind.STACK_OVERFLOW, offset)
        vectors = list(enumerate(chosen.saved_vector))
        for number, register in vectors:
            state.store("v", register, saves + 16 * number)
        self._load_locals(letters, len(params), weights)
        # The epilogue is written by the same means, then taken out again.
        start = len(code)
        for number, register in vectors:
            state.load("v", register, saves + 16 * number)
        restore = bytes(code[start:])
        del code[start:]
        self._control.reset(results, restore, machine.leave(chosen.saved_general, handlers=weights.handlers))
        return frame_end

    def _load_locals(self, letters: str, params: int, weights: Weights) -> None:
        """Load pinned parameters, zero the other locals. Those that nobody reads before they are set are left alone."""
        state, emitter = self._state, self._emitter
        place = 0
        zeroed: list[int] = []
        for local, letter in enumerate(letters):
            home = state.homes[local]
            size = 16 if letter == "v" else 8
            if local < params:
                if home[0] == PINNED:
                    state.load(letter, home[2], place)
            elif local not in weights.locals or weights.lives.get(local, _EVERYWHERE)[0]:
                pass  # never used, or set first
            elif home[0] == PINNED:
                state.set_constant(letter, home[2], 0 if letter in GENERAL else bytes(16))
            else:
                zeroed += range(place, place + size, 8)
            place += size
        if zeroed:
            emitter.code += self._machine.clear_slots(zeroed)


class _Careful:
    """A visitor that computes what a handler left pending at once: nothing is fused, and few registers are enough."""

    def __init__(self, compiler: Compiler, state: State) -> None:
        self.begin = compiler.begin
        self.handlers = [self._computed(slot, compiler.handlers, state) for slot in range(SLOTS)]

    @staticmethod
    def _computed(slot: int, handlers: Sequence[Handler], state: State) -> Handler:
        stack = state.stack

        def handle(*arguments: object) -> None:
            handlers[slot](*arguments)
            if stack and stack[-1][0] == PENDING:
                stack.append(state.materialize(stack.pop()))

        return handle


def _itself(handler: Handler) -> Handler:
    return handler


_idle: dict[int, list[Compiler]] = {}


def compile_function(
    context: Context, layout: ContextLayout, index: int, library: TemplateLibrary, bounds: str = "guard"
) -> FunctionCode:
    """The code of function `index` (which the module defines), whose body is known to be valid.

    `bounds` is "guard", where 32-bit memories reserve all that an access can reach, or "checked".
    UnsupportedFeature if it uses GC objects. MemoryError if its code is larger than jumps reach (ARM64: 128 MiB).
    """
    # Without a lock: a finalizer that comes in between may call wasm code, which has to be compiled.
    compilers = _idle.setdefault(id(library), [])
    try:
        compiler = compilers.pop()
    except IndexError:
        compiler = Compiler(library)
    try:
        caution, far = 0, False
        while True:
            try:
                return compiler.compile(context, layout, index, bounds, caution, far=far)
            except Pressed:
                if caution > 1:
                    raise
                caution += 1
            except TooFar:
                if far:
                    raise MemoryError(
                        f"function {index} is too large: jumps in its machine code do not reach"
                    ) from None
                far = True
    finally:
        compilers.append(compiler)
