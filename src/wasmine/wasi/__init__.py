"""The guest's operating system: WASI preview 1 as host functions.

    wasi = wasmine.wasi.WASI(["tool", "--help"], stdout=sys.stdout, mounts={"/data": "./data"})
    runtime.instantiate("tool.wasm", wasi.imports()).exports["_start"]()

`wasmine.run` does all of that for a whole program.
"""

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
