"""ARM64 for the build: registers, numbers, how LLVM's code is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.semantics import Target
from wasmine.compiler.templates.architecture import (
    OPERAND,
    Architecture,
    Holes,
    Level,
    LiftError,
    Node,
    Numbers,
    Prepared,
    Use,
)
from wasmine.compiler.templates.arm64 import filling
from wasmine.compiler.templates.arm64.decode import Decoded, decode
from wasmine.compiler.templates.arm64.filling import encode
from wasmine.compiler.templates.arm64.instruction import Field, Instruction
from wasmine.compiler.templates.arm64.prepare import prepare
from wasmine.compiler.templates.expand import HOLE_CONSTANT, HOLE_OPERAND, HOLE_TAKEN
from wasmine.compiler.templates.forms import MAXIMAL_ADDEND, MINIMAL_ADDEND

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.templates.architecture import Template
    from wasmine.compiler.templates.object import Function, Relocation

# The registers of operands in LLVM's hands.
_OPERANDS: Final = {"g": {23: 0, 24: 1, 25: 2, 26: 3}, "x": {0: 0, 1: 1, 2: 2, 3: 3}}
_FIXED: Final = frozenset((20, 21, 22))
# Whatever else LLVM takes is renamed to these, in order of appearance. The last general one also takes long numbers.
_SCRATCH: Final = {"g": (8, 9, 10, 16, filling.SPARE), "x": tuple(range(16, 32))}
# The platform's register, the frame pointer and the link register.
_FORBIDDEN: Final = frozenset((18, 29, 30))

_ADRP, _LOAD_LOW, _JUMP26 = 275, (284, 285, 286, 299), 282

# The parts of a word that a hole of each kind takes.
_MASKS: Final = {
    filling.DISPLACEMENT: 0xFFF << 10,
    filling.ADDITION: 0x1FFF << 10,
    filling.LOGICAL: 0x1FFF << 10,
    filling.LEFT: 0xFFF << 10,
    filling.RIGHT: 0x3F << 16,
    filling.ROTATE_RIGHT: 0x3F << 10,
    filling.ROTATE_LEFT: 0x3F << 10,
    filling.LANES_LEFT: 0x7F << 16,
    filling.LANES_RIGHT: 0x7F << 16,
    filling.MOVE: 0xFFFF << 5,
    filling.LOW: 0xFFFF << 5,
    filling.KEEP: 0xFFFF << 5,
}
# The kinds with a bit for the sign.
_SIGNED: Final = (filling.ADDITION, filling.MOVE)
# The kinds whose values have no addend: others would not tell a hole from a neighbour's.
_EXACT: Final = frozenset(_MASKS) - {filling.DISPLACEMENT, filling.ADDITION, filling.MOVE}


class Arm64(Architecture[Instruction]):
    """ARMv8.0 with NEON, which every 64-bit processor has; atomic operations are loops."""

    name = "arm64"
    target = Target.ARM64
    triple = "aarch64-unknown-linux-gnu"
    levels = (Level("arm64", "generic", ""),)
    # x18 belongs to some systems.
    tuning = "+reserve-x18"
    # x20 to x28, x0 to x2, v0 to v7
    general = ("vm", "frame", "memory", "ga", "gb", "gc", "gd", "", "", "", "", "")
    vector = ("xa", "xb", "xc", "xd", "", "", "", "")
    fixed = _FIXED
    # All fit the shortest forms: offsets are multiples of every size, immediates fit in a byte with a sign. A negative
    # number of 64 bits is moved to a whole register, others only to its lower half.
    numbers = Numbers(
        displacements=((0x100, 0x150), (0x110, 0x1A0)),
        immediates=(71, 43),
        long_immediates=(-71, -43),
        masks=(0x3FFC0, 0xFF8000),
        counts=(5, 3),
        wide=(0x3A5C1B27_4D6E7F81, 0x2B9D4E63_5C7D8E92),
    )
    immediate = ("add", "and", "or", "xor")
    memory_operands = False
    zero_offsets = True

    def shifts_lanes_by_constant(self, name: str) -> bool:
        """All of them."""
        return True

    def nodes(self, function: Function, constant: Callable[[str], int]) -> list[Node[Instruction]]:
        """The function's instructions."""
        return _Reader(function, constant).nodes()

    def inverted(self, jump: Instruction) -> Instruction:
        """The lowest bit of a condition negates it; cbz and cbnz have a bit elsewhere."""
        return jump._replace(word=jump.word ^ (1 if _is_conditional(jump.word) else 1 << 24))

    def aimed(self, jump: Instruction, target: int) -> Instruction:
        """The jump with where it goes."""
        return jump._replace(target=target)

    def same_jump(self, one: Instruction, two: Instruction) -> bool:
        """Whether the conditions and registers are the same."""
        return one == two

    def opened(self, values: dict[int, tuple[int, int]], one: Instruction, two: Instruction) -> Instruction:
        """The instruction with the one hole that it can have."""
        if one == two:
            return one
        if one._replace(word=0) == two._replace(word=0):
            for kind in one.holes:
                addends = (0,) if kind in _EXACT else range(MINIMAL_ADDEND, MAXIMAL_ADDEND + 1)
                for blank in _blanks(kind, one.word):
                    for number, (first, second) in values.items():
                        for addend in addends:
                            words = encode(kind, blank, first + addend), encode(kind, blank, second + addend)
                            if words == (one.word, two.word):
                                return one._replace(word=blank, hole=kind, number=number, addend=addend)
        raise LiftError(f"{one.word:08x} and {two.word:08x} differ by the numbers of no hole")

    def holes(self, instruction: Instruction) -> Holes:
        """What is open."""
        number = (instruction.number,)
        return Holes(
            number if 0 < instruction.hole < HOLE_TAKEN else (), number if instruction.hole == HOLE_OPERAND else ()
        )

    def prepare(self, template: Template[Instruction]) -> Prepared:
        """The code as it is stored."""
        return prepare(template)


