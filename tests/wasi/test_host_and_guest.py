"""Guest and host work in one directory at the same time: each sees what the other does, and nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest import Guest, fails

from wasmine.wasi import Errno
from wasmine.wasi.filesystem import host

pytestmark = pytest.mark.skipif(not host.supported(), reason="host directories cannot be mounted on this system")


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    made = Guest(mounts={"/": tmp_path})
    with made.wasi:
        yield made


def test_what_the_guest_writes_is_there_at_once(guest: Guest, tmp_path: Path) -> None:
    fd = guest.create("a", b"one")
    assert (tmp_path / "a").read_bytes() == b"one"
    guest.write(fd, b"two")
    guest.call("fd_sync", fd)
    assert (tmp_path / "a").read_bytes() == b"onetwo"


def test_what_the_host_writes_is_there_at_once(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    fd = guest.open_to_read("a")
    assert guest.read(fd) == b"one"
    with (tmp_path / "a").open("ab") as file:
        file.write(b"two")
    assert guest.read(fd) == b"two"


def test_a_file_cut_by_the_host_ends_there(guest: Guest, tmp_path: Path) -> None:
    fd = guest.create("a", b"0123456789")
    os.truncate(tmp_path / "a", 4)
    assert guest.fd_stat(fd).size == 4
    assert guest.read(fd) == b""
    assert guest.pread(fd, 10, 2) == b"23"
    guest.write(fd, b"x")  # the guest still stands at 10
    assert (tmp_path / "a").read_bytes() == b"0123" + bytes(6) + b"x"


def test_a_file_cut_by_the_guest_ends_there_for_the_host(guest: Guest, tmp_path: Path) -> None:
    fd = guest.create("a", b"0123456789")
    with (tmp_path / "a").open("rb", buffering=0) as reading, (tmp_path / "a").open("ab") as appending:
        assert reading.read(8) == b"01234567"
        guest.call("fd_filestat_set_size", fd, 4)
        assert reading.read() == b""
        appending.write(b"host")
        appending.flush()
        assert (tmp_path / "a").read_bytes() == b"0123host"
        guest.call("fd_filestat_set_size", fd, 10)
        assert (tmp_path / "a").read_bytes() == b"0123host\0\0"


def test_appending_goes_to_the_end_after_the_host_cut_or_extended(guest: Guest, tmp_path: Path) -> None:
    guest.file("a", b"0123456789")
    fd = guest.open("a", fdflags=1)
    os.truncate(tmp_path / "a", 2)
    guest.write(fd, b"guest")
    with (tmp_path / "a").open("ab") as file:
        file.write(b"host")
    guest.write(fd, b"again")
    assert (tmp_path / "a").read_bytes() == b"01guesthostagain"


def test_a_file_replaced_by_the_host_stays_what_it_was_for_who_has_it_open(guest: Guest, tmp_path: Path) -> None:
    fd = guest.create("a", b"old")
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "new").rename(tmp_path / "a")
    assert guest.pread(fd, 10, 0) == b"old"
    assert guest.content("a") == b"new"


def test_a_file_replaced_by_the_guest_is_never_missing_or_half_written(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0" * 1000)
    with (tmp_path / "a").open("rb") as before:
        for number in range(1, 20):
            guest.file("new", str(number % 10).encode() * 1000)
            guest.rename("new", "a")
            assert (tmp_path / "a").read_bytes() == str(number % 10).encode() * 1000
        assert before.read() == b"0" * 1000


def test_a_file_removed_by_the_host_is_gone(guest: Guest, tmp_path: Path) -> None:
    fd = guest.create("a", b"text")
    (tmp_path / "a").unlink()
    with fails(Errno.NOENT):
        guest.stat("a")
    assert guest.pread(fd, 10, 0) == b"text"
    assert guest.fd_stat(fd).links == 0


def test_permissions_of_the_host_hold(guest: Guest, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may do anything")
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(0)
    with fails(Errno.ACCES):
        guest.open("a")
