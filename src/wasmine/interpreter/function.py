"""Function references of the interpreter: functions of wasm and of the host."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from wasmine.errors import WasmException
from wasmine.interpreter.entry import enter
from wasmine.runtime.deadline import returned
from wasmine.runtime.function import Function
from wasmine.runtime.thrown import from_public

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.types import DefinedType
    from wasmine.interpreter.code import InstanceCode
    from wasmine.runtime.host import HostCallable
    from wasmine.runtime.instance import Instance


class InterpreterFunction(Function):
    """A function reference.

    `code` is what generated code calls, with internal values; `tail` is what a tail call goes on with, which may return a
    `Tail` itself.
    """

    __slots__ = ("code", "tail")

    def __init__(
        self,
        defined: DefinedType,
        name: str,
        instance: Instance | None,
        index: int,
        code: Callable[..., Any],
        tail: Callable[..., Any],
    ) -> None:
        super().__init__(defined, name, instance, index)
        self.code = code
        self.tail = tail

    def invoke(self, *args: Any) -> Any:
        """Call with internal values."""
        instance = self.instance
        return enter(None if instance is None else cast("InstanceCode", instance.code), self.code, args)


class HostFunction(InterpreterFunction):
    """A function whose body is Python."""

    __slots__ = ("host",)

    def __init__(self, defined: DefinedType, host: HostCallable) -> None:
        def call(*args: Any) -> Any:
            try:
                return host.call(args, calling_instance)
            except WasmException as error:
                returned()
                raise from_public(error) from error

        super().__init__(defined, host.name, None, -1, call, call)
        self.host = host

    def invoke(self, *args: Any) -> Any:
        """Call with internal values, from Python: there is no calling instance."""
        return self.host.call(args, lambda: None)


def calling_instance() -> Instance | None:
    """The instance whose generated code is the innermost on the Python stack."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_globals.get("__wasm__")
        if code is not None:
            return code.instance  # type: ignore[no-any-return]
        frame = frame.f_back  # type: ignore[assignment]
    return None
