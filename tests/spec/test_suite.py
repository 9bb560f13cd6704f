"""The official test suite of the specification, every script on every engine.

The suite is not part of this project: it is looked for in `../shared/spectest`, or where WASMINE_SPECTEST says.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wasmine.runtime.runtime import ENGINES
from wasmine.script import run_script
from wasmine.script.suite import void_lines

PROJECT = Path(__file__).parents[2]
SUITE = Path(os.environ.get("WASMINE_SPECTEST") or PROJECT.parent / "shared" / "spectest")
SCRIPTS = sorted(path.relative_to(SUITE).as_posix() for path in SUITE.rglob("*.wast"))

pytestmark = pytest.mark.skipif(
    not SCRIPTS,
    reason="the official suite is not here: put the .wast files of github.com/WebAssembly/testsuite into "
    "../shared/spectest, or name their folder in WASMINE_SPECTEST",
)


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "auto"])
@pytest.mark.parametrize("name", SCRIPTS or ["no script"])
def test_every_command_of_a_script_passes(name: str, engine: str) -> None:
    void = void_lines(SUITE / name)

    report = run_script(SUITE / name, engine=engine, void=void)

    assert not report.failures, "\n".join(report.lines())
    assert len(report.skips) == len(void), "\n".join(report.lines())
    assert report.passed + len(report.skips) >= _commands(name)


def _commands(name: str) -> int:
    """How many commands the suite's index counts in a script, if it has an index; what a thread runs counts as one."""
    index = SUITE / "index.json"
    if not index.exists():
        return 1
    count: int = json.loads(index.read_bytes())["files"].get(name, {}).get("commands", 1)
    return count
