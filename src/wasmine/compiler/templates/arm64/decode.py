"""Decodes the ARM64 instructions that LLVM writes for templates. Build time only; anything not in the table is an error.

`_TABLE` has one row for each group of instructions that use registers alike; the first that matches counts:

    PATTERN                              USES           HOLES

`PATTERN` is the word, highest bit first: `0` and `1` are fixed, `.` is part of the instruction, letters are the fields of
registers. `USES` has the register file and the field's letter for each register, followed by `=` (written), `+` (read and
written) or nothing (read). Files: `g` general; `s` general, where 31 is the stack pointer instead of zero; `x` vector; `f`
alone means the flags. `HOLES` are the kinds of immediates that may be holes, by their names in `filling`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from wasmine.compiler.templates.arm64 import filling

_TABLE: Final = """
# integers and immediates: add, sub, cmp, cmn; and, orr, eor, tst; movn, movz, movk; asr, sxt; lsl, lsr, uxt; bfi; ror
..010001_0......._......nn_nnnddddd  sd= sn         ADDITION
..110001_0......._......nn_nnnddddd  gd= sn f=      ADDITION
.1110010_0......._......nn_nnnddddd  gd= gn f=      LOGICAL
...10010_0......._......nn_nnnddddd  sd= gn         LOGICAL
.0010010_1......._........_...ddddd  gd=            MOVE LOW
.1010010_1......._........_...ddddd  gd=            MOVE LOW
.1110010_1......._........_...ddddd  gd+            KEEP
.0010011_0......._......nn_nnnddddd  gd= gn         RIGHT
.1010011_0......._......nn_nnnddddd  gd= gn         LEFT RIGHT
.0110011_0......._......nn_nnnddddd  gd+ gn
.0010011_1.0mmmmm_......nn_nnnddddd  gd= gn gm      ROTATE_RIGHT ROTATE_LEFT
1..10000_........_........_...ddddd  gd=
# integers: ands, bics; and, bic, orr, eor; adds, subs; add, sub; those of an extended register; adc, sbc; ccmp; csel
.1101010_...mmmmm_......nn_nnnddddd  gd= gn gm f=
...01010_...mmmmm_......nn_nnnddddd  gd= gn gm
..101011_..0mmmmm_......nn_nnnddddd  gd= gn gm f=
..001011_..0mmmmm_......nn_nnnddddd  gd= gn gm
..101011_001mmmmm_......nn_nnnddddd  gd= sn gm f=
..001011_001mmmmm_......nn_nnnddddd  sd= sn gm
..111010_000mmmmm_000000nn_nnnddddd  gd= gn gm f f=
..011010_000mmmmm_000000nn_nnnddddd  gd= gn gm f
..111010_010mmmmm_....00nn_nnn0....  gn gm f f=
..111010_010....._....10nn_nnn0....  gn f f=
..011010_100mmmmm_....0.nn_nnnddddd  gd= gn gm f
# integers: div, shifts by a register; clz, rbit; madd, msub, smulh
.0011010_110mmmmm_......nn_nnnddddd  gd= gn gm
.1011010_11000000_......nn_nnnddddd  gd= gn
.0011011_...mmmmm_.aaaaann_nnnddddd  gd= gn gm ga
# str, ldr
..111001_00......_......nn_nnnttttt  gt sn          DISPLACEMENT
..111001_01......_......nn_nnnttttt  gt= sn         DISPLACEMENT
0.111001_1......._......nn_nnnttttt  gt= sn         DISPLACEMENT
10111001_10......_......nn_nnnttttt  gt= sn         DISPLACEMENT
..111101_00......_......nn_nnnttttt  xt sn          DISPLACEMENT
00111101_10......_......nn_nnnttttt  xt sn          DISPLACEMENT
..111101_01......_......nn_nnnttttt  xt= sn         DISPLACEMENT
00111101_11......_......nn_nnnttttt  xt= sn         DISPLACEMENT
# ldr of a constant relative to the code
0.011100_........_........_...ttttt  xt=
10011100_........_........_...ttttt  xt=
# str, ldr of a register's sum with another
..111000_001mmmmm_....10nn_nnnttttt  gt sn gm
..111000_011mmmmm_....10nn_nnnttttt  gt= sn gm
0.111000_1.1mmmmm_....10nn_nnnttttt  gt= sn gm
10111000_101mmmmm_....10nn_nnnttttt  gt= sn gm
..111100_001mmmmm_....10nn_nnnttttt  xt sn gm
00111100_101mmmmm_....10nn_nnnttttt  xt sn gm
..111100_011mmmmm_....10nn_nnnttttt  xt= sn gm
00111100_111mmmmm_....10nn_nnnttttt  xt= sn gm
# ld1r; ldar, stlr, ldaxr, stlxr; clrex, dmb
0.001101_01000000_1100..nn_nnnttttt  xt= sn
..001000_11011111_111111nn_nnnttttt  gt= sn
..001000_10011111_111111nn_nnnttttt  gt sn
..001000_01011111_111111nn_nnnttttt  gt= sn
..001000_000sssss_111111nn_nnnttttt  gs= gt sn
11010101_00000011_0011...._01011111
11010101_00000011_0011...._10111111
# between the files: fcvtz; scvtf, ucvtf; fmov
.0011110_..11100._000000nn_nnnddddd  gd= xn
.0011110_..10001._000000nn_nnnddddd  xd= gn
.0011110_..100110_000000nn_nnnddddd  gd= xn
.0011110_..100111_000000nn_nnnddddd  xd= gn
10011110_10101110_000000nn_nnnddddd  gd= xn
# scalar floats: one operand; fcmp; fmov of an immediate; fcsel; two operands
00011110_..1....._.10000nn_nnnddddd  xd= xn
00011110_..1mmmmm_001000nn_nnn00000  xn xm f=
00011110_..100000_001000nn_nnn01000  xn f=
00011110_..1....._...10000_000ddddd  xd=
00011110_..1mmmmm_....11nn_nnnddddd  xd= xn xm f
00011110_..1mmmmm_....10nn_nnnddddd  xd= xn xm
# vectors, three alike: bsl, bit, bif; mla, saba, fmla; all others; scalars
0.101110_011mmmmm_000111nn_nnnddddd  xd+ xn xm
0.101110_1.1mmmmm_000111nn_nnnddddd  xd+ xn xm
0..01110_..1mmmmm_100101nn_nnnddddd  xd+ xn xm
0..01110_..1mmmmm_011111nn_nnnddddd  xd+ xn xm
0..01110_..1mmmmm_110011nn_nnnddddd  xd+ xn xm
0..01110_..1mmmmm_.....1nn_nnnddddd  xd= xn xm
01.11110_..1mmmmm_.....1nn_nnnddddd  xd= xn xm
# vectors, three of different widths: mlal, mlsl; mull; addl, addw, subl, subw
0..01110_..1mmmmm_10.000nn_nnnddddd  xd+ xn xm
0..01110_..1mmmmm_110000nn_nnnddddd  xd= xn xm
0..01110_..1mmmmm_00..00nn_nnnddddd  xd= xn xm
# vectors, two: xtn2, qxtn2, fcvtn2; adalp; all others; scalars; across lanes; pairs
01.01110_..100001_001010nn_nnnddddd  xd+ xn
01.01110_..100001_010010nn_nnnddddd  xd+ xn
01001110_..100001_011010nn_nnnddddd  xd+ xn
0..01110_..100000_011010nn_nnnddddd  xd+ xn
0..01110_..10000._....10nn_nnnddddd  xd= xn
01.11110_..10000._....10nn_nnnddddd  xd= xn
0..01110_..11000._....10nn_nnnddddd  xd= xn
01.11110_..11000._....10nn_nnnddddd  xd= xn
# lanes: dup of a lane, of a register; ins of a register, of a lane; smov, umov; mov of a lane
0.001110_000....._000001nn_nnnddddd  xd= xn
0.001110_000....._000011nn_nnnddddd  xd= gn
01001110_000....._000111nn_nnnddddd  xd+ gn
01101110_000....._0....1nn_nnnddddd  xd+ xn
0.001110_000....._001011nn_nnnddddd  gd= xn
0.001110_000....._001111nn_nnnddddd  gd= xn
01011110_000....._000001nn_nnnddddd  xd= xn
# vectors and immediates: orr, bic; movi, mvni, fmov
0..01111_00000..._0..101.._...ddddd  xd+
0..01111_00000..._10.101.._...ddddd  xd+
0..01111_00000..._....01.._...ddddd  xd=
# shifts: shl; shr; sra; sli; shll; shrn, shrn2; scalars
0.001111_0......._010101nn_nnnddddd  xd= xn         LANES_LEFT
0..01111_0......._000001nn_nnnddddd  xd= xn         LANES_RIGHT
0..01111_0......._000101nn_nnnddddd  xd+ xn
0.101111_0......._010101nn_nnnddddd  xd+ xn
0..01111_0......._101001nn_nnnddddd  xd= xn
00.01111_0......._100..1nn_nnnddddd  xd= xn
01.01111_0......._100..1nn_nnnddddd  xd+ xn
01.11111_0......._0.0.01nn_nnnddddd  xd= xn
# ext; zip, uzp, trn; tbl
0.101110_000mmmmm_0....0nn_nnnddddd  xd= xn xm
0.001110_..0mmmmm_0...10nn_nnnddddd  xd= xn xm
0.001110_000mmmmm_000000nn_nnnddddd  xd= xn xm
# jumps: b; b.cond; cbz, cbnz; tbz, tbnz
000101.._........_........_........
01010100_........_........_...0....  f
.011010._........_........_...ttttt  gt
.011011._........_........_...ttttt  gt
"""


class Register(NamedTuple):
    """A field of a register: its letter, its file (`g` or `x`), its lowest bit, and how the instruction uses it."""

    name: str
    file: str
    shift: int
    reads: bool
    writes: bool
    stack: bool


class Row(NamedTuple):
    """One row of the table."""

    mask: int
    value: int
    registers: tuple[Register, ...]
    reads_flags: bool
    writes_flags: bool
    holes: tuple[int, ...]


class Decoded(NamedTuple):
    """An instruction: its row, and the registers that it names, each with its number; not the zero register."""

    row: Row
    registers: tuple[tuple[Register, int], ...]


def decode(word: int) -> Decoded:
    """The instruction; ValueError for one that is not in the table."""
    for row in _ROWS:
        if word & row.mask == row.value:
            break
    else:
        raise ValueError(f"instruction {word:08x} is not in the table")
    found = []
    for register in row.registers:
        number = word >> register.shift & 31
        if register.file == "x" or number != 31:
            found.append((register, number))
        elif register.stack:
            raise ValueError(f"instruction {word:08x} uses the stack pointer")
    return Decoded(row, tuple(found))


def _parse(line: str) -> Row:
    pattern, *words = line.split()
    pattern = pattern.replace("_", "")
    assert len(pattern) == 32, line
    holes = tuple(getattr(filling, word) for word in words if word.isupper())
    uses = [word for word in words if not word.isupper()]
    registers = tuple(
        Register(
            use[1],
            "g" if use[0] == "s" else use[0],
            31 - pattern.rindex(use[1]),
            use[-1] != "=",
            use[-1] in "=+",
            use[0] == "s",
        )
        for use in uses
        if use[0] != "f"
    )
    return Row(
        int("".join("1" if bit in "01" else "0" for bit in pattern), 2),
        int("".join("1" if bit == "1" else "0" for bit in pattern), 2),
        registers,
        "f" in uses,
        "f=" in uses,
        holes,
    )


_ROWS: Final = tuple(_parse(line) for line in _TABLE.split("\n") if line and line[0] != "#")
