"""The stress scripts, short."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wasmine.compiler.availability import unavailable


@pytest.mark.parametrize(("engine", "gil"), [("interpreter", "lazy"), ("compiler", "lazy"), ("compiler", "release")])
def test_guests_are_stopped_at_random_moments(engine: str, gil: str) -> None:
    if engine == "compiler" and unavailable():
        pytest.skip(unavailable())
    script = Path(__file__).with_name("interrupts.py")
    command = [sys.executable, str(script), "--engine", engine, "--gil", gil, "--count", "200"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("engine", ["interpreter", "compiler"])
def test_the_first_use_ends_at_random_places(engine: str) -> None:
    if engine == "compiler" and unavailable():
        pytest.skip(unavailable())
    script = Path(__file__).with_name("first_use.py")
    command = [sys.executable, str(script), "--engine", engine, "--count", "60"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("engine", ["interpreter", "compiler"])
def test_threads_use_everything_at_once(engine: str) -> None:
    if engine == "compiler" and unavailable():
        pytest.skip(unavailable())
    script = Path(__file__).with_name("threads.py")
    command = [sys.executable, str(script), "--engine", engine, "--seconds", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
