"""Reading the binary format: every section, checked for form and placed by offset, but nothing validated.

Function bodies and constant expressions stay bytes; `expression` only finds where a constant expression ends. Time and
memory are proportional to the input: no count is believed before its bytes are seen, and runs of locals stay runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wasmine.errors import DecodeError
from wasmine.format.cursor import Cursor
from wasmine.format.instructions import BY_NAME, BY_OPCODE, INSTRUCTIONS
from wasmine.format.module import (
    ORDER,
    Active,
    Code,
    CustomSection,
    DataSegment,
    ElementSegment,
    Export,
    Expression,
    Global,
    Import,
    Mode,
    ModuleSyntax,
    Section,
    Table,
)
from wasmine.format.types import (
    FUNCREF,
    I32,
    I64,
    NUMBER_TYPES,
    ArrayType,
    FieldType,
    FuncIndex,
    FuncType,
    GlobalType,
    Heap,
    Kind,
    Limits,
    MemoryType,
    Packed,
    RefType,
    StructType,
    SubType,
    TableType,
    TagIndex,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.types import CompositeType, ExternSyntax, HeapType, RecGroup, StorageType, ValueType

MAGIC: Final = b"\0asm"
VERSION: Final = 1
COMPONENT_VERSION: Final = 0x1000D


def read(binary: bytes | bytearray | memoryview) -> ModuleSyntax:
    """The module in the binary format. `DecodeError` if it is malformed."""
    cursor = Cursor(bytes(binary))
    _preamble(cursor)
    found: dict[str, Any] = {}
    customs: list[CustomSection] = []
    order = iter(ORDER)
    after: Section | None = None
    while cursor.position < len(cursor.binary):
        start = cursor.position
        try:
            section = Section(cursor.byte())
        except ValueError:
            raise cursor.error("malformed section id", start) from None
        cursor.end = cursor.length() + cursor.position
        if section is Section.CUSTOM:
            customs.append(_custom(cursor, after))
        elif section in order:  # consumes the order up to and with this section
            field, decode = _SECTIONS[section]
            found[field] = content = decode(cursor)
            if content != ():  # an empty section is as good as none
                after = section
        else:
            raise cursor.error(f"unexpected content after last section: {_title(section)} section out of order", start)
        if cursor.position != cursor.end:
            left = cursor.end - cursor.position
            raise cursor.error(f"section size mismatch: {left} bytes left over in the {_title(section)} section")
        cursor.end = len(cursor.binary)
    syntax = ModuleSyntax(**found, customs=tuple(customs))
    _check_lengths(syntax, cursor.end)
    return syntax


def _title(section: Section) -> str:
    return section.name.lower().replace("_", " ")


def _preamble(cursor: Cursor) -> None:
    binary = cursor.binary
    if len(binary) < 4:
        raise cursor.error("unexpected end", len(binary))
    if binary[:4] != MAGIC:
        raise cursor.error(f"magic header not detected: a module starts with {MAGIC!r}, not {binary[:4]!r}", 0)
    if len(binary) < 8:
        raise cursor.error("unexpected end", len(binary))
    version = int.from_bytes(binary[4:8], "little")
    if version != VERSION:
        hint = ", a component: only core modules can be read" if version == COMPONENT_VERSION else ""
        raise cursor.error(f"unknown binary version {version:#x}{hint}", 4)
    cursor.position = 8


def _check_lengths(syntax: ModuleSyntax, end: int) -> None:
    if len(syntax.functions) != len(syntax.code):
        counts = f"{len(syntax.functions)} functions, {len(syntax.code)} bodies"
        raise DecodeError(f"function and code section have inconsistent lengths: {counts}", end)
    if syntax.data_count not in (None, len(syntax.data)):
        counts = f"{syntax.data_count} announced, {len(syntax.data)} there"
        raise DecodeError(f"data count and data section have inconsistent lengths: {counts}", end)


def _custom(cursor: Cursor, after: Section | None) -> CustomSection:
    name = cursor.name()
    offset = cursor.position
    cursor.position = cursor.end
    return CustomSection(name, cursor.binary[offset : cursor.end], after, offset)


# Types.

_ONE_BYTE_TYPES: Final[dict[int, ValueType]] = {**NUMBER_TYPES, **{heap.value: RefType(True, heap) for heap in Heap}}
_PACKED: Final = {packed.value: packed for packed in Packed}
_HEAPS: Final = {heap.value: heap for heap in Heap}


def heap_type(cursor: Cursor) -> HeapType:
    """A heap type: abstract, or a type index."""
    start = cursor.position
    index = cursor.s33()
    if index >= 0:
        return index
    heap = _HEAPS.get(index + 0x80)
    if heap is None or cursor.position - start > 1:
        raise cursor.error(f"malformed heap type {cursor.binary[start]:#04x}", start)
    return heap


def value_type(cursor: Cursor, kind: str = "value") -> ValueType:
    """A value type; `kind` is the kind of type that is expected, for the error."""
    code = cursor.byte()
    type_ = _ONE_BYTE_TYPES.get(code)
    if type_ is not None:
        return type_
    if code in (0x63, 0x64):
        return RefType(code == 0x63, heap_type(cursor))
    raise cursor.error(f"malformed {kind} type {code:#04x}", cursor.position - 1)


def ref_type(cursor: Cursor) -> RefType:
    """A reference type."""
    start = cursor.position
    type_ = value_type(cursor, "reference")
    if not isinstance(type_, RefType):
        raise cursor.error(f"malformed reference type {type_}", start)
    return type_


def _value_types(cursor: Cursor) -> tuple[ValueType, ...]:
    return tuple([value_type(cursor) for _ in range(cursor.count("value types"))])


def _storage_type(cursor: Cursor) -> StorageType:
    if cursor.position < cursor.end and cursor.binary[cursor.position] in _PACKED:
        return _PACKED[cursor.byte()]
    return value_type(cursor, "storage")


def _mutability(cursor: Cursor) -> bool:
    flag = cursor.byte()
    if flag > 1:
        raise cursor.error(f"malformed mutability {flag:#04x}", cursor.position - 1)
    return flag == 1


def _field_type(cursor: Cursor) -> FieldType:
    storage = _storage_type(cursor)
    return FieldType(storage, _mutability(cursor))


def _composite_type(cursor: Cursor, code: int) -> CompositeType:
    if code == 0x60:
        params = _value_types(cursor)
        return FuncType(params, _value_types(cursor))
    if code == 0x5F:
        return StructType(tuple([_field_type(cursor) for _ in range(cursor.count("fields"))]))
    if code == 0x5E:
        return ArrayType(_field_type(cursor))
    reason = f"malformed type {code:#04x}" if code < 0x80 else "integer representation too long"
    raise cursor.error(reason, cursor.position - 1)


def _sub_type(cursor: Cursor, code: int) -> SubType:
    if code not in (0x4F, 0x50):
        return SubType(_composite_type(cursor, code))
    supertypes = tuple(cursor.u32s(cursor.count("supertypes")))
    return SubType(_composite_type(cursor, cursor.byte()), code == 0x4F, supertypes)


def _rec_group(cursor: Cursor) -> RecGroup:
    code = cursor.byte()
    if code != 0x4E:
        return (_sub_type(cursor, code),)
    return tuple([_sub_type(cursor, cursor.byte()) for _ in range(cursor.count("types"))])


def _limits(cursor: Cursor, flags: int) -> Limits:
    minimum = cursor.u64()
    return Limits(minimum, cursor.u64() if flags & 1 else None)


def _limits_flags(cursor: Cursor, allowed: int) -> int:
    flags = cursor.byte()
    if flags & ~allowed:
        raise cursor.error(f"malformed limits flags {flags:#04x}", cursor.position - 1)
    return flags


def _table_type(cursor: Cursor) -> TableType:
    element = ref_type(cursor)
    flags = _limits_flags(cursor, 0b0101)
    return TableType(element, _limits(cursor, flags), I64 if flags & 4 else I32)


def _memory_type(cursor: Cursor) -> MemoryType:
    flags = _limits_flags(cursor, 0b1111)
    limits = _limits(cursor, flags)
    page_size_log2 = 16
    if flags & 8:
        start = cursor.position
        page_size_log2 = cursor.u32()
        if page_size_log2 > 64:
            raise cursor.error(f"invalid custom page size: 2 to the power of {page_size_log2}", start)
    return MemoryType(limits, bool(flags & 2), I64 if flags & 4 else I32, page_size_log2)


def _global_type(cursor: Cursor) -> GlobalType:
    value = value_type(cursor)
    return GlobalType(value, _mutability(cursor))


def _tag(cursor: Cursor) -> TagIndex:
    cursor.zero()
    return TagIndex(cursor.u32())


_EXTERN_TYPES: Final[dict[int, Callable[[Cursor], ExternSyntax]]] = {
    Kind.FUNC: lambda cursor: FuncIndex(cursor.u32()),
    Kind.TABLE: _table_type,
    Kind.MEMORY: _memory_type,
    Kind.GLOBAL: _global_type,
    Kind.TAG: _tag,
}


# Constant expressions.


def _skip_block_type(cursor: Cursor) -> None:
    if cursor.position < cursor.end and cursor.binary[cursor.position] == 0x40:
        cursor.position += 1
    elif cursor.position < cursor.end and cursor.binary[cursor.position] & 0xC0 == 0x40:
        value_type(cursor, "block")
    elif cursor.s33() < 0:
        raise cursor.error("malformed block type", cursor.position - 1)


def _skip_memarg(cursor: Cursor) -> None:
    start = cursor.position
    flags = cursor.u32()
    if flags >= 0x80:
        raise cursor.error("malformed memop flags", start)
    if flags & 0x40:
        cursor.u32()
    cursor.u64()


def _skip_castop(cursor: Cursor) -> None:
    if cursor.byte() > 3:
        raise cursor.error("malformed br_on_cast flags", cursor.position - 1)
    cursor.u32()
    heap_type(cursor)
    heap_type(cursor)


def _skip_catches(cursor: Cursor) -> None:
    for _ in range(cursor.count("catch clauses")):
        kind = cursor.byte()
        if kind > 3:
            raise cursor.error("malformed catch clause", cursor.position - 1)
        cursor.u32s(2 if kind < 2 else 1)


# How to go over an immediate, by its kind; all other kinds are one u32.
_SKIP: Final[dict[str, Callable[[Cursor], object]]] = {
    "block": _skip_block_type,
    "labels": lambda cursor: cursor.u32s(cursor.count("labels") + 1),
    "memarg": _skip_memarg,
    "lane": Cursor.byte,
    "lanes": lambda cursor: cursor.skip(16),
    "i32": Cursor.s32,
    "i64": Cursor.s64,
    "f32": lambda cursor: cursor.skip(4),
    "f64": lambda cursor: cursor.skip(8),
    "v128": lambda cursor: cursor.skip(16),
    "heap": heap_type,
    "ref": heap_type,
    "refnull": heap_type,
    "castop": _skip_castop,
    "valtypes": _value_types,
    "catches": _skip_catches,
    "zero": Cursor.zero,
}
_IMMEDIATES: Final = {
    opcode: tuple(_SKIP.get(immediate.kind, Cursor.u32) for immediate in instruction.immediates)
    for opcode, instruction in BY_OPCODE.items()
}
_PREFIXES: Final = frozenset(instruction.prefix for instruction in INSTRUCTIONS if instruction.prefix)
_OPENING: Final = frozenset(
    instruction.opcode for instruction in INSTRUCTIONS if any(i.kind == "block" for i in instruction.immediates)
)
_CLOSING: Final = frozenset((BY_NAME["end"].opcode, BY_NAME["delegate"].opcode))


def skip_instruction(cursor: Cursor) -> int:
    """Goes over one instruction, of any kind, and returns its opcode (see `Instruction.opcode`)."""
    start = cursor.position
    opcode = cursor.byte()
    if opcode in _PREFIXES:
        sub = cursor.u32()
        opcode = opcode << 16 | sub if sub <= 0xFFFF else -1
    immediates = _IMMEDIATES.get(opcode)
    if immediates is None:
        raise cursor.error(f"illegal opcode {cursor.binary[start : cursor.position].hex(' ')}", start)
    for skip in immediates:
        skip(cursor)
    return opcode


def expression(cursor: Cursor) -> Expression:
    """A constant expression: instructions up to the `end` that closes it. Which of them are constant is not checked."""
    start = cursor.position
    depth = 1
    while depth:
        opcode = skip_instruction(cursor)
        if opcode in _OPENING:
            depth += 1
        elif opcode in _CLOSING:
            depth -= 1
    return Expression(cursor.binary[start : cursor.position], start)


# Members of sections.


def _import(cursor: Cursor) -> Import:
    module = cursor.name()
    name = cursor.name()
    kind = cursor.byte()
    if kind not in _EXTERN_TYPES:
        raise cursor.error(f"malformed import kind {kind:#04x}", cursor.position - 1)
    return Import(module, name, _EXTERN_TYPES[kind](cursor))


def _table(cursor: Cursor) -> Table:
    if cursor.position == cursor.end or cursor.binary[cursor.position] != 0x40:
        return Table(_table_type(cursor))
    cursor.position += 1
    cursor.zero()
    type_ = _table_type(cursor)
    return Table(type_, expression(cursor))


def _global(cursor: Cursor) -> Global:
    type_ = _global_type(cursor)
    return Global(type_, expression(cursor))


def _export(cursor: Cursor) -> Export:
    name = cursor.name()
    kind = cursor.byte()
    if kind not in _EXTERN_TYPES:
        raise cursor.error(f"malformed export kind {kind:#04x}", cursor.position - 1)
    return Export(name, Kind(kind), cursor.u32())


def _element(cursor: Cursor) -> ElementSegment:
    start = cursor.position
    flags = cursor.u32()
    if flags > 7:
        raise cursor.error(f"malformed element segment kind {flags}", start)
    mode: Active | Mode
    if flags & 1:
        mode = Mode.DECLARATIVE if flags & 2 else Mode.PASSIVE
    else:
        table = cursor.u32() if flags & 2 else 0
        mode = Active(table, expression(cursor))
    if flags & 4:
        type_ = ref_type(cursor) if flags & 3 else FUNCREF
        return ElementSegment(type_, tuple([expression(cursor) for _ in range(cursor.count("elements"))]), mode)
    if flags & 3 and cursor.byte():
        raise cursor.error("malformed element kind", cursor.position - 1)
    return ElementSegment(RefType(False, Heap.FUNC), tuple(cursor.u32s(cursor.count("elements"))), mode)


def _data(cursor: Cursor) -> DataSegment:
    start = cursor.position
    flags = cursor.u32()
    if flags == 1:
        return DataSegment(cursor.sized(), Mode.PASSIVE)
    if flags > 2:
        raise cursor.error(f"malformed data segment kind {flags}", start)
    memory = cursor.u32() if flags else 0
    mode = Active(memory, expression(cursor))
    return DataSegment(cursor.sized(), mode)


def _locals(cursor: Cursor) -> tuple[tuple[int, ValueType], ...]:
    start = cursor.position
    runs = tuple([(cursor.u32(), value_type(cursor)) for _ in range(cursor.count("runs of locals"))])
    total = sum([count for count, _ in runs])
    if total >= 1 << 32:
        raise cursor.error(f"too many locals: {total}", start)
    return runs


def _bodies(cursor: Cursor) -> tuple[Code, ...]:
    """The members of the code section.

    Functions declare the same few locals over and over, nearly always in runs of two bytes: those declarations are
    decoded once and shared, by their bytes. With 600,000 functions (`benchmarks/reading.py`) reading takes 2.1 s instead of
    3.8 s, and 50 MB less.
    """
    binary, section_end = cursor.binary, cursor.end
    known: dict[bytes, tuple[tuple[int, ValueType], ...]] = {b"\0": ()}
    bodies = []
    for _ in range(cursor.count("functions")):
        length = cursor.length()
        start = cursor.position
        end = start + length
        declaration = binary[start : start + 1 + 2 * binary[start]] if length else b""
        locals_ = known.get(declaration)
        if locals_ is not None and len(declaration) <= length:
            start += len(declaration)
        else:
            cursor.end = end
            locals_ = _locals(cursor)
            if cursor.position - start == len(declaration):
                known[declaration] = locals_
            start = cursor.position
            cursor.end = section_end
        bodies.append(Code(locals_, Expression(binary[start:end], start)))
        cursor.position = end
    return tuple(bodies)


# Sections: the field of `ModuleSyntax` and how it is read.


def _each(decode: Callable[[Cursor], object], what: str) -> Callable[[Cursor], tuple[object, ...]]:
    return lambda cursor: tuple([decode(cursor) for _ in range(cursor.count(what))])


_SECTIONS: Final[dict[Section, tuple[str, Callable[[Cursor], object]]]] = {
    Section.TYPE: ("types", _each(_rec_group, "types")),
    Section.IMPORT: ("imports", _each(_import, "imports")),
    Section.FUNCTION: ("functions", lambda cursor: tuple(cursor.u32s(cursor.count("functions")))),
    Section.TABLE: ("tables", _each(_table, "tables")),
    Section.MEMORY: ("memories", _each(_memory_type, "memories")),
    Section.TAG: ("tags", _each(_tag, "tags")),
    Section.GLOBAL: ("globals", _each(_global, "globals")),
    Section.EXPORT: ("exports", _each(_export, "exports")),
    Section.START: ("start", Cursor.u32),
    Section.ELEMENT: ("elements", _each(_element, "element segments")),
    Section.DATA_COUNT: ("data_count", Cursor.u32),
    Section.CODE: ("code", _bodies),
    Section.DATA: ("data", _each(_data, "data segments")),
}
