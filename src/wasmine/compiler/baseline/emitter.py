"""Code in the making: templates filled in one behind another, and what is to be filled in later."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from wasmine.compiler.code import trap_number
from wasmine.compiler.machine.amd64 import instructions as assembler
from wasmine.compiler.templates.expand import (
    HOLE_32,
    HOLE_64,
    HOLE_CONSTANT,
    HOLE_NEGATED,
    HOLE_OPERAND,
    HOLE_TAKEN,
    HOLE_TRAP,
    SMALL_MAX,
    SMALL_MIN,
)
from wasmine.errors import TrapKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.baseline.operation import Operation
    from wasmine.compiler.code import Relocation
    from wasmine.compiler.templates.expand import Hole
    from wasmine.compiler.templates.library import TemplateLibrary

    Values = int | bytes | dict[int, int]

_TRAP_NUMBERS: Final = tuple(map(trap_number, TrapKind))
_MASK: Final = 0xFFFFFFFF
_INT32 = assembler.INT32.pack_into
_UINT32 = Struct("<I").pack_into


class Form:
    """A template of the library, with what decides how it is emitted.

    `key` is its number where `TemplateLibrary.code` wants it. `plain`: its code has no holes at all. `special`: it has
    others than those of one value, whose number `hole` is. `branches`: these are distances of branches. `hazards` are the
    library's.
    """

    __slots__ = ("branches", "hazards", "hole", "holes", "key", "plain", "special")

    def __init__(self, library: TemplateLibrary, number: int) -> None:
        self.key = number << 24
        self.hazards = library.hazards(number)
        found = library.code(number, 11, 15, 8, 9).holes
        self.holes = {hole.operand for hole in found if hole.kind <= HOLE_NEGATED}
        self.hole = max(self.holes, default=0)
        self.plain = not found
        self.branches = len(self.holes) <= 1 and {hole.kind for hole in found if hole.kind > HOLE_NEGATED} == {
            HOLE_TAKEN
        }
        self.special = len(self.holes) > 1 or any(hole.kind > HOLE_NEGATED for hole in found)


class _Plain(dict[int, bytes]):
    """Code without holes by template and registers."""

    def __init__(self, library: TemplateLibrary) -> None:
        super().__init__()
        self._library = library

    def __missing__(self, key: int) -> bytes:
        found = self[key] = self._library.codes[key].code
        return found


class _Small(dict[int, bytes]):
    """Code with one small value filled in: the key's last byte."""

    def __init__(self, library: TemplateLibrary) -> None:
        super().__init__()
        self._library = library

    def __missing__(self, key: int) -> bytes:
        value = key & 255
        if value > 127:
            value -= 256
        template, holes = self._library.codes[key >> 8]
        code = bytearray(template)
        for hole in holes:
            fill(code, hole.offset, hole, value)
        found = self[key] = bytes(code)
        return found


class _Branches(dict[int, tuple[bytes, tuple[int, ...]]]):
    """The same for branches, with the places of their distances."""

    def __init__(self, library: TemplateLibrary) -> None:
        super().__init__()
        self._library = library

    def __missing__(self, key: int) -> tuple[bytes, tuple[int, ...]]:
        value = key & 255
        if value > 127:
            value -= 256
        template, holes = self._library.codes[key >> 8]
        code = bytearray(template)
        for hole in holes:
            if hole.kind != HOLE_TAKEN:
                fill(code, hole.offset, hole, value)
        fields = tuple(hole.offset for hole in holes if hole.kind == HOLE_TAKEN)
        found = self[key] = (bytes(code), fields)
        return found


