"""Writing the binary format: a `ModuleSyntax` as bytes, and the encodings of types that code needs.

Integers are as short as they can be, empty sections are left out, and segments take the shortest of their forms. Custom
sections go where they say they belong.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from wasmine.format.leb128 import signed, unsigned
from wasmine.format.module import ORDER, Active, Mode, Section
from wasmine.format.types import (
    FUNCREF,
    I64,
    ArrayType,
    DefinedType,
    FuncIndex,
    FuncType,
    GlobalType,
    Heap,
    Kind,
    MemoryType,
    NumberType,
    Packed,
    RefType,
    StructType,
    TableType,
    TagIndex,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wasmine.format.module import (
        Code,
        DataSegment,
        ElementSegment,
        Export,
        Expression,
        Global,
        Import,
        ModuleSyntax,
        Table,
    )
    from wasmine.format.types import (
        CompositeType,
        ExternSyntax,
        FieldType,
        HeapType,
        Limits,
        RecGroup,
        StorageType,
        SubType,
        ValueType,
    )

PREAMBLE: Final = b"\0asm" + struct.pack("<I", 1)

# The type of a segment of function indices.
_FUNCTIONS: Final = RefType(False, Heap.FUNC)


def write(syntax: ModuleSyntax) -> bytes:
    """The module in the binary format."""
    parts = [PREAMBLE]

    def custom_sections(after: Section | None) -> None:
        parts.extend(
            _section(Section.CUSTOM, name(custom.name) + custom.data)
            for custom in syntax.customs
            if custom.after is after
        )

    custom_sections(None)
    for section in ORDER:
        content = _CONTENTS[section](syntax)
        if content:
            parts.append(_section(section, content))
        custom_sections(section)
    return b"".join(parts)


# Encodings shared with the text parser.


def name(text: str) -> bytes:
    """A name: its length in bytes, then UTF-8."""
    return sized(text.encode())


def sized(content: bytes) -> bytes:
    """A byte vector: its length, then the bytes."""
    return unsigned(len(content)) + content


def vector(items: Sequence[bytes]) -> bytes:
    """A vector of things that are encoded already."""
    return unsigned(len(items)) + b"".join(items)


def heap_type(type_: HeapType) -> bytes:
    """A heap type of the syntax: abstract, or a type index."""
    if isinstance(type_, Heap):
        return bytes((type_.value,))
    if isinstance(type_, DefinedType):
        raise TypeError(f"a closed type has no index to write: {type_}")
    return signed(type_)


def ref_type(type_: RefType) -> bytes:
    """A reference type, in its one-byte form where it has one."""
    heap = heap_type(type_.heap)
    if type_.nullable:
        return heap if isinstance(type_.heap, Heap) else b"\x63" + heap
    return b"\x64" + heap


def value_type(type_: ValueType) -> bytes:
    """A value type."""
    return bytes((type_.code,)) if isinstance(type_, NumberType) else ref_type(type_)


def value_types(types: Sequence[ValueType]) -> bytes:
    """A result type, which is a vector of value types; also the immediate of the typed `select`."""
    return vector([value_type(type_) for type_ in types])


def storage_type(type_: StorageType) -> bytes:
    """A storage type: a packed type or a value type."""
    return bytes((type_.value,)) if isinstance(type_, Packed) else value_type(type_)


def block_type(type_: ValueType | int | None) -> bytes:
    """A block type: None for neither parameters nor results, one result, or the index of a function type."""
    if type_ is None:
        return b"\x40"
    return signed(type_) if isinstance(type_, int) else value_type(type_)


def memarg(align: int, memory: int, offset: int) -> bytes:
    """The immediates of a memory access; `align` is the logarithm of the alignment."""
    if memory:
        return unsigned(align | 0x40) + unsigned(memory) + unsigned(offset)
    return unsigned(align) + unsigned(offset)


def castop(label: int, source: RefType, target: RefType) -> bytes:
    """The immediates of `br_on_cast` and `br_on_cast_fail`."""
    flags = source.nullable | target.nullable << 1
    return bytes((flags,)) + unsigned(label) + heap_type(source.heap) + heap_type(target.heap)


def catches(clauses: Sequence[tuple[int, int | None, int]]) -> bytes:
    """The handlers of `try_table`: (kind, tag, label), no tag for the kinds 2 (catch_all) and 3 (catch_all_ref)."""
    return vector(
        [bytes((kind,)) + (b"" if tag is None else unsigned(tag)) + unsigned(label) for kind, tag, label in clauses]
    )


# Types.


def _limits(limits: Limits, flags: int) -> bytes:
    if limits.maximum is None:
        return bytes((flags,)) + unsigned(limits.minimum)
    return bytes((flags | 1,)) + unsigned(limits.minimum) + unsigned(limits.maximum)


def _memory_type(type_: MemoryType) -> bytes:
    custom = type_.page_size_log2 != 16
    flags = type_.shared << 1 | (type_.address is I64) << 2 | custom << 3
    return _limits(type_.limits, flags) + (unsigned(type_.page_size_log2) if custom else b"")


def _table_type(type_: TableType) -> bytes:
    return ref_type(type_.element) + _limits(type_.limits, (type_.address is I64) << 2)


def _global_type(type_: GlobalType) -> bytes:
    return value_type(type_.value) + bytes((type_.mutable,))


def _field_type(type_: FieldType) -> bytes:
    return storage_type(type_.storage) + bytes((type_.mutable,))


def _composite_type(type_: CompositeType) -> bytes:
    match type_:
        case FuncType(params, results):
            return b"\x60" + value_types(params) + value_types(results)
        case StructType(fields):
            return b"\x5f" + vector([_field_type(field) for field in fields])
        case ArrayType(field):
            return b"\x5e" + _field_type(field)


def _sub_type(type_: SubType) -> bytes:
    composite = _composite_type(type_.composite)
    if type_.final and not type_.supertypes:
        return composite
    return (b"\x4f" if type_.final else b"\x50") + vector([unsigned(i) for i in type_.supertypes]) + composite


def _rec_group(group: RecGroup) -> bytes:
    if len(group) == 1:
        return _sub_type(group[0])
    return b"\x4e" + vector([_sub_type(member) for member in group])


def _extern_type(type_: ExternSyntax) -> bytes:
    match type_:
        case FuncIndex(index):
            return bytes((Kind.FUNC,)) + unsigned(index)
        case TableType():
            return bytes((Kind.TABLE,)) + _table_type(type_)
        case MemoryType():
            return bytes((Kind.MEMORY,)) + _memory_type(type_)
        case GlobalType():
            return bytes((Kind.GLOBAL,)) + _global_type(type_)
        case TagIndex():
            return bytes((Kind.TAG,)) + _tag(type_)


# Members of sections.


def _import(import_: Import) -> bytes:
    return name(import_.module) + name(import_.name) + _extern_type(import_.type)


def _table(table: Table) -> bytes:
    if table.init is None:
        return _table_type(table.type)
    return b"\x40\x00" + _table_type(table.type) + table.init.code


def _tag(tag: TagIndex) -> bytes:
    return b"\x00" + unsigned(tag.type)


def _global(global_: Global) -> bytes:
    return _global_type(global_.type) + global_.init.code


def _export(export: Export) -> bytes:
    return name(export.name) + bytes((export.kind,)) + unsigned(export.index)


def _item(item: int | Expression) -> bytes:
    """An item in the form of an expression; `ref.func` for a function index."""
    return b"\xd2" + unsigned(item) + b"\x0b" if isinstance(item, int) else item.code


def _items(segment: ElementSegment) -> tuple[bool, bytes]:
    """Whether the items must be expressions, and the items in that form."""
    indices = [item for item in segment.items if isinstance(item, int)]
    if segment.type is _FUNCTIONS and len(indices) == len(segment.items):
        return False, vector(list(map(unsigned, indices)))
    return True, vector(list(map(_item, segment.items)))


def _element(segment: ElementSegment) -> bytes:
    expressions, items = _items(segment)
    form = 4 if expressions else 0
    kind = ref_type(segment.type) if expressions else b"\x00"
    match segment.mode:
        case Mode.PASSIVE:
            return bytes((form | 1,)) + kind + items
        case Mode.DECLARATIVE:
            return bytes((form | 3,)) + kind + items
        case Active(0, offset) if segment.type is (FUNCREF if expressions else _FUNCTIONS):
            return bytes((form,)) + offset.code + items
        case Active(table, offset):
            return bytes((form | 2,)) + unsigned(table) + offset.code + kind + items


def _data(segment: DataSegment) -> bytes:
    match segment.mode:
        case Active(0, offset):
            return b"\x00" + offset.code + sized(segment.data)
        case Active(memory, offset):
            return b"\x02" + unsigned(memory) + offset.code + sized(segment.data)
        case Mode.PASSIVE:
            return b"\x01" + sized(segment.data)
        case Mode.DECLARATIVE:
            raise ValueError("a data segment cannot be declarative")


def _code(code: Code) -> bytes:
    locals_ = vector([unsigned(count) + value_type(type_) for count, type_ in code.locals])
    return sized(locals_ + code.body.code)


# Sections.


def _section(section: Section, content: bytes) -> bytes:
    return bytes((section,)) + sized(content)


def _each(encode: Callable[..., bytes], members: Sequence[object]) -> bytes:
    return vector(list(map(encode, members))) if members else b""


# What a section holds; empty if the module does not need the section.
_CONTENTS: Final[dict[Section, Callable[[ModuleSyntax], bytes]]] = {
    Section.TYPE: lambda syntax: _each(_rec_group, syntax.types),
    Section.IMPORT: lambda syntax: _each(_import, syntax.imports),
    Section.FUNCTION: lambda syntax: _each(unsigned, syntax.functions),
    Section.TABLE: lambda syntax: _each(_table, syntax.tables),
    Section.MEMORY: lambda syntax: _each(_memory_type, syntax.memories),
    Section.TAG: lambda syntax: _each(_tag, syntax.tags),
    Section.GLOBAL: lambda syntax: _each(_global, syntax.globals),
    Section.EXPORT: lambda syntax: _each(_export, syntax.exports),
    Section.START: lambda syntax: b"" if syntax.start is None else unsigned(syntax.start),
    Section.ELEMENT: lambda syntax: _each(_element, syntax.elements),
    Section.DATA_COUNT: lambda syntax: b"" if syntax.data_count is None else unsigned(syntax.data_count),
    Section.CODE: lambda syntax: _each(_code, syntax.code),
    Section.DATA: lambda syntax: _each(_data, syntax.data),
}
