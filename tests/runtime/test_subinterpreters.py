"""Wasmine in subinterpreters, which may have no daemon threads and get no signals."""

from __future__ import annotations

import subprocess
import sys

import pytest

INSIDE = f"""
import sys
sys.path[:] = {sys.path!r}
import wasmine

SPIN = '(module (func (export "spin") (loop (br 0))) (func (export "answer") (result i32) (i32.const 42)))'
exports = wasmine.Runtime().instantiate(SPIN, limits=wasmine.Limits(timeout=0.1)).exports
for _ in range(3):
    try:
        exports.spin()
    except wasmine.Timeout as error:
        print(str(error).splitlines()[0], exports.answer(), flush=True)
"""

TWICE = """
import sys
from concurrent import interpreters

for _ in range(2):
    made = interpreters.create()
    made.exec(sys.argv[1])
    made.close()
"""


def test_time_limits_hold_in_subinterpreters_and_let_them_end() -> None:
    if sys.version_info < (3, 14):
        pytest.skip("Python has subinterpreters from 3.14 on")
    done = subprocess.run([sys.executable, "-c", TWICE, INSIDE], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, 6 * "the time limit of 0.1 s ran out 42\n", "")
