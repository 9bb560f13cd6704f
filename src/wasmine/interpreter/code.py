"""The code of modules and instances: functions are lowered and compiled on their first call.

A `ModuleCode` belongs to a module and keeps the code objects, which all instances of the module share. An `InstanceCode`
is the namespace of one instance: the global names of its generated code. Functions call each other by name, as `f12`; the
name is first bound to a stub that lowers the function, rebinds the name and calls.
"""

from __future__ import annotations

import itertools
import linecache
import marshal
import re
import sys
import weakref
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final

from wasmine.errors import Frame
from wasmine.format.types import Heap, RefType
from wasmine.interpreter.entry import enter, held
from wasmine.interpreter.function import InterpreterFunction
from wasmine.interpreter.heap import predicate
from wasmine.interpreter.lowering import Lowering
from wasmine.interpreter.metering import MeteredLowering
from wasmine.interpreter.namespace import HELPERS
from wasmine.interpreter.storage import InterpreterMemory
from wasmine.interpreter.tail import trampoline
from wasmine.record import record
from wasmine.runtime.bits import f64_from_bits
from wasmine.runtime.function import Function
from wasmine.runtime.gil import FREE_THREADED
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from wasmine.format.types import DefinedType
    from wasmine.runtime.cache import Stored
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.module import Module
    from wasmine.runtime.table import Functions, Table

_SERIALS: Final = itertools.count(1)
# CPython 3.13 without a GIL never frees functions once there were two threads, and with them the instance; but for those
# whose code says that it is nested in another function (inspect.CO_NESTED), which means nothing else.
_MORTAL: Final = 0x10 if FREE_THREADED and sys.version_info < (3, 14) else 0
_NOTE: Final = re.compile(r"  # 0x([0-9a-f]+)$")


@record
class CompiledFunction:
    """A code object, the names that it needs in its namespace, and whether it may return a `Tail`."""

    code: CodeType
    needs: dict[str, tuple[str, Any]]
    tail: bool


class ModuleCode:
    """The compiled functions of a module. `stored`, if there is one, has those of other processes, and keeps ours."""

    def __init__(self, module: Module, *, metered: bool = False) -> None:
        # No reference to the module: it holds this object.
        self.context = module.context
        self.module_name = module.name
        self.metered = metered
        self.stored: Stored | None = None
        self._module = weakref.ref(module)
        self._lowering = MeteredLowering(self.context) if metered else Lowering(self.context)
        self._compiled: dict[int, CompiledFunction] = {}
        self._indices: dict[str, int] = {}  # by file name
        self._offsets: dict[int, list[int | None]] = {}
        self._prefix = f"{module.name or 'module'}.wasm#{next(_SERIALS)}"
        weakref.finalize(self, _forget_sources, self._indices)

    def compiled(self, index: int) -> CompiledFunction:
        """The compiled function of this index."""
        found = self._compiled.get(index)
        if found is None:
            with lock:
                found = self._compiled.get(index)
                if found is None:
                    found = self._compiled[index] = self._compile(index)
        return found

    def _compile(self, index: int) -> CompiledFunction:
        piece = self.stored.get(index) if self.stored is not None else None
        if piece is not None:
            code, needs, tail = marshal.loads(piece)
        else:
            lowered = self._lowering.lower(index)
            module = compile(lowered.source, "", "exec")
            code = next(each for each in module.co_consts if isinstance(each, CodeType))
            needs, tail = lowered.needs, lowered.tail
            if self.stored is not None:
                self.stored.put(index, marshal.dumps((code, needs, tail)))
        return CompiledFunction(self._named(code, index), needs, tail)

    def _named(self, code: CodeType, index: int) -> CodeType:
        """The code with the names that tracebacks show; it has no code inside that would need them, too."""
        name = "".join(c if c.isprintable() else "?" for c in self.function_name(index)[:200])
        file = f"{self._prefix}:{index}"
        self._indices[file] = index
        reference = weakref.ref(self)
        # Tracebacks, pdb and profilers ask for the lines; few functions are ever asked for.
        linecache.cache[file] = (lambda: _source(reference, index),)
        return code.replace(co_name=name, co_qualname=name, co_filename=file, co_flags=code.co_flags | _MORTAL)

    def source(self, index: int) -> str:
        """The generated source, with offsets in comments."""
        with lock:
            return self._lowering.lower(index, annotated=True).source

    def function_name(self, index: int) -> str:
        """The function's name for people."""
        module = self._module()
        return module.function_name(index) if module is not None else f"func[{index}]"

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
        offset = next((offset for offset in offsets[line - 1 :] if offset is not None), None)
        module = self._module()
        return offset if offset is None or module is None else module.binary_offset(index, offset)


