"""`wasi_unstable`, the snapshot before preview 1: four functions differ."""

from __future__ import annotations

import struct

import pytest
from guest import ROOT, Guest, fails

from wasmine.wasi import Errno, FakeClock


@pytest.fixture
def guest() -> Guest:
    made = Guest(mounts={"/": {"a": b"0123456789"}}, clock=FakeClock())
    made.functions = made.wasi.imports()["wasi_unstable"]
    return made


def test_whence_has_another_order(guest: Guest) -> None:
    fd = guest.open("a")
    assert guest.seek(fd, 4, 2) == 4
    assert guest.seek(fd, 1, 0) == 5
    assert guest.seek(fd, -1, 1) == 9
    with fails(Errno.INVAL):
        guest.seek(fd, 0, 3)


def test_a_filestat_is_shorter(guest: Guest) -> None:
    fd = guest.open("a")
    for call in (
        lambda: guest.call("fd_filestat_get", fd, 0),
        lambda: guest.call("path_filestat_get", ROOT, 0, *guest.text("a"), 0),
    ):
        guest.memory.bytes[:64] = b"\xee" * 64
        call()
        filetype, links, size = struct.unpack_from("<B3xIQ", guest.memory.bytes, 16)
        assert (filetype, links, size) == (4, 1, 10)
        assert guest.at(56, 8) == b"\xee" * 8


def test_a_clock_subscription_is_longer(guest: Guest) -> None:
    subscription = struct.pack("<QB7xQI4xQQH6x", 7, 0, 99, 1, 5, 0, 0)
    assert len(subscription) == 56
    address = guest.put(subscription * 2)
    ((events, _),) = guest.room(64)
    guest.call("poll_oneoff", address, events, 2, 0)
    assert guest.u32() == 2
    assert guest.u64(events) == guest.u64(events + 32) == 7


def test_everything_else_is_the_same(guest: Guest) -> None:
    assert guest.content("a") == b"0123456789"
