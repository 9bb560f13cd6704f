"""`Runtime`: where instances live, find each other by name, and share one engine."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from weakref import ref

from wasmine.errors import LinkError, UnsupportedFeature, WasmineError
from wasmine.format.types import FUNCREF, I32, I64, FuncType, GlobalType, MemoryType, TableType, func_type
from wasmine.format.types import Limits as Range
from wasmine.runtime import linking
from wasmine.runtime.cache import Cache
from wasmine.runtime.gil import enabled as gil_enabled
from wasmine.runtime.host import declared_type, fit
from wasmine.runtime.instance import Imported, Instance
from wasmine.runtime.limits import Limits
from wasmine.runtime.module import Module
from wasmine.runtime.tag import Tag
from wasmine.runtime.unique import Unique
from wasmine.runtime.values import to_internal

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from wasmine.format.features import Features
    from wasmine.format.types import RefType, ValueType
    from wasmine.runtime.engine import Engine
    from wasmine.runtime.function import Function
    from wasmine.runtime.globals import Global
    from wasmine.runtime.memory import Memory
    from wasmine.runtime.module import Source
    from wasmine.runtime.snapshot import Snapshot
    from wasmine.runtime.table import Table
    from wasmine.validation.module import Progress

EngineName: TypeAlias = Literal["auto", "compiler", "interpreter"]
ENGINES: tuple[str, ...] = ("auto", "compiler", "interpreter")
Bounds: TypeAlias = Literal["auto", "guard", "checked"]
BOUNDS: tuple[str, ...] = ("auto", "guard", "checked")
Gil: TypeAlias = Literal["auto", "lazy", "release"]
GILS: tuple[str, ...] = ("auto", "lazy", "release")

_MANY = 64
"""With so many instances noted, those that are gone are forgotten."""

AUTO_COMPILES = True
"""Whether "auto" takes the compiler where it can be used."""


class Runtime(Unique):
    """A place for instances that can share functions, memories, tables, globals and tags.

    `engine` chooses how code runs: "compiler" makes machine code, where the machine allows it (UnsupportedFeature
    otherwise), "interpreter" works everywhere, "auto" takes the better one that can run the first module. `bounds` says how
    the compiler checks accesses to memory: "guard" by protected pages, "checked" by comparing, "auto" as is possible.
    `gil` says when machine code lets other Python threads run: "lazy" if a call takes more than a few milliseconds,
    "release" in every call, which then takes longer, "auto" lazily, but always where Python has no such lock (the
    interpreter's code is Python's).
    `features` are what modules given as source may use (a `Module` brings its own). `limits` are those of every instance
    that is given no others. `cache`, a directory or a `Cache`, keeps compiled code from one process to the next. Use it
    as a context manager, or call `close()`.
    """

    def __init__(
        self,
        engine: EngineName = "auto",
        *,
        features: Features | None = None,
        bounds: Bounds = "auto",
        gil: Gil = "auto",
        limits: Limits | None = None,
        cache: Cache | str | os.PathLike[str] | None = None,
    ) -> None:
        if engine not in ENGINES:
            raise ValueError(f"unknown engine {engine!r}: expected one of {', '.join(ENGINES)}")
        if bounds not in BOUNDS:
            raise ValueError(f"unknown bounds {bounds!r}: expected one of {', '.join(BOUNDS)}")
        if gil not in GILS:
            raise ValueError(f"unknown gil {gil!r}: expected one of {', '.join(GILS)}")
        self._bounds = bounds
        self._gil = gil
        self.features = features
        self.limits = limits or Limits()
        self.cache = Cache.of(cache)
        self.closed = False
        self.instances: dict[str, Instance] = {}
        self._open: dict[ref[Instance], None] = {}  # in order; some may be gone
        self._many = _MANY
        self._lock = threading.Lock()
        self._counting = threading.RLock()
        self._coming = 0  # how many instances are being made, if they are counted
        self._engine_name = engine
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine; "auto" is settled when it is first needed."""
        if self._engine is None:
            self.settle(None)
            assert self._engine is not None
        return self._engine

    def settle(self, module: Module | None) -> None:
        """Choose the engine, for good, if that was not done yet.

        `module` is the first one, None where something else is needed before any. Who makes memories or tables for a module
        does this first, so that "auto" can take an engine that runs it.
        """
        with self._lock:
            if self._engine is None:
                engine = self._new_engine(module)
                engine.cache = self.cache
                self._engine = engine

    def _new_engine(self, module: Module | None) -> Engine:
        automatic = self._engine_name == "auto" and _compiler_fits(module)
        if self._engine_name == "compiler" or automatic:
            from wasmine.compiler.availability import unavailable

            problem = unavailable()
            if problem:  # before importing what may not even be importable here
                raise UnsupportedFeature("compiler", problem)
            from wasmine.compiler.engine import CompilerEngine

            # Without a lock, a thread that does not say it is away makes all others wait when objects are collected.
            release = not gil_enabled() if self._gil == "auto" else self._gil == "release"
            return CompilerEngine(self._bounds, release=release)
        from wasmine.interpreter.engine import InterpreterEngine

        return InterpreterEngine()

    def instantiate(
        self,
        source: Source | Snapshot,
        imports: Mapping[str, Any] | None = None,
        name: str | None = None,
        *,
        limits: Limits | None = None,
    ) -> Instance:
        """Instantiate a module: link, allocate, copy active segments, run the start function.

        `source` is a `Module`, what `Module` takes, or a `Snapshot`, whose instances begin with its state: then segments
        are not copied and the start function is not run. `imports` maps module names to mappings (or instances) of
        functions, Python callables, memories, tables, globals, tags, or plain numbers for immutable globals; what it does
        not give is looked up among the instances registered by `name`. What `limits` leave open is as in the runtime's.
        LinkError, Trap, and what `Module` and the start function raise.
        """
        if isinstance(source, Module):
            module, snapshot = source, None
        else:
            module, snapshot = self._source(source)
        merged = self.limits if limits is None else Limits.merged(limits, self.limits)
        return self.instantiate_with(module, snapshot, imports, name, merged)

    def _source(self, source: Source | Snapshot) -> tuple[Module, Snapshot | None]:
        from wasmine.runtime.snapshot import Snapshot

        if isinstance(source, Snapshot):
            return source.module, source
        self._check_open()
        return Module(source, features=self.features, cache=self.cache), None

    def instantiate_with(
        self,
        module: Module,
        snapshot: Snapshot | None,
        imports: Mapping[str, Any] | Imported | None,
        name: str | None,
        limits: Limits,
    ) -> Instance:
        """`instantiate` with nothing left open: `imports` may be resolved already, and `limits` are not merged any more."""
        if self.closed:
            self._check_open()
        if self._engine is None:
            self.settle(module)
        if name is not None and name in self.instances:
            raise _taken(name)
        if self.limits.instances is not None:
            self._take_place(self.limits.instances)
        try:
            if not isinstance(imports, Imported):
                imports = linking.resolve(self, module, imports or {})
            instance = Instance(self, module, name or "", imports, limits, snapshot)
            if snapshot is None:
                instance.initialize()
            self._open[ref(instance)] = None
        finally:
            if self.limits.instances is not None:
                self._give_place()
        if len(self._open) > self._many:
            self._forget_dropped()
        if name is not None and self.instances.setdefault(name, instance) is not instance:  # another thread was faster
            instance.close()
            raise _taken(name)
        return instance

    def _take_place(self, most: int) -> None:
        """Have room for one more instance. LinkError if there are so many; those that nobody holds do not count."""
        if self._is_room(most):
            return
        self._forget_dropped()
        if self._is_room(most):
            return
        gc.collect()
        self._forget_dropped()
        if not self._is_room(most):
            raise LinkError(
                f"the runtime has {len(self._open)} instances, as many as its limits allow: close one first"
            )

    def _is_room(self, most: int) -> bool:
        """Whether one more may be made: then it counts already."""
        with self._counting:
            # First it counts, then it is looked: a finalizer that runs here may make another one.
            self._coming += 1
            if len(self._open) + self._coming <= most:
                return True
            self._coming -= 1
            return False

    def _give_place(self) -> None:
        """What was to be made is among the others, or will never be."""
        with self._counting:
            self._coming -= 1

    def _forget_dropped(self) -> None:
        for reference in list(self._open):
            if reference() is None:
                self._open.pop(reference, None)
        self._many = 2 * len(self._open) + _MANY

    def compile(self, source: Source, *, progress: Progress | None = None) -> Module:
        """The module with the code of all its functions made now, and not each when it is first called.

        A cache then has all of it, for every later process. `progress` is called with the number of functions that are
        done, and of all. What `Module` raises; UnsupportedFeature if the engine cannot run it.
        """
        self._check_open()
        module = source if isinstance(source, Module) else Module(source, features=self.features, cache=self.cache)
        if self._engine is None:
            self.settle(module)
        first, functions = module.context.imported_functions, len(module.context.functions)
        for index in range(first, functions):
            if progress is not None:
                progress(index - first, functions - first)
            self.engine.prepare(module, index, metered=self.limits.fuel is not None)
        return module

    def register(self, name: str, instance: Instance) -> None:
        """Let other modules import from `instance` under `name`, in addition to names it has; replaces an older one."""
        if instance.runtime is not self:
            raise ValueError("the instance belongs to another runtime")
        self.instances[name] = instance

    def __getitem__(self, name: str) -> Instance:
        return self.instances[name]

    def memory(
        self, minimum: int, maximum: int | None = None, *, shared: bool = False, address: ValueType = I32
    ) -> Memory:
        """A new memory to import, in pages of 64 KiB. `address` I64 makes a 64-bit memory."""
        if shared and maximum is None:
            raise ValueError("a shared memory needs a maximum")
        limits = _limits(minimum, maximum, 1 << (48 if address is I64 else 16))
        return self.engine.new_memory(MemoryType(limits, shared, I64 if address is I64 else I32))

    def table(
        self,
        minimum: int,
        maximum: int | None = None,
        *,
        element: RefType = FUNCREF,
        init: Any = None,
        address: ValueType = I32,
    ) -> Table:
        """A new table to import. `init` is the Python value of its elements."""
        limits = _limits(minimum, maximum, 1 << 32)
        type = TableType(element, limits, I64 if address is I64 else I32)
        return self.engine.new_table(type, to_internal(element, init))

    def global_(self, type: ValueType, value: Any, *, mutable: bool = False) -> Global:
        """A new global variable to import."""
        return self.engine.new_global(GlobalType(type, mutable), to_internal(type, value))

    def tag(self, params: Sequence[ValueType] = ()) -> Tag:
        """A new exception tag to import; `params` are the types of the values that its exceptions carry."""
        return Tag(func_type(params))

    def function(
        self, function: Callable[..., Any], type: FuncType | None = None, *, name: str | None = None
    ) -> Function:
        """A host function as a function reference, for tables and imports; `type` is needed where annotations lack.

        The type must be over closed value types (numbers, funcref, externref, ...).
        """
        defined = declared_type(function) if type is None else func_type(type.params, type.results)
        label = name or str(getattr(function, "__name__", "host function"))
        composite = defined.composite
        assert isinstance(composite, FuncType)
        return self.engine.new_host_function(defined, fit(function, composite, label))

    def forget(self, instance: Instance) -> None:
        """Take a closed instance out of the registries."""
        self._open.pop(ref(instance), None)
        for name in list(self.instances):
            if self.instances.get(name) is instance:
                self.instances.pop(name, None)

    def _check_open(self) -> None:
        if self.closed:
            raise WasmineError("the runtime is closed")

    def close(self) -> None:
        """Close every instance, the newest first, and the engine."""
        if self.closed:
            return
        self.closed = True
        for reference in reversed(list(self._open)):
            instance = reference()
            if instance is not None:
                instance.close()
        if self._engine is not None:
            self._engine.close()
        if self.cache is not None:
            self.cache.save()

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        engine = self._engine.name if self._engine is not None else self._engine_name
        self._forget_dropped()
        return f"<runtime {engine}, {len(self._open)} instances{', closed' if self.closed else ''}>"


def _taken(name: str) -> ValueError:
    return ValueError(f"an instance named {name!r} exists already: close it first, or choose another name")


def _compiler_fits(module: Module | None) -> bool:
    """Whether "auto" is the compiler: it can be used here, and for this module."""
    from wasmine.compiler.availability import unavailable

    if not AUTO_COMPILES or unavailable():
        return False
    from wasmine.compiler.engine import CompilerEngine

    return module is None or not CompilerEngine.missing_features(module)


def _limits(minimum: int, maximum: int | None, ceiling: int) -> Range:
    for name, value in (("minimum", minimum), ("maximum", maximum)):
        if not hasattr(value, "__index__") and (value is not None or name == "minimum"):
            raise TypeError(f"the {name} must be an int, found {value!r}; types are given by keyword")
    if not 0 <= minimum <= ceiling:
        raise ValueError(f"the minimum must be 0 to {ceiling}, found {minimum}")
    if maximum is not None and not minimum <= maximum <= ceiling:
        raise ValueError(f"the maximum must be {minimum} to {ceiling}, found {maximum}")
    return Range(minimum, maximum)
