"""Encodes x86-64 instructions whose registers are given. Build time only: see `prepare` for how it is used.

An instruction is a tuple of numbers, some of them fields left open: registers that are operands, numbers that are holes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from wasmine.compiler.templates.amd64.filling import HOLE_NEGATED
from wasmine.compiler.templates.architecture import TAKEN, TRAP
from wasmine.compiler.templates.expand import HOLE_CONSTANT, HOLE_OPERAND, HOLE_TAKEN, HOLE_TRAP, Hole

if TYPE_CHECKING:
    from collections.abc import Sequence

# Flags in `Instruction.prefixes`.
PREFIX_66: Final = 1
PREFIX_F2: Final = 2
PREFIX_F3: Final = 4
LOCK: Final = 8
VEX: Final = 16
W: Final = 32
BYTE: Final = 64  # the register in ModRM.rm is one of a byte: registers 4 to 7 then need a REX prefix
BYTE_REG: Final = 128  # the same of ModRM.reg

# `Instruction.mode`: what the operand bytes are.
NO_OPERAND: Final = 0
DIRECT: Final = 1  # ModRM with a register
MEMORY: Final = 2  # ModRM with base, or base and index
INDEXED: Final = 3  # ModRM with an index and no base
RELATIVE: Final = 4  # relative to the next instruction: a constant of the pool
OPCODE_REGISTER: Final = 5  # no ModRM, register in the opcode
JUMP: Final = 6  # the opcode is the condition, 0x10 for none

NONE: Final = 255
"""No register, no hole, no target (see `architecture` for targets)."""

OPERAND: Final = 16
"""Register fields below this are registers; field 16 + n is operand n."""

# More numbers for `Instruction.displacement_hole` and `immediate_hole`.
NEGATED: Final = 8  # 8 + n: an immediate byte that holds minus the value
POOL_OPERAND: Final = 16  # 16 + n: the pooled constant that is operand n
POOL_CONSTANT: Final = 32  # a constant of the library, its number is the displacement


class Instruction(NamedTuple):
    """One x86-64 instruction with open fields. A hole's static value is its addend.

    `base` is the register of ModRM.rm, the base of an address, or the register in the opcode; `reg` may be an opcode's
    digit. `index_register` is multiplied by 2 to the power of `scale`.
    """

    prefixes: int
    map: int
    opcode: int
    mode: int
    reg: int
    base: int
    index_register: int
    scale: int
    vector: int
    fourth: int
    displacement: int
    displacement_hole: int
    immediate: int
    immediate_size: int
    immediate_hole: int
    target: int


def assemble(
    instructions: Sequence[Instruction], registers: Sequence[int], small: int, *, wide: bool = False, padded: int = 0
) -> Assembled:
    """The code of a template with its operands in `registers` (operand 0 first).

    Bit n of `small` says that value n lies between SMALL_MIN and SMALL_MAX, so that one byte does. With `wide`, every
    instruction with an operand has its longest prefix, and bit n of `padded` says that an address has a displacement, be
    it 0, where operand n is the base: then the layout does not depend on the registers.
    """
    pieces: list[bytes] = []
    holes: list[Hole] = []
    prefixes: list[int] = []
    starts: list[int] = []
    jumps: list[tuple[int, int]] = []
    at = 0
    for instruction in instructions:
        starts.append(at)
        if instruction[3] == JUMP:
            target = instruction[15]
            if target < TRAP:
                # Short, to be filled in below; templates are far smaller than a short jump reaches.
                piece = bytes((0xEB if instruction[2] == 0x10 else 0x70 | instruction[2], 0))
                jumps.append((len(pieces), target))
            else:
                piece = b"\xe9\0\0\0\0" if instruction[2] == 0x10 else bytes((0x0F, 0x80 | instruction[2], 0, 0, 0, 0))
                taken = target == TAKEN
                kind, operand = (HOLE_TAKEN, 0) if taken else (HOLE_TRAP, target - TRAP)
                holes.append(Hole(at + len(piece) - 4, kind, operand, -4))
        else:
            piece, found, prefix = encode(instruction, registers, small, wide=wide, padded=padded)
            for offset, kind, operand, addend in found:
                holes.append(Hole(at + offset, kind, operand, addend))
            if prefix >= 0:
                prefixes.append(at + prefix)
        pieces.append(piece)
        at += len(piece)
    starts.append(at)
    for number, target in jumps:
        distance = starts[target] - starts[number + 1]
        if not -128 <= distance < 128:
            raise ValueError("a template is too long for its own jumps")
        pieces[number] = bytes((pieces[number][0], distance & 255))
    return Assembled(b"".join(pieces), tuple(holes), tuple(prefixes), bool(jumps))


def encode(
    instruction: Instruction, registers: Sequence[int], small: int, *, wide: bool = False, padded: int = 0
) -> tuple[bytes, list[tuple[int, int, int, int]], int]:
    """The bytes of an instruction other than a jump, its holes, and where its prefix is if that may prove needless."""
    (
        prefixes, map, opcode, mode, reg, base, index, scale, vector, fourth,
        displacement, displacement_hole, immediate, immediate_size, immediate_hole, _,
    ) = instruction  # fmt: skip
    has_operands = any(OPERAND <= field < NONE for field in (reg, base, index, vector, fourth))
    wide = wide and has_operands
    displaced = OPERAND <= base < NONE and padded >> base - OPERAND & 1
    byte = prefixes & (BYTE if mode == DIRECT and OPERAND <= base < NONE else 0)
    byte |= prefixes & (BYTE_REG if OPERAND <= reg < NONE else 0)
    if reg >= OPERAND:
        reg = registers[reg - OPERAND] if reg != NONE else 0
    if base >= OPERAND:
        base = registers[base - OPERAND] if base != NONE else 0
    if index >= OPERAND:
        index = registers[index - OPERAND] if index != NONE else NONE
    if vector >= OPERAND:
        vector = registers[vector - OPERAND] if vector != NONE else 0
    holes: list[tuple[int, int, int, int]] = []
    r, b = reg >> 3, base >> 3
    x = index >> 3 if index != NONE else 0

    # The operand bytes, and where the displacement lies in them.
    displacement_size = 0
    if mode == DIRECT:
        operand = bytes((0xC0 | (reg & 7) << 3 | base & 7,))
    elif mode == MEMORY:
        if displacement_hole != NONE:
            displacement_size = 1 if small >> displacement_hole & 1 else 4
        elif displacement or base & 7 == 5 or displaced:
            displacement_size = 1 if -128 <= displacement < 128 else 4
        mod = (0, 0x40, 0, 0, 0x80)[displacement_size] | (reg & 7) << 3
        if index != NONE:
            operand = bytes((mod | 4, scale << 6 | (index & 7) << 3 | base & 7))
        elif base & 7 == 4:
            operand = bytes((mod | 4, 0x24))
        else:
            operand = bytes((mod | base & 7,))
    elif mode == INDEXED:
        displacement_size = 4
        operand = bytes(((reg & 7) << 3 | 4, scale << 6 | (index & 7) << 3 | 5))
    elif mode == RELATIVE:
        displacement_size = 4
        operand = bytes(((reg & 7) << 3 | 5,))
    else:
        operand = b""
        if mode == OPCODE_REGISTER:
            opcode |= base & 7

    if fourth != NONE:
        immediate_size = 1
        immediate = (registers[fourth - OPERAND] if fourth >= OPERAND else fourth) << 4
    elif immediate_hole != NONE and immediate_hole < NEGATED and immediate_size == 4 and small >> immediate_hole & 1:
        if opcode == 0x81:
            opcode, immediate_size = 0x83, 1
        elif opcode == 0x69:
            opcode, immediate_size = 0x6B, 1

    prefix = -1
    if prefixes & VEX:
        pp = 1 if prefixes & PREFIX_66 else 2 if prefixes & PREFIX_F3 else 3 if prefixes & PREFIX_F2 else 0
        may_shrink = map == 1 and not prefixes & W
        prefix = 0 if wide and may_shrink else -1
        if may_shrink and not (x | b) and not wide:
            head = bytes((0xC5, (1 - r) << 7 | (15 - vector) << 3 | pp, opcode))
        else:
            w = 0x80 if prefixes & W else 0
            head = bytes((0xC4, (1 - r) << 7 | (1 - x) << 6 | (1 - b) << 5 | map, w | (15 - vector) << 3 | pp, opcode))
    else:
        head = _LEGACY[prefixes & 15]
        rex = (8 if prefixes & W else 0) | r << 2 | x << 1 | b
        needed = (prefixes & BYTE_REG and reg >= 4) or (prefixes & BYTE and base >= 4 and mode == DIRECT)
        if wide and not prefixes & W and not byte:
            prefix = len(head)
        if rex or needed or wide:
            head += bytes((0x40 | rex,))
        head += _ESCAPES[map] + bytes((opcode,))

    code = head + operand
    if displacement_size:
        offset = len(code)
        if displacement_hole == NONE:
            code += (displacement & 0xFFFFFFFF).to_bytes(4, "little")[:displacement_size]
        else:
            trailing = -4 - immediate_size
            if displacement_hole == POOL_CONSTANT:
                holes.append((offset, HOLE_CONSTANT, displacement, trailing))
            elif displacement_hole >= POOL_OPERAND:
                holes.append((offset, HOLE_OPERAND, displacement_hole - POOL_OPERAND, trailing + displacement))
            else:
                holes.append((offset, displacement_size, displacement_hole, displacement))
            code += bytes(displacement_size)
    if immediate_size:
        if immediate_hole == NONE:
            code += (immediate & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")[:immediate_size]
        else:
            if immediate_hole >= NEGATED:
                holes.append((len(code), HOLE_NEGATED, immediate_hole - NEGATED, immediate))
            else:
                holes.append((len(code), immediate_size, immediate_hole, immediate))
            code += bytes(immediate_size)
    return code, holes, prefix


class Assembled(NamedTuple):
    """Code and its holes; where `wide` asked for prefixes that may not be needed; whether it has jumps inside."""

    code: bytes
    holes: tuple[Hole, ...]
    prefixes: tuple[int, ...]
    jumps: bool


_ESCAPES: Final = (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")
_LEGACY: Final = tuple(
    (b"\xf0" if flags & LOCK else b"")
    + (b"\x66" if flags & PREFIX_66 else b"")
    + (b"\xf2" if flags & PREFIX_F2 else b"")
    + (b"\xf3" if flags & PREFIX_F3 else b"")
    for flags in range(16)
)
