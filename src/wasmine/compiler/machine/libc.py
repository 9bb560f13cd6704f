"""The C library's functions that the compiler engine needs, through ctypes. Linux and the BSDs' names and numbers."""

from __future__ import annotations

import ctypes
import itertools
import mmap
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.machine import python

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE: Final = mmap.PAGESIZE
PROT_NONE: Final = 0
PROT_READ: Final = 1
PROT_WRITE: Final = 2
PROT_EXEC: Final = 4
_MAP_PRIVATE: Final = 2
_MAP_FIXED: Final = 0x10
_MAP_ANONYMOUS: Final = 0x20 if sys.platform.startswith("linux") else 0x1000
MAP_NORESERVE: Final = 0x4000 if sys.platform.startswith("linux") else 0
_MADV_DONTNEED: Final = 4
_PTHREAD_CREATE_DETACHED: Final = 1
_FAILED: Final = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_address = ctypes.c_void_p
_size = ctypes.c_size_t
_int = ctypes.c_int


def _declare(name: str, result: object, *parameters: object) -> ctypes._NamedFuncPointer:
    return _declared(getattr(_libc, name), result, *parameters)


def _declared(function: Any, result: object, *parameters: object) -> ctypes._NamedFuncPointer:
    function.restype = result
    function.argtypes = parameters
    found: ctypes._NamedFuncPointer = function
    return found


def _declare_quick(name: str, result: object, *parameters: object) -> ctypes._NamedFuncPointer:
    """A function that never waits, and whose `errno` nobody wants to know.

    CPython keeps that in a dictionary of the thread. Where the thread ends it would make another one, and lose it.
    """
    return _declared(python.host().quick(name), result, *parameters)


_mmap = _declare("mmap", _address, _address, _size, _int, _int, _int, ctypes.c_int64)
_mprotect = _declare("mprotect", _int, _address, _size, _int)
_munmap = _declare("munmap", _int, _address, _size)
_madvise = _declare("madvise", _int, _address, _size, _int)
_sigaction = _declare("sigaction", _int, _int, _address, _address)
_pthread_attr_init = _declare("pthread_attr_init", _int, _address)
_pthread_attr_setdetachstate = _declare("pthread_attr_setdetachstate", _int, _address, _int)
_pthread_attr_setstacksize = _declare("pthread_attr_setstacksize", _int, _address, _size)
_pthread_key_create = _declare("pthread_key_create", _int, _address, _address)
_pthread_getspecific = _declare_quick("pthread_getspecific", _address, ctypes.c_uint)
_pthread_setspecific = _declare_quick("pthread_setspecific", _int, ctypes.c_uint, _address)
_quick_sigaction = _declare_quick("sigaction", _int, _int, _address, _address)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def map_memory(size: int, protection: int, *, at: int | None = None) -> int:
    """The address of `size` bytes of fresh private memory; at a fixed address, replacing what is there. OSError."""
    flags = _MAP_PRIVATE | _MAP_ANONYMOUS | MAP_NORESERVE | (_MAP_FIXED if at is not None else 0)
    found = _mmap(at, size, protection, flags, -1, 0)
    if found is None or found == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot map {size} bytes: {os.strerror(number)}")
    return int(found)


def map_file(descriptor: int, size: int, protection: int, at: int) -> None:
    """Have the contents of a file at a fixed address, replacing what is there; what is written is private. OSError."""
    if _mmap(at, size, protection, _MAP_PRIVATE | _MAP_FIXED | MAP_NORESERVE, descriptor, 0) != at:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot map {size} bytes of a file: {os.strerror(number)}")


def protect(address: int, size: int, protection: int) -> None:
    """Change the protection of whole pages. OSError."""
    if not size:
        return  # emulators refuse it
    _check(_mprotect(address, size, protection), f"cannot change the protection of {size} bytes")


def unmap(address: int, size: int) -> None:
    """Give pages back. OSError."""
    _check(_munmap(address, size), f"cannot unmap {size} bytes")


def discard(address: int, size: int) -> None:
    """Forget the contents of whole private pages: they read as zero afterwards. OSError."""
    _check(_madvise(address, size, _MADV_DONTNEED), f"cannot discard {size} bytes")


def round_up(size: int, unit: int = PAGE) -> int:
    """The next multiple of `unit`, a power of two."""
    return (size + unit - 1) & -unit


def detached_thread(stack: int) -> int:
    """The address of attributes for `pthread_create`, of a thread that nobody joins. OSError."""
    attributes = map_memory(PAGE, PROT_READ | PROT_WRITE)
    if (
        _pthread_attr_init(attributes)
        or _pthread_attr_setdetachstate(attributes, _PTHREAD_CREATE_DETACHED)
        or _pthread_attr_setstacksize(attributes, stack)
    ):
        raise OSError("the attributes of a thread cannot be had")
    return attributes


def new_thread_key() -> int:
    """A key for `pthread_setspecific`. OSError."""
    key = ctypes.c_uint()
    if _pthread_key_create(ctypes.byref(key), None):
        raise OSError("no more thread-specific keys are to be had")
    return key.value


def set_thread_specific(key: int, value: int) -> None:
    """The calling thread's value of a key."""
    if _pthread_setspecific(key, value):
        raise OSError("the thread-specific value cannot be set")


def thread_specific(key: int) -> int:
    """What `set_thread_specific` gave the calling thread, 0 if nothing."""
    return _pthread_getspecific(key) or 0


def function_address(name: str) -> int:
    """The address of a C function, for machine code to call."""
    found = ctypes.cast(getattr(_libc, name), ctypes.c_void_p).value
    assert found is not None
    return found


class SignalAction(ctypes.Structure):
    """glibc's and musl's `struct sigaction` on 64-bit Linux."""

    _fields_ = (
        ("handler", ctypes.c_uint64),
        ("mask", ctypes.c_uint8 * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_uint64),
    )


def signal_action(number: int) -> SignalAction:
    """What is installed for a signal."""
    found = SignalAction()
    _check(_sigaction(number, None, ctypes.byref(found)), f"cannot read the handler of signal {number}")
    return found


def set_signal_action(number: int, action: SignalAction) -> None:
    """Install a handler."""
    _check(_sigaction(number, ctypes.byref(action), None), f"cannot install a handler of signal {number}")


class SignalWatch(threading.local):
    """What is installed for some signals, looked up as often as one likes. Each thread has a place of its own for it."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._action = SignalAction()
        self._queries = [(number, None, ctypes.addressof(self._action)) for number in numbers]

    def all_are(self, handler: int) -> bool:
        """Whether this is the handler of all of them."""
        action = self._action
        for query in self._queries:
            _quick_sigaction(*query)
            if action.handler != handler:
                return False
        return True


_waiting: Final[dict[int, Callable[[], None]]] = {}
_numbers: Final = itertools.count(1)
_actions: Final = python.host().leases(lambda number: _waiting.pop(number)())


def when_deallocated(action: Callable[[], None]) -> object:
    """An object that calls `action` when nobody can reach it any more."""
    number = next(_numbers)
    _waiting[number] = action
    return _actions.new(number)
