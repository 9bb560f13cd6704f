"""The steps of programs that convert values: from Python objects to slots (`take_...`) and back (`box_...`).

A step is jumped to, and jumps to the next one (`proceed`), with the GIL held. Registers, besides PAGE and THREAD: PLACE the
place in the program, behind the step's own address; OBJECT the place of the object's address, SLOT that of the slot, both
moved on by the step; UNFIT where to go if the step cannot do it. KEPT and OTHER are the step's for its own length, across
calls of C functions.

At UNFIT, w0 is 0 if Python has to do it, for a value of an unusual type or a wrong one; or 1 if there is an exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine.arm64.registers import PAGE
from wasmine.compiler.machine.arm64.words import (
    EQ,
    HI,
    NE,
    VS,
    ZERO,
    add,
    add_imm,
    and_,
    b,
    b_if,
    br,
    cbnz,
    cbz,
    cmn_imm,
    cmp,
    cmp_imm,
    cmp_sxtw,
    cmp_uxtw,
    constant,
    csel,
    eor_lsr,
    fcmp_d,
    fcmp_s,
    fcvt_to_d,
    fcvt_to_s,
    fmov_from_d,
    fmov_to_d,
    ldp,
    ldr,
    ldr_at,
    ldr_d,
    ldr_element,
    ldr_post,
    ldr_q,
    ldr_s,
    ldr_w,
    ldrsw,
    lsl_imm,
    lsr_imm,
    move,
    move_w,
    movn,
    movz,
    orr,
    str_,
    str_d,
    str_post,
    str_q,
    str_s,
    sub,
)
from wasmine.compiler.machine.layout import Data

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.machine.arm64.assembly import Assembly

PLACE: Final = 24
OBJECT: Final = 25
SLOT: Final = 26
UNFIT: Final = 27
KEPT: Final = 28
OTHER: Final = 22

_MINUS_ONE: Final = 0xBFF0 << 48  # as a double
_INFINITY: Final = 0x7FF0 << 48


def proceed(to: Assembly, operands: int = 0) -> None:
    """Go on with the step behind this one, which has some operands. Changes x16; w0 stays."""
    if operands:
        to(add_imm(PLACE, PLACE, 8 * operands))
    to(ldr_post(16, PLACE, 8), br(16))


def steps(to: Assembly) -> None:
    """Everything of this module."""
    to.label("unfit_clear")
    to.call(Data.ERROR_CLEAR)
    to.label("unfit")
    to(movz(0, 0), br(UNFIT))
    to.label("failed")
    to(movz(0, 1), br(UNFIT))
    _take_integers(to)
    _take_float(to, "f64", lambda to: to(str_d(0, SLOT)))
    _take_float(to, "f32", _store_f32)
    _take_vector(to)
    _take_reference(to)
    for name, convert, size in (
        ("i32", _box_i32, 8),
        ("i64", _box_i64, 8),
        ("f64", _box_f64, 8),
        ("f32", _box_f32, 8),
        ("v128", _box_v128, 16),
    ):
        _box(to, name, convert, size)
    _box_reference(to)
    _box_function(to)


# ---------------------------------------------------------------------------------------------------- from objects


def load_type(to: Assembly) -> None:
    """The address of the type of the object in x0 into x9."""
    to(ldr(9, PAGE, Data.TYPE), ldr_at(9, 0, 9))


def unless_type(to: Assembly, type: int, label: str) -> None:
    """Go to a label unless x9 is a type whose address lies at this offset of the data page. Changes x10."""
    to(ldr(10, PAGE, type), cmp(9, 10))
    to.to(label, b_if(NE))


def _take_integers(to: Assembly) -> None:
    """Numbers that are exactly int or bool: what else has `__index__` would run Python code here."""
    _take_integer(to, "i32", "unfit_clear")
    # A register holds zeros above an i32, and the result of a host function goes from here into one.
    to(cmp_sxtw(0, 0))
    to.to("take_i32_fits", b_if(EQ))
    to(cmp_uxtw(0, 0))
    to.to("unfit", b_if(NE))
    to.label("take_i32_fits")
    to(move_w(0, 0))
    to.to("take_i32_store", b())
    _take_integer(to, "i64", "take_i64_unsigned")
    to.to("take_i64_store", b())
    # Too large for a signed number.
    to.label("take_i64_unsigned")
    to.call(Data.ERROR_CLEAR)
    to(ldr(0, OBJECT))
    to.call(Data.INT_TO_UNSIGNED)
    to(cmn_imm(0, 1))
    to.to("take_i64_number", b_if(NE))
    _check_error(to, "unfit_clear")
    to.to("take_i64_number", b())


def _taken(to: Assembly, operands: int = 0) -> None:
    """The end of a step: x0 goes into the slot."""
    to(str_post(0, SLOT, 8), add_imm(OBJECT, OBJECT, 8))
    proceed(to, operands)


def _check_error(to: Assembly, wrong: str) -> None:
    """Minus one is also what errors give. Go to `wrong` if there is one; x0 is -1 if not."""
    to.call(Data.ERROR_OCCURRED)
    to.to(wrong, cbnz(0))
    to(movn(0, 0))


def _take_integer(to: Assembly, name: str, wrong: str) -> None:
    """A step, but for its end: x0 is the number, which belongs into the slot (`take_..._store`). An exception goes to
    `wrong`.
    """
    other, exact = f"take_{name}_bool", f"take_{name}_exact"
    minus_one, number = f"take_{name}_minus_one", f"take_{name}_number"
    to.label(other)
    unless_type(to, Data.BOOL, "unfit")
    to.to(exact, b())
    to.label(minus_one)
    _check_error(to, wrong)
    to.to(number, b())
    to.label(f"take_{name}", public=True)
    to(ldr(0, OBJECT))
    load_type(to)
    unless_type(to, Data.INT, other)
    # One digit and not negative, as most are: it is here.
    to(ldr(9, PAGE, Data.TYPE), add(9, 0, 9), ldp(10, 11, 9, 8), ldr(12, PAGE, Data.INT_MASK), and_(10, 10, 12))
    to(ldr(12, PAGE, Data.INT_ZERO), sub(10, 10, 12), ldr(12, PAGE, Data.INT_DIGIT), cmp(10, 12))
    to.to(exact, b_if(HI))
    to(move_w(11, 11), csel(0, 11, ZERO, EQ))
    to.label(f"take_{name}_store")
    _taken(to)
    to.label(exact)
    to.call(Data.INT_TO_SIGNED)
    to(cmn_imm(0, 1))
    to.to(minus_one, b_if(EQ))
    to.label(number)


def _take_float(to: Assembly, name: str, store: Callable[[Assembly], None]) -> None:
    """Numbers that are exactly float or int."""
    other, exact = f"take_{name}_int", f"take_{name}_exact"
    minus_one, number = f"take_{name}_minus_one", f"take_{name}_number"
    to.label(f"take_{name}", public=True)
    to(ldr(0, OBJECT))
    load_type(to)
    unless_type(to, Data.FLOAT, other)
    to.label(exact)
    to.call(Data.FLOAT_TO_DOUBLE)
    to(fmov_from_d(9, 0), *constant(10, _MINUS_ONE), cmp(9, 10))
    to.to(minus_one, b_if(EQ))
    to.label(number)
    store(to)
    to(add_imm(OBJECT, OBJECT, 8), add_imm(SLOT, SLOT, 8))
    proceed(to)
    to.label(other)
    unless_type(to, Data.INT, "unfit")
    to.to(exact, b())
    to.label(minus_one)
    to.call(Data.ERROR_OCCURRED)
    to.to("unfit_clear", cbnz(0))
    to(*constant(10, _MINUS_ONE), fmov_to_d(0, 10))
    to.to(number, b())


def _store_f32(to: Assembly) -> None:
    """NaNs keep their payloads, which conversions between the formats do not see to: Python does it."""
    to(fcmp_d(0, 0))
    to.to("unfit", b_if(VS))
    to(fcvt_to_s(0, 0), str_s(0, SLOT))


def _take_vector(to: Assembly) -> None:
    """A v128 is exactly bytes of 16."""
    to.label("take_v128", public=True)
    to(ldr(0, OBJECT))
    load_type(to)
    unless_type(to, Data.BYTES, "unfit")
    to.call(Data.BYTES_SIZE)
    to(cmp_imm(0, 16))
    to.to("unfit", b_if(NE))
    to(ldr(0, OBJECT))
    to.call(Data.BYTES_START)
    to(ldr_q(0, 0), str_q(0, SLOT), add_imm(OBJECT, OBJECT, 8), add_imm(SLOT, SLOT, 16))
    proceed(to)


def _take_reference(to: Assembly) -> None:
    """Operands: where the address of a `references.Known` stands, and the function that gives the reference for any other
    object, or -1 if Python has to do it.
    """
    to.label("take_reference", public=True)
    to(ldr(9, OBJECT), ldr(10, PAGE, Data.NONE), movz(0, 0), cmp(9, 10))
    to.to("take_reference_store", b_if(EQ))
    to(ldr(10, PLACE), ldr(10, 10), ldr_post(12, 10, 8), eor_lsr(11, 9, 9, 8), lsr_imm(11, 11, 4))
    to.label("take_reference_more")
    to(and_(11, 11, 12), ldr_element(0, 10, 11), cmp(0, 9))
    to.to("take_reference_store", b_if(EQ))
    to(add_imm(11, 11, 1))
    to.to("take_reference_more", cbnz(0))
    to.to("take_reference_new", b())
    to.label("take_reference_store")
    _taken(to, 2)
    to.label("take_reference_new")
    to(ldr(0, PLACE, 8), ldr(1, OBJECT), movz(2, 0))
    to.call(Data.CALL_OBJECTS)
    to.to("failed", cbz(0))
    to(move(KEPT, 0))
    to.call(Data.INT_TO_SIGNED)
    to(move(OTHER, 0), move(0, KEPT))
    to.call(Data.DECREF)
    to(move(0, OTHER), cmn_imm(0, 1))
    to.to("take_reference_store", b_if(NE))
    to.to("unfit", b())


# ---------------------------------------------------------------------------------------------------- to objects


def _box(to: Assembly, name: str, convert: Callable[[Assembly], None], size: int) -> None:
    to.label(f"box_{name}", public=True)
    convert(to)
    to.to("failed", cbz(0))
    to(str_post(0, OBJECT, 8), add_imm(SLOT, SLOT, size))
    proceed(to)


def _box_i32(to: Assembly) -> None:
    to(ldrsw(0, SLOT))
    to.call(Data.INT_FROM_SIGNED)


def _box_i64(to: Assembly) -> None:
    to(ldr(0, SLOT))
    to.call(Data.INT_FROM_SIGNED)


def _box_f64(to: Assembly) -> None:
    to(ldr_d(0, SLOT))
    to.call(Data.FLOAT_FROM_DOUBLE)


def _box_f32(to: Assembly) -> None:
    to(ldr_s(0, SLOT), fcmp_s(0, 0))
    to.to("box_f32_nan", b_if(VS))
    to(fcvt_to_d(0, 0))
    to.to("box_f32_double", b())
    # Quiet or not: sign, exponent of ones, payload.
    to.label("box_f32_nan")
    to(ldr_w(9, SLOT), lsr_imm(10, 9, 31), lsl_imm(10, 10, 63), lsl_imm(9, 9, 41), lsr_imm(9, 9, 12), orr(9, 9, 10))
    to(*constant(10, _INFINITY), orr(9, 9, 10), fmov_to_d(0, 9))
    to.label("box_f32_double")
    to.call(Data.FLOAT_FROM_DOUBLE)


def _box_v128(to: Assembly) -> None:
    to(move(0, SLOT), movz(1, 16))
    to.call(Data.BYTES_NEW)


def _box_reference(to: Assembly) -> None:
    """A reference is the object's address."""
    to.label("box_reference", public=True)
    to(ldr(0, SLOT), ldr(9, PAGE, Data.NONE), cmp_imm(0, 0), csel(0, 0, 9, NE), str_(0, OBJECT))
    to.call(Data.INCREF)
    to(ldr_post(0, OBJECT, 8), add_imm(SLOT, SLOT, 8))
    proceed(to)


def _box_function(to: Assembly) -> None:
    """Operand: the function that finds the function of a record."""
    to.label("box_function", public=True)
    to(ldr(0, SLOT))
    to.to("box_function_null", cbz(0))
    to.call(Data.INT_FROM_UNSIGNED)
    to.to("failed", cbz(0))
    to(move(KEPT, 0), ldr(0, PLACE), move(1, KEPT), movz(2, 0))
    to.call(Data.CALL_OBJECTS)
    to(move(OTHER, 0), move(0, KEPT))
    to.call(Data.DECREF)
    to(move(0, OTHER))
    to.to("failed", cbz(0))
    to.label("box_function_store")
    to(str_post(0, OBJECT, 8), add_imm(SLOT, SLOT, 8))
    proceed(to, 1)
    to.label("box_function_null")
    to(ldr(OTHER, PAGE, Data.NONE), move(0, OTHER))
    to.call(Data.INCREF)
    to(move(0, OTHER))
    to.to("box_function_store", b())
