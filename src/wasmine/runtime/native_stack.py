"""The native stack of a thread, the one that C code uses: where it lies."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def _library() -> Any:
    # One for all threads: each time that ctypes opens a library it makes classes, which stay on CPython 3.13 without a GIL.
    import ctypes

    library = ctypes.CDLL(None)
    library.pthread_self.restype = ctypes.c_void_p
    return library


def bounds() -> tuple[int, int]:
    """The lowest address and the size in bytes of the calling thread's native stack.

    OSError where the system does not say, ImportError where Python has no ctypes.
    """
    import ctypes

    try:
        library = _library()
        this, attributes_of, stack_of = library.pthread_self, library.pthread_getattr_np, library.pthread_attr_getstack
    except AttributeError:
        raise OSError("this system does not say where a thread's stack lies") from None
    attributes = ctypes.create_string_buffer(256)  # more than any pthread_attr_t takes
    if attributes_of(ctypes.c_void_p(this()), attributes):
        raise OSError("the bounds of the thread's stack are not to be had")
    low, size = ctypes.c_size_t(), ctypes.c_size_t()
    stack_of(attributes, ctypes.byref(low), ctypes.byref(size))
    library.pthread_attr_destroy(attributes)
    return low.value, size.value
