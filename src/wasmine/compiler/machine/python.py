"""What machine code needs of the Python that runs it: `host`.

Machine code calls Python, looks for its signals, and gives up and takes back its global lock (GIL). It does that through
functions whose addresses lie in the data page, and knows objects by numbers. What these are is here, and nowhere else:

- `cpython`: the functions are those of CPython's C interface, the numbers are addresses of objects. So machine code can
  read arguments, make results and call host functions by itself (`native`).
- `foreign`: for any Python that has cffi, to call C functions and to make some that call Python. All calls between Python
  and wasm go through `enter` and the service `HOST_CALL`, which convert values in Python.
"""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable


class Leases(Protocol):
    """Makes objects that stand for numbers, with which a function is called when nobody can reach them any more."""

    def new(self, number: int) -> object:
        """An object for a number, which is not 0 and unlike all others that are out."""
        ...


class Python(Protocol):
    """A Python implementation, as machine code sees it."""

    native: ClassVar[bool]  # whether machine code may work with objects
    keeps_lock: ClassVar[bool]  # whether a call of wasm code begins with the GIL held

    def fill(self, set: Callable[[int, int], None]) -> None:
        """Set the fields of the data page that are Python's."""
        ...

    def entry(self, address: int) -> Callable[[Any], int]:
        """The hand-written `enter`, which lies there, as a function of Python. Its argument is the frame, as `word` gives
        it; it raises what Python code raised that the wasm code had called.
        """
        ...

    def stack(self, size: int) -> int:
        """How many bytes of a native stack of this size Python code can use, and so wasm code that calls it."""
        ...

    def word(self, value: int) -> Any:
        """An unsigned number of 8 bytes, as an argument for `entry`."""
        ...

    def reference(self, value: object) -> int:
        """The number of an object, which lives on until the process ends."""
        ...

    def leases(self, release: Callable[[int], None]) -> Leases:
        """Leases of numbers with which `release` is called. Not when the process ends."""
        ...

    def alive(self, reference: weakref.ref[Any], number: int, type: type) -> Any:
        """An object that is there, by a weak reference, its `id` and its type.

        The collector clears weak references to garbage before it runs the garbage's finalizers, and these may call machine
        code that needs the object.
        """
        ...

    def collect(self) -> None:
        """Have what nobody can reach give back what it holds, if that does not happen by itself."""
        ...

    def view(self, address: int, size: int, owner: object) -> memoryview:
        """Bytes in memory. `owner` lives as long as the view or a slice of it does."""
        ...

    def function(self, address: int, parameters: int) -> Callable[..., int]:
        """A function of the hand-written machine code that never waits: of unsigned numbers of 8 bytes, to one."""
        ...

    def quick(self, name: str) -> Any:
        """A function of the C library that never waits, by the quickest way."""
        ...


@functools.cache
def host() -> Python:
    """The one that runs."""
    if hasattr(ctypes, "pythonapi"):
        from wasmine.compiler.machine.cpython import CPython

        return CPython()
    from wasmine.compiler.machine.foreign import Foreign

    return Foreign()
