"""An overlay leaves what is below as it is, and tells what would have changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from guest import Guest, fails
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmine.wasi import Errno, HostDirectory, MemoryFileSystem, Overlay, Symlink, WasiError

TREE: dict[str, Any] = {"a": b"a", "dir": {"b": b"b", "deep": {"c": b"c"}}, "link": Symlink("a")}


def mounted(**options: Any) -> tuple[Guest, Overlay, MemoryFileSystem]:
    base = MemoryFileSystem(TREE)
    overlay = Overlay(base, **options)
    return Guest(mounts={"/": overlay}), overlay, base


def test_what_is_below_is_seen() -> None:
    guest, overlay, _ = mounted()
    assert guest.content("a") == guest.content("link") == b"a"
    assert guest.names() == ["a", "dir", "link"]
    assert guest.content("dir/deep/c") == b"c"
    assert not overlay.diff()


def test_what_is_written_is_caught() -> None:
    guest, overlay, base = mounted()
    fd = guest.open("a")
    guest.pwrite(fd, b"XY", 1)
    guest.file("dir/new", b"new")
    guest.mkdir("dir/made")
    guest.unlink("dir/deep/c")
    guest.symlink("dir", "way")
    assert guest.content("a") == b"aXY"
    assert base.to_dict() == TREE
    diff = overlay.diff()
    assert diff.changed == {"a": b"aXY"}
    assert diff.added == {"dir/new": b"new", "dir/made": None, "way": Symlink("dir")}
    assert diff.removed == ["dir/deep/c"]


def test_what_is_replaced_has_changed() -> None:
    guest, overlay, _ = mounted()
    guest.unlink("a")
    guest.file("a", b"other")
    guest.unlink("link")
    guest.mkdir("link")
    guest.file("link/x", b"x")
    diff = overlay.diff()
    assert diff.changed == {"a": b"other", "link": None}
    assert diff.added == {"link/x": b"x"}
    assert diff.removed == []


def test_a_renamed_directory_takes_everything_along() -> None:
    guest, overlay, base = mounted()
    guest.rename("dir", "moved")
    assert guest.content("moved/deep/c") == b"c"
    with fails(Errno.NOENT):
        guest.stat("dir")
    diff = overlay.diff()
    assert diff.removed == ["dir"]
    assert diff.added == {"moved": None, "moved/b": b"b", "moved/deep": None, "moved/deep/c": b"c"}
    assert base.to_dict() == TREE


def test_what_comes_and_goes_leaves_no_trace() -> None:
    guest, overlay, _ = mounted()
    guest.file("new", b"x")
    guest.unlink("new")
    guest.mkdir("made")
    guest.rmdir("made")
    assert not overlay.diff()


def test_reading_and_truncating_what_is_below() -> None:
    guest, overlay, _ = mounted()
    fd = guest.open("dir/b")
    guest.call("fd_filestat_set_size", fd, 0)
    assert overlay.diff().changed == {"dir/b": b""}
    assert guest.content("dir/b") == b""


def test_what_is_open_goes_on_when_it_is_written() -> None:
    guest, _, _ = mounted()
    reader, writer = guest.open_to_read("a"), guest.open("a")
    assert guest.pread(reader, 5, 0) == b"a"
    guest.write(writer, b"changed")
    assert guest.pread(reader, 10, 0) == b"changed"


def test_capacity_bounds_what_is_caught() -> None:
    base = MemoryFileSystem({"big": bytes(100_000)})
    guest = Guest(mounts={"/": Overlay(base, capacity=50_000)})
    assert guest.stat("big").size == 100_000
    with fails(Errno.NOSPC):
        guest.pwrite(guest.open("big"), b"x", 0)
    guest.open("big", 8)
    assert guest.stat("big").size == 0


def test_the_hosts_directory_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/file").write_bytes(b"below")
    (tmp_path / "link").symlink_to("dir/file")
    overlay = Overlay(HostDirectory(tmp_path))
    guest = Guest(mounts={"/": overlay})
    with guest.wasi:
        guest.write(guest.open("link"), b"ABOVE")
        guest.rename("dir/file", "file")
        guest.rmdir("dir")
        assert guest.content("file") == b"ABOVE"
    assert (tmp_path / "dir/file").read_bytes() == b"below"
    assert overlay.diff().removed == ["dir"]
    assert overlay.diff().added == {"file": b"ABOVE"}


def test_whole_content_can_be_read_back() -> None:
    guest, overlay, _ = mounted()
    guest.file("new", b"new")
    assert overlay.to_dict() == {**TREE, "new": b"new"}


NAMES = st.sampled_from(["a", "dir", "dir/b", "dir/deep", "dir/deep/c", "link", "x", "dir/x"])
ACTIONS = st.sampled_from(["file", "mkdir", "unlink", "rmdir", "rename", "link", "symlink", "stat"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ACTIONS, NAMES, NAMES), max_size=12))
def test_an_overlay_behaves_like_a_copy(steps: list[tuple[str, str, str]]) -> None:
    """The same steps on a copy of the base give the same errors and the same tree, and the diff leads from base to tree."""
    above, overlay, base = mounted()
    copy = MemoryFileSystem(TREE)
    beside = Guest(mounts={"/": copy})

    def outcome(guest: Guest, action: str, first: str, second: str) -> Errno | None:
        try:
            if action == "file":
                guest.file(first, second.encode())
            elif action in ("rename", "link", "symlink"):
                getattr(guest, action)(first, second)
            else:
                getattr(guest, action)(first)
        except WasiError as error:
            return error.errno
        return None

    for step in steps:
        assert outcome(above, *step) == outcome(beside, *step), step
    assert overlay.to_dict() == copy.to_dict()
    assert base.to_dict() == TREE
    diff = overlay.diff()
    flat = flattened(TREE)
    for path in diff.removed:
        flat = {name: content for name, content in flat.items() if name != path and not name.startswith(path + "/")}
    for path, content in diff.changed.items():
        flat = {name: old for name, old in flat.items() if not name.startswith(path + "/")}
        flat[path] = content
    flat.update(diff.added)
    assert flat == flattened(copy.to_dict())


def flattened(tree: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, content in tree.items():
        if isinstance(content, dict):
            found[prefix + name] = None
            found.update(flattened(content, f"{prefix}{name}/"))
        else:
            found[prefix + name] = content
    return found


def test_errors_of_the_base_reach_the_guest() -> None:
    guest, _, _ = mounted()
    with pytest.raises(WasiError):
        guest.open_to_read("dir/missing")
