"""Limits on what a guest takes of its host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from guest import Guest, fails

from wasmine.wasi import Errno, MemoryFileSystem, Quota
from wasmine.wasi.layout import OFlags


@pytest.fixture(params=["host", "memory"])
def limited(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Guest]:
    def make(**quota: int) -> Guest:
        mount = tmp_path if request.param == "host" else MemoryFileSystem()
        return Guest(mounts={"/": mount}, quota=Quota(**quota))

    return make


def test_open_files(limited: Callable[..., Guest]) -> None:
    guest = limited(open_files=6)
    opened = [guest.create("a"), guest.create("b")]
    with fails(Errno.MFILE):
        guest.create("c")
    assert guest.names() == ["a", "b"]
    guest.close(opened[0])
    guest.create("c")


def test_length_of_paths(limited: Callable[..., Guest]) -> None:
    guest = limited(path_bytes=10)
    guest.file("x" * 10)
    for call in (
        lambda: guest.open("x" * 11, OFlags.CREAT),
        lambda: guest.stat("./././././x"),
        lambda: guest.symlink("y" * 11, "link"),
        lambda: guest.mkdir("é" * 6),
    ):
        with fails(Errno.NAMETOOLONG):
            call()


def test_size_of_files(limited: Callable[..., Guest]) -> None:
    guest = limited(file_bytes=10)
    fd = guest.create("a")
    assert guest.write(fd, b"12345678") == 8
    assert guest.write(fd, b"12345678") == 2
    for call in (
        lambda: guest.write(fd, b"x"),
        lambda: guest.pwrite(fd, b"x", 10),
        lambda: guest.pwrite(fd, b"x", 1 << 40),
        lambda: guest.call("fd_filestat_set_size", fd, 11),
        lambda: guest.call("fd_allocate", fd, 5, 6),
    ):
        with fails(Errno.FBIG):
            call()
    appending = guest.open("a", fdflags=1)
    with fails(Errno.FBIG):
        guest.write(appending, b"x")
    guest.call("fd_filestat_set_size", fd, 4)
    assert guest.write(appending, b"abcdefgh") == 6
    assert guest.stat("a").size == 10


def test_streams_and_mounts_count_as_open_files(limited: Callable[..., Guest]) -> None:
    guest = limited(open_files=4)
    with fails(Errno.MFILE):
        guest.open(".", OFlags.DIRECTORY)
    guest.close(0)
    assert guest.open(".", OFlags.DIRECTORY) == 0


def test_limits_are_not_negative() -> None:
    with pytest.raises(ValueError, match="open_files must not be negative: -1"):
        Quota(open_files=-1)
