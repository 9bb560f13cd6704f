"""The templates of one instruction, by the kinds of its operands, as the abstract stack works with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wasmine.format.instructions import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.baseline.emitter import Emitter, Form

GENERAL: Final = frozenset("iIa")
"""The letters of types whose values are in general registers. References are `I`."""

_INTERNAL: Final = {
    "i64.const_wide!": ("I", "I"),
    "i64.zero!": ("", "I"),
    "v128.zero!": ("", "v"),
    "v128.ones!": ("", "v"),
    "i8x16.permute!": ("vv", "v"),
    "i64.add_address!": ("II", "I"),
}


def signature(name: str) -> tuple[str, str]:
    """The letters of the operands and of the result of an instruction, internal ones included."""
    if name in _INTERNAL:
        return _INTERNAL[name]
    plain = name.rstrip("!").partition(":")[0]
    if "add_shl" in plain:
        plain = f"{plain[:3]}.add"
    elif "interleave" in plain:
        plain = "v128.and"
    instruction = BY_NAME[plain]
    return instruction.params or "", instruction.results or ""


class Operation:
    """The templates of an instruction for one choice of operand kinds.

    `result` is the letter of the result's type; `to` writes it to another register, `onto` to that of the first operand.
    `taken` and `skipped` branch where the result is not 0, or is 0. `negated` computes the opposite condition; one that
    can only branch has neither `to` nor `onto`, and `opposite` says what to negate. `selects` are fused selections, by
    the file of what is selected.

    `general` tells which of d, a, b are general registers. `reads`: the code reads memory or other state, so it must
    not move behind a write. `highest`: the highest unsigned result, by the value of the hole; None where nothing is known.
    `folds`: a load of its type's full width, that others can take as a memory operand. `slot`: its value is the place of a
    local.
    """

    __slots__ = (
        "folds",
        "general_a",
        "general_b",
        "general_d",
        "highest",
        "negated",
        "onto",
        "opposite",
        "reads",
        "result",
        "selects",
        "skipped",
        "slot",
        "swaps",
        "taken",
        "to",
    )

    def __init__(self, result: str, a: str, b: str = "i") -> None:
        self.result = result
        self.general_d = result in GENERAL
        self.general_a = a in GENERAL
        self.general_b = b in GENERAL
        self.to: Form | None = None
        self.onto: Form | None = None
        self.taken: Form | None = None
        self.skipped: Form | None = None
        self.negated: Operation | None = None
        self.opposite: Operation | None = None
        self.selects: dict[str, Form] = {}
        self.swaps = False
        self.reads = False
        self.highest: Callable[[Any], int] | None = None
        self.folds = False
        self.slot = False

    @property
    def same_file(self) -> bool:
        """Whether the result may take the first operand's register."""
        return self.general_a == self.general_d


def operation(emitter: Emitter, name: str, kinds: str, access: str = "") -> Operation | None:
    """The operation with these operand kinds, if the library has it; always the same object."""
    key = (name, kinds, access)
    if key not in emitter.operations:
        emitter.operations[key] = _operation(emitter, name, kinds, access)
    return emitter.operations[key]


def _operation(emitter: Emitter, name: str, kinds: str, access: str) -> Operation | None:
    params, results = signature(name)
    suffix = f" {access}" if access else ""

    def find(form: str) -> Form | None:
        return emitter.find(f"{name} {kinds} {form}{suffix}")

    to, onto = find("D"), find("A")
    if to is None and onto is None:
        return None
    second = "i" if "M" in kinds else params[1] if len(params) > 1 else "i"
    found = Operation(results, params[0] if params else "i", second)
    found.to, found.onto = to, onto
    found.taken, found.skipped = find("B"), find("N")
    found.reads = "M" in kinds or bool(access)
    found.slot = "S" in kinds
    found.highest = _HIGHEST.get(f"{name} {kinds}")
    found.swaps = kinds == "RR" and name.partition(".")[2] in COMMUTATIVE
    selection = "R-RR" if kinds == "R" else f"{kinds}RR"
    for letter in "gfFv":
        form = emitter.find(f"{name} {selection} S{letter}")
        if form is not None:
            found.selects[letter] = form
    return found


_HIGHEST: Final[dict[str, Callable[[Any], int]]] = {
    "i32.and RC": lambda value: value & 0xFFFFFFFF,
    "i32.shr_u RC": lambda value: 0xFFFFFFFF >> value,
    "i32.load8_u R": lambda _: 0xFF,
    "i32.load8_u C": lambda _: 0xFF,
    "i32.load16_u R": lambda _: 0xFFFF,
    "i32.load16_u C": lambda _: 0xFFFF,
}

COMMUTATIVE: Final = frozenset(("add", "mul", "and", "or", "xor", "eq", "ne"))
# A comparison with its operands exchanged, and its opposite (for integers).
MIRRORED: Final = {
    "eq": "eq",
    "ne": "ne",
    "lt": "gt",
    "gt": "lt",
    "le": "ge",
    "ge": "le",
    "lt_s": "gt_s",
    "gt_s": "lt_s",
    "le_s": "ge_s",
    "ge_s": "le_s",
    "lt_u": "gt_u",
    "gt_u": "lt_u",
    "le_u": "ge_u",
    "ge_u": "le_u",
}


def negate(op: Operation) -> Operation:
    """An operation for the opposite of a condition: the same branches exchanged."""
    if op.negated is None:
        other = Operation(op.result, "i")
        other.general_a, other.general_b = op.general_a, op.general_b
        other.taken, other.skipped = op.skipped, op.taken
        other.reads, other.slot = op.reads, op.slot
        other.opposite = op
        op.negated, other.negated = other, op
    return op.negated
