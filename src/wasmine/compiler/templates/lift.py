"""Turns LLVM's code for a template into instructions with open fields, and proves that nothing was misunderstood.

A template with values in it is compiled twice with different values; whatever differs must be a hole, and the census
demands exactly the holes and register fields that the shape promises. How instructions are read and encoded is the
architecture's; it sees to it that every one, encoded again, is what LLVM wrote.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from wasmine.compiler.templates.architecture import (
    OPERAND,
    TAKEN,
    TRAP,
    Architecture,
    Instruction,
    LiftError,
    Node,
    Template,
)
from wasmine.compiler.templates.expand import OFFSET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wasmine.compiler.semantics import Meaning
    from wasmine.compiler.templates.forms import Shape
    from wasmine.compiler.templates.object import Function


def lift(
    architecture: Architecture[Instruction],
    shape: Shape,
    meaning: Meaning,
    variants: Sequence[Function],
    constant: Callable[[str], int],
    *,
    at_zero: bool = False,
) -> Template[Instruction]:
    """The template of one shape from its compiled variants; `constant` numbers the library's constants by symbol.

    `at_zero` says that it was compiled with the static offset 0, for which there is no hole then.
    """
    listings = [_simplify(architecture, architecture.nodes(variant, constant)) for variant in variants]
    values = shape.values - ({OFFSET} if at_zero else set())
    nodes = listings[0]
    if len(listings) == 2:
        nodes = _open_holes(architecture, {hole: architecture.numbers.pair(shape, hole) for hole in values}, *listings)
    _census(architecture, shape, meaning, values, nodes)
    return Template(shape.key, _link(architecture, nodes), _hazards(nodes))


# ---------------------------------------------------------------------------------------------------- control flow


def _simplify(architecture: Architecture[Instruction], nodes: list[Node[Instruction]]) -> list[Node[Instruction]]:
    """The same code, falling through at its end, with conditional jumps straight to where they lead."""
    while True:
        before = [(node, node.to, node.instruction) for node in nodes]
        _thread(nodes)
        nodes = _reachable(nodes)
        nodes = _invert(architecture, nodes)
        while nodes and nodes[-1].is_jump and nodes[-1].to == "next" and nodes[-1].is_unconditional:
            last = nodes.pop()
            for node in nodes:
                if node.to is last:
                    node.to = "next"
        nodes = [node for node, after in pairwise([*nodes, None]) if node and not (node.is_jump and node.to is after)]
        if before == [(node, node.to, node.instruction) for node in nodes]:
            return nodes


def _thread(nodes: list[Node[Instruction]]) -> None:
    """Makes a jump to an unconditional jump go where that one goes."""
    for node in nodes:
        while isinstance(node.to, Node) and node.to.is_unconditional:
            node.to = node.to.to


def _reachable(nodes: list[Node[Instruction]]) -> list[Node[Instruction]]:
    """The nodes that control can reach."""
    order = {node: number for number, node in enumerate(nodes)}
    seen: set[Node[Instruction]] = set()
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


def _invert(architecture: Architecture[Instruction], nodes: list[Node[Instruction]]) -> list[Node[Instruction]]:
    """Turns a conditional jump over an unconditional one into one jump of the opposite condition."""
    result: list[Node[Instruction]] = []
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
            node.instruction = architecture.inverted(node.instruction)
            node.to = over.to
            skip = True
    return result


def _link(architecture: Architecture[Instruction], nodes: list[Node[Instruction]]) -> tuple[Instruction, ...]:
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
            instruction = architecture.aimed(instruction, target)
        linked.append(instruction)
    if not nodes or len(nodes) >= TRAP:
        raise LiftError(f"{len(nodes)} instructions")
    return tuple(linked)


# ---------------------------------------------------------------------------------------------------- holes


def _open_holes(
    architecture: Architecture[Instruction],
    values: dict[int, tuple[int, int]],
    first: list[Node[Instruction]],
    second: list[Node[Instruction]],
) -> list[Node[Instruction]]:
    """The nodes of the first variant, with a hole wherever the second has another number."""
    if len(first) != len(second):
        raise LiftError("the variants differ in length")
    orders = [{node: number for number, node in enumerate(nodes)} for nodes in (first, second)]
    for node, other in zip(first, second, strict=True):
        if node.is_jump:
            destinations = [
                order[to] if isinstance(to, Node) else to for order, to in zip(orders, (node.to, other.to), strict=True)
            ]
            same = other.is_jump and architecture.same_jump(node.instruction, other.instruction)
            if not same or destinations[0] != destinations[1]:
                raise LiftError("the variants differ in a jump")
        else:
            node.instruction = architecture.opened(values, node.instruction, other.instruction)
    return first


# ---------------------------------------------------------------------------------------------------- census


def _census(
    architecture: Architecture[Instruction],
    shape: Shape,
    meaning: Meaning,
    values: set[int],
    nodes: list[Node[Instruction]],
) -> None:
    """Every operand must have its fields and holes, and nothing else may have any."""
    found: dict[int, int] = {}
    pooled: set[int] = set()
    for node in nodes:
        holes = architecture.holes(node.instruction)
        pooled.update(holes.pooled)
        for number in holes.values:
            found[number] = found.get(number, 0) + 1
    if set(found) != values:
        raise LiftError(f"holes for values {sorted(found)}, expected {sorted(values)}")
    repeated = [number for number, count in found.items() if count > 1 and number != OFFSET]
    if repeated and shape.name != "i64.const_wide!":
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
        for use in node.uses:
            if use.writes and use.file == "g" and use.register in architecture.fixed:
                raise LiftError(f"writes the fixed register {use.register}")


def _used(nodes: list[Node[Instruction]]) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """The operands read and written, each as a register file and a number."""
    read, written = set(), set()
    for node in nodes:
        for use in node.uses:
            if use.register >= OPERAND:
                operand = (use.file, use.register - OPERAND)
                if use.reads:
                    read.add(operand)
                if use.writes:
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


def _hazards(nodes: list[Node[Instruction]]) -> int:
    """Pairs of operands that must not share a register; see `Template`."""
    order = {node: number for number, node in enumerate(nodes)}
    backward = any(isinstance(node.to, Node) and order[node.to] <= order[node] for node in nodes)
    written: set[tuple[str, int]] = set()
    hazards = 0
    for _ in range(2 if backward else 1):
        for node in nodes:
            uses = [(use, (use.file, use.register - OPERAND)) for use in node.uses if use.register >= OPERAND]
            for _, (file, number) in uses:
                for other_file, other in written:
                    if file == other_file and number != other:
                        hazards |= 1 << 4 * other + number
            both = {operand for use, operand in uses if use.writes}
            if len(both) == 2:  # two results at once: their registers must differ
                (_, one), (_, two) = both
                hazards |= 1 << 4 * one + two | 1 << 4 * two + one
            written |= both
    return hazards