def fill(code: bytearray, at: int, hole: Hole, value: int) -> None:
    """Put a value into a hole that lies at `at`."""
    _, kind, _, addend = hole
    if kind == HOLE_NEGATED:
        code[at] = addend - value & 255
    elif kind == HOLE_64:
        code[at : at + 8] = (value + addend & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")
    else:
        code[at : at + kind] = (value + addend & _MASK).to_bytes(4, "little")[:kind]


class Emitter:
    """The code of one function as far as it goes, and the fields in it that wait."""

    def __init__(self, library: TemplateLibrary) -> None:
        self.library = library
        self.code = bytearray()
        self.relocations: list[Relocation] = []
        self.sites: list[tuple[int, int]] = []
        self._pool: dict[bytes, list[tuple[int, int]]] = {}
        self._traps: dict[tuple[int, int], list[int]] = {}
        self._later: list[Callable[[], None]] = []
        self._plain = _Plain(library)
        self._small = _Small(library)
        self._branches = _Branches(library)
        self._codes = library.codes
        self._forms: dict[str, Form | None] = {}
        self.operations: dict[tuple[str, str, str], Operation | None] = {}

    def reset(self) -> None:
        """Begin a function."""
        self.code.clear()
        self.relocations = []
        self.sites = []
        self._pool.clear()
        self._traps.clear()
        self._later.clear()

    def find(self, key: str) -> Form | None:
        """The template with a key, if there is one."""
        try:
            return self._forms[key]
        except KeyError:
            number = self.library.numbers.get(key)
            found = self._forms[key] = None if number is None else Form(self.library, number)
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
        elif SMALL_MIN <= value <= SMALL_MAX:  # type: ignore[operator]
            self.code += self._small[(form.key | 1 << form.hole + 16 | registers) << 8 | value & 255]  # type: ignore[operator]
        else:
            code = self.code
            start = len(code)
            template, holes = self._codes[form.key | registers]
            code += template
            for hole in holes:
                if hole.kind == HOLE_32:
                    _UINT32(code, start + hole.offset, value + hole.addend & _MASK)  # type: ignore[operator]
                else:
                    fill(code, start + hole.offset, hole, value)  # type: ignore[arg-type]

    def branch(self, form: Form, registers: int, value: Values, position: int, taken: list[int]) -> None:
        """Append a template that branches; the fields of its distances are appended to `taken`."""
        if form.branches and SMALL_MIN <= value <= SMALL_MAX:  # type: ignore[operator]
            key = (form.key | 1 << form.hole + 16 | registers) << 8 | value & 255  # type: ignore[operator]
            code, fields = self._branches[key]
            start = len(self.code)
            self.code += code
            taken += [start + field for field in fields]
        else:
            self.special(form, registers, value, position, taken)

    def special(
        self, form: Form, registers: int, value: Values, position: int = 0, taken: list[int] | None = None
    ) -> None:
        """`emit` and `branch` for any form."""
        pooled = value if isinstance(value, bytes) else b""
        values = value if isinstance(value, dict) else {form.hole: value}
        small = 0
        for number in form.holes:
            if SMALL_MIN <= values[number] <= SMALL_MAX:  # type: ignore[operator]
                small |= 1 << number
        template, holes = self._codes[form.key | small << 16 | registers]
        code = self.code
        start = len(code)
        code += template
        for hole in holes:
            at = start + hole.offset
            kind = hole.kind
            if kind <= HOLE_NEGATED:
                fill(code, at, hole, values[hole.operand])  # type: ignore[arg-type]
            elif kind == HOLE_TRAP:
                self._traps.setdefault((_TRAP_NUMBERS[hole.operand], position), []).append(at)
            elif kind == HOLE_TAKEN:
                assert taken is not None
                taken.append(at)
            elif kind == HOLE_OPERAND:
                self._pool.setdefault(pooled, []).append((at, hole.addend))
            else:
                assert kind == HOLE_CONSTANT
                self._pool.setdefault(self.library.constants[hole.operand], []).append((at, hole.addend))

    # ------------------------------------------------------------------------------------------------ jumps, traps

    def jump_if(self, condition: int) -> int:
        """Append a conditional jump; where its distance is."""
        self.code += assembler.jump_if(condition)
        return len(self.code) - 4

    def jump(self) -> int:
        """Append a jump; where its distance is."""
        self.code += assembler.JUMP
        return len(self.code) - 4

    def land(self, fields: list[int]) -> None:
        """Make jumps lead here."""
        code = self.code
        here = len(code) - 4
        for field in fields:
            _INT32(code, field, here - field)

    def aim(self, field: int, target: int) -> None:
        """Make a jump lead to a place."""
        _INT32(self.code, field, target - field - 4)

    def trap_if(self, condition: int, kind: TrapKind, position: int) -> None:
        """Append a jump to a trap."""
        self._traps.setdefault((trap_number(kind), position), []).append(self.jump_if(condition))

    def trap_at(self, fields: list[int], kind: TrapKind, position: int) -> None:
        """Make jumps lead to a trap."""
        self._traps.setdefault((trap_number(kind), position), []).extend(fields)

    def trap(self, kind: TrapKind, position: int) -> None:
        """Append a trap."""
        self.code += assembler.set_eax(trap_number(kind))
        self.sites.append((len(self.code), position))
        self.code += assembler.CALL_TRAP

    def later(self, write: Callable[[], None]) -> None:
        """Have something written behind the body: what hardly ever runs."""
        self._later.append(write)

    def align(self, size: int) -> None:
        """Fill up with instructions that do nothing."""
        self.code += assembler.nops(-len(self.code) % size)

    def finish(self) -> bytes:
        """Write what comes behind the body: rare code, traps, constants. The whole code."""
        for write in self._later:
            write()
        for (number, position), fields in self._traps.items():
            self.land(fields)
            self.code += assembler.set_eax(number)
            self.sites.append((len(self.code), position))
            self.code += assembler.CALL_TRAP
        code = self.code
        for size in (16, 8, 4):
            for constant, places in self._pool.items():
                if len(constant) == size:
                    code += b"\xcc" * (-len(code) % size)
                    for at, addend in places:
                        _INT32(code, at, len(code) - at + addend)
                    code += constant
        return bytes(code)
