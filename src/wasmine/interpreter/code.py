"""The code of modules and instances: functions are lowered and compiled on their first call.

A `ModuleCode` belongs to a module and keeps the code objects, which all instances of the module share. An `InstanceCode`
is the namespace of one instance: the global names of its generated code. Functions call each other by name, as `f12`; the
name is first bound to a stub that lowers the function, rebinds the name and calls.
"""

from __future__ import annotations

import itertools
import linecache
import re
import threading
import weakref
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from wasmine.interpreter.bits import f64_from_bits
from wasmine.interpreter.function import InterpreterFunction
from wasmine.interpreter.lowering import Lowering
from wasmine.interpreter.namespace import HELPERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.runtime.function import Function
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.module import Module

_SERIALS: Final = itertools.count(1)
_NOTE: Final = re.compile(r"  # 0x([0-9a-f]+)$")


@dataclass(frozen=True, slots=True)
class CompiledFunction:
    """A code object, the names that it needs in its namespace, and whether it may return a `Tail`."""

    code: CodeType
    needs: dict[str, tuple[str, int]]
    tail: bool


class ModuleCode:
    """The compiled functions of a module."""

    def __init__(self, module: Module) -> None:
        # No reference to the module: it holds this object.
        self.context = module.context
        self.module_name = module.name
        self._function_name = weakref.WeakMethod(module.function_name)
        self._lock = threading.RLock()
        self._lowering = Lowering(self.context)
        self._compiled: dict[int, CompiledFunction] = {}
        self._indices: dict[str, int] = {}  # by file name
        self._offsets: dict[int, list[int | None]] = {}
        self._prefix = f"{module.name or 'module'}.wasm#{next(_SERIALS)}"
        weakref.finalize(self, _forget_sources, self._indices)

    def compiled(self, index: int) -> CompiledFunction:
        """The compiled function of this index."""
        found = self._compiled.get(index)
        if found is None:
            with self._lock:
                found = self._compiled.get(index)
                if found is None:
                    found = self._compiled[index] = self._compile(index)
        return found

    def _compile(self, index: int) -> CompiledFunction:
        lowered = self._lowering.lower(index)
        name = self.function_name(index)
        file = f"{self._prefix}:{name}" if name != f"func[{index}]" else f"{self._prefix}:{index}"
        if file in self._indices:
            file += f"[{index}]"
        code = next(c for c in compile(lowered.source, file, "exec").co_consts if isinstance(c, CodeType))
        self._indices[file] = index
        reference = weakref.ref(self)
        # Tracebacks, pdb and profilers ask for the lines; few functions are ever asked for.
        linecache.cache[file] = (lambda: _source(reference, index),)  # type: ignore[assignment]
        return CompiledFunction(code.replace(co_name=name, co_qualname=name), lowered.needs, lowered.tail)

    def source(self, index: int) -> str:
        """The generated source, with offsets in comments."""
        with self._lock:
            return self._lowering.lower(index, annotated=True).source

    def function_name(self, index: int) -> str:
        """The function's name for people."""
        find = self._function_name()
        return find(index) if find is not None else f"func[{index}]"

    def index_of(self, file: str) -> int | None:
        """The index of the function whose generated code has this file name."""
        return self._indices.get(file)

    def offset(self, index: int, line: int) -> int | None:
        """The offset in the binary of the instruction that a line (from 1) of generated code belongs to."""
        offsets = self._offsets.get(index)
        if offsets is None:
            notes = [_NOTE.search(text) for text in self.source(index).splitlines()]
            offsets = self._offsets[index] = [int(note[1], 16) if note else None for note in notes]
        # A line without a note belongs to the next one that has one: it prepares it.
        return next((offset for offset in offsets[line - 1 :] if offset is not None), None)


def _source(reference: weakref.ref[ModuleCode], index: int) -> str | None:
    code = reference()
    return code.source(index) if code is not None else None


def _forget_sources(files: dict[str, int]) -> None:
    for file in files:
        linecache.cache.pop(file, None)


