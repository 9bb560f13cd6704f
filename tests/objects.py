"""When objects go, and what they take: what tests have to know of that, on each Python."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Final

COUNTED: Final = hasattr(sys, "getrefcount")
"""Whether Python counts references: what nobody refers to goes at once, unless it refers to itself."""

_collect: Final = gc.collect


def collect_thoroughly() -> None:
    """Make `gc.collect` one that collects everything. On PyPy an object is finalized in the collection after that of who
    refers to it.
    """
    if not COUNTED:
        gc.collect = lambda generation=2: sum(_collect(generation) or 0 for _ in range(4))


def let_go() -> None:
    """From here on what nobody refers to is gone, where Python does not see to it by itself."""
    if not COUNTED:
        gc.collect()


def peak_of(call: Callable[[], object]) -> int:
    """The most memory in bytes that Python takes at a time for `call()`; 0 where it does not count."""
    try:
        import tracemalloc
    except ImportError:  # PyPy
        call()
        return 0
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def allocated_blocks() -> int:
    """How many objects there are, more or less; always the same number where Python does not count."""
    return sys.getallocatedblocks() if COUNTED else 0
