"""Code in the making: templates filled in one behind another, and what is to be filled in later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from wasmine.compiler.code import trap_number
from wasmine.compiler.machine import architecture
from wasmine.compiler.machine.layout import TOLD
from wasmine.compiler.templates.expand import HOLE_CONSTANT, HOLE_OPERAND, HOLE_TAKEN, HOLE_TRAP, OFFSET
from wasmine.errors import TrapKind
from wasmine.format.instructions import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from wasmine.compiler.baseline.operation import Operation
    from wasmine.compiler.code import Relocation
    from wasmine.compiler.templates.expand import Hole
    from wasmine.compiler.templates.library import TemplateLibrary

    Values = int | bytes | dict[int, int]
    Exits = tuple[tuple[int, Hole], ...]

_TRAP_NUMBERS: Final = tuple(map(trap_number, TrapKind))
_READY: Final = 1 << 15
"""So many pieces of code are kept ready."""


class Form:
    """A template of the library, with what decides how it is emitted.

    `number` is its number, and `key` the same where `TemplateLibrary.codes` wants it. `plain`: its code has no holes at
    all. `special`: it has others than those of one value, whose number `hole` is. `at_constant`: its first operand is a
    constant. `hazards` are the library's. `unchecked`: the same access to the first memory without looking at its length,
    `size` the number of its bytes.
    """

    __slots__ = ("at_constant", "hazards", "hole", "key", "number", "plain", "size", "special", "unchecked")

    def __init__(self, library: TemplateLibrary, number: int, key: str) -> None:
        self.number = number
        self.at_constant = key.partition(" ")[2].startswith("C")
        self.key = number << 24
        self.hazards = library.hazards(number)
        found = library.code(number, 11, 15, 8, 9).holes
        values = {hole.operand for hole in found if hole.kind < HOLE_TAKEN}
        self.hole = max(values, default=0)
        self.plain = not found
        self.special = len(values) > 1 or any(hole.kind >= HOLE_TAKEN for hole in found)
        self.unchecked: Form | None = None
        self.size = 0


class Told(NamedTuple):
    """What a trap is told: the sum of a register, which the code before leaves alone, and a number below 2^31."""

    register: int | None
    offset: int = 0


class _Plain(dict[int, bytes]):
    """Code without holes by template and registers."""

    def __init__(self, library: TemplateLibrary) -> None:
        super().__init__()
        self._library = library

    def __missing__(self, key: int) -> bytes:
        found = self[key] = self._library.codes[key].code
        return found


class Emitter:
    """The code of one function as far as it goes, and the fields in it that wait.

    `machine` are the instructions that are no templates. With `far`, nothing that a conditional branch or a template leads
    to need be near: they lead to a place right behind, which goes on from there.

    `bases` are the general registers of pinned locals. `covered` says how many bytes from the address in such a register on
    are known to lie in the first memory: a check has found that on every way here, since the register was last written.
    Memories never shrink.
    """

    def __init__(self, library: TemplateLibrary) -> None:
        self.library = library
        self.machine = architecture.instructions(library.architecture)
        self.code = bytearray()
        self.relocations: list[Relocation] = []
        self.sites: list[tuple[int, int]] = []
        self.far = False
        self.bases: Collection[int] = ()
        self.covered: dict[int, int] = {}
        self._pool: dict[bytes, list[tuple[int, int]]] = {}
        self._traps: dict[tuple[int, int, Told | None], list[int]] = {}
        self._later: list[Callable[[], None]] = []
        self._plain = _Plain(library)
        self._filled: dict[tuple[int, object], bytes] = {}
        self._special: dict[tuple[int, ...], tuple[bytes, Exits]] = {}
        self._forms: dict[str, Form | None] = {}
        self.operations: dict[tuple[str, str, str], Operation | None] = {}

    def reset(self, *, far: bool = False) -> None:
        """Begin a function."""
        self.code.clear()
        self.relocations = []
        self.sites = []
        self.far = far
        self.covered.clear()
        self._pool.clear()
        self._traps.clear()
        self._later.clear()
        if len(self._filled) + len(self._special) > _READY:
            self._filled.clear()
            self._special.clear()

    def find(self, key: str) -> Form | None:
        """The template with a key, if there is one."""
        try:
            return self._forms[key]
        except KeyError:
            number = self.library.numbers.get(key)
            found = self._forms[key] = None if number is None else Form(self.library, number, key)
            if found is not None and key.endswith(" check"):
                found.unchecked = self.form(key.replace(" check", " guard"))
                found.size = 1 << BY_NAME[key.partition(" ")[0]].alignment
            return found

    def form(self, key: str) -> Form:
        """The template with a key."""
        found = self.find(key)
        if found is None:
            raise LookupError(f"the template library lacks {key!r}: build it again")
        return found

    def emit(self, form: Form, registers: int, value: Values = 0, position: int = 0) -> None:
        """Append a template. `registers` are those of its operands, `d << 12 | a << 8 | b << 4 | c`.

        `value` is the value of its hole, or its pooled constant, or the values of all its holes by number. `position` is
        that of the wasm instruction, for those that may trap.
        """
        if form.plain:
            self.code += self._plain[form.key | registers]
        elif form.special:
            self.special(form, registers, value, position)
        else:
            key = (form.key | registers, value)
            try:
                self.code += self._filled[key]
            except KeyError:
                assert isinstance(value, int)
                found = self._filled[key] = self._fill(form, registers, {form.hole: value})[0]
                self.code += found

    def _fill(self, form: Form, registers: int, values: dict[int, int]) -> tuple[bytes, Exits]:
        """A template's code with values in its holes, and where it leads."""
        library = self.library
        template, holes = library.codes[form.key | library.small(form.number, values) << 16 | registers]
        code = bytearray(template)
        exits = []
        for hole in holes:
            if hole.kind < HOLE_TAKEN:
                library.fill(code, hole, values[hole.operand])
            else:
                exits.append((hole.offset, hole))
        return bytes(code), tuple(exits)

    def branch(self, form: Form, registers: int, value: Values, position: int, taken: list[int]) -> None:
        """Append a template that branches; the fields of its distances are appended to `taken`."""
        self.special(form, registers, value, position, taken)

    def special(
        self, form: Form, registers: int, value: Values, position: int = 0, taken: list[int] | None = None
    ) -> None:
        """`emit` and `branch` for any form."""
        if form.unchecked is not None:
            assert isinstance(value, dict)
            if self._is_covered(registers >> 8 & 15, value[OFFSET] + form.size):
                form = form.unchecked
                if not form.special:
                    self.emit(form, registers, value[OFFSET], position)
                    return
        values = value if isinstance(value, dict) else {form.hole: value} if isinstance(value, int) else {}
        key = (form.key | registers, *values.values())
        try:
            template, exits = self._special[key]
        except KeyError:
            template, exits = self._special[key] = self._fill(form, registers, values)
        code = self.code
        start = len(code)
        code += template
        if self.far and exits:
            self._go_on(start, exits, value, (position, self._told(form, registers, values)), taken)
            return
        for offset, hole in exits:
            kind = hole.kind
            if kind == HOLE_TAKEN:
                assert taken is not None
                taken.append(start + offset)
            elif kind == HOLE_TRAP:
                told = self._told(form, registers, values)
                self._traps.setdefault((_TRAP_NUMBERS[hole.operand], position, told), []).append(start + offset)
            else:
                self._pool.setdefault(self._constant(hole, value), []).append((start + offset, hole.addend))

    def _is_covered(self, base: int, end: int) -> bool:
        """Whether an access that ends so many bytes behind a base need not be checked; if not, it is now."""
        if base not in self.bases:
            return False
        if self.covered.get(base, 0) >= end:
            return True
        self.covered[base] = end
        return False

    def _constant(self, hole: Hole, value: Values) -> bytes:
        """The constant that a hole is the address of."""
        if hole.kind == HOLE_OPERAND:
            assert isinstance(value, bytes)
            return value
        assert hole.kind == HOLE_CONSTANT
        return self.library.constants[hole.operand]

    @staticmethod
    def _told(form: Form, registers: int, values: dict[int, int]) -> Told | None:
        """What traps of a template are told: of an access to memory, the address."""
        if OFFSET not in values:
            return None
        return Told(None if form.at_constant else registers >> 8 & 15, values[OFFSET])

    def _go_on(
        self, start: int, exits: Exits, value: Values, trap: tuple[int, Told | None], taken: list[int] | None
    ) -> None:
        """Append the places that a template leads to."""
        code, machine = self.code, self.machine
        over = self.jump()
        for offset, hole in exits:
            if hole.kind >= HOLE_OPERAND:
                constant = self._constant(hole, value)
                code += bytes(-len(code) % len(constant))
                machine.aim_data(code, start + offset, len(code), hole.addend)
                code += constant
                continue
            machine.aim(code, start + offset, len(code))
            if hole.kind == HOLE_TRAP:
                self.trap_numbered(_TRAP_NUMBERS[hole.operand], *trap)
            else:
                assert taken is not None
                taken.append(self.jump())
        self.aim(over, len(code))

    # ------------------------------------------------------------------------------------------------ jumps, traps

    def jump_if(self, condition: int) -> int:
        """Append a conditional jump; where its distance is."""
        self.code += self.machine.jump_if(condition)
        field = len(self.code) - 4
        if self.far:
            over = self.jump()
            self.land([field])
            field = self.jump()
            self.land([over])
        return field

    def jump(self) -> int:
        """Append a jump; where its distance is."""
        self.code += self.machine.JUMP
        return len(self.code) - 4

    def land(self, fields: list[int]) -> None:
        """Make jumps lead here."""
        code, aim = self.code, self.machine.aim
        here = len(code)
        for field in fields:
            aim(code, field, here)
        self.covered.clear()

    def aim(self, field: int, target: int) -> None:
        """Make a jump lead to a place."""
        self.machine.aim(self.code, field, target)

    def trap_if(self, condition: int, kind: TrapKind, position: int, told: Told | None = None) -> None:
        """Append a jump to a trap."""
        self._traps.setdefault((trap_number(kind), position, told), []).append(self.jump_if(condition))

    def trap_at(self, fields: list[int], kind: TrapKind, position: int, told: Told | None = None) -> None:
        """Make jumps lead to a trap."""
        self._traps.setdefault((trap_number(kind), position, told), []).extend(fields)

    def trap(self, kind: TrapKind, position: int) -> None:
        """Append a trap."""
        self.trap_numbered(trap_number(kind), position)

    def trap_numbered(self, number: int, position: int, told: Told | None = None) -> None:
        """Append a trap of a number, as in `layout.Call.TRAP`."""
        machine = self.machine
        if told is not None:
            number |= TOLD
            if told.register is None:
                self.code += machine.set_index(told.offset)
            elif told.offset:
                self.code += machine.address(machine.INDEX, told.register, told.offset)
            elif told.register != machine.INDEX:
                self.code += machine.move(machine.INDEX, told.register)
        self.sites.append((len(self.code), position))
        self.code += self.machine.trap(number)

    def later(self, write: Callable[[], None]) -> None:
        """Have something written behind the body: what hardly ever runs."""
        self._later.append(write)

    def align(self, size: int) -> None:
        """Fill up with instructions that do nothing."""
        self.code += self.machine.nops(-len(self.code) % size)

    def finish(self) -> bytes:
        """Write what comes behind the body: rare code, traps, constants. The whole code."""
        for write in self._later:
            write()
        for (number, position, told), fields in self._traps.items():
            self.land(fields)
            self.trap_numbered(number, position, told)
        code = self.code
        for size in (16, 8, 4):
            for constant, places in self._pool.items():
                if len(constant) == size:
                    code += b"\xcc" * (-len(code) % size)
                    for at, addend in places:
                        self.machine.aim_data(code, at, len(code), addend)
                    code += constant
        return bytes(code)
