"""The guest's operating system: WASI preview 1 as host functions.

    wasi = wasmine.wasi.WASI(["tool", "--help"], stdout=sys.stdout, mounts={"/data": "./data"})
    runtime.instantiate("tool.wasm", wasi.imports()).exports["_start"]()

`wasmine.run` does all of that for a whole program. Names are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wasmine.wasi.clocks import Clock, FakeClock, SystemClock
    from wasmine.wasi.errno import Errno, WasiError
    from wasmine.wasi.filesystem import (
        HostDirectory,
        MemoryFileSystem,
        Overlay,
        PackageFileSystem,
        ReadOnly,
        Symlink,
        ZipFileSystem,
    )
    from wasmine.wasi.quota import Quota
    from wasmine.wasi.random import seeded_random, system_random
    from wasmine.wasi.system import WASI
    from wasmine.wasi.trace import Tracer

_HOMES = {
    "wasmine.wasi.clocks": ("Clock", "FakeClock", "SystemClock"),
    "wasmine.wasi.errno": ("Errno", "WasiError"),
    "wasmine.wasi.filesystem": (
        "HostDirectory",
        "MemoryFileSystem",
        "Overlay",
        "PackageFileSystem",
        "ReadOnly",
        "Symlink",
        "ZipFileSystem",
    ),
    "wasmine.wasi.quota": ("Quota",),
    "wasmine.wasi.random": ("seeded_random", "system_random"),
    "wasmine.wasi.system": ("WASI",),
    "wasmine.wasi.trace": ("Tracer",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "WASI",
    "Clock",
    "Errno",
    "FakeClock",
    "HostDirectory",
    "MemoryFileSystem",
    "Overlay",
    "PackageFileSystem",
    "Quota",
    "ReadOnly",
    "Symlink",
    "SystemClock",
    "Tracer",
    "WasiError",
    "ZipFileSystem",
    "seeded_random",
    "system_random",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'wasmine.wasi' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
