"""poll_oneoff: clocks and descriptors."""

from __future__ import annotations

import os
import struct
import threading
import time

import pytest
from guest import Guest, clock_subscription, fails, fd_subscription

from wasmine import Timeout
from wasmine.wasi import Errno, FakeClock
from wasmine.wasi.layout import EventType

MILLISECOND = 1_000_000


def test_a_relative_clock_waits_that_long() -> None:
    guest = Guest()
    begin = time.monotonic()
    (event,) = guest.poll(clock_subscription(7, 20 * MILLISECOND))
    assert time.monotonic() - begin >= 0.02
    assert (event.userdata, event.errno, event.type) == (7, Errno.SUCCESS, EventType.CLOCK)


@pytest.mark.parametrize(("clock", "now"), [(0, time.time_ns), (1, time.monotonic_ns)])
def test_an_absolute_clock_waits_until_then(clock: int, now: object) -> None:
    guest = Guest()
    until = now() + 20 * MILLISECOND  # type: ignore[operator]
    guest.poll(clock_subscription(0, until, clock=clock, absolute=True))
    assert now() >= until  # type: ignore[operator]


def test_a_time_that_has_passed_does_not_wait() -> None:
    guest = Guest()
    assert len(guest.poll(clock_subscription(0, 1, absolute=True))) == 1
    assert len(guest.poll(clock_subscription(0, 0))) == 1


def test_the_first_of_several_clocks_wakes() -> None:
    guest = Guest()
    hour = 3600 * 1000 * MILLISECOND
    events = guest.poll(
        clock_subscription(1, hour), clock_subscription(2, 5 * MILLISECOND), clock_subscription(3, hour)
    )
    assert [event.userdata for event in events] == [2]


def test_clocks_that_are_due_together_wake_together() -> None:
    events = Guest(clock=FakeClock()).poll(clock_subscription(1, 5), clock_subscription(2, 5), clock_subscription(3, 6))
    assert [event.userdata for event in events] == [1, 2]


def test_with_a_fake_clock_sleeping_takes_no_time_but_time_passes() -> None:
    guest = Guest(clock=FakeClock())
    guest.call("clock_time_get", 1, 0, 0)
    before = guest.u64()
    begin = time.monotonic()
    year = 365 * 24 * 3600 * 1000 * MILLISECOND
    guest.poll(clock_subscription(0, year))
    assert time.monotonic() - begin < 60
    guest.call("clock_time_get", 1, 0, 0)
    assert guest.u64() == before + year + MILLISECOND


def test_a_clock_that_does_not_exist_is_an_event_with_an_error() -> None:
    (event,) = Guest().poll(clock_subscription(3, 1, clock=9))
    assert (event.userdata, event.errno) == (3, Errno.INVAL)


def test_a_kind_of_event_that_does_not_exist_is_an_error() -> None:
    guest = Guest()
    with fails(Errno.INVAL):
        guest.call("poll_oneoff", guest.put(struct.pack("<QB39x", 1, 9)), 4096, 1, 0)


def test_files_are_always_ready() -> None:
    guest = Guest(mounts={"/": {"a": b"12345"}})
    fd = guest.open("a")
    guest.read(fd, 2)
    read, write = guest.poll(fd_subscription(1, fd), fd_subscription(2, fd, EventType.FD_WRITE))
    assert (read.userdata, read.type, read.available, read.hung_up) == (1, EventType.FD_READ, 3, False)
    assert (write.userdata, write.type, write.errno) == (2, EventType.FD_WRITE, Errno.SUCCESS)
    guest.read(fd, 3)
    (read,) = guest.poll(fd_subscription(1, fd))
    assert (read.available, read.hung_up) == (0, True)


def test_what_cannot_be_read_or_written_is_no_descriptor_for_that() -> None:
    guest = Guest(mounts={"/": {}})
    wrong = [(0, EventType.FD_WRITE), (1, EventType.FD_READ), (3, EventType.FD_READ), (3, EventType.FD_WRITE)]
    events = guest.poll(*(fd_subscription(number, fd, type) for number, (fd, type) in enumerate(wrong)))
    assert [(event.userdata, event.errno) for event in events] == [(number, Errno.BADF) for number in range(4)]


