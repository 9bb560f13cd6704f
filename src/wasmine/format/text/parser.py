"""Modules in the text format.

A module is read twice. First every field is declared: it gets its index, so that identifiers may be used before their
definition. Then the types are read, which everything else mentions, and then the rest in order. Bodies become bytes of
the binary format straight away (`code.py`).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from wasmine.errors import DecodeError
from wasmine.format import writer
from wasmine.format.leb128 import unsigned
from wasmine.format.module import (
    Active,
    Code,
    DataSegment,
    ElementSegment,
    Export,
    Expression,
    Global,
    Import,
    Mode,
    ModuleSyntax,
    Names,
    Section,
    Table,
)
from wasmine.format.names import write_names
from wasmine.format.text.code import HINT, CodeCursor
from wasmine.format.text.customs import BEFORE_CODE, LAST, Custom, custom_section, placed
from wasmine.format.text.lexer import Source
from wasmine.format.text.types import Space
from wasmine.format.types import I32, I64, FuncIndex, Heap, Kind, Limits, MemoryType, RefType, TableType, TagIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.module import CustomSection
    from wasmine.format.types import ExternSyntax, ValueType

_FUNCTIONS: Final = RefType(False, Heap.FUNC)
# The offset of the segments that are written inside a table or memory, by its address type.
_ZERO: Final = {I32: Expression(b"\x41\x00\x0b"), I64: Expression(b"\x42\x00\x0b")}


def parse_module(text: str) -> ModuleSyntax:
    """The module in the text format: `(module ...)`, or only its fields, or `(module binary ...)` or `(module quote ...)`.

    Identifiers end up in a custom section `name`. DecodeError, with line and column, if the text is malformed.
    """
    parser = ModuleParser(Source(text))
    syntax = parser.module()
    if parser.tokens[parser.at]:
        raise parser.unexpected("nothing after the module")
    return syntax


class ModuleParser(CodeCursor):
    """Reads the module at the cursor."""

    def __init__(self, source: Source, at: int = 0) -> None:
        super().__init__(source, at)
        self._spaces = {
            Kind.FUNC: self.functions,
            Kind.TABLE: self.tables,
            Kind.MEMORY: self.memories,
            Kind.GLOBAL: self.globals,
            Kind.TAG: self.tags,
        }
        self._counts = dict.fromkeys(Kind, 0)  # how many of each kind were read
        self._defined: Kind | None = None  # the kind of the first definition: no import may come after it
        self._names = Names()
        self._customs: list[Custom] = []
        self._function_hints: list[bytes] = []  # branch hints, by function, in the binary format
        # What the module will hold.
        self._imports: list[Import] = []
        self._functions: list[int] = []
        self._tables: list[Table] = []
        self._memories: list[MemoryType] = []
        self._tags: list[TagIndex] = []
        self._globals: list[Global] = []
        self._exports: list[Export] = []
        self._start: int | None = None
        self._elements: list[ElementSegment] = []
        self._codes: list[Code] = []
        self._segments: list[DataSegment] = []

    # ---- the module

    def module(self) -> ModuleSyntax:
        """The module in any of its forms, or fields up to the end of the text."""
        try:
            return self._module()
        except DecodeError as error:
            raise self.placed(error) from None

    def contents(self) -> ModuleSyntax:
        """The module of which an identifier and fields come next, up to its closing parenthesis or the end of the text."""
        try:
            return self._contents()
        except DecodeError as error:
            raise self.placed(error) from None

    def _module(self) -> ModuleSyntax:
        if not self.opens("module"):
            return self._contents()
        start = self.at
        self.identifier()
        if self.accepts("binary"):
            from wasmine.format.reader import read

            syntax = read(self.strings())
            self.close()
            return syntax
        if self.accepts("quote"):
            syntax = parse_quoted(self.strings())
            self.close()
            return syntax
        self.at = start
        syntax = self._contents()
        self.close()
        return syntax

    def _contents(self) -> ModuleSyntax:
        start = self.at
        identifier = self.identifier()
        annotated = self.annotated_name("module")
        self._names.module = identifier if annotated is None else annotated
        return self._syntax(start)

    def _syntax(self, start: int) -> ModuleSyntax:
        """The module whose fields come next; `start` is where its annotations begin."""
        definitions, fields = self._declare_fields()
        end = self.at
        for definition in definitions:
            self.at = definition
            self.define_types()
        for field in fields:
            self.at = field + 1
            _FIELDS[self.tokens[field]](self)
            self.close()
        self.at = end
        self._check_annotations(start, end)
        return self._finish()

    def _finish(self) -> ModuleSyntax:
        sections = {
            Section.TYPE: self.groups,
            Section.IMPORT: self._imports,
            Section.FUNCTION: self._functions,
            Section.TABLE: self._tables,
            Section.MEMORY: self._memories,
            Section.TAG: self._tags,
            Section.GLOBAL: self._globals,
            Section.EXPORT: self._exports,
            Section.START: self._start is not None,
            Section.ELEMENT: self._elements,
            Section.DATA_COUNT: self.mentions_data,
            Section.CODE: self._codes,
            Section.DATA: self._segments,
        }
        return ModuleSyntax(
            types=tuple(self.groups),
            imports=tuple(self._imports),
            functions=tuple(self._functions),
            tables=tuple(self._tables),
            memories=tuple(self._memories),
            tags=tuple(self._tags),
            globals=tuple(self._globals),
            exports=tuple(self._exports),
            start=self._start,
            elements=tuple(self._elements),
            data_count=len(self._segments) if self.mentions_data else None,
            code=tuple(self._codes),
            data=tuple(self._segments),
            customs=self._custom_sections({section for section, content in sections.items() if content}),
        )

    def _custom_sections(self, present: set[Section]) -> tuple[CustomSection, ...]:
        customs = list(self._customs)
        if self._function_hints:
            customs.append(Custom(BEFORE_CODE, HINT, writer.vector(self._function_hints)))
        names = self._names
        names.types = self.types.names
        names.functions = self.functions.names
        names.tables = self.tables.names
        names.memories = self.memories.names
        names.globals = self.globals.names
        names.tags = self.tags.names
        names.elements = self.elements.names
        names.data = self.data.names
        names.fields = {index: space.names for index, space in self.fields.items() if space.names}
        content = write_names(names)
        if content:
            customs.append(Custom(LAST, "name", content))
        return placed(customs, present)

    # ---- annotations

    def _custom_annotations(self) -> None:
        """Takes the custom sections that are written where the cursor is."""
        for annotation in self.source.annotations.get(self.at, ()):
            if annotation.name == "custom":
                try:
                    self._customs.append(custom_section(annotation.tokens))
                except DecodeError as error:
                    raise self.source.error_at(annotation.offset, error.reason) from None
                self.used_annotations.add((self.at, "custom"))

    def _check_annotations(self, start: int, end: int) -> None:
        """Refuses the annotations from `start` to `end` that nothing has used."""
        for index in self.source.annotated(start, end):
            for annotation in self.source.annotations[index]:
                if (index, annotation.name) not in self.used_annotations:
                    raise self.source.error_at(
                        annotation.offset,
                        f"@{HINT} annotation: not in a function"
                        if annotation.name == HINT
                        else f"misplaced @{annotation.name} annotation",
                    )

    # ---- declaring fields

    def _declare_fields(self) -> tuple[list[int], list[int]]:
        """Where the keywords of the fields are, those of type definitions and the others. All of them are declared."""
        tokens = self.tokens
        definitions: list[int] = []
        fields: list[int] = []
        self._custom_annotations()
        while tokens[self.at] == "(":
            self.at += 1
            keyword = tokens[self.at]
            declare = DECLARATIONS.get(keyword)
            if declare is None:
                raise self.unexpected("a module field")
            (definitions if declare is ModuleParser.declare_types else fields).append(self.at)
            declare(self)
            self.skip()
            self._custom_annotations()
        if tokens[self.at] not in (")", ""):
            raise self.unexpected("a module field")
        return definitions, fields

    def _declare_nothing(self) -> None:
        self.at += 1

    def _declare_import(self) -> None:
        self._check_import_order()
        self.at += 1
        self.name()
        self.name()
        if self.tokens[self.at] == "(":
            self.at += 1
            kind = _KINDS.get(self.tokens[self.at])
            if kind is None:
                raise self.unexpected("func, table, memory, global or tag")
            self.at += 1
            self.declare(self._spaces[kind])
            self.skip()

    def _check_import_order(self) -> None:
        if self._defined is not None:
            raise self.error(f"import after {_DEFINED[self._defined]}: imports must come before all definitions")

    def _declare_definition(self) -> None:
        """A function, table, memory, global or tag, which may be an import all the same."""
        kind = _KINDS[self.tokens[self.at]]
        self.at += 1
        self.declare(self._spaces[kind])
        while self.opens("export"):
            self.skip()
        if self.tokens[self.at] == "(" and self.tokens[self.at + 1] == "import":
            self._check_import_order()
            return
        if self._defined is None:
            self._defined = kind
        if kind in (Kind.TABLE, Kind.MEMORY):
            self._declare_inline_segment(kind)

    def _declare_inline_segment(self, kind: Kind) -> None:
        """A table or memory may have a segment inside, and that is in an index space, too."""
        start = self.at
        self.skip()
        self.at -= 1
        keyword, space = ("elem", self.elements) if kind is Kind.TABLE else ("data", self.data)
        space.count += keyword in self.tokens[start : self.at]

    def _declare_elements(self) -> None:
        self.at += 1
        self.declare(self.elements)

    def _declare_data(self) -> None:
        self.at += 1
        self.declare(self.data)

    # ---- imports and exports

    def _import(self) -> None:
        module, name = self.name(), self.name()
        if self.tokens[self.at] != "(":
            raise self.unexpected("(func, (table, (memory, (global or (tag")
        self.at += 1
        kind = _KINDS[self.tokens[self.at]]
        self.at += 1
        self.identifier()
        self._counts[kind] += 1
        self._imports.append(Import(module, name, self._extern_type(kind)))
        self.close()

    def _extern_type(self, kind: Kind) -> ExternSyntax:
        match kind:
            case Kind.FUNC:
                return FuncIndex(self._imported_type_use())
            case Kind.TABLE:
                return self.table_type()
            case Kind.MEMORY:
                return self.memory_type()
            case Kind.GLOBAL:
                return self.global_type()
            case Kind.TAG:
                return TagIndex(self._imported_type_use())

    def _imported_type_use(self) -> int:
        # Parameters may have identifiers, for people only.
        names = Space("local")
        return self.type_use(lambda _: self.declare(names))

    def _begin(self, kind: Kind) -> bool:
        """Reads the identifier, inline exports and inline import of a definition. Whether it is an import, then whole."""
        index = self._counts[kind]
        self._counts[kind] += 1
        self.identifier()
        while self.opens("export"):
            self._exports.append(Export(self.name(), kind, index))
            self.close()
        if not self.opens("import"):
            return False
        module, name = self.name(), self.name()
        self.close()
        self._imports.append(Import(module, name, self._extern_type(kind)))
        return True

    def _export(self) -> None:
        name = self.name()
        if self.tokens[self.at] != "(":
            raise self.unexpected("(func, (table, (memory, (global or (tag")
        self.at += 1
        kind = _KINDS.get(self.tokens[self.at])
        if kind is None:
            raise self.unexpected("func, table, memory, global or tag")
        self.at += 1
        self._exports.append(Export(name, kind, self.index(self._spaces[kind])))
        self.close()

    # ---- definitions

    def _function(self) -> None:
        index = self._counts[Kind.FUNC]
        if self._begin(Kind.FUNC):
            return
        locals = Space("local")

        def name_parameter(parameter: int) -> None:
            locals.count = parameter
            self.declare(locals)

        type_ = self.type_use(name_parameter)
        signature = self.function_type(type_)
        locals.count = len(signature.params) if signature is not None else 0
        runs = self._locals(locals)
        body = self.body(locals)
        self._functions.append(type_)
        self._codes.append(Code(runs, Expression(body)))
        if locals.names:
            self._names.locals[index] = locals.names
        if self.label_names:
            self._names.labels[index] = self.label_names
        if self.hints:
            self._function_hints.append(self._hints_of(index, runs))

    def _locals(self, space: Space) -> tuple[tuple[int, ValueType], ...]:
        """The locals that are declared next, as runs of the same type."""
        types: list[ValueType] = []
        while self.opens("local"):
            if self.at_name():
                self.declare(space)
                types.append(self.value_type())
                self.close()
            else:
                more = self.value_types()
                space.count += len(more)
                types += more
        return tuple((len(list(run)), type_) for type_, run in groupby(types))

    def _hints_of(self, index: int, runs: tuple[tuple[int, ValueType], ...]) -> bytes:
        """The branch hints of a function. Offsets count from the declaration of its locals."""
        start = len(unsigned(len(runs)))
        start += sum(len(unsigned(count)) + len(writer.value_type(type_)) for count, type_ in runs)
        return unsigned(index) + writer.vector([unsigned(start + at) + bytes((1, hint)) for at, hint in self.hints])

    def _table(self) -> None:
        table = self._counts[Kind.TABLE]
        if self._begin(Kind.TABLE):
            return
        address = self.address_type()
        if self.tokens[self.at][:1].isdigit():
            table_type = self.table_type(address)
            self._tables.append(Table(table_type, None if self.tokens[self.at] == ")" else self.expression()))
            return
        element = self.ref_type()
        self.open("elem")
        type_ = element
        items: tuple[int, ...] | tuple[Expression, ...]
        if self._at_function_index():
            items = self._function_indices()
            if element.heap is Heap.FUNC:
                type_ = _FUNCTIONS  # the compact form
        else:
            items = self._expressions()
        self.close()
        self._tables.append(Table(TableType(element, Limits(len(items), len(items)), address)))
        self._elements.append(ElementSegment(type_, items, Active(table, _ZERO[address])))

    def _memory(self) -> None:
        memory = self._counts[Kind.MEMORY]
        if self._begin(Kind.MEMORY):
            return
        address = self.address_type()
        if self.tokens[self.at] != "(":
            self._memories.append(self.memory_type(address))
            return
        page_size = self.page_size()
        self.open("data")
        data = self.strings()
        self.close()
        pages = -(-len(data) >> page_size)
        self._memories.append(MemoryType(Limits(pages, pages), False, address, page_size))
        self._segments.append(DataSegment(data, Active(memory, _ZERO[address])))

    def _global(self) -> None:
        if not self._begin(Kind.GLOBAL):
            self._globals.append(Global(self.global_type(), self.expression()))

    def _tag(self) -> None:
        if not self._begin(Kind.TAG):
            self._tags.append(TagIndex(self._imported_type_use()))

    def _start_function(self) -> None:
        if self._start is not None:
            raise self.source.error(self.at - 1, "multiple start sections: a module has one start function at most")
        self._start = self.index(self.functions)

    # ---- segments

    def _element_segment(self) -> None:
        self.identifier()
        mode: Active | Mode = Mode.PASSIVE
        if self.accepts("declare"):
            mode = Mode.DECLARATIVE
        elif (table := self._segment_target("table", self.tables)) is not None:
            mode = Active(table, self._offset())
        elif self.tokens[self.at] == "(" and self.tokens[self.at + 1] != "ref":
            mode = Active(0, self._offset())
        items: tuple[int, ...] | tuple[Expression, ...]
        if self.accepts("func") or (isinstance(mode, Active) and self._at_function_index()):
            type_, items = _FUNCTIONS, self._function_indices()
        else:
            type_, items = self.ref_type(), self._expressions()
        self._elements.append(ElementSegment(type_, items, mode))

    def _data_segment(self) -> None:
        self.identifier()
        mode: Active | Mode = Mode.PASSIVE
        if (memory := self._segment_target("memory", self.memories)) is not None:
            mode = Active(memory, self._offset())
        elif self.tokens[self.at] == "(":
            mode = Active(0, self._offset())
        self._segments.append(DataSegment(self.strings(), mode))

    def _segment_target(self, keyword: str, space: Space) -> int | None:
        """The index in `(table x)` or `(memory x)`, or just an index, as the first version of the text format had it."""
        if self.opens(keyword):
            index = self.index(space)
            self.close()
            return index
        return self.index(space) if self.at_index() else None

    def _offset(self) -> Expression:
        if not self.opens("offset"):
            return self.folded_expression()
        offset = self.expression()
        self.close()
        return offset

    def _at_function_index(self) -> bool:
        """Whether function indices come next, of which there may be none."""
        return self.at_index() or self.tokens[self.at] == ")"

    def _function_indices(self) -> tuple[int, ...]:
        indices = []
        while self.tokens[self.at] != ")":
            indices.append(self.index(self.functions))
        return tuple(indices)

    def _expressions(self) -> tuple[Expression, ...]:
        """The items of an element segment: `(item ...)`, or a folded instruction each."""
        items = []
        while self.tokens[self.at] != ")":
            if self.opens("item"):
                items.append(self.expression())
                self.close()
            else:
                items.append(self.folded_expression())
        return tuple(items)


def parse_quoted(quoted: bytes) -> ModuleSyntax:
    """The module in the text format that a string holds."""
    try:
        text = quoted.decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"malformed UTF-8 encoding of the quoted module, at its byte {error.start}") from None
    return parse_module(text)


_DEFINED: Final = {kind: str(kind) for kind in Kind} | {Kind.FUNC: "function"}
_KINDS: Final = {str(kind): kind for kind in Kind}

# The first reading of each field, from its keyword on, as far as needed to know its index and identifier.
DECLARATIONS: Final[dict[str, Callable[[ModuleParser], None]]] = {
    "type": ModuleParser.declare_types,
    "rec": ModuleParser.declare_types,
    "import": ModuleParser._declare_import,
    "func": ModuleParser._declare_definition,
    "table": ModuleParser._declare_definition,
    "memory": ModuleParser._declare_definition,
    "global": ModuleParser._declare_definition,
    "tag": ModuleParser._declare_definition,
    "export": ModuleParser._declare_nothing,
    "start": ModuleParser._declare_nothing,
    "elem": ModuleParser._declare_elements,
    "data": ModuleParser._declare_data,
}

# The second reading of each field but types, after its keyword, up to its closing parenthesis.
_FIELDS: Final[dict[str, Callable[[ModuleParser], None]]] = {
    "import": ModuleParser._import,
    "func": ModuleParser._function,
    "table": ModuleParser._table,
    "memory": ModuleParser._memory,
    "global": ModuleParser._global,
    "tag": ModuleParser._tag,
    "export": ModuleParser._export,
    "start": ModuleParser._start_function,
    "elem": ModuleParser._element_segment,
    "data": ModuleParser._data_segment,
}
