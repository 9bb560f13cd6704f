"""Which templates there are, and the LLVM function of each.

A template's *shape* is written as its key: `NAME KINDS FORM [ACCESS]`, such as `i32.add RC D` or `f64.load R D guard`.

Kinds, one letter for each operand:

    R  register                      C  immediate (32 bits, sign-extended; a shift's count)
    S  slot of the frame             K  constant of the pool, found relative to the code
    M  guest memory at a register plus an offset, in the first memory, behind guard pages
    V  value in the context          P  value behind a pointer in the context

Forms: where the result goes.

    D  another register, operand `d`          A  the register of operand a (of c in `S.` forms; a and b if there are two)
    B  a branch taken if the result is not 0  N  a branch taken if it is 0
    S, V, P  a slot, the context, behind a pointer in the context (for `move!`)
    Sg Sf SF Sv  a selection: operand c stays if the result is not 0, else it becomes operand d (general register, f32,
       f64, v128)
    -  nowhere: there is none

Access: which memory, and what is checked: `guard` (the first memory, guard pages), `check` (the first, its length is
compared), `check64` (the same for 64-bit indices); `guard_other`, `check_other`, `check64_other` for the other memories,
whose base the context keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from wasmine.compiler.semantics import LLVM_TYPES, Builder, Meaning, Target
from wasmine.compiler.semantics.transfer import choose
from wasmine.compiler.templates.expand import MEMORY_BASE, MEMORY_LENGTH, OFFSET
from wasmine.errors import TrapKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmine.compiler.templates.architecture import Architecture

TRAPS: Final = tuple(TrapKind)

_OPERANDS: Final = "abcd"

_PARAMETER_TYPES: Final = ("ptr",) * 3 + ("i64",) * 9 + ("<2 x double>",) * 8

SHIFTS: Final = ("shl", "shr_s", "shr_u", "rotl", "rotr")
MAXIMAL_ADDEND: Final = 24
MINIMAL_ADDEND: Final = -8


@dataclass(frozen=True, slots=True)
class Access:
    """How a memory instruction reaches its memory."""

    checked: bool
    wide: bool
    other: bool


ACCESSES: Final = {
    "guard": Access(False, False, False),
    "check": Access(True, False, False),
    "check64": Access(True, True, False),
    "guard_other": Access(False, False, True),
    "check_other": Access(True, False, True),
    "check64_other": Access(True, True, True),
}


class Shape(NamedTuple):
    """What identifies a template. `lane` is the lane immediate of instructions with one, else -1."""

    name: str
    kinds: str
    form: str
    access: str = ""
    lane: int = -1

    @property
    def key(self) -> str:
        """The name by which the library knows the template."""
        name = self.name if self.lane < 0 else f"{self.name}:{self.lane}"
        return " ".join(filter(None, (name, self.kinds or "-", self.form, self.access)))

    @property
    def is_shift_by_constant(self) -> bool:
        """Whether the immediate is a count of bits."""
        return self.kinds == "RC" and self.name.partition(".")[2] in SHIFTS

    @property
    def values(self) -> set[int]:
        """The value holes that the code must have."""
        holes = {number for number, kind in enumerate(self.kinds) if kind in "SCVP"}
        if self.form in ("S", "V", "P"):
            holes.add(3)
        if self.access:
            access = ACCESSES[self.access]
            # A constant address includes the offset: the hole is the offset's.
            holes.discard(0)
            holes.add(OFFSET)
            if access.other:
                holes.add(MEMORY_BASE)
            if access.checked:
                holes.add(MEMORY_LENGTH)
        elif "M" in self.kinds:
            holes.add(OFFSET)
        return holes


class TemplateBuilder(Builder):
    """Writes one template as an LLVM function that ends in a tail call to what comes next.

    `variant` chooses the numbers that stand for values, `at_zero` fixes the static offset.
    """

    def __init__(
        self, architecture: Architecture[Any], shape: Shape, meaning: Meaning, variant: int, *, at_zero: bool = False
    ) -> None:
        super().__init__(architecture.target)
        self.shape = shape
        self.meaning = meaning
        self._numbers = architecture.numbers
        self._parameters = architecture.general + architecture.vector
        self._variant = variant
        self._at_zero = at_zero
        self._labels = 0

    def function(self, symbol: str) -> str:
        """The text of the function."""
        parameters = ", ".join(
            f"{type} %{name}" if name else f"{type} %unused{number}"
            for number, (type, name) in enumerate(zip(_PARAMETER_TYPES, self._parameters, strict=True))
        )
        self._write()
        lines = "\n".join(self.lines)
        # Atomic instructions may have loops in them; optimising for size keeps LLVM from aligning these.
        attributes = "nounwind optsize" if "atomic" in self.shape.name else "nounwind"
        return f"define preserve_nonecc void @{symbol}({parameters}) {attributes} {{\n{lines}\n}}\n"

    def _write(self) -> None:
        shape, meaning = self.shape, self.meaning
        params = meaning.params
        operands = [
            self._operand(number, kind, params[number]) for number, kind in enumerate(shape.kinds[: len(params)])
        ]
        lane = (shape.lane,) if meaning.lanes else ()
        result = meaning.write(self, *operands, *lane)
        form = shape.form
        if form == "-":
            self._leave("next", {})
        elif form in ("B", "N"):
            self._branch(str(result), form)
        elif form[0] == "S" and len(form) == 2:
            self._select(str(result), form[1])
        elif form in ("S", "V", "P"):
            type, pointer = LLVM_TYPES[meaning.results], self._location(form, 3)
            align = self._alignment(form, meaning.results)
            self.do(f"store {type} {result}, ptr {pointer}, align {align}")
            self._leave("next", {})
        elif isinstance(result, tuple):
            letters = zip(_OPERANDS, meaning.results, result, strict=False)
            self._leave("next", dict(self._packed(place, letter, value) for place, letter, value in letters))
        else:
            place = "a" if form == "A" else "d"
            self._leave("next", dict([self._packed(place, meaning.results, str(result))]))

    # ------------------------------------------------------------------------------------------------ operands

    def _operand(self, number: int, kind: str, letter: str) -> str | None:
        type = LLVM_TYPES[letter]
        if kind == "C":
            return None if letter == "a" else str(self._value(number))
        if kind == "R":
            return self._unpacked(_OPERANDS[number], letter)
        if kind == "K":
            # Where there are no memory operands, it is to be loaded whole.
            volatile = " volatile" if self.target is Target.ARM64 else ""
            return self.let(f"load{volatile} {type}, ptr @k{number}, align {_BYTES[letter]}")
        if kind == "M":
            index = self._unpacked(_OPERANDS[number], "I")
            return self.load(type, self.address(index, _BYTES[letter]))
        # Volatile, or LLVM would read a vector in parts.
        return self.let(
            f"load volatile {type}, ptr {self._location(kind, number)}, align {self._alignment(kind, letter)}"
        )

    def _value(self, hole: int) -> int:
        """The number that stands for a value in this variant."""
        if self._at_zero and hole == OFFSET:
            return 0
        return self._numbers.pair(self.shape, hole)[self._variant]

    def _location(self, kind: str, hole: int) -> str:
        """The address of a slot or of a value of the context."""
        base = "%frame" if kind == "S" else "%vm"
        place = self.let(f"getelementptr i8, ptr {base}, i64 {self._value(hole)}")
        return self.let(f"load ptr, ptr {place}, align 8") if kind == "P" else place

    @staticmethod
    def _alignment(kind: str, letter: str) -> int:
        """Slots are 8 bytes, so a v128 in the frame is aligned no better; the context's values are aligned alike."""
        return min(_BYTES[letter], 8)

    def _unpacked(self, place: str, letter: str) -> str:
        """An operand's value from its register."""
        if letter in "Ia":
            return f"%g{place}"
        if letter == "i":
            return self.let(f"trunc i64 %g{place} to i32")
        if letter == "v":
            return self.cast(f"%x{place}", "<2 x double>", "<2 x i64>")
        shape = "<2 x double>" if letter == "F" else "<4 x float>"
        vector = self.cast(f"%x{place}", "<2 x double>", shape)
        return self.let(f"extractelement {shape} {vector}, i32 0")

    def _packed(self, place: str, letter: str, value: str) -> tuple[str, str]:
        """The parameter that carries a result on, and its value there. An i32 is zero-extended."""
        if letter == "I":
            return f"g{place}", value
        if letter == "i":
            return f"g{place}", self.let(f"zext i32 {value} to i64")
        if letter == "v":
            return f"x{place}", self.cast(value, "<2 x i64>", "<2 x double>")
        shape, type = ("<2 x double>", "double") if letter == "F" else ("<4 x float>", "float")
        vector = self.let(f"insertelement {shape} poison, {type} {value}, i32 0")
        return f"x{place}", self.cast(vector, shape, "<2 x double>")

    # ------------------------------------------------------------------------------------------------ ways out

    def _leave(self, symbol: str, changed: dict[str, str]) -> None:
        """Goes on, with every operand register alive: LLVM would take one that is not as scratch."""
        arguments = []
        for type, name in zip(_PARAMETER_TYPES, self._parameters, strict=True):
            value = changed.get(name, f"%{name}" if name else "poison")
            arguments.append(f"{type} {value}")
        self.do(f"musttail call preserve_nonecc void @{symbol}({', '.join(arguments)})")
        self.do("ret void")

    def _branch(self, result: str, form: str) -> None:
        type = LLVM_TYPES[self.meaning.results]
        condition = self.let(f"icmp {'ne' if form == 'B' else 'eq'} {type} {result}, 0")
        self.do(f"br i1 {condition}, label %taken, label %next, !prof !0")
        self.do("taken:")
        self._leave("taken", {})
        self.do("next:")
        self._leave("next", {})

    def _select(self, result: str, letter: str) -> None:
        letter = "I" if letter == "g" else letter
        type = LLVM_TYPES[letter]
        kept, other = self._unpacked("c", letter), self._unpacked("d", letter)
        condition = self.let(f"icmp ne i32 {result}, 0")
        chosen = choose(self, type, condition, kept, other)
        self._leave("next", dict([self._packed("c", letter, chosen)]))

    def trap_if(self, condition: str, kind: TrapKind) -> None:
        """A tail call to the trap, which needs nothing but the place it comes from."""
        self._labels += 1
        trap, ok = f"trap{self._labels}", f"ok{self._labels}"
        self.do(f"br i1 {condition}, label %{trap}, label %{ok}, !prof !0")
        self.do(f"{trap}:")
        self._leave(f"trap_{TRAPS.index(kind)}", {})
        self.do(f"{ok}:")

    def address(self, index: str | None, size: int, *, aligned: bool = False) -> str:
        """The pointer to an access of the first or another memory, checked as the shape says."""
        access = ACCESSES[self.shape.access or "guard"]
        offset = self._value(OFFSET)
        if aligned and size > 1:
            place = self.let(f"add i64 {index}, {offset}")
            low = self.let(f"and i64 {place}, {size - 1}")
            self.trap_if(self.let(f"icmp ne i64 {low}, 0"), TrapKind.UNALIGNED_ATOMIC)
        if access.checked:
            self._check(index, offset + size, access)
        base = "%memory"
        if access.other:
            field = self.let(f"getelementptr i8, ptr %vm, i64 {self._value(MEMORY_BASE)}")
            base = self.let(f"load ptr, ptr {field}, align 8")
        if index is not None:
            base = self.let(f"getelementptr i8, ptr {base}, i64 {index}")
        return self.let(f"getelementptr i8, ptr {base}, i64 {offset}")

    def _check(self, index: str | None, reach: int, access: Access) -> None:
        """Traps unless the access, which ends `reach` bytes after the index, ends within the memory's length."""
        end = str(reach)
        if index is not None:
            end = self.let(f"add i64 {index}, {reach}")
            if access.wide:
                self.trap_if(self.let(f"icmp ult i64 {end}, {index}"), TrapKind.MEMORY_OUT_OF_BOUNDS)
        field = self.let(f"getelementptr i8, ptr %vm, i64 {self._value(MEMORY_LENGTH)}")
        length = self.let(f"load i64, ptr {field}, align 8")
        self.trap_if(self.let(f"icmp ugt i64 {end}, {length}"), TrapKind.MEMORY_OUT_OF_BOUNDS)


