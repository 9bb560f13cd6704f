"""`Snapshot`: the state of an instance at one moment, from which any number of instances can be made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from wasmine.errors import LinkError, SnapshotError
from wasmine.format.types import Kind, is_function_type
from wasmine.runtime import linking
from wasmine.runtime.function import Function
from wasmine.runtime.image import Image
from wasmine.runtime.instance import Imported
from wasmine.runtime.limits import Limits
from wasmine.runtime.module import import_kind
from wasmine.runtime.reference import Array, ExceptionPackage, Struct
from wasmine.runtime.table import Functions
from wasmine.runtime.tag import Tag

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from wasmine.runtime.instance import Instance
    from wasmine.runtime.module import Module
    from wasmine.runtime.runtime import Runtime


class Snapshot:
    """What an instance of `module` had in it: made by `Instance.snapshot()`, or read from a file by `Snapshot.load`.

    That is the memories, tables, globals and segments that the instance defined. What it imported is not copied: a clone
    has the same imports, or others that it is given. References to functions of the instance become references to the
    clone's own; objects of the host are shared. A snapshot never changes, and can be used by any thread.

    `memories` are images, `tables` and `globals` their contents, `dropped_elements` and `dropped_data` say which
    segments instructions can use no more. `limits` are those of the instance, None after `load`.
    """

    def __init__(
        self,
        module: Module,
        memories: list[Image],
        tables: list[Functions | list[Any]],
        globals: list[Any],
        dropped_elements: list[bool],
        dropped_data: list[bool],
    ) -> None:
        self.module = module
        self.memories = memories
        self.tables = tables
        self.globals = globals
        self.dropped_elements = dropped_elements
        self.dropped_data = dropped_data
        self._data = [
            b"" if dropped else segment.data for dropped, segment in zip(dropped_data, module.syntax.data, strict=True)
        ]
        self.limits: Limits | None = None
        self._runtime: Runtime | None = None
        self._imported: Imported | None = None
        functions = [item for table in tables if isinstance(table, Functions) for item in table.items]
        self._foreign = any(isinstance(value, Function) for value in [*functions, *globals])

    @classmethod
    def of(cls, instance: Instance) -> Snapshot:
        """The state of an instance. SnapshotError if it cannot be had, WasmineError if the instance is closed or busy."""
        instance.check_open()
        with instance.code.held():
            return cls._taken(instance)

    @classmethod
    def _taken(cls, instance: Instance) -> Snapshot:
        module = instance.module
        context = module.context
        for index in range(context.imported_memories, len(context.memories)):
            if context.memories[index].shared:
                raise SnapshotError(f"memory {index} is shared with other threads, which may be changing it")
        freeze = _Copy(_freezer(instance))
        found = cls(
            module,
            [Image.of(memory.view()) for memory in instance.memories[context.imported_memories :]],
            [
                Functions(instance.code.placed(table))
                if is_function_type(table.type.element)
                else [freeze(table.get(index)) for index in range(len(table))]
                for table in instance.tables[context.imported_tables :]
            ],
            [freeze(variable.get()) for variable in instance.globals[context.imported_globals :]],
            [not elements for elements in instance.elements],
            [not data for data in instance.data],
        )
        found.limits = instance.limits
        found._runtime = instance.runtime
        found._imported = Imported(
            [instance.function(index) for index in range(context.imported_functions)],
            instance.tables[: context.imported_tables],
            instance.memories[: context.imported_memories],
            instance.globals[: context.imported_globals],
            instance.tags[: context.imported_tags],
        )
        return found

    def clone(
        self, imports: Mapping[str, Any] | None = None, name: str | None = None, *, limits: Limits | None = None
    ) -> Instance:
        """A new instance with this state, in the runtime of the one that it was taken of.

        What `imports` does not give is shared with that instance, and what `limits` leave open is as it was there; fuel
        is counted afresh. What `Runtime.instantiate` raises; SnapshotError if the snapshot was loaded from a file: then
        `runtime.instantiate(snapshot, imports)` is the way.
        """
        runtime, imported = self._runtime, self._imported
        if runtime is None or imported is None:
            raise SnapshotError(
                "the snapshot was loaded from a file and has no imports: use runtime.instantiate(snapshot)"
            )
        least = self.limits or Limits()
        merged = least if limits is None else Limits.merged(limits, least)
        if imports is None:
            shared = Imported(*[members.copy() for members in imported])
            return runtime.instantiate_with(self.module, self, shared, name, merged)
        return runtime.instantiate_with(self.module, self, self._with_imports(imported, imports), name, merged)

    def _with_imports(self, imported: Imported, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What is given, and for the rest what the instance had."""
        found: dict[str, dict[str, Any]] = {}
        counters = dict.fromkeys(Kind, 0)
        for entry in self.module.syntax.imports:
            kind = import_kind(entry.type)
            value = imported.space(kind)[counters[kind]]
            counters[kind] += 1
            if entry.module in given:
                value = linking.members(given[entry.module], entry.module).get(entry.name, value)
            found.setdefault(entry.module, {})[entry.name] = value
        return found

    def restore(self, instance: Instance) -> None:
        """Give a new instance, which has its imports only, this state."""
        context, constants, engine = self.module.context, self.module.constants, instance.runtime.engine
        if self._foreign and (self._runtime is None or engine is not self._runtime.engine):
            raise LinkError(
                "the snapshot has references to functions of other instances: it can be used in their runtime"
            )
        instance.define_tags()
        for memory, image in zip(context.memories[context.imported_memories :], self.memories, strict=True):
            instance.define_memory(memory, image)
        thaw = _Copy(_thawer(instance))
        for variable, value in zip(context.globals[context.imported_globals :], self.globals, strict=True):
            instance.globals.append(engine.new_global(variable, thaw(value)))
        for table, contents in zip(context.tables[context.imported_tables :], self.tables, strict=True):
            instance.define_table(table, None, len(contents))
        instance.code.complete()
        for own, contents in zip(instance.tables[context.imported_tables :], self.tables, strict=True):
            if isinstance(contents, Functions):
                instance.code.place(own, 0, contents)
            else:
                own.put(0, [thaw(value) for value in contents])
        instance.elements = [
            [] if dropped else constants.elements[index](instance)
            for index, dropped in enumerate(self.dropped_elements)
        ]
        instance.data = self._data.copy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the snapshot to a file, whole or not at all. SnapshotError if it has what cannot be written, OSError."""
        from wasmine.runtime.snapshot_file import save

        save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], module: Module) -> Snapshot:
        """The snapshot in a file, which was taken of an instance of this module.

        SnapshotError if it is something else or damaged, OSError. Nothing that a file says is believed unchecked.
        """
        from wasmine.runtime.snapshot_file import load

        return load(path, module)

    @staticmethod
    def own_function(index: int) -> Any:
        """What a snapshot has in a global for a function of the instance."""
        return _Member(Kind.FUNC, index)

    def __repr__(self) -> str:
        return f"<snapshot of {self.module.name or 'anonymous'}, {sum(image.length for image in self.memories)} bytes>"


class _Member(NamedTuple):
    """A function or tag of an instance, whichever it is."""

    kind: Kind
    index_in_module: int


def _freezer(instance: Instance) -> Callable[[Any], Any]:
    """The function that replaces what belongs to an instance by what it is in its module."""
    context = instance.module.context
    members = {id(instance.function(index)): index for index in range(context.imported_functions)}
    tags = {id(tag): index for index, tag in enumerate(instance.tags) if index >= context.imported_tags}

    def freeze(value: Any) -> Any:
        if isinstance(value, Function):
            index = value.index if value.instance is instance else members.get(id(value))
            return value if index is None else _Member(Kind.FUNC, index)
        if isinstance(value, Tag) and id(value) in tags:
            return _Member(Kind.TAG, tags[id(value)])
        return value

    return freeze


def _thawer(instance: Instance) -> Callable[[Any], Any]:
    """The function that does the opposite, for another instance of the module."""
    return lambda value: instance.member(value.kind, value.index_in_module) if isinstance(value, _Member) else value


class _Copy:
    """Copies values; what several of them have in common their copies have in common. `leaf` copies what is no object of
    the guest.
    """

    def __init__(self, leaf: Callable[[Any], Any]) -> None:
        self._leaf = leaf
        self._known: dict[int, tuple[Any, Any]] = {}  # by id: the original, so that it keeps its id, and the copy
        self._pending: list[tuple[Any, Any]] = []

    def __call__(self, value: Any) -> Any:
        found = self._shell(value)
        while self._pending:
            original, copy = self._pending.pop()
            if isinstance(original, Struct):
                copy.fields = [self._shell(field) for field in original.fields]
            elif isinstance(original, Array):
                copy.elements = [self._shell(element) for element in original.elements]
            else:
                copy.values = tuple(self._shell(each) for each in original.values)
        return found

    def _shell(self, value: Any) -> Any:
        """The copy of a value, to be filled later if it is an object."""
        if not isinstance(value, Struct | Array | ExceptionPackage):
            return self._leaf(value)
        if id(value) not in self._known:
            copy = (
                ExceptionPackage(self._leaf(value.tag), ())
                if isinstance(value, ExceptionPackage)
                else type(value)(value.type, [])
            )
            self._known[id(value)] = value, copy
            self._pending.append((value, copy))
        return self._known[id(value)][1]
