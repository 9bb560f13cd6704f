"""Which modules only the interpreter can run: those with objects of the GC proposal."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from wasmine.compiler.baseline.weights import is_plain
from wasmine.format.instructions import INSTRUCTIONS, SLOTS
from wasmine.format.module import Expression
from wasmine.validation import walk_expression, walk_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.validation.context import Context


def needs_gc_objects(context: Context) -> bool:
    """Whether a module has instructions on structs, arrays or i31 numbers, or casts. Types alone make no objects."""
    return bool(object_instruction(context))


def object_instruction(context: Context) -> str:
    """The first such instruction and where it stands, for people; "" if there is none."""
    return _Scan(context).found if context.features.gc else ""


# The first bytes of such instructions, which may also be those of numbers: one function in ten has them. The second
# number of an opcode may have needless zeros.
_MAYBE: Final = re.compile(rb"\xd3|\xfb(?:[\x00-\x1f]|[\x80-\x9f][\x80\x00])")


class _Scan:
    """A visitor that looks for instructions on objects."""

    def __init__(self, context: Context) -> None:
        self.found = ""
        self._where = ""
        self.handlers: list[Callable[..., object]] = [_nothing] * SLOTS
        for instruction in INSTRUCTIONS:
            if instruction.feature == "gc":
                self.handlers[instruction.slot] = partial(self._find, instruction.name)
        for index, code in enumerate(context.syntax.code, context.imported_functions):
            if _MAYBE.search(code.body.code) and not is_plain(code.body.code):
                self._where = f"function {index}"
                walk_function(context, index, self)
            if self.found:
                return
        syntax = context.syntax
        self._where = "a constant expression"
        for variable, type in zip(syntax.globals, context.globals[context.imported_globals :], strict=True):
            walk_expression(context, variable.init, type.value, self)
        for table, declared in zip(syntax.tables, context.tables[context.imported_tables :], strict=True):
            if table.init is not None:
                walk_expression(context, table.init, declared.element, self)
        for segment, element in zip(syntax.elements, context.elements, strict=True):
            for item in segment.items:
                if isinstance(item, Expression):
                    walk_expression(context, item, element, self)

    def begin(self, position: Callable[[], int]) -> None:
        """Nothing to prepare."""

    def _find(self, name: str, *_: object) -> None:
        self.found = self.found or f"{name} in {self._where}"


def _nothing(*_: object) -> None:
    pass
