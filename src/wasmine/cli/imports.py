"""What `wasmine run` gives a module besides WASI: the import set of the toolchain that made it, and other modules."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from wasmine.cli.options import CommandError
from wasmine.format.types import F64, I32, FuncType, MemoryType, TableType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wasmine.runtime.module import Module
    from wasmine.runtime.runtime import Runtime
    from wasmine.wasi.system import WASI

# What only AssemblyScript imports from `env`. Emscripten has an `abort` too, without parameters.
_ASSEMBLYSCRIPT: Final = {
    "abort": FuncType((I32, I32, I32, I32), ()),
    "trace": FuncType((I32, I32, F64, F64, F64, F64, F64), ()),
    "seed": FuncType((), (F64,)),
}
_JAVASCRIPT: Final = ("console.", "Date.now", "performance.now", "process.exit")


def offered(runtime: Runtime, module: Module, system: WASI) -> dict[str, dict[str, Any]]:
    """Everything that a module may import: WASI, and what its other imports show that it needs."""
    found: dict[str, dict[str, Any]] = dict(system.imports())
    functions = {
        entry.name: entry.type for entry in module.imports if entry.module == "env" and isinstance(entry.type, FuncType)
    }
    environment = _environment(module, functions, system)
    if environment:
        found["env"] = {**environment, **_storage(runtime, module)}
    return found


def _environment(module: Module, functions: Mapping[str, FuncType], system: WASI) -> dict[str, Any]:
    """The import set of the toolchain whose functions these are; empty if it is none that is known."""
    if not functions:
        return {}
    if any(_ASSEMBLYSCRIPT.get(name) == type or name.startswith(_JAVASCRIPT) for name, type in functions.items()):
        from wasmine import assemblyscript
        from wasmine.wasi.program import own_stream

        return assemblyscript.imports(
            stdout=own_stream(sys.stdout),
            stderr=own_stream(sys.stderr),
            trace="stderr",
            random=system.random,
            clock=system.clock,
        )["env"]
    from wasmine import emscripten

    return emscripten.imports(module, system)["env"]


def _storage(runtime: Runtime, module: Module) -> dict[str, Any]:
    """New memories and tables for those that the module imports from `env`: its toolchain leaves them to JavaScript."""
    found: dict[str, Any] = {}
    for entry in module.imports:
        if entry.module == "env" and isinstance(entry.type, MemoryType):
            memory = found[entry.name] = runtime.engine.new_memory(entry.type)
            memory.limit = runtime.limits.memory
        elif entry.module == "env" and isinstance(entry.type, TableType):
            table = found[entry.name] = runtime.engine.new_table(entry.type, None)
            table.limit = runtime.limits.table
    return found


def explain(module: Module) -> str:
    """What to do about imports that nobody gave."""
    advice = ["wasmine run gives WASI preview 1, and what Emscripten and AssemblyScript import from env."]
    others = sorted({entry.module for entry in module.imports if not entry.module.startswith(("env", "wasi"))})
    if others:
        advice.append(f"A module that exports these is given with --preload {others[0]}=FILE.")
    if any(entry.module.startswith("wasi:") for entry in module.imports):
        advice.append("Of WASI preview 2 there is nothing: build for preview 1.")
    advice.append("Host functions of your own are given in Python: runtime.instantiate(module, imports).")
    return "\n".join(advice)


def parse_preload(given: str) -> tuple[str, str]:
    """The module name and the path that NAME=FILE means. CommandError."""
    name, separator, path = given.partition("=")
    if not separator or not path:
        raise CommandError(f"invalid preload: {given!r}: expected NAME=FILE")
    return name, path
