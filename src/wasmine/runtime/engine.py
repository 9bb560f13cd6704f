"""All that the runtime knows of an engine.

An engine allocates storage (memories, tables, globals), makes host functions callable from wasm, and turns the functions
of an instance into callables. A runtime has one engine for all its instances, for they share all of these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from wasmine.runtime.fuel import Fuel

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from wasmine.format.types import DefinedType, GlobalType, MemoryType, TableType
    from wasmine.runtime.cache import Cache
    from wasmine.runtime.function import Function
    from wasmine.runtime.globals import Global
    from wasmine.runtime.host import HostCallable
    from wasmine.runtime.image import Image
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.memory import Memory
    from wasmine.runtime.module import Module
    from wasmine.runtime.table import Functions, Table


class Code(Protocol):
    """The code of one instance."""

    def function(self, index: int) -> Function:
        """A new function reference of a defined function (an index in the whole function index space).

        The instance calls it once per index and keeps what it gives.
        """
        ...

    def complete(self) -> None:
        """The instance has its memories, tables and globals now; no function is called before."""
        ...

    def place(self, table: Table, at: int, functions: Functions) -> None:
        """Copy functions of the instance into a table, from an index on; or the trap "invalid table access"."""
        ...

    def placed(self, table: Table) -> list[int | Function | None]:
        """The elements of a table of functions, as `Functions` has them."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Meanwhile no other thread runs the instance. WasmineError if one does."""
        ...

    def refresh(self) -> None:
        """The time limit of the instance has changed."""
        ...

    def close(self) -> None:
        """Forget what can be forgotten. Functions that other instances hold must go on working."""
        ...


class Engine(ABC):
    """One way to run code. Types are closed and values are internal ones everywhere here."""

    name: ClassVar[str]
    cache: Cache | None = None  # where code of other processes may be found, and is to be kept for them

    @abstractmethod
    def new_memory(self, type: MemoryType, image: Image | None = None) -> Memory:
        """A memory of `type.limits.minimum` zeroed pages, or with the bytes of an image. MemoryError."""

    @abstractmethod
    def new_table(self, type: TableType, init: Any) -> Table:
        """A table of `type.limits.minimum` elements, all `init`. MemoryError if there is not so much memory."""

    @abstractmethod
    def new_global(self, type: GlobalType, value: Any) -> Global:
        """A global variable."""

    def new_fuel(self, left: int) -> Fuel:
        """The fuel of an instance: code of instances that have one pays with it."""
        return Fuel(left)

    @abstractmethod
    def new_host_function(self, type: DefinedType, host: HostCallable) -> Function:
        """A function whose body is Python."""

    @abstractmethod
    def new_code(self, instance: Instance) -> Code:
        """The code of an instance whose imports are known but whose memories, tables and globals may still be missing."""

    @abstractmethod
    def prepare(self, module: Module, index: int, *, metered: bool) -> None:
        """Make the code of a defined function before anybody calls it, `metered`: for instances with fuel.

        What `new_code` raises.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what the engine holds itself."""
