"""Walking a function's body or a constant expression: locals, visitors, and errors that name the instruction at fault."""

from __future__ import annotations

from operator import length_hint
from typing import TYPE_CHECKING, Any, Final, Protocol

from wasmine.format.instructions import BY_OPCODE, SLOTS
from wasmine.format.types import V128, NumberType, RefType
from wasmine.validation import closing, generator, immediates, unset
from wasmine.validation.faults import Fault, Invalid, Mismatch
from wasmine.validation.generator import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wasmine.format.instructions import Instruction
    from wasmine.format.module import Code, Expression
    from wasmine.format.types import FuncType, ValueType
    from wasmine.validation.context import Context
    from wasmine.validation.generator import Walk

    Handlers = Sequence[Callable[..., object]]
    # What a walk is started with: types of the locals, the same for writing, and an empty list for control frames.
    Start = tuple[list[Any], list[Any], list[Any]]

# As many locals as a function may have, parameters included. Browsers have the same limit.
MAX_LOCALS: Final = 50_000


class Visitor(Protocol):
    """What gets the instructions of a walk; see `docs/architecture.md`.

    One with an attribute `wants_unreachable` that is true gets unreachable instructions too, and cannot tell: operand
    types may then be types below all others, and all that comes with the end of a block is False.
    """

    @property
    def handlers(self) -> Handlers:
        """By `Instruction.slot`, `SLOTS` long."""

    def begin(self, position: Callable[[], int]) -> None:
        """Called before the first instruction; `position()` is the offset of the first byte not read yet."""


def _ignore(*_: object) -> None:
    pass


_SILENT: Final[Handlers] = [_ignore] * SLOTS


def _unreachable_handlers(visitor: Visitor) -> Handlers:
    return visitor.handlers if getattr(visitor, "wants_unreachable", False) else _SILENT


def walk_function(context: Context, index: int, visitor: Visitor | None = None) -> None:
    """Check the body of function `index` (which the module defines) and hand its instructions to the visitor.

    Raises `ValidationError`, `DecodeError` or `UnsupportedFeature`, with the offset of the instruction at fault.
    """
    signature = context.signatures[index]
    code = context.syntax.code[index - context.imported_functions]
    body = code.body
    try:
        loc, var, ctl = _locals(context, signature, code)
        it = iter(body.code)
        if visitor is None:
            _walk(context, Kind.BODY)(context, it, loc, var, signature.results, ctl)
        else:
            visitor.begin(_position(body, it))
            walk = _walk(context, Kind.VISITED_BODY)
            walk(context, it, loc, var, signature.results, ctl, visitor.handlers, _unreachable_handlers(visitor))
    except (Fault, IndexError):
        fault = _locate(context, Kind.VISITED_BODY, body, lambda: _locals(context, signature, code), signature.results)
        if fault is None:
            raise  # the visitor's own error
        raise fault.public(function=index) from None


def walk_expression(
    context: Context,
    expression: Expression,
    type_: ValueType,
    visitor: Visitor | None = None,
    *,
    globals_visible: int | None = None,
    where: str = "",
) -> None:
    """Check that a constant expression has the closed type `type_` and hand its instructions to the visitor.

    It sees the first `globals_visible` globals (None: all); `where` says in errors where it stands.
    """
    try:
        check_expression(context, expression, type_, visitor, globals_visible)
    except Fault as fault:
        raise fault.public(where=where) from None


def check_expression(
    context: Context,
    expression: Expression,
    type_: ValueType,
    visitor: Visitor | None = None,
    globals_visible: int | None = None,
) -> None:
    """`walk_expression`, raising a `Fault`."""
    visible = len(context.globals) if globals_visible is None else globals_visible
    it = iter(expression.code)
    handlers = _SILENT
    if visitor is not None:
        handlers = visitor.handlers
        visitor.begin(_position(expression, it))
    try:
        _walk(context, Kind.CONSTANT)(context, it, [], [], (type_,), [], handlers, _SILENT, visible)
    except (Fault, IndexError):
        fault = _locate(context, Kind.CONSTANT, expression, lambda: ([], [], []), (type_,), visible)
        if fault is None:
            raise  # the visitor's own error
        raise fault from None


