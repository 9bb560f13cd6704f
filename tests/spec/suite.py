"""Where the official test suite of the specification is.

It is not part of this project: it is looked for in `../shared/spectest`, or where WASMINE_SPECTEST says.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SUITE = Path(os.environ.get("WASMINE_SPECTEST") or PROJECT.parent / "shared" / "spectest")
SCRIPTS = sorted(path.relative_to(SUITE).as_posix() for path in SUITE.rglob("*.wast"))

needs_suite = pytest.mark.skipif(
    not SCRIPTS,
    reason="the official suite is not here: put the .wast files of github.com/WebAssembly/testsuite into "
    "../shared/spectest, or name their folder in WASMINE_SPECTEST",
)
each_script = pytest.mark.parametrize("name", SCRIPTS or ["no script"])
