"""Function references of the compiler engine."""

from __future__ import annotations

import functools
from ctypes import c_ubyte, c_uint64
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, cast

from wasmine.compiler.hosts import hosts
from wasmine.compiler.machine import glue, layout
from wasmine.compiler.machine.layout import Call, Data, Record
from wasmine.compiler.machine.pytype import extend
from wasmine.compiler.references import display_address, type_number
from wasmine.errors import Trap, TrapKind
from wasmine.runtime.deadline import calls_host
from wasmine.runtime.function import Documentation, Function
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from wasmine.compiler.engine import CompilerEngine
    from wasmine.compiler.values import Convention
    from wasmine.format.types import DefinedType
    from wasmine.runtime.host import HostCallable
    from wasmine.runtime.instance import Instance


class NativeFunction(Function):
    """A function of machine code.

    `invoke` calls it through ctypes. Its subclass that `compiled_function` gives is called by machine code, and comes here
    for what is unusual.
    """

    __slots__ = ("_record",)

    owner: CompilerEngine

    def __init__(
        self,
        defined: DefinedType,
        name: str | None,
        instance: Instance,
        index: int,
        engine: CompilerEngine,
        record: int,
    ) -> None:
        super().__init__(defined, name, instance, index)
        self.owner = engine
        self._record = record

    @property
    def record(self) -> int:
        """The address of its function record. Machine code trusts it."""
        return self._record

    @calls_host
    def invoke(self, *args: Any) -> Any:
        """Call with internal values."""
        engine = self.owner
        convention = engine.references.convention(self.defined)
        block = engine.glue.threads.current()
        top = block.top
        base = top.value
        if base > block.limit:
            raise Trap(TrapKind.STACK_OVERFLOW)
        # What the call takes of the value stack while it is Python's turn; nested calls begin behind it.
        top.value = base + max(Call.FRAME + convention.frame, Call.SIZE)
        try:
            if engine.glue.threads.held_up:
                with lock:
                    pass
            view, at = block.view, base - block.values
            convention.write(view, at, args, self._record)
            try:
                trapped = engine.glue.enter(engine.glue.word(base + Call.FRAME))
            except BaseException as error:
                engine.passed(error, block, at)
                raise
            if trapped:
                raise engine.trapped(block, at)
            return convention.result(view, at)
        finally:
            top.value = base


_NativePart = c_ubyte * layout.Function.SIZE
_fill: Final = Struct("<3Q").pack_into  # the fields of `layout.Function`, in their order


class LinkedFunction(NativeFunction):
    """A function of machine code that is called without Python in between.

    `compiled_function` extends it: objects have the fields of `layout.Function`.
    """

    __slots__ = ()

    def __init__(
        self,
        defined: DefinedType,
        name: str | None,
        instance: Instance,
        index: int,
        engine: CompilerEngine,
        record: int,
    ) -> None:
        super().__init__(defined, name, instance, index, engine, record)
        native = _NativePart.from_address(id(self) + type(self).__basicsize__ - layout.Function.SIZE)
        _fill(native, 0, engine.glue.symbols["call"], record, engine.programs.call(defined))


@functools.cache
def compiled_function() -> type[NativeFunction]:
    """`NativeFunction` as a C-level type: a call of an object is one of the hand-written machine code (`call`), which looks
    for the functions below in the data page.
    """
    with lock:  # two threads may come here, there is one type
        return _compiled_function()


@functools.cache
def _compiled_function() -> type[NativeFunction]:
    found, start = extend(LinkedFunction, "CompiledFunction", layout.Function.SIZE)
    Documentation.give(found)
    loaded = glue.load()
    loaded.set(Data.FUNCTION, start)
    loaded.set_object(Data.CALL_SLOWLY, _call_slowly)
    loaded.set_object(Data.CALL_FAILED, _call_failed)
    return cast("type[NativeFunction]", found)


def _call_slowly(function: NativeFunction, arguments: tuple[Any, ...], names: tuple[str, ...] | None) -> Any:
    """A call that machine code leaves to Python. Arguments for `names` are the last ones."""
    if names:
        first = len(arguments) - len(names)
        return Function.__call__(function, *arguments[:first], **dict(zip(names, arguments[first:], strict=True)))
    return Function.__call__(function, *arguments)


def _call_failed(function: NativeFunction, base: int, error: BaseException | None) -> BaseException:
    """What to raise for a trap in the call at `base`. With an exception that left it, note where that passed."""
    engine = function.owner
    block = engine.glue.threads.current()
    if error is None:
        return engine.trapped(block, base - block.values)
    engine.passed(error, block, base - block.values)
    return error


class NativeHostFunction(Function):
    """A function whose body is Python. Its record's context is 0: machine code calls it in the context of the caller."""

    __slots__ = ("_convention", "_host", "_lease", "_record")

    def __init__(self, defined: DefinedType, host: HostCallable, engine: CompilerEngine) -> None:
        super().__init__(defined, host.name, None, -1)
        self.owner = engine
        self._host = host
        self._convention = engine.references.convention(defined)
        number, self._lease = hosts.take()
        hosts.add(number, self)
        self._record = hosts.record(number)
        program = engine.programs.host(defined, host.wants_caller) if engine.calls_natively else None
        fields = (c_uint64 * (Record.HOST_SIZE // 8)).from_address(self._record)
        fields[Record.CODE // 8] = engine.glue.symbols["host_function_slow" if program is None else "host_function"]
        fields[Record.CALLABLE // 8] = id(host.function)
        fields[Record.PROGRAM // 8] = program or 0
        fields[Record.TYPE // 8] = type_number(defined)
        fields[Record.SUPERTYPES // 8] = display_address(defined)

    @property
    def host(self) -> HostCallable:
        """The Python callable. Machine code knows where it is."""
        return self._host

    @property
    def convention(self) -> Convention:
        """How it is called."""
        return self._convention

    @property
    def record(self) -> int:
        """The address of its function record. Machine code trusts it."""
        return self._record

    def invoke(self, *args: Any) -> Any:
        """Call with internal values, from Python: there is no calling instance."""
        return self._host.call(args, lambda: None)