def _walk(context: Context, kind: Kind) -> Walk:
    walk = context.walkers.get(kind)
    if walk is None:
        walk = context.walkers[kind] = generator.walk(context.features, kind)
    return walk


def _position(expression: Expression, it: Iterator[int]) -> Callable[[], int]:
    end = expression.offset + len(expression.code)
    return lambda: end - length_hint(it)


def _locals(context: Context, signature: FuncType, code: Code) -> Start:
    types: list[Any] = list(signature.params)
    without_default: list[int] = []
    for count, type_ in code.locals:
        if len(types) + count > MAX_LOCALS:
            raise Invalid(f"too many locals: at most {MAX_LOCALS} are supported, parameters included")
        if type_.__class__ is not NumberType or type_ is V128:
            type_ = closing.value(context, type_)
            if isinstance(type_, RefType) and not type_.nullable:
                without_default += range(len(types), len(types) + count)
        types += [type_] * count
    if not without_default:
        return types, types, []
    frames = unset.Frames(without_default)
    return unset.Getting(types, frames), unset.Setting(types, frames), frames


class _Trace:
    """A visitor that remembers where the last instruction ended, reachable or not."""

    def __init__(self, code: bytes, it: Iterator[int]) -> None:
        self._it = it
        self._size = len(code)
        self.end = 0
        self.handlers = [self._note] * SLOTS

    def _note(self, *_: object) -> None:
        self.end = self._size - length_hint(self._it)


def _locate(
    context: Context,
    kind: Kind,
    expression: Expression,
    start: Callable[[], Start],
    results: Sequence[ValueType],
    visible: int = 0,
) -> Fault | None:
    """The fault of an expression whose walk failed, with the place and the name of the instruction; None if none."""
    code = expression.code
    it = iter(code)
    trace = _Trace(code, it)
    loc: list[Any] = []
    ctl: list[Any] = []
    try:
        loc, var, ctl = start()
        _walk(context, kind)(context, it, loc, var, results, ctl, trace.handlers, trace.handlers, visible)
    except Fault as error:
        fault = error
        if isinstance(fault, Mismatch):
            instruction = _instruction(code, trace.end)
            fault = fault.named(instruction.name if instruction else "the code")
    except IndexError:
        fault = _explain(context, code, trace.end, len(loc), len(ctl))
    else:
        return None
    fault.offset = expression.offset + trace.end
    return fault


def _instruction(code: bytes, start: int) -> Instruction | None:
    """The instruction that starts there."""
    opcode = int.from_bytes(code[start : start + 1], "little")
    if opcode not in BY_OPCODE:
        opcode = opcode << 16 | immediates.u32(iter(code[start + 1 :]))
    return BY_OPCODE.get(opcode)


def _explain(context: Context, code: bytes, start: int, locals_: int, labels: int) -> Fault:
    """The fault behind an `IndexError`: an index that is out of range, or else too few operands."""
    instruction = _instruction(code, start)
    assert instruction is not None
    spaces = {
        "local": ("local", locals_),
        "global": ("global", len(context.globals)),
        "func": ("function", len(context.functions)),
        "label": ("label", labels),
    }
    if instruction.immediates and instruction.immediates[0].kind in spaces:
        what, size = spaces[instruction.immediates[0].kind]
        index = immediates.u32(iter(code[start + 1 :]))
        if index >= size:
            return Invalid(f"unknown {what} {index}: there are {size}")
    expected = "more operands"
    if instruction.params is not None:
        letters = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "v": "v128", "a": "address"}
        expected = f"operands [{' '.join(letters[letter] for letter in instruction.params)}]"
    return Invalid(f"type mismatch: {instruction.name} expected {expected}, found too few")
