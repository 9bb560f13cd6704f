"""Lowerings of the parametric and variable instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmine.interpreter.operand import ANYTHING, EFFECTS, EXPRESSION, GLOBALS, PRIMARY, Operand

if TYPE_CHECKING:
    from wasmine.interpreter.lowering import Handler, Lowering


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    stack = lowering.stack
    context = lowering.context

    def nop() -> None:
        pass

    def drop(type: Any) -> None:
        operand = stack.pop()
        if operand.reads & EFFECTS:
            lowering.statement(operand.text, operand.reads)

    def select(*immediates: Any) -> None:
        # Python evaluates the condition first and one of the others after it.
        for height in (len(stack) - 3, len(stack) - 2):
            if stack[height].reads & ANYTHING:
                lowering.spill(height)
        condition = stack.pop()
        test = lowering.condition(condition, len(stack))
        right = stack.pop()
        left = stack.pop()
        if left.truth != right.truth:
            left, right = integer(left), integer(right)
        low, high = min(left.low, right.low), max(left.high, right.high)
        reads = left.reads | right.reads | condition.reads
        text = f"{left.factor} if ({test}) else {right.factor}"
        stack.append(Operand(text, EXPRESSION, low, high, reads, left.truth))
        lowering.shorten()

    def integer(operand: Operand) -> Operand:
        return Operand(operand.value, EXPRESSION, 0, 1, operand.reads) if operand.truth else operand

    def local_get(index: int) -> None:
        stack.append(lowering.local(index))

    def local_set(index: int) -> None:
        lowering.assign(index, stack.pop())

    def local_tee(index: int) -> None:
        lowering.assign(index, stack.pop())
        stack.append(lowering.local(index))

    def global_get(index: int) -> None:
        type = context.globals[index]
        name = lowering.need("g", "global", index)
        lowering.push(f"{name}.raw", type.value, GLOBALS if type.mutable else 0, PRIMARY)

    def global_set(index: int) -> None:
        operand = lowering.stored(context.globals[index].value, stack.pop(), len(stack))
        name = lowering.need("g", "global", index)
        lowering.statement(f"{name}.raw = {operand.text}", operand.reads, GLOBALS)

    return {
        "nop": nop,
        "drop": drop,
        "select": select,
        "local.get": local_get,
        "local.set": local_set,
        "local.tee": local_tee,
        "global.get": global_get,
        "global.set": global_set,
    }