def _source(reference: weakref.ref[ModuleCode], index: int) -> str | None:
    code = reference()
    return code.source(index) if code is not None else None


def _forget_sources(files: dict[str, int]) -> None:
    for file in files:
        linecache.cache.pop(file, None)


class _Entry:
    """A defined function of an instance: what ordinary calls and what tail calls go to.

    Before it is lowered both are stubs, and `waiting` are the names that were bound to them: the instance in whose
    namespace, the name, and whether it stands in tail calls.
    """

    __slots__ = ("code", "lowered", "tail", "waiting")

    def __init__(self, code: Callable[..., Any], tail: Callable[..., Any]) -> None:
        self.code = code
        self.tail = tail
        self.lowered = False
        self.waiting: list[tuple[weakref.ref[InstanceCode], str, bool]] = []


# The slots, which the properties of `_Unlowered` hide.
_CODE: Final[Any] = vars(InterpreterFunction)["code"]
_TAIL: Final[Any] = vars(InterpreterFunction)["tail"]


class _Unlowered(InterpreterFunction):
    """A function reference that lowers its function when asked for the code, and then is an `InterpreterFunction`.

    Tables hold hundreds of thousands of functions that are never called: until then a reference is all there is of them.
    """

    __slots__ = ()

    def __init__(self, defined: DefinedType, instance: Instance, index: int) -> None:
        Function.__init__(self, defined, None, instance, index)

    @property
    def code(self) -> Callable[..., Any]:  # type: ignore[override]
        """What generated code calls."""
        return self._lower().code

    @property
    def tail(self) -> Callable[..., Any]:  # type: ignore[override]
        """What a tail call goes on with."""
        return self._lower().tail

    def _lower(self) -> _Entry:
        instance = self.instance
        assert instance is not None
        assert isinstance(instance.code, InstanceCode)
        entry = instance.code.lowered(self.index)
        # The slots first: another thread may ask in between.
        _CODE.__set__(self, entry.code)
        _TAIL.__set__(self, entry.tail)
        self.__class__ = InterpreterFunction  # type: ignore[assignment]
        return entry

    def invoke(self, *args: Any) -> Any:
        """Call with internal values; what lowering needs of the stack is the guest's, too."""
        assert self.instance is not None
        assert isinstance(self.instance.code, InstanceCode)
        return enter(self.instance.code, lambda *arguments: self.code(*arguments), args)


_Unlowered.__name__ = InterpreterFunction.__name__  # type: ignore[method-assign]  # to people there is no difference


class InstanceCode:
    """The namespace of an instance and the functions in it.

    `user` has the identifier of the thread that has entered it, and `entries` says how often: see `entry`.
    """

    def __init__(self, instance: Instance, module: ModuleCode) -> None:
        self.instance = instance
        self.module = module
        self._entries: dict[int, _Entry] = {}
        self.user: dict[str, int] = {}
        self.entries = 0
        self.namespace: dict[str, Any] = {
            **HELPERS,
            "__name__": f"wasm.{module.module_name or 'module'}",
            "__wasm__": self,
        }

    def function(self, index: int) -> InterpreterFunction:
        """The function reference of a defined function."""
        function = _Unlowered(self.module.context.functions[index], self.instance, index)
        function.owner = self.instance.runtime.engine
        return function

    def frame_of(self, traceback: TracebackType) -> Frame:
        """The function whose generated code runs in the frame of this entry of a traceback, and where."""
        python = traceback.tb_frame.f_code
        index = self.module.index_of(python.co_filename)
        name = self.instance.name or self.module.module_name
        if index is None:
            return Frame(name, python.co_name, -1)
        return Frame(name, python.co_name, index, self.module.offset(index, traceback.tb_lineno))

    def complete(self) -> None:
        """Names are bound when a function that needs them is lowered: nothing to do before."""

    def place(self, table: Table, at: int, functions: Functions) -> None:
        """Copy functions of the instance into a table. Trap."""
        find = self.instance.function
        table.write(at, [find(item) if isinstance(item, int) else item for item in functions.items])

    def placed(self, table: Table) -> list[int | Function | None]:
        """The elements of a table of functions."""
        imported = range(self.module.context.imported_functions)
        imports = {id(self.instance.function(index)): index for index in imported}
        found: list[int | Function | None] = []
        for index in range(len(table)):
            function: Function | None = table.get(index)
            if function is None or function.instance is not self.instance:
                found.append(imports.get(id(function), function))
            else:
                found.append(function.index)
        return found

    def held(self) -> AbstractContextManager[None]:
        """Meanwhile no other thread runs the instance. WasmineError if one does."""
        return held(self)

    def refresh(self) -> None:
        """The time limit is looked up in every call."""

    def close(self) -> None:
        """Nothing to give back: what others hold goes on working."""

    def _entry(self, index: int) -> _Entry:
        found = self._entries.get(index)
        if found is None:

            def lower_and_call(*arguments: Any) -> Any:
                return self.lowered(index).code(*arguments)

            def lower_and_go_on(*arguments: Any) -> Any:
                return self.lowered(index).tail(*arguments)

            found = self._entries[index] = _Entry(lower_and_call, lower_and_go_on)
        return found

    def lowered(self, index: int) -> _Entry:
        """The entry of a function that is lowered now; every name that was bound to a stub is rebound."""
        compiled = self.module.compiled(index)
        with lock:
            entry = self._entry(index)
            if entry.lowered:
                return entry
            for name, (kind, what) in compiled.needs.items():
                if name not in self.namespace:
                    _BINDERS[kind](self, name, what)
            function = FunctionType(compiled.code, self.namespace)
            entry.tail = function
            entry.code = trampoline(function) if compiled.tail else function
            entry.lowered = True
            for reference, name, tail in entry.waiting:
                user = reference()
                if user is not None:
                    user.namespace[name] = entry.tail if tail else entry.code
            entry.waiting.clear()
            return entry

    def bind(self, user: InstanceCode, name: str, index: int, tail: bool) -> None:
        """Bind a name in the namespace of `user` to a defined function of this instance; again when it is lowered."""
        with lock:
            entry = self._entry(index)
            user.namespace[name] = entry.tail if tail else entry.code
            if not entry.lowered:
                entry.waiting.append((weakref.ref(user), name, tail))


