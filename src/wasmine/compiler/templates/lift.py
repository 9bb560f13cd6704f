"""Turns LLVM's code for a template into instructions with open fields, and proves that nothing was misunderstood.

A template with values in it is compiled twice with different values; whatever differs must be a hole, and the census
demands exactly the holes and register fields that the shape promises. Every instruction, encoded again, must decode to
itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from wasmine.compiler.templates.decode import Access, Decoded, decode
from wasmine.compiler.templates.encode import (
    JUMP,
    LOCK,
    NEGATED,
    OPERAND,
    POOL_CONSTANT,
    POOL_OPERAND,
    RELATIVE,
    TAKEN,
    TRAP,
    Instruction,
    encode,
)
from wasmine.compiler.templates.expand import OFFSET
from wasmine.compiler.templates.forms import (
    COUNTS,
    IMMEDIATES,
    MAXIMAL_ADDEND,
    MINIMAL_ADDEND,
    WIDE_IMMEDIATES,
    Shape,
    magic,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wasmine.compiler.semantics import Meaning
    from wasmine.compiler.templates.object import Function, Relocation

# The registers of templates, in LLVM's hands and in ours. What is not here must not occur.
_GENERAL: Final = {
    15: OPERAND,
    8: OPERAND + 1,
    9: OPERAND + 2,
    11: OPERAND + 3,
    0: 0,
    1: 1,
    2: 2,
    12: 12,
    13: 13,
    14: 14,
}
_VECTOR: Final = {1: OPERAND, 2: OPERAND + 1, 3: OPERAND + 2, 4: OPERAND + 3, 0: 0, 5: 15, 6: 14, 7: 13}
_FILES: Final = {"g": _GENERAL, "x": _VECTOR}
_REGISTERS: Final = {file: {ours: theirs for theirs, ours in table.items()} for file, table in _FILES.items()}
FIXED: Final = (12, 13, 14)

_R_X86_64_PC32, _R_X86_64_PLT32 = 2, 4


class LiftError(Exception):
    """The build does not understand what LLVM wrote."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template as the library stores it.

    Bit 4 * w + o of `hazards` says that operand w is written before operand o was read for the last time: a register
    must not be given to both.
    """

    key: str
    instructions: tuple[Instruction, ...]
    hazards: int


@dataclass(slots=True, eq=False)
class Node:
    """An instruction on its way. `to` is where a jump goes: another node, or the name of a symbol."""

    instruction: Instruction
    accesses: tuple[Access, ...]
    to: Node | str | None = field(default=None)

    @property
    def is_jump(self) -> bool:
        return self.instruction.mode == JUMP

    @property
    def is_unconditional(self) -> bool:
        return self.is_jump and self.instruction.opcode == 0x10


def lift(shape: Shape, meaning: Meaning, variants: Sequence[Function], constant: Callable[[str], int]) -> Template:
    """The template of one shape from its compiled variants; `constant` numbers the library's constants by symbol."""
    listings = [_simplify(_nodes(variant, constant)) for variant in variants]
    nodes = listings[0]
    if len(listings) == 2:
        nodes = _open_holes(shape, *listings)
    _census(shape, meaning, nodes)
    return Template(shape.key, _link(nodes), _hazards(nodes))


# ---------------------------------------------------------------------------------------------------- instructions


def _nodes(function: Function, constant: Callable[[str], int]) -> list[Node]:
    """The function's instructions with registers and relocations resolved."""
    at = 0
    nodes: dict[int, Node] = {}
    destinations: dict[Node, int] = {}
    relocations = list(function.relocations)
    while at < len(function.code):
        decoded = decode(function.code, at)
        end = at + decoded.length
        own = [relocation for relocation in relocations if at <= relocation.offset < end]
        instruction, to = _relocate(decoded, own, at, constant)
        node = Node(_with_operands(instruction, decoded.accesses), decoded.accesses, to)
        if node.is_jump and to is None:
            destinations[node] = end + instruction.immediate
        if not node.is_jump:
            _check_encoding(decoded)
        nodes[at] = node
        at = end
    for node, place in destinations.items():
        if place not in nodes:
            raise LiftError(f"a jump to {place}, where no instruction starts")
        node.to = nodes[place]
    return list(nodes.values())


