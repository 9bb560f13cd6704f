"""Functions of wasm as C-level callables of Python: `call` is the vectorcall function of all of them.

It runs the function's program (`compiler.program`): steps that convert the arguments, `run_wasm`, steps that convert the
results, and one that returns. What is unusual goes to a function of Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import layout
from wasmine.compiler.machine.arm64.entry import pop, push
from wasmine.compiler.machine.arm64.registers import FRAME, PAGE, THREAD
from wasmine.compiler.machine.arm64.steps import KEPT, OBJECT, OTHER, PLACE, SLOT, UNFIT, load_type, proceed
from wasmine.compiler.machine.arm64.words import (
    FPCR,
    HI,
    HS,
    NE,
    SP,
    ZERO,
    add,
    add_imm,
    adr,
    b,
    b_if,
    bl,
    cbnz,
    cbnz_w,
    cbz,
    cmp,
    cmp_imm,
    cmp_w,
    csel,
    field,
    ldp,
    ldr,
    ldr_element,
    ldr_post,
    ldr_w,
    lsl_imm,
    move,
    movz,
    mrs,
    stp,
    str_,
    str_post,
    sub_imm,
)
from wasmine.compiler.machine.layout import Call, Context, Data, Function, Program, Record, Thread

if TYPE_CHECKING:
    from wasmine.compiler.machine.arm64.assembly import Assembly


class _Frame:
    """Offsets from the stack pointer in `call`."""

    SELF: Final = 0
    ARGS: Final = 8  # the arguments; later the first result
    COUNT: Final = 16
    NAMES: Final = 24
    BASE: Final = 32  # of the call in the value stack
    ERROR: Final = 40  # type, value and traceback
    SIZE: Final = 64


def fetch(to: Assembly, error: int) -> None:
    """Take the current exception: type and value (normal, with its traceback) to `error` in the frame."""
    places = [add_imm(register, SP, error + 8 * register) for register in range(3)]
    bare = to.local("bare")
    to(*places)
    to.call(Data.ERROR_FETCH)
    to(*places)
    to.call(Data.ERROR_NORMALIZE)
    to(ldr(1, SP, error + 16))
    to.to(bare, cbz(1))
    to(ldr(0, SP, error + 8))
    to.call(Data.TRACEBACK_SET)
    to(ldr(0, SP, error + 16))
    to.call(Data.DECREF)
    to.label(bare)


def restore(to: Assembly, error: int) -> None:
    """Make that the current exception again."""
    to(ldr(0, SP, error + 8))
    to.call(Data.TRACEBACK_GET)
    to(move(2, 0), ldr(0, SP, error), ldr(1, SP, error + 8))
    to.call(Data.ERROR_RESTORE)


def function(to: Assembly) -> None:
    """Everything of this module."""
    _call(to)
    _steps(to)
    _undo(to)
    _call_slowly(to)
    _failed(to)


def _call(to: Assembly) -> None:
    """PyObject *call(function, arguments, count, names): a vectorcallfunc."""
    to.label("call", public=True)
    push(to)
    to(sub_imm(SP, SP, _Frame.SIZE), stp(0, 1, SP, _Frame.SELF), stp(2, 3, SP, _Frame.COUNT), move(OBJECT, 1))
    to.to("data", adr(PAGE))
    to.to("call_slowly", cbnz(3))
    assert Function.PROGRAM == Function.RECORD + 8
    record = OTHER
    to(ldr(9, PAGE, Data.FUNCTION), add(9, 0, 9), ldp(record, PLACE, 9, Function.RECORD))
    # Without the flag in the highest bit.
    to(lsl_imm(9, 2, 1), ldr(10, PLACE, Program.COUNT), cmp(9, 10))
    to.to("call_slowly", b_if(NE))
    to(ldr(9, record, Record.CONTEXT), ldr_w(9, 9, Context.SLOW))
    to.to("call_slowly", cbnz_w(9))
    to(mrs(9, FPCR), ldr_w(10, PAGE, Data.CONTROL), cmp_w(9, 10))
    to.to("call_slowly", b_if(NE))
    to(ldr_w(0, PAGE, Data.THREAD_KEY))
    to.call(Data.GET_SPECIFIC)
    to.to("call_slowly", cbz(0))
    to(move(THREAD, 0), ldr(SLOT, THREAD, Thread.TOP), ldr(9, THREAD, Thread.VALUES_LIMIT), cmp(SLOT, 9))
    to.to("call_slowly", b_if(HI))
    to(str_(SLOT, SP, _Frame.BASE), str_(record, SLOT, Call.RECORD))
    to(ldr(9, PLACE, Program.SIZE), add(9, 9, SLOT), str_(9, THREAD, Thread.TOP), add_imm(SLOT, SLOT, Call.FRAME))
    to.to("call_unfit", adr(UNFIT))
    to(add_imm(PLACE, PLACE, Program.STEPS))
    proceed(to)


def _steps(to: Assembly) -> None:
    """The steps that are not conversions."""
    # Operand: where in the call the results are.
    to.label("run_wasm", public=True)
    to(ldr(9, SP, _Frame.BASE), add_imm(FRAME, 9, Call.FRAME))
    to.to("run", bl())
    to.to("call_failed", cbnz_w(0))
    to(ldr(9, SP, _Frame.BASE), ldr(10, PLACE), add(SLOT, 9, 10), move(OBJECT, SLOT), str_(SLOT, SP, _Frame.ARGS))
    to.to("call_unboxed", adr(UNFIT))
    proceed(to, 1)
    # Operand: how many.
    to.label("return_tuple", public=True)
    to(ldr(0, PLACE))
    to.call(Data.TUPLE_NEW)
    to.to("call_unboxed", cbz(0))
    to(ldr(9, PAGE, Data.TUPLE_ITEMS), add(9, 0, 9), ldr(10, SP, _Frame.ARGS), ldr(11, PLACE))
    to.label("return_tuple_more")
    to(ldr_post(12, 10, 8), str_post(12, 9, 8), sub_imm(11, 11, 1))
    to.to("return_tuple_more", cbnz(11))
    to.to("call_return", b())
    to.label("return_none", public=True)
    to(ldr(KEPT, PAGE, Data.NONE), move(0, KEPT))
    to.call(Data.INCREF)
    to(move(0, KEPT))
    # The object that was boxed last.
    to.label("return_one", public=True)
    to.label("call_return")
    to(ldr(9, SP, _Frame.BASE), str_(9, THREAD, Thread.TOP))
    to.label("call_done")
    to(add_imm(SP, SP, _Frame.SIZE))
    pop(to)


def _undo(to: Assembly) -> None:
    # A result could not be made into an object: there is an exception.
    to.label("call_unboxed")
    to(ldr(SLOT, SP, _Frame.ARGS))
    to.label("call_unboxed_more")
    to(cmp(SLOT, OBJECT))
    to.to("call_raised", b_if(HS))
    to(ldr_post(0, SLOT, 8))
    to.call(Data.DECREF)
    to.to("call_unboxed_more", b())
    to.label("call_raised")
    to(movz(0, 0))
    to.to("call_return", b())
    # An argument is not what machine code converts.
    to.label("call_unfit")
    to.to("call_raised", cbnz_w(0))
    to(ldr(9, SP, _Frame.BASE), str_(9, THREAD, Thread.TOP))
    to.to("call_slowly", b())


def _call_slowly(to: Assembly) -> None:
    """Data.CALL_SLOWLY(function, arguments, names or None)"""
    count = SLOT
    to.label("call_slowly")
    to(ldr(count, SP, _Frame.COUNT), field(count, count, 0, 63), ldr(0, SP, _Frame.NAMES))
    to.to("call_slowly_counted", cbz(0))
    to.call(Data.TUPLE_SIZE)
    to(add(count, count, 0))
    to.label("call_slowly_counted")
    to(move(0, count))
    to.call(Data.TUPLE_NEW)
    to.to("call_done", cbz(0))
    to(move(KEPT, 0), ldr(OBJECT, SP, _Frame.ARGS), movz(PLACE, 0))
    to.label("call_slowly_more")
    to(cmp(PLACE, count))
    to.to("call_slowly_collected", b_if(HS))
    to(ldr_element(OTHER, OBJECT, PLACE), move(0, OTHER))
    to.call(Data.INCREF)
    to(move(0, KEPT), move(1, PLACE), move(2, OTHER))
    to.call(Data.TUPLE_SET)
    to(add_imm(PLACE, PLACE, 1))
    to.to("call_slowly_more", b())
    to.label("call_slowly_collected")
    to(ldr(0, PAGE, Data.CALL_SLOWLY), move(2, KEPT), ldr(3, SP, _Frame.NAMES))
    _ask(to, 3)
    to(move(OTHER, 0), move(0, KEPT))
    to.call(Data.DECREF)
    to(move(0, OTHER))
    to.to("call_done", b())


def _ask(to: Assembly, last: int) -> None:
    """Call the callable in x0 with the function and with objects from x2 on; the last one is None if the register is 0."""
    to(ldr(1, SP, _Frame.SELF), ldr(9, PAGE, Data.NONE), cmp_imm(last, 0), csel(last, last, 9, NE), movz(last + 1, 0))
    to.call(Data.CALL_OBJECTS)


def _failed(to: Assembly) -> None:
    """Data.CALL_FAILED(function, address of the call, exception or None): it traps, or Python raised an exception.

    It gives what to raise for a trap.
    """
    to.label("call_failed")
    to(ldr(9, SP, _Frame.BASE), add_imm(10, 9, Call.SIZE >> 12, shifted=True), add_imm(10, 10, Call.SIZE & 4095))
    to(str_(10, THREAD, Thread.TOP))
    to(stp(ZERO, ZERO, SP, _Frame.ERROR), str_(ZERO, SP, _Frame.ERROR + 16))
    to(ldr(9, 9, Call.TRAP), cmp_imm(9, layout.PYTHON_EXCEPTION))
    to.to("call_failed_trap", b_if(NE))
    fetch(to, _Frame.ERROR)
    to.label("call_failed_trap")
    to(ldr(0, SP, _Frame.BASE))
    to.call(Data.INT_FROM_UNSIGNED)
    to.to("call_failed_again", cbz(0))
    to(move(KEPT, 0), ldr(0, PAGE, Data.CALL_FAILED), move(2, KEPT), ldr(3, SP, _Frame.ERROR + 8))
    _ask(to, 3)
    to(move(OTHER, 0), move(0, KEPT))
    to.call(Data.DECREF)
    to.to("call_failed_again", cbz(OTHER))
    to(ldr(9, SP, _Frame.ERROR + 8))
    to.to("call_failed_passed", cbnz(9))
    to(move(0, OTHER))
    load_type(to)
    to(move(0, 9), move(1, OTHER))
    to.call(Data.ERROR_SET)
    to(move(0, OTHER))
    to.call(Data.DECREF)
    to.to("call_raised", b())
    to.label("call_failed_passed")
    to(move(0, OTHER))
    to.call(Data.DECREF)
    restore(to, _Frame.ERROR)
    to.to("call_raised", b())
    # Python raised another exception.
    to.label("call_failed_again")
    for offset in (_Frame.ERROR, _Frame.ERROR + 8):
        none = to.local("none")
        to(ldr(0, SP, offset))
        to.to(none, cbz(0))
        to.call(Data.DECREF)
        to.label(none)
    to.to("call_raised", b())
