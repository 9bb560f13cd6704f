"""Engine 2: functions become machine code on their first call."""

from __future__ import annotations

import functools
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from wasmine.compiler.availability import unavailable
from wasmine.compiler.contexts import Contexts, contexts
from wasmine.compiler.fuel import NativeFuel
from wasmine.compiler.function import NativeFunction, NativeHostFunction
from wasmine.compiler.globals import NativeGlobal
from wasmine.compiler.hosts import Hosts, hosts
from wasmine.compiler.instance import NativeCode
from wasmine.compiler.machine import architecture, glue, layout, libc, python
from wasmine.compiler.memory import GUARD, NativeMemory
from wasmine.compiler.module import ModuleCode
from wasmine.compiler.program import Programs
from wasmine.compiler.references import References
from wasmine.compiler.services import Services
from wasmine.compiler.support import needs_gc_objects
from wasmine.compiler.table import NativeTable
from wasmine.compiler.templates import library
from wasmine.compiler.trapped import fault_of, trap_of
from wasmine.compiler.unwind import walk
from wasmine.errors import Frame, OutOfFuel, Trap, TrapKind, UnsupportedFeature, WasmineError
from wasmine.runtime import stack
from wasmine.runtime.engine import Engine
from wasmine.runtime.stack import MAX_FRAMES

if TYPE_CHECKING:
    from wasmine.compiler.machine.glue import Glue, NativeTrap
    from wasmine.compiler.module import Place
    from wasmine.compiler.templates.library import TemplateLibrary
    from wasmine.format.types import DefinedType, GlobalType, MemoryType, TableType
    from wasmine.runtime.host import HostCallable
    from wasmine.runtime.image import Image
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.module import Module


@functools.cache
def template_library() -> TemplateLibrary:
    """The templates for this machine's processor. FileNotFoundError where the package was made without."""
    found = library.load(architecture.host().level())
    if found is None:
        raise FileNotFoundError("this installation of wasmine has no template library: it was built without llvmlite")
    return found


@functools.cache
def guard_pages() -> str:
    """Why memories cannot be guarded by protected pages here, or "" if they can."""
    try:
        libc.unmap(libc.map_memory(GUARD, libc.PROT_NONE), GUARD)
    except OSError as error:
        return f"{GUARD >> 30} GiB of address space cannot be reserved for a memory: {error}"
    return ""


