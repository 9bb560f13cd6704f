"""Lowerings of the atomic instructions and of wide arithmetic: calls of the functions in `atomics` and `wide`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.format.instructions import INSTRUCTIONS
from wasmine.format.types import I32, I64
from wasmine.interpreter.memory import effective, view
from wasmine.interpreter.operand import CALLS, MEMORY, PRIMARY, TRAPS, slot_bit

if TYPE_CHECKING:
    from wasmine.format.instructions import Instruction
    from wasmine.interpreter.lowering import Handler, Lowering

_TYPES: Final = {"i": I32, "I": I64}


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    table: dict[str, Handler] = {}
    for instruction in INSTRUCTIONS:
        if instruction.feature == "wide_arithmetic":
            table[instruction.name] = _wide(lowering, instruction)
        elif instruction.alignment >= 0 and instruction.is_atomic:
            table[instruction.name] = _atomic(lowering, instruction)
    table["atomic.fence"] = _fence
    return table


def _fence() -> None:
    """Python's threads see each other's writes in order."""


def _atomic(lowering: Lowering, instruction: Instruction) -> Handler:
    stack = lowering.stack
    types = [_TYPES[letter] for letter in (instruction.params or "")[1:]]
    results = [_TYPES[letter] for letter in instruction.results or ""]

    def handler(offset: int, memory: int, align: int) -> None:
        lowering.no_calls(1 + len(types))
        reads, operands = lowering.arguments(types)
        address = effective(lowering, stack.pop(), offset, memory, len(stack))
        name = "a_" + instruction.name.replace(".", "_")
        lowering.needs[name] = ("atomic", instruction.name)
        monitor = lowering.need("W", "monitor", memory)
        text = f"{name}({monitor}, {view(lowering, memory)}, {address.text}{', ' + operands if operands else ''})"
        reads |= address.reads | TRAPS | MEMORY | CALLS
        if results:
            lowering.push(text, results[0], reads, PRIMARY)
        else:
            lowering.statement(text, reads, MEMORY)

    return handler


def _wide(lowering: Lowering, instruction: Instruction) -> Handler:
    stack = lowering.stack
    types = [_TYPES[letter] for letter in instruction.params or ""]

    def handler() -> None:
        reads, arguments = lowering.arguments(types)
        name = "w_" + instruction.name.replace(".", "_")
        lowering.needs[name] = ("wide", instruction.name)
        height = len(stack)
        lowering.statement(
            f"s{height}, s{height + 1} = {name}({arguments})", reads, slot_bit(height) | slot_bit(height + 1)
        )
        lowering.push_slot(I64)
        lowering.push_slot(I64)

    return handler