def _is_conditional(word: int) -> bool:
    return word >> 24 == 0x54


def _blanks(kind: int, word: int) -> tuple[int, ...]:
    """What the word may be without its value, if that is of this kind.

    A shift of lanes keeps the highest bit, which says how wide they are. The sign of some values is in the opcode.
    """
    blank = word & ~_MASKS[kind]
    if kind in (filling.LANES_LEFT, filling.LANES_RIGHT):
        return (blank | 1 << 15 + (word >> 16 & 0x7F).bit_length(),)
    return (blank, blank ^ filling.NEGATIVE) if kind in _SIGNED else (blank,)


class _Reader:
    """Reads one function."""

    def __init__(self, function: Function, constant: Callable[[str], int]) -> None:
        self._words = [int.from_bytes(function.code[at : at + 4], "little") for at in range(0, len(function.code), 4)]
        self._relocations = {relocation.offset: relocation for relocation in function.relocations}
        self._constant = constant
        self._renamed: dict[str, dict[int, int]] = {"g": {}, "x": {}}
        self._written: set[tuple[str, int]] = set()
        self._pages: dict[int, str] = {}
        self._inserted: set[Node[Instruction]] = set()

    def nodes(self) -> list[Node[Instruction]]:
        """The nodes, jumps leading to nodes or symbols."""
        starts: list[Node[Instruction] | None] = []
        found: list[Node[Instruction]] = []
        destinations: dict[Node[Instruction], int] = {}
        for index, word in enumerate(self._words):
            if word & _LANE_MASK in _BY_LANE:
                word = _BY_LANE[word & _LANE_MASK] | word & ~_LANE_MASK
            decoded = decode(word)
            relocation = self._relocations.pop(4 * index, None)
            nodes = self._jump(index, word, decoded, relocation, destinations) or self._plain(word, decoded, relocation)
            starts.append(nodes[0] if nodes else None)
            found += nodes
        if self._relocations:
            raise LiftError(f"relocations of no instruction: {sorted(self._relocations)}")
        for node, index in destinations.items():
            target = starts[index] if 0 <= index < len(starts) else None
            if target is None:
                raise LiftError(f"a jump to word {index}, where no instruction starts")
            node.to = target
        self._check_flags(found)
        return _without_moves(found)

    def _plain(self, word: int, decoded: Decoded, relocation: Relocation | None) -> list[Node[Instruction]]:
        """An instruction that is no jump. The address of a constant's page is none: its load becomes relative."""
        if relocation is None:
            if word & 0x9F000000 == 0x90000000:
                raise LiftError("a relative address without a relocation")
            return [self._node(word, decoded)]
        if relocation.type == _ADRP and not relocation.addend:
            self._pages[word & 31] = relocation.symbol
            return []
        base = word >> 5 & 31
        if relocation.type not in _LOAD_LOW or relocation.addend or self._pages.get(base) != relocation.symbol:
            raise LiftError(f"relocation type {relocation.type} of {relocation.symbol} + {relocation.addend}")
        return [self._literal(word, relocation.symbol)]

    def _literal(self, word: int, symbol: str) -> Node[Instruction]:
        """The load of a constant as one relative to the code."""
        form = _LITERALS.get(word >> 20)
        if form is None:
            raise LiftError(f"{word:08x} loads a constant")
        node = self._node(form | word & 31, decode(word), without="n")
        if symbol.startswith(".LCPI"):
            hole, number = HOLE_CONSTANT, self._constant(symbol)
        elif symbol[0] == "k":
            hole, number = HOLE_OPERAND, int(symbol[1:])
        else:
            raise LiftError(f"relocation of unknown symbol {symbol}")
        node.instruction = node.instruction._replace(holes=(), hole=hole, number=number)
        return node

    def _jump(
        self,
        index: int,
        word: int,
        decoded: Decoded,
        relocation: Relocation | None,
        destinations: dict[Node[Instruction], int],
    ) -> list[Node[Instruction]]:
        """A jump; nothing for other instructions. A test of one bit, which does not reach far, becomes two instructions."""
        distance = _distance(word)
        if distance is None:
            return []
        nodes = []
        if word & _TEST_MASK == _TEST:
            bit = word >> 31 << 5 | word >> 19 & 31
            test = encode(filling.LOGICAL, _TST_X if bit > 31 else _TST_W, 1 << bit)
            assert test is not None
            test |= (word & 31) << 5
            nodes.append(self._node(test, decode(test)))
            self._inserted.add(nodes[0])
            word = _BRANCH_IF | (1 if word >> 24 & 1 else 0)
            decoded = decode(word)
        elif _is_conditional(word) or word & _TEST_MASK in _COMPARE:
            word &= ~(0x7FFFF << 5)
        else:
            word = _BRANCH
        jump = self._node(word, decoded)
        jump.is_jump, jump.is_unconditional = True, word == _BRANCH
        if relocation is None:
            destinations[jump] = index + distance
        elif relocation.type == _JUMP26 and not relocation.addend and jump.is_unconditional:
            jump.to = relocation.symbol
        else:
            raise LiftError(f"relocation type {relocation.type} of {relocation.symbol} at a jump")
        return [*nodes, jump]

    def _node(self, word: int, decoded: Decoded, without: str = "") -> Node[Instruction]:
        """The instruction with operands' registers as fields and others renamed."""
        uses, fields = [], []
        for register, number in decoded.registers:
            if without and register.name == without:
                continue
            word &= ~(31 << register.shift)
            ours = self._renamed_to(register.file, number)
            if ours >= OPERAND:
                fields.append(Field(register.shift, register.file, ours - OPERAND))
            else:
                word |= ours << register.shift
                if register.reads and ours not in _FIXED and (register.file, ours) not in self._written:
                    raise LiftError(f"register {register.file}{number} is read before it is written")
            uses.append(Use(register.file, ours, register.reads, register.writes))
        self._written.update((use.file, use.register) for use in uses if use.writes)
        return Node(Instruction(word, tuple(fields), decoded.row.holes), tuple(uses))

    def _check_flags(self, nodes: list[Node[Instruction]]) -> None:
        """A test of one bit sets flags when it has become two instructions: nobody must want those from before it."""
        inserted = False
        for node in nodes:
            row = decode(node.instruction.word).row
            if row.reads_flags and inserted and not node.is_jump:
                raise LiftError("flags are read behind a test of one bit")
            if row.writes_flags:
                inserted = node in self._inserted

    def _renamed_to(self, file: str, number: int) -> int:
        """An operand, or what we call one of LLVM's registers."""
        if number in _OPERANDS[file]:
            return OPERAND + _OPERANDS[file][number]
        if file == "g" and number in _FIXED:
            return number
        if file == "g" and number in _FORBIDDEN:
            raise LiftError(f"register x{number} is not for templates")
        renamed = self._renamed[file]
        if number not in renamed:
            if len(renamed) == len(_SCRATCH[file]):
                raise LiftError("more scratch registers than there are")
            renamed[number] = _SCRATCH[file][len(renamed)]
        return renamed[number]


