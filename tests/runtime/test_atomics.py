"""Atomic accesses one by one and from many threads; waiting and notifying."""

from __future__ import annotations

import _thread
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmine.errors import Trap, TrapKind
from wasmine.format.instructions import BY_NAME, INSTRUCTIONS
from wasmine.runtime.atomics import ATOMICS, NOT_EQUAL, TIMED_OUT, WOKEN, Monitor

FOREVER = 2**64 - 1  # -1 as an i64
ACCESSES = [name for name in ATOMICS if not name.startswith("memory.")]
words = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 0x80, 0xFF, 0x8000, 2**31, 2**32 - 1, 2**63, 2**64 - 1])


def size(name: str) -> int:
    """How many bytes an access touches, by its name."""
    found = re.search(r"(?:load|store|rmw)(8|16|32)", name)
    return int(found[1] if found else name[1:3]) // 8


@pytest.fixture
def monitor() -> Monitor:
    return Monitor(shared=True)


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Waiter(threading.Thread):
    """A thread that waits; `result` is what the wait returned."""

    def __init__(self, monitor: Monitor, buffer: bytearray, address: int = 0, expected: int = 0) -> None:
        super().__init__(daemon=True)
        self.result: Any = None
        self._arguments = (monitor, buffer, address, expected, FOREVER)
        before = monitor.waiting(address)
        self.start()
        until(lambda: monitor.waiting(address) > before)

    def run(self) -> None:
        self.result = ATOMICS["memory.atomic.wait32"](*self._arguments)

    def awaited(self) -> Any:
        self.join(timeout=20)  # so that a mistake is a failure and not a hanging test
        return self.result


def until(condition: Callable[[], bool]) -> None:
    """Let other threads run until a condition holds."""
    while not condition():
        time.sleep(0)


def in_threads(count: int, work: Callable[[], None]) -> None:
    """Do some work in several threads at the same time."""
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---------------------------------------------------------------------------------------------------- one access


def test_every_instruction_but_the_fence_has_a_meaning() -> None:
    assert set(ATOMICS) == {instruction.name for instruction in INSTRUCTIONS if instruction.is_atomic} - {
        "atomic.fence"
    }


@pytest.mark.parametrize("name", ACCESSES)
def test_meaning(name: str) -> None:
    wide = BY_NAME[name].params
    assert wide is not None
    operand_mask = 2 ** (32 if wide.endswith("i") else 64) - 1
    bytes_touched = size(name)
    operation = re.sub(r"_u$|\d+$", "", name.rpartition(".")[2].replace("_u", ""))

    @given(words, words, words, st.booleans(), st.booleans())
    def check(before: int, first: int, second: int, equal: bool, view: bool) -> None:
        modulus = 2 ** (8 * bytes_touched)
        old = before % modulus
        operands = [first & operand_mask, second & operand_mask][: len(wide) - 1]
        if operation == "cmpxchg" and equal:
            operands[0] = old
        new = {
            "load": lambda: old,
            "store": lambda x: x,
            "add": lambda x: old + x,
            "sub": lambda x: old - x,
            "and": lambda x: old & x,
            "or": lambda x: old | x,
            "xor": lambda x: old ^ x,
            "xchg": lambda x: x,
            "cmpxchg": lambda expected, x: x if expected % modulus == old else old,
        }[operation](*operands)
        memory = bytearray(b"\xaa" * 8 + before.to_bytes(8, "little") + b"\xbb" * 8)
        buffer = memoryview(memory) if view else memory
        result = ATOMICS[name](Monitor(False), buffer, 8, *operands)
        assert result == (None if operation == "store" else old)
        rest = before.to_bytes(8, "little")[bytes_touched:]
        assert memory == b"\xaa" * 8 + (new % modulus).to_bytes(bytes_touched, "little") + rest + b"\xbb" * 8

    check()


