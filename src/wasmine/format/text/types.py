"""Types in the text format, and the index spaces whose identifiers they mention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.format.leb128 import unsigned
from wasmine.format.text import literals
from wasmine.format.text.cursor import Cursor
from wasmine.format.text.literals import shortened
from wasmine.format.types import (
    I32,
    I64,
    NUMBER_TYPES,
    SHORTHANDS,
    ArrayType,
    FieldType,
    FuncType,
    GlobalType,
    Heap,
    Limits,
    MemoryType,
    Packed,
    RefType,
    StructType,
    SubType,
    TableType,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.module import NameMap
    from wasmine.format.text.lexer import Source
    from wasmine.format.types import CompositeType, HeapType, NumberType, RecGroup, StorageType, ValueType

HEAPS: Final = {str(heap): heap for heap in Heap}
_VALUES: Final[dict[str, ValueType]] = {str(type_): type_ for type_ in NUMBER_TYPES.values()} | SHORTHANDS
_PACKED: Final = {str(packed): packed for packed in Packed}
_PARTS_OF_TYPE_USES: Final = frozenset({"type", "param", "result"})


class Space:
    """An index space: its members' identifiers, how many there are, and what people call them (`names`).

    `encoded` holds the indices that were used so far, in the binary format, by the token that named them.
    """

    __slots__ = ("count", "encoded", "identifiers", "kind", "names")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.identifiers: dict[str, int] = {}
        self.names: NameMap = {}
        self.count = 0
        self.encoded: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"<Space of {self.count} {self.kind}s>"


class TypeCursor(Cursor):
    """Reads types. `subtypes` are the module's type definitions by index, `groups` the same as recursive groups."""

    def __init__(self, source: Source, at: int = 0) -> None:
        super().__init__(source, at)
        self.used_annotations: set[tuple[int, str]] = set()  # the index of the token they stand before, and their name
        self.types = Space("type")
        self.subtypes: list[SubType] = []
        self.groups: list[RecGroup] = []
        self.fields: dict[int, Space] = {}  # the fields of struct types, by type
        # The first plain definition of every function type: what a type use without an explicit type means.
        self._plain: dict[FuncType, int] = {}

    # ---- index spaces

    def declare(self, space: Space) -> int:
        """The index of a new member of `space`, with the identifier that comes next, if one does."""
        identifier = literals.identifier(self.tokens[self.at])
        index = space.count
        if identifier is not None:
            if identifier in space.identifiers:
                raise self.error(f"duplicate {space.kind} ${shortened(identifier)}: the name is taken already")
            space.identifiers[identifier] = index
            self.at += 1
        name = self.annotated_name(space.kind)
        if name is None:
            name = identifier
        if name is not None:
            space.names[index] = name
        space.count += 1
        return index

    def at_name(self) -> bool:
        """Whether an identifier or a `@name` annotation comes next."""
        annotations = self.source.annotations.get(self.at, ())
        return self.tokens[self.at][:1] == "$" or any(annotation.name == "name" for annotation in annotations)

    def annotated_name(self, kind: str) -> str | None:
        """The name in `(@name "...")`, if that comes next."""
        if self.at not in self.source.annotations:
            return None
        found = [annotation for annotation in self.source.annotations[self.at] if annotation.name == "name"]
        if not found:
            return None
        if len(found) > 1:
            raise self.source.error_at(found[1].offset, f"@name annotation: multiple {kind} names")
        tokens = found[0].tokens
        name = literals.name(tokens[0]) if len(tokens) == 1 else None
        if name is None:
            raise self.source.error_at(found[0].offset, "@name annotation: expected one string")
        self.used_annotations.add((self.at, "name"))
        return name

    def index(self, space: Space) -> int:
        """An index; one that is written as a number need not exist."""
        token = self.tokens[self.at]
        if token[:1] != "$":
            return self.natural(32, f"a {space.kind} index")
        name = literals.identifier(token)
        if name is None:
            raise self.unexpected(f"a {space.kind} index")
        index = space.identifiers.get(name)
        if index is None:
            raise self.error(f"unknown {space.kind} ${shortened(name)}: nothing has that name")
        self.at += 1
        return index

    def encoded_index(self, space: Space) -> bytes:
        """`index`, in the binary format."""
        token = self.tokens[self.at]
        code = space.encoded.get(token)
        if code is None:
            code = space.encoded[token] = unsigned(self.index(space))
        else:
            self.at += 1
        return code

    # ---- value types

    def value_type(self) -> ValueType:
        type_ = _VALUES.get(self.tokens[self.at])
        if type_ is None:
            return self._long_ref_type("a value type")
        self.at += 1
        return type_

    def ref_type(self) -> RefType:
        type_ = SHORTHANDS.get(self.tokens[self.at])
        if type_ is None:
            return self._long_ref_type("a reference type")
        self.at += 1
        return type_

    def _long_ref_type(self, expected: str) -> RefType:
        if not self.opens("ref"):
            raise self.unexpected(expected)
        nullable = self.accepts("null")
        type_ = RefType(nullable, self.heap_type())
        self.close()
        return type_

    def heap_type(self) -> HeapType:
        heap = HEAPS.get(self.tokens[self.at])
        if heap is not None:
            self.at += 1
            return heap
        if not self.at_index():
            raise self.unexpected("a heap type")
        return self.index(self.types)

    def value_types(self) -> list[ValueType]:
        """The value types up to a closing parenthesis, which is accepted."""
        types = []
        while self.tokens[self.at] != ")":
            types.append(self.value_type())
        self.at += 1
        return types

    # ---- function types and type uses

    def signature(self, name: Callable[[int], object] | None) -> FuncType:
        """Parameters and results. `name(index)` is called to accept the identifier of a parameter; None forbids them."""
        params: list[ValueType] = []
        results: list[ValueType] = []
        while self.opens("param"):
            if name is not None and self.at_name():
                name(len(params))
                params.append(self.value_type())
                self.close()
            else:
                params += self.value_types()
        while self.opens("result"):
            results += self.value_types()
        if self.tokens[self.at] == "(" and self.tokens[self.at + 1] in _PARTS_OF_TYPE_USES:
            self.at += 1
            raise self.unexpected("nothing more of the type, whose parts are (type, (param and (result in this order")
        return FuncType(tuple(params), tuple(results))

    def explicit_type(self) -> int | None:
        """The index in `(type x)`, if that comes next."""
        if not self.opens("type"):
            return None
        index = self.index(self.types)
        self.close()
        return index

    def type_use(self, name: Callable[[int], object] | None = None) -> int:
        """The index of a function type that is named, written out, or both."""
        start = self.at
        explicit = self.explicit_type()
        signature = self.signature(name)
        if explicit is None:
            return self.implicit_type(signature)
        self.check_agreement(start, explicit, signature)
        return explicit

    def implicit_type(self, signature: FuncType) -> int:
        """The index of the first plain definition of this function type, which is added if there is none."""
        index = self._plain.get(signature)
        if index is None:
            index = self.types.count
            self.types.count += 1
            self._define((SubType(signature),))
        return index

    def function_type(self, index: int) -> FuncType | None:
        """The function type with this index, or None if there is none (which is for validation to refuse)."""
        composite = self.subtypes[index].composite if index < len(self.subtypes) else None
        return composite if isinstance(composite, FuncType) else None

    def check_agreement(self, start: int, explicit: int, signature: FuncType) -> None:
        """Refuses a type that is written out next to an index (at `start`) and differs. Nothing written out is fine."""
        if signature == FuncType():
            return
        if explicit >= len(self.subtypes):
            raise self.source.error(start, f"unknown type {explicit}: there are {len(self.subtypes)} types so far")
        defined = self.subtypes[explicit].composite
        if defined != signature:
            raise self.source.error(
                start, f"inline function type {signature} does not agree with type {explicit}, which is {defined}"
            )

    # ---- type definitions

    def declare_types(self) -> None:
        """Gives the definitions of a `(type` or `(rec`, whose keyword comes next, their names and indices."""
        if self.accepts("type"):
            self.declare(self.types)
        else:
            self.at += 1
            while self.opens("type"):
                self.declare(self.types)
                self.skip()

    def define_types(self) -> None:
        """Reads a `(type` or `(rec`, whose keyword comes next. All types of the module were declared."""
        if self.accepts("type"):
            self._define((self._definition(len(self.subtypes)),))
            return
        self.at += 1
        group: list[SubType] = []
        while self.opens("type"):
            group.append(self._definition(len(self.subtypes) + len(group)))
        self.close()
        self._define(tuple(group))

    def _define(self, group: RecGroup) -> None:
        if len(group) == 1:
            (only,) = group
            if only.final and not only.supertypes and isinstance(only.composite, FuncType):
                self._plain.setdefault(only.composite, len(self.subtypes))
        self.groups.append(group)
        self.subtypes += group

    def _definition(self, index: int) -> SubType:
        self.identifier()
        if self.opens("sub"):
            final = self.accepts("final")
            supertypes = []
            while self.at_index():
                supertypes.append(self.index(self.types))
            subtype = SubType(self._composite(index), final, tuple(supertypes))
            self.close()
        else:
            subtype = SubType(self._composite(index))
        self.close()
        return subtype

    def _composite(self, index: int) -> CompositeType:
        composite: CompositeType
        if self.opens("func"):
            composite = self.signature(lambda _: self.identifier())
        elif self.opens("struct"):
            composite = StructType(self._struct_fields(index))
        else:
            self.open("array")
            composite = ArrayType(self._field_type())
        self.close()
        return composite

    def _struct_fields(self, index: int) -> tuple[FieldType, ...]:
        fields: list[FieldType] = []
        space = self.fields[index] = Space("field")
        while self.opens("field"):
            if self.at_name():
                self.declare(space)
                fields.append(self._field_type())
                self.close()
                continue
            while self.tokens[self.at] != ")":
                space.count += 1
                fields.append(self._field_type())
            self.at += 1
        return tuple(fields)

    def _field_type(self) -> FieldType:
        if self.opens("mut"):
            storage = self._storage_type()
            self.close()
            return FieldType(storage, mutable=True)
        return FieldType(self._storage_type())

    def _storage_type(self) -> StorageType:
        packed = _PACKED.get(self.tokens[self.at])
        if packed is None:
            return self.value_type()
        self.at += 1
        return packed

    # ---- types of tables, memories and globals

    def address_type(self) -> NumberType:
        """The address type of a memory or table, i32 if it is left out."""
        if self.accepts("i64"):
            return I64
        self.accepts("i32")
        return I32

    def table_type(self, address: NumberType | None = None) -> TableType:
        """A table type, of which the address type may have been read."""
        address = address or self.address_type()
        limits = self._limits()
        return TableType(self.ref_type(), limits, address)

    def memory_type(self, address: NumberType | None = None) -> MemoryType:
        """A memory type, of which the address type may have been read."""
        address = address or self.address_type()
        limits = self._limits()
        shared = self.accepts("shared")
        return MemoryType(limits, shared, address, self.page_size())

    def page_size(self) -> int:
        """The logarithm of the page size in bytes, in `(pagesize n)` if that comes next."""
        if not self.opens("pagesize"):
            return 16
        size = literals.natural(self.tokens[self.at], 64)
        if size is not None and size.bit_count() != 1:
            raise self.error(f"invalid custom page size {size}: not a power of two")
        self.natural(64, "a page size")
        self.close()
        return (size or 1).bit_length() - 1

    def _limits(self) -> Limits:
        # What is too large for the address type is for validation to refuse.
        minimum = self.natural(64, "a size")
        return Limits(minimum, self.natural(64, "a size") if self.tokens[self.at][:1].isdigit() else None)

    def global_type(self) -> GlobalType:
        if self.opens("mut"):
            value = self.value_type()
            self.close()
            return GlobalType(value, mutable=True)
        return GlobalType(self.value_type())
