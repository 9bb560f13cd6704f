"""What interrupts wasm code: the safepoint, and the signal handlers that lead to it; and the cache of instructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.arm64.faults import begin_handler, end_handler, find_thread, load_previous, outside
from wasmine.compiler.machine.arm64.linux import (
    REGISTER_SYNCHRONIZE_CODE,
    SYNCHRONIZE_CODE,
    SYS_MEMBARRIER,
    SYS_TGKILL,
    UC_PC,
    UC_REGISTERS,
)
from wasmine.compiler.machine.arm64.registers import CONTEXT, FRAME, RESUME
from wasmine.compiler.machine.arm64.words import (
    CACHE_TYPE,
    CLREX,
    DMB,
    DSB,
    FPCR,
    FPSR,
    ISB,
    LINK,
    LO,
    LS,
    NZCV,
    RET,
    SP,
    SVC,
    ZERO,
    add,
    add_imm,
    adr,
    b,
    b_if,
    bic,
    bl,
    blr,
    br,
    cbnz,
    cbnz_w,
    cbz,
    cbz_w,
    clean_data,
    cmp,
    cmp_imm,
    csel,
    field,
    invalidate_code,
    ldp,
    ldp_post,
    ldp_q,
    ldr,
    ldr_w,
    lsl,
    move,
    move_sp,
    move_w,
    movz,
    mrs,
    msr,
    orr_w,
    stp,
    stp_pre,
    stp_q,
    str_,
    str_w,
    sub,
    sub_imm,
)
from wasmine.compiler.machine.layout import KICK, TOP_SLACK, Call, Data, Thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.machine.arm64.assembly import Assembly

# What the safepoint saves: x0 to x30, three system registers, v0 to v31.
_SYSTEM: Final = (NZCV, FPCR, FPSR)
_VECTORS: Final = 8 * 31 + 8 * len(_SYSTEM)
_SIZE: Final = _VECTORS + 32 * 16
assert _VECTORS % 16 == 0


def interrupts(to: Assembly) -> None:
    """Everything of this module."""
    _safepoint(to)
    _kick(to)
    _python_signal(to)
    _instruction_cache(to)


def _registers(to: Assembly, pair: Callable[..., int], single: Callable[..., int], vectors: Callable[..., int]) -> None:
    for register in range(0, 30, 2):
        to(pair(register, register + 1, SP, 8 * register))
    to(single(30, SP, 8 * 30))
    for register in range(0, 32, 2):
        to(vectors(register, register + 1, SP, _VECTORS + 16 * register))


def _safepoint(to: Assembly) -> None:
    """Where wasm code is interrupted, and where it begins and goes on while something is asked for (Thread.SIGNALS, STOP).

    The GIL may be released or kept (Thread.STATE). It goes on at the address in x15, with every other register as before;
    or the innermost `run` is left with what Python's signal handlers raised, or with Data.EXPIRED.
    """
    to.label("safepoint")
    to(sub_imm(SP, SP, _SIZE))
    _registers(to, stp, str_, stp_q)
    for i, register in enumerate(_SYSTEM):
        to(mrs(9, register), str_(9, SP, 8 * 31 + 8 * i))
    to.to("data", adr(19))
    to(ldr_w(0, 19, Data.THREAD_KEY), ldr(16, 19, Data.GET_SPECIFIC), blr(16), move(23, 0))
    # What signal handlers call begins behind the frame of the function that was interrupted, whichever it is.
    to(ldr(24, 23, Thread.TOP), add_imm(9, FRAME, TOP_SLACK >> 12, shifted=True), ldr(10, 19, Data.LARGEST_FRAME))
    to(add(9, 9, 10), str_(9, 23, Thread.TOP))
    # x26: whether the GIL is to be released when wasm code goes on.
    to(movz(26, 0))
    to.label("safepoint_again")
    to(str_w(ZERO, 23, Thread.INSIDE), ldr(0, 23, Thread.STATE))
    to.to("safepoint_held", cbz(0))
    to(movz(26, 1), ldr(16, 19, Data.RESTORE_THREAD), blr(16), str_(ZERO, 23, Thread.STATE))
    to.label("safepoint_held")
    to.exchange(27, 23, Thread.SIGNALS, ZERO)
    to.unless_bit("safepoint_ticking", 27, layout.START_TICKER)
    to.to("start_ticker", bl())
    to(orr_w(26, 26, 0))
    to.label("safepoint_ticking")
    to(field(9, 27, layout.RELEASE.bit_length() - 1, 1), orr_w(26, 26, 9))
    to.unless_bit("safepoint_hooked", 27, layout.HOOK)
    to(movz(0, 1))
    to.to("hook_signals", bl())
    to.label("safepoint_hooked")
    to(ldr(16, 19, Data.CHECK_SIGNALS), blr(16), movz(25, 0))
    to.to("safepoint_raised", cbnz_w(0))
    to(ldr_w(9, 23, Thread.STOP))
    to.to("safepoint_quiet", cbz_w(9))
    to(ldr(0, 19, Data.EXPIRED), ldr(16, 19, Data.SET_NONE), blr(16))
    to.label("safepoint_raised")
    to(movz(25, 1))
    to.label("safepoint_quiet")
    to.to("safepoint_on", cbz(26))
    to(ldr(16, 19, Data.SAVE_THREAD), blr(16), str_(0, 23, Thread.STATE))
    to.label("safepoint_on")
    to(movz(9, 1), str_w(9, 23, Thread.INSIDE), DMB)
    to.to("safepoint_leave", cbnz(25))
    to(ldr(9, 23, Thread.SIGNALS))
    to.to("safepoint_again", cbnz(9))
    to(str_(24, 23, Thread.TOP), ldr_w(9, 19, Data.TICKER))
    to.to("safepoint_restore", cbnz_w(9))
    # There is none, and none could be started: the next call tries again.
    to.set_bits(23, Thread.SIGNALS, layout.START_TICKER)
    to.label("safepoint_restore")
    for i, register in enumerate(_SYSTEM):
        to(ldr(9, SP, 8 * 31 + 8 * i), msr(register, 9))
    _registers(to, ldp, ldr, ldp_q)
    # Between a load-exclusive and its store, code is to do both again: another load-exclusive, whose store C code left out,
    # must not stand in for its own. (Returning from the handler did that, but much has run since.)
    to(CLREX, add_imm(SP, SP, _SIZE), br(RESUME))
    to.label("safepoint_leave")
    at = Thread.TRAP - Call.TRAP
    to(move(0, 23), movz(9, layout.PYTHON_EXCEPTION), str_(9, 0, at + Call.TRAP))
    # The place, as that of a call that returns behind it. If it is not in wasm code: the sequences come here when they are
    # about to return.
    to(ldr(9, SP, 8 * RESUME), ldr(10, 19, Data.CODE_START), sub(10, 9, 10), ldr(11, 19, Data.CODE_SIZE), cmp(10, 11))
    to(add_imm(9, 9, 1), ldr(10, SP, 8 * LINK), csel(9, 9, 10, LO), str_(9, 0, at + Call.TRAP_PC))
    to(str_(ZERO, 0, at + Call.TRAP_SIGNAL), add_imm(9, SP, _SIZE), str_(9, 0, at + Call.TRAP_STACK))
    to(str_(CONTEXT, 0, at + Call.TRAP_CONTEXT))
    to.to("leave_by_trap", b())


def _kick(to: Assembly) -> None:
    """void kick(signal, siginfo, ucontext): a signal that says that something is asked for.

    Wasm code goes on at `safepoint`; anything else looks by itself when it comes to wasm code; and the signal is sent again
    as long as nobody looked.
    """
    to.label("kick", public=True)
    begin_handler(to)
    find_thread(to, "kick_chain")
    to(ldr(9, 0, Thread.SIGNALS), movz(10, layout.START_TICKER), bic(9, 9, 10))
    to.to("kick_chain", cbz(9))
    to(ldr_w(9, 0, Thread.INSIDE))
    to.to("kick_done", cbz_w(9))
    outside(to, "kick_done")
    to(ldr(9, 21, UC_PC), str_(9, 21, UC_REGISTERS + 8 * RESUME))
    to.to("safepoint", adr(9))
    to(str_(9, 21, UC_PC))
    to.to("kick_done", b())
    to.label("kick_chain")
    # Nothing is asked for: it was somebody else's.
    load_previous(to)
    to(cmp_imm(16, 1))
    to.to("kick_done", b_if(LS))
    to(move_w(0, 19), move(1, 20), move(2, 21), blr(16))
    to.label("kick_done")
    end_handler(to)


def _python_signal(to: Assembly) -> None:
    """void python_signal(signal, siginfo, ucontext): CPython's handler, then the main thread is to look."""
    to.label("python_signal", public=True)
    to(stp_pre(29, LINK, SP, -32), move_sp(29, SP), str_(19, SP, 16))
    to.to("data", adr(19))
    to(ldr(16, 19, Data.PYTHON_HANDLER), blr(16), ldr(9, 19, Data.MAIN_THREAD))
    to.to("python_signal_done", cbz(9))
    to(move(13, 9))
    to.set_bits(13, Thread.SIGNALS, layout.LOOK)
    to(DMB, ldr_w(10, 13, Thread.INSIDE))
    to.to("python_signal_done", cbz_w(10))
    # The main thread's id is the process's.
    to(ldr_w(0, 19, Data.PROCESS), move_w(1, 0), movz(2, KICK), movz(8, SYS_TGKILL), SVC)
    to.label("python_signal_done")
    to(ldr(19, SP, 16), ldp_post(29, LINK, SP, 32), RET)


def _instruction_cache(to: Assembly) -> None:
    """void flush(start, end): new code lies there. void measure_processor(): before the first one."""
    to.label("flush", public=True)
    to(mrs(9, CACHE_TYPE))
    # The sizes of lines, as powers of two of words: those of data caches, then those of instruction caches.
    for name, low, forget in (("flush_data", 16, clean_data), ("flush_code", 0, invalidate_code)):
        to(field(10, 9, low, 4), movz(11, 4), lsl(10, 11, 10), sub_imm(11, 10, 1), bic(11, 0, 11))
        to.label(name)
        to(forget(11), add(11, 11, 10), cmp(11, 1))
        to.to(name, b_if(LO))
        to(DSB)
    # Other threads may have begun to fetch from there.
    to(ISB, movz(0, SYNCHRONIZE_CODE), movz(1, 0), movz(2, 0), movz(8, SYS_MEMBARRIER), SVC, RET)
    to.label("measure_processor", public=True)
    to(movz(0, REGISTER_SYNCHRONIZE_CODE), movz(1, 0), movz(2, 0), movz(8, SYS_MEMBARRIER), SVC, RET)
