"""Function references of the compiler engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmine.compiler import values
from wasmine.runtime.function import Function

if TYPE_CHECKING:
    from wasmine.compiler.engine import CompilerEngine
    from wasmine.format.types import DefinedType
    from wasmine.runtime.host import HostCallable
    from wasmine.runtime.instance import Instance


class NativeFunction(Function):
    """A function of machine code. `record` is the address of its function record."""

    __slots__ = ("_engine", "_slots", "context", "record")

    def __init__(
        self, defined: DefinedType, name: str, instance: Instance, index: int, engine: CompilerEngine, context: int
    ) -> None:
        super().__init__(defined, name, instance, index)
        self._engine = engine
        self.owner = engine
        self.context = context  # the address of its instance's VM context
        self._slots = max(values.slot_count(self.type.params), values.slot_count(self.type.results))
        self.record = 0

    def invoke(self, *args: Any) -> Any:
        """Call with internal values."""
        return self._engine.call(self.record, self.context, self.type, self._slots, args)


class NativeHostFunction(Function):
    """A function whose body is Python. Its record's context is 0: machine code calls it in the context of the caller."""

    __slots__ = ("host", "record")

    def __init__(self, defined: DefinedType, host: HostCallable, engine: CompilerEngine) -> None:
        super().__init__(defined, host.name, None, -1)
        self.owner = engine
        self.host = host
        self.record = 0

    def invoke(self, *args: Any) -> Any:
        """Call with internal values, from Python: there is no calling instance."""
        return self.host.call(args, lambda: None)
