"""Makes `guest` importable by the tests of this folder, and gives them file systems to run on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from guest import Guest

from wasmine.wasi import HostDirectory, MemoryFileSystem, Overlay
from wasmine.wasi.filesystem import FileSystem

WRITABLE: dict[str, Callable[[Path], FileSystem]] = {
    "host": HostDirectory,
    "memory": lambda path: MemoryFileSystem(),
    "overlay on host": lambda path: Overlay(HostDirectory(path)),
    "overlay on memory": lambda path: Overlay(MemoryFileSystem()),
}


@pytest.fixture(params=WRITABLE)
def guest(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guest]:
    """A guest with an empty directory to write in, on each file system in turn."""
    made = Guest(mounts={"/": WRITABLE[request.param](tmp_path)})
    with made.wasi:
        yield made
