"""What the build has to know of an architecture: the table that a new one fills in. Build time only.

`forms` asks for the registers and numbers that templates are compiled with, `build` for LLVM's target, `lift` for how
instructions are read. Everything else about templates is the same everywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.semantics import Target
    from wasmine.compiler.templates.expand import Variant
    from wasmine.compiler.templates.forms import Shape
    from wasmine.compiler.templates.object import Function

Instruction = TypeVar("Instruction")

OPERAND: Final = 64
"""In a `Use`, registers below this are scratch or fixed; 64 + n is operand n."""

# Where a jump goes: below this an instruction of the template (or its end), else the number of a trap, or TAKEN.
TRAP: Final = 192
TAKEN: Final = 254


class LiftError(Exception):
    """The build does not understand what LLVM wrote."""


class Level(NamedTuple):
    """A set of processors that share a library, in LLVM's words."""

    name: str
    cpu: str
    features: str


class Numbers(NamedTuple):
    """Numbers that stand for the values of holes, two for each: what differs between two variants of a template is a hole.

    They are such that LLVM can do nothing clever with them, and far enough apart to tell which hole it is. `displacements`
    has a base and a step for each variant; `long_immediates` are for instructions of 64 bits, whose sign has to show in all
    of them; `masks` are for operations on bits, `wide` for constants that need 64 bits.
    """

    displacements: tuple[tuple[int, int], tuple[int, int]]
    immediates: tuple[int, int]
    long_immediates: tuple[int, int]
    masks: tuple[int, int]
    counts: tuple[int, int]
    wide: tuple[int, int]

    def displacement(self, hole: int) -> tuple[int, int]:
        """The numbers that stand for an offset."""
        (first, step), (second, other_step) = self.displacements
        return first + hole * step, second + hole * other_step

    def pair(self, shape: Shape, hole: int) -> tuple[int, int]:
        """The numbers that stand for a value of a shape."""
        if hole >= len(shape.kinds) or shape.kinds[hole] != "C":
            return self.displacement(hole)
        if shape.is_shift_by_constant:
            return self.counts
        if shape.name == "i64.const_wide!":
            return self.wide
        type, _, operation = shape.name.partition(".")
        if operation in ("and", "or", "xor"):
            return self.masks
        return self.immediates if type != "i64" or operation[-1].isdigit() else self.long_immediates


class Use(NamedTuple):
    """How an instruction uses a register: its file (`g` or `x`), the register, and whether it is read and written."""

    file: str
    register: int
    reads: bool
    writes: bool


@dataclass(slots=True, eq=False)
class Node(Generic[Instruction]):
    """An instruction on its way. `to` is where a jump goes: another node, or the name of a symbol."""

    instruction: Instruction
    uses: tuple[Use, ...]
    is_jump: bool = False
    is_unconditional: bool = False
    to: Node[Instruction] | str | None = field(default=None)


class Holes(NamedTuple):
    """The values that an instruction has holes for, and the operands that it finds in the pool."""

    values: tuple[int, ...]
    pooled: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Template(Generic[Instruction]):
    """A template as it was lifted.

    Bit 4 * w + o of `hazards` says that operand w is written before operand o was read for the last time: a register
    must not be given to both. `at_zero` is the code where the static offset is 0, if that is worth having.
    """

    key: str
    instructions: tuple[Instruction, ...]
    hazards: int
    at_zero: tuple[Instruction, ...] = ()


class Prepared(NamedTuple):
    """A template as it is stored: what its variants are for (only `library` and the architecture know), and these."""

    shrinkable: int
    bases: int
    variants: tuple[Variant, ...]


class Architecture(ABC, Generic[Instruction]):
    """One architecture. The attributes are constants."""

    name: str
    target: Target
    triple: str
    levels: tuple[Level, ...]
    tuning: str
    """More features for LLVM, those of code generation."""

    general: tuple[str, ...]
    vector: tuple[str, ...]
    """The parameters of every template in LLVM's order for preserve_nonecc, "" for a register that is scratch."""

    fixed: frozenset[int]
    """The general registers that no template may write."""

    numbers: Numbers
    immediate: tuple[str, ...]
    """The operations with an immediate form of their second operand, comparisons and shifts aside."""

    memory_operands: bool
    """Whether an operand of arithmetic can lie in memory (kind M)."""

    zero_offsets: bool
    """Whether a memory access at the offset 0 is shorter than at other small ones."""

    @abstractmethod
    def shifts_lanes_by_constant(self, name: str) -> bool:
        """Whether a shift of vector lanes has an immediate form."""

    @abstractmethod
    def nodes(self, function: Function, constant: Callable[[str], int]) -> list[Node[Instruction]]:
        """The function's instructions with registers and relocations resolved; `constant` numbers constants by symbol."""

    @abstractmethod
    def inverted(self, jump: Instruction) -> Instruction:
        """A conditional jump with the opposite condition."""

    @abstractmethod
    def aimed(self, jump: Instruction, target: int) -> Instruction:
        """A jump with where it goes as a number."""

    @abstractmethod
    def opened(self, values: dict[int, tuple[int, int]], one: Instruction, two: Instruction) -> Instruction:
        """One instruction, not a jump, of two variants, with a hole wherever they differ."""

    @abstractmethod
    def same_jump(self, one: Instruction, two: Instruction) -> bool:
        """Whether two jumps are the same but for where they go."""

    @abstractmethod
    def holes(self, instruction: Instruction) -> Holes:
        """What is open in an instruction."""

    @abstractmethod
    def prepare(self, template: Template[Instruction]) -> Prepared:
        """The template as it is stored."""