def _relocate(
    decoded: Decoded, relocations: list[Relocation], at: int, constant: Callable[[str], int]
) -> tuple[Instruction, str | None]:
    """The instruction with what its relocation says, and a jump's symbol."""
    instruction = decoded.instruction
    if not relocations:
        if instruction.mode == RELATIVE:
            raise LiftError("a relative address without a relocation")
        return instruction, None
    (relocation,) = relocations
    if relocation.type not in (_R_X86_64_PC32, _R_X86_64_PLT32):
        raise LiftError(f"relocation type {relocation.type} of {relocation.symbol}")
    place = relocation.offset - at
    if instruction.mode == JUMP and place == decoded.immediate_at and relocation.addend == -4:
        return instruction, relocation.symbol
    if instruction.mode != RELATIVE or place != decoded.displacement_at:
        raise LiftError(f"relocation of {relocation.symbol} in an unexpected place")
    addend = relocation.addend + decoded.length - decoded.displacement_at
    if relocation.symbol.startswith(".LCPI"):
        if addend:
            raise LiftError(f"an address {addend} bytes into a constant")
        number = constant(relocation.symbol)
        return instruction._replace(displacement=number, displacement_hole=POOL_CONSTANT), None
    if relocation.symbol[0] == "k":
        hole = POOL_OPERAND + int(relocation.symbol[1:])
        return instruction._replace(displacement=addend, displacement_hole=hole), None
    raise LiftError(f"relocation of unknown symbol {relocation.symbol}")


def _with_operands(instruction: Instruction, accesses: tuple[Access, ...]) -> Instruction:
    """The instruction with the registers of operands replaced by the operands' numbers."""
    changes = {}
    for access in accesses:
        number = getattr(instruction, access.field)
        if access.field == "vector" and access.file == "x" and number == 15:
            continue  # LLVM's choice for a source whose value does not matter; it is scratch for us too
        if access.file == "g" and number == 4 and instruction.prefixes & LOCK and not access.writes:
            continue  # a locked operation on the top of the stack that changes nothing is LLVM's fence
        if number not in _FILES[access.file]:
            raise LiftError(f"register {access.file}{number} is neither an operand nor scratch")
        changes[access.field] = _FILES[access.file][number]
    return instruction._replace(**changes)


def _check_encoding(decoded: Decoded) -> None:
    """The encoder must make of the instruction something that decodes to the same, and no longer than LLVM's."""
    code, *_ = encode(decoded.instruction, (), 0)
    again = decode(code, 0)
    if again.instruction != decoded.instruction or len(code) > decoded.length:
        raise LiftError(f"encodes to {code.hex()}, which decodes to {again.instruction}, not {decoded.instruction}")


# ---------------------------------------------------------------------------------------------------- control flow


def _simplify(nodes: list[Node]) -> list[Node]:
    """The same code, falling through at its end, with conditional jumps straight to where they lead."""
    while True:
        before = [(node, node.to, node.instruction.opcode) for node in nodes]
        _thread(nodes)
        nodes = _reachable(nodes)
        nodes = _invert(nodes)
        while nodes and nodes[-1].is_jump and nodes[-1].to == "next" and nodes[-1].is_unconditional:
            last = nodes.pop()
            for node in nodes:
                if node.to is last:
                    node.to = "next"
        nodes = [node for node, after in pairwise([*nodes, None]) if node and not (node.is_jump and node.to is after)]
        if before == [(node, node.to, node.instruction.opcode) for node in nodes]:
            return nodes


def _thread(nodes: list[Node]) -> None:
    """Makes a jump to an unconditional jump go where that one goes."""
    for node in nodes:
        while isinstance(node.to, Node) and node.to.is_unconditional:
            node.to = node.to.to


def _reachable(nodes: list[Node]) -> list[Node]:
    """The nodes that control can reach."""
    order = {node: number for number, node in enumerate(nodes)}
    seen: set[Node] = set()
    pending = [0]
    while pending:
        number = pending.pop()
        while number < len(nodes) and nodes[number] not in seen:
            node = nodes[number]
            seen.add(node)
            if isinstance(node.to, Node):
                pending.append(order[node.to])
            if node.is_unconditional:
                break
            number += 1
    return [node for node in nodes if node in seen]


