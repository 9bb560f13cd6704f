"""The stress script, short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wasmine.compiler.availability import unavailable


@pytest.mark.parametrize("engine", ["interpreter", "compiler"])
def test_guests_are_stopped_at_random_moments(engine: str) -> None:
    if engine == "compiler" and unavailable():
        pytest.skip(unavailable())
    script = Path(__file__).with_name("interrupts.py")
    command = [sys.executable, str(script), "--engine", engine, "--count", "200"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
