"""What a module is: its sections as plain data, in the abstract syntax of the specification.

Types are in the syntax: concrete heap types are type indices (see `format.types`). Code, that is function bodies and
constant expressions, stays as bytes of the binary format; only the typed walk (`validation`) reads them. The binary
reader and the text parser both make a `ModuleSyntax`, and the writer and the printer take one.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeAlias

from wasmine.record import field, record

if TYPE_CHECKING:
    from wasmine.format.types import (
        ExternSyntax,
        GlobalType,
        Kind,
        MemoryType,
        RecGroup,
        RefType,
        TableType,
        TagIndex,
        ValueType,
    )


class Section(enum.IntEnum):
    """Section ids of the binary format. `ORDER` below is the order in which they must stand."""

    CUSTOM = 0
    TYPE = 1
    IMPORT = 2
    FUNCTION = 3
    TABLE = 4
    MEMORY = 5
    GLOBAL = 6
    EXPORT = 7
    START = 8
    ELEMENT = 9
    CODE = 10
    DATA = 11
    DATA_COUNT = 12
    TAG = 13


ORDER = (
    Section.TYPE,
    Section.IMPORT,
    Section.FUNCTION,
    Section.TABLE,
    Section.MEMORY,
    Section.TAG,
    Section.GLOBAL,
    Section.EXPORT,
    Section.START,
    Section.ELEMENT,
    Section.DATA_COUNT,
    Section.CODE,
    Section.DATA,
)


@record
class Expression:
    """Instructions in the binary format, the final `end` included. `offset` is where `code` starts in the binary."""

    code: bytes
    offset: int = 0


@record
class Import:
    module: str
    name: str
    type: ExternSyntax


@record
class Export:
    name: str
    kind: Kind
    index: int


@record
class Table:
    """A table; `init` is the initial value of its elements, None for null."""

    type: TableType
    init: Expression | None = None


@record
class Global:
    type: GlobalType
    init: Expression


@record
class Active:
    """The mode of a segment that instantiation copies to `offset` of a table or memory (`index`)."""

    index: int
    offset: Expression


class Mode(enum.Enum):
    """The modes of segments that are not `Active`."""

    PASSIVE = "passive"
    DECLARATIVE = "declarative"


@record
class ElementSegment:
    """References for tables. `items` are function indices (`ref.func`, the compact form) or expressions, all alike."""

    type: RefType
    items: tuple[int, ...] | tuple[Expression, ...]
    mode: Active | Mode


@record
class DataSegment:
    """Bytes for memories; never declarative."""

    data: bytes
    mode: Active | Mode


@record
class Code:
    """The body of a defined function. `locals` are (count, type) runs without the parameters, as in the binary."""

    locals: tuple[tuple[int, ValueType], ...]
    body: Expression


@record
class CustomSection:
    """`after` is the section that it follows, None at the start of the module; `offset` is where `data` starts."""

    name: str
    data: bytes
    after: Section | None = None
    offset: int = 0


NameMap: TypeAlias = dict[int, str]
IndirectNameMap: TypeAlias = dict[int, dict[int, str]]


@record(frozen=False)
class Names:
    """The name section: names for people, by index. `locals` and `labels` go by function, `fields` by type."""

    module: str | None = None
    functions: NameMap = field(default_factory=dict)
    locals: IndirectNameMap = field(default_factory=dict)
    labels: IndirectNameMap = field(default_factory=dict)
    types: NameMap = field(default_factory=dict)
    tables: NameMap = field(default_factory=dict)
    memories: NameMap = field(default_factory=dict)
    globals: NameMap = field(default_factory=dict)
    elements: NameMap = field(default_factory=dict)
    data: NameMap = field(default_factory=dict)
    fields: IndirectNameMap = field(default_factory=dict)
    tags: NameMap = field(default_factory=dict)


@record
class ModuleSyntax:
    """A whole module. Index spaces start with the imports of their kind; the tuples here hold what the module defines.

    `types` are recursive groups (a plain type is a group of one); type indices count through their members. `functions`
    are type indices, parallel to `code`. `data_count` is the data count section, None where there is none.
    """

    types: tuple[RecGroup, ...] = ()
    imports: tuple[Import, ...] = ()
    functions: tuple[int, ...] = ()
    tables: tuple[Table, ...] = ()
    memories: tuple[MemoryType, ...] = ()
    tags: tuple[TagIndex, ...] = ()
    globals: tuple[Global, ...] = ()
    exports: tuple[Export, ...] = ()
    start: int | None = None
    elements: tuple[ElementSegment, ...] = ()
    data_count: int | None = None
    code: tuple[Code, ...] = ()
    data: tuple[DataSegment, ...] = ()
    customs: tuple[CustomSection, ...] = ()
