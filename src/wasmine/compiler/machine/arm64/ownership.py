"""What Python does with the blob's help: taking an instance, looking at registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.compiler.machine.arm64.words import (
    CLREX,
    RET,
    SP,
    cbnz,
    cbnz_w,
    ldaxr,
    move,
    move_sp,
    movz,
    stlxr,
    stp,
    str_,
)
from wasmine.compiler.machine.layout import Context

if TYPE_CHECKING:
    from wasmine.compiler.machine.arm64.assembly import Assembly


def registers(to: Assembly) -> None:
    """uint64 registers(words): write the registers that C functions preserve; the stack pointer."""
    to.label("registers", public=True)
    for i, register in enumerate(range(19, 29, 2)):
        to(stp(register, register + 1, 0, 16 * i))
    to(str_(29, 0, 80), move_sp(0, SP), RET)


def seize(to: Assembly) -> None:
    """uint64 seize(context, owner): take a context that is nobody's. Whose it was; 0: it is taken now."""
    assert Context.THREAD == 0
    to.label("seize", public=True)
    to(ldaxr(9, 0))
    to.to("seize_not", cbnz(9))
    to(stlxr(10, 1, 0))
    to.to("seize", cbnz_w(10))
    to(movz(0, 0), RET)
    to.label("seize_not")
    to(CLREX, move(0, 9), RET)
