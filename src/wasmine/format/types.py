"""Types: value, reference, heap, function, struct, array, recursive, table, memory, global and tag types.

Two levels, as in the specification. In the *syntax* (what reader, writer and text format handle) a concrete heap type is
a type index, an `int`. `define()` *closes* a recursive group: indices become `DefinedType` objects, and these are
canonical in the whole process: two defined types are equal if and only if they are the same object, whatever module
they came from. Everything after validation (linking, `call_indirect`, casts) compares closed types by identity, so a
type can never be mistaken for another because two modules number their types differently.
"""

from __future__ import annotations

import enum
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wasmine.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class NumberType:
    """A number or vector type; one object each: `I32`, `I64`, `F32`, `F64`, `V128`. `size` is in bytes."""

    __slots__ = ("code", "name", "size")

    def __init__(self, name: str, code: int, size: int) -> None:
        self.name: Final = name
        self.code: Final = code
        self.size: Final = size

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return self.name.upper()


I32: Final = NumberType("i32", 0x7F, 4)
I64: Final = NumberType("i64", 0x7E, 8)
F32: Final = NumberType("f32", 0x7D, 4)
F64: Final = NumberType("f64", 0x7C, 8)
V128: Final = NumberType("v128", 0x7B, 16)
NUMBER_TYPES: Final = {t.code: t for t in (I32, I64, F32, F64, V128)}


class Packed(enum.Enum):
    """A packed storage type of struct fields and array elements; the value is its code in the binary format."""

    I8 = 0x78
    I16 = 0x77

    @property
    def size(self) -> int:
        return 1 if self is Packed.I8 else 2

    def __repr__(self) -> str:
        return self.name.lower()

    __str__ = __repr__


class Heap(enum.Enum):
    """An abstract heap type; the value is its code in the binary format."""

    FUNC = 0x70
    EXTERN = 0x6F
    ANY = 0x6E
    EQ = 0x6D
    I31 = 0x6C
    STRUCT = 0x6B
    ARRAY = 0x6A
    EXN = 0x69
    NOFUNC = 0x73
    NOEXTERN = 0x72
    NONE = 0x71
    NOEXN = 0x74

    def __repr__(self) -> str:
        return self.name.lower()

    __str__ = __repr__


# Every abstract heap type with all its abstract supertypes, itself included.
_ABSTRACT_SUPERTYPES: Final[dict[Heap, frozenset[Heap]]] = {
    Heap.FUNC: frozenset({Heap.FUNC}),
    Heap.EXTERN: frozenset({Heap.EXTERN}),
    Heap.EXN: frozenset({Heap.EXN}),
    Heap.ANY: frozenset({Heap.ANY}),
    Heap.EQ: frozenset({Heap.EQ, Heap.ANY}),
    Heap.I31: frozenset({Heap.I31, Heap.EQ, Heap.ANY}),
    Heap.STRUCT: frozenset({Heap.STRUCT, Heap.EQ, Heap.ANY}),
    Heap.ARRAY: frozenset({Heap.ARRAY, Heap.EQ, Heap.ANY}),
    Heap.NONE: frozenset({Heap.NONE, Heap.I31, Heap.STRUCT, Heap.ARRAY, Heap.EQ, Heap.ANY}),
    Heap.NOFUNC: frozenset({Heap.NOFUNC, Heap.FUNC}),
    Heap.NOEXTERN: frozenset({Heap.NOEXTERN, Heap.EXTERN}),
    Heap.NOEXN: frozenset({Heap.NOEXN, Heap.EXN}),
}


class RefType:
    """A reference type `(ref null? heap)`. `heap` is a `Heap`, a type index (syntax) or a `DefinedType` (closed).

    Constructing one of a `Heap` or of a `DefinedType` gives the one canonical object, so closed types compare by
    identity; those of type indices compare by value.
    """

    __slots__ = ("__weakref__", "heap", "nullable")
    nullable: bool
    heap: HeapType

    def __new__(cls, nullable: bool, heap: HeapType) -> RefType:
        if isinstance(heap, Heap):
            return _ABSTRACT_REFS[nullable, heap]
        if isinstance(heap, DefinedType):
            return heap.ref_null if nullable else heap.ref
        return cls._new(nullable, heap)

    @classmethod
    def _new(cls, nullable: bool, heap: HeapType) -> RefType:
        self = object.__new__(cls)
        self.nullable = nullable
        self.heap = heap
        return self

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, RefType) and self.nullable == other.nullable and self.heap == other.heap
        )

    def __hash__(self) -> int:
        return hash((self.nullable, self.heap))

    def __reduce__(self) -> tuple[Any, ...]:
        return RefType, (self.nullable, self.heap)

    def __repr__(self) -> str:
        if self.nullable and isinstance(self.heap, Heap):
            return _SHORTHANDS[self.heap]
        return f"(ref {'null ' if self.nullable else ''}{self.heap})"