@pytest.mark.parametrize("name", ATOMICS)
def test_accesses_must_be_aligned_and_inside(name: str) -> None:
    bytes_touched = 1 << BY_NAME[name].alignment
    operands = [0] * (len(BY_NAME[name].params or "") - 1)
    memory = bytearray(32)
    for address in [*range(1, bytes_touched), *range(33, 32 + bytes_touched)]:
        with pytest.raises(Trap) as caught:
            ATOMICS[name](Monitor(True), memory, address, *operands)
        assert caught.value.kind is TrapKind.UNALIGNED_ATOMIC
    for address in (32, 2**32, 2**64 - 8, 2**64 + 8):
        with pytest.raises(Trap) as caught:
            ATOMICS[name](Monitor(True), memory, address, *operands)
        assert caught.value.kind is TrapKind.MEMORY_OUT_OF_BOUNDS
    with pytest.raises(Trap):
        ATOMICS[name](Monitor(True), bytearray(0), 0, *operands)
    assert memory == bytes(32)


# ---------------------------------------------------------------------------------------------------- many threads


@pytest.mark.usefixtures("quick_switches")
def test_no_addition_is_lost(monitor: Monitor) -> None:
    memory = bytearray(8)

    def work() -> None:
        for _ in range(2000):
            ATOMICS["i32.atomic.rmw.add"](monitor, memory, 4, 1)

    in_threads(4, work)
    assert int.from_bytes(memory, "little") == 8000 << 32


@pytest.mark.usefixtures("quick_switches")
def test_a_spin_lock_of_exchange_and_store_excludes(monitor: Monitor) -> None:
    memory = bytearray(8)
    count = 0

    def work() -> None:
        nonlocal count
        for _ in range(200):
            while ATOMICS["i32.atomic.rmw8.xchg_u"](monitor, memory, 0, 1):
                time.sleep(0)
            before = count
            time.sleep(0)  # another thread's chance to come in
            count = before + 1
            ATOMICS["i32.atomic.store8"](monitor, memory, 0, 0)

    in_threads(3, work)
    assert count == 600


@pytest.mark.usefixtures("quick_switches")
def test_stores_are_not_lost_in_the_middle_of_a_read_modify_write(monitor: Monitor) -> None:
    """One thread adds 2 for ever; a store of an odd number makes the cell odd until the next store, so it must be seen."""
    memory = bytearray(8)
    done = threading.Event()

    def add() -> None:
        while not done.is_set():
            ATOMICS["i64.atomic.rmw.add"](monitor, memory, 0, 2)

    thread = threading.Thread(target=add)
    thread.start()
    lost = 0
    for i in range(3000):
        ATOMICS["i64.atomic.store"](monitor, memory, 0, i % 2)
        lost += ATOMICS["i64.atomic.load"](monitor, memory, 0) % 2 != i % 2
    done.set()
    thread.join()
    assert lost == 0


# ---------------------------------------------------------------------------------------------------- wait and notify


def test_waiting_needs_a_shared_memory() -> None:
    for name in ("memory.atomic.wait32", "memory.atomic.wait64"):
        with pytest.raises(Trap) as caught:
            ATOMICS[name](Monitor(shared=False), bytearray(8), 0, 0, 0)
        assert caught.value.kind is TrapKind.EXPECTED_SHARED_MEMORY
    assert ATOMICS["memory.atomic.notify"](Monitor(shared=False), bytearray(8), 0, 1) == 0


def test_a_different_value_ends_a_wait_at_once(monitor: Monitor) -> None:
    memory = bytearray((0x1_0000_0000).to_bytes(8, "little"))
    assert ATOMICS["memory.atomic.wait32"](monitor, memory, 0, 1, FOREVER) == NOT_EQUAL
    assert ATOMICS["memory.atomic.wait64"](monitor, memory, 0, 0, FOREVER) == NOT_EQUAL
    assert monitor.waiting(0) == 0


