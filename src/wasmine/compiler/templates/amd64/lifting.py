"""x86-64 for the build: registers, numbers, how LLVM's code is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.semantics import Target
from wasmine.compiler.templates import architecture
from wasmine.compiler.templates.amd64.decode import Access, Decoded, decode
from wasmine.compiler.templates.amd64.encode import (
    JUMP,
    LOCK,
    NEGATED,
    OPERAND,
    POOL_CONSTANT,
    POOL_OPERAND,
    RELATIVE,
    Instruction,
    encode,
)
from wasmine.compiler.templates.amd64.prepare import prepare
from wasmine.compiler.templates.architecture import Architecture, Holes, Level, LiftError, Node, Numbers, Prepared, Use
from wasmine.compiler.templates.forms import MAXIMAL_ADDEND, MINIMAL_ADDEND

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.templates.architecture import Template
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
_IMMEDIATES: Final = (-0x3A5C1B27, -0x2B9D4E63)
_COUNTS: Final = (5, 13)

_R_X86_64_PC32, _R_X86_64_PLT32 = 2, 4
_ALWAYS: Final = 0x10  # as the condition of a jump


class Amd64(Architecture[Instruction]):
    """x86-64: the levels v3 (AVX2, BMI), and SSE4.1 with POPCNT."""

    name = "amd64"
    target = Target.AMD64
    triple = "x86_64-unknown-linux-gnu"
    levels = (Level("amd64_v3", "x86-64-v3", ""), Level("amd64", "x86-64", "+ssse3,+sse4.1,+popcnt"))
    # No test for short divisions (it takes more scratch registers than there are), and addresses of three parts are fine.
    tuning = "-idivq-to-divl,-slow-3ops-lea"
    # r12 r13 r14 r15 rdi rsi rdx rcx r8 r9 r11 rax, xmm0 to xmm7
    general = ("vm", "frame", "memory", "ga", "", "", "", "", "gb", "gc", "gd", "")
    vector = ("", "xa", "xb", "xc", "xd", "", "", "")
    fixed = frozenset((12, 13, 14))
    numbers = Numbers(
        displacements=((0x31415900, 0x01010100), (0x27182800, 0x01110100)),
        immediates=_IMMEDIATES,
        long_immediates=_IMMEDIATES,
        masks=_IMMEDIATES,
        counts=_COUNTS,
        wide=(0x3A5C1B27_4D6E7F81, 0x2B9D4E63_5C7D8E92),
    )
    immediate = ("add", "mul", "and", "or", "xor")
    memory_operands = True
    zero_offsets = False

    def shifts_lanes_by_constant(self, name: str) -> bool:
        """Neither bytes nor 64 bits arithmetically: masks or several counts would be needed."""
        return not name.startswith("i8x16") and name != "i64x2.shr_s"

    def nodes(self, function: Function, constant: Callable[[str], int]) -> list[Node[Instruction]]:
        """The function's instructions."""
        return _nodes(function, constant)

    def inverted(self, jump: Instruction) -> Instruction:
        """The lowest bit of a condition negates it."""
        return jump._replace(opcode=jump.opcode ^ 1)

    def aimed(self, jump: Instruction, target: int) -> Instruction:
        """The jump without LLVM's distance."""
        return jump._replace(immediate=0, immediate_size=0, target=target)

    def same_jump(self, one: Instruction, two: Instruction) -> bool:
        """Whether the conditions are the same."""
        return one.opcode == two.opcode

    def opened(self, values: dict[int, tuple[int, int]], one: Instruction, two: Instruction) -> Instruction:
        """Both the displacement and the immediate may be a hole."""
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
        return one._replace(**changes)

    def holes(self, instruction: Instruction) -> Holes:
        """What is open in the displacement and the immediate."""
        values, pooled = [], []
        for hole in (instruction.displacement_hole, instruction.immediate_hole):
            if POOL_OPERAND <= hole < POOL_CONSTANT:
                pooled.append(hole - POOL_OPERAND)
            elif hole < POOL_OPERAND:
                values.append(hole - NEGATED if hole >= NEGATED else hole)
        return Holes(tuple(values), tuple(pooled))

    def prepare(self, template: Template[Instruction]) -> Prepared:
        """Variants for every choice of short and long numbers."""
        return prepare(template)


def _nodes(function: Function, constant: Callable[[str], int]) -> list[Node[Instruction]]:
    """The function's instructions with registers and relocations resolved."""
    at = 0
    nodes: dict[int, Node[Instruction]] = {}
    destinations: dict[Node[Instruction], int] = {}
    relocations = list(function.relocations)
    while at < len(function.code):
        decoded = decode(function.code, at)
        end = at + decoded.length
        own = [relocation for relocation in relocations if at <= relocation.offset < end]
        instruction, to = _relocate(decoded, own, at, constant)
        is_jump = instruction.mode == JUMP
        instruction, uses = _with_operands(instruction, decoded.accesses)
        node = Node(instruction, uses, is_jump, is_jump and instruction.opcode == _ALWAYS, to)
        if is_jump and to is None:
            destinations[node] = end + instruction.immediate
        if not is_jump:
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


def _with_operands(instruction: Instruction, accesses: tuple[Access, ...]) -> tuple[Instruction, tuple[Use, ...]]:
    """The instruction with the registers of operands replaced by the operands' numbers, and its uses of registers."""
    changes = {}
    uses = []
    for access in accesses:
        number = getattr(instruction, access.field)
        if access.field == "vector" and access.file == "x" and number == 15:
            ours = number  # LLVM's choice for a source whose value does not matter; it is scratch for us too
        elif access.file == "g" and number == 4 and instruction.prefixes & LOCK and not access.writes:
            ours = number  # a locked operation on the top of the stack that changes nothing is LLVM's fence
        elif number not in _FILES[access.file]:
            raise LiftError(f"register {access.file}{number} is neither an operand nor scratch")
        else:
            ours = changes[access.field] = _FILES[access.file][number]
        register = architecture.OPERAND + ours - OPERAND if ours >= OPERAND else ours
        uses.append(Use(access.file, register, access.reads, access.writes))
    return instruction._replace(**changes), tuple(uses)


def _check_encoding(decoded: Decoded) -> None:
    """The encoder must make of the instruction something that decodes to the same, and no longer than LLVM's."""
    code, *_ = encode(decoded.instruction, (), 0)
    again = decode(code, 0)
    if again.instruction != decoded.instruction or len(code) > decoded.length:
        raise LiftError(f"encodes to {code.hex()}, which decodes to {again.instruction}, not {decoded.instruction}")


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
        if (first, second) == _COUNTS and size == 1 and one + first == two + second and one + first in (32, 64):
            return NEGATED + hole, one + first
    raise LiftError(f"numbers {one:#x} and {two:#x} belong to no hole")
