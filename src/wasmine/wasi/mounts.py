"""What users may mount, as file systems: host paths, dicts, or file systems of their own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from wasmine.wasi.filesystem.interface import FileSystem

if TYPE_CHECKING:
    from wasmine.wasi.filesystem.memory import Tree

Mount: TypeAlias = "str | os.PathLike[str] | Tree | FileSystem"


def file_system(mount: Any) -> FileSystem:
    """The file system that is meant: a path is a directory of the host, a dict is files in memory. TypeError."""
    if isinstance(mount, FileSystem):
        return mount
    if isinstance(mount, str | os.PathLike):
        from wasmine.wasi.filesystem.host import HostDirectory

        return HostDirectory(mount)
    if isinstance(mount, Mapping):
        from wasmine.wasi.filesystem.memory import MemoryFileSystem

        return MemoryFileSystem(mount)
    raise TypeError(f"cannot mount {mount!r}: expected a host path, a dict of files, or a wasmine.wasi file system")