@pytest.mark.parametrize("timeout", [0, 1, 1_000_000])
def test_a_wait_ends_when_its_time_is_over(monitor: Monitor, timeout: int) -> None:
    memory = bytearray((0x1_0000_0000).to_bytes(8, "little"))
    assert ATOMICS["memory.atomic.wait32"](monitor, memory, 4, 1, timeout) == TIMED_OUT
    assert ATOMICS["memory.atomic.wait64"](monitor, memory, 0, 0x1_0000_0000, timeout) == TIMED_OUT
    assert monitor.waiting(0) == monitor.waiting(4) == 0


def test_nobody_waits_and_nobody_is_woken(monitor: Monitor) -> None:
    assert ATOMICS["memory.atomic.notify"](monitor, bytearray(8), 4, 2**32 - 1) == 0


@pytest.mark.parametrize("timeout", [2**63 - 1, 2**63, 2**64 - 1])
def test_very_long_and_negative_timeouts(monitor: Monitor, timeout: int) -> None:
    results: list[int | None] = []
    memory = bytearray(8)

    def wait() -> None:
        results.append(ATOMICS["memory.atomic.wait64"](monitor, memory, 0, 0, timeout))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    until(lambda: bool(ATOMICS["memory.atomic.notify"](monitor, memory, 0, 1)))
    thread.join()
    assert results == [WOKEN]


def test_notify_wakes_as_many_as_it_says_first_come_first_served(monitor: Monitor) -> None:
    memory = bytearray(8)
    waiters = [Waiter(monitor, memory) for _ in range(4)]
    assert ATOMICS["memory.atomic.notify"](monitor, memory, 0, 0) == 0
    assert ATOMICS["memory.atomic.notify"](monitor, memory, 4, 9) == 0
    assert ATOMICS["memory.atomic.notify"](monitor, memory, 0, 1) == 1
    assert waiters[0].awaited() == WOKEN
    assert monitor.waiting(0) == 3
    assert ATOMICS["memory.atomic.notify"](monitor, memory, 0, 2) == 2
    assert [waiter.awaited() for waiter in waiters[1:3]] == [WOKEN, WOKEN]
    assert ATOMICS["memory.atomic.notify"](monitor, memory, 0, 2**32 - 1) == 1
    assert waiters[3].awaited() == WOKEN
    assert monitor.waiting(0) == 0


def test_memories_do_not_hear_each_other(monitor: Monitor) -> None:
    memory, other = bytearray(8), Monitor(shared=True)
    waiter = Waiter(monitor, memory)
    assert ATOMICS["memory.atomic.notify"](other, bytearray(8), 0, 1) == 0
    assert monitor.waiting(0) == 1
    assert ATOMICS["memory.atomic.notify"](monitor, memory, 0, 1) == 1
    assert waiter.awaited() == WOKEN


def test_no_wake_up_is_lost_between_the_comparison_and_the_sleep(monitor: Monitor) -> None:
    """Two threads hand a token to and fro: each waits until the cell is no longer the other's."""
    memory = bytearray(4)

    def play(mine: int) -> None:
        for _ in range(200):
            while (now := ATOMICS["i32.atomic.load"](monitor, memory, 0)) != mine:
                ATOMICS["memory.atomic.wait32"](monitor, memory, 0, now, FOREVER)
            ATOMICS["i32.atomic.store"](monitor, memory, 0, 1 - mine)
            ATOMICS["memory.atomic.notify"](monitor, memory, 0, 1)

    threads = [threading.Thread(target=play, args=(mine,), daemon=True) for mine in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)


def test_ctrl_c_ends_a_wait_and_leaves_no_waiter(monitor: Monitor) -> None:
    memory = bytearray(8)

    def interrupt() -> None:
        until(lambda: monitor.waiting(0) == 1)
        _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    # Whoever runs the tests may have SIGINT ignored, as workers of pytest-xdist have.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            ATOMICS["memory.atomic.wait32"](monitor, memory, 0, 0, FOREVER)
    finally:
        signal.signal(signal.SIGINT, before)
    thread.join()
    assert monitor.waiting(0) == 0
    assert ATOMICS["memory.atomic.notify"](monitor, memory, 0, 1) == 0
