"""What is wrong with an expression that the walk refused: which instruction, where, what it expected and found.

The walk keeps no positions and says little, so that it is fast. Here it is repeated, once with handlers that note where
each instruction ends, and once over the code before the instruction at fault, to see the operand stack there.
"""

from __future__ import annotations

from operator import length_hint
from typing import TYPE_CHECKING, Any, Final

from wasmine.format.instructions import BY_OPCODE, SLOTS
from wasmine.format.types import F32, F64, I32, I64, V128
from wasmine.record import record
from wasmine.validation import closing, immediates
from wasmine.validation.faults import Fault, Invalid, Malformed, Mismatch
from wasmine.validation.operands import Polymorphic, type_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wasmine.format.instructions import Instruction
    from wasmine.format.module import Expression
    from wasmine.format.types import ValueType
    from wasmine.validation.context import Context
    from wasmine.validation.walks import Walk

    # What a walk is started with: types of the locals, the same for writing, and an empty list for control frames.
    Start = tuple[list[Any], list[Any], list[Any]]

_LETTERS: Final = {"i": I32, "I": I64, "f": F32, "F": F64, "v": V128}
# Index spaces that the walk indexes without a check of its own.
_SPACES: Final = {"local": "local", "global": "global", "func": "function", "label": "label"}


@record
class Attempt:
    """A walk (one that takes handlers) that failed, ready to be repeated."""

    context: Context
    walk: Walk
    expression: Expression
    start: Callable[[], Start]
    results: Sequence[ValueType]
    visible: int = 0


@record(frozen=False)
class _Scene:
    """The instruction at fault, its immediates (and what follows), and the walk's variables before it."""

    context: Context
    instruction: Instruction
    immediates: bytes
    variables: dict[str, Any]

    @property
    def index(self) -> int:
        """The first immediate of an instruction that starts with an index."""
        return immediates.u32(iter(self.immediates))


def find_fault(attempt: Attempt) -> Fault | None:
    """The fault with its offset, or None if there is none."""
    code = attempt.expression.code
    it = iter(code)
    end = 0

    def note(*_: object) -> None:
        nonlocal end
        end = len(code) - length_hint(it)

    fault: Fault
    try:
        _repeat(attempt, it, [note] * SLOTS)
    except (Mismatch, IndexError) as error:
        fault = _explain(_scene(attempt, end), error)
    except Fault as error:
        fault = error
    else:
        return None
    fault.offset = attempt.expression.offset + end
    return fault


def _repeat(attempt: Attempt, it: Iterator[int], handlers: Sequence[Callable[..., object]]) -> None:
    loc, var, ctl = attempt.start()
    attempt.walk(attempt.context, it, loc, var, attempt.results, ctl, handlers, handlers, attempt.visible)


def _scene(attempt: Attempt, start: int) -> _Scene:
    code = attempt.expression.code
    instruction, size = _decode(code[start:])
    try:
        _repeat(attempt, iter(code[:start]), [lambda *_: None] * SLOTS)
    except Malformed as error:
        # It stopped where the code was cut off, in the walk itself.
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_name != "walk":
            trace = trace.tb_next
        assert trace is not None
        return _Scene(attempt.context, instruction, code[start + size :], trace.tb_frame.f_locals)
    raise AssertionError("the walk of cut off code ends too soon")


def _decode(code: bytes) -> tuple[Instruction, int]:
    """The instruction that starts there, and the size of its opcode."""
    it = iter(code)
    opcode = immediates.byte(it)
    if opcode not in BY_OPCODE:
        opcode = opcode << 16 | immediates.u32(it)
    return BY_OPCODE[opcode], len(code) - length_hint(it)


def _explain(scene: _Scene, error: Mismatch | IndexError) -> Fault:
    """The fault behind an operand of a wrong type or behind an `IndexError`: an unknown index or too few operands."""
    kind = scene.instruction.immediates[0].kind if scene.instruction.immediates else ""
    if kind in _SPACES:  # whatever was noticed first: an operand may be wrong and the index unknown besides
        size = len(_space(scene, kind))
        if scene.index >= size:
            return Invalid(f"unknown {_SPACES[kind]} {scene.index}: there are {size}")
    name = scene.instruction.name
    expected = _operands(scene)
    stack = scene.variables["st"]
    open_ = isinstance(stack, Polymorphic)
    found = list(stack)
    if expected is not None:
        if name not in ("end", "else"):
            found = found[max(0, len(found) - len(expected)) :]
        return _mismatch(name, type_list(expected), type_list(found, open=open_))
    if isinstance(error, Mismatch):
        return _mismatch(name, str(error.expected), str(error.found))
    return _mismatch(name, "more operands", type_list(found, open=open_))


def _space(scene: _Scene, kind: str) -> Sequence[object]:
    spaces: dict[str, Sequence[object]] = {
        "local": scene.variables["loc"],
        "global": scene.context.globals,
        "func": scene.context.functions,
        "label": scene.variables["ctl"],
    }
    return spaces[kind]


def _operands(scene: _Scene) -> Sequence[object] | None:
    """The types of the operands that the instruction takes, None where that is not known here."""
    variables, context = scene.variables, scene.context
    if scene.instruction.params is not None:
        address = context.memories[0].address if len(context.memories) == 1 else "address"
        return [_LETTERS.get(letter, address) for letter in scene.instruction.params]
    frames, results = variables["ctl"], variables["res"]
    types: Any = None
    match scene.instruction.name:
        case "end" | "else":
            types = results
        case "call" | "return_call":
            types = context.signatures[scene.index].params
        case "call_indirect" | "return_call_indirect":
            types = [*closing.function_type(context, scene.index).params, "address"]
        case "block" | "loop" | "try" | "try_table":
            types = _block_params(scene)
        case "if":
            types = [*_block_params(scene), I32]
        case "br":
            types = frames[~scene.index][3]
        case "br_if":
            types = [*frames[~scene.index][3], I32]
        case "return":
            types = frames[0][3]
        case "local.set" | "local.tee":
            types = [list.__getitem__(variables["loc"], scene.index)]
        case "global.set":
            types = [context.globals[scene.index].value]
    return tuple(types) if types is not None else None


def _block_params(scene: _Scene) -> Sequence[ValueType]:
    it = iter(scene.immediates)
    first = immediates.byte(it)
    return () if first == immediates.EMPTY_BLOCK else immediates.block_type(scene.context, it, first)[0]


def _mismatch(name: str, expected: str, found: str) -> Invalid:
    if expected == found:
        found += ", of another definition"
    return Invalid(f"type mismatch: {name} expected {expected}, found {found}")