def _without_moves(nodes: list[Node[Instruction]]) -> list[Node[Instruction]]:
    """The same without moves of 32 bits behind an operation: it clears the rest as well, which LLVM forgets."""
    targets = {id(node.to) for node in nodes}
    result: list[Node[Instruction]] = []
    for index, node in enumerate(nodes):
        before = result[-1] if result else None
        if (
            before is not None
            and node.instruction.word & ~_MOVED == _MOVE_32
            and len(node.uses) == 2
            and id(node) not in targets
            and before.uses
            and not before.is_jump
            and before.instruction.word >> 31 == 0
            and before.instruction.word >> 25 & 15 in _OPERATIONS
        ):
            written, read = before.uses[0], node.uses[1]
            later = any(use[:2] == read[:2] and use.reads for other in nodes[index + 1 :] for use in other.uses)
            if written == (read.file, read.register, False, True) and read.register < OPERAND and not later:
                fields = (*node.instruction.fields, *before.instruction.fields)
                word = before.instruction.word & ~31 | node.instruction.word & 31
                before.instruction = before.instruction._replace(word=word, fields=fields)
                before.uses = (node.uses[0], *before.uses[1:])
                continue
        result.append(node)
    return result


# mov of 32 bits and its registers; the groups of operations with immediates and with registers
_MOVE_32: Final = 0x2A0003E0
_MOVED: Final = 0x001F001F
_OPERATIONS: Final = (5, 8, 9, 13)
# fmul of scalars by lane 0 of a vector, which is slower on some processors, and as it should be
_LANE_MASK: Final = 0xFFE0FC00
_BY_LANE: Final = {0x5F809000: 0x1E200800, 0x5FC09000: 0x1E600800}
# ldr of s, d, q with an immediate, by the upper bits, as the literal form
_LITERALS: Final = {0xBD4: 0x1C000000, 0xFD4: 0x5C000000, 0x3DC: 0x9C000000}
_BRANCH: Final = 0x14000000
_BRANCH_IF: Final = 0x54000000
_TEST_MASK: Final = 0x7E000000
_TEST: Final = 0x36000000
_COMPARE: Final = (0x34000000,)
_TST_W: Final = 0x7200001F
_TST_X: Final = 0xF200001F


def _distance(word: int) -> int | None:
    """How many words a jump goes; None for what is no jump."""
    if word >> 26 == 5:
        return _signed(word & 0x3FFFFFF, 26)
    if word & 0xFF000010 == _BRANCH_IF or word & _TEST_MASK in _COMPARE:
        return _signed(word >> 5 & 0x7FFFF, 19)
    if word & _TEST_MASK == _TEST:
        return _signed(word >> 5 & 0x3FFF, 14)
    return None


def _signed(value: int, width: int) -> int:
    return value - (value >> width - 1 << width)
