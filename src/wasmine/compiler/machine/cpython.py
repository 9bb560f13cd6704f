"""`CPython`: machine code calls CPython's stable ABI, and knows objects by their addresses."""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

from wasmine.compiler.machine.layout import PYTHON_FUNCTIONS, PYTHON_OBJECTS, Data
from wasmine.compiler.machine.pytype import int_layout, items_offset, type_offset

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable

_api: Final = ctypes.pythonapi
_address: Final = ctypes.c_void_p
_word: Final = ctypes.c_size_t
_from_address: Final = ctypes.PYFUNCTYPE(ctypes.py_object, _address)(("Py_NewRef", _api))
_keep: Final = ctypes.PYFUNCTYPE(None, ctypes.py_object)(("Py_IncRef", _api))
_new_capsule: Final = ctypes.PYFUNCTYPE(ctypes.py_object, _address, _address, _address)(("PyCapsule_New", _api))
_capsule_pointer: Final = ctypes.PYFUNCTYPE(_address, _address, _address)(("PyCapsule_GetPointer", _api))
_set_destructor: Final = ctypes.PYFUNCTYPE(ctypes.c_int, _address, _address)(("PyCapsule_SetDestructor", _api))
_quick: Final = ctypes.PyDLL(None)  # its functions do not let other threads run: a tenth of a microsecond

_CAPSULE_SIZE: Final = object.__basicsize__ + 4 * 8  # what it points to, name, context, destructor


class CPython:
    """See `machine.python.Python`."""

    native: ClassVar[bool] = True
    keeps_lock: ClassVar[bool] = True

    def fill(self, set: Callable[[int, int], None]) -> None:
        for offset, name in PYTHON_FUNCTIONS.items():
            set(offset, ctypes.cast(getattr(_api, name), _address).value or 0)
        for offset, value in PYTHON_OBJECTS.items():
            set(offset, self.reference(value))
        set(Data.TYPE, type_offset())
        set(Data.TUPLE_ITEMS, items_offset())
        for offset, value in zip((Data.INT_MASK, Data.INT_ZERO, Data.INT_DIGIT), int_layout(), strict=True):
            set(offset, value)

    def entry(self, address: int) -> Callable[[Any], int]:
        # Called with the GIL, and errors of Python are looked for afterwards. Without a declared parameter, so that ctypes
        # has nothing to convert: it would hide a RecursionError from there in an error of its own.
        return ctypes.PYFUNCTYPE(ctypes.c_int)(address)

    def stack(self, size: int) -> int:
        return size

    word: ClassVar[Any] = ctypes.c_size_t

    def reference(self, value: object) -> int:
        _keep(value)
        return id(value)

    def leases(self, release: Callable[[int], None]) -> Capsules:
        return Capsules(release)

    def alive(self, reference: weakref.ref[Any], number: int, type: type) -> Any:
        # It is whole until it is deallocated, and then nobody can ask for it.
        return reference() or _from_address(number)

    def collect(self) -> None:
        pass

    def view(self, address: int, size: int, owner: object) -> memoryview:
        array = _bytes(size).from_address(address)
        array.owner = owner
        return memoryview(array).cast("B")

    def function(self, address: int, parameters: int) -> Callable[..., int]:
        return ctypes.PYFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * parameters)(address)

    def quick(self, name: str) -> Any:
        return getattr(_quick, name)


@functools.cache
def _bytes(size: int) -> Any:
    # A subclass, which can have attributes.
    return type("Bytes", (ctypes.c_ubyte * size,), {})


class Capsules:
    """Leases that end when they are deallocated.

    That is later than a finalizer or the callback of a weak reference: the garbage collector calls these before it takes
    anything apart, and other finalizers that it calls then may still use what is to be released. Objects of every class
    that is written in Python are tracked by the collector, so these are capsules.
    """

    def __init__(self, release: Callable[[int], None]) -> None:
        pointer = _capsule_pointer
        out: dict[int, int] = {}

        def destroy(capsule: int) -> None:
            number = pointer(capsule, None)
            del out[number]
            release(number)

        self._out: dict[int, int] = out  # addresses of capsules, by number
        self._destructor = ctypes.PYFUNCTYPE(None, _address)(destroy)
        atexit.register(self._forget)

    def new(self, number: int) -> object:
        found: object = _new_capsule(number, None, self._destructor)
        self._out[number] = id(found)
        return found

    def _forget(self) -> None:
        """The interpreter takes itself apart now: when what is left is deallocated, no Python code can run any more."""
        ours = ctypes.cast(self._destructor, _address).value or 0
        with suppress(OSError), open("/proc/self/mem", "rb", buffering=0) as memory:  # noqa: PTH123
            while self._out:
                number, capsule = self._out.popitem()
                # A destructor that was called near the recursion limit could not run: then there is no capsule any more.
                with suppress(OSError, OverflowError, ValueError):
                    found = os.pread(memory.fileno(), _CAPSULE_SIZE, capsule)
                    if number.to_bytes(8, "little") in found and ours.to_bytes(8, "little") in found:
                        _set_destructor(capsule, None)
