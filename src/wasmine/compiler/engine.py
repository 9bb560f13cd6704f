"""Engine 2: functions become machine code on their first call."""

from __future__ import annotations

import functools
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from wasmine.compiler.availability import unavailable
from wasmine.compiler.contexts import Contexts, contexts
from wasmine.compiler.fuel import NativeFuel
from wasmine.compiler.function import NativeFunction, NativeHostFunction
from wasmine.compiler.globals import NativeGlobal
from wasmine.compiler.hosts import Hosts, hosts
from wasmine.compiler.instance import NativeCode
from wasmine.compiler.machine import architecture, glue, libc, python
from wasmine.compiler.machine.glue import native_trap
from wasmine.compiler.machine.layout import BUSY, FAULT, OUT_OF_FUEL, PYTHON_EXCEPTION, TOLD, TRAP_KINDS, Call
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
from wasmine.runtime.gil import FREE_THREADED
from wasmine.runtime.stack import MAX_FRAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmine.compiler.machine.glue import Glue
    from wasmine.compiler.machine.threads import ThreadBlock
    from wasmine.compiler.module import Place
    from wasmine.compiler.templates.library import TemplateLibrary
    from wasmine.format.types import DefinedType, GlobalType, MemoryType, TableType
    from wasmine.runtime.host import HostCallable
    from wasmine.runtime.image import Image
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.module import Module

_STACK_COPY: Final = Call.STACK_COPY


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

    def trapped(self, block: ThreadBlock, at: int) -> WasmineError:
        """What the call that begins at an offset of a thread's value stack ended with, as an exception."""
        trap, pc, address, signal, _, context, copied = native_trap(block.view, at)
        start = at + _STACK_COPY >> 3
        whose = contexts.whose.get
        if trap == FAULT:
            found = walk(pc + 1, context, block.words, start, start + (copied >> 3), MAX_FRAMES, whose)
            return self._fault(found, pc, address, signal, context)
        if trap == BUSY:
            return self._in_use(context)
        found = walk(pc, context, block.words, start, start + (copied >> 3), MAX_FRAMES, whose)
        if trap in TRAP_KINDS:
            return Trap.described_later(TRAP_KINDS[trap], _described, "", found)
        if trap == PYTHON_EXCEPTION:  # but there is none: Python found no room on the stack to begin (PyPy)
            return Trap(TrapKind.STACK_OVERFLOW, "", frames_of(found))
        if trap == OUT_OF_FUEL:
            meter = self.instances[context].instance.meter
            assert meter is not None
            return OutOfFuel(meter.describe(address), frames_of(found))
        kind, detail = TRAP_KINDS[trap & ~TOLD], ""
        if found and (instruction := found[0][0].instruction()) is not None:
            # What it says of tables and memories is as they are now.
            detail = trap_of(kind, address, self.instances[context], instruction).detail
        return Trap.described_later(kind, _described, detail, found)

    @staticmethod
    def _in_use(context: int) -> WasmineError:
        code = contexts.get(context)
        if code is None:
            return WasmineError("the instance is closed")
        instance: Instance = code.instance
        return instance.in_use()

    @staticmethod
    def _fault(found: Stack, pc: int, address: int, signal: int, context: int) -> Trap:
        """A trap that guard pages found."""
        code = contexts.get(context)
        memories: list[Any] = code.instance.memories if code is not None else []
        for memory in memories:
            offset = address - memory.base
            if 0 <= offset < memory.reserved:
                return Trap.described_later(
                    TrapKind.MEMORY_OUT_OF_BOUNDS, _described_fault, offset, memory.length, found
                )
        where = ", ".join(map(str, frames_of(found)[:1]))
        raise SystemError(
            f"wasmine: signal {signal} in compiled code at {pc:#x}, address {address:#x}, which is in "
            f"no memory of the instance: a bug of the compiler, please report it ({where})"
        )

    @contextmanager
    def still(self, *, due: bool) -> Iterator[bool]:
        """Whether no thread runs wasm code, or Python code that such code called; and none begins as long as this lasts.

        The caller holds `lock`. Where threads run at the same time, it is only if it is `due` that others which could
        begin are held up: calls leave the way on which machine code alone goes, and wait for `lock`.
        """
        threads = self.glue.threads
        if threads.held_up:  # a finalizer closes an instance meanwhile
            yield not threads.busy()
            return
        if threads.idle() or not FREE_THREADED or not due or threads.busy():
            yield threads.idle()
            return
        threads.held_up = True
        contexts.slow_down()
        try:
            sys._current_frames()  # all threads stop for that: one that was about to begin a call has begun it
            yield not threads.busy()
        finally:
            threads.held_up = False
            contexts.speed_up()

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no other thread is in a call of wasm code, or prepares one; and none begins as long as this lasts.

        The caller holds `lock`, and there is a GIL.
        """
        threads = self.glue.threads
        if threads.held_up or not threads.several() or threads.busy_elsewhere():
            yield not threads.busy_elsewhere()
            return
        threads.held_up = True
        contexts.slow_down()
        try:
            yield not threads.busy_elsewhere()
        finally:
            threads.held_up = False
            contexts.speed_up()

    @staticmethod
    def passed(error: BaseException, block: ThreadBlock, at: int) -> None:
        """What Python code or a call nested in it raised left a call: note the wasm functions that it passed."""
        trap, pc, _, _, _, context, copied = native_trap(block.view, at)
        if trap != PYTHON_EXCEPTION or not getattr(error, "traced", True):
            return
        with suppress(Exception):  # near the end of the stack there is no room for it
            start = at + _STACK_COPY >> 3
            end = start + (copied >> 3)
            frames = frames_of(walk(pc, context, block.words, start, end, MAX_FRAMES, contexts.whose.get))
            if isinstance(error, Trap | OutOfFuel):
                if len(error.frames) < MAX_FRAMES:
                    error.frames = (*error.frames, *frames)[:MAX_FRAMES]
                return
            first = error.__traceback__
            if first is not None and first.tb_frame is sys._getframe(1):  # the caller's own entry stays the outermost
                first.tb_next = stack.passed(frames, first.tb_next)
            else:
                error.__traceback__ = stack.passed(frames, first)

    def close(self) -> None:
        """What lives goes when nobody can reach it any more."""


Stack: TypeAlias = "list[tuple[Place, int, tuple[str, Module] | None]]"
"""A wasm call stack as `walk` finds it, with the names and modules of instances. It keeps the modules alive."""


def _described(detail: str, found: Stack) -> tuple[str, list[Frame]]:
    return detail, frames_of(found)


def _described_fault(address: int, length: int, found: Stack) -> tuple[str, list[Frame]]:
    instruction = found[0][0].instruction() if found else None
    detail = fault_of(address, length, instruction).detail if instruction is not None else ""
    return detail, frames_of(found)


def frames_of(stack: Stack) -> list[Frame]:
    """A wasm call stack as exceptions have it."""
    return [place.frame(whose[0] if whose is not None else "") for place, _, whose in stack]


__all__ = ["CompilerEngine", "NativeFunction", "template_library", "unavailable"]
