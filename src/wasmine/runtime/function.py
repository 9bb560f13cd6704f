"""Function references: what exports, tables and `ref.func` give."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, cast

from wasmine.runtime.deadline import within
from wasmine.runtime.unique import Unique
from wasmine.runtime.values import signature

if TYPE_CHECKING:
    import inspect
    from collections.abc import Coroutine

    from wasmine.format.types import DefinedType, FuncType
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.values import Signature


class Documentation:
    """`__doc__` of functions: an object's says how it is called, which `help` shows; a class has its own."""

    __slots__ = ("_of_class",)

    def __init__(self, of_class: str | None) -> None:
        self._of_class = of_class

    def __get__(self, function: Function | None, owner: object = None) -> str | None:
        if function is None:
            return self._of_class
        return f"{function.name}{function.__signature__}\n\nA WebAssembly function, {function.defined}."

    @classmethod
    def give(cls, functions: type) -> None:
        """A class of functions is complete."""
        of_class = functions.__doc__
        functions.__doc__ = cast("Any", cls(of_class))


class Function(Unique):
    """A WebAssembly function as a Python callable.

    Arguments are checked (TypeError, OverflowError); no result is None, one is a value, several are a tuple.
    `defined` is the function's own canonical type: it never changes on the way through imports, exports and tables.
    `instance` is the instance that defines it, None for host functions.
    """

    # No `ABC`: CPython does not let C-level types extend classes of other metaclasses.

    __slots__ = ("__weakref__", "_defined", "_name", "_signature", "index", "instance", "owner")

    def __init_subclass__(cls) -> None:
        Documentation.give(cls)

    def __init__(self, defined: DefinedType, name: str | None, instance: Instance | None, index: int) -> None:
        """`name` None leaves it to the module. A table may hold half a million functions that nobody ever calls."""
        self._defined = defined
        self._name = name
        self.instance = instance
        self.index = index
        self.owner: object = None  # the engine, so that linking can refuse what belongs to another runtime
        self._signature: Signature | None = None  # made on the first call from Python

    @property
    def name(self) -> str:
        """The name for people: `Module.function_name`, or that of the host's function."""
        if self._name is None:
            assert self.instance is not None
            self._name = self.instance.module.function_name(self.index)
        return self._name

    @property
    def defined(self) -> DefinedType:
        """Its canonical type. Machine code trusts it."""
        return self._defined

    @property
    def type(self) -> FuncType:
        """Parameter and result types."""
        return cast("FuncType", self.defined.composite)

    @abstractmethod
    def invoke(self, *args: Any) -> Any:
        """Call with internal values, as from Python: traps arrive as `Trap`. The internal result."""

    def __call__(self, /, *args: Any, **names: Any) -> Any:
        if names:
            raise TypeError(f"{self.name}() takes no keyword arguments")
        instance = self.instance
        convert = self._signature
        if convert is None:
            convert = self._signature = signature(self.type)
        if instance is not None:
            if instance.closed:
                instance.check_open()
            if instance.timeout is not None:
                internal = convert.arguments(self.name, args)
                return convert.python_result(within(instance.timeout, self.invoke, *internal))
        return convert.python_result(self.invoke(*convert.arguments(self.name, args)))

    def async_(self, *args: Any) -> Coroutine[Any, Any, Any]:
        """The call as a coroutine: `await function.async_(...)` leaves the event loop free (`wasmine.to_thread`)."""
        from wasmine.runtime.asynchronous import to_thread  # which imports asyncio

        return to_thread(self, *args)

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def __signature__(self) -> inspect.Signature:
        from wasmine.runtime.host import python_signature

        return python_signature(self)

    def __repr__(self) -> str:
        return f"<function {self.name} {self.defined}>"


Documentation.give(Function)
