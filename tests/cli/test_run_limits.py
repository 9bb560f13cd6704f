"""`wasmine run` with limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wasmine.cli import main
from wasmine.cli.quantities import duration, size, units

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """(module (memory 1)
  (func (export "_start") (loop $again (br $again)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "program.wat"
    path.write_text(PROGRAM)
    return str(path)


def test_a_timeout_ends_the_program_with_124(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--timeout", "100ms", program]) == 124
    assert capsys.readouterr().err == "error: module closed with context deadline exceeded (timeout 0.1s)\n"


def test_memories_grow_no_further(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--max-memory=128K", "--invoke", "grow", program, "1"]) == 0
    assert main(["run", "--max-memory=128K", "--invoke", "grow", program, "2"]) == 0
    assert capsys.readouterr().out == "1\n-1\n"


def test_a_program_runs_out_of_fuel(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--fuel", "1001", program]) == 1
    assert capsys.readouterr().err.startswith("error: the guest is out of fuel: 1 units are left")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--timeout=-1s", "timeout duration may not be negative, -1s"),
        ("--timeout=5x", "expected seconds, or a duration such as 200ms or 1m30s"),
        ("--max-memory=-1", "expected bytes, or a size such as 64K or 512M"),
        ("--fuel=much", "expected a natural number"),
    ],
)
def test_wrong_values_are_explained(flag: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", flag, "program.wasm"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2", 2), ("1.5", 1.5), ("1m30s", 90), ("200ms", 0.2), ("1h", 3600), (".5s", 0.5), ("0", 0), ("3us", 3e-6)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "1s2", "nan", "inf", "1e12", "1 s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("100", 100), ("64K", 65536), ("2MiB", 2 << 20), ("1g", 1 << 30)]
)
def test_sizes(text: str, number: int) -> None:
    assert size(text) == number


def test_units() -> None:
    assert units("1000") == 1000
