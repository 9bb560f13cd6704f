"""Machine code and a Python of which it knows nothing, as on PyPy: the engine's tests again, that way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import skip_unless_available

TESTS = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "tests",
    ["compiler/test_engine.py", "runtime/test_signals.py runtime/test_limits.py runtime/test_several_threads.py"],
)
def test_by_functions_that_call_python(tests: str) -> None:
    skip_unless_available("compiler")
    pytest.importorskip("_cffi_backend", reason="CPython takes PyPy's way by the package cffi")
    if sys.implementation.name != "cpython":
        pytest.skip("this Python takes that way by itself")
    path = os.pathsep.join([str(TESTS / "pypy"), *filter(None, sys.path)])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "foreign", "-p", "no:cacheprovider"]
    command += ["-k", "not thousand and not interpreter", *(str(TESTS / name) for name in tests.split())]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, cwd=TESTS.parent, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
