"""Lowerings of exceptions: `try_table` and the legacy `try`.

A wasm exception on its way is a Python exception, `Thrown`, which generated code catches as `e`; other Python exceptions
pass. The handlers of a `try` only note what was caught, in `h3` and `x3` for the third one of a function: its catch
clauses stand behind the Python `try`, so that what they throw has nothing to do with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.format.types import FuncType
from wasmine.interpreter.bounds import without
from wasmine.interpreter.statements import Block, If, Jump, Label, Leave, Try
from wasmine.record import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.format.types import ValueType
    from wasmine.interpreter.lowering import Frame, Handler, Lowering
    from wasmine.interpreter.statements import Body


@record(frozen=False)
class Clauses:
    """A `try` in the works: its number in the function, and the body behind it that the next clause goes to."""

    number: int
    behind: Body
    count: int = 0


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    return {**_throws(lowering), **_try_table(lowering), **_legacy(lowering)}


def _tag_types(lowering: Lowering, tag: int) -> Sequence[ValueType]:
    signature = lowering.context.tags[tag].composite
    assert isinstance(signature, FuncType)
    return signature.params


def _throws(lowering: Lowering) -> dict[str, Handler]:
    stack = lowering.stack

    def throw(tag: int) -> None:
        types = _tag_types(lowering, tag)
        lowering.settle_effects(len(stack) - len(types))
        _, values = lowering.arguments(types)
        name = lowering.need("X", "tag", tag)
        comma = "," if len(types) == 1 else ""
        lowering.out.append(Leave(f"raise Thrown(ExceptionPackage({name}, ({values}{comma})))"))

    def throw_ref() -> None:
        lowering.settle_effects(len(stack) - 1)
        a = stack.pop()
        lowering.out.append(Leave(f"raise thrown_again({a.text})"))

    return {"throw": throw, "throw_ref": throw_ref}


def _assign(lowering: Lowering, frame: Frame, count: int, package: str, reference: bool) -> Body:
    """A branch to a frame with the values of the package and, if so, the package itself."""
    if frame.kind == "function":
        if not reference:
            values = f"{package}.values[0]" if count == 1 else f"{package}.values"
            return [Leave(f"return {values}" if count else "return")]
        return [Leave(f"return (*{package}.values, {package})" if count else f"return {package}")]
    moves: Body = []
    if count:
        names = "".join(f"s{frame.base + i}, " for i in range(count))
        moves.append(f"{names}= {package}.values")
    if reference:
        moves.append(f"s{frame.base + count} = {package}")
    if frame.loop is not None:
        frame.loop.returns({})
    return [*moves, Jump(frame.label)]


def _try_table(lowering: Lowering) -> dict[str, Handler]:
    def try_table(
        params: Sequence[ValueType],
        results: Sequence[ValueType],
        type_index: int | None,
        catches: tuple[tuple[int, int | None, int], ...],
    ) -> None:
        lowering.spill_all()
        node = Try()
        for kind, tag, depth in catches:
            frame = lowering.frames[-1 - depth]
            if tag is None:
                handler = _assign(lowering, frame, 0, "e.package", kind == 3)
                node.handlers.append(("True", handler))
            else:
                handler = _assign(lowering, frame, len(_tag_types(lowering, tag)), "e.package", kind == 1)
                node.handlers.append((f"e.package.tag is {lowering.need('X', 'tag', tag)}", handler))
        wrapper = Block(Label())
        wrapper.body.append(node)
        lowering.out.append(wrapper)
        frame = lowering.enter("try_table", params, results, node, wrapper.label, node.body)
        frame.clauses = Clauses(lowering.number(), [])

    return {"try_table": try_table}


# ---------------------------------------------------------------------------------------------------- legacy


def _legacy(lowering: Lowering) -> dict[str, Handler]:
    def try_(params: Sequence[ValueType], results: Sequence[ValueType], type_index: int | None) -> None:
        lowering.spill_all()
        node = Try()
        number = lowering.number()
        wrapper = Block(Label())
        wrapper.body += [f"h{number} = 0", node]
        lowering.out.append(wrapper)
        frame = lowering.enter("try", params, results, node, wrapper.label, node.body)
        frame.clauses = Clauses(number, wrapper.body)

    def clause(reachable: bool, condition: str, types: Sequence[ValueType]) -> None:
        frame = lowering.frames[-1]
        node, clauses = frame.node, frame.clauses
        assert isinstance(node, Try)
        assert clauses is not None
        if reachable:
            lowering.fall(frame)
        frame.kind = "catch"
        lowering.bounds.at = without(frame.bounds, frame.assigned)
        clauses.count += 1
        noted: Body = [f"h{clauses.number} = {clauses.count}", f"x{clauses.number} = e.package"]
        if types:
            names = "".join(f"s{frame.base + i}, " for i in range(len(types)))
            noted.append(f"{names}= e.package.values")
        node.handlers.append((condition, noted))
        choice = If(f"h{clauses.number} == {clauses.count}")
        clauses.behind.append(choice)
        clauses.behind = choice.otherwise
        lowering.out = choice.then
        lowering.reset_stack(frame.base, types)

    def catch(tag: int, reachable: bool) -> None:
        name = lowering.need("X", "tag", tag)
        clause(reachable, f"e.package.tag is {name}", _tag_types(lowering, tag))

    def catch_all(reachable: bool) -> None:
        clause(reachable, "True", ())

    def rethrow(depth: int) -> None:
        lowering.settle_effects()
        clauses = lowering.frames[-1 - depth].clauses
        assert clauses is not None
        lowering.out.append(Leave(f"raise Thrown(x{clauses.number})"))

    def delegate(depth: int, reachable: bool) -> None:
        frame = lowering.frames[-1]
        assert isinstance(frame.node, Try)
        if reachable:
            lowering.fall(frame)
        target = _delegate_target(lowering, len(lowering.frames) - 2 - depth)
        frame.node.handlers.append(("True", [f"e.target = {target}", Leave("raise e")]))
        lowering.close()

    return {"try": try_, "catch": catch, "catch_all": catch_all, "rethrow": rethrow, "delegate": delegate}


def _delegate_target(lowering: Lowering, index: int) -> int:
    """The number of the first `try` from a frame outwards, -1 for the caller; those on the way learn to look aside."""
    frames = lowering.frames
    target = -1
    while index > 0:
        if frames[index].kind in ("try", "try_table"):
            target = _number(frames[index])
            break
        index -= 1
    for frame in frames[max(index, 1) : -1]:
        if frame.kind in ("try", "try_table") and isinstance(frame.node, Try) and not frame.node.before:
            number = _number(frame)
            frame.node.before += [f"if e.target and e.target != {number}: raise e", "e.target = 0"]
    if target < 0:
        lowering.delegates = True
    return target


def _number(frame: Frame) -> int:
    assert frame.clauses is not None
    return frame.clauses.number
