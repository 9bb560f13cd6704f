"""Which access was out of bounds: for the message of a trap, read off the failing expression of generated code."""

from __future__ import annotations

import ast
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import TracebackType

_SIZES: Final = {"h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8, "d": 8}


def describe_access(traceback: TracebackType, line: str) -> str:
    """What was accessed where, or "" where that cannot be told (Python may run without column numbers).

    `line` is the line of generated code. The index is evaluated again, in the frame as the error left it; expressions that
    call are not.
    """
    node = _failing_expression(traceback, line)
    frame = traceback.tb_frame
    names = {**frame.f_globals, **frame.f_locals}
    try:
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=index) if name[0] == "T":
                return f"element {_evaluate(index, names)} of a table of {len(names[name])}"
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                return _bytes(_evaluate(index, names), 1, names[name])
            case ast.Subscript(value=ast.Attribute(value=array, attr="elements"), slice=index):
                length = len(_evaluate(array, names).elements)
                return f"element {_evaluate(index, names)} of an array of {length}"
            case ast.Call(func=ast.IfExp(), args=[ast.Name(id=memory), address, *_]):
                return _bytes(_evaluate(address, names), _SIZES["f"], names[memory])
            case ast.Call(func=ast.Name(id=name), args=[ast.Name(id=memory), address, *_]):
                return _bytes(_evaluate(address, names), _SIZES[name[-1]], names[memory])
    except Exception:  # the message is a courtesy: nothing that goes wrong here may hide the trap
        return ""
    return ""


def _bytes(address: int, size: int, memory: bytes) -> str:
    return f"{size} byte{'' if size == 1 else 's'} at {address:#x} in a memory of {len(memory):#x} bytes"


def _failing_expression(traceback: TracebackType, line: str) -> ast.expr | None:
    positions = getattr(traceback.tb_frame.f_code, "co_positions", None)
    if positions is None:  # PyPy
        return None
    position = next(islice(positions(), traceback.tb_lasti // 2, None), None)
    if position is None or position[2] is None or position[3] is None:
        return None
    try:
        return ast.parse(line[position[2] : position[3]], mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _evaluate(node: ast.expr, names: dict[str, Any]) -> Any:
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and not (isinstance(part.func, ast.Name) and part.func.id.startswith("load_")):
            raise ValueError("a call may not be repeated")
    return eval(compile(ast.Expression(node), "<access>", "eval"), names)
