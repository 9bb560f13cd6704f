"""File systems for guests: directories of the host, memory, zip files, package data, overlays, and your own.

Names are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wasmine.wasi.filesystem.archive import PackageFileSystem, ZipFileSystem
    from wasmine.wasi.filesystem.host import HostDirectory
    from wasmine.wasi.filesystem.interface import Directory, Entry, File, FileSystem, Open, Stat
    from wasmine.wasi.filesystem.memory import MemoryFileSystem, Symlink
    from wasmine.wasi.filesystem.overlay import Diff, Overlay
    from wasmine.wasi.filesystem.readonly import ReadOnly

_HOMES = {
    "archive": ("PackageFileSystem", "ZipFileSystem"),
    "host": ("HostDirectory",),
    "interface": ("Directory", "Entry", "File", "FileSystem", "Open", "Stat"),
    "memory": ("MemoryFileSystem", "Symlink"),
    "overlay": ("Diff", "Overlay"),
    "readonly": ("ReadOnly",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Diff",
    "Directory",
    "Entry",
    "File",
    "FileSystem",
    "HostDirectory",
    "MemoryFileSystem",
    "Open",
    "Overlay",
    "PackageFileSystem",
    "ReadOnly",
    "Stat",
    "Symlink",
    "ZipFileSystem",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'wasmine.wasi.filesystem' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"wasmine.wasi.filesystem.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
