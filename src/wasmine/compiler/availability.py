"""Whether the compiler engine can be used here. Importing this needs nothing that some interpreter lacks."""

from __future__ import annotations

import functools
import platform
import sys


@functools.cache
def unavailable() -> str:
    """Why the compiler engine cannot be used in this process, or "" if it can."""
    if sys.implementation.name != "cpython":
        return f"the compiler needs CPython, this is {sys.implementation.name}"
    if not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "AMD64"):
        return f"there is no machine code for {sys.platform} on {platform.machine()}"
    if sys.maxsize < 1 << 32:
        return "there is no machine code for 32-bit processes"
    try:
        from wasmine.compiler.engine import template_library
        from wasmine.compiler.machine import glue

        template_library()
        glue.load().install_faults()
    except ImportError as error:  # ctypes: sub-interpreters with a lock of their own cannot have it
        return f"the compiler needs a module that cannot be imported here: {error}"
    except (OSError, MemoryError, ValueError, AttributeError) as error:
        return str(error)
    return ""
