"""Calls that leave the function's own instance: of Python, and of functions of other instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.arm64.entry import take, to_python, to_wasm
from wasmine.compiler.machine.arm64.registers import CONTEXT, FRAME, MEMORY, RECORD, RESUME, SAVED_VECTORS
from wasmine.compiler.machine.arm64.words import (
    EQ,
    FPCR,
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
    ldr_q,
    ldr_w,
    move,
    move_sp,
    move_w,
    movz,
    msr,
    orr_w,
    stp_pre,
    stp_q,
    str_,
    sub_imm,
)
from wasmine.compiler.machine.layout import TOP_SLACK, Context, Data, Record, Reply, Thread
from wasmine.errors import TrapKind

if TYPE_CHECKING:
    from wasmine.compiler.machine.arm64.assembly import Assembly

_SAVED_SIZE: Final = 16 * len(SAVED_VECTORS) + 16
# Of a call of Python.
_REPLY_SIZE: Final = 64

HOST_FRAME: Final = _SAVED_SIZE - 8
"""Bytes between the stack pointer and the return address in `call_host`, `host_function` and `compile_function`."""

OTHER_FRAME: Final = 8
"""The same in the switch to another instance: what lies above `other_return`."""


def _save(to: Assembly) -> None:
    """What functions preserve and C functions do not, and on top the return address."""
    to(sub_imm(SP, SP, _SAVED_SIZE))
    for i, register in enumerate(SAVED_VECTORS[::2]):
        to(stp_q(register, register + 1, SP, 32 * i))
    to(str_(LINK, SP, HOST_FRAME))


def _restore(to: Assembly) -> None:
    for i, register in enumerate(SAVED_VECTORS[::2]):
        to(ldp_q(register, register + 1, SP, 32 * i))
    to(ldr(LINK, SP, HOST_FRAME), add_imm(SP, SP, _SAVED_SIZE))


def host_calls(to: Assembly) -> None:
    """Calls of Python from wasm code: x12 is the number of the service, its operands lie in the value stack."""
    to.label("call_host", public=True)
    _save(to)
    to.to("call_python", bl())
    to.label("service_returned", public=True)
    _restore(to)
    to(RET)
    # A host function: its record is in x12. Like any function it preserves what functions preserve.
    to.label("host_function_slow", public=True)
    _save(to)
    to(move(13, 12), movz(12, layout.HOST_CALL))
    to.to("call_python", bl())
    to.label("host_returned", public=True)
    _restore(to)
    to(ldr(0, FRAME), ldr_q(0, FRAME), RET)
    # A function that was not compiled yet: a stub has put its index into x12. It is compiled, then runs.
    to.label("compile_function", public=True)
    _save(to)
    assert layout.COMPILE == 0x8000 << 16
    to(movz(9, 0x8000, 16), orr_w(12, 12, 9))
    to.to("call_python", bl())
    to.label("compile_returned", public=True)
    _restore(to)
    to(br(12))
    _call_python(to)


def _call_python(to: Assembly) -> None:
    """int service(context, service, frame, reply), with the GIL taken. Not 0 is RESUME or a trap.

    x12 is Reply.PC afterwards. An exception stays Python's current one until `enter` returns.
    """
    to.label("call_python")
    to(ldr(9, CONTEXT, Context.STACK_LIMIT), cmp_sp(9))
    to.to("call_overflow", b_if(LO))
    to(stp_pre(29, LINK, SP, -16), move_sp(29, SP), stp_pre(19, 23, SP, -16), sub_imm(SP, SP, _REPLY_SIZE))
    to(add_imm(9, 29, 8), str_(9, SP, Reply.CALLER), move_w(19, 12), str_(13, SP, Reply.RECORD))
    # A nested call begins behind our operands.
    assert TOP_SLACK % 4096 == 0
    to(ldr(9, CONTEXT, Context.THREAD), add_imm(10, FRAME, TOP_SLACK >> 12, shifted=True), str_(10, 9, Thread.TOP))
    to.to("data", adr(23))
    to_python(to, 9, 23)
    to(ldr(0, CONTEXT, Context.CALL_HOST))
    to.to("call_format", adr(1))
    to(move(2, CONTEXT), move_w(3, 19), move(4, FRAME), move_sp(5, SP), ldr(16, 23, Data.CALL_FUNCTION), blr(16))
    to(move(19, 0), movz(0, layout.PYTHON_EXCEPTION))
    to.to("call_answered", cbz(19))
    to(move(0, 19), ldr(16, 23, Data.AS_LONG), blr(16))
    to(stp_pre(0, ZERO, SP, -16), move(0, 19), ldr(16, 23, Data.DECREF), blr(16), ldp_post(0, ZERO, SP, 16))
    to.label("call_answered")
    to(move(19, 0))
    to_wasm(to, 23)
    to(ldr_w(10, 23, Data.CONTROL), msr(FPCR, 10))
    to.to("call_special", cbnz_w(19))
    to(ldr(10, 9, Thread.SIGNALS))
    to.to("call_requested", cbnz(10))
    to.label("call_on")
    # Python may have grown the memory.
    to(ldr(12, SP, Reply.PC), ldr(MEMORY, CONTEXT, Context.MEMORY))
    _drop_frame(to)
    to(RET)
    to.label("call_requested")
    to.to("call_on", adr(RESUME))
    to.to("safepoint", b())
    to.label("call_special")
    to(cmp_imm_w(19, layout.RESUME))
    to.to("call_resume", b_if(EQ))
    to(move_w(12, 19))
    _drop_frame(to)
    to.to("trap", b())
    to.label("call_resume")
    # A handler was found for an exception: its function goes on, whatever lay between is gone.
    to(ldr(FRAME, SP, Reply.FRAME), ldr(CONTEXT, SP, Reply.CONTEXT), ldr(MEMORY, CONTEXT, Context.MEMORY))
    to(ldr(16, SP, Reply.PC), ldr(9, SP, Reply.STACK), move_sp(SP, 9), br(16))
    to.label("call_overflow")
    to(movz(12, layout.trap_number(TrapKind.STACK_OVERFLOW)))
    to.to("trap", b())
    to.label("call_format")
    to.data(b"KIKK\0")


def _drop_frame(to: Assembly) -> None:
    to(move_sp(SP, 29), ldp(19, 23, SP, -16), ldp_post(29, LINK, SP, 16))


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
