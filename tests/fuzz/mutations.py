"""Damage to modules: to their bytes, and to their structure (any part of the abstract syntax, any instruction).

Everything is drawn from the `Random` given, so that a seed tells the whole story.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from wasmine.errors import DecodeError
from wasmine.format import types as t
from wasmine.format.cursor import Cursor
from wasmine.format.instructions import BY_OPCODE, INSTRUCTIONS, Instruction
from wasmine.format.leb128 import signed, unsigned
from wasmine.format.module import Code, ElementSegment, Expression, ModuleSyntax
from wasmine.format.reader import skip_instruction
from wasmine.format.writer import block_type, castop, catches, heap_type, memarg, value_types, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

# Bytes that mean something: ends of integers, opcodes, type codes, section ids.
_TELLING: Final = bytes.fromhex(
    "00 01 02 05 0a 0b 0c 0d 40 41 4e 4f 50 5e 5f 60 63 64 69 6c 6e 6f 70 7b 7f 80 d2 fb fc fd ff"
)


def damage_bytes(random: Random, binary: bytes) -> bytes:
    """A few bytes changed, inserted, removed or moved."""
    damaged = bytearray(binary)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(damaged) + 1)
        length = random.choice((1, 1, 2, 4, 16))
        match random.randrange(7):
            case 0:
                damaged[at : at + 1] = random.randbytes(1)
            case 1 | 2:
                damaged[at : at + 1] = random.choice(_TELLING).to_bytes()
            case 3:
                damaged[at:at] = random.choice((random.randbytes(1), random.choice(_TELLING).to_bytes()))
            case 4:
                del damaged[at : at + length]
            case 5:
                source = random.randrange(len(damaged) + 1)
                damaged[at : at + length] = damaged[source : source + length]
            case 6 if random.random() < 0.1:
                del damaged[at:]
    return bytes(damaged)


def damage_structure(random: Random, syntax: ModuleSyntax) -> bytes:
    """A module with one to three parts of it changed."""
    for _ in range(random.choice((1, 1, 2, 3))):
        syntax = _change(random, syntax)
    return write(_mend(syntax) if random.random() < 0.9 else syntax)


def _mend(syntax: ModuleSyntax) -> ModuleSyntax:
    """The module with sections that agree in length: otherwise nothing else in it would ever be looked at."""
    count = min(len(syntax.functions), len(syntax.code))
    return dataclasses.replace(
        syntax,
        functions=syntax.functions[:count],
        code=syntax.code[:count],
        data_count=None if syntax.data_count is None else len(syntax.data),
    )


def _change(random: Random, part: Any) -> Any:
    """The part with one random part of it changed."""
    if isinstance(part, Expression):
        return Expression(_change_code(random, part.code))
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        names = [field.name for field in dataclasses.fields(part) if getattr(part, field.name) not in ((), None)]
        if isinstance(part, ModuleSyntax) and part.code and random.random() < 0.7:
            names = ["code"]
        if isinstance(part, Code) and random.random() < 0.9:
            names = ["body"]
        if not names:
            return part
        name = random.choice(names)
        old = getattr(part, name)
        # Two fields hold reference types only; anywhere else a type may become any other.
        only_references = isinstance(part, t.TableType | ElementSegment) and isinstance(old, t.RefType)
        return dataclasses.replace(part, **{name: _ref_type(random) if only_references else _change(random, old)})
    if isinstance(part, tuple):
        return _change_sequence(random, part)
    return _change_leaf(random, part)


def _change_sequence(random: Random, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    if not parts:
        return parts
    changed = list(parts)
    at, other = random.randrange(len(parts)), random.randrange(len(parts))
    run_of_locals = isinstance(parts[0], int) and not isinstance(parts[-1], int)
    match 3 if run_of_locals else random.randrange(12):
        case 0:
            del changed[at]
        case 1:
            changed.insert(other, changed[at])
        case 2:
            changed[at], changed[other] = changed[other], changed[at]
        case _:
            changed[at] = _change(random, changed[at])
    return tuple(changed)


def _change_leaf(random: Random, leaf: Any) -> Any:
    match leaf:
        case bool():
            return not leaf
        case t.Kind():
            return random.choice(list(t.Kind))
        case int():
            return random_index(random) if random.random() < 0.5 else max(0, leaf + random.choice((-1, 1)))
        case t.NumberType() | t.RefType():
            return _value_type(random)
        case t.Packed():
            return random.choice((*t.Packed, _value_type(random)))
        case str():
            return random.choice((leaf * 2, leaf[1:], "a"))
        case bytes():
            return damage_bytes(random, leaf)
    return leaf


def random_index(random: Random) -> int:
    """A number that may well be an index, a count or a limit."""
    return random.choice((0, 0, 1, 1, 2, 3, 4, 5, 7, 10, 16, 63, 64, 127, 128, 255, 65536, 65537, 2**31, 2**32 - 1))


def _value_type(random: Random) -> t.ValueType:
    if random.random() < 0.6:
        return random.choice(list(t.NUMBER_TYPES.values()))
    return _ref_type(random)


def _ref_type(random: Random) -> t.RefType:
    return t.RefType(random.random() < 0.6, _heap_type(random))


def _heap_type(random: Random) -> t.HeapType:
    return random.choice(list(t.Heap)) if random.random() < 0.6 else random.randrange(8)


# Code.

_UNREACHABLE: Final = b"\x00"
_END: Final = b"\x0b"
_DROP: Final = b"\x1a"
# An operand of each signature letter; addresses are taken to be of 32 bits.
_CONSTANTS: Final = {
    "i": b"\x41\x00",
    "I": b"\x42\x00",
    "f": b"\x43" + bytes(4),
    "F": b"\x44" + bytes(8),
    "v": b"\xfd\x0c" + bytes(16),
    "a": b"\x41\x00",
}


def split(code: bytes) -> list[bytes]:
    """The instructions of a body, each in its bytes. What cannot be decoded stays in one piece."""
    cursor = Cursor(code)
    pieces = []
    while cursor.position < cursor.end:
        start = cursor.position
        try:
            skip_instruction(cursor)
        except DecodeError:
            cursor.position = cursor.end
        pieces.append(code[start : cursor.position])
    return pieces


def _change_code(random: Random, code: bytes) -> bytes:
    pieces = split(code)
    if not pieces:
        return code
    at, other = sorted((random.randrange(len(pieces)), random.randrange(len(pieces))))
    match random.randrange(11):
        case 0:
            del pieces[at]
        case 1:
            pieces.insert(other, pieces[at])
        case 2:
            pieces[at], pieces[other] = pieces[other], pieces[at]
        case 3:
            pieces[at] = random_instruction(random)
        case 4:
            pieces.insert(at, random_instruction(random))
        case 5:
            pieces[at] = _sibling(random, pieces[at])
        case 6:
            pieces[at] = damage_bytes(random, pieces[at])
        case 7 | 8:
            pieces.insert(at, _complete(random))
        case 9:
            pieces.insert(at, _in_dead_code(random))
        case 10:
            pieces[at:other] = _wrapped(random, pieces[at:other])
    return b"".join(pieces)


def _complete(random: Random) -> bytes:
    """An instruction with operands made for it, and its results dropped: fits anywhere, if the immediates do."""
    row = random.choice([instruction for instruction in INSTRUCTIONS if instruction.params is not None])
    operands = b"".join(_CONSTANTS[letter] for letter in row.params or "")
    return operands + _instruction(random, row) + _DROP * len(row.results or "")


def _in_dead_code(random: Random) -> bytes:
    """Some instructions where the operand stack gives whatever they ask for."""
    body = b"".join(random_instruction(random) for _ in range(random.choice((1, 1, 2, 3))))
    ending = random.choice((_UNREACHABLE, b"", _DROP))
    return b"\x02\x40" + _UNREACHABLE + body + ending + _END


def _wrapped(random: Random, pieces: list[bytes]) -> list[bytes]:
    """The instructions inside a block of any kind."""
    row = random.choice([row for row in INSTRUCTIONS if any(i.kind == "block" for i in row.immediates)])
    middle = random.choice((b"", b"\x05", b"\x07\x00", b"\x19"))
    ending = random.choice((_END, _END, _END, b"\x18\x00"))
    at = random.randrange(len(pieces) + 1)
    opening = _instruction(random, row)
    if random.random() < 0.5:
        opening = row.encoding + b"\x40" + (b"\x00" if row.name == "try_table" else b"")
    return [opening, *pieces[:at], middle, *pieces[at:], ending]


def _sibling(random: Random, piece: bytes) -> bytes:
    """The instruction with another opcode that takes the same immediates."""
    try:
        row = BY_OPCODE[skip_instruction(Cursor(piece))]
    except DecodeError:
        return piece
    kinds = [immediate.kind for immediate in row.immediates]
    siblings = [i for i in INSTRUCTIONS if [immediate.kind for immediate in i.immediates] == kinds]
    return random.choice(siblings).encoding + piece[len(row.encoding) :]


def random_instruction(random: Random) -> bytes:
    """Any instruction, with immediates that are likely to mean something."""
    return _instruction(random, random.choice(INSTRUCTIONS))


def _instruction(random: Random, row: Instruction) -> bytes:
    return row.encoding + b"".join(_immediate(random, i.kind, i.bound) for i in row.immediates)


def _immediate(random: Random, kind: str, bound: int) -> bytes:
    make = _IMMEDIATES.get(kind)
    if make is not None:
        return make(random, bound)
    return unsigned(random_index(random) if random.random() < 0.1 else random.randrange(5))


def _labels(random: Random, _: int) -> bytes:
    count = random.randrange(4)
    return unsigned(count) + b"".join(unsigned(random.randrange(4)) for _ in range(count + 1))


def _memarg(random: Random, bound: int) -> bytes:
    align = bound if random.random() < 0.7 else random.randrange(8)
    return memarg(align, random.choice((0, 0, 0, 1)), random_index(random))


def _catches(random: Random, _: int) -> bytes:
    kinds = [random.randrange(4) for _ in range(random.randrange(3))]
    return catches([(kind, random.randrange(3) if kind < 2 else None, random.randrange(3)) for kind in kinds])


_IMMEDIATES: Final[dict[str, Callable[[Random, int], bytes]]] = {
    "block": lambda random, _: block_type(random.choice((None, _value_type(random), random.randrange(8)))),
    "labels": _labels,
    "memarg": _memarg,
    "lane": lambda random, bound: unsigned(random.randrange(bound + 1)),
    "lanes": lambda random, _: bytes(random.randrange(33) for _ in range(16)),
    "i32": lambda random, _: signed(random.randrange(-(2**31), 2**31)),
    "i64": lambda random, _: signed(random.randrange(-(2**63), 2**63)),
    "f32": lambda random, _: random.randbytes(4),
    "f64": lambda random, _: random.randbytes(8),
    "v128": lambda random, _: random.randbytes(16),
    "heap": lambda random, _: heap_type(_heap_type(random)),
    "ref": lambda random, _: heap_type(_heap_type(random)),
    "refnull": lambda random, _: heap_type(_heap_type(random)),
    "castop": lambda random, _: castop(random.randrange(3), _ref_type(random), _ref_type(random)),
    "valtypes": lambda random, _: value_types([_value_type(random) for _ in range(random.choice((1, 1, 1, 0, 2)))]),
    "catches": _catches,
    "zero": lambda *_: b"\0",
}
