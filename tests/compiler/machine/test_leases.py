"""Leases that end where no Python code can run any more, and leases that were left at the end of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from wasmine.compiler.availability import unavailable

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())

SCRIPT = """
import sys
from wasmine.compiler.machine import python
released = []
leases = python.host().leases(released.append)
kept = [leases.new(number) for number in range(1, 101)]
early = leases.new(1000)
del early
if not hasattr(sys, "getrefcount"):
    print("end")
    sys.exit()
assert released == [1000]

deep = [leases.new(2000 + number) for number in range(50)]

def descend():
    # Near the limit one lease after the other goes, and its destructor finds no room.
    try:
        descend()
    finally:
        if deep:
            deep.pop()

sys.unraisablehook = id  # written in C: it needs no room
try:
    descend()
except RecursionError:
    pass
assert 0 < len(released) < 51, len(released)  # some could not be released
others = [bytes([number % 256] * 15) for number in range(5000)]  # of the same size: some are where those were
print("end")
"""


def test_the_process_ends_in_peace() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
