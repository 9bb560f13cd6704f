"""Engine 1: the interpreter. It runs everywhere: functions become Python functions."""

from __future__ import annotations

import weakref
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, ClassVar

from wasmine.errors import WasmineError
from wasmine.interpreter.code import InstanceCode, ModuleCode
from wasmine.interpreter.function import HostFunction
from wasmine.interpreter.storage import InterpreterGlobal, InterpreterMemory, InterpreterTable
from wasmine.runtime.engine import Engine
from wasmine.runtime.recursion import PYPY

if TYPE_CHECKING:
    from wasmine.format.types import DefinedType, GlobalType, MemoryType, TableType
    from wasmine.runtime.host import HostCallable
    from wasmine.runtime.image import Image
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.module import Module


class InterpreterEngine(Engine):
    """Lowers functions to Python source on their first call; see `interpreter.lowering`."""

    name: ClassVar[str] = "interpreter"

    def __init__(self) -> None:
        self._made: dict[weakref.ref[InstanceCode], None] = {}

    def new_memory(self, type: MemoryType, image: Image | None = None) -> InterpreterMemory:
        """A memory: zeros, or an image."""
        memory = InterpreterMemory(type, image)
        memory.owner = self
        return memory

    def new_table(self, type: TableType, init: Any) -> InterpreterTable:
        """A table of elements that are all `init`."""
        table = InterpreterTable(type, init)
        table.owner = self
        return table

    def new_global(self, type: GlobalType, value: Any) -> InterpreterGlobal:
        """A global variable."""
        found = InterpreterGlobal(type, value)
        found.owner = self
        return found

    def new_host_function(self, type: DefinedType, host: HostCallable) -> HostFunction:
        """A function whose body is Python."""
        function = HostFunction(type, host)
        function.owner = self
        return function

    def new_code(self, instance: Instance) -> InstanceCode:
        """The code of an instance; the module's code objects are shared by all of its instances."""
        made = InstanceCode(instance, self._module_code(instance.module, metered=instance.meter is not None))
        if PYPY:
            self._made[weakref.ref(made, self._made.pop)] = None
        return made

    def _module_code(self, module: Module, *, metered: bool) -> ModuleCode:
        code = module_code(module, metered=metered)
        if self.cache is not None and code.stored is None:
            code.stored = self.cache.stored(module.digest, "interpreter, metered" if metered else "interpreter")
        return code

    def prepare(self, module: Module, index: int, *, metered: bool) -> None:
        """Make the code of a function before anybody calls it."""
        self._module_code(module, metered=metered).compiled(index)

    def close(self) -> None:
        """On PyPy code keeps the namespace that it first ran in, and all that it was compiled for: so they are emptied."""
        made = [code for reference in list(self._made) if (code := reference()) is not None]
        with suppress(WasmineError), ExitStack() as held:  # unless a thread runs any of it
            for code in made:
                held.enter_context(code.held())
            if all(code.entries == 1 for code in made):
                for code in made:
                    code.namespace.clear()

    @staticmethod
    def lowering(module: Module, index: int) -> str:
        """The generated source of a defined function, with the offsets of instructions in comments."""
        return module_code(module).source(index)


def module_code(module: Module, *, metered: bool = False) -> ModuleCode:
    """The code of a module, made on first use; `metered` code pays with the fuel of its instance."""
    key = "interpreter, metered" if metered else "interpreter"
    found: ModuleCode | None = module.cache.get(key)
    if found is None:
        found = module.cache.setdefault(key, ModuleCode(module, metered=metered))
    return found