class CompilerEngine(Engine):
    """Machine code from templates. `bounds` says how accesses to memory are checked: "guard" or "checked".

    `release`: the GIL is released for every call, not only for those that last.
    """

    name: ClassVar[str] = "compiler"
    native_calls: ClassVar[bool] = True  # whether calls between Python and wasm are machine code's where there is any

    def __init__(self, bounds: str = "auto", *, release: bool = False) -> None:
        problem = unavailable()
        if problem:
            raise UnsupportedFeature("compiler", problem)
        self.bounds = ("checked" if guard_pages() else "guard") if bounds == "auto" else bounds
        self._keys = (f"compiler {self.bounds}", f"compiler {self.bounds}, metered")  # not metered, metered
        here = python.host()
        self.release = release or not here.keeps_lock
        self.glue: Glue = glue.load()
        self.calls_natively = self.native_calls and here.native and "call" in self.glue.symbols
        self.references = References(self)
        self.instances: Contexts = contexts
        self.hosts: Hosts = hosts
        self.programs = Programs(self.references, self.glue.symbols)
        self.services = Services(self)

    def new_memory(self, type: MemoryType, image: Image | None = None) -> NativeMemory:
        """A memory: zeros, or an image."""
        memory = NativeMemory(type, guarded=self.bounds == "guard", image=image)
        memory.owner = self
        return memory

    def new_table(self, type: TableType, init: Any) -> NativeTable:
        """A table of elements that are all `init`."""
        table = NativeTable(type, init, self.references)
        table.owner = self
        return table

    def new_global(self, type: GlobalType, value: Any) -> NativeGlobal:
        """A global variable."""
        found = NativeGlobal(type, value, self.references)
        found.owner = self
        return found

    def new_fuel(self, left: int) -> NativeFuel:
        """The fuel of an instance."""
        return NativeFuel(left)

    def new_host_function(self, type: DefinedType, host: HostCallable) -> NativeHostFunction:
        """A function whose body is Python."""
        return NativeHostFunction(type, host, self)

    def new_code(self, instance: Instance) -> NativeCode:
        """The code of an instance. UnsupportedFeature if its module needs what only the interpreter has."""
        self.glue.install_faults()  # others may have put their handlers in front since
        return NativeCode(self, instance, self._module_code(instance.module, metered=instance.meter is not None))

    def prepare(self, module: Module, index: int, *, metered: bool) -> None:
        """Make the code of a function before anybody calls it."""
        self._module_code(module, metered=metered).prepare(index)

    def _refuse_unsupported(self, module: Module) -> None:
        missing = self.missing_features(module)
        if missing:
            raise UnsupportedFeature(
                missing[0], f'the compiler engine lacks the feature "{missing[0]}": use the interpreter for this module'
            )

    @staticmethod
    def missing_features(module: Module) -> list[str]:
        """The features a module uses that only the interpreter has."""
        return ["gc"] if module.fact("needs GC objects", needs_gc_objects) else []

    def _module_code(self, module: Module, *, metered: bool) -> ModuleCode:
        key = self._keys[metered]
        found: ModuleCode | None = module.cache.get(key)
        if found is None:
            self._refuse_unsupported(module)
            made = ModuleCode(module, self.glue, template_library(), self.bounds, metered=metered)
            found = module.cache.setdefault(key, made)
        if self.cache is not None and found.stored is None:
            found.stored = self.cache.stored(module.digest, f"{key} {architecture.host().level()}")
        return found

    # ------------------------------------------------------------------------------------------------ traps

    def trapped(self, trap: NativeTrap) -> WasmineError:
        """What a call ended with, as an exception."""
        if trap.trap == layout.BUSY:
            code = contexts.get(trap.context)
            if code is None:
                return WasmineError("the instance is closed")
            instance: Instance = code.instance
            return instance.in_use()
        found = self._stack(trap)
        if trap.trap == layout.PYTHON_EXCEPTION:  # but there is none: Python found no room on the stack to begin (PyPy)
            return Trap(TrapKind.STACK_OVERFLOW, "", frames_of(found))
        if trap.trap == layout.OUT_OF_FUEL:
            meter = self.instances[trap.context].instance.meter
            assert meter is not None
            return OutOfFuel(meter.describe(trap.address), frames_of(found))
        if trap.trap == layout.FAULT:
            return self._fault(trap, found)
        kind, detail = layout.trap_kind(trap.trap), ""
        if trap.trap & layout.TOLD and found and (instruction := found[0][0].instruction()) is not None:
            # What it says of tables and memories is as they are now.
            detail = trap_of(kind, trap.address, self.instances[trap.context], instruction).detail
        return Trap.described_later(kind, lambda: (detail, frames_of(found)))

    def _fault(self, trap: NativeTrap, found: Stack) -> Trap:
        """A trap that guard pages found."""
        memory = _memory_at(trap.address, contexts.get(trap.context))
        if memory is None:
            where = ", ".join(map(str, frames_of(found)[:1]))
            raise SystemError(
                f"wasmine: signal {trap.signal} in compiled code at {trap.pc:#x}, address {trap.address:#x}, which is in "
                f"no memory of the instance: a bug of the compiler, please report it ({where})"
            )
        address, length = trap.address - memory.base, memory.byte_length

        def describe() -> tuple[str, list[Frame]]:
            instruction = found[0][0].instruction() if found else None
            detail = fault_of(address, length, instruction).detail if instruction is not None else ""
            return detail, frames_of(found)

        return Trap.described_later(TrapKind.MEMORY_OUT_OF_BOUNDS, describe)

    def is_idle(self) -> bool:
        """Whether no thread runs wasm code, or Python code that such code called."""
        return self.glue.threads.idle()

    def passed(self, error: BaseException, trap: NativeTrap) -> None:
        """What Python code or a call nested in it raised left a call: note the wasm functions that it passed."""
        if trap.trap != layout.PYTHON_EXCEPTION or not getattr(error, "traced", True):
            return
        with suppress(Exception):  # near the end of the stack there is no room for it
            if isinstance(error, Trap | OutOfFuel):
                if len(error.frames) < MAX_FRAMES:
                    error.frames = (*error.frames, *frames_of(self._stack(trap)))[:MAX_FRAMES]
                return
            frames = frames_of(self._stack(trap))
            first = error.__traceback__
            if first is not None and first.tb_frame is sys._getframe(1):  # the caller's own entry stays the outermost
                first.tb_next = stack.passed(frames, first.tb_next)
            else:
                error.__traceback__ = stack.passed(frames, first)

    @staticmethod
    def _stack(trap: NativeTrap) -> Stack:
        """The wasm call stack of a trap, innermost first. It keeps the modules alive that it names, not the instances."""
        pc = trap.pc + 1 if trap.trap == layout.FAULT else trap.pc
        found: Stack = []
        known, name, module = 0, "", None
        for place, _, context in walk(pc, trap.context, trap.words, trap.stack, trap.end, MAX_FRAMES):
            if context != known:
                known = context
                code = contexts.get(context)
                name, module = (code.instance.name, code.instance.module) if code is not None else ("", None)
            found.append((place, name, module))
        return found

    def close(self) -> None:
        """What lives goes when nobody can reach it any more."""


Stack: TypeAlias = "list[tuple[Place, str, Module | None]]"
"""Places, with the names of their instances."""


def _memory_at(address: int, code: NativeCode | None) -> NativeMemory | None:
    """The memory of an instance that an address belongs to."""
    memories: list[Any] = code.instance.memories if code is not None else []
    for memory in memories:
        if 0 <= address - memory.base < memory.reserved:
            found: NativeMemory = memory
            return found
    return None


def frames_of(stack: Stack) -> list[Frame]:
    """A wasm call stack as exceptions have it."""
    return [place.frame(instance) for place, instance, _ in stack]


__all__ = ["CompilerEngine", "NativeFunction", "template_library", "unavailable"]
