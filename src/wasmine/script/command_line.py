"""What `wasmine wast` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.script.report import Report, total
from wasmine.script.runner import run_script
from wasmine.script.suite import find_scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from wasmine.format.features import Features
    from wasmine.runtime.runtime import Bounds, EngineName


def main(
    paths: Iterable[str | Path],
    engine: EngineName = "interpreter",
    *,
    bounds: Bounds = "auto",
    features: Features | None = None,
    write: Callable[[str], object] = print,
) -> int:
    """Run script files and folders of them; write a summary of each and one of all. 1 if anything failed, else 0."""
    reports: list[Report] = []
    for script in find_scripts(paths):
        report = run_script(
            script.path, engine=engine, bounds=bounds, features=features, void=script.void, name=script.name
        )
        reports.append(report)
        for line in report.lines():
            write(line)
    whole = total(reports)
    write(whole.summary)
    return 1 if whole.failures else 0
