"""Fills in templates: instructions with open fields, and their encoding once registers are chosen.

This is on the compiler's path whenever a template meets a new choice of registers, so it knows no more than it must:
an instruction is a plain tuple of numbers (`Instruction` names them for the build side).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

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
"""No register, no hole, no target."""

OPERAND: Final = 16
"""Register fields below this are registers; field 16 + n is operand n."""

# Holes of values by number: 0 to 3 are the operands' own (a frame offset, an immediate, an offset in the context).
OFFSET: Final = 4  # the static offset of a memory access
MEMORY_BASE: Final = 5  # where the context keeps a memory's address
MEMORY_LENGTH: Final = 6  # where the context keeps a memory's length
VALUE_HOLES: Final = 7

# More numbers for `Instruction.displacement_hole` and `immediate_hole`.
NEGATED: Final = 8  # 8 + n: an immediate byte that holds minus the value
POOL_OPERAND: Final = 16  # 16 + n: the pooled constant that is operand n
POOL_CONSTANT: Final = 32  # a constant of the library, its number is the displacement

# `Instruction.target`: below this an instruction of the template (or its end), else the number of a trap, or TAKEN.
TRAP: Final = 192
TAKEN: Final = 254

# The kinds of holes in finished code.
HOLE_8: Final = 1
HOLE_16: Final = 2
HOLE_32: Final = 4
HOLE_64: Final = 8
HOLE_NEGATED: Final = 9
HOLE_TAKEN: Final = 16
HOLE_TRAP: Final = 17
HOLE_OPERAND: Final = 18
HOLE_CONSTANT: Final = 19

SMALL_MIN: Final = -120
SMALL_MAX: Final = 103
"""The values for which a hole may be said to be small: with any addend of the library they fit in a signed byte."""


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


class Hole(NamedTuple):
    """A place in finished code that waits for a value.

    `offset` is in bytes from the start of the code. `kind` and `operand` say what goes there, `addend` is to be added:

    - HOLE_8, HOLE_16, HOLE_32, HOLE_64: value number `operand`, so many bits of it
    - HOLE_NEGATED: 8 bits of minus the value
    - HOLE_TAKEN: 32 bits, the distance to where the branch goes (the addend of -4 counts from the end of the field)
    - HOLE_TRAP: the same for the trap whose number is `operand`
    - HOLE_OPERAND: 32 bits, the distance to the pooled constant that is operand number `operand`
    - HOLE_CONSTANT: the distance to the library's constant number `operand`
    """

    offset: int
    kind: int
    operand: int
    addend: int


def expand(instructions: Sequence[Instruction], registers: Sequence[int], small: int) -> tuple[bytes, tuple[Hole, ...]]:
    """The code of a template with its operands in `registers` (operand 0 first), and the holes left in it.

    Bit n of `small` says that value n lies between SMALL_MIN and SMALL_MAX, so that one byte does.
    """
    pieces: list[bytes] = []
    holes: list[Hole] = []
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
            piece, found = encode(instruction, registers, small)
            for offset, kind, operand, addend in found:
                holes.append(Hole(at + offset, kind, operand, addend))
        pieces.append(piece)
        at += len(piece)
    starts.append(at)
    for number, target in jumps:
        distance = starts[target] - starts[number + 1]
        if not -128 <= distance < 128:
            raise ValueError("a template is too long for its own jumps")
        pieces[number] = bytes((pieces[number][0], distance & 255))
    return b"".join(pieces), tuple(holes)


def encode(
    instruction: Instruction, registers: Sequence[int], small: int
) -> tuple[bytes, list[tuple[int, int, int, int]]]:
    """The bytes of an instruction other than a jump, in the shortest form, and its holes."""
    (
        prefixes, map, opcode, mode, reg, base, index, scale, vector, fourth,
        displacement, displacement_hole, immediate, immediate_size, immediate_hole, _,
    ) = instruction  # fmt: skip
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
        elif displacement or base & 7 == 5:
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

    if prefixes & VEX:
        pp = 1 if prefixes & PREFIX_66 else 2 if prefixes & PREFIX_F3 else 3 if prefixes & PREFIX_F2 else 0
        if map == 1 and not (x | b or prefixes & W):
            head = bytes((0xC5, (1 - r) << 7 | (15 - vector) << 3 | pp, opcode))
        else:
            w = 0x80 if prefixes & W else 0
            head = bytes((0xC4, (1 - r) << 7 | (1 - x) << 6 | (1 - b) << 5 | map, w | (15 - vector) << 3 | pp, opcode))
    else:
        head = _LEGACY[prefixes & 15]
        rex = (8 if prefixes & W else 0) | r << 2 | x << 1 | b
        if rex or (prefixes & BYTE_REG and reg >= 4) or (prefixes & BYTE and base >= 4 and mode != MEMORY):
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
    return code, holes


_ESCAPES: Final = (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")
_LEGACY: Final = tuple(
    (b"\xf0" if flags & LOCK else b"")
    + (b"\x66" if flags & PREFIX_66 else b"")
    + (b"\xf2" if flags & PREFIX_F2 else b"")
    + (b"\xf3" if flags & PREFIX_F3 else b"")
    for flags in range(16)
)
