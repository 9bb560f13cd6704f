"""Scripts in processes of their own: what they test ends processes, or is about how processes end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import skip_unless_available

SOURCE = Path(__file__).parents[3] / "src"

PRELUDE = """
import ctypes, faulthandler, gc, os, resource, signal, sys, threading, time
import wasmine
from wasmine import Trap, TrapKind

def instance(text, imports=None, runtime=None, name=None):
    return (runtime or wasmine.Runtime("compiler")).instantiate(text, imports, name)

LOAD = '(module (memory 1) (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))'

def trapped(function, *args):
    try:
        function(*args)
    except Trap as trap:
        return trap.kind
    return None

def resident():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * 4096
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run() -> Run:
    """`run(script, *interpreter options, before="...")`: the script after the prelude, in a process of its own.

    `before` is a shell command that sets limits. `python` is another interpreter.
    """
    skip_unless_available("compiler")

    def run(
        script: str, *options: str, before: str = "true", python: str = sys.executable
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", f'ulimit -c 0; {before} && exec "$@"', "sh", python, *options, "-c", PRELUDE + script],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def expect(done: subprocess.CompletedProcess[str], output: str) -> None:
    """The script ended well and printed this."""
    assert (done.returncode, done.stdout.strip()) == (0, output), done.stderr
