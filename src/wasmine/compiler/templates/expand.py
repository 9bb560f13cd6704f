"""What templates are at run time: code with fields for registers, and holes that wait for values.

How either is filled in is the architecture's, see `filling` of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Holes of values by number: 0 to 3 are the operands' own (a frame offset, an immediate, an offset in the context).
OFFSET: Final = 4  # the static offset of a memory access
MEMORY_BASE: Final = 5  # where the context keeps a memory's address
MEMORY_LENGTH: Final = 6  # where the context keeps a memory's length

# The kinds of holes in finished code. Those below HOLE_TAKEN are for values, each architecture has its own.
HOLE_TAKEN: Final = 16
HOLE_TRAP: Final = 17
HOLE_OPERAND: Final = 18
HOLE_CONSTANT: Final = 19


class Hole(NamedTuple):
    """A place in finished code that waits for a value.

    `offset` is in bytes from the start of the code. `kind` and `operand` say what goes there, `addend` is to be added:

    - below HOLE_TAKEN: value number `operand`
    - HOLE_TAKEN: the distance to where the branch goes
    - HOLE_TRAP: the same for the trap whose number is `operand`
    - HOLE_OPERAND: the distance to the pooled constant that is operand number `operand`
    - HOLE_CONSTANT: the distance to the library's constant number `operand`
    """

    offset: int
    kind: int
    operand: int
    addend: int


class Field(NamedTuple):
    """How an operand's register shows in the code: two masks, whose meaning is the architecture's."""

    operand: int
    low: int
    high: int


class Variant(NamedTuple):
    """The code of a template for one choice of sizes, as an int in little-endian order, and what is open in it.

    `prefixes` are the offsets of prefixes of x86-64 that may prove needless.
    """

    code: int
    length: int
    fields: tuple[Field, ...]
    prefixes: tuple[int, ...]
    holes: tuple[Hole, ...]


class Filling(Protocol):
    """What an architecture's module `filling` does at run time."""

    def choices(self, shrinkable: int, bases: int) -> Sequence[int]:
        """The names of the variants of a template, in the order in which they are stored."""

    def choice(self, small: int, registers: Sequence[int], shrinkable: int, bases: int) -> int:
        """The variant for these promises about values and these registers, operand 0 first."""

    def expand(self, variant: Variant, registers: Sequence[int], small: int) -> tuple[bytes, tuple[Hole, ...]]:
        """The code with operands in `registers` and with room for the values, and the holes left in it."""

    def small(self, variant: Variant, values: Mapping[int, int]) -> int:
        """The promises that can be made about values, by number, for this variant: see `TemplateLibrary.code`."""

    def fill(self, code: bytearray, hole: Hole, value: int) -> None:
        """Puts a value into a hole of a template's code."""

    def accepts_immediate(self, name: str, value: int) -> bool:
        """Whether an instruction's second operand may be this constant, as kind `C`."""
