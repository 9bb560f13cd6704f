"""The handler of faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.arm64.linux import SYS_GETTID, SYS_RT_SIGACTION, SYS_TGKILL, UC_PC, UC_REGISTERS, UC_SP
from wasmine.compiler.machine.arm64.registers import CONTEXT
from wasmine.compiler.machine.arm64.words import (
    GT,
    HS,
    LE,
    LINK,
    LO,
    LS,
    NE,
    RET,
    SP,
    SVC,
    ZERO,
    add,
    add_imm,
    adr,
    b,
    b_if,
    blr,
    cbz,
    cmp,
    cmp_imm,
    cmp_imm_w,
    cmp_sp,
    field,
    ldp,
    ldp_post,
    ldr,
    ldr_element,
    ldr_w,
    lsl_imm,
    move,
    move_sp,
    move_w,
    movz,
    stp,
    stp_pre,
    str_,
    sub,
    sub_imm,
)
from wasmine.compiler.machine.layout import Call, Data, Thread
from wasmine.compiler.machine.linux import SI_ADDR, SI_CODE

if TYPE_CHECKING:
    from wasmine.compiler.machine.arm64.assembly import Assembly


def begin_handler(to: Assembly) -> None:
    """A signal handler's frame. x19 to x22: the signal, its siginfo_t and ucontext_t, the data page."""
    to(stp_pre(29, LINK, SP, -64), move_sp(29, SP), stp(19, 20, SP, 16), stp(21, 22, SP, 32), stp(23, 24, SP, 48))
    to(move_w(19, 0), move(20, 1), move(21, 2))
    to.to("data", adr(22))


def end_handler(to: Assembly) -> None:
    """Its end."""
    to(ldp(23, 24, SP, 48), ldp(21, 22, SP, 32), ldp(19, 20, SP, 16), ldp_post(29, LINK, SP, 64), RET)


def outside(to: Assembly, label: str) -> None:
    """Go to a label unless it was wasm code that was interrupted. Changes x9 and x10."""
    to(ldr(9, 21, UC_PC), ldr(10, 22, Data.CODE_START), sub(9, 9, 10), ldr(10, 22, Data.CODE_SIZE), cmp(9, 10))
    to.to(label, b_if(HS))


def find_thread(to: Assembly, label: str) -> None:
    """The thread block into x0, or go to a label if the thread has none."""
    to(ldr_w(0, 22, Data.THREAD_KEY), ldr(16, 22, Data.GET_SPECIFIC), blr(16))
    to.to(label, cbz(0))


def load_previous(to: Assembly) -> None:
    """The handler that was there before into x16. Changes x9."""
    to(add_imm(9, 22, Data.PREVIOUS), ldr_element(16, 9, 19))


def faults(to: Assembly) -> None:
    """void fault(signal, siginfo, ucontext): SIGSEGV, SIGBUS and SIGFPE."""
    to.label("fault", public=True)
    begin_handler(to)
    to(ldr_w(9, 20, SI_CODE), cmp_imm_w(9, 0))
    to.to("fault_chain", b_if(LE))
    outside(to, "fault_chain")
    find_thread(to, "fault_chain")
    to(ldr(9, 0, Thread.ACTIVATION))
    to.to("fault_chain", cbz(9))
    at = Thread.TRAP - Call.TRAP
    to(ldr(9, 21, UC_PC), str_(9, 0, at + Call.TRAP_PC), ldr(9, 20, SI_ADDR), str_(9, 0, at + Call.TRAP_ADDRESS))
    to(str_(19, 0, at + Call.TRAP_SIGNAL), movz(9, layout.FAULT), str_(9, 0, at + Call.TRAP))
    to(ldr(9, 21, UC_SP), str_(9, 0, at + Call.TRAP_STACK))
    to(ldr(9, 21, UC_REGISTERS + 8 * CONTEXT), str_(9, 0, at + Call.TRAP_CONTEXT))
    to(str_(0, 21, UC_REGISTERS))
    to.to("leave_by_trap", adr(9))
    to(str_(9, 21, UC_PC))
    to.to("fault_done", b())
    to.label("fault_chain")
    # Not ours: the handler that was there before; but the default action if that came back to us, because it remembers our
    # handler as the one before its own. Then this thread is calling it already, from further up its stack.
    load_previous(to)
    to(cmp_imm(16, 1))
    to.to("fault_default", b_if(LS))
    to(movz(8, SYS_GETTID), SVC, field(9, 0, 0, Data.CHAINS.bit_length() - 1), lsl_imm(9, 9, 4))
    to(add_imm(23, 22, Data.CHAINING), add(23, 23, 9), ldr(9, 23), cmp(9, 0))
    to.to("fault_call", b_if(NE))
    to(ldr(9, 23, 8), cmp_sp(9))
    to.to("fault_default", b_if(LO))
    to.label("fault_call")
    to(str_(0, 23), move_sp(9, SP), str_(9, 23, 8), move_w(0, 19), move(1, 20), move(2, 21))
    load_previous(to)
    to(blr(16), str_(ZERO, 23))
    to.to("fault_done", b())
    to.label("fault_default")
    # Back to SIG_DFL by the raw system call (struct kernel_sigaction: handler, flags, restorer, mask): the instruction
    # faults again and the core dump has the true place. A signal that was sent is sent again.
    to(sub_imm(SP, SP, 32), stp(ZERO, ZERO, SP), stp(ZERO, ZERO, SP, 16))
    to(move_w(0, 19), move_sp(1, SP), movz(2, 0), movz(3, 8), movz(8, SYS_RT_SIGACTION), SVC, add_imm(SP, SP, 32))
    to(ldr_w(9, 20, SI_CODE), cmp_imm_w(9, 0))
    to.to("fault_done", b_if(GT))
    to(movz(8, SYS_GETTID), SVC, move_w(1, 0), ldr_w(0, 22, Data.PROCESS), move_w(2, 19), movz(8, SYS_TGKILL), SVC)
    to.label("fault_done")
    end_handler(to)
