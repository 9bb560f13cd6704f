"""Instructions of A64, each as the number that encodes it (Arm Architecture Reference Manual, part C).

Registers are numbers from 0 to 31; 31 is the stack pointer or zero, as the instruction has it. General registers have 64
bits unless a name ends in `_w`. Offsets are in bytes.
"""

from __future__ import annotations

from typing import Final

SP: Final = 31
ZERO: Final = 31
LINK: Final = 30

# Conditions.
EQ, NE, HS, LO, MI, PL, VS, VC, HI, LS, GE, LT, GT, LE = range(14)

# ---------------------------------------------------------------------------------------------------- constants, moves


def movz(d: int, value: int, shift: int = 0) -> int:
    return 0xD2800000 | shift // 16 << 21 | value << 5 | d


def movn(d: int, value: int, shift: int = 0) -> int:
    return 0x92800000 | shift // 16 << 21 | value << 5 | d


def movk(d: int, value: int, shift: int) -> int:
    return 0xF2800000 | shift // 16 << 21 | value << 5 | d


def constant(d: int, value: int) -> list[int]:
    """A register with a number of 64 bits, which may have a sign, in as few instructions as moves of 16 bits take."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    parts = [(value >> shift & 0xFFFF, shift) for shift in (0, 16, 32, 48)]
    positive = [part for part in parts if part[0]] or parts[:1]
    negative = [part for part in parts if part[0] != 0xFFFF] or parts[:1]
    if len(negative) < len(positive):
        (first, at), *rest = negative
        return [movn(d, first ^ 0xFFFF, at), *(movk(d, part, shift) for part, shift in rest)]
    (first, at), *rest = positive
    return [movz(d, first, at), *(movk(d, part, shift) for part, shift in rest)]


def move(d: int, n: int) -> int:
    return 0xAA0003E0 | n << 16 | d


def move_w(d: int, n: int) -> int:
    """It zeroes the upper half."""
    return 0x2A0003E0 | n << 16 | d


def move_sp(d: int, n: int) -> int:
    """One of them is the stack pointer."""
    return 0x91000000 | n << 5 | d


# ---------------------------------------------------------------------------------------------------- arithmetic


def add_imm(d: int, n: int, value: int, *, shifted: bool = False) -> int:
    """`value` has 12 bits, which are shifted left by 12 if so said. The stack pointer is possible."""
    return 0x91000000 | shifted << 22 | value << 10 | n << 5 | d


def sub_imm(d: int, n: int, value: int, *, shifted: bool = False) -> int:
    return 0xD1000000 | shifted << 22 | value << 10 | n << 5 | d


def subs_imm(d: int, n: int, value: int) -> int:
    return 0xF1000000 | value << 10 | n << 5 | d


def cmp_imm(n: int, value: int) -> int:
    return subs_imm(ZERO, n, value)


def cmp_imm_w(n: int, value: int) -> int:
    return 0x71000000 | value << 10 | n << 5 | ZERO


def add(d: int, n: int, m: int) -> int:
    return 0x8B000000 | m << 16 | n << 5 | d


def adds(d: int, n: int, m: int) -> int:
    return 0xAB000000 | m << 16 | n << 5 | d


def sub(d: int, n: int, m: int) -> int:
    return 0xCB000000 | m << 16 | n << 5 | d


def subs(d: int, n: int, m: int) -> int:
    return 0xEB000000 | m << 16 | n << 5 | d


def cmp(n: int, m: int) -> int:
    return subs(ZERO, n, m)


def cmp_w(n: int, m: int) -> int:
    return 0x6B000000 | m << 16 | n << 5 | ZERO


def cmp_sxtw(n: int, m: int) -> int:
    """Compare with the lower half of m, sign-extended."""
    return 0xEB20C000 | m << 16 | n << 5 | ZERO


def cmp_uxtw(n: int, m: int) -> int:
    """Compare with the lower half of m, zero-extended."""
    return 0xEB204000 | m << 16 | n << 5 | ZERO


def cmn_imm(n: int, value: int) -> int:
    """Compare with a negative number: -value."""
    return 0xB1000000 | value << 10 | n << 5 | ZERO


def cmp_sp(m: int) -> int:
    """Compare the stack pointer with a register."""
    return 0xEB206000 | m << 16 | SP << 5 | ZERO


def bic(d: int, n: int, m: int) -> int:
    return 0x8A200000 | m << 16 | n << 5 | d


def and_(d: int, n: int, m: int) -> int:
    return 0x8A000000 | m << 16 | n << 5 | d


def eor_lsr(d: int, n: int, m: int, count: int) -> int:
    """With m shifted right."""
    return 0xCA400000 | m << 16 | count << 10 | n << 5 | d


def orr(d: int, n: int, m: int) -> int:
    return 0xAA000000 | m << 16 | n << 5 | d


def orr_w(d: int, n: int, m: int) -> int:
    return 0x2A000000 | m << 16 | n << 5 | d


def lsl(d: int, n: int, m: int) -> int:
    return 0x9AC02000 | m << 16 | n << 5 | d


def lsl_imm(d: int, n: int, count: int) -> int:
    return 0xD3400000 | (-count & 63) << 16 | 63 - count << 10 | n << 5 | d


def lsr_imm(d: int, n: int, count: int) -> int:
    return 0xD340FC00 | count << 16 | n << 5 | d


def field(d: int, n: int, low: int, width: int) -> int:
    """Bits of a register, zero-extended."""
    return 0xD3400000 | low << 16 | low + width - 1 << 10 | n << 5 | d


def csel(d: int, n: int, m: int, condition: int) -> int:
    """n if the condition holds, else m."""
    return 0x9A800000 | m << 16 | condition << 12 | n << 5 | d


# ---------------------------------------------------------------------------------------------------- memory

# Offsets are not negative, and multiples of the size.


def ldr(t: int, n: int, offset: int = 0) -> int:
    return 0xF9400000 | offset // 8 << 10 | n << 5 | t


def str_(t: int, n: int, offset: int = 0) -> int:
    return 0xF9000000 | offset // 8 << 10 | n << 5 | t


def ldr_w(t: int, n: int, offset: int = 0) -> int:
    return 0xB9400000 | offset // 4 << 10 | n << 5 | t


def str_w(t: int, n: int, offset: int = 0) -> int:
    return 0xB9000000 | offset // 4 << 10 | n << 5 | t


def ldrsw(t: int, n: int, offset: int = 0) -> int:
    """4 bytes, sign-extended."""
    return 0xB9800000 | offset // 4 << 10 | n << 5 | t


def ldr_q(t: int, n: int, offset: int = 0) -> int:
    return 0x3DC00000 | offset // 16 << 10 | n << 5 | t


def str_q(t: int, n: int, offset: int = 0) -> int:
    return 0x3D800000 | offset // 16 << 10 | n << 5 | t


def ldr_d(t: int, n: int, offset: int = 0) -> int:
    return 0xFD400000 | offset // 8 << 10 | n << 5 | t


def str_d(t: int, n: int, offset: int = 0) -> int:
    return 0xFD000000 | offset // 8 << 10 | n << 5 | t


def ldr_s(t: int, n: int, offset: int = 0) -> int:
    return 0xBD400000 | offset // 4 << 10 | n << 5 | t


def str_s(t: int, n: int, offset: int = 0) -> int:
    return 0xBD000000 | offset // 4 << 10 | n << 5 | t


# Offsets from -256 to 255, of any alignment.


def ldur(t: int, n: int, offset: int) -> int:
    return 0xF8400000 | (offset & 0x1FF) << 12 | n << 5 | t


def stur(t: int, n: int, offset: int) -> int:
    return 0xF8000000 | (offset & 0x1FF) << 12 | n << 5 | t


def stur_q(t: int, n: int, offset: int) -> int:
    return 0x3C800000 | (offset & 0x1FF) << 12 | n << 5 | t


# The base moves on by the offset: afterwards (`_post`) or before.


def ldr_post(t: int, n: int, offset: int) -> int:
    return 0xF8400400 | (offset & 0x1FF) << 12 | n << 5 | t


def str_post(t: int, n: int, offset: int) -> int:
    return 0xF8000400 | (offset & 0x1FF) << 12 | n << 5 | t


def ldrb_post(t: int, n: int, offset: int) -> int:
    return 0x38400400 | (offset & 0x1FF) << 12 | n << 5 | t


def strb_post(t: int, n: int, offset: int) -> int:
    return 0x38000400 | (offset & 0x1FF) << 12 | n << 5 | t


def ldrb_pre(t: int, n: int, offset: int) -> int:
    return 0x38400C00 | (offset & 0x1FF) << 12 | n << 5 | t


def strb_pre(t: int, n: int, offset: int) -> int:
    return 0x38000C00 | (offset & 0x1FF) << 12 | n << 5 | t


def _pair(opcode: int, t: int, u: int, n: int, offset: int) -> int:
    return opcode | (offset & 0x7F) << 15 | u << 10 | n << 5 | t


def ldp(t: int, u: int, n: int, offset: int = 0) -> int:
    return _pair(0xA9400000, t, u, n, offset // 8)


def stp(t: int, u: int, n: int, offset: int = 0) -> int:
    return _pair(0xA9000000, t, u, n, offset // 8)


def ldp_post(t: int, u: int, n: int, offset: int) -> int:
    return _pair(0xA8C00000, t, u, n, offset // 8)


def stp_post(t: int, u: int, n: int, offset: int) -> int:
    return _pair(0xA8800000, t, u, n, offset // 8)


def stp_pre(t: int, u: int, n: int, offset: int) -> int:
    return _pair(0xA9800000, t, u, n, offset // 8)


def ldp_d(t: int, u: int, n: int, offset: int = 0) -> int:
    return _pair(0x6D400000, t, u, n, offset // 8)


def stp_d(t: int, u: int, n: int, offset: int = 0) -> int:
    return _pair(0x6D000000, t, u, n, offset // 8)


def ldp_q(t: int, u: int, n: int, offset: int = 0) -> int:
    return _pair(0xAD400000, t, u, n, offset // 16)


def stp_q(t: int, u: int, n: int, offset: int = 0) -> int:
    return _pair(0xAD000000, t, u, n, offset // 16)


def ldp_q_post(t: int, u: int, n: int, offset: int) -> int:
    return _pair(0xACC00000, t, u, n, offset // 16)


def stp_q_post(t: int, u: int, n: int, offset: int) -> int:
    return _pair(0xAC800000, t, u, n, offset // 16)


def ldp_q_pre(t: int, u: int, n: int, offset: int) -> int:
    return _pair(0xADC00000, t, u, n, offset // 16)


def stp_q_pre(t: int, u: int, n: int, offset: int) -> int:
    return _pair(0xAD800000, t, u, n, offset // 16)


# The offset is in a register.


def ldr_at(t: int, n: int, m: int) -> int:
    return 0xF8606800 | m << 16 | n << 5 | t


def str_at(t: int, n: int, m: int) -> int:
    return 0xF8206800 | m << 16 | n << 5 | t


def ldr_w_at(t: int, n: int, m: int) -> int:
    return 0xB8606800 | m << 16 | n << 5 | t


def str_w_at(t: int, n: int, m: int) -> int:
    return 0xB8206800 | m << 16 | n << 5 | t


# An array's element, whose index is in a register.


def ldr_element(t: int, n: int, index: int) -> int:
    return 0xF8607800 | index << 16 | n << 5 | t


def str_element(t: int, n: int, index: int) -> int:
    return 0xF8207800 | index << 16 | n << 5 | t


def ldrsw_element(t: int, n: int, index: int) -> int:
    return 0xB8A07800 | index << 16 | n << 5 | t


def ldaxr(t: int, n: int) -> int:
    return 0xC85FFC00 | n << 5 | t


def stlxr(status: int, t: int, n: int) -> int:
    return 0xC800FC00 | status << 16 | n << 5 | t


def ldaxr_w(t: int, n: int) -> int:
    return 0x885FFC00 | n << 5 | t


def stlxr_w(status: int, t: int, n: int) -> int:
    return 0x8800FC00 | status << 16 | n << 5 | t


def stlr(t: int, n: int) -> int:
    return 0xC89FFC00 | n << 5 | t


# ---------------------------------------------------------------------------------------------------- floats, vectors


def fmov_from_d(d: int, n: int) -> int:
    """The bits of a double into a general register."""
    return 0x9E660000 | n << 5 | d


def fmov_to_d(d: int, n: int) -> int:
    """The bits in a general register as a double."""
    return 0x9E670000 | n << 5 | d


def fcmp_d(n: int, m: int) -> int:
    """VS if one of them is a NaN."""
    return 0x1E602000 | m << 16 | n << 5


def fcmp_s(n: int, m: int) -> int:
    return 0x1E202000 | m << 16 | n << 5


def fcvt_to_s(d: int, n: int) -> int:
    """A double as a single."""
    return 0x1E624000 | n << 5 | d


def fcvt_to_d(d: int, n: int) -> int:
    """A single as a double."""
    return 0x1E22C000 | n << 5 | d


def dup_bytes(v: int, n: int) -> int:
    """All 16 bytes of a vector register are the low byte of a general one."""
    return 0x4E010C00 | n << 5 | v


# ---------------------------------------------------------------------------------------------------- jumps

# Distances are in bytes from the instruction itself.


def b(distance: int = 0) -> int:
    return 0x14000000 | distance >> 2 & 0x3FFFFFF


def bl(distance: int = 0) -> int:
    return 0x94000000 | distance >> 2 & 0x3FFFFFF


def b_if(condition: int, distance: int = 0) -> int:
    return 0x54000000 | (distance >> 2 & 0x7FFFF) << 5 | condition


def cbz(t: int, distance: int = 0) -> int:
    return 0xB4000000 | (distance >> 2 & 0x7FFFF) << 5 | t


def cbnz(t: int, distance: int = 0) -> int:
    return 0xB5000000 | (distance >> 2 & 0x7FFFF) << 5 | t


def cbz_w(t: int, distance: int = 0) -> int:
    return 0x34000000 | (distance >> 2 & 0x7FFFF) << 5 | t


def cbnz_w(t: int, distance: int = 0) -> int:
    return 0x35000000 | (distance >> 2 & 0x7FFFF) << 5 | t


def br(n: int) -> int:
    return 0xD61F0000 | n << 5


def blr(n: int) -> int:
    return 0xD63F0000 | n << 5


RET: Final = 0xD65F03C0


def adr(d: int, distance: int = 0) -> int:
    return 0x10000000 | (distance & 3) << 29 | (distance >> 2 & 0x7FFFF) << 5 | d


def adrp(d: int, pages: int = 0) -> int:
    return 0x90000000 | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5 | d


# ---------------------------------------------------------------------------------------------------- the system

NOP: Final = 0xD503201F
CLREX: Final = 0xD5033F5F
DMB: Final = 0xD5033BBF  # these two for the inner shareable domain
DSB: Final = 0xD5033B9F
ISB: Final = 0xD5033FDF
SVC: Final = 0xD4000001

_MRS: Final = 0xD5200000
_MSR: Final = 0xD5000000
NZCV: Final = 0x1B4200
FPCR: Final = 0x1B4400
FPSR: Final = 0x1B4420
CACHE_TYPE: Final = 0x1B0020  # CTR_EL0


def mrs(t: int, register: int) -> int:
    return _MRS | register | t


def msr(register: int, t: int) -> int:
    return _MSR | register | t


def clean_data(t: int) -> int:
    """dc cvau"""
    return 0xD50B7B20 | t


def invalidate_code(t: int) -> int:
    """ic ivau"""
    return 0xD50B7520 | t
