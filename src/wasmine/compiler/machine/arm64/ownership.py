"""Taking an instance from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.compiler.machine.arm64.words import CLREX, RET, cbnz, cbnz_w, ldaxr, move, movz, stlxr
from wasmine.compiler.machine.layout import Context

if TYPE_CHECKING:
    from wasmine.compiler.machine.arm64.assembly import Assembly


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
