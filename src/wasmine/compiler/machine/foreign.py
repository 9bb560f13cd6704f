"""`Foreign`: any Python that has cffi, which is a part of PyPy, and quick there: its ctypes takes a thousand times as long.
CPython with the package cffi serves in tests.

Whoever calls a C function that way gives up the GIL, and a function that calls Python takes it. So machine code need not do
either. What Python code raises is kept until `enter` returns.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import sys
import threading
from typing import TYPE_CHECKING, Any, ClassVar, Final

from wasmine.compiler.machine.layout import Data
from wasmine.runtime import recursion

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable
    from types import TracebackType

_ANSWER: Final = 1 << 32
"""Added to what a service returns, where CPython has the object of an int: 0 says that there is an exception instead."""

_FOR_C: Final = 512 << 10
"""How many bytes of a native stack C functions can use when Python code has used all that is granted it (PyPy)."""


class Foreign:
    """See `machine.python.Python`."""

    native: ClassVar[bool] = False
    keeps_lock: ClassVar[bool] = False

    def __init__(self) -> None:
        self._objects: dict[int, Any] = {}
        self._raised = _Raised()
        self._library = _Library()

    def fill(self, set: Callable[[int, int], None]) -> None:
        make, keep = self._library.callback, self._raised.keep
        set(Data.CALL_FUNCTION, make(self._call, keep, 0, "word", "word", "word", "word", "number", "word", "word"))
        set(Data.CHECK_SIGNALS, make(_look, keep, -1, "int"))
        set(Data.SET_NONE, make(self._raise, keep, 0, "int", "word"))
        # The result of CALL_FUNCTION is no object: it is the number already, and nobody counts references.
        same = _address_of("labs")
        set(Data.AS_LONG, same)
        set(Data.DECREF, same)
        # The GIL is given up when machine code begins. What Thread.STATE is to be then is not 0.
        set(Data.SAVE_THREAD, _address_of("pthread_self"))
        set(Data.RESTORE_THREAD, same)

    def entry(self, address: int) -> Callable[[Any], int]:
        call, raised = self._library.function(address, "int", "word"), self._raised

        def enter(frame: int) -> int:
            raised.error = None
            trapped: int = call(frame)
            if trapped and (error := raised.error) is not None:
                raised.error = None
                raise error
            return trapped

        return _with_room(enter) if recursion.PYPY else enter

    def stack(self, size: int) -> int:
        return min(size, recursion.room(size) + _FOR_C) if recursion.PYPY else size

    def word(self, value: int) -> Any:
        return value

    def reference(self, value: object) -> int:
        self._objects[id(value)] = value
        return id(value)

    def leases(self, release: Callable[[int], None]) -> Finalizers:
        return Finalizers(release)

    def alive(self, reference: weakref.ref[Any], number: int, type: type) -> Any:
        found = reference()
        if found is None:
            # This takes long, and happens only when a finalizer calls wasm code that is garbage like itself.
            found = next(value for value in gc.get_objects() if value.__class__ is type and id(value) == number)
        return found

    def collect(self) -> None:
        gc.collect()

    def view(self, address: int, size: int, owner: object) -> memoryview:
        return self._library.view(address, size, owner)

    def function(self, address: int, parameters: int) -> Callable[..., int]:
        return self._library.function(address, "word", *["word"] * parameters)

    def quick(self, name: str) -> Any:
        return getattr(_libc, name)

    # ------------------------------------------------------------------------------------------------ from machine code

    def _call(self, function: int, _: int, context: int, service: int, frame: int, reply: int) -> int:
        answer: int = self._objects[function](context, service, frame, reply)
        return _ANSWER | answer

    def _raise(self, exception: int) -> int:
        raise self._objects[exception]


def _look() -> int:
    # Python's signal handlers run between two instructions of Python code; in compiled code at the end of a loop's turn.
    for _ in range(2):
        pass
    return 0


def _with_room(enter: Callable[[Any], int]) -> Callable[[Any], int]:
    """`enter` with as much room for Python code on the native stack as wasm code has."""
    nesting = _Nesting()

    def enter_with_room(frame: Any) -> int:
        if nesting.inside:
            return enter(frame)
        recursion.limit.acquire()
        nesting.inside = True
        try:
            return enter(frame)
        finally:
            nesting.inside = False
            recursion.limit.release()

    return enter_with_room


class _Nesting(threading.local):
    """Whether this thread is in a call of wasm code."""

    inside = False


class _Raised(threading.local):
    """What Python code has raised on this thread that machine code called, while machine code returns to `enter`."""

    error: BaseException | None = None

    def keep(self, type: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        while True:
            try:
                self.error = error
                return
            except BaseException as another:  # of a signal handler
                error = another


class Finalizers:
    """Leases that end by `__del__`: PyPy finalizes an object after those that refer to it, cycles aside."""

    def __init__(self, release: Callable[[int], None]) -> None:
        self._release = release

    def new(self, number: int) -> object:
        return _Lease(number, self._release)


class _Lease:
    __slots__ = ("_number", "_release")

    def __init__(self, number: int, release: Callable[[int], None]) -> None:
        self._number = number
        self._release = release

    def __del__(self, ends: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ends():
            self._release(self._number)


# ------------------------------------------------------------------------------------------------ calls of and from C

_libc: Final = ctypes.CDLL(None)


def _address_of(name: str) -> int:
    found = ctypes.cast(getattr(_libc, name), ctypes.c_void_p).value
    assert found is not None
    return found


class _Library:
    """cffi: C functions called, and made of Python ones. Types are `word` (unsigned, 8 bytes), `number` (unsigned, 4 bytes)
    and `int`.
    """

    def __init__(self) -> None:
        self._backend: Any = importlib.import_module("_cffi_backend")
        names = {"word": "unsigned long", "number": "unsigned int", "int": "int"}
        self._types = {name: self._backend.new_primitive_type(c) for name, c in names.items()}
        self._bytes = self._backend.new_pointer_type(self._backend.new_primitive_type("unsigned char"))
        self._kept: list[Any] = []

    def _type(self, result: str, parameters: tuple[str, ...]) -> Any:
        types = self._types
        return self._backend.new_function_type(tuple(types[name] for name in parameters), types[result], False)

    def function(self, address: int, result: str, *parameters: str) -> Callable[..., Any]:
        """The C function at an address. The GIL is given up while it runs."""
        found: Callable[..., Any] = self._backend.cast(self._type(result, parameters), address)
        return found

    def callback(
        self, function: Callable[..., int], failed: Callable[..., None], error: int, result: str, *parameters: str
    ) -> int:
        """The address of a C function that calls a Python one.

        If anything is raised then, even before the function begins, `failed` gets it, as `sys.exc_info` has it, and the
        result is `error`.
        """
        made = self._backend.callback(self._type(result, parameters), function, error, failed)
        self._kept.append(made)
        return int(self._backend.cast(self._types["word"], made))

    def view(self, address: int, size: int, owner: object) -> memoryview:
        """See `machine.python.Python`."""
        # On PyPy a view of a ctypes object does not keep this alive. What is to be called when the pointer goes holds it.
        pointer = self._backend.gcp(self._backend.cast(self._bytes, address), lambda _: owner)
        return memoryview(self._backend.buffer(pointer, size)).cast("B")
