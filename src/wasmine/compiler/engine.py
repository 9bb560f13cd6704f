"""Engine 2: functions become machine code on their first call."""

from __future__ import annotations

import functools
import sys
import weakref
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from wasmine.compiler.availability import unavailable
from wasmine.compiler.code import FIRST_HOST
from wasmine.compiler.fuel import NativeFuel
from wasmine.compiler.function import NativeFunction, NativeHostFunction
from wasmine.compiler.globals import NativeGlobal
from wasmine.compiler.instance import NativeCode
from wasmine.compiler.machine import architecture, glue, layout, libc
from wasmine.compiler.machine.lock import lock
from wasmine.compiler.machine.processor import level
from wasmine.compiler.memory import GUARD, NativeMemory
from wasmine.compiler.module import ModuleCode
from wasmine.compiler.references import References
from wasmine.compiler.services import Services
from wasmine.compiler.support import needs_gc_objects
from wasmine.compiler.table import NativeTable
from wasmine.compiler.templates import library
from wasmine.compiler.trapped import fault_of, trap_of
from wasmine.compiler.unwind import Place, walk
from wasmine.errors import Frame, OutOfFuel, Trap, TrapKind, UnsupportedFeature, WasmineError
from wasmine.runtime import stack
from wasmine.runtime.engine import Engine
from wasmine.runtime.stack import MAX_FRAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.machine.glue import Glue, NativeTrap
    from wasmine.compiler.templates.library import TemplateLibrary
    from wasmine.format.types import DefinedType, GlobalType, MemoryType, TableType
    from wasmine.runtime.host import HostCallable
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.module import Module
    from wasmine.validation.location import Located