HeapType: TypeAlias = "Heap | int | DefinedType"
ValueType: TypeAlias = NumberType | RefType
StorageType: TypeAlias = NumberType | RefType | Packed

_ABSTRACT_REFS: Final[dict[tuple[bool, Heap], RefType]] = {
    (nullable, heap): RefType._new(nullable, heap) for heap in Heap for nullable in (False, True)
}
# The abbreviations of the text format for `(ref null HEAP)`.
_SHORTHANDS: Final[dict[Heap, str]] = {
    heap: f"null{heap.name.lower()[2:]}ref" if heap.name in ("NOFUNC", "NOEXTERN", "NOEXN") else f"{heap}ref"
    for heap in Heap
} | {Heap.NONE: "nullref"}
SHORTHANDS: Final[dict[str, RefType]] = {name: _ABSTRACT_REFS[True, heap] for heap, name in _SHORTHANDS.items()}

FUNCREF: Final = RefType(True, Heap.FUNC)
EXTERNREF: Final = RefType(True, Heap.EXTERN)
ANYREF: Final = RefType(True, Heap.ANY)
EXNREF: Final = RefType(True, Heap.EXN)


def _sequence(types: Sequence[ValueType]) -> str:
    return f"[{' '.join(map(str, types))}]"


@record
class FuncType:
    """A function type: parameters to results."""

    params: tuple[ValueType, ...] = ()
    results: tuple[ValueType, ...] = ()

    def __str__(self) -> str:
        return f"{_sequence(self.params)} -> {_sequence(self.results)}"


@record
class FieldType:
    """The type of a struct field or of an array's elements."""

    storage: StorageType
    mutable: bool = False

    def __str__(self) -> str:
        return f"(mut {self.storage})" if self.mutable else str(self.storage)


@record
class StructType:
    fields: tuple[FieldType, ...] = ()

    def __str__(self) -> str:
        return f"(struct {' '.join(f'(field {field})' for field in self.fields)})"


@record
class ArrayType:
    field: FieldType

    def __str__(self) -> str:
        return f"(array {self.field})"


CompositeType: TypeAlias = FuncType | StructType | ArrayType


@record
class SubType:
    """A type definition in the syntax: a composite type, its declared supertypes (indices) and whether it is final."""

    composite: CompositeType
    final: bool = True
    supertypes: tuple[int, ...] = ()


RecGroup: TypeAlias = tuple[SubType, ...]


class DefinedType:
    """A closed type definition, canonical in the process: equal types are the same object.

    `composite` mentions only closed types; `display` lists the declared supertypes from the root down to this type
    itself, so `a` is a declared subtype of `b` exactly if `a.display[b.depth] is b` (`is_subtype_of`).
    """

    __slots__ = ("__weakref__", "composite", "display", "final", "group", "position", "ref", "ref_null")
    composite: CompositeType
    final: bool
    group: _Group
    position: int
    display: tuple[DefinedType, ...]
    ref: RefType
    ref_null: RefType

    def __init__(self, group: _Group, position: int) -> None:
        self.group = group
        self.position = position
        self.ref = RefType._new(False, self)
        self.ref_null = RefType._new(True, self)

    @property
    def depth(self) -> int:
        """How many declared supertypes lie above."""
        return len(self.display) - 1

    def is_subtype_of(self, other: DefinedType) -> bool:
        depth = len(other.display) - 1
        return self is other or (depth < len(self.display) and self.display[depth] is other)

    def __repr__(self) -> str:
        # A recursive type would print for ever: mentions of defined types inside one are cut to their kind.
        return _describe(self.composite)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.group.key, self.position)


def _describe(composite: CompositeType) -> str:
    def short(t: object) -> str:
        if isinstance(t, RefType) and isinstance(t.heap, DefinedType):
            kind = type(t.heap.composite).__name__.removesuffix("Type").lower()
            return f"(ref {'null ' if t.nullable else ''}({kind} ...))"
        return str(t)

    def held(field: FieldType) -> str:
        return f"(mut {short(field.storage)})" if field.mutable else short(field.storage)

    match composite:
        case FuncType(params, results):
            return f"[{' '.join(map(short, params))}] -> [{' '.join(map(short, results))}]"
        case StructType(fields):
            return f"(struct{''.join(f' (field {held(field)})' for field in fields)})"
        case ArrayType(field):
            return f"(array {held(field)})"


@record
class _Recursive:
    """In a canonical key: the member of the group itself at this position."""

    position: int


