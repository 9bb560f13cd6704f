"""Lowerings of the reference instructions: null, function references, i31, tests and casts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.format.types import FuncType, Heap, RefType
from wasmine.interpreter.operand import EXPRESSION, NAME, PRIMARY, TRAPS, Operand, named
from wasmine.interpreter.statements import If

if TYPE_CHECKING:
    from wasmine.format.types import HeapType
    from wasmine.interpreter.lowering import Handler, Lowering


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    return {**_plain(lowering), **_branches(lowering), **_casts(lowering)}


def _plain(lowering: Lowering) -> dict[str, Handler]:
    stack = lowering.stack
    context = lowering.context

    def null(heap: HeapType) -> None:
        stack.append(Operand("None", NAME))

    def is_null(type: RefType) -> None:
        a = stack.pop()
        stack.append(Operand(f"{a.factor} is None", EXPRESSION, 0, 1, a.reads, truth=True))

    def func(index: int) -> None:
        stack.append(Operand(lowering.need("F", "reference", index), NAME))

    def eq() -> None:
        b = stack.pop()
        a = stack.pop()
        reads = a.reads | b.reads
        stack.append(Operand(f"same_reference({a.text}, {b.text})", PRIMARY, 0, 1, reads, truth=True))

    def as_non_null(type: RefType) -> None:
        a = stack.pop()
        first, again = named(a, f"t{len(stack)}")
        stack.append(Operand(f"{again} if {first} is not None else null()", reads=a.reads | TRAPS))

    def call_ref(type_index: int) -> None:
        callee = reference_callee(lowering)
        signature = context.types[type_index].composite
        assert isinstance(signature, FuncType)
        lowering.call(f"{callee.text}.code", signature, callee.reads)

    def i31() -> None:
        a = stack.pop()
        stack.append(Operand(f"I31({a.text})", PRIMARY, reads=a.reads))

    def i31_get_s() -> None:
        a = stack.pop()
        text = f"({a.factor}.value ^ 1073741824) - 1073741824"
        stack.append(Operand(text, EXPRESSION, -0x4000_0000, 0x3FFF_FFFF, a.reads | TRAPS))

    def i31_get_u() -> None:
        a = stack.pop()
        stack.append(Operand(f"{a.factor}.value", PRIMARY, 0, 0x7FFF_FFFF, a.reads | TRAPS))

    def convert() -> None:
        """Host references and internal ones have one representation."""

    return {
        "ref.null": null,
        "ref.is_null": is_null,
        "ref.func": func,
        "ref.eq": eq,
        "ref.as_non_null": as_non_null,
        "call_ref": call_ref,
        "ref.i31": i31,
        "i31.get_s": i31_get_s,
        "i31.get_u": i31_get_u,
        "any.convert_extern": convert,
        "extern.convert_any": convert,
    }


def reference_callee(lowering: Lowering) -> Operand:
    """The function reference on the stack as a name, popped; arguments with effects are evaluated before it."""
    stack = lowering.stack
    lowering.settle_effects(len(stack) - 1)
    callee = stack.pop()
    if callee.grade == NAME:
        return callee
    lowering.statement(f"c = {callee.text}", callee.reads | TRAPS)
    return Operand("c", NAME)


def _branches(lowering: Lowering) -> dict[str, Handler]:
    stack = lowering.stack

    def name_top() -> str:
        """Store the top operand where it is not a name yet; the name."""
        lowering.settle_effects()
        if stack[-1].grade != NAME:
            lowering.spill(len(stack) - 1)
        return stack[-1].text

    def on_null(depth: int, type: RefType) -> None:
        name = name_top()
        operand = stack.pop()
        lowering.out.append(If(f"{name} is None", lowering.branch(depth)))
        stack.append(operand)

    def on_non_null(depth: int, type: RefType) -> None:
        name = name_top()
        lowering.out.append(If(f"{name} is not None", lowering.branch(depth)))
        stack.pop()

    def on_cast(depth: int, source: RefType, target: RefType) -> None:
        name = name_top()
        lowering.out.append(If(predicate(lowering, target, name), lowering.branch(depth)))

    def on_cast_fail(depth: int, source: RefType, target: RefType) -> None:
        name = name_top()
        lowering.out.append(If(f"not {predicate(lowering, target, name)}", lowering.branch(depth)))

    return {
        "br_on_null": on_null,
        "br_on_non_null": on_non_null,
        "br_on_cast": on_cast,
        "br_on_cast_fail": on_cast_fail,
    }


def predicate(lowering: Lowering, type: RefType, argument: str) -> str:
    """An expression for whether a reference is of a type of the syntax."""
    return f"{_predicate_name(lowering, type)}({argument})"


def _predicate_name(lowering: Lowering, type: RefType) -> str:
    heap, nullable = type.heap, type.nullable
    kind, number = ("heap", heap.value) if isinstance(heap, Heap) else ("type", heap)
    name = f"is_{kind}{number}{'_null' if nullable else ''}"
    lowering.needs[name] = ("predicate", (kind, number, nullable))
    return name


def _casts(lowering: Lowering) -> dict[str, Handler]:
    stack = lowering.stack

    def test(type: RefType) -> None:
        a = stack.pop()
        stack.append(Operand(predicate(lowering, type, a.text), PRIMARY, 0, 1, a.reads, truth=True))

    def cast(type: RefType) -> None:
        a = stack.pop()
        first, again = named(a, f"t{len(stack)}")
        name = _predicate_name(lowering, type)
        text = f"{again} if {name}({first}) else cast_failure({again}, {name})"
        stack.append(Operand(text, reads=a.reads | TRAPS))
        lowering.shorten()

    return {"ref.test": test, "ref.cast": cast}
