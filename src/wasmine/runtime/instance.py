"""`Instance`: a module with its imports bound and its own memories, tables and globals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wasmine.errors import LinkError, WasmineError
from wasmine.format.module import Active, Mode
from wasmine.format.types import Kind
from wasmine.runtime.limits import Limits
from wasmine.runtime.tag import Tag

if TYPE_CHECKING:
    from wasmine.format.types import MemoryType
    from wasmine.runtime.engine import Code
    from wasmine.runtime.fuel import Fuel
    from wasmine.runtime.function import Function
    from wasmine.runtime.globals import Global
    from wasmine.runtime.memory import Memory
    from wasmine.runtime.module import Module
    from wasmine.runtime.runtime import Runtime
    from wasmine.runtime.table import Table


class Exports(Mapping[str, Any]):
    """The exports of an instance: attributes and a mapping by name, in the module's order.

    Functions are callables, memories, tables, globals and tags objects. A name that is not a Python identifier, or that
    a mapping's method has (`get`, `keys`, ...), is reached as `exports["name"]`.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._entries = {entry.name: entry for entry in instance.module.syntax.exports}
        self._found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        found = self._found.get(name)
        if found is None:
            entry = self._entries[name]
            found = self._instance.member(entry.kind, entry.index)
            self._found[name] = found
        return found

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            known = ", ".join(list(self._entries)[:20]) or "nothing"
            raise AttributeError(f"no export {name!r}; the instance exports {known}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self._entries if name.isidentifier())]

    def __repr__(self) -> str:
        return f"<exports {list(self._entries)}>"


class Instance:
    """An instance of a module; made by `Runtime.instantiate`.

    Index spaces are complete lists (imports first). `function(i)` gives the function reference of index `i`, always the
    same object. `elements` and `data` are the segments that instructions may still use; dropped ones are empty. `limits`
    are what it was made with, `timeout` the seconds that a call from Python may take (None: any), `meter` its fuel.
    """

    def __init__(
        self, runtime: Runtime, module: Module, name: str, imported: dict[Kind, list[Any]], limits: Limits
    ) -> None:
        self.runtime = runtime
        self.module = module
        self.name = name
        self.closed = False
        self.limits = limits
        self.timeout = limits.timeout
        self.meter: Fuel | None = runtime.engine.new_fuel(limits.fuel) if limits.fuel is not None else None
        self._functions: dict[int, Function] = dict(enumerate(imported[Kind.FUNC]))
        self.tables: list[Table] = imported[Kind.TABLE]
        self.memories: list[Memory] = imported[Kind.MEMORY]
        self.globals: list[Global] = imported[Kind.GLOBAL]
        self.tags: list[Tag] = imported[Kind.TAG]
        self.elements: list[list[Any]] = []
        self.data: list[bytes] = []
        self.code: Code = runtime.engine.new_code(self)
        self._define()
        self.exports = Exports(self)

    @property
    def fuel(self) -> int | None:
        """How much the instance may still compute, None if that is not counted. What is set is what is left then."""
        return self.meter.left if self.meter is not None else None

    @fuel.setter
    def fuel(self, left: int) -> None:
        if self.meter is None:
            raise ValueError("the instance was made without fuel: give Limits(fuel=...) when it is instantiated")
        self.meter.left = Limits(fuel=left).fuel or 0

    def _define(self) -> None:
        """Allocate what the module defines."""
        context, engine, syntax = self.module.context, self.runtime.engine, self.module.syntax
        constants = self.module.constants
        self.tags += [Tag(defined) for defined in context.tags[len(self.tags) :]]
        self._define_memories(context.memories[len(self.memories) :])
        for type, evaluate in zip(context.globals[len(self.globals) :], constants.globals, strict=True):
            self.globals.append(engine.new_global(type, evaluate(self)))
        for table, init in zip(context.tables[len(self.tables) :], constants.tables, strict=True):
            self._check_size("table", table.limits.minimum, "elements", self.limits.table)
            self.tables.append(engine.new_table(table, init(self) if init is not None else None))
            self.tables[-1].limit = self.limits.table
        self.code.complete()
        self.elements = [evaluate(self) for evaluate in constants.elements]
        self.data = [segment.data for segment in syntax.data]

    def _define_memories(self, types: Sequence[MemoryType]) -> None:
        for type in types:
            self._check_size("memory", type.limits.minimum << type.page_size_log2, "bytes", self.limits.memory)
            memory = self.runtime.engine.new_memory(type)
            memory.limit = self.limits.memory
            self.memories.append(memory)

    def _check_size(self, what: str, size: int, unit: str, most: int | None) -> None:
        if most is not None and size > most:
            raise LinkError(f"module {self.module.name!r} needs a {what} of {size} {unit}; the limit is {most}")

    def initialize(self) -> None:
        """Copy active segments and call the start function, as the last steps of instantiation. Trap."""
        syntax, constants = self.module.syntax, self.module.constants
        for i, segment in enumerate(syntax.elements):
            if isinstance(segment.mode, Active):
                offset = constants.element_offsets[i]
                assert offset is not None
                self.tables[segment.mode.index].write(offset(self), self.elements[i])
            if segment.mode is not Mode.PASSIVE:
                self.elements[i] = []
        for i, data in enumerate(syntax.data):
            if isinstance(data.mode, Active):
                offset = constants.data_offsets[i]
                assert offset is not None
                self.memories[data.mode.index].initialize(offset(self), data.data)
                self.data[i] = b""
        if syntax.start is not None:
            self.function(syntax.start)()

    def function(self, index: int) -> Function:
        """The function reference of an index of the function index space."""
        found = self._functions.get(index)
        if found is None:
            found = self.code.function(index)
            # Two threads may get here at once; both must end with the same object.
            found = self._functions.setdefault(index, found)
        return found

    def member(self, kind: Kind, index: int) -> Any:
        """A member of an index space."""
        if kind is Kind.FUNC:
            return self.function(index)
        spaces: dict[Kind, list[Any]] = {
            Kind.TABLE: self.tables,
            Kind.MEMORY: self.memories,
            Kind.GLOBAL: self.globals,
            Kind.TAG: self.tags,
        }
        return spaces[kind][index]

    def check_open(self) -> None:
        """WasmineError if the instance was closed."""
        if self.closed:
            raise WasmineError(f"instance {self.name or self.module.name!r} is closed")

    def close(self) -> None:
        """Close the instance: its name is free again and its functions can no longer be called from Python.

        What other instances imported from it, or hold in tables, goes on working for them.
        """
        if not self.closed:
            self.closed = True
            self.runtime.forget(self)
            self.code.close()

    def __enter__(self) -> Instance:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<instance {self.name or self.module.name or 'anonymous'}{' (closed)' if self.closed else ''}>"