class _Group:
    """A canonical recursive group; `key` is its structure, with members of the group itself as `_Recursive`."""

    __slots__ = ("__weakref__", "key", "members")

    def __init__(self, key: tuple[Any, ...]) -> None:
        self.key = key
        self.members: tuple[DefinedType, ...] = ()


_GROUPS: weakref.WeakValueDictionary[tuple[Any, ...], _Group] = weakref.WeakValueDictionary()
_LOCK = threading.Lock()


def substitute(composite: CompositeType, heap: Callable[[HeapType], HeapType]) -> CompositeType:
    """The same composite type with every heap type of its references passed through `heap`."""

    def storage(t: StorageType) -> StorageType:
        return RefType(t.nullable, heap(t.heap)) if isinstance(t, RefType) else t

    def value(t: ValueType) -> ValueType:
        return RefType(t.nullable, heap(t.heap)) if isinstance(t, RefType) else t

    match composite:
        case FuncType(params, results):
            return FuncType(tuple(map(value, params)), tuple(map(value, results)))
        case StructType(fields):
            return StructType(tuple(FieldType(storage(f.storage), f.mutable) for f in fields))
        case ArrayType(field):
            return ArrayType(FieldType(storage(field.storage), field.mutable))


def define(group: RecGroup, earlier: Sequence[DefinedType]) -> tuple[DefinedType, ...]:
    """The canonical defined types of a recursive group; `earlier` are the module's types before the group.

    Type indices must be in range: below `len(earlier) + len(group)`. Declared supertypes must come before the type that
    names them (validation checks both before calling).
    """
    start = len(earlier)

    def key_of(t: StorageType) -> Any:
        if isinstance(t, RefType) and isinstance(t.heap, int):
            index = t.heap
            return (t.nullable, earlier[index] if index < start else _Recursive(index - start))
        return t

    def key(sub: SubType) -> tuple[Any, ...]:
        supers = tuple(earlier[i] if i < start else _Recursive(i - start) for i in sub.supertypes)
        match sub.composite:
            case FuncType(params, results):
                return ("func", sub.final, supers, tuple(map(key_of, params)), tuple(map(key_of, results)))
            case StructType(fields):
                return ("struct", sub.final, supers, tuple((key_of(f.storage), f.mutable) for f in fields))
            case ArrayType(field):
                return ("array", sub.final, supers, (key_of(field.storage), field.mutable))

    return _intern(tuple(map(key, group)))


def _intern(group_key: tuple[Any, ...]) -> tuple[DefinedType, ...]:
    with _LOCK:
        known = _GROUPS.get(group_key)
        if known is None:
            known = _close(group_key)
            _GROUPS[group_key] = known
        return known.members


def _close(group_key: tuple[Any, ...]) -> _Group:
    group = _Group(group_key)
    members = tuple(DefinedType(group, position) for position in range(len(group_key)))

    def opened(t: Any) -> DefinedType:
        return members[t.position] if isinstance(t, _Recursive) else t

    def storage(t: Any) -> Any:
        if isinstance(t, tuple):
            nullable, target = t
            return RefType(nullable, opened(target))
        return t

    for member, (kind, final, supers, *rest) in zip(members, group_key, strict=True):
        member.final = final
        if kind == "func":
            params, results = rest
            member.composite = FuncType(tuple(map(storage, params)), tuple(map(storage, results)))
        elif kind == "struct":
            member.composite = StructType(tuple(FieldType(storage(s), mutable) for s, mutable in rest[0]))
        else:
            member.composite = ArrayType(FieldType(storage(rest[0][0]), rest[0][1]))
        member.display = (*(opened(supers[0]).display if supers else ()), member)
    group.members = members
    return group


def _unpickle(group_key: tuple[Any, ...], position: int) -> DefinedType:
    return _intern(group_key)[position]


def func_type(params: Sequence[ValueType] = (), results: Sequence[ValueType] = ()) -> DefinedType:
    """The canonical defined type of a plain (final, non-recursive) function type over closed value types."""
    key = ("func", True, (), _closed_key(params), _closed_key(results))
    return _intern((key,))[0]


def _closed_key(types: Sequence[ValueType]) -> tuple[Any, ...]:
    # The same keys that `define` makes: a reference to a defined type is a (nullable, type) pair.
    return tuple(
        (t.nullable, t.heap) if isinstance(t, RefType) and isinstance(t.heap, DefinedType) else t for t in types
    )


_KIND_HEAP: Final[dict[type, Heap]] = {FuncType: Heap.FUNC, StructType: Heap.STRUCT, ArrayType: Heap.ARRAY}
_BOTTOM: Final[dict[type, Heap]] = {FuncType: Heap.NOFUNC, StructType: Heap.NONE, ArrayType: Heap.NONE}


