"""Programs of one to three modules that share everything, made of instruction sequences with deep operand stacks.

What WebAssembly 3.0 has besides objects: functions of any types in calls of all kinds, tail calls of other sizes, exceptions
with any values, in handlers of all kinds and through other modules and the host, vectors everywhere, 32- and 64-bit memories
and tables side by side, atomics. As in `linked`, calls are paid from a global that every export `run-N` fills up.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias, TypeVar

from composed_bodies import NUMBERS, TYPES, WEIGHTS, Body
from ours import parameter_types
from session import Call, Case, Session, random_argument

import wasmine

T = TypeVar("T")

FUEL: Final = 80
SESSIONS: Final = 2
CALLS: Final = 6

# Places in tables of functions that hold functions, and whose types are known.
CALLABLE: Final = 8
TABLE_SIZE: Final = 20


@dataclass(frozen=True)
class Signature:
    """A function type that all modules define alike."""

    name: str
    params: tuple[str, ...]
    results: tuple[str, ...]

    def __str__(self) -> str:
        return f"(type {self.name} (func (param {' '.join(self.params)}) (result {' '.join(self.results)})))"


@dataclass(frozen=True)
class Table:
    """A table; `signatures` are the types of the functions that its first elements are."""

    element: str
    address: str
    signatures: tuple[Signature, ...] = ()

    def __str__(self) -> str:
        return f"{'i64 ' if self.address == 'i64' else ''}{TABLE_SIZE} {TABLE_SIZE + 4} {self.element}"


@dataclass(frozen=True)
class Memory:
    address: str
    maximum: int

    def __str__(self) -> str:
        return f"{'i64 ' if self.address == 'i64' else ''}1 {self.maximum}"


@dataclass(frozen=True)
class Global:
    value: str
    mutable: bool

    def __str__(self) -> str:
        return f"(mut {self.value})" if self.mutable else self.value


@dataclass(frozen=True)
class Tag:
    signature: Signature


ExternType: TypeAlias = Signature | Table | Memory | Global | Tag


@dataclass(frozen=True)
class Export:
    """What a module that comes later may import."""

    module: str
    name: str
    type: ExternType


UNARY: Final = Signature("$unary", ("i32",), ("i32",))
ACTION: Final = Signature("$action", ("i32",), ())
FIXED: Final = (
    UNARY,
    ACTION,
    Signature("$mix", ("i32", "i32"), ("i32",)),
    Signature("$apply", ("funcref", "i32"), ("i32",)),
)
# `apply` calls what it is given; `grow` grows the first memory or table of the first module; `raise` throws its first tag.
HOST: Final = (
    Export("host", "mix", FIXED[2]),
    Export("host", "apply", FIXED[3]),
    Export("host", "grow", UNARY),
    Export("host", "raise", ACTION),
)


class Module:
    """A module in the making."""

    def __init__(
        self, number: int, random: Random, signatures: list[Signature], world: list[Export], legacy: bool
    ) -> None:
        self.number = number
        self.random = random
        self.signatures = signatures
        self.legacy = legacy
        self.fields = [str(signature) for signature in signatures]
        self.exports: list[Export] = []
        self.functions: dict[str, Signature] = {}
        self.tables: dict[str, Table] = {}
        self.memories: dict[str, Memory] = {}
        self.globals: dict[str, Global] = {}
        self.tags: dict[str, Signature] = {}
        self.data: list[str] = []
        self.elements: list[str] = []
        for export in world:
            if export.name in ("fuel", "main-tag") or self._maybe(0.6):
                self._import(export)
        own = self._define()
        for name in own:
            self._write(name)

    def __str__(self) -> str:
        return "(module $m{}\n  {})\n".format(self.number, "\n  ".join(self.fields))

    def _maybe(self, probability: float) -> bool:
        return self.random.random() < probability

    def _import(self, export: Export) -> None:
        match export.type:
            case Signature():
                declared = f"func {self._name('f', self.functions, export.type)} (type {export.type.name})"
            case Table():
                declared = f"table {self._name('t', self.tables, export.type)} {export.type}"
            case Memory():
                declared = f"memory {self._name('m', self.memories, export.type)} {export.type}"
            case Global() if export.name == "fuel":
                declared = f"global $fuel {export.type}"
            case Global():
                declared = f"global {self._name('g', self.globals, export.type)} {export.type}"
            case Tag(signature):
                declared = f"tag {self._name('e', self.tags, signature)} (type {signature.name})"
        self.fields.append(f'(import "{export.module}" "{export.name}" ({declared}))')

    def _name(self, letter: str, space: dict[str, T], type: T) -> str:
        name = f"${letter}{len(space)}"
        space[name] = type
        return name

    def _export(self, kind: str, name: str, type: ExternType, label: str = "") -> None:
        label = label or name[1:]
        self.fields.append(f'(export "{label}" ({kind} {name}))')
        self.exports.append(Export(f"m{self.number}", label, type))

    # ------------------------------------------------------------------------------------------------ definitions

    def _define(self) -> list[str]:
        """Everything but bodies. The names of the functions."""
        random, first = self.random, self.number == 0
        if first:
            fuel = Global("i32", True)
            self.fields.append(f"(global $fuel (mut i32) (i32.const {FUEL}))")
            self._export("global", "$fuel", fuel)
        own = [
            self._name("f", self.functions, random.choice(self.signatures)) for _ in range(random.choice((2, 4, 6, 9)))
        ]
        for _ in range(random.choice((1, 1, 2) if first else (0, 1))):
            memory = Memory(random.choice(("i32", "i32", "i64")), random.choice((1, 2, 3)))
            name = self._name("m", self.memories, memory)
            self.fields.append(f"(memory {name} {memory})")
            self.fields.append(f'(data (memory {name}) ({memory.address}.const 8) "this is module {self.number}")')
            self._export("memory", name, memory)
        for element in ("funcref", "externref", "exnref"):
            if self._maybe(0.8 if first and element == "funcref" else 0.3):
                self._define_table(element)
        for label in ("main-tag",) * first + ("",) * random.randrange(3):
            signature = ACTION if label else random.choice([s for s in self.signatures if not s.results])
            name = self._name("e", self.tags, signature)
            self.fields.append(f"(tag {name} (type {signature.name}))")
            self._export("tag", name, Tag(signature), label)
        for _ in range(random.randint(0, 6)):
            self._define_global()
        for _ in range(random.randrange(3)):
            self.data.append(f"$d{len(self.data)}")
            self.fields.append(f'(data {self.data[-1]} "passive data")')
        for _ in range(random.randrange(2)):
            self.elements.append(f"$s{len(self.elements)}")
            self.fields.append(f"(elem {self.elements[-1]} func {' '.join(random.choices(list(self.functions), k=2))})")
        self.fields.append(f"(elem declare func {' '.join(self.functions)})")
        for name in own:
            self._export("func", name, self.functions[name])
        return own

    def _define_table(self, element: str) -> None:
        address = self.random.choice(("i32", "i32", "i64"))
        names = self.random.choices(list(self.functions), k=CALLABLE) if element == "funcref" else []
        table = Table(element, address, tuple(self.functions[name] for name in names))
        name = self._name("t", self.tables, table)
        self.fields.append(f"(table {name} {table})")
        if names:
            self.fields.append(f"(elem (table {name}) ({address}.const 0) func {' '.join(names)})")
        self._export("table", name, table)

    def _define_global(self) -> None:
        type = Global(self.random.choices(TYPES, WEIGHTS)[0], self._maybe(0.8))
        value = {"v128": "v128.const i32x4 1 2 3 4", "funcref": "ref.null func", "externref": "ref.null extern"}.get(
            type.value, "ref.null exn" if type.value == "exnref" else f"{type.value}.const {self.random.randrange(9)}"
        )
        name = self._name("g", self.globals, type)
        self.fields.append(f"(global {name} {type} ({value}))")
        self._export("global", name, type)

    # ------------------------------------------------------------------------------------------------ functions

    def _write(self, name: str) -> None:
        """A function, and what calls it with full fuel and makes all NaN canonical that it returns."""
        signature = self.functions[name]
        self.fields.append(f"(func {name} (type {signature.name})\n    {Body(self.random, self, signature).text()})")
        lines = [f"local.get {i}" for i in range(len(signature.params))]
        lines += [f"call {name}"]
        results = list(enumerate(signature.results))
        lines += [f"local.set $r{i}" for i, _ in reversed(results)]
        for i, type in results:
            lines.append(f"local.get $r{i}")
            if type in ("f32", "f64"):
                lines.append(f"{type}.const nan local.get $r{i} local.get $r{i} {type}.eq select")
        locals = " ".join(f"(local $r{i} {type})" for i, type in results)
        self.fields.append(
            f'(func (export "run-{name[1:]}") (type {signature.name}) {locals}\n'
            f"    (global.set $fuel (i32.const {FUEL}))\n    {' '.join(lines)})"
        )


def _signatures(random: Random) -> list[Signature]:
    """Function types, few so that many functions have the same."""
    found = list(FIXED)
    for number in range(random.randint(3, 7)):
        params = random.choices(TYPES, WEIGHTS, k=random.choice((0, 1, 2, 3, 5, 9, 20)))
        results = random.choices(TYPES, WEIGHTS, k=random.choice((0, 1, 1, 1, 2, 3, 7)))
        found.append(Signature(f"$s{number}", tuple(params), tuple(results)))
        if random.random() < 0.4:
            # Another one with these results: for tail calls.
            params = random.choices(NUMBERS, k=random.choice((0, 2, 6, 15)))
            found.append(Signature(f"$like{number}", tuple(params), tuple(results)))
        if random.random() < 0.5:
            found.append(
                Signature(f"$throws{number}", tuple(random.choices(TYPES, WEIGHTS, k=random.randint(0, 4))), ())
            )
    return found


def case(name: str, *, legacy: bool = False) -> Case:
    """The program and the calls of this name. With `legacy`, exceptions are caught by the legacy instructions too."""
    random = Random(name)
    signatures = _signatures(random)
    world = list(HOST)
    modules = []
    for number in range(random.choice((1, 2, 2, 3))):
        module = Module(number, random, signatures, world, legacy)
        world += module.exports
        modules.append(str(module))
    exports = [
        (position, export, types)
        for position, text in enumerate(modules)
        for export, types in parameter_types(wasmine.Module(text)).items()
        if export.startswith("run-")
    ]
    return Case(name, tuple(modules), tuple(_session(random, exports) for _ in range(SESSIONS)))


def _session(random: Random, exports: list) -> Session:  # type: ignore[type-arg]
    calls = []
    for position, export, types in random.choices(exports, k=CALLS):
        arguments = [random_argument(random, type) for type in types]
        calls.append(Call(position, export, tuple(argument for argument in arguments if argument is not None)))
    return tuple(calls)
