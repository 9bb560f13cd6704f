"""Logs of host calls."""

from __future__ import annotations

import pytest
from guest import Guest, fails

from wasmine.wasi import Errno, FakeClock, Tracer


def traced(*groups: str) -> tuple[Guest, list[str]]:
    lines: list[str] = []
    tracer = Tracer(lines.append, groups or ("all",))
    return Guest(["tool"], mounts={"/": {"a": b"text"}}, clock=FakeClock(), tracer=tracer), lines


def test_calls_are_shown_with_what_they_mean() -> None:
    guest, lines = traced()
    fd = guest.open("a", 1, rights=0b110, inheriting=0, fdflags=1)
    guest.seek(fd, -2, 2)
    arguments = (
        "fd=3,dirflags=SYMLINK_FOLLOW,path=a,oflags=CREAT,fs_rights_base=FD_READ|FD_SEEK,fs_rights_inheriting=,"
        "fdflags=APPEND"
    )
    assert lines == [
        f"==> wasi_snapshot_preview1.path_open({arguments})\n",
        "<== (opened_fd=4,errno=ESUCCESS)\n",
        "==> wasi_snapshot_preview1.fd_seek(fd=4,offset=-2,whence=end)\n",
        "<== (newoffset=2,errno=ESUCCESS)\n",
    ]


def test_failures_are_shown_by_name() -> None:
    guest, lines = traced()
    with fails(Errno.NOENT):
        guest.stat("missing")
    assert lines[-1] == "<== (errno=ENOENT)\n"


def test_only_the_chosen_groups_are_shown() -> None:
    guest, lines = traced("clock")
    guest.open("a")
    guest.call("clock_time_get", 0, 1000, 0)
    assert lines == [
        "==> wasi_snapshot_preview1.clock_time_get(id=realtime,precision=1000)\n",
        "<== (timestamp=1640995200000000000,errno=ESUCCESS)\n",
    ]


def test_arguments_that_make_no_sense_are_shown_too() -> None:
    guest, lines = traced()
    with fails(Errno.FAULT):
        guest.call("path_unlink_file", 3, 0xFFFF_FFF0, 0xFFFF)
    with fails(Errno.INVAL):
        guest.call("clock_time_get", 77, 0, 0)
    with fails(Errno.INVAL):
        guest.call("fd_fdstat_set_flags", 1, 0x103)
    assert "path=" in lines[0]
    assert "id=77" in lines[2]
    assert "flags=APPEND|DSYNC|0x100" in lines[4]


def test_a_group_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown group 'files': expected all, clock, filesystem"):
        Tracer(print, ["files"])
