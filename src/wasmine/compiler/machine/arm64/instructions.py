"""A64 instructions that are no templates: calls, frames, jumps, the sequences around tables.

`machine.instructions` says what each is for. Registers 0 to 15 are the operand registers (`registers.GENERAL`), others have
their own number and 16. x16 and x17 are changed by any sequence.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine.arm64 import registers, words
from wasmine.compiler.machine.arm64.assembly import reach
from wasmine.compiler.machine.arm64.words import LINK, SP, ZERO
from wasmine.compiler.machine.instructions import TooFar
from wasmine.compiler.machine.layout import Context, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

GENERAL_TEMPORARIES: Final = tuple(range(9))
GENERAL_SAVED: Final = tuple(range(9, 16))
VECTOR_TEMPORARIES: Final = tuple(range(8))
VECTOR_SAVED: Final = tuple(registers.SAVED_VECTORS)
GENERAL_RESULT: Final = 0
VECTOR_RESULT: Final = 0
SPARE: Final = 4

_GENERAL: Final = (*registers.GENERAL, *range(32))
_OWN: Final = len(registers.GENERAL)

CONTEXT: Final = _OWN + registers.CONTEXT
FRAME: Final = _OWN + registers.FRAME
RECORD: Final = _OWN + registers.RECORD
SCRATCH: Final = _OWN + registers.SCRATCH
INDEX: Final = _OWN + registers.INDEX
KEPT: Final = RECORD
BULK_OPERANDS: Final = RECORD
BULK_TARGET: Final = SCRATCH
BULK_SOURCE: Final = INDEX

BELOW: Final = words.LO
NOT_BELOW: Final = words.HS
EQUAL: Final = words.EQ
NOT_EQUAL: Final = words.NE
NOT_ABOVE: Final = words.LS
ABOVE: Final = words.HI

LOOP_ALIGNMENT: Final = 32

_UINT32 = Struct("<I")
_pack, _pack_into, _unpack_from = _UINT32.pack, _UINT32.pack_into, _UINT32.unpack_from


def _code(*instructions: int) -> bytes:
    return b"".join(map(_pack, instructions))


# ---------------------------------------------------------------------------------------------------- jumps, calls

RETURN: Final = _code(words.RET)
JUMP: Final = _code(words.b())
CALL: Final = _code(words.bl())
# By way of x16, and so anywhere within 4 GiB.
JUMP_SYMBOL: Final = _code(words.adrp(16), words.add_imm(16, 16, 0), words.br(16))
CALL_SYMBOL: Final = _code(words.adrp(16), words.add_imm(16, 16, 0), words.blr(16))
JUMP_FUNCTION: Final = _code(words.adrp(16), words.ldr(16, 16), words.br(16))
CALL_FUNCTION: Final = _code(words.adrp(16), words.ldr(16, 16), words.blr(16))
REFERENCE: Final = 12

_NOP: Final = _code(words.NOP)


def jump_if(condition: int) -> bytes:
    return _pack(words.b_if(condition))


def aim(code: bytearray, field: int, target: int) -> None:
    try:
        _pack_into(code, field, reach(_unpack_from(code, field)[0], target - field))
    except ValueError:
        raise TooFar from None


def aim_data(code: bytearray, field: int, target: int, addend: int) -> None:
    aim(code, field, target + addend)


def relocate(code: bytearray, offset: int, start: int, target: int) -> None:
    pages, low = _unpack_from(code, offset)[0], _unpack_from(code, offset + 4)[0]
    distance = (target >> 12) - (start + offset >> 12)
    _pack_into(code, offset, words.adrp(pages & 31, distance))
    part = target & 4095
    # The load's offset counts in words of 8 bytes.
    _pack_into(code, offset + 4, low | (part if low & 1 << 31 and not low & 1 << 29 else part >> 3) << 10)


def jump_by_table(index: int) -> bytes:
    record, scratch = registers.RECORD, registers.SCRATCH
    return _code(
        words.adr(record, 16),
        words.ldrsw_element(scratch, record, _GENERAL[index]),
        words.add(record, record, scratch),
        words.br(record),
    )


def nops(count: int) -> bytes:
    return _NOP * (count // 4)


def trap(number: int) -> bytes:
    return set_service(number) + _CALL_TRAP


_CALL_TRAP: Final = _code(words.ldr(16, registers.CONTEXT, Context.TRAP), words.blr(16))


def set_index(value: int) -> bytes:
    return _code(*words.constant(registers.INDEX, value))


def set_service(number: int) -> bytes:
    return _code(*words.constant(registers.RECORD, number))


# ---------------------------------------------------------------------------------------------------- frames

# The return address is saved first, on top of the frame, with the first of the other registers if their number is odd.


def _pairs(saved: Sequence[int], *, handlers: bool) -> list[tuple[int, int]]:
    """What the frame of a function holds, from the top, the lower of two first."""
    rest = [_GENERAL[register] for register in saved]
    pairs = [(rest.pop() if len(rest) & 1 else ZERO, LINK)]
    pairs += zip(rest[::2], rest[1::2], strict=True)
    if handlers:
        pairs.append((registers.FRAME, registers.CONTEXT))
    return pairs


def enter(saved: Sequence[int], *, handlers: bool) -> bytes:
    return _code(*(words.stp_pre(low, high, SP, -16) for low, high in _pairs(saved, handlers=handlers)))


def leave(saved: Sequence[int], *, handlers: bool) -> bytes:
    return _code(*(words.ldp_post(low, high, SP, 16) for low, high in reversed(_pairs(saved, handlers=handlers))))


def frame_size(saved: int, *, handlers: bool) -> int:
    return 16 * (saved // 2 + 1 + handlers) - 8


COMPARE_STACK_LIMIT: Final = _code(words.ldr(16, registers.CONTEXT, Context.STACK_LIMIT), words.cmp_sp(16))
COMPARE_FRAME_END: Final = _code(
    words.add_imm(16, registers.FRAME, 0, shifted=True),
    words.add_imm(16, 16, 0),
    words.ldr(17, registers.CONTEXT, Context.VALUES_LIMIT),
    words.cmp(16, 17),
)


def set_frame_end(code: bytearray, end: int, size: int) -> None:
    at = end - len(COMPARE_FRAME_END)
    if size < 1 << 24:
        _pack_into(code, at, words.add_imm(16, registers.FRAME, size >> 12, shifted=True))
        _pack_into(code, at + 4, words.add_imm(16, 16, size & 4095))
    else:  # more than any value stack has
        _pack_into(code, at, words.movn(16, 0))


def _add(d: int, n: int, value: int) -> list[int]:
    """The sum of a register and a number; nothing if there is nothing to do."""
    size = abs(value)
    if size >= 1 << 24:
        return [*words.constant(16, value), words.add(d, n, 16)]
    operation = words.add_imm if value >= 0 else words.sub_imm
    found = []
    if size >= 4096:
        found.append(operation(d, n, size >> 12, shifted=True))
        n = d
    if size & 4095:
        found.append(operation(d, n, size & 4095))
    return found or ([] if d == n else [words.move(d, n)])


def add_frame(count: int) -> bytes:
    return _code(*_add(registers.FRAME, registers.FRAME, count))


# ---------------------------------------------------------------------------------------------------- slots


def _load(t: int, n: int, offset: int, *, wide: bool = True) -> list[int]:
    """Load 8 bytes, or 4; by way of x17 if they are far away."""
    if offset < (4096 << (3 if wide else 2)):
        return [(words.ldr if wide else words.ldr_w)(t, n, offset)]
    return [*words.constant(17, offset), (words.ldr_at if wide else words.ldr_w_at)(t, n, 17)]


def _store(t: int, n: int, offset: int, *, wide: bool = True) -> list[int]:
    if offset < (4096 << (3 if wide else 2)):
        return [(words.str_ if wide else words.str_w)(t, n, offset)]
    return [*words.constant(17, offset), (words.str_at if wide else words.str_w_at)(t, n, 17)]


def copy_slot(target: int, source: int, *, wide: bool) -> bytes:
    frame = registers.FRAME
    return _code(*_load(16, frame, source, wide=wide), *_store(16, frame, target, wide=wide))


def set_slot_32(offset: int, value: int) -> bytes:
    return _set_slot(offset, value & 0xFFFFFFFF, wide=False)


def set_slot_64(offset: int, value: int) -> bytes:
    return _set_slot(offset, value, wide=True)


def _set_slot(offset: int, value: int, *, wide: bool) -> bytes:
    if not value:
        return _code(*_store(ZERO, registers.FRAME, offset, wide=wide))
    return _code(*words.constant(16, value), *_store(16, registers.FRAME, offset, wide=wide))


_ONE_BY_ONE: Final = 16


def clear_slots(offsets: Sequence[int]) -> bytes:
    if len(offsets) <= _ONE_BY_ONE:
        return b"".join([set_slot_64(offset, 0) for offset in offsets])
    first = offsets[0]
    count = (offsets[-1] - first) // 8 + 1
    return _code(
        *_add(16, registers.FRAME, first),
        *words.constant(17, count // 2),
        words.stp_post(ZERO, ZERO, 16, 16),
        words.subs_imm(17, 17, 1),
        words.b_if(words.NE, -8),
        *([words.str_(ZERO, 16)] if count & 1 else []),
    )


# ---------------------------------------------------------------------------------------------------- fuel


def _number(d: int, value: int) -> list[int]:
    """A register with a number of 32 bits, always in two instructions."""
    return [words.movz(d, value & 0xFFFF), words.movk(d, value >> 16, 16)]


def pay(offset: int, cost: int) -> bytes:
    context = registers.CONTEXT
    return _code(*_load(16, context, offset), *_number(17, cost), words.subs(16, 16, 17), *_store(16, context, offset))


def refund(offset: int, cost: int) -> bytes:
    context, told = registers.CONTEXT, registers.INDEX
    return set_index(cost) + _code(*_load(16, context, offset), words.add(16, 16, told), *_store(16, context, offset))


# ---------------------------------------------------------------------------------------------------- the rest


def load(register: int, base: int, offset: int) -> bytes:
    return _code(*_load(_GENERAL[register], _GENERAL[base], offset))


def store(register: int, base: int, offset: int) -> bytes:
    return _code(*_store(_GENERAL[register], _GENERAL[base], offset))


def address(register: int, base: int, offset: int) -> bytes:
    return _code(*_add(_GENERAL[register], _GENERAL[base], offset))


def move(target: int, source: int) -> bytes:
    return b"" if target == source else _pack(words.move(_GENERAL[target], _GENERAL[source]))


def shift_right(register: int, count: int) -> bytes:
    return _pack(words.lsr_imm(_GENERAL[register], _GENERAL[register], count))


def compare(register: int, base: int, offset: int) -> bytes:
    return _code(*_load(16, _GENERAL[base], offset), words.cmp(_GENERAL[register], 16))


def compare_zero(register: int) -> bytes:
    return _pack(words.cmp_imm(_GENERAL[register], 0))


def compare_constant(register: int, value: int) -> bytes:
    if value < 4096:
        return _pack(words.cmp_imm_w(_GENERAL[register], value))
    return _code(*words.constant(16, value), words.cmp_w(_GENERAL[register], 16))


def compare_word(base: int, value: int) -> bytes:
    return _code(words.ldr(16, _GENERAL[base]), words.cmp_imm(16, value))


def load_element(register: int, index: int) -> bytes:
    return _pack(words.ldr_element(_GENERAL[register], registers.RECORD, _GENERAL[index]))


def store_element(register: int, index: int) -> bytes:
    return _pack(words.str_element(_GENERAL[register], registers.RECORD, _GENERAL[index]))


IS_OWN_RECORD: Final = _code(
    words.ldr(16, registers.RECORD, Record.CONTEXT),
    words.cmp(16, registers.CONTEXT),
)
CALL_RECORD: Final = _code(words.ldr(16, registers.RECORD, Record.CODE), words.blr(16))
JUMP_RECORD: Final = _code(words.ldr(16, registers.RECORD, Record.CODE), words.br(16))
