"""Host functions: Python callables that wasm code calls.

`host_function` runs the program (`compiler.program`) of the function: steps that make objects of the arguments, in place,
`call_python`, steps that convert what it returned, and `host_done`. What is unusual goes to a function of Python.

CONTEXT and FRAME stay what they are in all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.arm64 import calls
from wasmine.compiler.machine.arm64.calls import back_to_wasm
from wasmine.compiler.machine.arm64.entry import to_python, to_wasm
from wasmine.compiler.machine.arm64.function import fetch, restore
from wasmine.compiler.machine.arm64.registers import CONTEXT, FRAME, PAGE, RECORD, THREAD
from wasmine.compiler.machine.arm64.steps import (
    KEPT,
    OBJECT,
    PLACE,
    SLOT,
    UNFIT,
    load_type,
    proceed,
    unless_type,
)
from wasmine.compiler.machine.arm64.words import (
    FPCR,
    HS,
    LINK,
    LO,
    NE,
    RET,
    SP,
    add,
    add_imm,
    adr,
    b,
    b_if,
    bl,
    cbnz,
    cbnz_w,
    cbz,
    cbz_w,
    cmp,
    cmp_imm_w,
    cmp_sp,
    ldp,
    ldr,
    ldr_post,
    ldr_q,
    ldr_w,
    ldur,
    move,
    move_sp,
    move_w,
    movz,
    msr,
    stp,
    str_,
    str_post,
    stur,
    sub_imm,
)
from wasmine.compiler.machine.layout import Context, Data, Program, Record, Reply, Thread

if TYPE_CHECKING:
    from wasmine.compiler.machine.arm64.assembly import Assembly


class _Frame:
    """Offsets from the stack pointer in `host_function`, where a reply is first, and the return address on top."""

    BEFORE: Final = Reply.SIZE  # the slot before the frame, where a Caller takes a place
    ERROR: Final = BEFORE + 8  # type, value and traceback
    SAVED: Final = ERROR + 32
    LINK: Final = SAVED + 56
    SIZE: Final = LINK + 8


_SAVED: Final = ((PAGE, THREAD), (PLACE, OBJECT), (SLOT, UNFIT), (KEPT, LINK))
assert _Frame.SIZE % 16 == 0


def host(to: Assembly) -> None:
    """Everything of this module."""
    _enter(to)
    _steps(to)
    _unusual(to)


def _enter(to: Assembly) -> None:
    """A host function: its record is in x12, the context of the caller in CONTEXT. It preserves what functions preserve."""
    to.label("host_function", public=True)
    calls.save(to)
    to.to("host_function_here", bl())
    to.label("host_returned", public=True)
    calls.restore(to)
    to(ldr(0, FRAME), ldr_q(0, FRAME), RET)
    # The same where Python has to convert what it takes and gives.
    to.label("host_function_slow", public=True)
    calls.save(to)
    to(move(13, RECORD), movz(12, layout.HOST_CALL))
    to.to("host_returned", adr(LINK))
    to.to("call_host_here", b())
    to.label("host_function_here")
    to(ldr(9, CONTEXT, Context.STACK_LIMIT), cmp_sp(9))
    to.to("call_host_overflow", b_if(LO))
    to(sub_imm(SP, SP, _Frame.SIZE))
    to(*(stp(low, high, SP, _Frame.SAVED + 16 * i) for i, (low, high) in enumerate(_SAVED)))
    to(add_imm(9, SP, _Frame.LINK), str_(9, SP, Reply.CALLER), str_(RECORD, SP, Reply.RECORD))
    to(ldur(9, FRAME, -8), str_(9, SP, _Frame.BEFORE))
    to(ldr(THREAD, CONTEXT, Context.THREAD), ldr(PLACE, RECORD, Record.PROGRAM))
    # A nested call begins behind our operands.
    to(ldr(9, PLACE, Program.SIZE), add(9, 9, FRAME), str_(9, THREAD, Thread.TOP))
    to.to("data", adr(PAGE))
    to_python(to)
    to(move(OBJECT, FRAME), move(SLOT, FRAME))
    to.to("host_unboxed", adr(UNFIT))
    to(add_imm(PLACE, PLACE, Program.STEPS))
    proceed(to)


def _drop_frame(to: Assembly) -> None:
    to(*(ldp(low, high, SP, _Frame.SAVED + 16 * i) for i, (low, high) in enumerate(_SAVED)))
    to(add_imm(SP, SP, _Frame.SIZE))


def _release_arguments(to: Assembly) -> None:
    """Those that are objects by now: up to OBJECT. SLOT is the first slot afterwards."""
    more, done = to.local("more"), to.local("done")
    to(move(SLOT, FRAME))
    to.label(more)
    to(cmp(SLOT, OBJECT))
    to.to(done, b_if(HS))
    to(ldr_post(0, SLOT, 8))
    to.call(Data.DECREF)
    to.to(more, b())
    to.label(done)
    to(move(SLOT, FRAME), ldr(9, SP, _Frame.BEFORE), stur(9, FRAME, -8))


def _steps(to: Assembly) -> None:
    """The steps that are not conversions."""
    # The first argument is the Caller. It takes the slot before the frame.
    to.label("box_caller", public=True)
    to(ldr(9, CONTEXT, Context.CALLER), stur(9, OBJECT, -8))
    proceed(to)
    # Operands: the number of arguments, with PY_VECTORCALL_ARGUMENTS_OFFSET; and where the first one is, from the frame.
    to.label("call_python", public=True)
    to(ldr(9, SP, Reply.RECORD), ldr(0, 9, Record.CALLABLE), ldr(9, PLACE, 8), add(1, FRAME, 9), ldr(2, PLACE))
    to(movz(3, 0))
    to.call(Data.VECTORCALL)
    to(str_(0, SP, Reply.OBJECT))
    _release_arguments(to)
    to(add_imm(OBJECT, SP, Reply.OBJECT))
    to.to("host_unfit", adr(UNFIT))
    to(ldr(0, OBJECT))
    to.to("host_raised", cbz(0))
    proceed(to, 2)
    to.label("expect_none", public=True)
    to(ldr(0, SP, Reply.OBJECT), ldr(9, PAGE, Data.NONE), cmp(0, 9))
    to.to("unfit", b_if(NE))
    proceed(to)
    # Several results are exactly a tuple. Operands: how many, and where there is room for them, from the frame.
    to.label("unpack", public=True)
    to(ldr(0, SP, Reply.OBJECT))
    load_type(to)
    unless_type(to, Data.TUPLE, "unfit")
    to(ldr(9, PAGE, Data.TYPE), add(9, 0, 9), ldr(9, 9, 8), ldr(11, PLACE), cmp(9, 11))
    to.to("unfit", b_if(NE))
    to(ldr(9, PLACE, 8), add(OBJECT, FRAME, 9), move(10, OBJECT), ldr(9, PAGE, Data.TUPLE_ITEMS), add(9, 0, 9))
    to.label("unpack_more")
    to(ldr_post(12, 9, 8), str_post(12, 10, 8), sub_imm(11, 11, 1))
    to.to("unpack_more", cbnz(11))
    proceed(to, 2)
    to.label("host_done", public=True)
    to.label("host_finish")
    to(ldr(0, SP, Reply.OBJECT))
    to.call(Data.DECREF)
    to_wasm(to)
    to(ldr_w(9, PAGE, Data.CONTROL), msr(FPCR, 9))
    back_to_wasm(to, _drop_frame)


def _ask(to: Assembly, service: int) -> None:
    to(movz(3, service), move_sp(5, SP))
    to.to("ask_python", bl())


def _unusual(to: Assembly) -> None:
    # An argument could not be made into an object: there is an exception.
    to.label("host_unboxed")
    _release_arguments(to)
    to.label("host_leave")
    to(movz(12, layout.PYTHON_EXCEPTION))
    _drop_frame(to)
    to.to("trap", b())
    # What it returned is not what machine code converts.
    to.label("host_unfit")
    to.to("host_unfit_raised", cbnz_w(0))
    _ask(to, layout.HOST_RESULT)
    to.to("host_finish", cbz_w(0))
    to.label("host_unfit_raised")
    to(ldr(0, SP, Reply.OBJECT))
    to.call(Data.DECREF)
    to.to("host_leave", b())
    # It raised an exception. Wasm code may catch a WasmException.
    to.label("host_raised")
    to(ldr(0, PAGE, Data.WASM_EXCEPTION))
    to.call(Data.ERROR_MATCHES)
    to.to("host_leave", cbz_w(0))
    fetch(to, _Frame.ERROR)
    to(ldr(9, SP, _Frame.ERROR + 8), str_(9, SP, Reply.OBJECT))
    _ask(to, layout.HOST_RAISED)
    to(move_w(KEPT, 0))
    to.to("host_raised_caught", cbnz_w(0))
    restore(to, _Frame.ERROR)
    to.to("host_leave", b())
    to.label("host_raised_caught")
    for offset in (_Frame.ERROR, _Frame.ERROR + 8):
        to(ldr(0, SP, offset))
        to.call(Data.DECREF)
    to(cmp_imm_w(KEPT, layout.RESUME))
    to.to("host_leave", b_if(NE))
    to_wasm(to)
    to(ldr_w(9, PAGE, Data.CONTROL), msr(FPCR, 9))
    to.to("call_host_resume", b())
