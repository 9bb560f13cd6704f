"""Printing: a module in the text format, so that it reads back to the same module, names included.

Identifiers come from the name section. Fields stand in the order of the binary format; what has no name shows its index
in a comment. Custom sections other than the name section become `@custom` annotations.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING, Final

from wasmine.format.module import ORDER, Active, Mode, Names, Section
from wasmine.format.names import read_names
from wasmine.format.text.printer_body import NO_NAMES, BodyPrinter, render
from wasmine.format.text.printer_literals import print_bytes, print_name
from wasmine.format.text.printer_names import Scope, Space
from wasmine.format.types import FuncIndex, GlobalType, Kind, MemoryType, TableType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wasmine.format.module import Code, CustomSection, DataSegment, ElementSegment, Expression, ModuleSyntax
    from wasmine.format.types import ExternSyntax, ValueType
    from wasmine.validation.context import Context

# Data is cut into strings of so many bytes, one a line.
_LINE: Final = 64

# Sections as `@custom` annotations call them.
_PLACES: Final = {section: section.name.lower().replace("_", "") for section in ORDER} | {
    Section.FUNCTION: "func",
    Section.ELEMENT: "elem",
}


def print_module(syntax: ModuleSyntax, *, folded: bool = True, names: bool = True, skeleton: bool = False) -> str:
    """The module in the text format.

    `folded` puts instructions around their operands; otherwise there is one instruction a line. `names=False` leaves the
    name section out and refers to everything by index. `skeleton` leaves out function bodies and the contents of
    segments. Bodies are printed as they are typed: `ValidationError` if the module is invalid.
    """
    return "".join(print_lines(syntax, folded=folded, names=names, skeleton=skeleton))


def print_lines(
    syntax: ModuleSyntax, *, folded: bool = True, names: bool = True, skeleton: bool = False
) -> Iterator[str]:
    """`print_module`, line by line (each with its end), for texts too long to hold."""
    # Code is read by the typed walk alone: in this one place a package uses another that stands below it.
    from wasmine.validation import validate

    printer = _Printer(validate(syntax), folded=folded, names=names, skeleton=skeleton)
    for line in printer.print():
        yield line
        yield "\n"


class _Printer:
    """The fields of one module."""

    def __init__(self, context: Context, *, folded: bool, names: bool, skeleton: bool) -> None:
        self._context = context
        self._syntax = context.syntax
        self._skeleton = skeleton
        self._names = Names()
        self._customs = list(self._syntax.customs)
        section = next((custom for custom in self._customs if custom.name == "name"), None)
        if section is not None:
            self._customs.remove(section)
            if names:
                self._names = read_names(section.data)
        self._scope = Scope(self._syntax, self._names, context.types)
        self._body = BodyPrinter(self._scope, folded=folded)
        self._constant = self._body if folded else BodyPrinter(self._scope, folded=True)
        # Segments of many items repeat few expressions.
        self._constants: dict[tuple[bytes, ValueType], tuple[str, bool]] = {}

    def print(self) -> Iterator[str]:
        name = self._names.module
        yield f"(module{Space({0: name}).binding(0)}" if name is not None else "(module"
        fields = self._fields()
        yield from self._print_customs(None)
        for section in ORDER:
            if section in fields:
                yield from fields[section]()
            yield from self._print_customs(section)
        yield ")"

    def _fields(self) -> dict[Section, Callable[[], Iterator[str]]]:
        return {
            Section.TYPE: self._print_types,
            Section.IMPORT: self._print_imports,
            Section.TABLE: self._print_tables,
            Section.MEMORY: self._print_memories,
            Section.TAG: self._print_tags,
            Section.GLOBAL: self._print_globals,
            Section.EXPORT: self._print_exports,
            Section.START: self._print_start,
            Section.ELEMENT: self._print_elements,
            Section.CODE: self._print_functions,
            Section.DATA: self._print_data,
        }

    def _print_types(self) -> Iterator[str]:
        index = 0
        for group in self._syntax.types:
            members = [self._scope.print_definition(index + i) for i in range(len(group))]
            index += len(group)
            if len(members) == 1:
                yield f"  {members[0]}"
            elif members:
                yield "  (rec"
                for member in members[:-1]:
                    yield f"    {member}"
                yield f"    {members[-1]})"
            else:
                yield "  (rec)"

    def _print_imports(self) -> Iterator[str]:
        count = dict.fromkeys(Kind, 0)
        for entry in self._syntax.imports:
            kind, text = self._describe(entry.type)
            binding = self._space(kind).definition(count[kind])
            count[kind] += 1
            yield f"  (import {print_name(entry.module)} {print_name(entry.name)} ({kind}{binding}{text}))"

    def _describe(self, type_: ExternSyntax) -> tuple[Kind, str]:
        """The kind of a type of imports, and its text with a space before."""
        scope = self._scope
        if isinstance(type_, FuncIndex):
            return Kind.FUNC, scope.print_type_use(type_.type)
        if isinstance(type_, TableType):
            return Kind.TABLE, f" {scope.print_table_type(type_)}"
        if isinstance(type_, MemoryType):
            return Kind.MEMORY, f" {type_}"
        if isinstance(type_, GlobalType):
            return Kind.GLOBAL, f" {scope.print_global_type(type_)}"
        return Kind.TAG, scope.print_type_use(type_.type)

    def _space(self, kind: Kind) -> Space:
        scope = self._scope
        return (scope.functions, scope.tables, scope.memories, scope.globals, scope.tags)[kind]

    def _print_tables(self) -> Iterator[str]:
        for index, table in enumerate(self._syntax.tables, self._context.imported_tables):
            text = f"  (table{self._scope.tables.definition(index)} {self._scope.print_table_type(table.type)}"
            if table.init is not None:
                text += f" {self._print_constant(table.init, self._context.tables[index].element)}"
            yield f"{text})"

    def _print_memories(self) -> Iterator[str]:
        for index, memory in enumerate(self._syntax.memories, self._context.imported_memories):
            yield f"  (memory{self._scope.memories.definition(index)} {memory})"

    def _print_tags(self) -> Iterator[str]:
        for index, tag in enumerate(self._syntax.tags, self._context.imported_tags):
            yield f"  (tag{self._scope.tags.definition(index)}{self._scope.print_type_use(tag.type)})"

    def _print_globals(self) -> Iterator[str]:
        for index, entry in enumerate(self._syntax.globals, self._context.imported_globals):
            text = f"  (global{self._scope.globals.definition(index)} {self._scope.print_global_type(entry.type)}"
            yield f"{text} {self._print_constant(entry.init, self._context.globals[index].value)})"

    def _print_exports(self) -> Iterator[str]:
        for export in self._syntax.exports:
            index = self._space(export.kind).get(export.index, export.index)
            yield f"  (export {print_name(export.name)} ({export.kind} {index}))"

    def _print_start(self) -> Iterator[str]:
        start = self._syntax.start
        if start is not None:
            yield f"  (start {self._scope.functions.get(start, start)})"

    # Segments

    def _print_elements(self) -> Iterator[str]:
        for index, segment in enumerate(self._syntax.elements):
            mode = segment.mode
            text = f"  (elem{self._scope.elements.definition(index)}"
            if isinstance(mode, Active):
                if mode.index:
                    text += f" (table {self._scope.tables.get(mode.index, mode.index)})"
                text += f" {self._print_constant(mode.offset, self._context.tables[mode.index].address, 'offset')}"
            elif mode is Mode.DECLARATIVE:
                text += " declare"
            text += " func" if _is_plain(segment) else f" {self._scope.print_ref(segment.type)}"
            if self._skeleton:
                yield f"{text} (; {len(segment.items)} items ;))"
                continue
            closed = self._context.elements[index]
            for item in segment.items:
                # A line for each item that is not short.
                spelled = self._print_item(item, closed, plain=_is_plain(segment))
                if len(text) + len(spelled) > 100:
                    yield text
                    text = "   "
                text += f" {spelled}"
            yield f"{text})"

    def _print_item(self, item: int | Expression, type_: ValueType, *, plain: bool) -> str:
        if isinstance(item, int):
            function = str(self._scope.functions.get(item, item))
            return function if plain else f"(ref.func {function})"
        return self._print_constant(item, type_, "item")

    def _print_data(self) -> Iterator[str]:
        for index, segment in enumerate(self._syntax.data):
            yield from self._print_data_segment(index, segment)

    def _print_data_segment(self, index: int, segment: DataSegment) -> Iterator[str]:
        mode = segment.mode
        text = f"  (data{self._scope.data.definition(index)}"
        if isinstance(mode, Active):
            if mode.index:
                text += f" (memory {self._scope.memories.get(mode.index, mode.index)})"
            text += f" {self._print_constant(mode.offset, self._context.memories[mode.index].address, 'offset')}"
        if self._skeleton:
            yield f"{text} (; {len(segment.data)} bytes ;))"
        else:
            yield from _print_strings(text, segment.data)

    # Code

    def _print_functions(self) -> Iterator[str]:
        first = self._context.imported_functions
        for index, (type_, code) in enumerate(zip(self._syntax.functions, self._syntax.code, strict=True), first):
            yield from self._print_function(index, type_, code)

    def _print_function(self, index: int, type_: int, code: Code) -> Iterator[str]:
        from wasmine.validation import walk_function

        names, scope = self._names, self._scope
        locals_ = Space(names.locals[index]) if index in names.locals else NO_NAMES
        labels = Space(names.labels[index], shared=True) if index in names.labels else NO_NAMES
        line = f"  (func{scope.functions.definition(index)}{scope.print_type_use(type_, locals_)}"
        if self._skeleton:
            yield f"{line} (; ... ;))"
            return
        signature = scope.signature(type_)
        if code.locals:
            yield line
            variables = list(chain.from_iterable(repeat(type_, count) for count, type_ in code.locals))
            line = f"    {scope.print_locals(variables, locals_, len(signature.params))}"
        self._body.start(len(signature.results), locals_, labels)
        walk_function(self._context, index, self._body)
        for body_line in render(self._body.finish(), 2):
            yield line
            line = body_line
        yield f"{line})"

    def _print_constant(self, expression: Expression, type_: ValueType, keyword: str = "") -> str:
        """A constant expression; inside `keyword` parentheses where it is not a single folded instruction."""
        from wasmine.validation import walk_expression

        key = expression.code, type_
        known = self._constants.get(key)
        if known is None:
            self._constant.start(1)
            walk_expression(self._context, expression, type_, self._constant)
            nodes = self._constant.finish()
            known = " ".join(line.strip() for line in render(nodes, 0)), len(nodes) == 1
            self._constants[key] = known
        text, single = known
        return f"({keyword} {text})" if keyword and not single else text

    def _print_customs(self, after: Section | None) -> Iterator[str]:
        place = "before first" if after is None else f"after {_PLACES[after]}"
        for custom in self._customs:
            if custom.after is after:
                yield from self._print_custom(custom, place)

    def _print_custom(self, custom: CustomSection, place: str) -> Iterator[str]:
        yield from _print_strings(f"  (@custom {print_name(custom.name)} ({place})", custom.data)


def _print_strings(head: str, data: bytes) -> Iterator[str]:
    """A field that ends in bytes: on one line if they are few."""
    if len(data) <= _LINE:
        yield f"{head} {print_bytes(data)})"
        return
    yield head
    last = (len(data) - 1) // _LINE * _LINE
    for start in range(0, last, _LINE):
        yield f"    {print_bytes(data[start : start + _LINE])}"
    yield f"    {print_bytes(data[last:])})"


def _is_plain(segment: ElementSegment) -> bool:
    """Whether the segment is one of function indices."""
    return all(isinstance(item, int) for item in segment.items) and str(segment.type) == "(ref func)"
