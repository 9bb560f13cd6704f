"""The official suite: https://github.com/WebAssembly/wasi-testsuite, branch prod/testsuite-base, the programs for preview 1.

It runs where WASMINE_WASI_TESTSUITE names a checkout of that branch. Beside a program may lie a JSON file that says how to
call it and what it should do; a program that fails an assertion exits with another code or traps.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wasmine.wasi import HostDirectory, MemoryFileSystem, Overlay, Symlink
from wasmine.wasi.filesystem import FileSystem
from wasmine.wasi.program import run

SUITE = os.environ.get("WASMINE_WASI_TESTSUITE")
HOW_TO = (
    "set WASMINE_WASI_TESTSUITE to a checkout: "
    "git clone --branch prod/testsuite-base https://github.com/WebAssembly/wasi-testsuite"
)
DEFAULTS: dict[str, Any] = {"args": [], "env": {}, "root": None, "exit_code": 0, "stdout": None}


def programs() -> Iterator[Any]:
    if SUITE is None:
        yield pytest.param(None, marks=pytest.mark.skip(reason=HOW_TO))
        return
    for path in sorted(Path(SUITE).glob("tests/*/testsuite/**/*.wasm")):
        if "wasip3" not in str(path.parent):
            yield pytest.param(path, id=f"{path.relative_to(Path(SUITE) / 'tests').parts[0]}-{path.stem}")


def tree(folder: Path) -> dict[str, Any]:
    """A folder as the dict of a file system in memory."""
    found: dict[str, Any] = {}
    for path in folder.iterdir():
        if path.is_symlink():
            found[path.name] = Symlink(str(path.readlink()))
        else:
            found[path.name] = tree(path) if path.is_dir() else path.read_bytes()
    return found


ROOTS: dict[str, Callable[[Path], FileSystem]] = {
    "host": HostDirectory,
    "memory": lambda path: MemoryFileSystem(tree(path)),
    "overlay": lambda path: Overlay(HostDirectory(path)),
}


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("program", list(programs()))
def test_program(program: Path, root: str, engine: Any, tmp_path: Path) -> None:
    manifest = program.with_suffix(".json")
    wanted = {**DEFAULTS, **(json.loads(manifest.read_text()) if manifest.exists() else {})}
    mounts: dict[str, FileSystem] = {}
    if wanted["root"] is not None:
        copied = tmp_path / "root"
        shutil.copytree(program.parent / wanted["root"], copied, symlinks=True)
        mounts["/"] = ROOTS[root](copied)
    elif root != "host":
        pytest.skip("it has no files")
    done = run(
        program,
        wanted["args"],
        env=wanted["env"],
        mounts=mounts,
        capture_output=True,
        text=True,
        engine=engine,
        timeout=60,
    )
    assert done.returncode == wanted["exit_code"], done.stderr
    if wanted["stdout"] is not None:
        assert done.stdout == wanted["stdout"]
