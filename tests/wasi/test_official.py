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


def wanted(program: Path) -> dict[str, Any]:
    """How to call a program, and what it should do."""
    manifest = program.with_suffix(".json")
    return {**DEFAULTS, **(json.loads(manifest.read_text()) if manifest.exists() else {})}


def cases() -> Iterator[Any]:
    """Every program; one that has files with each kind of file system."""
    if SUITE is None:
        yield pytest.param(None, "host", marks=pytest.mark.skip(reason=HOW_TO))
        return
    tests = Path(SUITE) / "tests"
    for path in sorted(tests.glob("*/testsuite/**/*.wasm")):
        if "wasip3" not in str(path.parent):
            for root in ROOTS if wanted(path)["root"] is not None else ["host"]:
                yield pytest.param(path, root, id=f"{path.relative_to(tests).parts[0]}-{path.stem}-{root}")


@pytest.mark.parametrize(("program", "root"), list(cases()))
def test_program(program: Path, root: str, engine: Any, tmp_path: Path) -> None:
    expected = wanted(program)
    mounts: dict[str, FileSystem] = {}
    if expected["root"] is not None:
        copied = tmp_path / "root"
        shutil.copytree(program.parent / expected["root"], copied, symlinks=True)
        mounts["/"] = ROOTS[root](copied)
    done = run(
        program,
        expected["args"],
        env=expected["env"],
        mounts=mounts,
        capture_output=True,
        text=True,
        engine=engine,
        timeout=60,
    )
    assert done.returncode == expected["exit_code"], done.stderr
    if expected["stdout"] is not None:
        assert done.stdout == expected["stdout"]
