"""What errors that leave generated code mean: traps with their wasm call stack.

Generated code leaves bounds checks, null checks and divisions by zero to Python. Such an error means a trap only if the
innermost frame of its traceback is generated code; what a host function raises passes through as it is.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from wasmine.errors import OutOfFuel, Trap, TrapKind
from wasmine.interpreter.accesses import describe_access
from wasmine.runtime.stack import wasm_frames
from wasmine.runtime.thrown import Thrown, to_public

if TYPE_CHECKING:
    from types import TracebackType

    from wasmine.interpreter.code import InstanceCode

# An indirect call looks up its callee on a line of its own.
_LOOKUP: Final = re.compile(r"\s*c = T\d+\[")


def translate(error: Exception, outermost: bool) -> Exception:
    """The error that Python code outside is to see: `error` itself, or the trap or wasm exception that it means.

    A trap, or a lack of fuel, that passes several entries from Python gets its frames where it arises and all of them at
    the `outermost` entry.
    """
    if isinstance(error, Thrown):
        return to_public(error)
    traceback = error.__traceback__
    if isinstance(error, Trap | OutOfFuel):
        if outermost or not error.frames:
            error.frames = wasm_frames(traceback)
        return error
    trap = _trap(error, traceback)
    if trap is None:
        return error
    trap.frames = wasm_frames(traceback)
    return trap


def _trap(error: Exception, traceback: TracebackType | None) -> Trap | None:
    innermost = traceback
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return None
    code = _code(innermost)
    if isinstance(error, RecursionError):
        inside = code is not None or innermost.tb_frame.f_globals.get("__name__", "").startswith("wasmine.")
        return Trap(TrapKind.STACK_OVERFLOW) if inside else None
    if code is None:
        return None
    if isinstance(error, ZeroDivisionError):
        return Trap(TrapKind.INTEGER_DIVIDE_BY_ZERO)
    if isinstance(error, AttributeError):
        return _null(error)
    if isinstance(error, IndexError | OverflowError | struct.error):
        return _out_of_bounds(error, innermost, code)
    return None


def _null(error: AttributeError) -> Trap | None:
    if error.obj is not None:
        return None
    return Trap(TrapKind.UNINITIALIZED_ELEMENT if error.name == "defined" else TrapKind.NULL_REFERENCE)


def _out_of_bounds(error: Exception, traceback: TracebackType, code: InstanceCode) -> Trap:
    # Views of memory say "index out of bounds on dimension 1", bytearrays "bytearray index out of range", lists "list ...".
    index = code.module.index_of(traceback.tb_frame.f_code.co_filename)
    line = code.module.source(index).splitlines()[traceback.tb_lineno - 1] if index is not None else ""
    detail = describe_access(traceback, line)
    if _LOOKUP.match(line):
        return Trap(TrapKind.TABLE_OUT_OF_BOUNDS, detail)
    if str(error).startswith("list"):
        return Trap(TrapKind.ARRAY_OUT_OF_BOUNDS, detail)
    return Trap(TrapKind.MEMORY_OUT_OF_BOUNDS, detail)


def _code(traceback: TracebackType) -> InstanceCode | None:
    """The instance whose generated code runs in the frame of this traceback entry."""
    from wasmine.interpreter.code import InstanceCode

    code = traceback.tb_frame.f_globals.get("__wasm__")
    return code if isinstance(code, InstanceCode) else None
