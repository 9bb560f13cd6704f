"""Calls that leave the function's own instance: of Python, and of functions of other instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.arm64.entry import take, to_python, to_wasm
from wasmine.compiler.machine.arm64.registers import CONTEXT, FRAME, MEMORY, PAGE, RECORD, RESUME, SAVED_VECTORS, THREAD
from wasmine.compiler.machine.arm64.words import (
    EQ,
    FPCR,
    LINK,
    LO,
    RET,
    SP,
    add_imm,
    adr,
    b,
    b_if,
    bl,
    blr,
    br,
    cbnz,
    cbnz_w,
    cbz,
    cmp,
    cmp_imm_w,
    cmp_sp,
    ldp,
    ldp_post,
    ldp_q,
    ldr,
    ldr_w,
    move,
    move_sp,
    move_w,
    movz,
    msr,
    orr_w,
    stp,
    stp_pre,
    stp_q,
    str_,
    sub_imm,
)
from wasmine.compiler.machine.layout import TOP_SLACK, Context, Data, Record, Reply, Thread
from wasmine.errors import TrapKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.machine.arm64.assembly import Assembly

_SAVED_SIZE: Final = 16 * len(SAVED_VECTORS) + 16

# The frame of a service begins with the reply; the return address is on top.
_KEPT: Final = Reply.SIZE + 8
_LINK: Final = _KEPT + 24
_SIZE: Final = _LINK + 8
assert _SIZE % 16 == 0

HOST_FRAME: Final = _SAVED_SIZE - 8
"""Bytes between the stack pointer and the return address in `call_host`, `host_function` and `compile_function`."""

OTHER_FRAME: Final = 8
"""The same in the switch to another instance: what lies above `other_return`."""


def save(to: Assembly) -> None:
    """What functions preserve and C functions do not, and on top the return address."""
    to(sub_imm(SP, SP, _SAVED_SIZE))
    to(*(stp_q(register, register + 1, SP, 32 * i) for i, register in enumerate(SAVED_VECTORS[::2])))
    to(str_(LINK, SP, HOST_FRAME))


def restore(to: Assembly) -> None:
    """The same back, and the stack as it was."""
    to(*(ldp_q(register, register + 1, SP, 32 * i) for i, register in enumerate(SAVED_VECTORS[::2])))
    to(ldr(LINK, SP, HOST_FRAME), add_imm(SP, SP, _SAVED_SIZE))


def services(to: Assembly) -> None:
    """Call of Python from wasm code: x12 is the number of the service, its operands lie in the value stack."""
    to.label("call_host", public=True)
    save(to)
    to.to("call_host_here", bl())
    to.label("service_returned", public=True)
    restore(to)
    to(RET)
    # A function that was not compiled yet: a stub has put its index into x12. It is compiled, then runs.
    to.label("compile_function", public=True)
    save(to)
    assert layout.COMPILE == 0x8000 << 16
    to(movz(9, 0x8000, 16), orr_w(12, 12, 9))
    to.to("call_host_here", bl())
    to.label("compile_returned", public=True)
    restore(to)
    to(br(12))
    _service(to)
    _ask_python(to)


def _service(to: Assembly) -> None:
    """int service(context, service, frame, reply), with the GIL taken: its number is in x12, what goes to Reply.RECORD in
    x13.

    Not 0 is RESUME or a trap. x12 is Reply.PC afterwards. An exception stays Python's current one until `run` returns.
    """
    to.label("call_host_here")
    to(ldr(9, CONTEXT, Context.STACK_LIMIT), cmp_sp(9))
    to.to("call_host_overflow", b_if(LO))
    to(sub_imm(SP, SP, _SIZE), str_(13, SP, Reply.RECORD), add_imm(9, SP, _LINK), str_(9, SP, Reply.CALLER))
    to(stp(PAGE, THREAD, SP, _KEPT), stp(24, LINK, SP, _LINK - 8), move_w(24, 12))
    # A nested call begins behind our operands.
    assert TOP_SLACK % 4096 == 0
    to(ldr(THREAD, CONTEXT, Context.THREAD))
    to(add_imm(9, FRAME, TOP_SLACK >> 12, shifted=True), str_(9, THREAD, Thread.TOP))
    to.to("data", adr(PAGE))
    to_python(to)
    to(move_w(3, 24), move_sp(5, SP))
    to.to("ask_python", bl())
    to(move_w(24, 0))
    to_wasm(to)
    to(ldr_w(9, PAGE, Data.CONTROL), msr(FPCR, 9))
    to.to("call_host_special", cbnz_w(24))
    to(ldr(12, SP, Reply.PC))
    back_to_wasm(to, _drop_frame)
    to.label("call_host_special")
    to(cmp_imm_w(24, layout.RESUME))
    to.to("call_host_resume", b_if(EQ))
    to(move_w(12, 24))
    _drop_frame(to)
    to.to("trap", b())
    to.label("call_host_resume")
    # A handler was found for an exception: its function goes on, whatever lay between is gone.
    to(ldr(FRAME, SP, Reply.FRAME), ldr(CONTEXT, SP, Reply.CONTEXT), ldr(MEMORY, CONTEXT, Context.MEMORY))
    to(ldr(16, SP, Reply.PC), ldr(9, SP, Reply.STACK), move_sp(SP, 9), br(16))
    to.label("call_host_overflow")
    to(movz(12, layout.trap_number(TrapKind.STACK_OVERFLOW)))
    to.to("trap", b())


def _drop_frame(to: Assembly) -> None:
    to(ldp(PAGE, THREAD, SP, _KEPT), ldp(24, LINK, SP, _LINK - 8), add_imm(SP, SP, _SIZE))


def back_to_wasm(to: Assembly, drop_frame: Callable[[Assembly], None]) -> None:
    """The end of what `to_wasm` began: it returns, after a look at Thread.SIGNALS. Changes x9."""
    on, requested = to.local("on"), to.local("requested")
    to(ldr(9, THREAD, Thread.SIGNALS))
    drop_frame(to)
    to.to(requested, cbnz(9))
    to.label(on)
    # Python may have grown the memory.
    to(ldr(MEMORY, CONTEXT, Context.MEMORY), RET)
    to.label(requested)
    to.to(on, adr(RESUME))
    to.to("safepoint", b())


def _ask_python(to: Assembly) -> None:
    """int service(context, service, frame, reply), with the GIL held: the service is in x3, the reply in x5.

    PYTHON_EXCEPTION if it raised something.
    """
    to.label("ask_python")
    to(stp_pre(24, LINK, SP, -32), ldr(0, CONTEXT, Context.CALL_HOST))
    to.to("ask_python_format", adr(1))
    to(move(2, CONTEXT), move(4, FRAME))
    to.call(Data.CALL_FUNCTION)
    to(move(24, 0), movz(0, layout.PYTHON_EXCEPTION))
    to.to("ask_python_done", cbz(24))
    to(move(0, 24))
    to.call(Data.AS_LONG)
    to(str_(0, SP, 16), move(0, 24))
    to.call(Data.DECREF)
    to(ldr(0, SP, 16))
    to.label("ask_python_done")
    to(ldp_post(24, LINK, SP, 32), RET)
    to.label("ask_python_format")
    to.data(b"KIKK\0")


def record_calls(to: Assembly) -> None:
    """Calls of functions by their records in x12, wherever they belong. As tail calls, our frame is gone."""
    to.label("call_record", public=True)
    to(ldr(13, RECORD, Record.CONTEXT), cmp(13, CONTEXT))
    to.to("call_here", b_if(EQ))
    to.to("call_other", cbnz(13))
    to.label("call_here")
    to(ldr(16, RECORD, Record.CODE), br(16))
    to.label("jump_record", public=True)
    to(ldr(13, RECORD, Record.CONTEXT), cmp(13, CONTEXT))
    to.to("call_here", b_if(EQ))
    to.to("call_here", cbz(13))
    # If we return to `call_other`'s end already, nothing is left to restore for us; so the stack does not grow however
    # often instances tail-call each other.
    _take_other(to)
    to.to("other_return", adr(9))
    to(cmp(LINK, 9))
    to.to("jump_switch", b_if(EQ))
    to(stp_pre(CONTEXT, LINK, SP, -16), move(LINK, 9))
    to.label("jump_switch")
    to(move(CONTEXT, 13), ldr(MEMORY, CONTEXT, Context.MEMORY), ldr(16, RECORD, Record.CODE), br(16))
    to.label("call_other")
    _take_other(to)
    to(stp_pre(CONTEXT, LINK, SP, -16))
    to(move(CONTEXT, 13), ldr(MEMORY, CONTEXT, Context.MEMORY), ldr(16, RECORD, Record.CODE), blr(16))
    to.label("other_return", public=True)
    to(ldp_post(CONTEXT, LINK, SP, 16), ldr(MEMORY, CONTEXT, Context.MEMORY), RET)
    to.label("other_busy")
    to(movz(12, layout.BUSY))
    to.to("trap", b())


def _take_other(to: Assembly) -> None:
    """x13 is the context of another instance. It must not be in use by another thread."""
    taken = to.local("taken")
    to(ldr(14, CONTEXT, Context.THREAD), ldr(9, 13, Context.THREAD), cmp(9, 14))
    to.to(taken, b_if(EQ))
    take(to, "other_busy")
    to.label(taken)
