"""What the printer calls things: the identifiers of every index space, and the spelling of types that use them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from wasmine.format.text.printer_literals import print_identifier, print_name
from wasmine.format.types import (
    DefinedType,
    FuncIndex,
    FuncType,
    Heap,
    NumberType,
    RefType,
    StructType,
    TagIndex,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from wasmine.format.module import ModuleSyntax, NameMap, Names
    from wasmine.format.types import (
        CompositeType,
        FieldType,
        GlobalType,
        HeapType,
        StorageType,
        SubType,
        TableType,
        ValueType,
    )

_NOT_IDENTIFIED: Final[Mapping[int, str]] = {}


class Space:
    """The identifiers of one index space: `get(index, index)` is what a reference to `index` looks like.

    A name that is empty or that two things share cannot be an identifier: those are referred to by index, and a `@name`
    annotation keeps the name where they are defined.
    """

    __slots__ = ("get", "identifiers", "names")

    def __init__(self, names: NameMap, *, shared: bool = False) -> None:
        count = Counter(names.values())
        self.names = names
        self.identifiers = {
            index: print_identifier(name) for index, name in names.items() if name and (shared or count[name] == 1)
        }
        self.get: Callable[..., str | int] = self.identifiers.get

    def binding(self, index: int) -> str:
        """What stands after the keyword of the definition of `index`, with a space before it; "" if it has no name."""
        identifier = self.identifiers.get(index)
        if identifier is not None:
            return f" {identifier}"
        return f" (@name {print_name(self.names[index])})" if index in self.names else ""

    def definition(self, index: int) -> str:
        """`binding`, and the index as a comment."""
        return f"{self.binding(index)} (;{index};)"


class Scope:
    """A module's index spaces and the types that arities depend on."""

    def __init__(self, syntax: ModuleSyntax, names: Names, closed: Sequence[DefinedType] = ()) -> None:
        self.names = names
        self.functions = Space(names.functions)
        self.types = Space(names.types)
        self.tables = Space(names.tables)
        self.memories = Space(names.memories)
        self.globals = Space(names.globals)
        self.tags = Space(names.tags)
        self.elements = Space(names.elements)
        self.data = Space(names.data)
        self.definitions: list[SubType] = [member for group in syntax.types for member in group]
        self._fields = {index: Space(fields) for index, fields in names.fields.items()}
        self._function_types = [i.type.type for i in syntax.imports if isinstance(i.type, FuncIndex)]
        self._function_types += syntax.functions
        self._tag_types = [i.type.type for i in syntax.imports if isinstance(i.type, TagIndex)]
        self._tag_types += [tag.type for tag in syntax.tags]
        self._indices: dict[DefinedType, int] = {}
        for index, type_ in enumerate(closed):
            self._indices.setdefault(type_, index)

    # What the module says of an index

    def type_of(self, function: int) -> int:
        """The type index of a function."""
        return self._function_types[function]

    def signature(self, type_: int) -> FuncType:
        """The function type at a type index."""
        composite = self.definitions[type_].composite
        assert isinstance(composite, FuncType)
        return composite

    def function(self, index: int) -> FuncType:
        """The type of a function."""
        return self.signature(self._function_types[index])

    def tag(self, index: int) -> FuncType:
        """The type of a tag."""
        return self.signature(self._tag_types[index])

    def field_count(self, type_: int) -> int:
        """How many fields the struct type at a type index has."""
        composite = self.definitions[type_].composite
        assert isinstance(composite, StructType)
        return len(composite.fields)

    def field(self, type_: int, index: int) -> str | int:
        """What a reference to a field of a struct type looks like."""
        space = self._fields.get(type_)
        return space.get(index, index) if space else index

    # Types

    def print_heap(self, heap: HeapType) -> str:
        """A heap type, of the syntax or closed."""
        if isinstance(heap, Heap):
            return str(heap)
        index = self._indices[heap] if isinstance(heap, DefinedType) else heap
        return str(self.types.get(index, index))

    def print_ref(self, type_: RefType) -> str:
        """A reference type."""
        if type_.nullable and isinstance(type_.heap, Heap):
            return str(type_)
        return f"(ref {'null ' if type_.nullable else ''}{self.print_heap(type_.heap)})"

    def print_storage(self, type_: StorageType) -> str:
        """A value type or a packed type."""
        return self.print_ref(type_) if isinstance(type_, RefType) else str(type_)

    def print_params(self, types: Sequence[ValueType], space: Space | None = None) -> str:
        """The parameters of a function or block, with a space before each group."""
        return "".join(f" (param{group})" for group in self._groups(types, space, 0))

    def print_results(self, types: Sequence[ValueType]) -> str:
        """The results of a function or block, with a space before."""
        return "".join(f" (result{group})" for group in self._groups(types, None, 0))

    def print_locals(self, types: Sequence[ValueType], space: Space, first: int) -> str:
        """The locals of a function from index `first` on."""
        return "".join(f" (local{group})" for group in self._groups(types, space, first))[1:]

    def _groups(self, types: Sequence[ValueType], space: Space | None, first: int) -> Iterator[str]:
        """What has a name stands alone; what has none stands with its neighbours."""
        unnamed = ""
        for index, type_ in enumerate(types, first):
            spelled = type_.name if isinstance(type_, NumberType) else self.print_storage(type_)
            if space is not None and index in space.names:
                if unnamed:
                    yield unnamed
                    unnamed = ""
                yield f"{space.binding(index)} {spelled}"
            else:
                unnamed += f" {spelled}"
        if unnamed:
            yield unnamed

    def print_type_use(self, type_: int, locals_: Space | None = None) -> str:
        """A reference to a function type, spelled out too, with the identifiers of the parameters."""
        signature = self.signature(type_)
        inline = self.print_params(signature.params, locals_) + self.print_results(signature.results)
        return f" (type {self.types.get(type_, type_)}){inline}"

    def print_table_type(self, type_: TableType) -> str:
        """A table type."""
        address = "i64 " if str(type_.address) == "i64" else ""
        return f"{address}{type_.limits} {self.print_ref(type_.element)}"

    def print_global_type(self, type_: GlobalType) -> str:
        """A global type."""
        value = self.print_storage(type_.value)
        return f"(mut {value})" if type_.mutable else value

    def print_definition(self, index: int) -> str:
        """The definition of type `index`."""
        sub = self.definitions[index]
        composite = self._print_composite(sub.composite, self._fields.get(index))
        if not sub.final or sub.supertypes:
            final = "final " if sub.final else ""
            supers = "".join(f"{self.types.get(i, i)} " for i in sub.supertypes)
            composite = f"(sub {final}{supers}{composite})"
        return f"(type{self.types.definition(index)} {composite})"

    def _print_composite(self, composite: CompositeType, fields: Space | None) -> str:
        match composite:
            case FuncType(params, results):
                return f"(func{self.print_params(params)}{self.print_results(results)})"
            case StructType(members):
                text = (
                    f" (field{fields.binding(i) if fields else ''} {self._print_field(member)})"
                    for i, member in enumerate(members)
                )
                return f"(struct{''.join(text)})"
            case _:
                return f"(array {self._print_field(composite.field)})"

    def _print_field(self, field: FieldType) -> str:
        storage = self.print_storage(field.storage)
        return f"(mut {storage})" if field.mutable else storage
