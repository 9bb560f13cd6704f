"""Lowerings of tail calls.

A function that ends in tail calls returns a `Tail` instead of calling, and is wrapped in a trampoline for everyone who
calls it in the ordinary way; a function that tail-calls itself is a loop. Functions without tail calls pay nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmine.format.types import FuncType
from wasmine.interpreter.control import callee
from wasmine.interpreter.reference import reference_callee
from wasmine.interpreter.statements import Jump, Leave

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.interpreter.lowering import Handler, Lowering


class Tail:
    """What a function returns in place of its results: the call that gives them."""

    __slots__ = ("arguments", "code")

    def __init__(self, code: Callable[..., Any], *arguments: Any) -> None:
        self.code = code
        self.arguments = arguments


def trampoline(code: Callable[..., Any]) -> Callable[..., Any]:
    """The function for callers that want the results."""

    def call(*arguments: Any) -> Any:
        result = code(*arguments)
        while result.__class__ is Tail:
            result = result.code(*result.arguments)
        return result

    return call


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    stack = lowering.stack
    context = lowering.context

    def leave(code: str, signature: FuncType) -> None:
        lowering.settle_effects(len(stack) - len(signature.params))
        _, arguments = lowering.arguments(signature.params)
        lowering.out.append(Leave(f"return Tail({code}, {arguments})"))
        lowering.tail = True

    def return_call(index: int) -> None:
        signature = context.signatures[index]
        if index != lowering.index:
            leave(lowering.need("r", "tail", index), signature)
            return
        lowering.settle_effects(len(stack) - len(signature.params))
        operands = lowering.pop_all(signature.params)
        if operands:
            names = ", ".join(f"l{i}" for i in range(len(operands)))
            lowering.out.append(f"{names} = {', '.join(operand.text for operand in operands)}")
            lowering.used.update(range(len(operands)))
        lowering.repeats = True
        lowering.out.append(Jump(lowering.frames[0].label))

    def return_call_indirect(type_index: int, table: int) -> None:
        callee(lowering, type_index, table)
        leave("c.tail", _signature(lowering, type_index))

    def return_call_ref(type_index: int) -> None:
        function = reference_callee(lowering)
        leave(f"{function.text}.tail", _signature(lowering, type_index))

    return {
        "return_call": return_call,
        "return_call_indirect": return_call_indirect,
        "return_call_ref": return_call_ref,
    }


def _signature(lowering: Lowering, type_index: int) -> FuncType:
    signature = lowering.context.types[type_index].composite
    assert isinstance(signature, FuncType)
    return signature
