"""Entering wasm code from Python, and leaving it by a trap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.arm64.registers import CONTEXT, FRAME, INDEX, MEMORY, PAGE, RECORD, RESUME, THREAD
from wasmine.compiler.machine.arm64.words import (
    CLREX,
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
    bl,
    blr,
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
    stlr,
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

# The general registers that C functions preserve, below x29 and the return address.
_PRESERVED: Final = tuple(range(19, 29, 2))
_PUSHED: Final = 8 * 2 * (len(_PRESERVED) + 1)

# The frame of `run`: the activation, the return address, and the vector registers that C functions preserve. Functions of
# wasm preserve them, too, unless they trap.
_LINK: Final = Activation.SIZE
_VECTORS: Final = _LINK + 8
_PRESERVED_VECTORS: Final = tuple(range(8, 16, 2))
_SIZE: Final = _VECTORS + 8 * 2 * len(_PRESERVED_VECTORS)
assert _SIZE % 16 == 0


def push(to: Assembly) -> None:
    """The beginning of a C function: what it has to preserve."""
    to(stp_pre(29, LINK, SP, -_PUSHED))
    to(*(stp(register, register + 1, SP, 16 + 16 * i) for i, register in enumerate(_PRESERVED)))


def pop(to: Assembly) -> None:
    """Its end."""
    to(*(ldp(register, register + 1, SP, 16 + 16 * i) for i, register in enumerate(_PRESERVED)))
    to(ldp_post(29, LINK, SP, _PUSHED), RET)


def take(to: Assembly, busy: str) -> None:
    """Take the context in x13 for the thread block in x14, or go to `busy`. Changes x9 and x10.

    It is given back when the innermost `run` ends.
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


def to_python(to: Assembly) -> None:
    """From wasm code to Python, with THREAD and PAGE: the GIL is held then."""
    held = to.local("held")
    to(str_w(ZERO, THREAD, Thread.INSIDE), ldr(0, THREAD, Thread.STATE))
    to.to(held, cbz(0))
    to(str_(ZERO, THREAD, Thread.STATE))
    to.call(Data.RESTORE_THREAD)
    to.label(held)


def to_wasm(to: Assembly) -> None:
    """Back to wasm code, with THREAD and the GIL, which is not released here: amd64's says why. Changes x9.

    Whoever does it has to look at Thread.SIGNALS afterwards.
    """
    to(movz(9, 1), str_w(9, THREAD, Thread.INSIDE))


def entry(to: Assembly) -> None:
    """int enter(frame): call wasm code. The arguments lie in the frame, the record of the function in the call before it.

    0: it returned; results are in the frame or in the call. 1: it trapped, the call says how. The GIL is held at both ends.
    """
    to.label("enter", public=True)
    push(to)
    to(sub_imm(SP, SP, 16), move(FRAME, 0))
    to.to("data", adr(PAGE))
    to(ldr_w(0, PAGE, Data.THREAD_KEY))
    to.call(Data.GET_SPECIFIC)
    to(move(THREAD, 0), mrs(9, FPCR), str_(9, SP), ldr_w(9, PAGE, Data.CONTROL), msr(FPCR, 9))
    to.to("run", bl())
    to(ldr(9, SP), msr(FPCR, 9), add_imm(SP, SP, 16))
    pop(to)
    _run(to)
    _leave(to)


def _run(to: Assembly) -> None:
    """The same for machine code: with FRAME, PAGE and THREAD, and the control register as wasm wants it.

    PAGE and THREAD are the same afterwards, and if it returned, x24 to x27 as well.
    """
    to.label("run")
    to(sub_imm(SP, SP, _SIZE), str_(LINK, SP, _LINK))
    to(*(stp_d(register, register + 1, SP, _VECTORS + 16 * i) for i, register in enumerate(_PRESERVED_VECTORS)))
    to(str_(FRAME, SP, Activation.FRAME), str_(THREAD, SP, Activation.THREAD))
    for source, target in (
        (Thread.ACTIVATION, Activation.PREVIOUS),
        (Thread.OWNED, Activation.OWNED),
        (Thread.TOP, Activation.TOP),
    ):
        to(ldr(9, THREAD, source), str_(9, SP, target))
    to(ldur(RECORD, FRAME, Call.RECORD - Call.FRAME), ldr(13, RECORD, Record.CONTEXT), move(14, THREAD))
    to(ldr(9, 13, Context.THREAD), cmp(9, 14))
    to.to("run_taken", b_if(EQ))
    take(to, "run_busy")
    to.label("run_taken")
    to(move(CONTEXT, 13), move_sp(9, SP), str_(9, THREAD, Thread.ACTIVATION), ldr_w(9, CONTEXT, Context.RELEASE))
    to.to("run_kept", cbz_w(9))
    to.call(Data.SAVE_THREAD)
    to(str_(0, THREAD, Thread.STATE))
    to.label("run_kept")
    to_wasm(to)
    to(ldr(9, THREAD, Thread.SIGNALS))
    to.to("run_requested", cbnz(9))
    to.label("run_on")
    to(ldr(MEMORY, CONTEXT, Context.MEMORY), ldur(RECORD, FRAME, Call.RECORD - Call.FRAME))
    to(ldr(16, RECORD, Record.CODE), blr(16))
    to.label("enter_returned", public=True)
    to(ldr(9, SP, Activation.FRAME), stur(0, 9, Call.RESULT - Call.FRAME))
    to(stur_q(0, 9, Call.RESULT_VECTOR - Call.FRAME), movz(28, 0))
    to.to("run_leave", b())
    to.label("run_requested")
    to.to("run_on", adr(RESUME))
    to.to("safepoint", b())
    to.label("run_busy")
    to(movz(9, layout.BUSY), str_(9, FRAME, Call.TRAP - Call.FRAME), str_(ZERO, FRAME, Call.TRAP_PC - Call.FRAME))
    to(str_(13, FRAME, Call.TRAP_CONTEXT - Call.FRAME), str_(ZERO, FRAME, Call.STACK_COPIED - Call.FRAME), movz(0, 1))
    to.to("run_done", b())


def _leave(to: Assembly) -> None:
    """The end of `run`. x28: what it returns."""
    to.label("run_trapped")
    to.to("data", adr(PAGE))
    to(ldr(THREAD, SP, Activation.THREAD))
    to(*(ldp_d(register, register + 1, SP, _VECTORS + 16 * i) for i, register in enumerate(_PRESERVED_VECTORS)))
    to(movz(28, 1))
    to.label("run_leave")
    to(ldr(9, SP, Activation.PREVIOUS), str_(9, THREAD, Thread.ACTIVATION))
    # Give back what was taken since.
    to(ldr(10, SP, Activation.OWNED), ldr(9, THREAD, Thread.OWNED))
    to.label("run_release")
    to(cmp(9, 10))
    to.to("run_released", b_if(EQ))
    to(ldr(11, 9, Context.NEXT), stlr(ZERO, 9), move(9, 11))
    to.to("run_release", b())
    to.label("run_released")
    to(str_(10, THREAD, Thread.OWNED), ldr(9, SP, Activation.TOP), str_(9, THREAD, Thread.TOP))
    to_python(to)
    to(move_w(0, 28))
    to.label("run_done")
    to(ldr(LINK, SP, _LINK), add_imm(SP, SP, _SIZE), RET)


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
    # stack, then go on in `run`.
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
    to(move_sp(SP, 1))
    to.to("run_trapped", b())
