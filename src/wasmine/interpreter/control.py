"""Lowerings of the control instructions: they put out nodes of the statement tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.format.types import I64, FuncType
from wasmine.interpreter.lowering import narrowed
from wasmine.interpreter.operand import NAME, TRAPS, W32, W64
from wasmine.interpreter.statements import Block, If, Jump, Label, Leave, Loop, Switch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.format.types import ValueType
    from wasmine.interpreter.lowering import Frame, Handler, Lowering
    from wasmine.interpreter.statements import Body

# With at least as many different targets a switch is worth a decision tree over the code behind its blocks.
_CHAIN: Final = 3


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    return {**_blocks(lowering), **_branches(lowering), **_calls(lowering)}


# ---------------------------------------------------------------------------------------------------- blocks


def _blocks(lowering: Lowering) -> dict[str, Handler]:
    stack = lowering.stack

    def block(params: Sequence[ValueType], results: Sequence[ValueType], type_index: int | None) -> None:
        lowering.spill_all()
        node = Block(Label())
        lowering.out.append(node)
        lowering.enter("block", params, results, node, node.label, node.body)

    def exact(types: Sequence[ValueType]) -> None:
        """Make the top operands exact: they meet others in their stack variables, of which no more is known."""
        base = len(stack) - len(types)
        for height, type in enumerate(types, base):
            stack[height] = lowering.stored(type, stack[height], height)

    def loop(params: Sequence[ValueType], results: Sequence[ValueType], type_index: int | None) -> None:
        exact(params)
        lowering.spill_all(len(params))
        node = Loop(Label())
        lowering.out.append(node)
        frame = lowering.enter("loop", params, results, node, node.label, node.body)
        # Branches back bring any values, whatever is known of the first ones.
        lowering.reset_stack(frame.base, params)
        frame.loop = lowering.bounds.enter_loop()

    def if_(params: Sequence[ValueType], results: Sequence[ValueType], type_index: int | None) -> None:
        operand = stack.pop()
        condition = lowering.condition(operand, len(stack))
        # Parameters that are literals are stored too: without an `else` they are the results.
        exact(params)
        lowering.spill_all(len(params))
        node = If(condition)
        wrapper = Block(Label())
        wrapper.body.append(node)
        lowering.out.append(wrapper)
        frame = lowering.enter("if", params, results, node, wrapper.label, node.then)
        frame.saved = stack[frame.base :]
        frame.otherwise = narrowed(frame.bounds, operand, False)
        # A copy: what the then part assigns is nothing to the else part.
        lowering.bounds.at = dict(narrowed(frame.bounds, operand, True))

    def else_(reachable: bool) -> None:
        frame = lowering.frames[-1]
        assert isinstance(frame.node, If)
        if reachable:
            lowering.fall(frame)
        lowering.out = frame.node.otherwise
        stack[frame.base :] = frame.saved
        frame.kind = "else"
        lowering.bounds.at = dict(frame.otherwise)

    def end(reachable: bool) -> None:
        frame = lowering.frames[-1]
        if frame.kind == "function":
            if reachable:
                lowering.settle_effects(len(stack) - len(frame.results))
                lowering.out.append(lowering.leave())
            return
        if reachable:
            lowering.fall(frame)
            if isinstance(frame.node, Loop):
                lowering.out.append(Jump(frame.node.exit))
        if frame.loop is not None:
            frame.loop.assigned = frame.assigned
        if frame.kind == "if" and not reachable and not frame.label.uses:
            # Only where the condition does not hold does control get here.
            frame.bounds = frame.otherwise
        lowering.close()

    return {"block": block, "loop": loop, "if": if_, "else": else_, "end": end}


# ---------------------------------------------------------------------------------------------------- branches


def _branches(lowering: Lowering) -> dict[str, Handler]:
    stack = lowering.stack

    def unreachable() -> None:
        lowering.settle_effects()
        lowering.out.append(Leave("raise unreachable()"))

    def br(depth: int) -> None:
        lowering.settle_effects(len(stack) - len(lowering.frames[-1 - depth].branch_types))
        lowering.out += lowering.branch(depth)

    def br_if(depth: int) -> None:
        operand = stack.pop()
        lowering.branch_if(operand, len(stack), depth)

    def br_table(depths: tuple[int, ...]) -> None:
        index = W32.exact(stack.pop(), f"t{len(stack)}")
        lowering.before_condition(index.reads)
        name = index.text
        if index.grade != NAME:
            name = f"t{len(stack)}"
            lowering.out.append(f"{name} = {index.value}")
        arms: dict[int, int] = {}
        bodies: list[Body] = []
        for depth in depths:
            if depth not in arms:
                arms[depth] = len(bodies)
                bodies.append(lowering.branch(depth))
        if len(bodies) >= _CHAIN:
            _make_chain(lowering.frames, max(arms))
        table = tuple(arms[depth] for depth in depths[:-1])
        lowering.out.append(Switch(name, table, arms[depths[-1]], bodies))

    def return_() -> None:
        lowering.settle_effects(len(stack) - len(lowering.results))
        lowering.out.append(lowering.leave())

    return {"unreachable": unreachable, "br": br, "br_if": br_if, "br_table": br_table, "return": return_}


def _make_chain(frames: list[Frame], outermost: int) -> None:
    """Make one chain of the blocks around a switch, up to its outermost target, and of a loop directly around them."""
    inner = len(frames) - 1
    while frames[inner].kind in ("if", "else"):
        inner -= 1
    node = frames[inner].node
    if not isinstance(node, Block) or frames[inner].kind != "block":
        return
    last = max(len(frames) - 1 - outermost, 1)
    while inner > last:
        outer = frames[inner - 1].node
        if frames[inner - 1].kind != "block" or not isinstance(outer, Block) or outer.spine not in (None, node):
            break
        outer.spine = node
        node = outer
        inner -= 1
    around = frames[inner - 1].node
    if isinstance(around, Loop) and around.spine in (None, node):
        around.spine = node
        around.chained = True
    else:
        node.chained = True


# ---------------------------------------------------------------------------------------------------- calls


def _calls(lowering: Lowering) -> dict[str, Handler]:
    context = lowering.context

    def call(index: int) -> None:
        name = lowering.need("f", "function", index)
        lowering.call(name, context.signatures[index])

    def call_indirect(type_index: int, table: int) -> None:
        callee(lowering, type_index, table)
        signature = context.types[type_index].composite
        assert isinstance(signature, FuncType)
        lowering.call("c.code", signature)

    return {"call": call, "call_indirect": call_indirect}


def callee(lowering: Lowering, type_index: int, table: int) -> None:
    """Put out the statements that look up and check the callee of an indirect call, `c`; its index is popped.

    A null has no attribute `defined` and an index out of range no element: `traps` knows what these errors mean here.
    """
    stack = lowering.stack
    width = W64 if lowering.context.tables[table].address is I64 else W32
    # The arguments are evaluated before the lookup may trap. So is an index that may trap itself: in the line of the lookup
    # an error of a memory or an array would pass for one of the table.
    lowering.settle_effects()
    index = width.exact(stack.pop(), f"t{len(stack)}")
    elements = lowering.need("T", "table", table)
    type = lowering.need("D", "type", type_index)
    lowering.statement(f"c = {elements}[{index.value}]", index.reads | TRAPS)
    lowering.out.append(f"if c.defined is not {type}: check_type(c, {type})")
