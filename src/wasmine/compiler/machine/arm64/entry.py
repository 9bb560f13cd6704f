"""Entering wasm code from Python, and leaving it by a trap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.arm64.registers import CONTEXT, FRAME, INDEX, MEMORY, RECORD, RESUME
from wasmine.compiler.machine.arm64.words import (
    CLREX,
    DMB,
    EQ,
    FPCR,
    HI,
    LINK,
    LO,
    RET,
    SP,
    ZERO,
    add_imm,
    adr,
    b,
    b_if,
    blr,
    br,
    cbnz,
    cbnz_w,
    cbz,
    cbz_w,
    cmp,
    csel,
    ldaxr,
    ldp,
    ldp_d,
    ldp_post,
    ldr,
    ldr_post,
    ldr_w,
    ldur,
    move,
    move_sp,
    move_w,
    movz,
    mrs,
    msr,
    stlxr,
    stp,
    stp_d,
    stp_post,
    stp_pre,
    str_,
    str_post,
    str_w,
    stur,
    stur_q,
    sub_imm,
    subs,
    subs_imm,
)
from wasmine.compiler.machine.layout import Activation, Call, Context, Data, Record, Thread

if TYPE_CHECKING:
    from wasmine.compiler.machine.arm64.assembly import Assembly

# What C functions preserve: x19 to x30, d8 to d15.
_SAVED: Final = 12 * 8 + 8 * 8
# Below it: the activation, and behind that what else has to be kept.
_STACK: Final = Activation.SIZE
_LANDING: Final = _STACK + 8
_CONTROL: Final = _STACK + 16
_SIZE: Final = _STACK + 24 + 15 & -16


def take(to: Assembly, busy: str) -> None:
    """Take the context in x13 for the thread block in x14, or go to `busy`. Changes x9 and x10.

    It is given back when the innermost `enter` ends.
    """
    again, taken, other = to.local("again"), to.local("taken"), to.local("other")
    assert Context.THREAD == 0
    to.label(again)
    to(ldaxr(9, 13))
    to.to(other, cbnz(9))
    to(stlxr(10, 14, 13))
    to.to(again, cbnz_w(10))
    for source, target in (
        (Thread.STACK_LIMIT, Context.STACK_LIMIT),
        (Thread.VALUES_LIMIT, Context.VALUES_LIMIT),
        (Thread.OWNED, Context.NEXT),
    ):
        to(ldr(9, 14, source), str_(9, 13, target))
    to(str_(13, 14, Thread.OWNED))
    to.to(taken, b())
    to.label(other)
    to(CLREX)
    to.to(busy, b())
    to.label(taken)


def to_python(to: Assembly, thread: int, data: int) -> None:
    """From wasm code to Python, with the thread block and the data page in these registers: the GIL is held then."""
    held = to.local("held")
    to(str_w(ZERO, thread, Thread.INSIDE), ldr(0, thread, Thread.STATE))
    to.to(held, cbz(0))
    to(str_(ZERO, thread, Thread.STATE), ldr(16, data, Data.RESTORE_THREAD), blr(16))
    to.label(held)


def to_wasm(to: Assembly, data: int) -> None:
    """Back to wasm code of the context. Whoever does it has to look at Thread.SIGNALS, of the thread block in x9 then."""
    kept = to.local("kept")
    to(ldr_w(9, CONTEXT, Context.RELEASE))
    to.to(kept, cbz_w(9))
    to(ldr(16, data, Data.SAVE_THREAD), blr(16), ldr(9, CONTEXT, Context.THREAD), str_(0, 9, Thread.STATE))
    to.label(kept)
    to(ldr(9, CONTEXT, Context.THREAD), movz(10, 1), str_w(10, 9, Thread.INSIDE), DMB)


def entry(to: Assembly) -> None:
    """int enter(frame): call wasm code. The arguments lie in the frame, the record of the function in the call before it.

    0: it returned; results are in the frame or in the call. 1: it trapped, the call says how. The GIL is held at both ends.
    """
    to.label("enter", public=True)
    to(stp_pre(29, LINK, SP, -_SAVED), move_sp(29, SP))
    for i, register in enumerate(range(19, 29, 2)):
        to(stp(register, register + 1, SP, 16 + 16 * i))
    for i, register in enumerate(range(8, 16, 2)):
        to(stp_d(register, register + 1, SP, 96 + 16 * i))
    to(sub_imm(SP, SP, _SIZE), move(FRAME, 0))
    to.to("data", adr(19))
    to(ldr_w(0, 19, Data.THREAD_KEY), ldr(16, 19, Data.GET_SPECIFIC), blr(16), move(23, 0))
    to(move_sp(9, SP), str_(9, SP, _STACK))
    to.to("enter_trapped", adr(9))
    to(str_(9, SP, _LANDING), str_(FRAME, SP, Activation.FRAME), str_(23, SP, Activation.THREAD))
    for source, target in (
        (Thread.ACTIVATION, Activation.PREVIOUS),
        (Thread.OWNED, Activation.OWNED),
        (Thread.TOP, Activation.TOP),
    ):
        to(ldr(9, 23, source), str_(9, SP, target))
    to(mrs(9, FPCR), str_w(9, SP, _CONTROL))
    to(ldur(RECORD, FRAME, Call.RECORD - Call.FRAME), ldr(13, RECORD, Record.CONTEXT), move(14, 23))
    to(ldr(9, 13, Context.THREAD), cmp(9, 14))
    to.to("enter_taken", b_if(EQ))
    take(to, "enter_busy")
    to.label("enter_taken")
    to(move(CONTEXT, 13), move_sp(9, SP), str_(9, 23, Thread.ACTIVATION))
    to_wasm(to, 19)
    to(ldr_w(10, 19, Data.CONTROL), msr(FPCR, 10), ldr(9, 9, Thread.SIGNALS))
    to.to("enter_requested", cbnz(9))
    to.label("enter_on")
    to(ldr(MEMORY, CONTEXT, Context.MEMORY), ldur(RECORD, FRAME, Call.RECORD - Call.FRAME))
    to(ldr(16, RECORD, Record.CODE), blr(16))
    to.label("enter_returned", public=True)
    to(ldr(9, SP, Activation.FRAME), stur(0, 9, Call.RESULT - Call.FRAME))
    to(stur_q(0, 9, Call.RESULT_VECTOR - Call.FRAME), movz(24, 0))
    to.to("enter_leave", b())
    to.label("enter_requested")
    to.to("enter_on", adr(RESUME))
    to.to("safepoint", b())
    to.label("enter_busy")
    to(movz(9, layout.BUSY), str_(9, FRAME, Call.TRAP - Call.FRAME), str_(ZERO, FRAME, Call.TRAP_PC - Call.FRAME))
    to(str_(13, FRAME, Call.TRAP_CONTEXT - Call.FRAME), str_(ZERO, FRAME, Call.STACK_COPIED - Call.FRAME), movz(0, 1))
    to.to("enter_done", b())
    to.label("enter_trapped")
    to(movz(24, 1))
    to.label("enter_leave")
    to(ldr(23, SP, Activation.THREAD))
    to(ldr_w(9, SP, _CONTROL), msr(FPCR, 9))
    to(ldr(9, SP, Activation.PREVIOUS), str_(9, 23, Thread.ACTIVATION))
    # Give back what was taken since.
    to(ldr(10, SP, Activation.OWNED), ldr(9, 23, Thread.OWNED))
    to.label("enter_release")
    to(cmp(9, 10))
    to.to("enter_released", b_if(EQ))
    to(ldr(11, 9, Context.NEXT), DMB, str_(ZERO, 9, Context.THREAD), move(9, 11))
    to.to("enter_release", b())
    to.label("enter_released")
    to(str_(10, 23, Thread.OWNED), ldr(9, SP, Activation.TOP), str_(9, 23, Thread.TOP))
    to.to("data", adr(19))
    to_python(to, 23, 19)
    to(move_w(0, 24))
    to.label("enter_done")
    to(add_imm(SP, SP, _SIZE))
    for i, register in enumerate(range(8, 16, 2)):
        to(ldp_d(register, register + 1, SP, 96 + 16 * i))
    for i, register in enumerate(range(19, 29, 2)):
        to(ldp(register, register + 1, SP, 16 + 16 * i))
    to(ldp_post(29, LINK, SP, _SAVED), RET)


def traps(to: Assembly) -> None:
    """Explicit traps: wasm code *calls* `trap` with the trap's number in x12, so the return address is the place.

    In x14 is what there is to tell of it.
    """
    to.label("trap", public=True)
    to(ldr(0, CONTEXT, Context.THREAD), str_(LINK, 0, Thread.TRAP + Call.TRAP_PC - Call.TRAP), str_(12, 0, Thread.TRAP))
    to(str_(INDEX, 0, Thread.TRAP + Call.TRAP_ADDRESS - Call.TRAP))
    to(str_(ZERO, 0, Thread.TRAP + Call.TRAP_SIGNAL - Call.TRAP), move_sp(9, SP))
    to(str_(9, 0, Thread.TRAP + Call.TRAP_STACK - Call.TRAP))
    to(str_(CONTEXT, 0, Thread.TRAP + Call.TRAP_CONTEXT - Call.TRAP))
    # x0: the thread. Note the trap where the frame of the call was, with a copy of the native stack for the wasm call
    # stack, then go on in `enter`.
    to.label("leave_by_trap")
    to(ldr(1, 0, Thread.ACTIVATION), ldr(3, 1, Activation.FRAME), add_imm(2, 0, Thread.TRAP))
    for _ in range((Call.STACK_COPIED - Call.TRAP) // 16):
        to(ldp_post(9, 10, 2, 16), stp_post(9, 10, 3, 16))
    to(ldr(4, 0, Thread.TRAP + Call.TRAP_STACK - Call.TRAP), subs(5, 1, 4), csel(5, ZERO, 5, LO))
    to(movz(9, Call.STACK_COPY_SIZE), cmp(5, 9), csel(5, 9, 5, HI))
    to(str_post(5, 3, Call.STACK_COPY - Call.STACK_COPIED))
    to.label("leave_copy")
    to(subs_imm(5, 5, 8))
    to.to("leave_copied", b_if(LO))
    to(ldr_post(9, 4, 8), str_post(9, 3, 8))
    to.to("leave_copy", b())
    to.label("leave_copied")
    to(ldr(9, 1, _STACK), move_sp(SP, 9), ldr(16, 1, _LANDING), br(16))
