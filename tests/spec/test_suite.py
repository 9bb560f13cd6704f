"""Every script of the official suite, on every engine."""

from __future__ import annotations

import json

import pytest
from suite import SUITE, each_script, needs_suite

from wasmine.runtime.runtime import ENGINES
from wasmine.script import run_script
from wasmine.script.suite import void_lines


@needs_suite
@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "auto"])
@each_script
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
