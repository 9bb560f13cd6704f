"""Atomic instructions (feature threads): accesses to memory that Python threads share, waiting and notifying.

A memory has one `Monitor`, for all instances and threads that use it. `ATOMICS` has a function for each instruction:

    ATOMICS[name](monitor, buffer, address, *operands)

where `buffer` is the memory as a bytearray or a memoryview of bytes, and `address` the effective address (offset added).
Integers are unsigned. The buffer of a shared memory must stay where it is: a thread that waits for the monitor
has it in its hands already when another thread makes the memory grow.

Even with the global interpreter lock a lock is needed: between reading and writing back, another thread may run. Stores
take it too, or they could be lost in the middle of a read-modify-write. Loads are one step and do without; but where there
is no global lock they take it, for the order in which threads see each other's writes.
"""

from __future__ import annotations

import operator
import threading
from struct import Struct
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from wasmine.errors import Trap, TrapKind
from wasmine.format.instructions import INSTRUCTIONS, Instruction
from wasmine.runtime import traps
from wasmine.runtime.deadline import check
from wasmine.runtime.gil import FREE_THREADED

if TYPE_CHECKING:
    from collections.abc import Callable

    Buffer: TypeAlias = bytearray | memoryview
    Atomic: TypeAlias = Callable[..., int | None]

# What a wait returns.
WOKEN: Final = 0
NOT_EQUAL: Final = 1
TIMED_OUT: Final = 2

# A wait sleeps for at most so many seconds at a time, so that Ctrl-C is noticed on every system, and in every thread its
# time limit. A notification ends the sleep at once.
_SLICE: Final = 0.1


class Monitor:
    """The lock of a memory, and the threads that wait at its addresses. `shared` is the memory type's."""

    __slots__ = ("_waiters", "lock", "shared")

    def __init__(self, shared: bool) -> None:
        self.shared = shared
        # Reentrant: a Python signal handler that runs while its thread holds the lock may call wasm itself.
        self.lock = threading.RLock()
        # By address, the waiting threads in the order in which they came (a dict is an ordered set here). A thread waits
        # for a lock of its own, which whoever wakes it up releases.
        self._waiters: dict[int, dict[threading.Lock, None]] = {}

    def wait(self, address: int, unequal: Callable[[], bool], timeout: int) -> int:
        """Wait to be notified at an address, at most `timeout` nanoseconds (forever if negative).

        WOKEN, TIMED_OUT, or NOT_EQUAL at once if `unequal()`, which is asked while no other thread can notify.
        """
        end = None if timeout < 0 else monotonic() + timeout / 1e9
        waiter = threading.Lock()
        waiter.acquire()
        try:
            with self.lock:
                if unequal():
                    return NOT_EQUAL
                self._waiters.setdefault(address, {})[waiter] = None
            _sleep(waiter, end)
        finally:
            # Also after a KeyboardInterrupt: nobody must wake up a thread that has left.
            waiting = self._leave(address, waiter)
        return TIMED_OUT if waiting else WOKEN

    def notify(self, address: int, count: int) -> int:
        """Wake up at most `count` threads that wait at an address, in the order in which they came; how many."""
        woken = 0
        with self.lock:
            queue = self._waiters.get(address)
            while queue and woken < count:
                waiter = next(iter(queue))
                self._remove(address, waiter)
                waiter.release()
                woken += 1
        return woken

    def waiting(self, address: int) -> int:
        """How many threads wait at an address."""
        return len(self._waiters.get(address, ()))

    def _leave(self, address: int, waiter: threading.Lock) -> bool:
        """Stop waiting; whether the thread was still waiting."""
        with self.lock:
            if waiter not in self._waiters.get(address, ()):
                return False
            self._remove(address, waiter)
            return True

    def _remove(self, address: int, waiter: threading.Lock) -> None:
        queue = self._waiters[address]
        del queue[waiter]
        if not queue:
            del self._waiters[address]


def _sleep(waiter: threading.Lock, end: float | None) -> None:
    """Return when the waiter is released, or when the clock has passed `end`."""
    if end is None:
        while not waiter.acquire(timeout=_SLICE):
            check()
        return
    while (left := end - monotonic()) > 0:
        if waiter.acquire(timeout=min(left, _SLICE)):
            return
        check()


# ---------------------------------------------------------------------------------------------------- accesses

_LAYOUTS: Final = tuple(map(Struct, ("<B", "<H", "<I", "<Q")))  # by log2 of the size