def _invert(nodes: list[Node]) -> list[Node]:
    """Turns a conditional jump over an unconditional one into one jump of the opposite condition."""
    result: list[Node] = []
    skip = False
    for number, node in enumerate(nodes):
        if skip:
            skip = False
            continue
        result.append(node)
        if not node.is_jump or node.is_unconditional or number + 1 >= len(nodes):
            continue
        over, after = nodes[number + 1], nodes[number + 2] if number + 2 < len(nodes) else "next"
        if over.is_unconditional and node.to == after and all(other.to is not over for other in nodes):
            node.instruction = node.instruction._replace(opcode=node.instruction.opcode ^ 1)
            node.to = over.to
            skip = True
    return result


def _link(nodes: list[Node]) -> tuple[Instruction, ...]:
    """The instructions with the targets of jumps as numbers."""
    numbers = {node: number for number, node in enumerate(nodes)}
    linked = []
    for node in nodes:
        instruction = node.instruction
        if node.is_jump:
            if isinstance(node.to, Node):
                target = numbers[node.to]
            elif node.to == "next":
                target = len(nodes)
            elif node.to == "taken":
                target = TAKEN
            elif node.to and node.to.startswith("trap_"):
                target = TRAP + int(node.to[5:])
            else:
                raise LiftError(f"a jump to {node.to}")
            instruction = instruction._replace(immediate=0, immediate_size=0, target=target)
        linked.append(instruction)
    if not nodes or len(nodes) >= TRAP:
        raise LiftError(f"{len(nodes)} instructions")
    return tuple(linked)


# ---------------------------------------------------------------------------------------------------- holes


def _open_holes(shape: Shape, first: list[Node], second: list[Node]) -> list[Node]:
    """The nodes of the first variant, with a hole wherever the second has another number."""
    if len(first) != len(second):
        raise LiftError("the variants differ in length")
    values = _values(shape)
    orders = [{node: number for number, node in enumerate(nodes)} for nodes in (first, second)]
    for node, other in zip(first, second, strict=True):
        one, two = node.instruction, other.instruction
        if node.is_jump:
            destinations = [
                order[to] if isinstance(to, Node) else to for order, to in zip(orders, (node.to, other.to), strict=True)
            ]
            if one.opcode != two.opcode or destinations[0] != destinations[1]:
                raise LiftError("the variants differ in a jump")
            continue
        changes: dict[str, int] = {}
        if one.displacement != two.displacement:
            hole, addend = _match(values, one.displacement, two.displacement, 4)
            changes |= {"displacement": addend, "displacement_hole": hole}
        if one.immediate != two.immediate:
            hole, addend = _match(values, one.immediate, two.immediate, one.immediate_size)
            changes |= {"immediate": addend, "immediate_hole": hole}
        unified = two._replace(displacement=one.displacement, immediate=one.immediate)
        if unified != one:
            raise LiftError(f"the variants differ in more than numbers: {one} and {two}")
        node.instruction = one._replace(**changes)
    return first


def _values(shape: Shape) -> dict[int, tuple[int, int]]:
    """The pair of numbers that stands for each hole of the shape."""
    found = {}
    for hole in shape.values:
        pair = (magic(hole, 0), magic(hole, 1))
        if hole < len(shape.kinds) and shape.kinds[hole] == "C":
            pair = COUNTS if shape.is_shift_by_constant else IMMEDIATES
            if shape.name == "i64.const_wide!":
                pair = WIDE_IMMEDIATES
        found[hole] = pair
    return found


def _match(values: dict[int, tuple[int, int]], one: int, two: int, size: int) -> tuple[int, int]:
    """The hole whose numbers these are, and the addend that LLVM applied."""
    modulus = 1 << 8 * size
    half = modulus >> 1
    for hole, (first, second) in values.items():
        addends = {((found - value + half) % modulus) - half for found, value in ((one, first), (two, second))}
        if len(addends) == 1:
            (addend,) = addends
            if MINIMAL_ADDEND <= addend <= MAXIMAL_ADDEND and (size >= 4 or addend == 0):
                return hole, addend
        if (first, second) == COUNTS and size == 1 and one + first == two + second and one + first in (32, 64):
            return NEGATED + hole, one + first
    raise LiftError(f"numbers {one:#x} and {two:#x} belong to no hole")


