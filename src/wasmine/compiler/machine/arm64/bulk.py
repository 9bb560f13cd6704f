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
    add,
    add_imm,
    adds,
    b,
    b_if,
    cbnz,
    cbz,
    cmp,
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
    subs_imm,
)
from wasmine.compiler.machine.layout import Context, Thread

if TYPE_CHECKING:
    from wasmine.compiler.machine.arm64.assembly import Assembly

# x12: the address of the operands' slots; x13 and x14: of (base, length) pairs. Bounds are checked first, so nothing is
# written if any byte lies outside. Only what no operand is in is changed.
_PIECE: Final = 32


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


def _pieces(to: Assembly, piece: tuple[int, ...], byte: tuple[int, ...]) -> None:
    """Do the work of x10 bytes, by large pieces, then by single bytes."""
    large, small, done = to.local("large"), to.local("small"), to.local("done")
    single = to.local("single")
    to(subs_imm(10, 10, _PIECE))
    to.to(small, b_if(LO))
    to.label(large)
    to(*piece, subs_imm(10, 10, _PIECE))
    to.to(large, b_if(HS))
    to.label(small)
    to(add_imm(10, 10, _PIECE))
    to.label(single)
    to.to(done, cbz(10))
    to(*byte, sub_imm(10, 10, 1))
    to.to(single, b())
    to.label(done)
    # A loop may spend nearly all of its time here, where no signal interrupts it: so it looks by itself.
    to(ldr(9, CONTEXT, Context.THREAD), ldr(9, 9, Thread.SIGNALS))
    to.to("bulk_requested", cbnz(9))
    to(RET)


def _fill(to: Assembly, bits: int) -> None:
    load = ldr_w if bits == 32 else ldr
    to.label(f"fill{bits}", public=True)
    to(load(9, 12), load(10, 12, 16))
    _check(to, 9, 13, f"fill{bits}_outside")
    to(ldr(8, 13), add(9, 9, 8), ldr_w(8, 12, 8), dup_bytes(16, 8))
    _pieces(to, (stp_q_post(16, 16, 9, _PIECE),), (strb_post(8, 9, 1),))


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
    _pieces(
        to,
        (ldp_q_post(16, 17, 16, _PIECE), stp_q_post(16, 17, 9, _PIECE)),
        (ldrb_post(8, 16, 1), strb_post(8, 9, 1)),
    )
    to.label(backwards)
    to(add(9, 9, 10), add(16, 16, 10))
    _pieces(
        to,
        (ldp_q_pre(16, 17, 16, -_PIECE), stp_q_pre(16, 17, 9, -_PIECE)),
        (ldrb_pre(8, 16, -1), strb_pre(8, 9, -1)),
    )