@functools.cache
def template_library() -> TemplateLibrary:
    """The templates for this machine's processor. FileNotFoundError where the package was made without."""
    found = library.load(level())
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
    """Machine code from templates. `bounds` says how accesses to memory are checked: "guard" or "checked"."""

    name: ClassVar[str] = "compiler"

    def __init__(self, bounds: str = "auto") -> None:
        problem = unavailable()
        if problem:
            raise UnsupportedFeature("compiler", problem)
        self.bounds = ("checked" if guard_pages() else "guard") if bounds == "auto" else bounds
        self.glue: Glue = glue.load()
        self.references = References()
        self.instances: dict[int, NativeCode] = {}  # by the address of the VM context
        self.hosts: list[NativeHostFunction] = []
        self._memories: weakref.WeakSet[NativeMemory] = weakref.WeakSet()
        self.services = Services(self)

    def new_memory(self, type: MemoryType) -> NativeMemory:
        """A zeroed memory."""
        memory = NativeMemory(type, guarded=self.bounds == "guard")
        memory.owner = self
        self._memories.add(memory)
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
        function = NativeHostFunction(type, host, self)
        with lock:
            number = FIRST_HOST + len(self.hosts)
            self.hosts.append(function)
            function.record = self.references.new_record(function, host_stubs().stub(number), 0)
        return function

    def new_code(self, instance: Instance) -> NativeCode:
        """The code of an instance. UnsupportedFeature if its module needs what only the interpreter has."""
        self._refuse_unsupported(instance.module)
        self.glue.install_faults()  # others may have put their handlers in front since
        return NativeCode(self, instance, self._module_code(instance.module, metered=instance.meter is not None))

    def prepare(self, module: Module, index: int, *, metered: bool) -> None:
        """Make the code of a function before anybody calls it."""
        self._refuse_unsupported(module)
        self._module_code(module, metered=metered).compile(index)

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
        key = f"compiler {self.bounds}{', metered' if metered else ''}"
        found: ModuleCode | None = module.cache.get(key)
        if found is None:
            made = ModuleCode(module, self.glue, template_library(), self.bounds, metered=metered)
            found = module.cache.setdefault(key, made)
        if self.cache is not None and found.stored is None:
            found.stored = self.cache.stored(module.digest, f"{key} {level()}")
        return found

    # ------------------------------------------------------------------------------------------------ traps

    def trapped(self, trap: NativeTrap) -> WasmineError:
        """What a call ended with, as an exception."""
        if trap.trap == layout.BUSY:
            return WasmineError(
                f"{self._describe(trap.context)} is in use by another thread: an instance, and every other one that it "
                "calls, is used by one thread at a time; make an instance for each thread, or use a lock"
            )
        places = self._places(trap)
        frames = self._frames(places)
        if trap.trap == layout.OUT_OF_FUEL:
            meter = self.instances[trap.context].instance.meter
            assert meter is not None
            return OutOfFuel(meter.describe(trap.address), frames)
        instruction = places[0].instruction() if places else None
        error = self._fault(trap, instruction, frames) if trap.trap == layout.FAULT else self._trap(trap, instruction)
        error.frames = tuple(frames)
        return error

    def _trap(self, trap: NativeTrap, instruction: Located | None) -> Trap:
        """An explicit trap."""
        kind = layout.trap_kind(trap.trap)
        if not trap.trap & layout.TOLD or instruction is None:
            return Trap(kind)
        return trap_of(kind, trap.address, self.instances[trap.context], instruction)

    def _fault(self, trap: NativeTrap, instruction: Located | None, frames: Sequence[Frame]) -> Trap:
        """A trap that guard pages found."""
        memory = next((m for m in list(self._memories) if m.base <= trap.address < m.base + m.reserved), None)
        if memory is None:
            raise SystemError(
                f"wasmine: signal {trap.signal} in compiled code at {trap.pc:#x}, address {trap.address:#x}, which is in "
                f"no memory of this runtime: a bug of the compiler, please report it ({', '.join(map(str, frames[:1]))})"
            )
        if instruction is None:
            return Trap(TrapKind.MEMORY_OUT_OF_BOUNDS)
        return fault_of(trap.address - memory.base, memory.byte_length, instruction)

    def passed(self, error: BaseException, trap: NativeTrap) -> None:
        """What Python code or a call nested in it raised left a call: note the wasm functions that it passed."""
        if trap.trap != layout.PYTHON_EXCEPTION or not getattr(error, "traced", True):
            return
        if isinstance(error, Trap | OutOfFuel):
            if len(error.frames) < MAX_FRAMES:
                error.frames = (*error.frames, *self._frames(self._places(trap)))[:MAX_FRAMES]
            return
        frames = self._frames(self._places(trap))
        first = error.__traceback__
        if first is not None and first.tb_frame is sys._getframe(1):  # the caller's own entry stays the outermost
            first.tb_next = stack.passed(frames, first.tb_next)
        else:
            error.__traceback__ = stack.passed(frames, first)

    def _places(self, trap: NativeTrap) -> list[Place]:
        """The wasm call stack of a trap, innermost first."""
        pc = trap.pc + 1 if trap.trap == layout.FAULT else trap.pc
        found = walk(pc, trap.stack_pointer, trap.context, trap.word, self.glue.symbols)
        return list(islice(found, MAX_FRAMES))

    def _frames(self, places: Sequence[Place]) -> list[Frame]:
        found: list[Frame] = []
        for place in places:
            code = self.instances.get(place.context)
            found.append(place.frame(code.instance.name if code is not None else ""))
        return found

    def _describe(self, context: int) -> str:
        code = self.instances.get(context)
        name = code and (code.instance.name or code.instance.module.name)
        return f"instance {name!r}" if name else "the instance"

    def close(self) -> None:
        """Nothing can be given back while functions may be held."""


class HostStubs:
    """Makes the code of host functions, a page of stubs at a time. All engines of the process use the same."""

    def __init__(self, glue: Glue) -> None:
        self._glue = glue
        self._machine = architecture.host()
        self._per_page = 4096 // self._machine.STUB_SIZE
        self._pages: dict[int, int] = {}

    def stub(self, number: int) -> int:
        """The address of the stub for a host function."""
        page, position = divmod(number, self._per_page)
        with lock:
            start = self._pages.get(page)
            if start is None:
                start = self._pages[page] = self._make(page * self._per_page)
        return start + position * self._machine.STUB_SIZE

    def _make(self, first: int) -> int:
        start = self._glue.code.reserve(4096)
        target = self._glue.symbols["host_function"]
        size = self._machine.STUB_SIZE
        self._glue.code.fill(
            start, b"".join(self._machine.stub(target, first + i, start + i * size) for i in range(self._per_page))
        )
        return start


@functools.cache
def host_stubs() -> HostStubs:
    """The stubs of this process."""
    return HostStubs(glue.load())


__all__ = ["CompilerEngine", "NativeFunction", "template_library", "unavailable"]