def test_input_hangs_up_at_its_end() -> None:
    guest = Guest(stdin=b"abc")
    for left in (3, 2, 0):
        (event,) = guest.poll(fd_subscription(1, 0))
        assert (event.available, event.hung_up) == (left, not left)
        guest.read(0, 1 if left == 3 else 10)
    (event,) = Guest().poll(fd_subscription(1, 0))
    assert event.hung_up
    (event,) = Guest(stdin=lambda count: b"").poll(fd_subscription(1, 0))
    assert (event.available, event.hung_up) == (1, False)  # nobody knows before it is asked


def test_what_is_ready_keeps_clocks_from_waiting() -> None:
    guest = Guest(stdin=b"x")
    events = guest.poll(clock_subscription(1, 3600 * 1000 * MILLISECOND), fd_subscription(2, 0))
    assert [event.userdata for event in events] == [2]


def test_a_descriptor_that_is_not_open_is_an_event_with_an_error() -> None:
    (event,) = Guest().poll(fd_subscription(5, 99))
    assert (event.userdata, event.type, event.errno) == (5, EventType.FD_READ, Errno.BADF)


def test_a_pipe_is_ready_when_something_is_in_it() -> None:
    reader, writer = os.pipe()
    guest = Guest(stdin=reader)
    events = guest.poll(clock_subscription(1, 5 * MILLISECOND), fd_subscription(2, 0))
    assert [event.userdata for event in events] == [1]
    thread = threading.Timer(0.02, os.write, (writer, b"x"))
    thread.start()
    events = guest.poll(clock_subscription(1, 60_000 * MILLISECOND), fd_subscription(2, 0))
    assert [event.userdata for event in events] == [2]
    thread.join()
    os.close(writer)
    os.close(reader)


def test_a_pipe_whose_writer_is_gone_is_ready() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    os.close(writer)
    guest = Guest(stdin=reader)
    (event,) = guest.poll(fd_subscription(2, 0))
    assert (event.available, event.hung_up) == (1, False)  # first what is left in it
    assert guest.read(0) == b"x"
    (event,) = guest.poll(fd_subscription(2, 0))
    assert (event.available, event.hung_up) == (0, True)
    assert guest.read(0) == b""
    os.close(reader)


def test_a_pipe_whose_reader_is_gone_hangs_up() -> None:
    reader, writer = os.pipe()
    guest = Guest(stdout=writer)
    (event,) = guest.poll(fd_subscription(1, 1, EventType.FD_WRITE))
    assert not event.hung_up
    os.close(reader)
    (event,) = guest.poll(fd_subscription(1, 1, EventType.FD_WRITE))
    assert event.hung_up
    os.close(writer)


def test_a_fake_clock_does_not_wait_for_a_pipe() -> None:
    reader, writer = os.pipe()
    guest = Guest(stdin=reader, clock=FakeClock())
    events = guest.poll(clock_subscription(1, 3600 * 1000 * MILLISECOND), fd_subscription(2, 0))
    assert [event.userdata for event in events] == [1]
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize("clock", [None, FakeClock()], ids=["real", "fake"])
def test_a_deadline_ends_sleeping(clock: FakeClock | None) -> None:
    guest = Guest(clock=clock)
    guest.wasi.waiting.deadline = time.monotonic() + 0.05

    def sleep_for_ever() -> None:
        while True:
            guest.poll(clock_subscription(1, 3600 * 1000 * MILLISECOND))

    with pytest.raises(Timeout, match="the time limit ran out while the guest was waiting"):
        sleep_for_ever()


def test_a_deadline_ends_waiting_for_a_pipe() -> None:
    reader, writer = os.pipe()
    guest = Guest(stdin=reader)
    guest.wasi.waiting.deadline = time.monotonic() + 0.05
    with pytest.raises(Timeout):
        guest.poll(fd_subscription(1, 0))
    os.close(writer)
    os.close(reader)


def test_somebody_else_can_end_the_waiting() -> None:
    class Stopped(Exception):
        pass

    stop = threading.Event()

    def interrupt() -> None:
        if stop.is_set():
            raise Stopped

    guest = Guest()
    guest.wasi.waiting.interrupt = interrupt
    timer = threading.Timer(0.02, stop.set)
    timer.start()
    with pytest.raises(Stopped):
        guest.poll(clock_subscription(1, 3600 * 1000 * MILLISECOND))
    timer.join()
