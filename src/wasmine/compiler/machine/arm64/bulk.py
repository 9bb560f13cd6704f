"""memory.fill and memory.copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.code import Service
from wasmine.compiler.machine.arm64.registers import CONTEXT, FRAME, RESUME
from wasmine.compiler.machine.arm64.words import (
    HI,
    HS,
    LINK,
    LO,
    RET,
    ZERO,
    add,
    add_imm,
    adds,
    adr,
    b,
    b_if,
    cbnz,
    cbz,
    cmp,
    csel,
    dup_bytes,
    ldp_q_post,
    ldp_q_pre,
    ldr,
    ldr_w,
    ldrb_post,
    ldrb_pre,
    move,
    movz,
    stp_q_post,
    stp_q_pre,
    str_,
    strb_post,
    strb_pre,
    sub,
    sub_imm,
    subs,
    subs_imm,
)
from wasmine.compiler.machine.layout import PIECE, Context, Thread

if TYPE_CHECKING:
    from wasmine.compiler.machine.arm64.assembly import Assembly

# x12: the address of the operands' slots; x13 and x14: of (base, length) pairs. Bounds are checked first, so nothing is
# written if any byte lies outside. Only what no operand is in is changed.
# What is long is done by pieces: the operands become those of the rest, and it begins again.
_STEP: Final = 32


def bulk(to: Assembly) -> None:
    """memory.fill and memory.copy for indices of 32 and 64 bits: `fill32`, `copy32`, ..."""
    for bits in (32, 64):
        _fill(to, bits)
        _copy(to, bits)
        _outside(to, bits)
    to.label("bulk_requested")
    to(move(RESUME, LINK))
    to.to("safepoint", b())


def _outside(to: Assembly, bits: int) -> None:
    """As a call of Python from where fill or copy was called, with the operands and the pairs. It traps."""
    to.label(f"fill{bits}_outside")
    to(movz(14, 0))
    to.label(f"copy{bits}_outside")
    to(str_(13, 12, 24), str_(14, 12, 32), move(FRAME, 12))
    to(movz(12, Service.BULK_OUTSIDE_32 if bits == 32 else Service.BULK_OUTSIDE_64))
    to.to("call_host", b())


def _check(to: Assembly, index: int, pair: int, outside: str) -> None:
    """Whether `count` bytes (x10) from an index on lie in a memory."""
    to(adds(17, index, 10))
    to.to(outside, b_if(HS))
    to(ldr(8, pair, 8), cmp(17, 8))
    to.to(outside, b_if(HI))


def _cut(to: Assembly) -> None:
    """The first piece: its length in x10, that of the rest as the operand."""
    to(movz(17, PIECE >> 16, 16), subs(17, 10, 17), csel(17, 17, ZERO, HI), str_(17, 12, 16), sub(10, 10, 17))


def _advance(to: Assembly, bits: int, *operands: int) -> None:
    """The rest begins behind the piece: these operands, by their offsets, are addresses."""
    load = ldr_w if bits == 32 else ldr
    for operand in operands:
        to(load(8, 12, operand), add(8, 8, 10), str_(8, 12, operand))


def _piece(to: Assembly, again: str, step: tuple[int, ...], byte: tuple[int, ...]) -> None:
    """Do x10 bytes, by steps of many, then one by one; then the rest, or return."""
    large, small, done = to.local("large"), to.local("small"), to.local("done")
    single, more = to.local("single"), to.local("more")
    to(subs_imm(10, 10, _STEP))
    to.to(small, b_if(LO))
    to.label(large)
    to(*step, subs_imm(10, 10, _STEP))
    to.to(large, b_if(HS))
    to.label(small)
    to(add_imm(10, 10, _STEP))
    to.label(single)
    to.to(done, cbz(10))
    to(*byte, sub_imm(10, 10, 1))
    to.to(single, b())
    to.label(done)
    # A loop may spend nearly all of its time here, where no signal interrupts it: so it looks by itself.
    to(ldr(10, 12, 16), ldr(9, CONTEXT, Context.THREAD), ldr(9, 9, Thread.SIGNALS))
    to.to(more, cbnz(10))
    to.to("bulk_requested", cbnz(9))
    to(RET)
    to.label(more)
    to.to(again, cbz(9))
    to.to(again, adr(RESUME))
    to.to("safepoint", b())


def _fill(to: Assembly, bits: int) -> None:
    load = ldr_w if bits == 32 else ldr
    to.label(f"fill{bits}", public=True)
    to(load(9, 12), load(10, 12, 16))
    _check(to, 9, 13, f"fill{bits}_outside")
    to(ldr(8, 13), add(9, 9, 8))
    _cut(to)
    _advance(to, bits, 0)
    to(ldr_w(8, 12, 8), dup_bytes(16, 8))
    _piece(to, f"fill{bits}", (stp_q_post(16, 16, 9, _STEP),), (strb_post(8, 9, 1),))


def _copy(to: Assembly, bits: int) -> None:
    load = ldr_w if bits == 32 else ldr
    backwards = to.local("backwards")
    to.label(f"copy{bits}", public=True)
    to(load(9, 12), load(16, 12, 8), load(10, 12, 16))
    _check(to, 9, 13, f"copy{bits}_outside")
    _check(to, 16, 14, f"copy{bits}_outside")
    to(ldr(8, 13), add(9, 9, 8), ldr(8, 14), add(16, 16, 8))
    # Backwards only if the destination lies in the source: destination - source < count, unsigned.
    to(sub(17, 9, 16), cmp(17, 10))
    to.to(backwards, b_if(LO))
    _cut(to)
    _advance(to, bits, 0, 8)
    _piece(
        to,
        f"copy{bits}",
        (ldp_q_post(16, 17, 16, _STEP), stp_q_post(16, 17, 9, _STEP)),
        (ldrb_post(8, 16, 1), strb_post(8, 9, 1)),
    )
    # The last piece first. What is left may then be copied forwards, if the memories overlap no more.
    to.label(backwards)
    to(add(9, 9, 10), add(16, 16, 10))
    _cut(to)
    _piece(
        to,
        f"copy{bits}",
        (ldp_q_pre(16, 17, 16, -_STEP), stp_q_pre(16, 17, 9, -_STEP)),
        (ldrb_pre(8, 16, -1), strb_pre(8, 9, -1)),
    )