def _bind_function(code: InstanceCode, name: str, index: int, tail: bool = False) -> None:
    if index >= code.module.context.imported_functions:
        code.bind(code, name, index, tail)
        return
    function = code.instance.function(index)
    assert isinstance(function, InterpreterFunction)
    if function.instance is None:
        code.namespace[name] = function.tail if tail else function.code
    else:
        provider = function.instance.code
        assert isinstance(provider, InstanceCode)
        provider.bind(code, name, function.index, tail)


def _bind_tail(code: InstanceCode, name: str, index: int) -> None:
    _bind_function(code, name, index, tail=True)


def _bind_memory(code: InstanceCode, name: str, index: int) -> None:
    memory = code.instance.memories[index]
    assert isinstance(memory, InterpreterMemory)
    memory.attach(code, name)


def _predicate(code: InstanceCode, target: tuple[str, int, bool]) -> Any:
    kind, number, nullable = target
    return predicate(RefType(nullable, code.module.context.types[number] if kind == "type" else Heap(number)))


def _vector(code: InstanceCode, what: tuple[Any, ...]) -> Any:
    from wasmine.interpreter import simd

    return simd.function(*what)


def _vector_name(code: InstanceCode, name: str) -> Any:
    from wasmine.interpreter import simd

    return simd.NAMES[name]


def _atomic(code: InstanceCode, name: str) -> Any:
    from wasmine.runtime.atomics import ATOMICS

    return ATOMICS[name]


def _wide(code: InstanceCode, name: str) -> Any:
    from wasmine.interpreter.wide import WIDE

    return WIDE[name]


def _value(find: Callable[[InstanceCode, Any], Any]) -> Callable[[InstanceCode, str, Any], None]:
    def bind(code: InstanceCode, name: str, what: Any) -> None:
        code.namespace[name] = find(code, what)

    return bind


_BINDERS: Final[dict[str, Callable[[InstanceCode, str, Any], None]]] = {
    "function": _bind_function,
    "tail": _bind_tail,
    "memory": _bind_memory,
    "memory object": _value(lambda code, index: code.instance.memories[index]),
    "monitor": _value(lambda code, index: code.instance.memories[index].monitor),
    "table": _value(lambda code, index: code.instance.tables[index].elements),
    "table object": _value(lambda code, index: code.instance.tables[index]),
    "global": _value(lambda code, index: code.instance.globals[index]),
    "type": _value(lambda code, index: code.module.context.types[index]),
    "tag": _value(lambda code, index: code.instance.tags[index]),
    "data": _value(lambda code, index: code.instance.data),
    "elements": _value(lambda code, index: code.instance.elements),
    "reference": _value(lambda code, index: code.instance.function(index)),
    "predicate": _value(_predicate),
    "fuel": _value(lambda code, _: code.instance.meter),
    "float": _value(lambda code, bits: f64_from_bits(bits)),
    "vector": _value(_vector),
    "vector name": _value(_vector_name),
    "atomic": _value(_atomic),
    "wide": _value(_wide),
}
