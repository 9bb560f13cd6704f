"""Programs in C, compiled by PyPI's `ziglang`, on each engine: libc and the operating system together."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wasmine import Timeout, Trap, TrapKind
from wasmine.wasi import FakeClock, HostDirectory, MemoryFileSystem, Overlay, Symlink
from wasmine.wasi.program import CompletedProgram, run

Tools = Callable[..., CompletedProgram]


@pytest.fixture
def tools(compiled: Callable[[str], Path], engine: Any) -> Tools:
    """`tools("cat", "a", mounts=...)` runs one of them."""
    tools_wasm = compiled("tools")

    def call(*args: str, **options: Any) -> CompletedProgram:
        return run(tools_wasm, args, name="tools", capture_output=True, text=True, engine=engine, **options)

    return call


def test_arguments_and_environment(tools: Tools) -> None:
    done = tools("echo", "a b", "größe", env={"HOME": "/", "X": ""})
    assert done.stdout == "a b größe\nHOME=/\nX=\n"


def test_standard_input_flows_to_standard_output(tools: Tools) -> None:
    text = "".join(f"line {number}\n" for number in range(1000))
    assert tools("cat", input=text).stdout == text


def test_errors_arrive_as_errno(tools: Tools) -> None:
    done = tools("cat", "/missing", mounts={"/": {}})
    assert (done.returncode, done.stderr) == (1, "/missing: No such file or directory\n")
    done = tools("cat", "/../etc/passwd", mounts={"/": {}})
    assert (done.returncode, done.stderr) == (1, "/../etc/passwd: Operation not permitted\n")
    done = tools("edit", "/a", "x", mounts={"/": Overlay(MemoryFileSystem(), capacity=0)})
    assert (done.returncode, done.stderr) == (1, "/a.new: No space left on device\n")


TREE = {"a.txt": "hello", "dir": {"deep": {"data": bytes(1000)}, "empty": {}}, "link": Symlink("dir/deep")}
LISTING = """\
a.txt 5
dir/
  deep/
    data 1000
  empty/