def heap_matches(sub: HeapType, sup: HeapType) -> bool:
    """Whether closed heap type `sub` is a subtype of closed heap type `sup`."""
    if sub is sup:
        return True
    if isinstance(sub, DefinedType):
        if isinstance(sup, DefinedType):
            return sub.is_subtype_of(sup)
        return sup in _ABSTRACT_SUPERTYPES[_KIND_HEAP[type(sub.composite)]]
    if isinstance(sup, DefinedType):
        return sub is _BOTTOM[type(sup.composite)]
    return sup in _ABSTRACT_SUPERTYPES[sub]  # type: ignore[index]


def matches(sub: ValueType, sup: ValueType) -> bool:
    """Whether closed value type `sub` is a subtype of closed value type `sup`."""
    if sub is sup:
        return True
    if not isinstance(sub, RefType) or not isinstance(sup, RefType):
        return False
    return (sup.nullable or not sub.nullable) and heap_matches(sub.heap, sup.heap)


def is_function_type(type: ValueType) -> bool:
    """Whether values of this closed type are function references."""
    if not isinstance(type, RefType):
        return False
    heap = type.heap
    if isinstance(heap, Heap):
        return heap in (Heap.FUNC, Heap.NOFUNC)
    return not isinstance(heap, int) and isinstance(heap.composite, FuncType)


def storage_matches(sub: StorageType, sup: StorageType) -> bool:
    """`matches`, for storage types."""
    if isinstance(sub, Packed) or isinstance(sup, Packed):
        return sub is sup
    return matches(sub, sup)


def field_matches(sub: FieldType, sup: FieldType) -> bool:
    """Whether closed field type `sub` is a subtype of `sup`: mutable fields are invariant."""
    if sub.mutable != sup.mutable or not storage_matches(sub.storage, sup.storage):
        return False
    return not sub.mutable or storage_matches(sup.storage, sub.storage)


def composite_matches(sub: CompositeType, sup: CompositeType) -> bool:
    """Whether closed composite type `sub` is a structural subtype of `sup`."""
    match sub, sup:
        case FuncType(p1, r1), FuncType(p2, r2):
            return len(p1) == len(p2) and len(r1) == len(r2) and all(map(matches, p2, p1)) and all(map(matches, r1, r2))
        case StructType(f1), StructType(f2):
            return len(f1) >= len(f2) and all(map(field_matches, f1, f2))
        case ArrayType(e1), ArrayType(e2):
            return field_matches(e1, e2)
    return False


@record
class Limits:
    """The size of a table (elements) or memory (pages): at least `minimum`, at most `maximum` (None: no bound)."""

    minimum: int
    maximum: int | None = None

    def __str__(self) -> str:
        return f"{self.minimum}" if self.maximum is None else f"{self.minimum} {self.maximum}"


@record
class TableType:
    """`address` is I32, or I64 for a 64-bit table."""

    element: RefType
    limits: Limits
    address: NumberType = I32

    def __str__(self) -> str:
        return f"{'i64 ' if self.address is I64 else ''}{self.limits} {self.element}"


@record
class MemoryType:
    """`address` is I32, or I64 for a 64-bit memory; `page_size_log2` is 16 but for custom page sizes (0)."""

    limits: Limits
    shared: bool = False
    address: NumberType = I32
    page_size_log2: int = 16

    @property
    def page_size(self) -> int:
        """Bytes per page."""
        return 1 << self.page_size_log2

    def __str__(self) -> str:
        pages = f" (pagesize {self.page_size})" if self.page_size_log2 != 16 else ""
        return f"{'i64 ' if self.address is I64 else ''}{self.limits}{' shared' if self.shared else ''}{pages}"


@record
class GlobalType:
    value: ValueType
    mutable: bool = False

    def __str__(self) -> str:
        return f"(mut {self.value})" if self.mutable else str(self.value)


@record
class FuncIndex:
    """An import's or export's kind "function" in the syntax: its type is the module's type `type`."""

    type: int


@record
class TagIndex:
    """A tag in the syntax: its type is the module's function type `type`."""

    type: int


ExternSyntax: TypeAlias = FuncIndex | TableType | MemoryType | GlobalType | TagIndex


class Kind(enum.IntEnum):
    """The kinds of imports and exports; the value is the code in the binary format."""

    FUNC = 0
    TABLE = 1
    MEMORY = 2
    GLOBAL = 3
    TAG = 4

    def __str__(self) -> str:
        return self.name.lower()


@record
class TagType:
    """The closed type of a tag: what its exceptions carry are the function type's parameters."""

    function: FuncType

    def __str__(self) -> str:
        return _sequence(self.function.params)
