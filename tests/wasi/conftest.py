"""Makes `guest` importable by the tests of this folder, and gives them file systems to run on."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
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


COMPILER = (sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-Oz", "-s")


@pytest.fixture(scope="session")
def compiled(pytestconfig: pytest.Config) -> Callable[[str], Path]:
    """`compiled("tools")` is `programs/tools.c` as wasm; compiled once for as long as the source stays the same."""

    def compile(name: str) -> Path:
        if importlib.util.find_spec("ziglang") is None:
            pytest.skip("needs a C compiler: pip install ziglang")
        assert pytestconfig.cache is not None
        source = Path(__file__).parent / f"programs/{name}.c"
        digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
        path = pytestconfig.cache.mkdir("wasmine-programs") / f"{name}-{digest}.wasm"
        if not path.exists():
            unfinished = path.with_suffix(f".{os.getpid()}")
            subprocess.run([*COMPILER, "-o", str(unfinished), str(source)], check=True, timeout=600)
            unfinished.replace(path)
        return path

    return compile


@pytest.fixture(params=WRITABLE)
def guest(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guest]:
    """A guest with an empty directory to write in, on each file system in turn."""
    made = Guest(mounts={"/": WRITABLE[request.param](tmp_path)})
    with made.wasi:
        yield made
