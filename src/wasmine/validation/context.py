"""The closed view of a module: what its bodies are typed against, and what linking and the engines work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.format.types import DefinedType, RefType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.format.features import Features
    from wasmine.format.module import ModuleSyntax
    from wasmine.format.types import (
        FieldType,
        FuncType,
        GlobalType,
        HeapType,
        MemoryType,
        TableType,
        ValueType,
    )
    from wasmine.validation.walks import Kind, Walk


class Context:
    """A module with closed types. Every list is a whole index space: imports first, then what the module defines.

    `functions` and `tags` are their defined types, `elements` the types of element segments. `declared` are the
    functions that `ref.func` may name in bodies. `data_count` is the number of data segments that bodies may name: None
    where the module has no data count section.
    """

    __slots__ = (
        "data_count",
        "declared",
        "elements",
        "features",
        "functions",
        "globals",
        "imported_functions",
        "imported_globals",
        "imported_memories",
        "imported_tables",
        "imported_tags",
        "memories",
        "signatures",
        "structs",
        "syntax",
        "tables",
        "tags",
        "types",
        "walkers",
    )

    def __init__(self, syntax: ModuleSyntax, features: Features) -> None:
        self.syntax = syntax
        self.features = features
        self.types: list[DefinedType] = []
        self.functions: list[DefinedType] = []
        self.signatures: list[FuncType] = []  # functions[i].composite, for the walk
        self.tables: list[TableType] = []
        self.memories: list[MemoryType] = []
        self.globals: list[GlobalType] = []
        self.tags: list[DefinedType] = []
        self.elements: list[RefType] = []
        self.data_count: int | None = None
        self.declared: set[int] = set()
        self.imported_functions = 0
        self.imported_tables = 0
        self.imported_memories = 0
        self.imported_globals = 0
        self.imported_tags = 0
        # For each struct type met: its operand types and the first field without a default value.
        self.structs: dict[int, tuple[Sequence[ValueType], FieldType | None]] = {}
        self.walkers: dict[Kind, Walk] = {}  # the generated walks, on first use

    def heap(self, heap: HeapType) -> HeapType:
        """The closed heap type. IndexError if the type index is unknown."""
        return self.types[heap] if isinstance(heap, int) else heap

    def close(self, type_: ValueType) -> ValueType:
        """The closed value type. IndexError if it names an unknown type."""
        if isinstance(type_, RefType):
            return self.close_ref(type_)
        return type_

    def close_ref(self, type_: RefType) -> RefType:
        """The closed reference type. IndexError if it names an unknown type."""
        return RefType(type_.nullable, self.heap(type_.heap))
