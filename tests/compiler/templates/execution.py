"""Runs templates on a processor: many cases in one go, each with all registers and a small world of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.templates.library import Code, TemplateLibrary

WORLD = 1408
FRAME, CONTEXT, MEMORY, POINTED = 768, 896, 1024, 1280
"""Where a case's parts lie in its world; the registers are the first."""

NEXT, TAKEN, TRAP = 0, 1, 2  # TRAP + n for the trap numbered n
CAPACITY = 1024
"""So many cases at once at most."""


@dataclass
class Case:
    """One run: registers on entry, and the bytes of the world besides."""

    general: list[int]
    vector: list[int]
    world: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Outcome:
    """What a run left behind."""

    exit: int
    general: tuple[int, ...]
    vector: tuple[int, ...]
    world: bytes


@dataclass(frozen=True)
class Registers:
    """The registers of an architecture: how many there are, and what for.

    `general` and `vector` are those that the compiler gives out, by its numbers; `places` are the general ones' own
    numbers. `scratch` may change, in either file; `kept` are the driver's. The exit is reported in the place of `exit`.
    """

    count: int
    general: tuple[int, ...]
    vector: tuple[int, ...]
    places: tuple[int, ...]
    scratch: tuple[frozenset[int], frozenset[int]]
    context: int
    frame: int
    memory: int
    exit: int
    kept: frozenset[int]

    def place(self, file: str, register: int) -> int:
        """A register's own number."""
        return self.places[register] if file == "g" else register


class Processor(ABC):
    """Something that runs code on cases: `_worlds` and `_results` lie where the code finds them."""

    registers: Registers
    world_address: int
    _worlds: memoryview
    _results: memoryview

    def address(self, case: int, part: int) -> int:
        """Where a part of a case's world lies."""
        return self.world_address + case * WORLD + part

    @property
    def _layout(self) -> Struct:
        """General registers, then vector registers as two halves each."""
        return Struct(f"<{3 * self.registers.count}Q")

    def run(
        self,
        library: TemplateLibrary,
        key: str,
        registers: dict[str, int],
        values: dict[int, int],
        pool: dict[int, bytes],
        cases: Sequence[Case],
    ) -> list[Outcome]:
        """Runs a template on each case with the same registers, values and pooled operands."""
        assert len(cases) <= CAPACITY
        layout, count = self._layout, self.registers.count
        number = library.numbers[key]
        code = self._assemble(
            library, library.code(number, small=library.small(number, values), **registers), values, pool
        )
        for number, case in enumerate(cases):
            start = number * WORLD
            self._worlds[start + layout.size : start + WORLD] = bytes(WORLD - layout.size)
            halves = [half for vector in case.vector for half in (vector & 0xFFFFFFFFFFFFFFFF, vector >> 64)]
            layout.pack_into(self._worlds, start, *case.general, *halves)
            for part, data in case.world.items():
                self._worlds[start + part : start + part + len(data)] = data
        self._execute(code, len(cases))
        outcomes = []
        for number in range(len(cases)):
            found = layout.unpack_from(self._results, number * layout.size)
            vector = tuple(low | high << 64 for low, high in zip(found[count::2], found[count + 1 :: 2], strict=True))
            world = bytes(self._worlds[number * WORLD : (number + 1) * WORLD])
            outcomes.append(Outcome(found[self.registers.exit], found[:count], vector, world))
        return outcomes

    @abstractmethod
    def _assemble(
        self, library: TemplateLibrary, template: Code, values: dict[int, int], pool: dict[int, bytes]
    ) -> bytes:
        """A function of three arguments around the template: the first case, where its outcome goes, how many there are."""

    @abstractmethod
    def _execute(self, code: bytes, count: int) -> None:
        """Calls this function for so many cases."""
