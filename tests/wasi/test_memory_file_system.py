"""Files in memory: from a dict and back, and how much they may take."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from typing import Any

import pytest
from guest import ROOT, Guest, fails
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmine.wasi import Errno, MemoryFileSystem, Symlink, WasiError
from wasmine.wasi.layout import FdFlags


def test_a_dict_becomes_files_and_files_a_dict() -> None:
    tree: dict[str, Any] = {
        "a.txt": "größe",
        "b": b"\0\xff",
        "dir": {"c": bytearray(b"c"), "empty": {}},
        "l": Symlink("b"),
    }
    assert MemoryFileSystem(tree).to_dict() == {
        "a.txt": "größe".encode(),
        "b": b"\0\xff",
        "dir": {"c": b"c", "empty": {}},
        "l": Symlink("b"),
    }


def test_keys_may_be_paths() -> None:
    assert MemoryFileSystem({"a/b/c": b"1", "a/d": b"2"}).to_dict() == {"a": {"b": {"c": b"1"}, "d": b"2"}}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"../x": b""}, "not a relative path"),
        ({"/x": b""}, "not a relative path"),
        ({"": b""}, "not a relative path"),
        ({"a//b": b""}, "not a relative path"),
        ({"a\0": b""}, "not a relative path"),
        ({"a": b"", "a/b": b""}, "both a file and a directory"),
        ({"a/b": b"", "a": b""}, "two files of one name"),
    ],
)
def test_what_can_be_no_tree_is_refused(tree: dict[str, bytes], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryFileSystem(tree)


def test_a_guests_work_can_be_read_back() -> None:
    files = MemoryFileSystem()
    guest = Guest(mounts={"/": files})
    guest.mkdir("out")
    guest.file("out/result", b"42")
    guest.symlink("result", "out/latest")
    assert files.to_dict() == {"out": {"result": b"42", "latest": Symlink("result")}}


def test_two_guests_can_share_a_file_system() -> None:
    files = MemoryFileSystem()
    Guest(mounts={"/": files}).file("a", b"from the first")
    assert Guest(mounts={"/": files}).content("a") == b"from the first"


def test_different_file_systems_are_different_devices() -> None:
    guest = Guest(mounts={"/a": {"x": b""}, "/b": {"x": b""}})
    assert guest.stat("x", at=ROOT).device != guest.stat("x", at=ROOT + 1).device
    for call in (guest.rename, guest.link):
        with fails(Errno.XDEV):
            call("x", "y", at=ROOT, to=ROOT + 1)


def test_times_can_come_from_somewhere_else() -> None:
    guest = Guest(mounts={"/": MemoryFileSystem({"a": b""}, now=lambda: 1234)})
    assert guest.stat("a").modified == 1234


def test_capacity_is_a_limit_on_content() -> None:
    guest = Guest(mounts={"/": MemoryFileSystem(capacity=10_000)})
    fd = guest.create("a")
    guest.write(fd, bytes(9000))
    with fails(Errno.NOSPC):
        guest.write(fd, bytes(2000))
    assert guest.stat("a").size == 9000
    guest.call("fd_filestat_set_size", fd, 0)
    guest.write(fd, bytes(500))


def test_capacity_is_a_limit_on_numbers_of_files() -> None:
    guest = Guest(mounts={"/": MemoryFileSystem(capacity=100_000)})
    made = 0
    with fails(Errno.NOSPC):
        while True:
            guest.mkdir(f"d{made}")
            made += 1
    assert made < 500
    for number in range(made):
        guest.rmdir(f"d{number}")
    guest.file("room again", bytes(90_000))


def test_what_is_deleted_while_open_counts_until_it_is_closed() -> None:
    files = MemoryFileSystem(capacity=10_000)
    guest = Guest(mounts={"/": files})
    fd = guest.create("a", bytes(9000))
    guest.unlink("a")
    with fails(Errno.NOSPC):
        guest.file("b", bytes(9000))
    guest.close(fd)
    guest.file("b", bytes(9000))


NAMES = st.sampled_from(["a", "b", "d", "d/a", "d/e", "d/e/f"])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["file", "mkdir", "unlink", "rmdir", "rename", "link", "symlink"]), NAMES, NAMES)
    )
)
def test_capacity_is_given_back_whatever_is_done(steps: list[tuple[str, str, str]]) -> None:
    files = MemoryFileSystem(capacity=1 << 20)
    guest = Guest(mounts={"/": files}, memory=1 << 16)
    for action, first, second in steps:
        try:
            if action == "file":
                guest.file(first, second.encode() * 10)
            elif action in ("rename", "link", "symlink"):
                getattr(guest, action)(first, second)
            else:
                getattr(guest, action)(first)
        except WasiError:
            continue
        assert 0 <= files.used <= 1 << 20

    def clear(path: str, tree: Any) -> None:
        for name, content in tree.items():
            if isinstance(content, dict):
                clear(f"{path}{name}/", content)
                guest.rmdir(path + name)
            else:
                guest.unlink(path + name)

    clear("", files.to_dict())
    guest.wasi.close()
    assert files.used == 0


def test_guests_in_several_threads_may_share_files() -> None:
    """What each of them writes is there, once, and the capacity is given back."""
    files = MemoryFileSystem({"log": b"", "tree": {}})
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            guest = Guest(mounts={"/": files})
            log = guest.open("log", fdflags=FdFlags.APPEND)
            for i in range(300):
                guest.write(log, bytes([number]) * 10)
                guest.file(f"tree/{number}-{i % 7}", bytes(i))
                guest.file("tree/common", bytes(1000 - i))
                if i % 3:
                    guest.unlink(f"tree/{number}-{i % 7}")
                len(files.to_dict())
            guest.wasi.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    content = files.to_dict()
    log, tree = content["log"], content["tree"]
    assert isinstance(log, bytes)
    assert isinstance(tree, dict)
    assert sorted(log[i : i + 10] for i in range(0, len(log), 10)) == sorted(
        bytes([n]) * 10 for n in range(4) for _ in range(300)
    )
    guest = Guest(mounts={"/": files})
    for name in tree:
        guest.unlink(f"tree/{name}")
    guest.unlink("log")
    guest.rmdir("tree")
    guest.wasi.close()
    assert files.used == 0


def test_a_child_of_fork_may_use_files_that_another_thread_was_using() -> None:
    files = MemoryFileSystem({"a": b"b"})
    inside, go = threading.Event(), threading.Event()

    def hold() -> None:
        with files.lock:
            inside.set()
            go.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(len(files.to_dict()) + 10)
    go.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 11
