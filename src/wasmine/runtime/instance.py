"""`Instance`: a module with its imports bound and its own memories, tables and globals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from wasmine.errors import LinkError, WasmineError
from wasmine.format.types import Kind
from wasmine.runtime.limits import Limits
from wasmine.runtime.tag import Tag
from wasmine.runtime.unique import Unique

if TYPE_CHECKING:
    from wasmine.format.module import Export
    from wasmine.format.types import MemoryType, TableType
    from wasmine.runtime.engine import Code
    from wasmine.runtime.fuel import Fuel
    from wasmine.runtime.function import Function
    from wasmine.runtime.globals import Global
    from wasmine.runtime.image import Image
    from wasmine.runtime.memory import Memory
    from wasmine.runtime.module import Module
    from wasmine.runtime.runtime import Runtime
    from wasmine.runtime.snapshot import Snapshot
    from wasmine.runtime.table import Table


class Imported(NamedTuple):
    """What an instance imports: the first members of its index spaces. The instance adds its own to these lists."""

    functions: list[Any]
    tables: list[Any]
    memories: list[Any]
    globals: list[Any]
    tags: list[Any]

    def space(self, kind: Kind) -> list[Any]:
        """The members of one kind."""
        return self[_ORDER[kind]]


_ORDER: Final = {Kind.FUNC: 0, Kind.TABLE: 1, Kind.MEMORY: 2, Kind.GLOBAL: 3, Kind.TAG: 4}


_set: Final = object.__setattr__


class Exports(Unique, Mapping[str, Any]):
    """The exports of an instance: attributes and a mapping by name, in the module's order.

    Functions are callables, memories, tables, globals and tags objects. A name that is not a Python identifier, or that
    a mapping's method has (`get`, `keys`, ...), is reached as `exports["name"]`.
    """

    __slots__ = ("__weakref__", "_entries", "_found", "_instance")

    _instance: Instance
    _entries: dict[str, Export]
    _found: dict[str, Any]

    def __init__(self, instance: Instance) -> None:
        _set(self, "_instance", instance)
        _set(self, "_entries", instance.module.export_entries)
        _set(self, "_found", {})

    def __getitem__(self, name: str) -> Any:
        found = self._found.get(name)
        if found is None:
            self._instance.check_open()
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

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"cannot set export {name!r}: exports are the module's. A global has a `value` that can be set, memories and "
            "tables have items"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cannot delete export {name!r}: exports are the module's")

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self._entries if name.isidentifier())]

    def __repr__(self) -> str:
        return f"<exports {list(self._entries)}>"


class Instance(Unique):
    """An instance of a module; made by `Runtime.instantiate`, `clone`, or from a `Snapshot`.

    Index spaces are complete lists (imports first). `function(i)` gives the function reference of index `i`, always the
    same object. `elements` and `data` are the segments that instructions may still use; dropped ones are empty. `limits`
    are what it was made with, `meter` is its fuel.
    """

    def __init__(
        self,
        runtime: Runtime,
        module: Module,
        name: str,
        imported: Imported,
        limits: Limits,
        snapshot: Snapshot | None = None,
    ) -> None:
        self.runtime = runtime
        self.module = module
        self.name = name
        self.closed = False
        self.limits = limits
        self._timeout = limits.timeout
        self.meter: Fuel | None = runtime.engine.new_fuel(limits.fuel) if limits.fuel is not None else None
        functions = imported.functions
        self.tables: list[Table] = imported.tables
        self.memories: list[Memory] = imported.memories
        self.globals: list[Global] = imported.globals
        self.tags: list[Tag] = imported.tags
        self._functions: dict[int, Function] = dict(enumerate(functions))
        self._exports: Exports | None = None
        self.elements: list[list[Any]] = []
        self.data: list[bytes] = []
        self.code: Code = runtime.engine.new_code(self)
        if snapshot is None:
            self._define()
        else:
            snapshot.restore(self)

    @property
    def exports(self) -> Exports:
        """What it offers, by name."""
        found = self._exports
        if found is None:
            found = self._exports = Exports(self)
        return found

    @property
    def fuel(self) -> int | None:
        """How much the instance may still compute, None if that is not counted. What is set is what is left then."""
        return self.meter.left if self.meter is not None else None

    @fuel.setter
    def fuel(self, left: int) -> None:
        if self.meter is None:
            raise ValueError("the instance was made without fuel: give Limits(fuel=...) when it is instantiated")
        if left is None:
            raise TypeError("the fuel must be a number, found None: without any it cannot be counted")
        self.meter.left = Limits(fuel=left).fuel or 0

    @property
    def timeout(self) -> float | None:
        """The seconds that a call from Python may take, None for any."""
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._timeout = Limits(timeout=seconds).timeout
        self.code.refresh()

    def _define(self) -> None:
        """Allocate what the module defines."""
        module, engine = self.module, self.runtime.engine
        context, constants = module.context, module.constants
        self.define_tags()
        for memory in context.memories[context.imported_memories :]:
            self.define_memory(memory)
        if constants.globals:
            for type, evaluate in zip(context.globals[context.imported_globals :], constants.globals, strict=True):
                self.globals.append(engine.new_global(type, evaluate(self)))
        if constants.tables:
            for table, init in zip(context.tables[context.imported_tables :], constants.tables, strict=True):
                self.define_table(table, init(self) if init is not None else None)
        self.code.complete()
        if constants.elements:
            self.elements = [evaluate(self) if evaluate is not None else [] for evaluate in constants.passive_elements]
        self.data = constants.passive_data.copy()

    def define_tags(self) -> None:
        """Make the tags that the module defines."""
        tags = self.module.context.tags
        if tags:
            self.tags += [Tag(defined) for defined in tags[len(self.tags) :]]

    def define_memory(self, type: MemoryType, image: Image | None = None) -> None:
        """Add a memory of the instance's own. LinkError if its limits do not allow it."""
        size = image.length if image is not None else type.limits.minimum << type.page_size_log2
        self._check_size("memory", size, "bytes", self.limits.memory)
        memory = self.runtime.engine.new_memory(type, image)
        memory.limit = self.limits.memory
        self.memories.append(memory)

    def define_table(self, type: TableType, init: Any, size: int = 0) -> None:
        """Add a table of the instance's own, with `size` elements if that is more than its type says. LinkError."""
        least = type.limits.minimum
        self._check_size("table", max(least, size), "elements", self.limits.table)
        table = self.runtime.engine.new_table(type, init)
        table.limit = self.limits.table
        if size > least and table.extend(size - least, init) < 0:
            raise MemoryError(f"a table of {size} elements is too large: the maximum is {table.maximum}")
        self.tables.append(table)

    def _check_size(self, what: str, size: int, unit: str, most: int | None) -> None:
        if most is not None and size > most:
            raise LinkError(f"module {self.module.name!r} needs a {what} of {size} {unit}; the limit is {most}")

    def initialize(self) -> None:
        """Copy active segments and call the start function, as the last steps of instantiation. Trap."""
        constants = self.module.constants
        for table, at, elements, evaluate in constants.active_elements:
            if elements is not None:
                self.code.place(self.tables[table], at(self), elements)
            else:
                self.tables[table].write(at(self), evaluate(self))
        for memory, at, data in constants.active_data:
            self.memories[memory].initialize(at(self), data)
        start = self.module.syntax.start
        if start is not None:
            self.function(start)()

    def snapshot(self) -> Snapshot:
        """The state of the instance now, from which others like it can be made. SnapshotError if it cannot be had."""
        from wasmine.runtime.snapshot import Snapshot

        return Snapshot.of(self)

    def clone(
        self, imports: Mapping[str, Any] | None = None, name: str | None = None, *, limits: Limits | None = None
    ) -> Instance:
        """Another instance of the same module with the same state: `snapshot().clone(...)`.

        Who needs more than one takes the snapshot once: that copies the memory, which the clones then share.
        """
        return self.snapshot().clone(imports, name, limits=limits)

    def abandon(self) -> None:
        """The instance is closed and nobody can run it any more: let go of what it has."""
        self.memories, self.tables, self.globals = [], [], []
        self._exports = None

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
            raise WasmineError(f"{self._subject()} is closed")

    def _subject(self) -> str:
        name = self.name or self.module.name
        return f"instance {name!r}" if name else "the instance"

    def in_use(self) -> WasmineError:
        """What a thread gets that enters the instance while another one runs it, or when it was closed meanwhile."""
        subject = self._subject()
        if self.closed:
            return WasmineError(f"{subject} is closed")
        return WasmineError(
            f"{subject} is in use by another thread: an instance, and every other one that it calls, is used by one thread "
            "at a time; make an instance for each thread, or use a lock"
        )

    def close(self) -> None:
        """Close the instance: its name is free again, and Python can neither call its functions nor ask for its exports.

        What other instances imported from it, or hold in tables, goes on working for them. Its memory is given back at
        once if there is no such thing, and otherwise when nothing can reach it any more.
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
