"""Every template, in every operand kind and destination form, does on the processor what the interpreter says."""

from __future__ import annotations

import copy
import platform
import random
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import pytest
from cases import assignments, constants, operand_files, values
from execution import CONTEXT, FRAME, MEMORY, NEXT, POINTED, TAKEN, TRAP, WORLD, Case, Outcome, Processor
from execution_amd64 import Amd64Processor
from execution_arm64 import Arm64Processor, python
from reference import WIDTH, agrees, evaluate

from wasmine.compiler.semantics import Meaning, meanings
from wasmine.compiler.templates.amd64.lifting import Amd64
from wasmine.compiler.templates.arm64.lifting import Arm64
from wasmine.compiler.templates.expand import MEMORY_BASE, MEMORY_LENGTH, OFFSET
from wasmine.compiler.templates.forms import ACCESSES, TRAPS, Shape, shapes
from wasmine.errors import TrapKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution import Registers

    from wasmine.compiler.templates.architecture import Architecture
    from wasmine.compiler.templates.library import TemplateLibrary

MEANINGS = meanings()


def _families(architecture: Architecture[Any]) -> dict[str, list[Shape]]:
    """An architecture's templates by type, those of memory apart."""
    found: dict[str, list[Shape]] = {}
    for shape in shapes(MEANINGS, architecture):
        family = shape.name.partition(".")[0]
        found.setdefault(f"{family} memory" if shape.access else family, []).append(shape)
    return found


FAMILIES = {"amd64": _families(Amd64()), "arm64": _families(Arm64())}
LENGTH_FIELD, BASE_FIELD = 72, 64  # in the context of a case
BIASES = (0x12340, 8, 0x7FFF0008)  # of what lies in the frame and in the context
COUNT = 24  # cases for each choice of registers and values
PLACES = int("8f" * 16, 16)  # what `i8x16.permute!` may find: places in a vector, or a top bit
COMPARED: dict[str, int] = {}


@pytest.fixture(scope="session")
def processors() -> Iterator[dict[str, Processor]]:
    """What runs the code of each architecture that can be run here."""
    found: dict[str, Processor] = {}
    if platform.machine() in ("x86_64", "AMD64"):
        found["amd64"] = Amd64Processor()
    if python():
        found["arm64"] = Arm64Processor()
    yield found
    if "arm64" in found:
        found["arm64"].close()


def _processor(processors: dict[str, Processor], architecture: str) -> Processor:
    if architecture not in processors:
        pytest.skip(
            {
                "amd64": "these templates are for x86-64 processors",
                "arm64": "these templates are for ARM64 processors: set WASMINE_ARM64_PYTHON to what `tests/arm64/setup` prints",
            }[architecture]
        )
    return processors[architecture]


@pytest.mark.parametrize(
    ("level", "family"),
    [
        (level, family)
        for level, architecture in (("amd64_v3", "amd64"), ("amd64", "amd64"), ("arm64", "arm64"))
        for family in FAMILIES[architecture]
    ],
)
def test_templates_compute_what_the_interpreter_does(
    level: str, family: str, libraries: dict[str, TemplateLibrary], processors: dict[str, Processor]
) -> None:
    architecture = libraries[level].architecture
    processor = _processor(processors, architecture)
    compared = 0
    failures = []
    shapes = FAMILIES[architecture][family]
    for shape in shapes:
        trial = Trial(libraries[level], processor, shape)
        trial.run()
        compared += trial.compared
        failures += trial.failures[:2]
    COMPARED[f"{level} {family}"] = compared
    print(f"{compared} comparisons for {len(shapes)} templates; {sum(COMPARED.values())} so far")
    assert not failures, "\n".join(failures[:40])
    assert compared >= 2 * len(shapes)