_REPLACEMENTS: Final[dict[str, Callable[[int, int], int]]] = {
    "add": operator.add,
    "sub": operator.sub,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "xchg": lambda _, operand: operand,
}
"""What a read-modify-write writes, of the value it read and its operand."""


def _fault(address: int, size: int, length: int) -> NoReturn:
    """Trap: the access is not aligned, or else not inside."""
    if address % size:
        raise traps.unaligned_access(address, size)
    raise traps.memory_access(address, size, length)


def _load(alignment: int) -> Atomic:
    layout = _LAYOUTS[alignment]
    size, unpack = layout.size, layout.unpack_from

    def load(_: Monitor, buffer: Buffer, address: int) -> int:
        if address & size - 1 or address > len(buffer) - size:
            _fault(address, size, len(buffer))
        value: int = unpack(buffer, address)[0]
        return value

    def ordered_load(monitor: Monitor, buffer: Buffer, address: int) -> int:
        with monitor.lock:
            return load(monitor, buffer, address)

    return ordered_load if FREE_THREADED else load


def _store(alignment: int) -> Atomic:
    layout = _LAYOUTS[alignment]
    size, pack = layout.size, layout.pack_into
    mask = (1 << 8 * size) - 1

    def store(monitor: Monitor, buffer: Buffer, address: int, value: int) -> None:
        if address & size - 1 or address > len(buffer) - size:
            _fault(address, size, len(buffer))
        with monitor.lock:
            pack(buffer, address, value & mask)

    return store


def _read_modify_write(alignment: int, replacement: Callable[[int, int], int]) -> Atomic:
    layout = _LAYOUTS[alignment]
    size, unpack, pack = layout.size, layout.unpack_from, layout.pack_into
    mask = (1 << 8 * size) - 1

    def read_modify_write(monitor: Monitor, buffer: Buffer, address: int, operand: int) -> int:
        if address & size - 1 or address > len(buffer) - size:
            _fault(address, size, len(buffer))
        with monitor.lock:
            old: int = unpack(buffer, address)[0]
            pack(buffer, address, replacement(old, operand) & mask)
        return old

    return read_modify_write


def _compare_exchange(alignment: int) -> Atomic:
    """Both operands are wrapped to the size of the access."""
    layout = _LAYOUTS[alignment]
    size, unpack, pack = layout.size, layout.unpack_from, layout.pack_into
    mask = (1 << 8 * size) - 1

    def compare_exchange(monitor: Monitor, buffer: Buffer, address: int, expected: int, new: int) -> int:
        if address & size - 1 or address > len(buffer) - size:
            _fault(address, size, len(buffer))
        with monitor.lock:
            old: int = unpack(buffer, address)[0]
            if old == expected & mask:
                pack(buffer, address, new & mask)
        return old

    return compare_exchange


def _wait(alignment: int) -> Atomic:
    layout = _LAYOUTS[alignment]
    size, unpack = layout.size, layout.unpack_from

    def wait(monitor: Monitor, buffer: Buffer, address: int, expected: int, timeout: int) -> int:
        if address & size - 1 or address > len(buffer) - size:
            _fault(address, size, len(buffer))
        if not monitor.shared:
            raise Trap(TrapKind.EXPECTED_SHARED_MEMORY)
        signed = timeout - ((timeout & 1 << 63) << 1)
        return monitor.wait(address, lambda: bool(unpack(buffer, address)[0] != expected), signed)

    return wait


def _notify(alignment: int) -> Atomic:
    size = 1 << alignment

    def notify(monitor: Monitor, buffer: Buffer, address: int, count: int) -> int:
        if address & size - 1 or address > len(buffer) - size:
            _fault(address, size, len(buffer))
        return monitor.notify(address, count)

    return notify


_MAKERS: Final[dict[str, Callable[[int], Atomic]]] = {
    "load": _load,
    "store": _store,
    "cmpxchg": _compare_exchange,
    "wait": _wait,
    "notify": _notify,
}


def _function(instruction: Instruction) -> Atomic:
    """The function of an instruction: "i64.atomic.rmw16.add_u" and the like say all but the size, the alignment's."""
    operation = instruction.name.rpartition(".")[2].removesuffix("_u").rstrip("0123456789")
    if operation in _REPLACEMENTS:
        return _read_modify_write(instruction.alignment, _REPLACEMENTS[operation])
    return _MAKERS[operation](instruction.alignment)


ATOMICS: Final[dict[str, Atomic]] = {
    instruction.name: _function(instruction)
    for instruction in INSTRUCTIONS
    if instruction.is_atomic and instruction.alignment >= 0
}
"""By instruction name; `atomic.fence` is not here, for it has nothing to do."""
