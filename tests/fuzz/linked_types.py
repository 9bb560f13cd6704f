"""The types that linked modules have in common, and what a module in the making knows of its index spaces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias


@dataclass(frozen=True)
class FunctionType:
    """A function type of the vocabulary. An `open` one may have subtypes."""

    name: str
    params: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    open: bool = False
    supertype: str = ""

    def __str__(self) -> str:
        text = f"(func (param {' '.join(self.params)}) (result {' '.join(self.results)}))"
        if self.open or self.supertype:
            text = f"(sub {'' if self.open else 'final'} {self.supertype} {text})"
        return f"(type {self.name} {text})"


# Recursive groups of types. Many look alike: only the groups they are in, and their supertypes, tell them apart.
VOCABULARY: Final = (
    (FunctionType("$action", ("i32",)),),
    (FunctionType("$unary", ("i32",), ("i32",)),),
    (FunctionType("$binary", ("i32", "i32"), ("i32",)),),
    (FunctionType("$wide", ("i64", "i32"), ("i64",)),),
    (FunctionType("$real", ("f64", "i32"), ("f64",)),),
    (FunctionType("$pair", ("i32",), ("i32", "i64")),),
    (FunctionType("$handle", ("externref", "i32"), ("externref",)),),
    (FunctionType("$left", ("i32",), ("i32",)), FunctionType("$right", ("i64", "i32"), ("i64",))),
    (FunctionType("$first", ("i32",), ("i32",)), FunctionType("$second", ("i32",), ("i32",))),
    (FunctionType("$open", ("i32",), ("i32",), open=True),),
    (FunctionType("$narrow", ("i32",), ("i32",), open=True, supertype="$open"),),
    (FunctionType("$narrower", ("i32",), ("i32",), supertype="$narrow"),),
    (FunctionType("$giver", ("i32",), ("funcref",), open=True),),
    (FunctionType("$precise", ("i32",), ("(ref null $unary)",), supertype="$giver"),),
)
TYPES: Final = {type.name: type for group in VOCABULARY for type in group}
# Those of WebAssembly 2.0.
PLAIN: Final = {g[0].name for g in VOCABULARY if len(g) == 1 and not g[0].open and not g[0].supertype}
# What must stand before a type.
NEEDS: Final = {"$narrow": ("$open",), "$narrower": ("$narrow",), "$precise": ("$giver", "$unary")}
# What every module has: the type of tags and that of the elements of typed tables, and of the host's function.
ALWAYS: Final = ("$action", "$unary", "$binary")


def supertypes(type: FunctionType) -> list[FunctionType]:
    """The type and its declared supertypes."""
    found = [type]
    while found[-1].supertype:
        found.append(TYPES[found[-1].supertype])
    return found


@dataclass(frozen=True)
class Table:
    """A table; the sizes are those it was defined with."""

    element: str
    minimum: int
    maximum: int


@dataclass(frozen=True)
class Memory:
    minimum: int
    maximum: int


@dataclass(frozen=True)
class Global:
    value: str
    mutable: bool

    def __str__(self) -> str:
        return f"(mut {self.value})" if self.mutable else self.value


@dataclass(frozen=True)
class Tag:
    """A tag of exceptions that carry an i32."""


ExternType: TypeAlias = FunctionType | Table | Memory | Global | Tag


@dataclass
class Spaces:
    """The index spaces of a module in the making, identifiers with types, and the types that it names.

    `declared` collects the functions that bodies take references to.
    """

    plain: bool = False  # nothing of WebAssembly 3.0
    casts: bool = True  # tests of references, and casts
    types: dict[str, FunctionType] = field(default_factory=dict)
    functions: dict[str, FunctionType] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)
    globals: dict[str, Global] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    elements: list[str] = field(default_factory=list)  # passive segments of functions
    data: list[str] = field(default_factory=list)  # passive segments
    declared: set[str] = field(default_factory=set)
