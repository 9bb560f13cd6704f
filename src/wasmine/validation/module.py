"""Validation of a module: everything outside function bodies by the rules below, bodies by the typed walk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from wasmine.errors import UnsupportedFeature
from wasmine.format.features import Features
from wasmine.format.module import Active, Mode
from wasmine.format.types import (
    FUNCREF,
    I32,
    I64,
    FuncIndex,
    FuncType,
    GlobalType,
    Kind,
    MemoryType,
    RefType,
    TableType,
    TagIndex,
    matches,
)
from wasmine.validation import closing, rules
from wasmine.validation.context import Context
from wasmine.validation.faults import Fault, Invalid, require
from wasmine.validation.types import close_group
from wasmine.validation.walk import check_expression, walk_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.module import (
        DataSegment,
        ElementSegment,
        Export,
        Expression,
        Global,
        Import,
        ModuleSyntax,
        Table,
    )
    from wasmine.format.types import Limits, ValueType

Progress: TypeAlias = "Callable[[int, int], object]"
"""Is told now and then of long work how much is done, and of how much."""

_STEP: Final = 64  # functions
_PAGE_SIZES_LOG2: Final = (0, 16)


def validate(
    syntax: ModuleSyntax, features: Features | None = None, *, bodies: bool = True, progress: Progress | None = None
) -> Context:
    """The context of a valid module. Function `bodies` may be left out if they are known to be valid.

    Raises `ValidationError` where it breaks a rule, `UnsupportedFeature` where it uses a feature that is switched off,
    and `DecodeError` where the bytes of an expression are no instructions.
    """
    context = _Module(syntax, features or Features()).check()
    if not bodies:
        return context
    first, functions = context.imported_functions, len(context.functions)
    for start in range(first, functions, _STEP):
        if progress is not None:
            progress(start - first, functions - first)
        for index in range(start, min(start + _STEP, functions)):
            walk_function(context, index)
    return context


def features_used(context: Context) -> set[str]:
    """The features (fields of `Features`) that a valid module needs beyond the first version of WebAssembly."""
    context = _needed_outside_bodies(context.syntax)
    for index in range(context.imported_functions, len(context.functions)):
        _enable_needed_by(context, index)
    return {name for name in Features.names() if getattr(context.features, name)}


def _needed_outside_bodies(syntax: ModuleSyntax) -> Context:
    features = Features.none()
    while True:
        try:
            return _Module(syntax, features).check()
        except UnsupportedFeature as error:
            features = features.enable(error.feature)


def _enable_needed_by(context: Context, index: int) -> None:
    while True:
        try:
            walk_function(context, index)
            return
        except UnsupportedFeature as error:
            context.features = context.features.enable(error.feature)
            context.walkers.clear()


class _Module:
    """The rules for everything outside function bodies; `where` is the part of the module being looked at."""

    def __init__(self, syntax: ModuleSyntax, features: Features) -> None:
        self.syntax = syntax
        self.features = features
        self.context = Context(syntax, features)
        self.where = ""

    def check(self) -> Context:
        """The context, complete."""
        try:
            self._types()
            self._imports()
            self._declarations()
            self._tables()
            self._globals()
            self._exports()
            self._start()
            self._elements()
            self._data()
        except Fault as fault:
            raise fault.public(where=self.where) from None
        return self.context

    def _types(self) -> None:
        for group in self.syntax.types:
            self.where = f"type {len(self.context.types)}"
            close_group(self.context, group)

    def _imports(self) -> None:
        for import_ in self.syntax.imports:
            self.where = f'import "{import_.module}" "{import_.name}"'
            self._import(import_)
        context = self.context
        context.imported_functions = len(context.functions)
        context.imported_tables = len(context.tables)
        context.imported_memories = len(context.memories)
        context.imported_globals = len(context.globals)
        context.imported_tags = len(context.tags)

    def _import(self, import_: Import) -> None:
        match import_.type:
            case FuncIndex(index):
                self._add_function(index)
            case TableType() as table:
                self._add_table(table)
            case MemoryType() as memory:
                self._add_memory(memory)
            case GlobalType() as type_:
                if type_.mutable:
                    require(self.features, "mutable_global", "an imported mutable global")
                self.context.globals.append(self._global_type(type_))
            case TagIndex() as tag:
                self._add_tag(tag)

    def _declarations(self) -> None:
        """Enter the types of what the module defines, except globals, whose initial values see only those before."""
        for index in self.syntax.functions:
            self.where = f"function {len(self.context.functions)}"
            self._add_function(index)
        for table in self.syntax.tables:
            self.where = f"table {len(self.context.tables)}"
            self._add_table(table.type)
        for memory in self.syntax.memories:
            self.where = f"memory {len(self.context.memories)}"
            self._add_memory(memory)
        for tag in self.syntax.tags:
            self.where = f"tag {len(self.context.tags)}"
            self._add_tag(tag)

    def _add_function(self, index: int) -> None:
        self.context.signatures.append(closing.function_type(self.context, index))
        self.context.functions.append(self.context.types[index])

    def _add_table(self, type_: TableType) -> None:
        if self.context.tables:
            require(self.features, "reference_types", "more than one table")
        # Tables of functions are older than reference types.
        element = FUNCREF if type_.element is FUNCREF else closing.ref(self.context, type_.element)
        if type_.address is I64:
            require(self.features, "memory64", "a table with 64-bit addresses")
        self._limits(type_.limits)
        largest = 2**64 - 1 if type_.address is I64 else 2**32 - 1
        if max(type_.limits.minimum, type_.limits.maximum or 0) > largest:
            raise Invalid(f"table size must be at most {largest} elements, found {type_.limits}")
        self.context.tables.append(TableType(element, type_.limits, type_.address))

    def _add_memory(self, type_: MemoryType) -> None:
        if self.context.memories:
            require(self.features, "multi_memory", "multiple memories")
        if type_.address is I64:
            require(self.features, "memory64", "a memory with 64-bit addresses")
        if type_.page_size_log2 != 16:
            require(self.features, "custom_page_sizes", "a memory with its own page size")
        if type_.page_size_log2 not in _PAGE_SIZES_LOG2:
            raise Invalid(f"invalid custom page size: {1 << type_.page_size_log2}, expected 1 or 65536")
        self._limits(type_.limits)
        if type_.shared:
            require(self.features, "threads", "a shared memory")
            if type_.limits.maximum is None:
                raise Invalid("shared memory must have maximum")
        largest, bound = _most_pages(type_)
        if max(type_.limits.minimum, type_.limits.maximum or 0) > largest:
            raise Invalid(f"memory size must be at most {bound}, found limits {type_.limits}")
        self.context.memories.append(type_)

    def _limits(self, limits: Limits) -> None:
        if limits.maximum is not None and limits.minimum > limits.maximum:
            raise Invalid(
                f"size minimum must not be greater than maximum: {limits.minimum} is more than {limits.maximum}"
            )

    def _global_type(self, type_: GlobalType) -> GlobalType:
        return GlobalType(closing.value(self.context, type_.value), type_.mutable)

    def _add_tag(self, tag: TagIndex) -> None:
        if not self.features.legacy_exceptions:
            require(self.features, "exception_handling", "a tag")
        signature = closing.function_type(self.context, tag.type)
        if signature.results:
            raise Invalid(f"non-empty tag result type: {signature}")
        self.context.tags.append(self.context.types[tag.type])

    def _tables(self) -> None:
        types = self.context.tables[self.context.imported_tables :]
        for index, (table, type_) in enumerate(zip(self.syntax.tables, types, strict=True)):
            self.where = f"table {self.context.imported_tables + index}"
            self._table(table, type_.element)

    def _table(self, table: Table, element: RefType) -> None:
        if table.init is not None:
            require(self.features, "function_references", "a table with an initial value")
            check_expression(self.context, table.init, element)
        elif not element.nullable:
            raise Invalid(f"type mismatch: a table of {element}, which has no default value, needs an initial value")

    def _globals(self) -> None:
        for global_ in self.syntax.globals:
            self.where = f"global {len(self.context.globals)}"
            self._global(global_)

    def _global(self, global_: Global) -> None:
        type_ = self._global_type(global_.type)
        check_expression(self.context, global_.init, type_.value)
        self.context.globals.append(type_)

    def _exports(self) -> None:
        names: set[str] = set()
        for index, export in enumerate(self.syntax.exports):
            self.where = f"export {index}"
            if export.name in names:
                raise Invalid(f'duplicate export name "{export.name}"')
            names.add(export.name)
            self._export(export)

    def _export(self, export: Export) -> None:
        context = self.context
        spaces: dict[Kind, tuple[str, int]] = {
            Kind.FUNC: ("function", len(context.functions)),
            Kind.TABLE: ("table", len(context.tables)),
            Kind.MEMORY: ("memory", len(context.memories)),
            Kind.GLOBAL: ("global", len(context.globals)),
            Kind.TAG: ("tag", len(context.tags)),
        }
        name, count = spaces[export.kind]
        if export.index >= count:
            raise Invalid(f"unknown {name} {export.index}: the module has {count}")
        if export.kind is Kind.FUNC:
            context.declared.add(export.index)
        elif export.kind is Kind.GLOBAL and context.globals[export.index].mutable:
            require(self.features, "mutable_global", "an exported mutable global")

    def _start(self) -> None:
        index = self.syntax.start
        if index is None:
            return
        self.where = "start"
        self._known_function(index)
        signature = self.context.signatures[index]
        if signature != FuncType():
            raise Invalid(f"start function: expected type [] -> [], function {index} has {signature}")

    def _known_function(self, index: int) -> None:
        if index >= len(self.context.functions):
            raise Invalid(f"unknown function {index}: the module has {len(self.context.functions)}")

    def _elements(self) -> None:
        for index, segment in enumerate(self.syntax.elements):
            self.where = f"element segment {index}"
            self.context.elements.append(self._element(segment))

    def _element(self, segment: ElementSegment) -> RefType:
        plain = segment.type in (FUNCREF, rules.FUNC)
        type_ = segment.type if plain else closing.ref(self.context, segment.type)
        if segment.type is not rules.FUNC:
            require(self.features, "reference_types", f"an element segment of type {segment.type}")
        if segment.mode is Mode.PASSIVE:
            require(self.features, "bulk_memory_operations", "a passive element segment")
        elif segment.mode is Mode.DECLARATIVE:
            require(self.features, "reference_types", "a declarative element segment")
        elif isinstance(segment.mode, Active):
            self._active_element(segment.mode, type_)
        for item in segment.items:
            if isinstance(item, int):
                self._known_function(item)
                self.context.declared.add(item)
            else:
                require(self.features, "bulk_memory_operations", "an element segment of expressions")
                check_expression(self.context, item, type_)
        return type_

    def _active_element(self, mode: Active, type_: RefType) -> None:
        table = rules.table(self.context, mode.index)
        if not matches(type_, table.element):
            raise Invalid(f"type mismatch: the segment holds {type_}, table {mode.index} {table.element}")
        self._offset(mode.offset, table.address)

    def _data(self) -> None:
        if self.syntax.data_count is not None:
            self.where = "data count section"
            require(self.features, "bulk_memory_operations", "a data count section")
        self.context.data_count = self.syntax.data_count
        for index, segment in enumerate(self.syntax.data):
            self.where = f"data segment {index}"
            self._data_segment(segment)

    def _data_segment(self, segment: DataSegment) -> None:
        if isinstance(segment.mode, Active):
            self._offset(segment.mode.offset, rules.address(self.context, segment.mode.index))
        else:
            require(self.features, "bulk_memory_operations", "a passive data segment")

    def _offset(self, offset: Expression, type_: ValueType) -> None:
        check_expression(self.context, offset, type_)


def _most_pages(type_: MemoryType) -> tuple[int, str]:
    """The largest size that a memory type may name, in pages, and the same for people."""
    if type_.address is I32:
        if type_.page_size_log2 == 16:
            return 65536, "65536 pages (4GiB)"
        return 2**32 - 1, "4294967295 pages of 1 byte"
    pages = min(2 ** (64 - type_.page_size_log2), 2**64 - 1)
    return pages, f"{pages} pages of {type_.page_size} bytes"