class Trial:
    """All runs of one template."""

    def __init__(self, library: TemplateLibrary, processor: Processor, shape: Shape) -> None:
        self.library = library
        self.processor = processor
        self.machine = processor.registers
        self.shape = shape
        self.meaning: Meaning = MEANINGS[shape.name]
        self.rng = random.Random(shape.key)
        self.compared = 0
        self.failures: list[str] = []

    def run(self) -> None:
        """Tries every choice of registers; immediates and pooled operands change from run to run."""
        hazards = self.library.hazards(self.library.numbers[self.shape.key])
        choices = assignments(self.machine, self.shape, self.meaning, hazards, self.rng)
        for number, registers in enumerate(choices):
            bias = self.rng.choice(BIASES) if number else 0
            for fixed in self._fixed_operands(number):
                self._run(registers, bias, fixed)

    def _fixed_operands(self, number: int) -> list[dict[int, int]]:
        """Choices for the operands that are part of the code."""
        chosen: list[dict[int, int]] = [{}]
        for place, (kind, letter) in enumerate(zip(self.shape.kinds, self.meaning.params, strict=False)):
            if kind == "C" and letter != "a":
                options = constants(self.library, self.shape, self.rng)
            elif kind == "K":
                options = self._values(letter)
            else:
                continue
            some = options if number == 0 and kind == "C" else self.rng.sample(options, min(2, len(options)))
            chosen = [{**before, place: option} for before in chosen for option in some]
        return chosen

    def _values(self, letter: str) -> list[int]:
        """Operands worth trying that the compiler may give to the instruction."""
        found = values(letter, self.rng)
        if self.shape.name.endswith(("div_s!", "div_u!", "rem_s!", "rem_u!")):
            harmful = (0, (1 << WIDTH[letter]) - 1)
            return [value for value in found if value not in harmful]
        if self.shape.name == "i8x16.permute!":
            return [value & PLACES for value in found]
        return found

    def _run(self, registers: dict[str, int], bias: int, fixed: dict[int, int]) -> None:
        shape, meaning = self.shape, self.meaning
        columns = []
        for place, letter in enumerate(meaning.params):
            if letter == "a":
                columns.append([0] * COUNT)
            elif place in fixed:
                columns.append([fixed[place] & (1 << WIDTH[letter]) - 1] * COUNT)
            else:
                columns.append(list(islice(cycle(self._values(letter)), COUNT)))
        rows = [tuple(row) for row in zip(*columns, strict=True)] or [()]
        values_by_hole = {hole: 16 * hole + bias for hole in range(4)}
        values_by_hole |= {
            OFFSET: self.rng.choice((0, 8, 100, 0x1000, 0x123450, 0x123457, 0x7FFFFF00)),
            MEMORY_BASE: BASE_FIELD + bias,
        }
        values_by_hole |= {MEMORY_LENGTH: LENGTH_FIELD + bias}
        for place, value in fixed.items():
            if shape.kinds[place] == "C":
                values_by_hole[place] = value
        pool = {
            place: value.to_bytes(WIDTH[meaning.params[place]] // 8, "little")
            for place, value in fixed.items()
            if shape.kinds[place] == "K"
        }
        files = operand_files(shape, meaning)
        places = {place: self.machine.place(files[place], register) for place, register in registers.items()}
        trials = [self._case(number, row, places, bias, values_by_hole) for number, row in enumerate(rows)]
        outcomes = self.processor.run(
            self.library, shape.key, registers, values_by_hole, pool, [case for case, *_ in trials]
        )
        for number, ((case, row, reach), outcome) in enumerate(zip(trials, outcomes, strict=True)):
            self.compared += 1
            problem = self._judge(number, case, row, reach, places, outcome)
            if problem:
                shown = ", ".join(f"{value:#x}" for value in row)
                self.failures.append(f"{shape.key}({shown}) in {registers} with {fixed}: {problem}")

    # ------------------------------------------------------------------------------------------------ before

    def _case(
        self, number: int, row: tuple[int, ...], registers: dict[str, int], bias: int, by_hole: dict[int, int]
    ) -> tuple[Case, tuple[int, ...], dict[str, int]]:
        """The case, its operands (which aliasing may have changed), and facts about its memory access."""
        rng, shape, meaning = self.rng, self.shape, self.meaning
        count = self.machine.count
        case = Case([rng.getrandbits(64) for _ in range(count)], [rng.getrandbits(128) for _ in range(count)])
        base = self.processor.address(number, 0)
        case.general[self.machine.context] = base + CONTEXT - bias
        case.general[self.machine.frame] = base + FRAME - bias
        facts: dict[str, int] = {}
        operands = list(row)
        files = operand_files(shape, meaning)
        done: dict[tuple[str, int], int] = {}
        if shape.access:
            self._reach_memory(number, case, registers, by_hole, facts)
            if "a" in files:
                done["g", registers["a"]] = 0
        for place, (kind, letter) in enumerate(zip(shape.kinds, meaning.params, strict=False)):
            if letter == "a":
                continue
            size = WIDTH[letter] // 8
            if kind == "R":
                where = (files["abcd"[place]], registers["abcd"[place]])
                if where in done:
                    earlier = done[where]
                    if letter == "i" and not (shape.access and earlier == 0):
                        # A register that holds an i32 holds nothing above it. (Above an index it does not matter.)
                        case.general[where[1]] = operands[earlier] = operands[earlier] & 0xFFFFFFFF
                    operands[place] = self._held(case, where) & (1 << WIDTH[letter]) - 1
                else:
                    done[where] = place
                    self._set(case, where, letter, operands[place])
            elif kind in "SVP":
                part = {"S": FRAME, "V": CONTEXT, "P": POINTED}[kind] + 16 * place
                case.world[part] = operands[place].to_bytes(size, "little")
                if kind == "P":
                    case.world[CONTEXT + 16 * place] = (base + part).to_bytes(8, "little")
            elif kind == "M":
                index = rng.getrandbits(32)
                register = registers["abcd"[place]]
                if ("g", register) in done:
                    index = case.general[register]
                case.general[register] = index
                offset = by_hole[OFFSET]
                case.general[self.machine.memory] = base + MEMORY + 32 - index - offset & 0xFFFFFFFFFFFFFFFF
                case.world[MEMORY + 32] = operands[place].to_bytes(size, "little")
        if shape.form == "P":
            case.world[CONTEXT + 48] = (base + POINTED + 48).to_bytes(8, "little")
        if len(shape.form) == 2:
            for place in "cd":
                where = (files[place], registers[place])
                if where not in done:
                    self._set(case, where, "I" if files[place] == "g" else "v", rng.getrandbits(64))
        return case, tuple(operands), facts

    @staticmethod
    def _held(case: Case, where: tuple[str, int]) -> int:
        return (case.general if where[0] == "g" else case.vector)[where[1]]

    def _set(self, case: Case, where: tuple[str, int], letter: str, value: int) -> None:
        if where[0] == "g":
            case.general[where[1]] = value
        else:
            garbage = self.rng.getrandbits(128) >> WIDTH[letter] << WIDTH[letter]
            case.vector[where[1]] = value | garbage

    def _reach_memory(
        self, number: int, case: Case, registers: dict[str, int], by_hole: dict[int, int], facts: dict[str, int]
    ) -> None:
        """Sets up base, index and length; every other case of a checked access is out of bounds, by one byte or more."""
        rng, shape = self.rng, self.shape
        access = ACCESSES[shape.access]
        offset, size = by_hole[OFFSET], self.meaning.size
        place = self.processor.address(number, MEMORY + 32)
        index = 0
        if shape.kinds[0] == "R":
            index = rng.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, rng.getrandbits(32)))
            if access.wide:
                index = rng.choice((index, rng.getrandbits(64), 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF))
            index = index // size * size if self._is_atomic else index
            if self._is_atomic and number % 3 == 0 and size > 1:
                index += rng.randrange(1, size)
            case.general[registers["a"]] = index
        end = index + offset + size
        length = end + rng.choice((0, 1, 1000))
        if access.checked and number % 2:
            length = max(0, end - rng.choice((1, size, offset + size, end)))
        length = min(length, 0xFFFFFFFFFFFFFFFF)
        facts["outside"] = int(access.checked and end > length)
        facts["misaligned"] = int(self._is_atomic and (index + offset) % size != 0)
        memory = place - index - offset & 0xFFFFFFFFFFFFFFFF
        if access.other:
            case.world[CONTEXT + BASE_FIELD] = memory.to_bytes(8, "little")
        else:
            case.general[self.machine.memory] = memory
        case.world[CONTEXT + LENGTH_FIELD] = length.to_bytes(8, "little")
        case.world[MEMORY + 16] = rng.randbytes(64)

    @property
    def _is_atomic(self) -> bool:
        return "atomic" in self.shape.name

    # ------------------------------------------------------------------------------------------------ after

    def _judge(
        self,
        number: int,
        case: Case,
        row: tuple[int, ...],
        facts: dict[str, int],
        registers: dict[str, int],
        outcome: Outcome,
    ) -> str:
        """What is wrong with an outcome, or nothing."""
        shape, meaning = self.shape, self.meaning
        expected_world = bytearray(WORLD)
        for part, data in case.world.items():
            expected_world[part : part + len(data)] = data
        changed: dict[tuple[str, int], tuple[str, int]] = {}
        exit = NEXT
        if facts.get("misaligned"):
            exit = TRAP + TRAPS.index(TrapKind.UNALIGNED_ATOMIC)
        elif facts.get("outside"):
            exit = TRAP + TRAPS.index(TrapKind.MEMORY_OUT_OF_BOUNDS)
        else:
            results: Any = self._results(row, expected_world)
            if isinstance(results, TrapKind):
                exit = TRAP + TRAPS.index(results)
            elif shape.form in ("B", "N"):
                exit = TAKEN if bool(results[0]) == (shape.form == "B") else NEXT
            elif len(shape.form) == 2:
                self._expect_selection(bool(results[0]), case, registers, changed)
            elif shape.form in ("S", "V", "P"):
                part = {"S": FRAME, "V": CONTEXT, "P": POINTED}[shape.form] + 48
                size = WIDTH[meaning.results] // 8
                expected_world[part : part + size] = results[0].to_bytes(size, "little")
            else:
                places = "d" if shape.form == "D" else "ab"
                for place, letter, value in zip(places, meaning.results, results, strict=False):
                    file = "g" if letter in "iI" else "x"
                    changed[file, registers[place]] = (letter, value)
        if outcome.exit != exit:
            return f"left through exit {outcome.exit}, not {exit}"
        if outcome.world[FRAME:] != expected_world[FRAME:]:
            return "memory is not as expected"
        return self._compare_registers(case, changed, outcome)

    def _results(self, row: tuple[int, ...], world: bytearray) -> tuple[int, ...] | TrapKind:
        if not self.shape.access:
            return evaluate(self.shape.name, self.meaning, row, self.shape.lane)
        from memory_reference import access_memory

        size = self.meaning.size
        found, stored = access_memory(self.shape.name, bytes(world[MEMORY + 32 : MEMORY + 32 + size]), row[1:])
        world[MEMORY + 32 : MEMORY + 32 + size] = stored
        return found

    def _expect_selection(
        self, holds: bool, case: Case, registers: dict[str, int], changed: dict[tuple[str, int], tuple[str, int]]
    ) -> None:
        letter = {"Sg": "I", "Sf": "f", "SF": "F", "Sv": "v"}[self.shape.form]
        file = "g" if letter == "I" else "x"
        bank = case.general if file == "g" else case.vector
        chosen = bank[registers["c" if holds else "d"]] & (1 << WIDTH[letter]) - 1
        changed[file, registers["c"]] = (letter, chosen)

    def _compare_registers(self, case: Case, changed: dict[tuple[str, int], tuple[str, int]], outcome: Outcome) -> str:
        general, vector = self.machine.scratch
        for file, before, after, scratch in (
            ("g", case.general, outcome.general, general | self.machine.kept),
            ("x", case.vector, outcome.vector, vector),
        ):
            for register in range(self.machine.count):
                if (file, register) in changed:
                    letter, value = changed[file, register]
                    found = after[register] & (1 << max(64 if file == "g" else 0, WIDTH[letter])) - 1
                    if not agrees(self.shape.name, letter, found, value):
                        return f"{found:#x}, expected {value:#x}"
                elif register not in scratch and before[register] != after[register]:
                    return f"register {file}{register} was overwritten"
        return ""


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("i32.add RR D", "i32.sub RR D"),
        ("i32.lt_s RR B", "i32.lt_u RR B"),
        ("i32.add RC A", "i64.add RC A"),
        ("f64.min RR D", "f64.max RR D"),
        ("i32.load R D check", "i32.load R D guard"),
        ("i32.load R D check", "i64.load R D check"),
        ("i32x4.add RR D", "i16x8.add RR D"),
        ("i64.move! R S", "i32.move! R S"),
        ("i32.atomic.rmw.add RR D guard", "i32.atomic.rmw.sub RR D guard"),
    ],
)
@pytest.mark.parametrize("level", ["amd64_v3", "arm64"])
def test_a_wrong_template_is_noticed(
    level: str, key: str, wrong: str, libraries: dict[str, TemplateLibrary], processors: dict[str, Processor]
) -> None:
    library = copy.copy(libraries[level])
    processor = _processor(processors, library.architecture)
    library._numbers = {**library.numbers, key: library.numbers[wrong]}
    shape = next(shape for family in FAMILIES[library.architecture].values() for shape in family if shape.key == key)
    trial = Trial(library, processor, shape)
    trial.run()
    assert trial.failures


@pytest.mark.parametrize("machine", [Amd64Processor.registers, Arm64Processor.registers], ids=["amd64", "arm64"])
def test_no_register_that_the_compiler_gives_out_is_scratch(machine: Registers) -> None:
    general = {machine.place("g", register) for register in machine.general}
    assert not general & (machine.scratch[0] | {machine.context, machine.frame, machine.memory} | machine.kept)
    assert not set(machine.vector) & machine.scratch[1]
    assert (len(general), len(machine.vector)) in ((9, 12), (16, 16))
