"""Decodes the x86-64 instructions that LLVM writes for templates. Build time only; anything not in the table is an error.

`_TABLE` has one row for each opcode:

    SPACE OPCODE  OPERANDS  IMMEDIATE

`SPACE` is the opcode map (0, 1 = 0F, 2 = 0F38, 3 = 0F3A) followed by the mandatory prefix (`n` none, `6` 66, `3` F3,
`2` F2), `*` where 66 only means 16 bits. `/n` after the opcode is the digit in ModRM.reg. Operands, each followed by
`=` (written), `+` (read and written) or nothing (read):

    G E V   general register in ModRM.reg, register or memory in ModRM.rm, register in VEX.vvvv; b: a byte register
    X Y H   the same of xmm registers; H exists in the VEX encoding only: in the legacy one X is read as well
    I       xmm register in the upper half of an immediate byte
    Z       general register in the opcode

Immediates: `b` a byte, `z` 4 bytes (2 with the prefix 66), `v` 4 bytes or 8 with REX.W. `M` marks the scalar moves, where
H exists between registers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from wasmine.compiler.templates.amd64.encode import (
    BYTE,
    BYTE_REG,
    DIRECT,
    INDEXED,
    JUMP,
    LOCK,
    MEMORY,
    NO_OPERAND,
    NONE,
    OPCODE_REGISTER,
    PREFIX_66,
    PREFIX_F2,
    PREFIX_F3,
    RELATIVE,
    VEX,
    Instruction,
    W,
)

_TABLE = """
0* 63  G= E
0* 69  G= E         z
0* 6B  G= E         b
0* 80/0 Eb+         b
0* 80/1 Eb+         b
0* 80/4 Eb+         b
0* 80/5 Eb+         b
0* 80/6 Eb+         b
0* 80/7 Eb          b
0* 81/0 E+          z
0* 81/1 E+          z
0* 81/2 E+          z
0* 81/3 E+          z
0* 81/4 E+          z
0* 81/5 E+          z
0* 81/6 E+          z
0* 81/7 E           z
0* 83/0 E+          b
0* 83/1 E+          b
0* 83/2 E+          b
0* 83/3 E+          b
0* 83/4 E+          b
0* 83/5 E+          b
0* 83/6 E+          b
0* 83/7 E           b
0* 84  Eb Gb
0* 85  E G
0* 86  Eb+ Gb+
0* 87  E+ G+
0* 88  Eb= Gb
0* 89  E= G
0* 8A  Gb= Eb
0* 8B  G= E
0* 8D  G= E
0* 90
0* 98
0* 99
0* A8               b
0* A9               z
0* B0  Z=           b
0* B8  Z=           v
0* C0/4 Eb+         b
0* C0/5 Eb+         b
0* C0/7 Eb+         b
0* C1/0 E+          b
0* C1/1 E+          b
0* C1/4 E+          b
0* C1/5 E+          b
0* C1/7 E+          b
0* C6/0 Eb=         b
0* C7/0 E=          z
0* D0/4 Eb+
0* D0/5 Eb+
0* D0/7 Eb+
0* D1/0 E+
0* D1/1 E+
0* D1/4 E+
0* D1/5 E+
0* D1/7 E+
0* D3/0 E+
0* D3/1 E+
0* D3/4 E+
0* D3/5 E+
0* D3/7 E+
0* F6/0 Eb          b
0* F6/2 Eb+
0* F6/3 Eb+
0* F7/0 E           z
0* F7/2 E+
0* F7/3 E+
0* F7/4 E
0* F7/5 E
0* F7/6 E
0* F7/7 E
0* FE/0 Eb+
0* FE/1 Eb+
0* FF/0 E+
0* FF/1 E+
1* 0B
1* 1F/0 E
1n AE/6
1* A3  E G
1* A4  E+ G         b
1* A5  E+ G
1* AB  E+ G
1* AC  E+ G         b
1* AD  E+ G
1* AF  G+ E
1* B0  Eb+ Gb
1* B1  E+ G
1* B3  E+ G
1* B6  G= Eb
1* B7  G= E
1* BA/4 E           b
1* BA/5 E+          b
1* BA/6 E+          b
1* BC  G+ E
1* BD  G+ E
1* BE  G= Eb
1* BF  G= E
1* C0  Eb+ Gb+
1* C1  E+ G+
1* C8  Z+
13 B8  G= E
13 BC  G= E
13 BD  G= E
2n F2  G= V E
2n F3/1 V= E
2n F3/2 V= E
2n F3/3 V= E
2n F5  G= E V
22 F6  G= V= E
2n F7  G= E V
26 F7  G= E V
23 F7  G= E V
22 F7  G= E V
32 F0  G= E         b
1n 10  X= Y
16 10  X= Y
13 10  X= H Y       M
12 10  X= H Y       M
1n 11  Y= X
16 11  Y= X
13 11  Y= H X       M
12 11  Y= H X       M
1n 12  X= H Y
16 12  X= H Y
12 12  X= Y
13 12  X= Y
1n 13  Y= X
16 13  Y= X
1n 14  X= H Y
16 14  X= H Y
1n 15  X= H Y
16 15  X= H Y
1n 16  X= H Y
16 16  X= H Y
13 16  X= Y
1n 17  Y= X
16 17  Y= X
1n 28  X= Y
16 28  X= Y
1n 29  Y= X
16 29  Y= X
13 2A  X= H E
12 2A  X= H E
13 2C  G= Y
12 2C  G= Y
1n 2E  X Y
16 2E  X Y
1n 2F  X Y
16 2F  X Y
1n 50  G= Y
16 50  G= Y
1n 51  X= Y
16 51  X= Y
13 51  X= H Y
12 51  X= H Y
1n 54  X= H Y
16 54  X= H Y
1n 55  X= H Y
16 55  X= H Y
1n 56  X= H Y
16 56  X= H Y
1n 57  X= H Y
16 57  X= H Y
1n 58  X= H Y
16 58  X= H Y
13 58  X= H Y
12 58  X= H Y
1n 59  X= H Y
16 59  X= H Y
13 59  X= H Y
12 59  X= H Y
1n 5A  X= Y
16 5A  X= Y
13 5A  X= H Y
12 5A  X= H Y
1n 5B  X= Y
16 5B  X= Y
13 5B  X= Y
1n 5C  X= H Y
16 5C  X= H Y
13 5C  X= H Y
12 5C  X= H Y
1n 5D  X= H Y
16 5D  X= H Y
13 5D  X= H Y
12 5D  X= H Y
1n 5E  X= H Y
16 5E  X= H Y
13 5E  X= H Y
12 5E  X= H Y
1n 5F  X= H Y
16 5F  X= H Y
13 5F  X= H Y
12 5F  X= H Y
16 6E  X= E
16 6F  X= Y
13 6F  X= Y
16 70  X= Y         b
13 70  X= Y         b
12 70  X= Y         b
16 71/2 H= Y        b
16 71/4 H= Y        b
16 71/6 H= Y        b
16 72/2 H= Y        b
16 72/4 H= Y        b
16 72/6 H= Y        b
16 73/2 H= Y        b
16 73/3 H= Y        b
16 73/6 H= Y        b
16 73/7 H= Y        b
16 7C  X= H Y
12 7C  X= H Y
16 7E  E= X
13 7E  X= Y
16 7F  Y= X
13 7F  Y= X
1n C2  X= H Y       b
16 C2  X= H Y       b
13 C2  X= H Y       b
12 C2  X= H Y       b
16 C4  X= H E       b
16 C5  G= Y         b
1n C6  X= H Y       b
16 C6  X= H Y       b
16 D6  Y= X
16 D7  G= Y
16 E6  X= Y
13 E6  X= Y
26 0E  X Y
26 0F  X Y
26 10  X+ Y
26 14  X+ Y
26 15  X+ Y
26 17  X Y
26 18  X= Y
26 1C  X= Y
26 1D  X= Y
26 1E  X= Y
26 20  X= Y
26 21  X= Y
26 22  X= Y
26 23  X= Y
26 24  X= Y
26 25  X= Y
26 28  X= H Y
26 29  X= H Y
26 2B  X= H Y
26 30  X= Y
26 31  X= Y
26 32  X= Y
26 33  X= Y
26 34  X= Y
26 35  X= Y
26 37  X= H Y
26 45  X= H Y
26 46  X= H Y
26 47  X= H Y
26 58  X= Y
26 59  X= Y
26 78  X= Y
26 79  X= Y
36 02  X= H Y       b
36 04  X= Y         b
36 05  X= Y         b
36 08  X= Y         b
36 09  X= Y         b
36 0A  X= H Y       b
36 0B  X= H Y       b
36 0C  X= H Y       b
36 0D  X= H Y       b
36 0E  X= H Y       b
36 0F  X= H Y       b
36 14  E= X         b
36 15  E= X         b
36 16  E= X         b
36 17  E= X         b
36 20  X= H E       b
36 21  X= H Y       b
36 22  X= H E       b
36 4A  X= H Y I     b
36 4B  X= H Y I     b
36 4C  X= H Y I     b
"""

# Packed integers (66 0F, 66 0F38): all alike, X= H Y.
_PACKED = {
    1: (
        *range(0x60, 0x6E), 0x74, 0x75, 0x76, *range(0xD1, 0xD6), *range(0xD8, 0xE6), *range(0xE8, 0xF0),
        *range(0xF1, 0xF7), *range(0xF8, 0xFF),
    ),
    2: (*range(0x0C), *range(0x38, 0x41)),
}  # fmt: skip
_PREFIXES = {0x66: PREFIX_66, 0xF2: PREFIX_F2, 0xF3: PREFIX_F3, 0xF0: LOCK}
_MANDATORY = {PREFIX_66: "6", PREFIX_F3: "3", PREFIX_F2: "2", 0: "n"}


class Row(NamedTuple):
    """One row of the table: operand letters with their accesses, the size of the immediate and the scalar move's mark.

    `register` is the low half of the register that the opcode names, -1 for other opcodes.
    """

    operands: tuple[str, ...]
    immediate: str = ""
    move: bool = False
    register: int = -1


def _parse() -> dict[tuple[str, int, int | None], Row]:
    rows: dict[tuple[str, int, int | None], Row] = {}
    for line in _TABLE.split("\n"):
        words = line.split()
        if not words:
            continue
        space, code, *rest = words
        opcode, _, digit = code.partition("/")
        immediate = rest.pop() if rest and rest[-1] in ("b", "z", "v") else ""
        move = bool(rest and rest[-1] == "M")
        if move:
            rest.pop()
        row = Row(tuple(rest), immediate, move)
        if any(operand[0] == "Z" for operand in rest):
            for register in range(8):
                rows[space, int(opcode, 16) + register, None] = row._replace(register=register)
        else:
            rows[space, int(opcode, 16), int(digit) if digit else None] = row
    for map, opcodes in _PACKED.items():
        for packed in opcodes:
            rows[f"{map}6", packed, None] = Row(("X=", "H", "Y"))
    for number in range(8):  # add or adc sbb and sub xor cmp
        access = "" if number == 7 else "+"
        for offset, operands in enumerate((f"Eb{access} Gb", f"E{access} G", f"Gb{access} Eb", f"G{access} E")):
            rows["0*", number * 8 + offset, None] = Row(tuple(operands.split()))
        rows["0*", number * 8 + 4, None] = Row((), "b")
        rows["0*", number * 8 + 5, None] = Row((), "z")
    for condition in range(16):
        rows["1*", 0x40 + condition, None] = Row(("G+", "E"))
        rows["1*", 0x90 + condition, None] = Row(("Eb+",))
    return rows


_ROWS = _parse()
_GROUPS = {(space, opcode) for space, opcode, digit in _ROWS if digit is not None}


@dataclass(frozen=True, slots=True)
class Access:
    """How an instruction uses a register: its class (`g` or `x`), its field, and whether it is read and written."""

    field: str
    file: str
    reads: bool
    writes: bool


@dataclass(frozen=True, slots=True)
class Decoded:
    """An instruction as it stands in LLVM's code, before any field is left open.

    `displacement_at` and `immediate_at` are offsets from the instruction's start, -1 without such a field. A jump's
    destination is its relative displacement, in the instruction's `immediate`.
    """

    instruction: Instruction
    length: int
    accesses: tuple[Access, ...]
    displacement_at: int
    immediate_at: int


class _Cursor:
    """Reads bytes of one instruction."""

    def __init__(self, code: bytes, start: int) -> None:
        self.code = code
        self.start = start
        self.at = start

    def byte(self) -> int:
        self.at += 1
        return self.code[self.at - 1]

    def signed(self, size: int) -> int:
        self.at += size
        return int.from_bytes(self.code[self.at - size : self.at], "little", signed=True)

    @property
    def offset(self) -> int:
        return self.at - self.start


def decode(code: bytes, start: int) -> Decoded:
    """The instruction at `start`; ValueError for one that is not in the table."""
    cursor = _Cursor(code, start)
    prefixes = 0
    while code[cursor.at] in _PREFIXES:
        prefixes |= _PREFIXES[cursor.byte()]
    rex = cursor.byte() if code[cursor.at] & 0xF0 == 0x40 else 0
    prefixes |= W if rex & 8 else 0
    r, x, b = rex << 1 & 8, rex << 2 & 8, rex << 3 & 8
    vector = NONE
    if code[cursor.at] in (0xC4, 0xC5):
        prefixes, map, r, x, b, vector = _vex(cursor)
        opcode = cursor.byte()
    else:
        map, opcode = _legacy_opcode(cursor)
    if (map, opcode & 0xF0) in ((0, 0x70), (1, 0x80)) or (map == 0 and opcode in (0xEB, 0xE9)):
        return _jump(cursor, map, opcode)
    row, space = _find(map, opcode, prefixes, code[cursor.at] if cursor.at < len(code) else 0)
    fields = {"reg": NONE, "base": NONE, "index_register": NONE, "vector": vector, "fourth": NONE}
    mode, scale, displacement, displacement_at = NO_OPERAND, 0, 0, -1
    if row.register >= 0:
        mode = OPCODE_REGISTER
        opcode -= row.register
        fields["base"] = row.register | b
    elif row.operands or (space, opcode) in _GROUPS:
        mode, scale, displacement, displacement_at = _modrm(cursor, fields, r, x, b)
        if (space, opcode) in _GROUPS:
            fields["reg"] &= 7
    immediate, size, immediate_at = 0, 0, -1
    if row.immediate:
        size = {"b": 1, "z": 2 if prefixes & PREFIX_66 else 4, "v": 8 if prefixes & W else 4}[row.immediate]
        immediate_at = cursor.offset
        immediate = cursor.signed(size)
    if "I" in row.operands:
        fields["fourth"], immediate, size, immediate_at = immediate >> 4 & 15, 0, 0, -1
    accesses = tuple(_accesses(row, bool(prefixes & VEX), mode, fields))
    named = {access.field for access in accesses}
    if vector != NONE and "vector" not in named:
        if vector:
            raise ValueError(f"VEX.vvvv of {code[start : cursor.at].hex()} is used, but not in the table")
        fields["vector"] = NONE
    for operand in row.operands:
        if operand[1:2] == "b":
            prefixes |= BYTE_REG if operand[0] == "G" else BYTE
    instruction = Instruction(
        prefixes, map, opcode, mode, fields["reg"], fields["base"], fields["index_register"], scale, fields["vector"],
        fields["fourth"], displacement, NONE, immediate, size, NONE, NONE,
    )  # fmt: skip
    return Decoded(instruction, cursor.offset, accesses, displacement_at, immediate_at)


def _vex(cursor: _Cursor) -> tuple[int, int, int, int, int, int]:
    """Flags, map, the register extensions R, X, B (as 8 or 0) and vvvv of a VEX prefix."""
    first = cursor.byte()
    second = cursor.byte()
    x = b = 0
    map, last = 1, second
    if first == 0xC4:
        last = cursor.byte()
        x, b, map = (~second & 0x40) >> 3, (~second & 0x20) >> 2, second & 31
    if last & 4:
        raise ValueError("a 256-bit instruction: no template may touch the upper halves of vector registers")
    flags = VEX | (0, PREFIX_66, PREFIX_F3, PREFIX_F2)[last & 3]
    if first == 0xC4 and last & 0x80:
        flags |= W
    return flags, map, (~second & 0x80) >> 4, x, b, ~last >> 3 & 15


def _legacy_opcode(cursor: _Cursor) -> tuple[int, int]:
    opcode = cursor.byte()
    if opcode != 0x0F:
        return 0, opcode
    opcode = cursor.byte()
    if opcode in (0x38, 0x3A):
        return 2 if opcode == 0x38 else 3, cursor.byte()
    return 1, opcode


def _jump(cursor: _Cursor, map: int, opcode: int) -> Decoded:
    """A jump, with the condition as opcode (0x10 for none) and its relative displacement as immediate."""
    size = 1 if map == 0 and opcode != 0xE9 else 4
    condition = 0x10 if opcode in (0xE9, 0xEB) and map == 0 else opcode & 15
    at = cursor.offset
    distance = cursor.signed(size)
    blank = (NONE, NONE, NONE, 0, NONE, NONE, 0, NONE)
    return Decoded(Instruction(0, 0, condition, JUMP, *blank, distance, size, NONE, NONE), cursor.offset, (), -1, at)


def _find(map: int, opcode: int, prefixes: int, modrm: int) -> tuple[Row, str]:
    """The row of an opcode and its space."""
    mandatory = _MANDATORY[prefixes & (PREFIX_F2 | PREFIX_F3) or prefixes & PREFIX_66]
    spaces = [f"{map}{mandatory}"]
    if not prefixes & (VEX | PREFIX_F2 | PREFIX_F3):
        spaces.append(f"{map}*")
    for space in spaces:
        row = _ROWS.get((space, opcode, None)) or _ROWS.get((space, opcode, modrm >> 3 & 7))
        if row:
            return row, space
    raise ValueError(
        f"opcode {opcode:02X} of map {map} with prefix {mandatory} (ModRM {modrm:02X}) is not in the table"
    )


def _modrm(cursor: _Cursor, fields: dict[str, int], r: int, x: int, b: int) -> tuple[int, int, int, int]:
    """Fills the register fields; mode, log2 of the scale, displacement and where it lies."""
    modrm = cursor.byte()
    mod, rm = modrm >> 6, modrm & 7
    fields["reg"] = modrm >> 3 & 7 | r
    if mod == 3:
        fields["base"] = rm | b
        return DIRECT, 0, 0, -1
    mode, scale, size = MEMORY, 0, (0, 1, 4)[mod]
    if rm == 4:
        sib = cursor.byte()
        scale, index = sib >> 6, sib >> 3 & 7 | x
        fields["index_register"] = NONE if index == 4 else index
        if sib & 7 == 5 and mod == 0:
            mode, size = INDEXED, 4
        else:
            fields["base"] = sib & 7 | b
    elif rm == 5 and mod == 0:
        mode, size = RELATIVE, 4
    else:
        fields["base"] = rm | b
    at = cursor.offset if size else -1
    return mode, scale, cursor.signed(size), at


_FIELDS = {"G": "reg", "X": "reg", "E": "base", "Y": "base", "Z": "base", "V": "vector", "H": "vector", "I": "fourth"}


def _accesses(row: Row, vex: bool, mode: int, fields: dict[str, int]) -> list[Access]:
    """How the instruction uses each register that it names, those of a memory operand included."""
    found = []
    three_operands = any(operand[0] == "H" for operand in row.operands)
    between_registers = mode == DIRECT
    for operand in row.operands:
        letter, access = operand[0], operand[-1]
        reads, writes = access != "=", access in "=+"
        if letter in "EY" and not between_registers:
            continue  # memory: its registers are added below
        if letter == "H":
            if not vex or (row.move and not between_registers):
                continue
        elif letter in "XY" and three_operands and not vex and (between_registers or not row.move):
            # The legacy encoding has two operands: what is written is the first source too.
            # (A scalar move between registers keeps the upper part of what it writes; one from memory clears it.)
            if row.operands[0] == "H=":  # a shift by an immediate, in place
                writes = True
            reads = True
        found.append(Access(_FIELDS[letter], "g" if letter in "GEVZ" else "x", reads, writes))
    if mode in (MEMORY, INDEXED):
        found.extend(Access(field, "g", True, False) for field in ("base", "index_register") if fields[field] != NONE)
    return found
