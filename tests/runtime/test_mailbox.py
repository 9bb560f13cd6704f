"""Mailboxes, and that signals do not make their readers wait longer."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

from wasmine.runtime.mailbox import Mailbox


def test_items_come_in_their_order() -> None:
    box: Mailbox[int] = Mailbox()
    for number in range(3):
        box.put(number)
    assert [box.get(), box.get(0), box.get(60)] == [0, 1, 2]
    assert not box


def test_nothing_comes_of_an_empty_box() -> None:
    box: Mailbox[int] = Mailbox()
    box.put(1)
    box.clear()
    assert box.get(0.01) is None


def test_a_reader_waits_for_an_item() -> None:
    box: Mailbox[int] = Mailbox()
    timer = threading.Timer(0.02, box.put, (7,))
    timer.start()
    assert box.get() == 7


def test_many_put_while_the_reader_wakes() -> None:
    """CPython 3.13 hands a lock over to who has waited for a millisecond; its debug build aborts if it is released again
    before that thread runs.
    """
    box: Mailbox[int] = Mailbox()
    count = 200

    def put() -> None:
        for number in range(count):
            time.sleep(0.002)
            for _ in range(3):
                box.put(number)

    putting = [threading.Thread(target=put) for _ in range(2)]
    for thread in putting:
        thread.start()
    found = sorted(box.get(60) for _ in range(count * 2 * 3))  # type: ignore[type-var]
    for thread in putting:
        thread.join()
    assert found == sorted(list(range(count)) * 6)
    assert not box


def test_waiting_ends_in_a_rain_of_signals() -> None:
    box: Mailbox[int] = Mailbox()
    ended = threading.Event()

    def wait() -> None:
        for _ in range(300):
            assert box.get(0.0005) is None
        ended.set()

    before: Any = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        reader = threading.Thread(target=wait)
        reader.start()
        end = time.monotonic() + 60
        while not ended.is_set():
            assert time.monotonic() < end
            time.sleep(0.001)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    reader.join()


def test_a_reader_may_be_willing_to_wait_for_centuries() -> None:
    box: Mailbox[int] = Mailbox()
    timer = threading.Timer(0.02, box.put, (7,))
    timer.start()
    assert box.get(1e300) == 7
