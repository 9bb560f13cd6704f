"""Runs templates for ARM64, in another process: on an emulated processor, or on this one if it is an ARM64 processor.

The process is `executor.py`. It and we share a file with the code, the worlds and the results; it says where its part of
the memory lies, and runs what it is told to.
"""

from __future__ import annotations

import mmap
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from execution import CAPACITY, NEXT, TAKEN, TRAP, WORLD, Processor, Registers

from wasmine.compiler.templates.arm64.filling import GENERAL
from wasmine.compiler.templates.expand import HOLE_OPERAND, HOLE_TAKEN, HOLE_TRAP

if TYPE_CHECKING:
    from wasmine.compiler.templates.library import Code, TemplateLibrary

CODE_SIZE, _POOL = 4096, 3840
_COUNT = 32
_KEPT = 18, 29, 30, 31
_SAVED = (19, 20), (21, 22), (23, 24), (25, 26), (27, 28), (29, 30)
_STACK = 192
_CASES, _INPUT = 160, 168  # variables on the stack


def python() -> list[str]:
    """How Python is run on ARM64; nothing if it cannot be."""
    named = os.environ.get("WASMINE_ARM64_PYTHON")
    if named:
        return [named]
    return [sys.executable] if platform.machine() in ("aarch64", "arm64") else []


class Arm64Processor(Processor):
    """The other process and the memory that is shared with it."""

    registers = Registers(
        count=_COUNT,
        general=tuple(range(16)),
        vector=tuple(range(16)),
        places=GENERAL,
        scratch=(frozenset((8, 9, 10, 16, 17)), frozenset(range(16, 32))),
        context=20,
        frame=21,
        memory=22,
        exit=31,
        kept=frozenset(_KEPT),
    )

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp()
        path = Path(self._folder, "shared")
        sizes = CODE_SIZE, CAPACITY * WORLD, CAPACITY * self._layout.size
        path.write_bytes(bytes(sum(sizes)))
        with path.open("r+b") as file:
            shared = memoryview(mmap.mmap(file.fileno(), 0))
        self._code = shared[: sizes[0]]
        self._worlds = shared[sizes[0] : sizes[0] + sizes[1]]
        self._results = shared[sizes[0] + sizes[1] :]
        command = [*python(), str(Path(__file__).with_name("executor.py")), str(path), *map(str, sizes)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.world_address = self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process that runs the code ended with {self._process.wait()}")
        return int(line)

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()
        shutil.rmtree(self._folder)

    def _execute(self, code: bytes, count: int) -> None:
        self._code[: len(code)] = code
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        self._answer()

    def _assemble(
        self, library: TemplateLibrary, template: Code, values: dict[int, int], pool: dict[int, bytes]
    ) -> bytes:
        words = [0xD10003FF | _STACK << 10]  # sub sp, sp, #STACK
        words += [_pair(0xA9000000, *pair, 16 * n) for n, pair in enumerate(_SAVED)]
        words += [_pair(0x6D000000, 8 + 2 * n, 9 + 2 * n, 96 + 16 * n) for n in range(4)]
        words += [0xAA0003FD, 0xAA0103FE]  # mov x29, x0; mov x30, x1
        words += [_access(0xF9000000, 2, 31, _CASES)]
        loop = len(words)
        general = [number for number in range(_COUNT) if number not in _KEPT]
        words += [_access(0xF9000000, 29, 31, _INPUT)]
        words += [_vector(0x3DC00000, number, 29) for number in range(32)]
        words += [_access(0xF9400000, number, 29, 8 * number) for number in general]
        start = len(words)
        code = bytearray(template.code)
        words += [0] * (len(code) // 4)
        end = len(words)
        order = [NEXT, TAKEN, *sorted({TRAP + hole.operand for hole in template.holes if hole.kind == HOLE_TRAP})]
        exits = {target: end + 2 * number for number, target in enumerate(order)}
        save = end + 2 * len(order)
        for target in order:
            words += [0xD280001D | target << 5, 0x14000000 | save - len(words) - 1]  # mov x29, #target; b save
        words += [_access(0xF9000000, number, 30, 8 * number) for number in general]
        words += [_access(0xF9000000, 29, 30, 8 * self.registers.exit)]
        words += [_vector(0x3D800000, number, 30) for number in range(32)]
        words += [_access(0xF9400000, 29, 31, _INPUT), 0xD2800000 | WORLD << 5, 0x8B0003BD]  # add x29, x29, #WORLD
        words += [0x910003DE | self._layout.size << 10]  # add x30, x30, #size
        words += [_access(0xF9400000, 0, 31, _CASES), 0xF1000400, _access(0xF9000000, 0, 31, _CASES)]  # subs x0, x0, #1
        words += [0x54000001 | (loop - len(words) & 0x7FFFF) << 5]  # b.ne loop
        words += [_pair(0xA9400000, *pair, 16 * n) for n, pair in enumerate(_SAVED)]
        words += [_pair(0x6D400000, 8 + 2 * n, 9 + 2 * n, 96 + 16 * n) for n in range(4)]
        words += [0x910003FF | _STACK << 10, 0xD65F03C0]  # add sp, sp, #STACK; ret
        constants = bytearray()
        for hole in template.holes:
            if hole.kind < HOLE_TAKEN:
                library.fill(code, hole, values[hole.operand])
                continue
            if hole.kind == HOLE_TAKEN:
                place = 4 * exits[TAKEN]
            elif hole.kind == HOLE_TRAP:
                place = 4 * exits[TRAP + hole.operand]
            else:
                place = _POOL + len(constants)
                data = pool[hole.operand] if hole.kind == HOLE_OPERAND else library.constants[hole.operand]
                constants += data.ljust(16, b"\xee")
            assert hole.addend == 0
            word = int.from_bytes(code[hole.offset : hole.offset + 4], "little")
            word |= (place - 4 * start - hole.offset >> 2 & 0x7FFFF) << 5
            code[hole.offset : hole.offset + 4] = word.to_bytes(4, "little")
        driver = bytearray(b"".join(word.to_bytes(4, "little") for word in words))
        driver[4 * start : 4 * end] = code
        assert len(driver) <= _POOL
        return bytes(driver).ljust(_POOL, b"\0") + constants


def _access(opcode: int, register: int, base: int, offset: int) -> int:
    """str or ldr of 64 bits."""
    return opcode | offset // 8 << 10 | base << 5 | register


def _vector(opcode: int, register: int, base: int) -> int:
    """str or ldr of a vector register at its place."""
    return opcode | (8 * _COUNT + 16 * register) // 16 << 10 | base << 5 | register


def _pair(opcode: int, first: int, second: int, offset: int) -> int:
    """stp or ldp on the stack."""
    return opcode | offset // 8 << 15 | second << 10 | 31 << 5 | first
