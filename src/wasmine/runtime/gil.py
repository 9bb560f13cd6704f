"""`FREE_THREADED`: whether this is a Python whose threads can run at the same time (PEP 703), and whether they do.

What protects Wasmine then is written where it is: ownership of instances, locks, and single operations of dictionaries,
lists and sets, which Python promises to be whole.
"""

from __future__ import annotations

import sys
from typing import Final

FREE_THREADED: Final = "t" in getattr(sys, "abiflags", "")
"""It was built without a global interpreter lock. There may be one all the same (`PYTHON_GIL=1`), or from any moment on."""


def enabled() -> bool:
    """Whether there is a global interpreter lock now."""
    ask = getattr(sys, "_is_gil_enabled", None)  # from 3.13 on
    return ask is None or bool(ask())
