"""Running scripts (`.wast`), the form of the specification's test suite: `wasmine wast`.

`run_script` runs one file and gives a `Report`; `main` runs files and folders and prints what came out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wasmine.script.command_line import main as main
    from wasmine.script.report import Report as Report
    from wasmine.script.runner import run_script as run_script

_HOMES = {
    "main": "wasmine.script.command_line",
    "Report": "wasmine.script.report",
    "run_script": "wasmine.script.runner",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
