"""Function references of the compiler engine."""

from __future__ import annotations

import functools
from ctypes import c_size_t, c_uint64
from typing import TYPE_CHECKING, Any, cast

from wasmine.compiler.hosts import hosts
from wasmine.compiler.machine import glue, layout
from wasmine.compiler.machine.glue import NativeTrap
from wasmine.compiler.machine.layout import Call, Data, Record
from wasmine.compiler.machine.pytype import extend
from wasmine.compiler.references import display_address, type_number
from wasmine.errors import Trap, TrapKind
from wasmine.runtime.deadline import calls_host
from wasmine.runtime.function import Documentation, Function

if TYPE_CHECKING:
    from wasmine.compiler.engine import CompilerEngine
    from wasmine.format.types import DefinedType
    from wasmine.runtime.host import HostCallable
    from wasmine.runtime.instance import Instance


class NativeFunction(Function):
    """A function of machine code. `record` is the address of its function record.

    `invoke` calls it through ctypes. Its subclass that `compiled_function` gives is called by machine code, and comes here
    for what is unusual.
    """

    __slots__ = ("record",)

    owner: CompilerEngine

    def __init__(
        self, defined: DefinedType, name: str | None, instance: Instance, index: int, engine: CompilerEngine
    ) -> None:
        super().__init__(defined, name, instance, index)
        self.owner = engine
        self.record = 0

    def link(self, record: int) -> None:
        """It has its record: it can be called."""
        self.record = record

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
            view, at = block.view, base - block.values
            convention.write(view, at, args, self.record)
            try:
                trapped = engine.glue.enter(c_size_t(base + Call.FRAME))
            except BaseException as error:
                engine.passed(error, NativeTrap.of(block, at))
                raise
            if trapped:
                raise engine.trapped(NativeTrap.of(block, at))
            return convention.result(view, at)
        finally:
            top.value = base


class LinkedFunction(NativeFunction):
    """A function of machine code that is called without Python in between.

    `compiled_function` extends it: objects have the fields of `layout.Function`.
    """

    __slots__ = ()

    def link(self, record: int) -> None:
        """It has its record: it can be called."""
        super().link(record)
        native: Any = self  # which has more attributes
        native.target = record
        native.program = self.owner.programs.call(self.defined)
        native.vectorcall = self.owner.glue.symbols["call"]


@functools.cache
def compiled_function() -> type[NativeFunction]:
    """`NativeFunction` as a C-level type: a call of an object is one of the hand-written machine code (`call`), which looks
    for the functions below in the data page.
    """
    words = {
        "vectorcall": layout.Function.VECTORCALL,
        "target": layout.Function.RECORD,
        "program": layout.Function.PROGRAM,
    }
    found, start = extend(LinkedFunction, "CompiledFunction", words, layout.Function.SIZE)
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
    trap = NativeTrap.of(block, base - block.values)
    if error is None:
        return engine.trapped(trap)
    engine.passed(error, trap)
    return error


class NativeHostFunction(Function):
    """A function whose body is Python. Its record's context is 0: machine code calls it in the context of the caller."""

    __slots__ = ("_lease", "convention", "host", "record")

    def __init__(self, defined: DefinedType, host: HostCallable, engine: CompilerEngine) -> None:
        super().__init__(defined, host.name, None, -1)
        self.owner = engine
        self.host = host
        self.convention = engine.references.convention(defined)
        number, self._lease = hosts.take()
        hosts.add(number, self)
        self.record = hosts.record(number)
        program = engine.programs.host(defined, host.wants_caller) if engine.calls_natively else None
        fields = (c_uint64 * (Record.HOST_SIZE // 8)).from_address(self.record)
        fields[Record.CODE // 8] = engine.glue.symbols["host_function_slow" if program is None else "host_function"]
        fields[Record.CALLABLE // 8] = id(host.function)
        fields[Record.PROGRAM // 8] = program or 0
        fields[Record.TYPE // 8] = type_number(defined)
        fields[Record.SUPERTYPES // 8] = display_address(defined)

    def invoke(self, *args: Any) -> Any:
        """Call with internal values, from Python: there is no calling instance."""
        return self.host.call(args, lambda: None)
