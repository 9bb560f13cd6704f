"""x86-64 instructions that are no templates: calls, frames, jumps, the sequences around tables.

`machine.instructions` says what each is for.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine.layout import Context, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 = range(16)

GENERAL_TEMPORARIES: Final = (RDI, RSI, R8, R9, R11)
GENERAL_SAVED: Final = (RBX, RBP, R10, R15)
VECTOR_TEMPORARIES: Final = (1, 2, 3, 4, 5)
VECTOR_SAVED: Final = (6, 7, 8, 9, 10, 11, 12)
GENERAL_RESULT: Final = RDI
VECTOR_RESULT: Final = 1
SPARE: Final = 2

CONTEXT: Final = R12
FRAME: Final = R13
RECORD: Final = RAX
SCRATCH: Final = RCX
INDEX: Final = RDX
KEPT: Final = R9
BULK_OPERANDS: Final = RAX
BULK_TARGET: Final = RDX
BULK_SOURCE: Final = RCX

LOOP_ALIGNMENT: Final = 64  # a line of the cache: with 32, loops around a `br_table` may take 2.5 times as long

INT32: Final = Struct("<i")
_INT32 = INT32.pack_into

RETURN: Final = b"\xc3"
JUMP: Final = b"\xe9\0\0\0\0"  # to a distance
CALL: Final = b"\xe8\0\0\0\0"
JUMP_SYMBOL: Final = JUMP
CALL_SYMBOL: Final = CALL
JUMP_FUNCTION: Final = b"\xff\x25\0\0\0\0"  # through a pointer at a distance
CALL_FUNCTION: Final = b"\xff\x15\0\0\0\0"
REFERENCE: Final = 4


def aim(code: bytearray, field: int, target: int) -> None:
    _INT32(code, field, target - field - 4)


def aim_data(code: bytearray, field: int, target: int, addend: int) -> None:
    _INT32(code, field, target - field + addend)


def relocate(code: bytearray, offset: int, start: int, target: int) -> None:
    _INT32(code, offset, target - (start + offset + 4))


# Conditions of conditional jumps.
BELOW, NOT_BELOW, EQUAL, NOT_EQUAL, NOT_ABOVE, ABOVE = 2, 3, 4, 5, 6, 7

NOPS: Final = (
    b"",
    b"\x90",
    b"\x66\x90",
    b"\x0f\x1f\x00",
    b"\x0f\x1f\x40\x00",
    b"\x0f\x1f\x44\x00\x00",
    b"\x66\x0f\x1f\x44\x00\x00",
    b"\x0f\x1f\x80\0\0\0\0",
    b"\x0f\x1f\x84\0\0\0\0\0",
    b"\x66\x0f\x1f\x84\0\0\0\0\0",
)


def nops(count: int) -> bytes:
    return NOPS[9] * (count // 9) + NOPS[count % 9]


def jump_if(condition: int) -> bytes:
    return bytes((0x0F, 0x80 | condition, 0, 0, 0, 0))


def _push(register: int) -> bytes:
    return (b"\x41" if register > 7 else b"") + bytes((0x50 | register & 7,))


def _pop(register: int) -> bytes:
    return (b"\x41" if register > 7 else b"") + bytes((0x58 | register & 7,))


def enter(saved: Sequence[int], *, handlers: bool) -> bytes:
    pushes = b"".join(map(_push, saved))
    return pushes + _push(R12) + _push(R13) if handlers else pushes


def leave(saved: Sequence[int], *, handlers: bool) -> bytes:
    pops = b"".join(map(_pop, reversed(saved)))
    return b"\x48\x83\xc4\x10" + pops if handlers else pops  # add rsp, 16


def frame_size(saved: int, *, handlers: bool) -> int:
    return 8 * (saved + (2 if handlers else 0))


def _memory(opcode: int, register: int, base: int, displacement: int, *, wide: bool = True) -> bytes:
    """An instruction with a register and a place in memory."""
    rex = (8 if wide else 0) | register >> 3 << 2 | base >> 3
    code = bytes((0x40 | rex, opcode)) if rex else bytes((opcode,))
    small = -128 <= displacement < 128
    code += bytes(((0x40 if small else 0x80) | (register & 7) << 3 | base & 7,))
    if base & 7 == RSP:
        code += b"\x24"
    return code + (bytes((displacement & 255,)) if small else INT32.pack(displacement))


def load(register: int, base: int, displacement: int) -> bytes:
    """mov register, [base + displacement]"""
    return _memory(0x8B, register, base, displacement)


def store(register: int, base: int, displacement: int) -> bytes:
    """mov [base + displacement], register"""
    return _memory(0x89, register, base, displacement)


def compare(register: int, base: int, displacement: int) -> bytes:
    """cmp register, [base + displacement]"""
    return _memory(0x3B, register, base, displacement)


def address(register: int, base: int, displacement: int) -> bytes:
    """lea register, [base + displacement]"""
    return _memory(0x8D, register, base, displacement)


def move(target: int, source: int) -> bytes:
    """mov target, source"""
    return bytes((0x48 | source >> 3 << 2 | target >> 3, 0x89, 0xC0 | (source & 7) << 3 | target & 7))


def add_frame(count: int) -> bytes:
    """add r13, count (r13 is the frame); nothing for 0."""
    if not count:
        return b""
    if -128 <= count < 128:
        return b"\x49\x83\xc5" + bytes((count & 255,))
    return b"\x49\x81\xc5" + INT32.pack(count)


def set_service(number: int) -> bytes:
    """mov eax, number"""
    return b"\xb8" + number.to_bytes(4, "little")


_CALL_TRAP: Final = b"\x41\xff\x54\x24" + bytes((Context.TRAP,))


def trap(number: int) -> bytes:
    return set_service(number) + _CALL_TRAP


COMPARE_STACK_LIMIT: Final = compare(RSP, R12, Context.STACK_LIMIT)
_COMPARE_VALUES_LIMIT: Final = compare(RAX, R12, Context.VALUES_LIMIT)
COMPARE_FRAME_END: Final = b"\x49\x8d\x85\0\0\0\0" + _COMPARE_VALUES_LIMIT  # lea rax, [r13 + size]


def set_frame_end(code: bytearray, end: int, size: int) -> None:
    _INT32(code, end - len(_COMPARE_VALUES_LIMIT) - 4, size)


CALL_RECORD: Final = b"\xff\x10"  # call [rax + Record.CODE]
JUMP_RECORD: Final = b"\xff\x20"
IS_OWN_RECORD: Final = _memory(0x39, R12, RAX, Record.CONTEXT)  # cmp [rax + Record.CONTEXT], r12


def load_element(register: int, index: int) -> bytes:
    """mov rax, [rax + index * 8]; mov register, rax"""
    code = bytes((0x48 | index >> 3 << 1, 0x8B, 0x04, 0xC0 | (index & 7) << 3))
    return code if register == RAX else code + move(register, RAX)


def store_element(register: int, index: int) -> bytes:
    """mov [rax + index * 8], register"""
    return bytes(
        (0x48 | register >> 3 << 2 | index >> 3 << 1, 0x89, 0x04 | (register & 7) << 3, 0xC0 | (index & 7) << 3)
    )


def jump_by_table(index: int) -> bytes:
    scaled = bytes((0x48 | index >> 3 << 1, 0x63, 0x0C, 0x80 | (index & 7) << 3))  # movsxd rcx, [rax + index * 4]
    tail = scaled + b"\x48\x01\xc8\xff\xe0"  # add rax, rcx; jmp rax
    return b"\x48\x8d\x05" + INT32.pack(len(tail)) + tail  # lea rax, [rip + table]


def compare_constant(register: int, value: int) -> bytes:
    """cmp register (32 bits), value"""
    prefix = b"\x41" if register > 7 else b""
    return prefix + bytes((0x81, 0xF8 | register & 7)) + INT32.pack(value if value < 1 << 31 else value - (1 << 32))


def shift_right(register: int, count: int) -> bytes:
    """shr register, count"""
    return bytes((0x48 | register >> 3, 0xC1, 0xE8 | register & 7, count))


def compare_word(base: int, value: int) -> bytes:
    """cmp qword [base], value; for a base other than rsp, rbp, r12, r13"""
    return bytes((0x48 | base >> 3, 0x81, 0x38 | base & 7)) + INT32.pack(value)


def pay(offset: int, cost: int) -> bytes:
    return _memory(0x81, 5, R12, offset) + INT32.pack(cost)  # sub qword [r12 + offset], cost


def refund(offset: int, cost: int) -> bytes:
    return set_index(cost) + _memory(0x01, RDX, R12, offset)  # add [r12 + offset], rdx


def set_index(value: int) -> bytes:
    return b"\xba" + INT32.pack(value)  # mov edx, value


def compare_zero(register: int) -> bytes:
    """test register, register"""
    return bytes((0x48 | register >> 3 << 2 | register >> 3, 0x85, 0xC0 | (register & 7) << 3 | register & 7))


_CLEAR_RAX: Final = b"\x31\xc0"
_ONE_BY_ONE: Final = 12


def clear_slots(offsets: Sequence[int]) -> bytes:
    if len(offsets) <= _ONE_BY_ONE:
        return _CLEAR_RAX + b"".join([store(RAX, R13, offset) for offset in offsets])
    first = offsets[0]
    count = (offsets[-1] - first) // 8 + 1
    # lea rdi, [r13 + first]; mov ecx, count; rep stosq
    return _CLEAR_RAX + address(RDI, R13, first) + b"\xb9" + count.to_bytes(4, "little") + b"\xf3\x48\xab"


def set_slot_32(offset: int, value: int) -> bytes:
    """mov dword [r13 + offset], value"""
    return _memory(0xC7, 0, R13, offset, wide=False) + INT32.pack(value)


def set_slot_64(offset: int, value: int) -> bytes:
    """mov qword [r13 + offset], value; by way of rax if it needs 64 bits"""
    if -(1 << 31) <= value < 1 << 31:
        return _memory(0xC7, 0, R13, offset) + INT32.pack(value)
    return b"\x48\xb8" + (value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little") + _memory(0x89, RAX, R13, offset)


def copy_slot(target: int, source: int, *, wide: bool) -> bytes:
    """mov rax, [r13 + source]; mov [r13 + target], rax"""
    return _memory(0x8B, RAX, R13, source, wide=wide) + _memory(0x89, RAX, R13, target, wide=wide)
