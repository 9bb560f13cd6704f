"""The ticker: a thread that looks every few milliseconds at the threads that run wasm code, without Python.

It has calls that last release the GIL, sends signals again that were not noticed, and sees to it that Python's signal
handlers run. It is started by the safepoint and ends by itself; `start_ticker` and `hook_signals` are the safepoint's, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.arm64.linux import SYS_TGKILL
from wasmine.compiler.machine.arm64.words import (
    DMB,
    EQ,
    LINK,
    LO,
    LS,
    NE,
    RET,
    SP,
    SVC,
    ZERO,
    add_imm,
    adr,
    b,
    b_if,
    bic,
    bl,
    blr,
    cbnz,
    cbnz_w,
    cbz,
    cbz_w,
    cmp,
    cmp_imm,
    constant,
    ldp,
    ldp_post,
    ldr,
    ldr_w,
    move_sp,
    move_w,
    movn,
    movz,
    orr,
    orr_w,
    stp,
    stp_pre,
    str_,
    str_w,
    sub_imm,
    subs_imm,
)
from wasmine.compiler.machine.layout import KICK, LINGER, LOOK_AGAIN, TICK, Data, Thread
from wasmine.compiler.machine.linux import (
    SA_FLAGS,
    SA_MASK,
    SA_ONSTACK,
    SA_RESTART,
    SA_SIGINFO,
    SIG_SETMASK,
    SIGSET_SIZE,
)

if TYPE_CHECKING:
    from wasmine.compiler.machine.arm64.assembly import Assembly

_ACTION: Final = 160  # room for a struct sigaction


def ticker(to: Assembly) -> None:
    """Everything of this module. x19 is the data page in all of it."""
    _start(to)
    _hook_signals(to)
    _install_kick(to)
    _thread(to)


def _start(to: Assembly) -> None:
    """int start_ticker(): 0 if it runs now.

    It sees to signal handlers that are set later; those that are there are seen to here.
    """
    to.label("start_ticker")
    to(stp_pre(29, LINK, SP, -32), movz(11, 1))
    to.exchange(0, 19, Data.TICKER, 11)
    to.to("start_running", cbnz_w(0))
    to(add_imm(0, SP, 16), ldr(1, 19, Data.TICKER_ATTRIBUTES))
    to.to("ticker", adr(2))
    to(movz(3, 0), ldr(16, 19, Data.CREATE_THREAD), blr(16))
    to.to("start_hook", cbz_w(0))
    to(str_w(ZERO, 19, Data.TICKER), movz(0, 1))
    to.to("start_done", b())
    to.label("start_hook")
    to(movz(0, 1))
    to.to("hook_signals", bl())
    to.label("start_running")
    to(movz(0, 0))
    to.label("start_done")
    to(ldp_post(29, LINK, SP, 32), RET)


def _hook_signals(to: Assembly) -> None:
    """int hook_signals(install): whether a signal has CPython's handler without `python_signal` in front of it.

    Which is put there if `install` is not 0.
    """
    to.label("hook_signals")
    to(stp_pre(29, LINK, SP, -48), stp(20, 21, SP, 16), stp(22, 23, SP, 32), sub_imm(SP, SP, _ACTION))
    to(move_w(20, 0), movz(21, 0), ldr(23, 19, Data.PYTHON_HANDLER))
    to.to("hook_done", cbz(23))
    to(movz(22, 1))
    to.label("hook_look")
    to(move_w(0, 22), movz(1, 0), move_sp(2, SP), ldr(16, 19, Data.SIGNAL_ACTION), blr(16))
    to.to("hook_next", cbnz_w(0))
    to(ldr(9, SP), cmp(9, 23))
    to.to("hook_next", b_if(NE))
    to(cmp_imm(22, KICK))
    to.to("hook_next", b_if(EQ))
    to(movz(21, 1))
    to.to("hook_done", cbz(20))
    to.to("python_signal", adr(9))
    to(str_(9, SP), ldr_w(9, SP, SA_FLAGS), *constant(10, SA_SIGINFO | SA_ONSTACK), orr_w(9, 9, 10))
    # `python_signal` sends a kick, which is to find the wasm code that was interrupted, not `python_signal`.
    to(str_w(9, SP, SA_FLAGS), ldr(9, SP, SA_MASK), *constant(10, 1 << KICK - 1), orr(9, 9, 10), str_(9, SP, SA_MASK))
    to(move_w(0, 22), move_sp(1, SP), movz(2, 0), ldr(16, 19, Data.SIGNAL_ACTION), blr(16))
    to.label("hook_next")
    to(add_imm(22, 22, 1), cmp_imm(22, 64))
    to.to("hook_look", b_if(LS))
    to.label("hook_done")
    to(
        move_w(0, 21),
        add_imm(SP, SP, _ACTION),
        ldp(22, 23, SP, 32),
        ldp(20, 21, SP, 16),
        ldp_post(29, LINK, SP, 48),
        RET,
    )


def _install_kick(to: Assembly) -> None:
    """void install_kick(): make `kick` the handler of its signal, if it is not."""
    to.label("install_kick")
    to(stp_pre(29, LINK, SP, -16), sub_imm(SP, SP, 2 * _ACTION))
    to(movz(0, KICK), movz(1, 0), move_sp(2, SP), ldr(16, 19, Data.SIGNAL_ACTION), blr(16), ldr(10, SP))
    to.to("kick", adr(9))
    to(cmp(9, 10))
    to.to("install_done", b_if(EQ))
    to(str_(9, SP), *constant(9, SA_SIGINFO | SA_ONSTACK | SA_RESTART), str_w(9, SP, SA_FLAGS))
    to(movz(0, KICK), move_sp(1, SP), add_imm(2, SP, _ACTION), ldr(16, 19, Data.SIGNAL_ACTION), blr(16))
    to(ldr(9, SP, _ACTION), str_(9, 19, Data.PREVIOUS + 8 * KICK))
    to.label("install_done")
    to(add_imm(SP, SP, 2 * _ACTION), ldp_post(29, LINK, SP, 16), RET)


def _thread(to: Assembly) -> None:
    """void* ticker(void*): the thread. x20: how many ticks remain until it ends; x21: whether a thread is in wasm code."""
    to.label("ticker")
    to(stp_pre(29, LINK, SP, -48), stp(19, 20, SP, 16), stp(21, 22, SP, 32))
    to.to("data", adr(19))
    to(sub_imm(SP, SP, SIGSET_SIZE), movn(9, 0), *(str_(9, SP, offset) for offset in range(0, SIGSET_SIZE, 8)))
    to(movz(0, SIG_SETMASK), move_sp(1, SP), movz(2, 0), ldr(16, 19, Data.SIGNAL_MASK), blr(16))
    to(add_imm(SP, SP, SIGSET_SIZE))
    to.label("ticker_busy")
    to(movz(20, LINGER))
    to.label("ticker_tick")
    to(movz(0, TICK), ldr(16, 19, Data.SLEEP), blr(16), movz(21, 0), ldr(22, 19, Data.BLOCKS))
    to.label("ticker_block")
    to.to("ticker_looked", cbz(22))
    _look_at(to)
    to(ldr(22, 22, Thread.NEXT))
    to.to("ticker_block", b())
    to.label("ticker_looked")
    to.to("ticker_busy", cbnz(21))
    to(subs_imm(20, 20, 1))
    to.to("ticker_tick", b_if(NE))
    _end(to)


def _look_at(to: Assembly) -> None:
    """Look at the block in x22."""
    to(ldr_w(9, 22, Thread.TASK))
    to.to("ticker_outside", cbz_w(9))
    to(ldr(9, 22, Thread.ACTIVATION))
    to.to("ticker_outside", cbz(9))
    to(ldr_w(9, 22, Thread.INSIDE))
    to.to("ticker_held", cbz_w(9))
    to(movz(21, 1), ldr(9, 19, Data.MAIN_THREAD), cmp(9, 22))
    to.to("ticker_held", b_if(NE))
    # A signal may have come before the handler: so it is to look, too.
    to(movz(0, 0))
    to.to("hook_signals", bl())
    to.to("ticker_hook", cbnz_w(0))
    to(ldr_w(9, 22, Thread.UNLOOKED), add_imm(9, 9, 1), str_w(9, 22, Thread.UNLOOKED), cmp_imm(9, LOOK_AGAIN))
    to.to("ticker_held", b_if(LO))
    to(str_w(ZERO, 22, Thread.UNLOOKED))
    to.set_bits(22, Thread.SIGNALS, layout.LOOK)
    to.to("ticker_held", b())
    to.label("ticker_hook")
    to.set_bits(22, Thread.SIGNALS, layout.HOOK | layout.LOOK)
    to.label("ticker_held")
    # Who has kept the GIL since the last tick is to release it; even if Python runs just now, as soon as wasm does. Not at
    # every tick: others have to wait in vain for 5 ms before CPython sees to it that they get the GIL.
    to(ldr(9, 22, Thread.STATE))
    to.to("ticker_outside", cbnz(9))
    to(ldr_w(9, 22, Thread.TICKED), movz(10, 1), str_w(10, 22, Thread.TICKED))
    to.to("ticker_told", cbz_w(9))
    to.set_bits(22, Thread.SIGNALS, layout.RELEASE)
    to.label("ticker_outside")
    to(str_w(ZERO, 22, Thread.TICKED))
    to.label("ticker_told")
    to(ldr(9, 22, Thread.SIGNALS), movz(10, layout.START_TICKER), bic(9, 9, 10))
    to.to("ticker_next", cbz(9))
    to(ldr_w(9, 22, Thread.INSIDE))
    to.to("ticker_next", cbz_w(9))
    to.to("install_kick", bl())
    to(ldr_w(0, 19, Data.PROCESS), ldr_w(1, 22, Thread.TASK), movz(2, KICK), movz(8, SYS_TGKILL), SVC)
    to.label("ticker_next")


def _end(to: Assembly) -> None:
    """Nobody has been in wasm code for long. First say that there is no ticker, then have everybody start one.

    Who came to wasm code before it was told is there at the next tick, or comes again and is told.
    """
    to(str_w(ZERO, 19, Data.TICKER), ldr(22, 19, Data.BLOCKS))
    to.label("ticker_tell")
    to.to("ticker_told_all", cbz(22))
    to.set_bits(22, Thread.SIGNALS, layout.START_TICKER)
    to(ldr(22, 22, Thread.NEXT))
    to.to("ticker_tell", b())
    to.label("ticker_told_all")
    to(movz(0, TICK), ldr(16, 19, Data.SLEEP), blr(16), DMB, ldr(22, 19, Data.BLOCKS))
    to.label("ticker_still")
    to.to("ticker_end", cbz(22))
    to(ldr_w(9, 22, Thread.INSIDE))
    to.to("ticker_needed", cbnz_w(9))
    to(ldr(22, 22, Thread.NEXT))
    to.to("ticker_still", b())
    to.label("ticker_needed")
    to(movz(11, 1))
    to.exchange(0, 19, Data.TICKER, 11)
    to.to("ticker_busy", cbz_w(0))
    to.label("ticker_end")
    to(movz(0, 0), ldp(21, 22, SP, 32), ldp(19, 20, SP, 16), ldp_post(29, LINK, SP, 48), RET)