class InstanceCode:
    """The namespace of an instance and the functions in it."""

    def __init__(self, instance: Instance, module: ModuleCode) -> None:
        self.instance = instance
        self.module = module
        self._lock = threading.RLock()
        self._callables: dict[int, Callable[..., Any]] = {}
        self._references: dict[int, InterpreterFunction] = {}
        # Names that are bound to a stub, in this namespace and in those of other instances.
        self._waiting: dict[int, list[tuple[dict[str, Any], str]]] = {}
        self.namespace: dict[str, Any] = {
            **HELPERS,
            "__name__": f"wasm.{module.module_name or 'module'}",
            "__wasm__": self,
        }

    def function(self, index: int) -> InterpreterFunction:
        """A function reference of a defined function."""
        found = self._references.get(index)
        if found is None:
            defined = self.module.context.functions[index]
            name = self.module.function_name(index)
            found = InterpreterFunction(defined, name, self.instance, index, self.callable(index))
            found.owner = self.instance.runtime.engine
            self._references[index] = found
        return found

    def close(self) -> None:
        """Nothing to give back: what others hold goes on working."""

    def callable(self, index: int) -> Callable[..., Any]:
        """What generated code calls for a defined function: the function, or a stub that lowers it."""
        found = self._callables.get(index)
        if found is None:
            found = self._callables.setdefault(index, self._stub(index))
        return found

    def _stub(self, index: int) -> Callable[..., Any]:
        def lower_and_call(*arguments: Any) -> Any:
            return self.lowered(index)(*arguments)

        return lower_and_call

    def lowered(self, index: int) -> Callable[..., Any]:
        """The lowered function; every name that was bound to its stub is rebound."""
        compiled = self.module.compiled(index)
        with self._lock:
            found = self._callables.get(index)
            if isinstance(found, FunctionType) and found.__globals__ is self.namespace:
                return found
            for name, (kind, number) in compiled.needs.items():
                if name not in self.namespace:
                    _BINDERS[kind](self, name, number)
            function = FunctionType(compiled.code, self.namespace)
            self._callables[index] = function
            if index in self._references:
                self._references[index].code = function
            for namespace, name in self._waiting.pop(index, ()):
                namespace[name] = function
            return function

    def bind_callable(self, namespace: dict[str, Any], name: str, index: int) -> None:
        """Bind a name in a namespace to a defined function of this instance, for good once it is lowered."""
        with self._lock:
            found = self.callable(index)
            namespace[name] = found
            if not isinstance(found, FunctionType) or found.__globals__ is not self.namespace:
                self._waiting.setdefault(index, []).append((namespace, name))


def _bind_function(code: InstanceCode, name: str, index: int) -> None:
    if index >= code.module.context.imported_functions:
        code.bind_callable(code.namespace, name, index)
        return
    bind_reference(code.namespace, name, code.instance.function(index))


def bind_reference(namespace: dict[str, Any], name: str, function: Function) -> None:
    """Bind a name in a namespace to what a function reference calls."""
    assert isinstance(function, InterpreterFunction)
    if function.instance is not None and isinstance(function.instance.code, InstanceCode):
        function.instance.code.bind_callable(namespace, name, function.index)
    else:
        namespace[name] = function.code


def _bind_memory(code: InstanceCode, name: str, index: int) -> None:
    code.instance.memories[index].attach(code, name)  # type: ignore[attr-defined]


def _bind(find: Callable[[InstanceCode, int], Any]) -> Callable[[InstanceCode, str, int], None]:
    def bind(code: InstanceCode, name: str, index: int) -> None:
        code.namespace[name] = find(code, index)

    return bind


_BINDERS: Final[dict[str, Callable[[InstanceCode, str, int], None]]] = {
    "function": _bind_function,
    "memory": _bind_memory,
    "memory object": _bind(lambda code, index: code.instance.memories[index]),
    "table": _bind(lambda code, index: code.instance.tables[index].elements),  # type: ignore[attr-defined]
    "table object": _bind(lambda code, index: code.instance.tables[index]),
    "global": _bind(lambda code, index: code.instance.globals[index]),
    "type": _bind(lambda code, index: code.module.context.types[index]),
    "tag": _bind(lambda code, index: code.instance.tags[index]),
    "data": _bind(lambda code, index: code.instance.data),
    "elements": _bind(lambda code, index: code.instance.elements),
    "reference": _bind(lambda code, index: code.instance.function(index)),
    "float": _bind(lambda code, bits: f64_from_bits(bits)),
}