_BYTES: Final = {"i": 4, "I": 8, "f": 4, "F": 8, "v": 16}

MODULE_PREAMBLE: Final = (
    "".join(
        f"declare dso_local preserve_nonecc void @{symbol}({', '.join(_PARAMETER_TYPES)})\n"
        for symbol in ("next", "taken", *(f"trap_{number}" for number in range(len(TRAPS))))
    )
    + "".join(f"@k{number} = external dso_local constant i8, align 16\n" for number in range(4))
    + '!0 = !{!"branch_weights", i32 1, i32 1000}\n'
)


# ---------------------------------------------------------------------------------------------------- what there is

_COMPARES: Final = ("eq", "ne", "lt", "gt", "le", "ge", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u")
_FOLDED: Final = ("add", "sub", "mul", "and", "or", "xor", *_COMPARES)
_SELECTIONS: Final = ("Sg", "Sf", "SF", "Sv")


def shapes(meanings: dict[str, Meaning], architecture: Architecture[Any]) -> Iterator[Shape]:
    """Every template of an architecture's libraries, in the order of the meanings."""
    for name, meaning in meanings.items():
        for lane in range(meaning.lanes) if meaning.lanes else (-1,):
            for shape in _shapes(name, meaning, architecture):
                yield shape._replace(lane=lane)


def _shapes(name: str, meaning: Meaning, architecture: Architecture[Any]) -> Iterator[Shape]:
    """The shapes of one instruction."""
    operation = name.partition(".")[2]
    params, results = meaning.params, meaning.results
    if name == "i8x16.shuffle":
        return  # its lanes are constants: made of `permute!`, `interleave!` and `v128.or`
    if operation == "move!":
        yield from _moves(name, params)
    elif operation in ("const", "const_wide!"):
        yield Shape(name, "C" if results in "iI" else "K", "D")
    elif not params:
        yield Shape(name, "", "D" if results else "-")
    elif params[:1] == "a":
        yield from _memory_shapes(name, meaning)
    elif len(results) == 2:
        yield Shape(name, "R" * len(params), "A")
    elif params in ("i", "I", "f", "F") and operation == "eqz":
        for kind in "RS":
            for form in ("D", "B", "N"):
                yield Shape(name, kind, form)
        for form in _SELECTIONS:
            yield Shape(name, "R-RR", form)
    elif params in ("i", "I", "f", "F"):
        for kind in "RS":
            yield Shape(name, kind, "D")
    elif operation in _COMPARES and params in ("ii", "II", "ff", "FF"):
        for kinds in _binary_kinds(name, operation, params, architecture):
            for form in ("D", "B", "N"):
                yield Shape(name, kinds, form)
        for kinds in ("RR", "RC") if params[0] in "iI" else ("RR",):
            for form in _SELECTIONS:
                yield Shape(name, f"{kinds}RR", form)
    elif params in ("ii", "II", "ff", "FF"):
        for kinds in _binary_kinds(name, operation, params, architecture):
            for form in ("D", "A"):
                yield Shape(name, kinds, form)
        if name in ("i32.and", "i64.and"):
            for kinds in ("RR", "RS", "RC"):
                for form in ("B", "N"):
                    yield Shape(name, kinds, form)
    elif params and set(params) <= set("iIfFv"):
        yield from _other_shapes(name, meaning, architecture)
    else:
        raise ValueError(f"{name}: no shapes for {params} -> {results}")


def _binary_kinds(name: str, operation: str, params: str, architecture: Architecture[Any]) -> tuple[str, ...]:
    kinds = ["RR"]
    if params[0] in "fF":
        kinds.append("RS")
        folded = operation in ("add", "sub", "mul", "div", *_COMPARES)
        if folded:
            kinds.append("RK")
    elif not name.endswith("!"):
        kinds.append("RS")
        folded = operation in _FOLDED
        if operation in architecture.immediate or operation in _COMPARES or operation in SHIFTS:
            kinds.append("RC")
    else:
        folded = False
    if folded and architecture.memory_operands:
        kinds.append("RM")
    return tuple(kinds)


def _moves(name: str, letter: str) -> Iterator[Shape]:
    for kind in "RSVP":
        yield Shape(name, kind, "D")
    for form in "SVP":
        for kind in ("R", "S", "C") if letter in "iI" else ("R", "S"):
            yield Shape(name, kind, form)


def _memory_shapes(name: str, meaning: Meaning) -> Iterator[Shape]:
    atomic = "atomic" in name
    if meaning.lanes:
        return  # made of a narrow load or store and the access to the lane
    values = meaning.params[1:]
    kinds = ["R" * len(values)]
    if values in ("i", "I") and not atomic:
        kinds.append("C")
    for access in ACCESSES:
        for address in "R" if atomic else "RC":
            for kind in kinds:
                yield Shape(name, address + kind, "D" if meaning.results else "-", access)


def _other_shapes(name: str, meaning: Meaning, architecture: Architecture[Any]) -> Iterator[Shape]:
    """Vectors, and the selection by a value."""
    params, results = meaning.params, meaning.results
    if params == "vv" and results == "v":
        for kinds in ("RR", "RS", "RK", "RM") if architecture.memory_operands else ("RR", "RS", "RK"):
            yield Shape(name, kinds, "D")
            yield Shape(name, kinds, "A")
    elif len(params) == 1:
        for kind in "RS" if params == "v" and not meaning.lanes else "R":
            yield Shape(name, kind, "D")
        if name.endswith(("any_true", "all_true")):
            yield Shape(name, "R", "B")
            yield Shape(name, "R", "N")
    else:
        by_constant = name.partition(".")[2] in SHIFTS and architecture.shifts_lanes_by_constant(name)
        for kinds in ("RR", "RC") if by_constant else ("R" * len(params),):
            if params[0] == results:
                yield Shape(name, kinds, "A")
            yield Shape(name, kinds, "D")
