"""Lowerings of the vector instructions: the expressions of `simd` where it has one, else calls of its functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.format.instructions import INSTRUCTIONS
from wasmine.format.types import F32, F64, I32, I64, V128
from wasmine.interpreter.memory import effective, view
from wasmine.interpreter.operand import MEMORY, NAME, PRIMARY, TRAPS, Operand

if TYPE_CHECKING:
    from wasmine.format.instructions import Instruction
    from wasmine.format.types import NumberType
    from wasmine.interpreter.lowering import Handler, Lowering

_TYPES: Final[dict[str, NumberType]] = {"i": I32, "I": I64, "f": F32, "F": F64, "v": V128}


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    table: dict[str, Handler] = {}
    for instruction in INSTRUCTIONS:
        if instruction.feature not in ("simd", "relaxed_simd"):
            continue
        name = instruction.name
        if instruction.alignment < 0:
            table[name] = _operation(lowering, instruction)
        elif name == "v128.load":
            table[name] = _load_whole(lowering)
        elif name == "v128.store":
            table[name] = _store_whole(lowering)
        elif "store" in name:
            table[name] = _store_lane(lowering, instruction)
        elif name.endswith("_lane"):
            table[name] = _load_lane(lowering, instruction)
        else:
            table[name] = _load(lowering, instruction)
    table["v128.const"] = _constant(lowering)
    return table


def _constant(lowering: Lowering) -> Handler:
    stack = lowering.stack

    def handler(data: bytes) -> None:
        value = int.from_bytes(data, "little")
        stack.append(Operand(str(value), NAME, value, value))

    return handler


def _function(lowering: Lowering, name: str, *immediates: int | bytes) -> str:
    """The name in the namespace of an instruction's function."""
    parts = [name.replace(".", "_"), *(i.hex() if isinstance(i, bytes) else str(i) for i in immediates)]
    global_name = "v_" + "_".join(parts)
    lowering.needs[global_name] = ("vector", (name, *immediates))
    return global_name


def _operation(lowering: Lowering, instruction: Instruction) -> Handler:
    """An instruction on operands alone; immediates are a lane number or 16 of them."""
    stack = lowering.stack
    name = instruction.name
    types = [_TYPES[letter] for letter in instruction.params or ""]
    result = _TYPES[instruction.results or ""] if instruction.results else V128

    def handler(*immediates: int | bytes) -> None:
        from wasmine.interpreter.simd import NAMES, expression

        template = expression(name, *immediates)
        if template is None:
            reads, arguments = lowering.arguments(types)
            lowering.push(f"{_function(lowering, name, *immediates)}({arguments})", result, reads, PRIMARY)
            return
        # The expression uses its operands several times, and would not always parse with literals.
        for height in range(len(stack) - len(types), len(stack)):
            if stack[height].grade != NAME or not stack[height].reads:
                lowering.spill(height)
        operands = lowering.pop_all(types)
        texts = []
        reads = 0
        for i, operand in enumerate(operands):
            if operand.grade != NAME:  # it was not exact: a mask came on
                target = f"t{len(stack) + i}"
                lowering.statement(f"{target} = {operand.text}", operand.reads)
                texts.append(target)
            else:
                texts.append(operand.text)
            reads |= operand.reads
        for global_name in NAMES:
            lowering.needs[global_name] = ("vector name", global_name)
        lowering.push(template.format(*texts), result, reads, PRIMARY)

    return handler


# ---------------------------------------------------------------------------------------------------- memory


def _bits(lowering: Lowering, address: Operand, offset: int, memory: int, size: int) -> Operand:
    """The bits that an access reads, as an unsigned int."""
    height = len(lowering.stack)
    address = effective(lowering, address, offset, memory, height)
    bytes_ = view(lowering, memory)
    format = "_BHIQ"[size]
    text = f"{bytes_}[{address.text}]" if size == 1 else f"load_{format}({bytes_}, {address.text})[0]"
    return Operand(text, PRIMARY, 0, (1 << 8 * (1 << size - 1)) - 1, address.reads | MEMORY | TRAPS)


def _load(lowering: Lowering, instruction: Instruction) -> Handler:
    stack = lowering.stack

    def handler(offset: int, memory: int, align: int) -> None:
        lowering.no_calls(1)
        read = _bits(lowering, stack.pop(), offset, memory, instruction.alignment + 1)
        lowering.push(f"{_function(lowering, instruction.name)}({read.text})", V128, read.reads, PRIMARY)

    return handler


def _load_lane(lowering: Lowering, instruction: Instruction) -> Handler:
    stack = lowering.stack

    def handler(offset: int, memory: int, align: int, lane: int) -> None:
        lowering.no_calls(2)
        vector = stack.pop()
        read = _bits(lowering, stack.pop(), offset, memory, instruction.alignment + 1)
        name = _function(lowering, instruction.name, lane)
        lowering.push(f"{name}({read.text}, {vector.text})", V128, read.reads | vector.reads, PRIMARY)

    return handler


def _store_lane(lowering: Lowering, instruction: Instruction) -> Handler:
    stack = lowering.stack

    def handler(offset: int, memory: int, align: int, lane: int) -> None:
        lowering.no_calls(2)
        vector = stack.pop()
        address = effective(lowering, stack.pop(), offset, memory, len(stack))
        bytes_ = view(lowering, memory)
        value = f"{_function(lowering, instruction.name, lane)}({vector.text})"
        format = "BHIQ"[instruction.alignment]
        line = (
            f"{bytes_}[{address.text}] = {value}"
            if format == "B"
            else f"store_{format}({bytes_}, {address.text}, {value})"
        )
        lowering.statement(line, address.reads | vector.reads | TRAPS, MEMORY)

    return handler


def _load_whole(lowering: Lowering) -> Handler:
    stack = lowering.stack

    def handler(offset: int, memory: int, align: int) -> None:
        lowering.no_calls(1)
        address = effective(lowering, stack.pop(), offset, memory, len(stack))
        text = f"load_v128({view(lowering, memory)}, {address.text})"
        lowering.push(text, V128, address.reads | MEMORY | TRAPS, PRIMARY)

    return handler


def _store_whole(lowering: Lowering) -> Handler:
    stack = lowering.stack

    def handler(offset: int, memory: int, align: int) -> None:
        lowering.no_calls(2)
        value = stack.pop()
        address = effective(lowering, stack.pop(), offset, memory, len(stack))
        line = f"store_v128({view(lowering, memory)}, {address.text}, {value.text})"
        lowering.statement(line, address.reads | value.reads | TRAPS, MEMORY)

    return handler
