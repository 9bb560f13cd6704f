"""Walking a function's body or a constant expression: locals, visitors, and errors that name the instruction at fault."""

from __future__ import annotations

from operator import length_hint
from typing import TYPE_CHECKING, Any, Final, Protocol

from wasmine.format.instructions import SLOTS
from wasmine.format.types import V128, NumberType, RefType
from wasmine.validation import closing, unset, walks
from wasmine.validation.diagnosis import Attempt, find_fault
from wasmine.validation.faults import Fault, Invalid
from wasmine.validation.walks import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wasmine.format.module import Code, Expression
    from wasmine.format.types import FuncType, ValueType
    from wasmine.validation.context import Context
    from wasmine.validation.diagnosis import Start
    from wasmine.validation.walks import Walk

    Handlers = Sequence[Callable[..., object]]

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
        walk = _walk(context, Kind.VISITED_BODY)
        attempt = Attempt(context, walk, body, lambda: _locals(context, signature, code), signature.results)
        fault = find_fault(attempt)
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
        walk = _walk(context, Kind.CONSTANT)
        fault = find_fault(Attempt(context, walk, expression, lambda: ([], [], []), (type_,), visible))
        if fault is None:
            raise  # the visitor's own error
        raise fault from None


def _walk(context: Context, kind: Kind) -> Walk:
    walk = context.walkers.get(kind)
    if walk is None:
        walk = context.walkers[kind] = walks.walk(context.features, kind)
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
