"""Function references of the compiler engine."""

from __future__ import annotations

from ctypes import c_size_t, c_uint64
from typing import TYPE_CHECKING, Any

from wasmine.compiler.hosts import hosts
from wasmine.compiler.machine.glue import NativeTrap
from wasmine.compiler.machine.layout import Call, Record
from wasmine.compiler.references import display_address, type_number
from wasmine.errors import Trap, TrapKind
from wasmine.runtime.deadline import calls_host
from wasmine.runtime.function import Function

if TYPE_CHECKING:
    from wasmine.compiler.engine import CompilerEngine
    from wasmine.format.types import DefinedType
    from wasmine.runtime.host import HostCallable
    from wasmine.runtime.instance import Instance


class NativeFunction(Function):
    """A function of machine code. `record` is the address of its function record."""

    __slots__ = ("_convention", "_current", "_engine", "_enter", "_size", "record")

    def __init__(
        self, defined: DefinedType, name: str | None, instance: Instance, index: int, engine: CompilerEngine
    ) -> None:
        super().__init__(defined, name, instance, index)
        self.owner = engine
        self.record = 0
        self._engine = engine
        self._enter = engine.glue.enter
        self._current = engine.glue.threads.current
        self._convention = engine.references.convention(defined)
        # What the call takes of the value stack while it is Python's turn; nested calls begin behind it.
        self._size = max(Call.FRAME + self._convention.frame, Call.SIZE)

    @calls_host
    def invoke(self, *args: Any) -> Any:
        """Call with internal values."""
        block = self._current()
        top = block.top
        base = top.value
        if base > block.limit:
            raise Trap(TrapKind.STACK_OVERFLOW)
        top.value = base + self._size
        try:
            view, at = block.view, base - block.values
            convention = self._convention
            convention.write(view, at, args, self.record)
            try:
                trapped = self._enter(c_size_t(base + Call.FRAME))
            except BaseException as error:
                self._engine.passed(error, NativeTrap.of(block, at))
                raise
            if trapped:
                raise self._engine.trapped(NativeTrap.of(block, at))
            return convention.result(view, at)
        finally:
            top.value = base


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
        fields = (c_uint64 * 4).from_address(self.record)
        fields[Record.TYPE // 8] = type_number(defined)
        fields[Record.SUPERTYPES // 8] = display_address(defined)

    def invoke(self, *args: Any) -> Any:
        """Call with internal values, from Python: there is no calling instance."""
        return self.host.call(args, lambda: None)
