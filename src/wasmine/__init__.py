"""Wasmine: a WebAssembly runtime for Python.

>>> import wasmine
>>> add = wasmine.Module('(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))')
>>> with wasmine.Runtime() as runtime:
...     runtime.instantiate(add).exports.add(1, 2)
3
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from wasmine.version import __version__

if TYPE_CHECKING:
    from wasmine.errors import (
        DecodeError,
        Exit,
        Frame,
        LinkError,
        OutOfFuel,
        SnapshotError,
        Timeout,
        Trap,
        TrapKind,
        UnsupportedFeature,
        ValidationError,
        WasmException,
        WasmineError,
    )
    from wasmine.format.features import Features
    from wasmine.format.types import FuncType, GlobalType, MemoryType, TableType, TagType
    from wasmine.runtime.asynchronous import to_thread
    from wasmine.runtime.cache import Cache
    from wasmine.runtime.function import Function
    from wasmine.runtime.globals import Global
    from wasmine.runtime.host import Caller, externref, f32, f64, funcref, i32, i64, v128
    from wasmine.runtime.instance import Exports, Instance
    from wasmine.runtime.limits import Limits
    from wasmine.runtime.memory import Memory
    from wasmine.runtime.module import ImportType, Module
    from wasmine.runtime.pool import Pool
    from wasmine.runtime.runtime import Runtime
    from wasmine.runtime.snapshot import Snapshot
    from wasmine.runtime.table import Table
    from wasmine.runtime.tag import Tag
    from wasmine.wasi.program import DEVNULL, PIPE, STDOUT, CompletedProgram, ProgramFailed, run

# Where each public name lives: loaded on first use, so that `import wasmine` costs next to nothing.
_HOMES = {
    "wasmine.errors": (
        "DecodeError",
        "Exit",
        "Frame",
        "LinkError",
        "OutOfFuel",
        "SnapshotError",
        "Timeout",
        "Trap",
        "TrapKind",
        "UnsupportedFeature",
        "ValidationError",
        "WasmException",
        "WasmineError",
    ),
    "wasmine.format.features": ("Features",),
    "wasmine.format.types": ("FuncType", "GlobalType", "MemoryType", "TableType", "TagType"),
    "wasmine.runtime.asynchronous": ("to_thread",),
    "wasmine.runtime.cache": ("Cache",),
    "wasmine.runtime.function": ("Function",),
    "wasmine.runtime.globals": ("Global",),
    "wasmine.runtime.host": ("Caller", "externref", "f32", "f64", "funcref", "i32", "i64", "v128"),
    "wasmine.runtime.instance": ("Exports", "Instance"),
    "wasmine.runtime.limits": ("Limits",),
    "wasmine.runtime.memory": ("Memory",),
    "wasmine.runtime.module": ("ImportType", "Module"),
    "wasmine.runtime.pool": ("Pool",),
    "wasmine.runtime.runtime": ("Runtime",),
    "wasmine.runtime.snapshot": ("Snapshot",),
    "wasmine.runtime.table": ("Table",),
    "wasmine.runtime.tag": ("Tag",),
    "wasmine.wasi.program": ("DEVNULL", "PIPE", "STDOUT", "CompletedProgram", "ProgramFailed", "run"),
}
_PACKAGES = ("assemblyscript", "emscripten", "wasi")
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "Cache",
    "Caller",
    "CompletedProgram",
    "DecodeError",
    "Exit",
    "Exports",
    "Features",
    "Frame",
    "FuncType",
    "Function",
    "Global",
    "GlobalType",
    "ImportType",
    "Instance",
    "Limits",
    "LinkError",
    "Memory",
    "MemoryType",
    "Module",
    "OutOfFuel",
    "Pool",
    "ProgramFailed",
    "Runtime",
    "Snapshot",
    "SnapshotError",
    "Table",
    "TableType",
    "Tag",
    "TagType",
    "Timeout",
    "Trap",
    "TrapKind",
    "UnsupportedFeature",
    "ValidationError",
    "WasmException",
    "WasmineError",
    "__version__",
    "externref",
    "f32",
    "f64",
    "funcref",
    "i32",
    "i64",
    "run",
    "to_thread",
    "v128",
    "wasi",
]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:  # so that `import wasmine` is enough for `wasmine.wasi.WASI`
        return importlib.import_module(f"wasmine.{name}")
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'wasmine' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_PACKAGES})
