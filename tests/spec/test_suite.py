"""Every script of the official suite, on every engine, and with both ways of checking bounds."""

from __future__ import annotations

import json
from typing import Any

from suite import SUITE, each_script, needs_suite

from wasmine.script import run_script
from wasmine.script.suite import void_lines


@needs_suite
@each_script
def test_every_command_of_a_script_passes(name: str, engine: str) -> None:
    _check(name, engine, "auto")


@needs_suite
@each_script
def test_every_command_of_a_script_passes_with_checked_bounds(name: str, compiler: str) -> None:
    _check(name, compiler, "checked")


def _check(name: str, engine: str, bounds: str) -> None:
    void = void_lines(SUITE / name)

    report = run_script(SUITE / name, engine=engine, bounds=bounds, void=void)

    assert not report.failures, "\n".join(report.lines())
    if engine == "compiler" and "gc" in _entry(name).get("features", ()):
        # Modules with GC objects are the interpreter's, and so is what follows them: nothing else may be skipped.
        assert any('the feature "gc"' in skip.text for skip in report.skips) or len(report.skips) == len(void)
        return
    assert len(report.skips) == len(void), "\n".join(report.lines())
    assert report.passed + len(report.skips) >= _commands(name)


def _commands(name: str) -> int:
    """How many commands the suite's index counts in a script, if it has an index; what a thread runs counts as one."""
    count: int = _entry(name).get("commands", 1)
    return count


def _entry(name: str) -> dict[str, Any]:
    """What the suite's index says of a script."""
    index = SUITE / "index.json"
    if not index.exists():
        return {}
    entry: dict[str, Any] = json.loads(index.read_bytes())["files"].get(name, {})
    return entry
