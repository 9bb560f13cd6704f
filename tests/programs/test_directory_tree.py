"""A C program that walks a directory tree with `nftw`, compiled by PyPI's `ziglang`."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from registry import cache_directory

from wasmine.wasi.program import run

SOURCE = Path(__file__).parent / "walk.c"
COMPILER = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-Oz", "-s"]


@pytest.fixture(scope="session")
def walk_wasm() -> Path:
    """The program, compiled once for as long as its source stays the same."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("needs a C compiler: pip install ziglang")
    path = cache_directory() / f"walk-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}.wasm"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        subprocess.run([*COMPILER, "-o", str(unfinished), str(SOURCE)], check=True, timeout=600)
        unfinished.replace(path)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Directories four deep, 120 files in one of them, links to a file, to a directory, to nowhere and to outside."""
    top = tmp_path / "top"
    deep = top / "a/b/c"
    deep.mkdir(parents=True)
    (top / "empty").mkdir()
    (tmp_path / "outside").write_bytes(bytes(1 << 20))
    for number in range(120):
        (deep / f"{'x' * number}{number}.txt").write_bytes(bytes(number))
    (top / "größe").write_text("hello")
    for name, target in (("file", "größe"), ("folder", "a/b"), ("nowhere", "gone"), ("out", "../outside")):
        (top / name).symlink_to(target)
    return top


def expected_lines(top: Path) -> list[str]:
    """What the program should print, in any order."""
    lines = []
    for path in (top, *top.rglob("*")):
        level = len(path.relative_to(top).parts)
        name = path.name if level else "tree"
        if path.is_symlink():
            lines.append(f"{level} link {name}")
        elif path.is_dir():
            lines.append(f"{level} directory {name}")
        else:
            lines.append(f"{level} file {name} {path.stat().st_size}")
    return [*lines, f"{sum(range(120)) + 5} bytes"]


def test_every_entry_is_visited_once(walk_wasm: Path, tree: Path, engine: str) -> None:
    done = run(walk_wasm, ["/tree"], mounts={"/tree": tree}, capture_output=True, text=True, engine=engine)  # type: ignore[arg-type]
    assert (done.returncode, done.stderr) == (0, "")
    assert Counter(done.stdout.splitlines()) == Counter(expected_lines(tree))


def test_directories_come_after_what_they_hold(walk_wasm: Path, tree: Path, engine: str) -> None:
    done = run(walk_wasm, ["/tree/a"], mounts={"/tree": tree}, capture_output=True, text=True, engine=engine)  # type: ignore[arg-type]
    assert [line for line in done.stdout.splitlines() if " directory " in line] == [
        "2 directory c",
        "1 directory b",
        "0 directory a",
    ]


def test_a_missing_directory_is_an_error(walk_wasm: Path, tree: Path, engine: str) -> None:
    done = run(walk_wasm, ["/tree/gone"], mounts={"/tree": tree}, capture_output=True, text=True, engine=engine)  # type: ignore[arg-type]
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "/tree/gone: No such file or directory\n"
