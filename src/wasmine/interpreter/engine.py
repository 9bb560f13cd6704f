"""Engine 1: the interpreter. It runs everywhere: functions become Python functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from wasmine.interpreter.code import InstanceCode, ModuleCode
from wasmine.interpreter.function import HostFunction
from wasmine.interpreter.storage import InterpreterGlobal, InterpreterMemory, InterpreterTable
from wasmine.runtime.engine import Engine

if TYPE_CHECKING:
    from wasmine.format.types import DefinedType, GlobalType, MemoryType, TableType
    from wasmine.runtime.host import HostCallable
    from wasmine.runtime.image import Image
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.module import Module


class InterpreterEngine(Engine):
    """Lowers functions to Python source on their first call; see `interpreter.lowering`."""

    name: ClassVar[str] = "interpreter"

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
        return InstanceCode(instance, self._module_code(instance.module, metered=instance.meter is not None))

    def _module_code(self, module: Module, *, metered: bool) -> ModuleCode:
        code = module_code(module, metered=metered)
        if self.cache is not None and code.stored is None:
            code.stored = self.cache.stored(module.digest, "interpreter, metered" if metered else "interpreter")
        return code

    def prepare(self, module: Module, index: int, *, metered: bool) -> None:
        """Make the code of a function before anybody calls it."""
        self._module_code(module, metered=metered).compiled(index)

    def close(self) -> None:
        """Nothing is held."""

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
