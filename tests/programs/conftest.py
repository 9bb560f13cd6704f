"""Programs of package registries as modules; those that cannot be had, or take too long, are skipped with the reason."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from registry import PROGRAMS, Unavailable

import wasmine

HEAVY_VARIABLE = "WASMINE_HEAVY_PROGRAMS"

LoadProgram = Callable[[str], wasmine.Module]


@pytest.fixture(scope="session")
def _modules() -> dict[str, wasmine.Module]:
    """The modules loaded so far: what an engine compiled for one test serves the next."""
    return {}


@pytest.fixture
def load_program(engine: str, _modules: dict[str, wasmine.Module]) -> LoadProgram:
    """`load_program("quickjs")` is its module; the test is skipped where it cannot be had or must be asked for."""

    def load(name: str) -> wasmine.Module:
        program = PROGRAMS[name]
        if program.heavy and not os.environ.get(HEAVY_VARIABLE):
            pytest.skip(
                f"{name} takes the {engine} up to a minute: set {HEAVY_VARIABLE}=1 to run it (docs/programs.md)"
            )
        if name not in _modules:
            try:
                _modules[name] = wasmine.Module(program.binary(), name=name)
            except Unavailable as error:
                pytest.skip(str(error))
        return _modules[name]

    return load
