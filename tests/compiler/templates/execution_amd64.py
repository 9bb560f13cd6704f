"""Runs templates for x86-64 on this processor."""

from __future__ import annotations

import ctypes
import mmap
from typing import TYPE_CHECKING

from execution import CAPACITY, NEXT, TAKEN, TRAP, WORLD, Processor, Registers

from wasmine.compiler.templates.expand import HOLE_CONSTANT, HOLE_OPERAND, HOLE_TAKEN, HOLE_TRAP

if TYPE_CHECKING:
    from wasmine.compiler.templates.library import Code, TemplateLibrary

EXIT = 4  # rsp

_CODE_SIZE, _VARIABLES, _POOL = 16384, 8192, 12288
_IN, _OUT, _COUNT, _RAX, _EXIT = (_VARIABLES + 8 * n for n in range(5))


class Amd64Processor(Processor):
    """Executable memory with a driver around the template in question."""

    registers = Registers(
        count=16,
        general=(7, 6, 8, 9, 11, 3, 5, 10, 15),
        vector=tuple(range(1, 13)),
        places=tuple(range(16)),
        scratch=(frozenset((0, 1, 2)), frozenset((0, 13, 14, 15))),
        context=12,
        frame=13,
        memory=14,
        exit=EXIT,
        kept=frozenset((EXIT,)),
    )

    def __init__(self) -> None:
        protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        self._code = mmap.mmap(-1, _CODE_SIZE, prot=protection)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        worlds, results = mmap.mmap(-1, CAPACITY * WORLD), mmap.mmap(-1, CAPACITY * self._layout.size)
        self.world_address = ctypes.addressof(ctypes.c_char.from_buffer(worlds))
        self._results_address = ctypes.addressof(ctypes.c_char.from_buffer(results))
        self._worlds, self._results = memoryview(worlds), memoryview(results)

    def _execute(self, code: bytes, count: int) -> None:
        self._code[: len(code)] = code
        function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)(self._address)
        function(self.world_address, self._results_address, count)

    def _assemble(
        self, library: TemplateLibrary, template: Code, values: dict[int, int], pool: dict[int, bytes]
    ) -> bytes:
        code = bytearray(b"".join(_push(register) for register in (3, 5, 12, 13, 14, 15)))
        for register, variable in (7, _IN), (6, _OUT), (2, _COUNT):
            code += _variable(0x89, register, variable, len(code))
        loop = len(code)
        code += _variable(0x8B, 0, _IN, len(code))
        for number in range(16):
            code += _vector(0x10, number)
        for number in range(1, 16):
            if number != EXIT:
                code += _general(0x8B, number)
        code += _general(0x8B, 0)
        start = len(code)
        code += template.code
        code += _set_exit(NEXT, len(code))
        jump = len(code)
        code += b"\xe9\0\0\0\0"
        exits = {}
        for target in {TAKEN} | {TRAP + hole.operand for hole in template.holes if hole.kind == HOLE_TRAP}:
            exits[target] = len(code)
            code += _set_exit(target, len(code))
            code += b"\xe9" + (jump - len(code) - 5).to_bytes(4, "little", signed=True)
        code[jump + 1 : jump + 5] = (len(code) - jump - 5).to_bytes(4, "little", signed=True)
        code += _variable(0x89, 0, _RAX, len(code))
        code += _variable(0x8B, 0, _OUT, len(code))
        for number in range(16):
            code += _vector(0x11, number)
        for number in range(1, 16):
            if number != EXIT:
                code += _general(0x89, number)
        for variable, slot in (_RAX, 0), (_EXIT, EXIT):
            code += _variable(0x8B, 1, variable, len(code))
            code += bytes((0x48, 0x89, 0x88)) + (8 * slot).to_bytes(4, "little")
        for variable, step in (_IN, WORLD), (_OUT, self._layout.size), (_COUNT, -1):
            rest = (variable - len(code) - 11).to_bytes(4, "little", signed=True)
            code += b"\x48\x81\x05" + rest + step.to_bytes(4, "little", signed=True)
        code += b"\x0f\x85" + (loop - len(code) - 6).to_bytes(4, "little", signed=True)
        code += b"".join(_pop(register) for register in (15, 14, 13, 12, 5, 3)) + b"\xc3"
        assert len(code) < _VARIABLES
        place = _POOL
        pooled: dict[tuple[int, int], int] = {}
        constants = bytearray(256)
        for hole in template.holes:
            at = start + hole.offset
            if hole.kind < HOLE_TAKEN:
                library.fill(code, hole._replace(offset=at), values[hole.operand])
            elif hole.kind in (HOLE_TAKEN, HOLE_TRAP):
                target = exits[TAKEN if hole.kind == HOLE_TAKEN else TRAP + hole.operand]
                code[at : at + 4] = (target - at + hole.addend).to_bytes(4, "little", signed=True)
            else:
                which = (hole.kind, hole.operand)
                if which not in pooled:
                    data = pool[hole.operand] if hole.kind == HOLE_OPERAND else library.constants[hole.operand]
                    assert hole.kind == HOLE_OPERAND or hole.kind == HOLE_CONSTANT
                    constants[place - _POOL : place - _POOL + len(data)] = data
                    pooled[which] = place
                    place += 16
                code[at : at + 4] = (pooled[which] - at + hole.addend).to_bytes(4, "little", signed=True)
        return bytes(code).ljust(_POOL, b"\0") + constants


def _push(register: int) -> bytes:
    return (b"\x41" if register > 7 else b"") + bytes((0x50 | register & 7,))


def _pop(register: int) -> bytes:
    return (b"\x41" if register > 7 else b"") + bytes((0x58 | register & 7,))


def _variable(opcode: int, register: int, variable: int, at: int) -> bytes:
    """mov between a register and a variable of the driver."""
    rest = (variable - at - 7).to_bytes(4, "little", signed=True)
    return bytes((0x48 | register >> 3 << 2, opcode, 5 | (register & 7) << 3)) + rest


def _general(opcode: int, register: int) -> bytes:
    """mov between a register and its place behind rax."""
    place = (8 * register).to_bytes(4, "little")
    return bytes((0x48 | register >> 3 << 2, opcode, 0x80 | (register & 7) << 3)) + place


def _vector(opcode: int, register: int) -> bytes:
    """movups between a register and its place behind rax."""
    place = (128 + 16 * register).to_bytes(4, "little")
    return bytes((0x40 | register >> 3 << 2, 0x0F, opcode, 0x80 | (register & 7) << 3)) + place


def _set_exit(value: int, at: int) -> bytes:
    return b"\xc7\x05" + (_EXIT - at - 10).to_bytes(4, "little", signed=True) + value.to_bytes(4, "little")
