"""The linters are part of the tests: what they say is as binding as a failing assertion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command", [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]], ids=" ".join
)
def test_linters_are_content(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_loads_none_of_it() -> None:
    code = "import sys, wasmine; print(sorted(m for m in sys.modules if m.startswith('wasmine')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['wasmine', 'wasmine.version']"


def test_public_names_are_all_there() -> None:
    import wasmine

    for name in wasmine.__all__:
        assert getattr(wasmine, name) is not None
    assert set(wasmine.__all__) <= set(dir(wasmine))


def test_docstring_examples_run() -> None:
    import doctest

    import wasmine

    assert doctest.testmod(wasmine).failed == 0


def test_test_files_have_names_of_their_own() -> None:
    # pytest imports test files by their base names; two of the same name stop the whole run.
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted({name for name in names if names.count(name) > 1}) == []
