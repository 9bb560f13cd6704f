"""Which modules only the interpreter can run: those with objects of the GC proposal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.format.instructions import INSTRUCTIONS, SLOTS
from wasmine.format.types import ArrayType, FuncType, Heap, RefType, StructType
from wasmine.validation import features_used, walk_expression, walk_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wasmine.format.types import ValueType
    from wasmine.validation.context import Context

# References that may be structs, arrays or i31 numbers. Recursive types and subtypes of functions are no objects.
_OBJECTS: Final = frozenset({Heap.ANY, Heap.EQ, Heap.I31, Heap.STRUCT, Heap.ARRAY, Heap.NONE})


def needs_gc_objects(context: Context) -> bool:
    """Whether a module has types or instructions of structs, arrays, i31 numbers or casts."""
    if "gc" not in features_used(context):
        return False
    if any(isinstance(type.composite, StructType | ArrayType) for type in context.types):
        return True
    if any(isinstance(type, RefType) and type.heap in _OBJECTS for type in _mentioned(context)):
        return True
    return _Scan(context).found


def _mentioned(context: Context) -> Iterator[ValueType]:
    """The closed value types of functions, locals, tables, globals and segments."""
    for defined in (*context.types, *context.tags):
        if isinstance(defined.composite, FuncType):
            yield from defined.composite.params
            yield from defined.composite.results
    for code in context.syntax.code:
        yield from (context.close(type) for _, type in code.locals)
    yield from (table.element for table in context.tables)
    yield from (variable.value for variable in context.globals)
    yield from context.elements


class _Scan:
    """A visitor that looks for instructions on objects."""

    def __init__(self, context: Context) -> None:
        self.found = False
        self.handlers: list[Callable[..., object]] = [_nothing] * SLOTS
        for instruction in INSTRUCTIONS:
            if instruction.feature == "gc":
                self.handlers[instruction.slot] = self._find
        for index in range(context.imported_functions, len(context.functions)):
            walk_function(context, index, self)
            if self.found:
                return
        for variable, type in zip(context.syntax.globals, context.globals[context.imported_globals :], strict=True):
            walk_expression(context, variable.init, type.value, self)

    def begin(self, position: Callable[[], int]) -> None:
        """Nothing to prepare."""

    def _find(self, *_: object) -> None:
        self.found = True


def _nothing(*_: object) -> None:
    pass
