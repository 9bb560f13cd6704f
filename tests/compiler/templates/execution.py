"""Runs templates on the processor: many cases in one go, each with all registers and a small world of its own."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

from wasmine.compiler.templates.amd64.filling import (
    HOLE_8,
    HOLE_16,
    HOLE_32,
    HOLE_64,
    HOLE_NEGATED,
    SMALL_MAX,
    SMALL_MIN,
)
from wasmine.compiler.templates.expand import HOLE_CONSTANT, HOLE_OPERAND, HOLE_TAKEN, HOLE_TRAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.templates.library import TemplateLibrary

REGISTERS = Struct("<48Q")  # 16 general registers, 16 vector registers as two halves
WORLD = 1024
FRAME, CONTEXT, MEMORY, POINTED = 384, 512, 640, 896
"""Where a case's parts lie in its world; the registers are the first."""

EXIT = 4  # the exit is reported in the place of rsp
NEXT, TAKEN, TRAP = 0, 1, 2  # TRAP + n for the trap numbered n

_CODE_SIZE, _VARIABLES, _POOL = 16384, 8192, 12288
_IN, _OUT, _COUNT, _RAX, _EXIT = (_VARIABLES + 8 * n for n in range(5))


@dataclass
class Case:
    """One run: registers on entry, and the bytes of the world besides."""

    general: list[int]
    vector: list[int]
    world: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Outcome:
    """What a run left behind."""

    exit: int
    general: tuple[int, ...]
    vector: tuple[int, ...]
    world: bytes


class Processor:
    """Executable memory with a driver around the template in question."""

    def __init__(self) -> None:
        protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        self._code = mmap.mmap(-1, _CODE_SIZE, prot=protection)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        self._capacity = 4096
        self._worlds = mmap.mmap(-1, self._capacity * WORLD)
        self._results = mmap.mmap(-1, self._capacity * REGISTERS.size)
        self.world_address = ctypes.addressof(ctypes.c_char.from_buffer(self._worlds))
        self._results_address = ctypes.addressof(ctypes.c_char.from_buffer(self._results))

    def address(self, case: int, part: int) -> int:
        """Where a part of a case's world lies."""
        return self.world_address + case * WORLD + part

    def run(
        self,
        library: TemplateLibrary,
        key: str,
        registers: dict[str, int],
        values: dict[int, int],
        pool: dict[int, bytes],
        cases: Sequence[Case],
    ) -> list[Outcome]:
        """Runs a template on each case with the same registers, values and pooled operands."""
        assert len(cases) <= self._capacity
        self._assemble(library, key, registers, values, pool)
        for number, case in enumerate(cases):
            start = number * WORLD
            self._worlds[start + REGISTERS.size : start + WORLD] = bytes(WORLD - REGISTERS.size)
            halves = [half for vector in case.vector for half in (vector & 0xFFFFFFFFFFFFFFFF, vector >> 64)]
            REGISTERS.pack_into(self._worlds, start, *case.general, *halves)
            for part, data in case.world.items():
                self._worlds[start + part : start + part + len(data)] = data
        function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)(self._address)
        function(self.world_address, self._results_address, len(cases))
        outcomes = []
        for number in range(len(cases)):
            found = REGISTERS.unpack_from(self._results, number * REGISTERS.size)
            vector = tuple(low | high << 64 for low, high in zip(found[16::2], found[17::2], strict=True))
            world = self._worlds[number * WORLD : (number + 1) * WORLD]
            outcomes.append(Outcome(found[EXIT], found[:16], vector, world))
        return outcomes

    def _assemble(
        self,
        library: TemplateLibrary,
        key: str,
        registers: dict[str, int],
        values: dict[int, int],
        pool: dict[int, bytes],
    ) -> None:
        small = sum(1 << number for number, value in values.items() if SMALL_MIN <= value <= SMALL_MAX)
        template = library.code(library.numbers[key], small=small, **registers)
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
        for variable, step in (_IN, WORLD), (_OUT, REGISTERS.size), (_COUNT, -1):
            rest = (variable - len(code) - 11).to_bytes(4, "little", signed=True)
            code += b"\x48\x81\x05" + rest + step.to_bytes(4, "little", signed=True)
        code += b"\x0f\x85" + (loop - len(code) - 6).to_bytes(4, "little", signed=True)
        code += b"".join(_pop(register) for register in (15, 14, 13, 12, 5, 3)) + b"\xc3"
        assert len(code) < _VARIABLES
        place = _POOL
        pooled: dict[tuple[int, int], int] = {}
        for hole in template.holes:
            at = start + hole.offset
            if hole.kind in (HOLE_8, HOLE_16, HOLE_32, HOLE_64):
                number = values[hole.operand] + hole.addend
                code[at : at + hole.kind] = (number & (1 << 8 * hole.kind) - 1).to_bytes(hole.kind, "little")
            elif hole.kind == HOLE_NEGATED:
                code[at] = hole.addend - values[hole.operand] & 255
            elif hole.kind in (HOLE_TAKEN, HOLE_TRAP):
                target = exits[TAKEN if hole.kind == HOLE_TAKEN else TRAP + hole.operand]
                code[at : at + 4] = (target - at + hole.addend).to_bytes(4, "little", signed=True)
            else:
                which = (hole.kind, hole.operand)
                if which not in pooled:
                    data = pool[hole.operand] if hole.kind == HOLE_OPERAND else library.constants[hole.operand]
                    assert hole.kind == HOLE_OPERAND or hole.kind == HOLE_CONSTANT
                    self._code[place : place + len(data)] = data
                    pooled[which] = place
                    place += 16
                code[at : at + 4] = (pooled[which] - at + hole.addend).to_bytes(4, "little", signed=True)
        self._code[: len(code)] = bytes(code)


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
