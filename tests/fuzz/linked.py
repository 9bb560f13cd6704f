"""Graphs of two to four modules that import from each other, as text, and calls of what they export.

The modules share functions, tables, memories, globals and tags, export again what they import, put functions of all modules
and of the host into each other's tables, and name the same types in different orders. Every call is paid from the global
`fuel` of the first module, which an export `run-N` fills up before it calls: so a session comes to an end.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final, TypeVar

from linked_bodies import TYPED, Body
from linked_types import (
    ALWAYS,
    NEEDS,
    PLAIN,
    TYPES,
    VOCABULARY,
    ExternType,
    FunctionType,
    Global,
    Memory,
    Spaces,
    Table,
    Tag,
    supertypes,
)
from ours import parameter_types
from session import Call, Case, random_argument

import wasmine

if TYPE_CHECKING:
    from session import Session

    from wasmine.format.types import ValueType

# Calls and turns of loops that a call of `run-N` may lead to.
FUEL: Final = 60
SESSIONS: Final = 3
CALLS: Final = 8

# The payload of a NaN that an operation gives is open; so operations on floats pass through here.
CANONICAL: Final = (
    "(func $canonical (param f64) (result f64)"
    " (select (local.get 0) (f64.const nan) (f64.eq (local.get 0) (local.get 0))))"
)


T = TypeVar("T")


@dataclass(frozen=True)
class Export:
    """What a module that comes later may import."""

    module: str
    name: str
    type: ExternType


HOST: Final = Export("host", "mix", TYPES["$binary"])


class Module:
    """A module in the making."""

    def __init__(self, number: int, random: Random, vocabulary: set[str], world: list[Export], kind: str) -> None:
        self.number = number
        self.random = random
        self.spaces = Spaces(plain=kind == "plain", casts=not kind)
        self.fields: list[str] = []
        self.exports: list[Export] = []
        self.actual: dict[str, ExternType] = {}  # what imports were defined as
        self._choose_types(vocabulary)
        self._import(world)
        self._define()
        self._fill()
        self._write_functions()
        self._export()

    def __str__(self) -> str:
        return "(module $m{}\n  {})\n".format(self.number, "\n  ".join(self.fields))

    def _maybe(self, probability: float) -> bool:
        return self.random.random() < probability

    # ------------------------------------------------------------------------------------------------ declarations

    def _choose_types(self, vocabulary: set[str]) -> None:
        """Most types of the vocabulary, and what they need, in random order."""
        wanted = {name for name in TYPES if name in ALWAYS or (name in vocabulary and self._maybe(0.8))}
        for name in tuple(wanted):
            while name in NEEDS:
                wanted.update(NEEDS[name])
                name = NEEDS[name][0]
        left = [group for group in VOCABULARY if any(type.name in wanted for type in group)]
        self.random.shuffle(left)
        types = self.spaces.types
        while left:
            ready = (group for group in left if all(need in types for need in NEEDS.get(group[0].name, ())))
            group = next(ready)
            left.remove(group)
            types.update((type.name, type) for type in group)
            self.fields.append(f"(rec {' '.join(map(str, group))})" if len(group) > 1 else str(group[0]))

    def _import(self, world: list[Export]) -> None:
        """Import some of what there is: functions often as a supertype, the rest with looser limits."""
        chosen = [export for export in world if export.name == "fuel" or self._maybe(0.5)]
        self.random.shuffle(chosen)
        for export in chosen:
            declared = self._declared(export)
            if declared:
                self.fields.append(f'(import "{export.module}" "{export.name}" ({declared}))')

    def _declared(self, export: Export) -> str:
        """The import's type in text, after taking it into its index space; empty if it cannot be named here."""
        spaces, type = self.spaces, export.type
        match type:
            case FunctionType():
                known = [candidate for candidate in supertypes(type) if candidate.name in spaces.types]
                if not known:
                    return ""
                declared = self.random.choice(known)
                name = self._name("f", spaces.functions, declared)
                text = f"func {name} (type {declared.name})"
            case Table(element, minimum, maximum):
                name = self._name("t", spaces.tables, type)
                text = f"table {name} {self._limits(minimum, maximum)} {element}"
            case Memory() if spaces.plain and spaces.memories:
                return ""
            case Memory(minimum, maximum):
                name = self._name("m", spaces.memories, type)
                text = f"memory {name} {self._limits(minimum, maximum)}"
            case Global():
                # Bodies must not find the fuel among the globals.
                name = "$fuel" if export.name == "fuel" else self._name("g", spaces.globals, type)
                text = f"global {name} {type}"
            case Tag():
                name = self._name("e", spaces.tags, type)
                text = f"tag {name} (type $action)"
        self.actual[name] = type
        return text

    def _limits(self, minimum: int, maximum: int) -> str:
        return f"{self.random.randint(0, minimum)} {maximum if self._maybe(0.5) else ''}"

    def _name(self, letter: str, space: dict[str, T], type: T) -> str:
        name = f"${letter}{len(space)}"
        space[name] = type
        return name

    # ------------------------------------------------------------------------------------------------ definitions

    def _define(self) -> None:
        """Tables, memories, globals, tags, and the functions' types; the first module always has some of each."""
        spaces, first = self.spaces, self.number == 0
        if first:
            self.fields.append(f'(global $fuel (export "fuel") (mut i32) (i32.const {FUEL}))')
            self.exports.append(Export("m0", "fuel", Global("i32", True)))
        tables = []
        for element in ("funcref", "externref", *(() if spaces.plain else (TYPED,))):
            if self._maybe(1 if first and element == "funcref" else 0.4):
                table = Table(element, self.random.randint(4, 8), self.random.randint(8, 12))
                name = self._name("t", spaces.tables, table)
                tables.append(f"table {name} {table.minimum} {table.maximum} {element}")
        if self._maybe(0.9 if first else 0.4) and not (spaces.plain and spaces.memories):
            memory = Memory(1, self.random.randint(1, 3))
            self.fields.append(f"(memory {self._name('m', spaces.memories, memory)} 1 {memory.maximum})")
        if self._maybe(0.9 if first else 0.4) and not spaces.plain:
            self.fields.append(f"(tag {self._name('e', spaces.tags, Tag())} (type $action))")
        for _ in range(self.random.randint(1, 4)):
            self._define_global()
        types = list(spaces.types.values())
        for type in self.random.choices(types, [2 if type.open else 1 for type in types], k=self.random.randint(3, 7)):
            self._name("f", spaces.functions, type)
        for text in tables:
            # With a function in every place of some.
            init = f"(ref.func {self.random.choice(list(spaces.functions))})" if text.endswith("funcref") else ""
            self.fields.append(f"({text} {init if self._maybe(0.6) and not spaces.plain else ''})")

    def _define_global(self) -> None:
        spaces = self.spaces
        type = Global(self.random.choice(("i32", "i32", "i64", "f64", "funcref", "externref")), self._maybe(0.6))
        constants = self._constants(type.value)
        if constants and self._maybe(0.5):
            init = f"(global.get {self.random.choice(constants)})"
            if type.value in ("i32", "i64") and not spaces.plain:
                init = f"({type.value}.add {init} ({type.value}.const 1))"
        elif type.value == "funcref":
            functions = list(spaces.functions)
            init = f"(ref.func {self.random.choice(functions)})" if functions else "(ref.null func)"
        elif type.value == "externref":
            init = "(ref.null extern)"
        else:
            init = f"({type.value}.const {self.random.randrange(8)})"
        self.fields.append(f"(global {self._name('g', spaces.globals, type)} {type} {init})")

    def _fill(self) -> None:
        """Active segments, into imported tables and memories too, and passive ones. Few lie outside."""
        spaces = self.spaces
        for table in spaces.tables:
            if spaces.tables[table].element == "externref" or not self._maybe(0.8):
                continue
            items, kind = self._items(spaces.tables[table].element)
            self.fields.append(f"(elem (table {table}) (offset {self._offset()}) {kind} {items})")
        for memory in spaces.memories:
            if self._maybe(0.6):
                self.fields.append(f'(data (memory {memory}) (offset {self._offset()}) "m{self.number} was here")')
        for _ in range(self.random.randint(0, 2)):
            name = f"$s{len(spaces.elements)}"
            items, kind = self._items("funcref")
            self.fields.append(f"(elem {name} {kind} {items})")
            spaces.elements.append(name)
        for _ in range(self.random.randint(0, 2)):
            name = f"$d{len(spaces.data)}"
            self.fields.append(f'(data {name} "passive {self.number}")')
            spaces.data.append(name)

    def _items(self, element: str) -> tuple[str, str]:
        """Elements of a segment, and its type."""
        functions = [name for name, type in self.spaces.functions.items() if element != TYPED or type.name == "$unary"]
        if not functions:
            return "", element
        chosen = self.random.choices(functions, k=self.random.randint(1, 3))
        if element == TYPED or self._maybe(0.5):
            return " ".join(f"(item ref.func {name})" for name in chosen), element
        return " ".join(chosen), "func"

    def _constants(self, value: str) -> list[str]:
        """The globals of a type that constant expressions may read."""
        names = [name for name, type in self.spaces.globals.items() if type == Global(value, False)]
        return [name for name in names if name in self.actual] if self.spaces.plain else names

    def _offset(self) -> str:
        constants = self._constants("i32")
        if constants and self._maybe(0.1):
            return f"(global.get {self.random.choice(constants)})"
        return f"(i32.const {self.random.randrange(2)})"

    # ------------------------------------------------------------------------------------------------ functions

    def _write_functions(self) -> None:
        """The bodies of the functions that are not imported, and what calls them with full fuel."""
        spaces = self.spaces
        own = [name for name in spaces.functions if name not in self.actual]
        bodies = [(name, Body(self.random, spaces, spaces.functions[name]).text()) for name in own]
        if spaces.declared:
            self.fields.append(f"(elem declare func {' '.join(sorted(spaces.declared))})")
        self.fields.append(CANONICAL)
        for name, body in bodies:
            type = spaces.functions[name]
            self.fields.append(f"(func {name} (type {type.name})\n    {body})")
            arguments = " ".join(f"(local.get {i})" for i in range(len(type.params)))
            self.fields.append(
                f'(func (export "run-{name[1:]}") (type {type.name})'
                f" (global.set $fuel (i32.const {FUEL})) (call {name} {arguments}))"
            )
        if self._maybe(0.15):
            callable_ = [name for name in own if spaces.functions[name].name == "$action"]
            if callable_:
                self.fields.append(f"(func $start (call {callable_[0]} (i32.const 3)))")
                self.fields.append("(start $start)")

    def _export(self) -> None:
        """Export most things, imported ones under new names."""
        spaces = self.spaces
        for kind, space in (
            ("func", spaces.functions),
            ("table", spaces.tables),
            ("memory", spaces.memories),
            ("global", spaces.globals),
            ("tag", spaces.tags),
        ):
            for name, type in space.items():
                if name not in self.actual or self._maybe(0.5):
                    label = name[1:] if name not in self.actual else f"again-{name[1:]}"
                    self.fields.append(f'(export "{label}" ({kind} {name}))')
                    self.exports.append(Export(f"m{self.number}", label, self.actual.get(name, type)))


def case(name: str, kind: str = "") -> Case:
    """The graph and the calls of this name; `plain` ones use nothing of WebAssembly 3.0, `native` ones no casts."""
    random = Random(name)
    world = [HOST]
    # Few, so that the modules have many in common.
    vocabulary = PLAIN if kind == "plain" else set(random.sample(list(TYPES), 5))
    modules = []
    for number in range(random.randint(2, 4)):
        module = Module(number, random, vocabulary, world, kind)
        world += module.exports
        modules.append(str(module))
    exports = [
        (position, export, types)
        for position, text in enumerate(modules)
        for export, types in parameter_types(wasmine.Module(text)).items()
    ]
    return Case(name, tuple(modules), tuple(_session(random, exports) for _ in range(SESSIONS)))


def _session(random: Random, exports: list[tuple[int, str, tuple[ValueType, ...]]]) -> Session:
    calls = []
    for position, export, types in random.choices(exports, k=CALLS):
        arguments = [random_argument(random, type) for type in types]
        calls.append(Call(position, export, tuple(argument for argument in arguments if argument is not None)))
    return tuple(calls)
