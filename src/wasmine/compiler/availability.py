"""Whether the compiler engine can be used here. Importing this needs nothing that some interpreter lacks."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any


@functools.cache
def unavailable() -> str:
    """Why the compiler engine cannot be used in this process, or "" if it can."""
    if sys.implementation.name not in ("cpython", "pypy"):
        return f"the compiler needs CPython or PyPy, this is {sys.implementation.name}"
    if not sys.platform.startswith("linux"):
        return f"there is no machine code for {sys.platform}"
    if sys.maxsize < 1 << 32:
        return "there is no machine code for 32-bit processes"
    if _in_sub_interpreter():
        return "the compiler serves the main interpreter of a process only"
    try:
        from wasmine.compiler.engine import template_library
        from wasmine.compiler.machine import glue

        template_library()
        glue.load().install_faults()
    except ImportError as error:  # ctypes is missing from some builds of Python
        return f"the compiler needs a module that cannot be imported here: {error}"
    except (OSError, MemoryError, ValueError, AttributeError) as error:
        return str(error)
    return ""


def _in_sub_interpreter() -> bool:
    # Signal handlers run in the main interpreter, and others must not have daemon threads.
    for name in ("_interpreters", "_xxsubinterpreters", "concurrent.interpreters"):  # the last one from 3.14 on, slower
        try:
            interpreters: Any = importlib.import_module(name)
        except ImportError:
            continue
        return bool(interpreters.get_current() != interpreters.get_main())
    return False