# ---------------------------------------------------------------------------------------------------- census


def _census(shape: Shape, meaning: Meaning, nodes: list[Node]) -> None:
    """Every operand must have its fields and holes, and nothing else may have any."""
    holes: dict[int, int] = {}
    pooled = set()
    for node in nodes:
        for hole in (node.instruction.displacement_hole, node.instruction.immediate_hole):
            if POOL_OPERAND <= hole < POOL_CONSTANT:
                pooled.add(hole - POOL_OPERAND)
            elif hole < POOL_OPERAND:
                number = hole - NEGATED if hole >= NEGATED else hole
                holes[number] = holes.get(number, 0) + 1
    if set(holes) != shape.values:
        raise LiftError(f"holes for values {sorted(holes)}, expected {sorted(shape.values)}")
    repeated = [number for number, count in holes.items() if count > 1 and number != OFFSET]
    if repeated:
        raise LiftError(f"values {repeated} have several holes")
    if pooled != {number for number, kind in enumerate(shape.kinds) if kind == "K"}:
        raise LiftError(f"pooled operands {sorted(pooled)}")
    read, written = _used(nodes)
    expected_reads, expected_writes = _expected(shape, meaning)
    if written != expected_writes:
        raise LiftError(f"writes {sorted(written)}, expected {sorted(expected_writes)}")
    if not expected_reads - expected_writes <= read or not read <= expected_reads | expected_writes:
        raise LiftError(f"reads {sorted(read)}, expected {sorted(expected_reads)}")
    for node in nodes:
        for access in node.accesses:
            register = getattr(node.instruction, access.field)
            if access.writes and access.file == "g" and register in FIXED:
                raise LiftError(f"writes the fixed register {register}")


def _used(nodes: list[Node]) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """The operands read and written, each as a register file and a number."""
    read, written = set(), set()
    for node in nodes:
        for access in node.accesses:
            register = getattr(node.instruction, access.field)
            if register >= OPERAND:
                operand = (access.file, register - OPERAND)
                if access.reads:
                    read.add(operand)
                if access.writes:
                    written.add(operand)
    return read, written


def _expected(shape: Shape, meaning: Meaning) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """The operands that a template of this shape reads and writes."""

    def file(letter: str) -> str:
        return "g" if letter in "aiI" else "x"

    read = {
        ("g" if kind == "M" else file(letter), number)
        for number, (kind, letter) in enumerate(zip(shape.kinds, meaning.params, strict=False))
        if kind in "RM"
    }
    written: set[tuple[str, int]] = set()
    form = shape.form
    if form == "D":
        written = {(file(meaning.results), 3)}
    elif form == "A":
        written = {(file(letter), number) for number, letter in enumerate(meaning.results)}
    elif len(form) == 2:
        chosen = "g" if form == "Sg" else "x"
        read |= {(chosen, 2), (chosen, 3)}
        written = {(chosen, 2)}
    return read, written


def _hazards(nodes: list[Node]) -> int:
    """Pairs of operands that must not share a register; see `Template`."""
    order = {node: number for number, node in enumerate(nodes)}
    backward = any(isinstance(node.to, Node) and order[node.to] <= order[node] for node in nodes)
    written: set[tuple[str, int]] = set()
    hazards = 0
    for _ in range(2 if backward else 1):
        for node in nodes:
            uses = [
                (access, (access.file, getattr(node.instruction, access.field) - OPERAND))
                for access in node.accesses
                if getattr(node.instruction, access.field) >= OPERAND
            ]
            for _, (file, number) in uses:
                for other_file, other in written:
                    if file == other_file and number != other:
                        hazards |= 1 << 4 * other + number
            both = {operand for access, operand in uses if access.writes}
            if len(both) == 2:  # two results at once: their registers must differ
                (_, one), (_, two) = both
                hazards |= 1 << 4 * one + two | 1 << 4 * two + one
            written |= both
    return hazards