link -> dir/deep
"""


def test_a_directory_tree_is_walked(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "dir/deep").mkdir(parents=True)
    (tmp_path / "dir/empty").mkdir()
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "dir/deep/data").write_bytes(bytes(1000))
    (tmp_path / "link").symlink_to("dir/deep")
    mounts = {"/": tmp_path, "/memory": MemoryFileSystem(TREE), "/over": Overlay(HostDirectory(tmp_path))}
    for where in mounts:
        done = tools("tree", where, mounts=mounts)
        assert (done.stdout, done.stderr) == (LISTING, "")


def test_a_file_is_replaced_as_editors_do(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    assert tools("edit", "/work/file", "new", mounts={"/work": tmp_path}).returncode == 0
    assert (tmp_path / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_guest_and_host_append_at_the_same_time_and_nothing_is_lost(tools: Tools, tmp_path: Path) -> None:
    log = tmp_path / "log"
    stop = threading.Event()
    written: list[int] = []

    def host() -> None:
        with log.open("a") as file:
            while not stop.is_set() or not written:
                file.write(f"host {len(written)}\n")
                file.flush()
                written.append(1)

    thread = threading.Thread(target=host)
    thread.start()
    done = tools("append", "/work/log", "300", mounts={"/work": tmp_path})
    stop.set()
    thread.join()
    assert done.returncode == 0
    lines = log.read_text().splitlines()
    assert [line for line in lines if line.startswith("guest")] == [f"guest {number}" for number in range(300)]
    assert [line for line in lines if line.startswith("host")] == [f"host {number}" for number in range(len(written))]
    assert len(lines) == 300 + len(written)


def test_a_file_that_the_guest_replaces_is_whole_at_every_moment(tools: Tools, tmp_path: Path) -> None:
    versions = [str(number % 10) * 2000 for number in range(40)]
    (tmp_path / "file").write_text(versions[-1])
    stop = threading.Event()
    seen: list[str] = []

    def host() -> None:
        while not stop.is_set() or not seen:
            seen.append((tmp_path / "file").read_text())

    thread = threading.Thread(target=host)
    thread.start()
    done = tools("edit", "/work/file", *versions, mounts={"/work": tmp_path})
    stop.set()
    thread.join()
    assert (done.returncode, done.stderr) == (0, "")
    assert set(seen) <= set(versions)
    assert (tmp_path / "file").read_text() == versions[-1]


def test_a_log_that_the_guest_empties_keeps_what_the_host_writes_after(tools: Tools, tmp_path: Path) -> None:
    log = tmp_path / "log"
    stop = threading.Event()
    written: list[str] = []

    def host() -> None:
        with log.open("a") as file:
            while not stop.is_set() or not written:
                written.append(f"host {len(written)}")
                file.write(written[-1] + "\n")
                file.flush()

    thread = threading.Thread(target=host)
    thread.start()
    done = tools("rotate", "/work/log", "205", mounts={"/work": tmp_path})
    stop.set()
    thread.join()
    assert (done.returncode, done.stderr) == (0, "")
    lines = log.read_text().splitlines()
    assert [line for line in lines if line.startswith("guest")] == [f"guest {number}" for number in range(201, 206)]
    kept = [line for line in lines if line.startswith("host")]
    assert kept == written[len(written) - len(kept) :]  # the last ones, all of them, and no holes between
    assert len(kept) + 5 == len(lines)


def test_exit_codes_and_crashes(tools: Tools) -> None:
    assert tools("end", "7").returncode == 7
    assert tools().returncode == 2
    with pytest.raises(Trap) as caught:
        tools("crash")
    assert caught.value.kind is TrapKind.UNREACHABLE


def test_sleeping(tools: Tools) -> None:
    assert tools("sleep", "3600000", clock=FakeClock()).returncode == 0
    assert tools("sleep", "10").returncode == 0
    with pytest.raises(Timeout):
        tools("sleep", "3600000", timeout=0.1)


def test_a_server_answers(tools: Tools) -> None:
    answers: list[bytes] = []

    def ask(address: Any) -> None:
        with socket.create_connection(address, timeout=30) as client:
            client.sendall(b"hello")
            answers.append(client.recv(100))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=ask, args=[listener.getsockname()])
        thread.start()
        done = tools("serve", listen=[listener])
        thread.join()
    assert done.returncode == 0
    assert answers == [b"you said: hello"]


# Calls whose error number is not 0, in order; everything else succeeds.
FAILURES = [
    ("clock_time_get(9", 28),
    ("poll_oneoff", 28),
    ("fd_prestat_get(root + 1", 8),
    ("path_create_directory", 20),
    ("path_open", 20),
    ('path_open(root, 0, "missing"', 44),
    ('path_open(root, 0, "../x"', 63),
    ("fd_seek(fd, -1", 28),
    ("fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_WRITE", 76),
    ("path_filestat_set_times", 28),
    ('path_unlink_file(root, "renamed")', 44),
    ('path_remove_directory(root, "dir")', 55),
    ("fd_close(other)", 8),
    ("fd_close(fd)", 8),
    ("sock_accept", 57),
    ("sock_recv", 57),
    ("sock_send", 57),
    ("sock_shutdown", 57),
]
FACTS = ["event 7 0 0", "read 2340123456789", "read 789", "size 4 modified 2000", "link dir/file", "links 2"]


@pytest.mark.parametrize("mount", ["host", "memory"])
def test_every_function_is_called_from_c(tools: Tools, tmp_path: Path, mount: str) -> None:
    done = tools("calls", mounts={"/": tmp_path if mount == "host" else MemoryFileSystem()})
    assert (done.returncode, done.stderr) == (42, "")
    lines = done.stdout.splitlines()
    called = [line.removeprefix("__wasi_").rpartition(" ") for line in lines if line.startswith("__wasi_")]
    failed = [(call, int(errno)) for call, _, errno in called if errno != "0"]
    assert len(failed) == len(FAILURES)
    for (call, errno), (expected, expected_errno) in zip(failed, FAILURES, strict=True):
        assert call.startswith(expected)
        assert errno == expected_errno
    assert [line for line in lines if not line.startswith("__wasi_") and not line.startswith("entries")] == FACTS
    functions = {call.partition("(")[0] for call, _, _ in called}
    assert len(functions | {"proc_exit", "proc_raise"}) == 46
