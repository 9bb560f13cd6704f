"""Whatever a guest passes, it gets an error number: never a Python exception, never the host's memory or time."""

from __future__ import annotations

import struct
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from guest import ALL_RIGHTS, ROOT, Guest, fails
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmine import Exit
from wasmine.format.types import I64
from wasmine.wasi import Errno, FakeClock, HostDirectory, MemoryFileSystem, Quota, Symlink
from wasmine.wasi.filesystem import FileSystem
from wasmine.wasi.layout import OFlags
from wasmine.wasi.preview1 import FUNCTIONS, WasiFunction

SIZE = 1 << 16
EDGES = [0, 1, 2, 3, 4, 5, 7, 8, 64, 1024, SIZE - 9, SIZE - 1, SIZE, 1 << 31, (1 << 31) - 1, (1 << 32) - 1]
WIDE = [*EDGES, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, ALL_RIGHTS]


def hostile_guest(folder: Path | None = None) -> Guest:
    """A guest with some files open, in memory or in a folder, whose memory is full of numbers that look like pointers."""
    if folder is None:
        tree = {"a": b"text", "d": {"b": b"x"}, "0": b"zero", "link": Symlink("a")}
        files: FileSystem = MemoryFileSystem(tree, capacity=1 << 20)
    else:
        (folder / "d").mkdir(exist_ok=True)
        (folder / "a").write_bytes(b"text")
        files = HostDirectory(folder)
    mounts, quota = {"/files": files}, Quota(file_bytes=1 << 20)
    guest = Guest(["tool"], {"A": "1"}, memory=SIZE, mounts=mounts, stdin=b"in", clock=FakeClock(), quota=quota)
    guest.open("a")
    guest.open("d", OFlags.DIRECTORY)
    for address in range(0, SIZE, 4):
        struct.pack_into("<I", guest.memory.bytes, address, (0x61, 3, 0, 4, SIZE - 8, 0x302F2E61)[address // 4 % 6])
    return guest


def call(guest: Guest, function: WasiFunction, arguments: Sequence[int]) -> None:
    try:
        guest.errno(function.name, *arguments)
    except Exit:
        assert function.name == "proc_exit"


@pytest.mark.parametrize("where", ["memory", "host"])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_every_argument_at_its_edges(function: WasiFunction, where: str, tmp_path: Path) -> None:
    for number, edge in enumerate(WIDE):
        folder = tmp_path / str(number)
        folder.mkdir()
        guest = hostile_guest(folder if where == "host" else None)
        call(guest, function, [edge if type is I64 else edge & 0xFFFF_FFFF for type in function.types])
        # One odd argument among good ones gets further.
        for position, type in enumerate(function.types):
            arguments = [4] * len(function.types)
            arguments[position] = edge if type is I64 else edge & 0xFFFF_FFFF
            call(guest, function, arguments)
        guest.wasi.close()


@settings(max_examples=250, deadline=None)
@given(st.data(), st.booleans())
def test_any_sequence_of_calls(data: st.DataObject, on_host: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_calls(data, hostile_guest(Path(folder) if on_host else None))


def run_calls(data: st.DataObject, guest: Guest) -> None:
    for _ in range(6):
        function = data.draw(st.sampled_from(FUNCTIONS))
        narrow = st.sampled_from(EDGES) | st.integers(0, 8) | st.integers(0, (1 << 32) - 1)
        wide = st.sampled_from(WIDE) | st.integers(0, (1 << 64) - 1)
        call(guest, function, [data.draw(wide if type is I64 else narrow) for type in function.types])
    assert len(guest.memory.bytes) == SIZE
    guest.wasi.close()


# Those of sockets need a connection: see test_sockets.py.
WITH_POINTERS = [
    function
    for function in FUNCTIONS
    if function.group != "sock" and any(each.is_result or each.meaning == "address" for each in function.parameters)
]


@pytest.mark.parametrize("function", WITH_POINTERS, ids=lambda function: function.name)
def test_pointers_outside_are_a_fault(function: WasiFunction) -> None:
    guest = hostile_guest()
    of_directories = function.name.startswith(("path", "fd_readdir", "fd_prestat"))
    good = {"fd": ROOT if of_directories else 4, "size": 1}
    path = b"link" if function.name == "path_readlink" else b"a"
    arguments: list[int] = []
    for each in function.parameters:
        if each.meaning == "address" or each.is_result:
            arguments.append(SIZE - 1)
        elif each.meaning == "text":
            arguments += guest.text(path)
        elif each.meaning == "count":
            arguments.append(8)
        else:
            arguments.append(good.get(each.meaning, 0))
    with fails(Errno.FAULT):
        guest.call(function.name, *arguments)


def test_a_count_of_buffers_is_bounded() -> None:
    guest = hostile_guest()
    for name in ("fd_read", "fd_write"):
        with fails(Errno.INVAL):
            guest.call(name, 4, 0, 1025, 0)
        with fails(Errno.INVAL):
            guest.call(name, 4, 0, 0xFFFF_FFFF, 0)


def test_buffers_that_overlap_cannot_add_up_to_more_than_can_be_counted() -> None:
    guest = Guest(memory=1 << 23, stdout=len)
    vectors = guest.put(struct.pack("<II", 0, 1 << 22) * 1024)
    with fails(Errno.INVAL):
        guest.call("fd_write", 1, vectors, 1024, 0)


def test_a_result_that_could_not_be_told_is_not_written() -> None:
    guest = hostile_guest()
    vectors = guest.vectors(guest.text("lost"))
    with fails(Errno.FAULT):
        guest.call("fd_write", 4, *vectors, SIZE - 3)
    assert guest.content("a") == b"text"


def test_files_that_claim_to_be_huge_are_refused_before_memory_is_taken() -> None:
    guest = hostile_guest()
    for size in (1 << 21, 1 << 40, (1 << 63) - 1):
        with fails(Errno.NOSPC, Errno.FBIG):
            guest.call("fd_filestat_set_size", 4, size)
        with fails(Errno.NOSPC, Errno.FBIG):
            guest.call("fd_allocate", 4, 0, size)
        with fails(Errno.NOSPC, Errno.FBIG, Errno.INVAL):
            guest.pwrite(4, b"x", size)


def test_a_path_that_goes_to_and_fro_ends_soon() -> None:
    guest = Guest(mounts={"/": MemoryFileSystem({"a/b/c/d/e/f/g/h": {}})})
    begin = time.monotonic()
    with fails(Errno.LOOP):
        # Forty links, each with a thousand steps back and forth: 40 x 4096 bytes of path.
        for number in range(39):
            guest.symlink(("a/b/c/d/e/f/g/h/" + "../" * 8) * 100 + f"l{number + 1}", f"l{number}")
        guest.stat("l0")
    assert time.monotonic() - begin < 30  # it takes a tenth of a second; unbounded it would take minutes


def test_subscriptions_are_bounded() -> None:
    guest = Guest(memory=1 << 23)
    for count in (0, (1 << 16) + 1, 0xFFFF_FFFF):
        with fails(Errno.INVAL):
            guest.call("poll_oneoff", 0, 0, count, 0)


def test_open_files_are_bounded() -> None:
    guest = Guest(mounts={"/": {"a": b""}})
    with fails(Errno.MFILE):
        for _ in range(2000):
            guest.open("a")
    assert len(list(guest.wasi.descriptors)) == 1024
    with fails(Errno.MFILE):
        guest.open("b", OFlags.CREAT)
    assert guest.names() == ["a"]
    guest.close(10)
    assert guest.open("a") == 10


def test_a_module_named_twice_in_a_table_of_functions_would_hide_one() -> None:
    assert len({function.name for function in FUNCTIONS}) == len(FUNCTIONS) == 46
