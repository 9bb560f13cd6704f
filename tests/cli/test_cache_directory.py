"""`--cache-dir` and `wasmine compile`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wasmine.cli import main

HELLO = str(Path(__file__).parents[2] / "examples/hello.wat")


def cli(*words: Any) -> int:
    return main([str(word) for word in words])


def files(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*.wasmine")}


def test_a_run_fills_a_cache_that_it_makes(engine: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "new/cache"
    for _ in range(2):
        assert cli("run", "--engine", engine, "--cache-dir", directory, HELLO) == 0
        assert capfd.readouterr() == ("Hello, world!\n", "")
    assert files(directory)


def test_the_environment_names_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WASMINE_CACHE_DIR", str(tmp_path / "one"))
    assert cli("run", HELLO) == 0
    assert files(tmp_path / "one")
    assert cli("run", "--cache-dir", tmp_path / "two", HELLO) == 0
    assert files(tmp_path / "two")
    assert cli("doctor") == 0
    assert f"cache:              {tmp_path / 'one'}\n" in capfd.readouterr().out
    monkeypatch.setenv("WASMINE_CACHE_DIR", "")
    assert cli("run", HELLO) == 0
    assert cli("doctor") == 0
    assert "none for wasmine run: WASMINE_CACHE_DIR is not set" in capfd.readouterr().out


def test_a_program_that_traps_or_exits_fills_the_cache_too(engine: str, tmp_path: Path) -> None:
    (tmp_path / "trap.wat").write_text('(module (func (export "_start") unreachable))')
    assert cli("run", "--engine", engine, "--cache-dir", tmp_path / "cache", tmp_path / "trap.wat") == 134
    assert files(tmp_path / "cache")


def test_what_was_compiled_ahead_is_all_that_a_run_needs(engine: str, tmp_path: Path) -> None:
    assert cli("compile", "--engine", engine, "--cache-dir", tmp_path, HELLO) == 0
    compiled = files(tmp_path)
    assert compiled
    assert cli("run", "--engine", engine, "--cache-dir", tmp_path, HELLO) == 0
    assert files(tmp_path) == compiled


def test_a_wrong_use_is_explained(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WASMINE_CACHE_DIR", raising=False)
    assert cli("compile", HELLO) == 2
    assert "Give --cache-dir DIR, or set WASMINE_CACHE_DIR" in capfd.readouterr().err
    assert cli("compile") == 1
    (tmp_path / "file").write_text("")
    for command in ("run", "compile"):
        capfd.readouterr()
        assert cli(command, "--cache-dir", tmp_path / "file", HELLO) == 1
        assert capfd.readouterr().err.startswith("error: invalid cache directory: File exists: ")


def test_what_an_engine_lacks_is_said(compiler: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gc.wat").write_text(
        '(module (type $s (struct (field i32))) (func (export "f") (drop (struct.new $s (i32.const 1)))))'
    )
    status = cli("compile", "--engine", compiler, "--cache-dir", tmp_path / "cache", tmp_path / "gc.wat")
    assert status == 1
    assert "use the interpreter" in capfd.readouterr().err
    assert cli("compile", "--cache-dir", tmp_path / "cache", tmp_path / "gc.wat") == 0
