"""`__syscall_*`: Linux's calls on the files that WASI gives."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wasmine
from wasmine.wasi import WASI, Errno, MemoryFileSystem, ReadOnly, Symlink

Guest = Callable[..., wasmine.Exports]

CALLS = (
    *("__syscall_openat(i32 i32 i32 i32)->i32", "__syscall_stat64(i32 i32)->i32", "__syscall_lstat64(i32 i32)->i32"),
    *("__syscall_fstat64(i32 i32)->i32", "__syscall_newfstatat(i32 i32 i32 i32)->i32", "__syscall_rmdir(i32)->i32"),
    *("__syscall_faccessat(i32 i32 i32 i32)->i32", "__syscall_mkdirat(i32 i32 i32)->i32", "__syscall_chdir(i32)->i32"),
    *("__syscall_unlinkat(i32 i32 i32)->i32", "__syscall_renameat(i32 i32 i32 i32)->i32"),
    *("__syscall_symlinkat(i32 i32 i32)->i32", "__syscall_readlinkat(i32 i32 i32 i32)->i32"),
    *("__syscall_getcwd(i32 i32)->i32", "__syscall_ftruncate64(i32 i64)->i32", "__syscall_truncate64(i32 i64)->i32"),
    *("__syscall_getdents64(i32 i32 i32)->i32", "__syscall_fcntl64(i32 i32 i32)->i32"),
    *("__syscall_ioctl(i32 i32 i32)->i32", "__syscall_chmod(i32 i32)->i32", "__syscall_fchmod(i32 i32)->i32"),
    *("__syscall_utimensat(i32 i32 i32 i32)->i32", "__syscall_fallocate(i32 i32 i64 i64)->i32"),
    *("__syscall_fdatasync(i32)->i32", "__syscall_socket(i32 i32 i32)->i32", "_munmap_js(i32)"),
)
CWD = -100
RDONLY, WRONLY, RDWR, CREAT, EXCL, TRUNC, APPEND, DIRECTORY, NOFOLLOW = (
    *(0, 1, 2, 0o100, 0o200, 0o1000, 0o2000, 0o200000, 0o400000),
)
BUFFER = 8192


class Kernel:
    """Calls by name without the prefix; text arguments are put into the guest's memory first."""

    def __init__(self, exports: wasmine.Exports, wasi: WASI | None) -> None:
        self.exports = exports
        self.memory = exports.memory
        self.wasi = wasi

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*arguments: int | str) -> int:
            passed, free = [], 64
            for argument in arguments:
                if isinstance(argument, str):
                    data = argument.encode() + b"\0"
                    self.memory.write(free, data)
                    passed.append(free)
                    free += len(data)
                else:
                    passed.append(argument)
            result: int = self.exports[f"__syscall_{name}"](*passed)
            return result

        return call

    def open(self, path: str, flags: int = RDONLY, at: int = CWD) -> int:
        return self.openat(at, path, flags, 0)

    def create(self, path: str, data: bytes = b"") -> None:
        fd = self.open(path, WRONLY | CREAT | TRUNC)
        assert fd >= 0
        assert self.wasi is not None
        self.wasi.descriptors.get(fd).write([memoryview(data)])
        self.wasi.descriptors.close(fd)

    def stat_of(self, path: str) -> tuple[int, int]:
        """Mode and size."""
        assert self.stat64(path, BUFFER) == 0
        mode, size = struct.unpack("<4xI16xq", self.memory.read(BUFFER, 32))
        return mode, size


TREE = {"a.txt": "hello", "dir": {"deep": {"data": bytes(1000)}}, "link": Symlink("dir/deep")}


@pytest.fixture
def kernel(guest: Guest) -> Callable[..., Kernel]:
    def make(mounts: Any) -> Kernel:
        wasi = WASI(mounts=mounts)
        return Kernel(guest(wasi, *CALLS), wasi)

    return make


@pytest.fixture
def tree(kernel: Callable[..., Kernel]) -> Kernel:
    """A kernel with a few files at /."""
    return kernel({"/": MemoryFileSystem(TREE)})


def failed(errno: Errno) -> int:
    return -errno.value


def test_without_wasi_every_call_is_enosys(guest: Guest) -> None:
    kernel = Kernel(guest(None, *CALLS), None)
    assert kernel.open("/a") == kernel.getcwd(BUFFER, 100) == failed(Errno.NOSYS)


def test_calls_without_an_answer_are_enosys(tree: Kernel) -> None:
    assert tree.socket(2, 1, 0) == failed(Errno.NOSYS)
    assert tree.exports["_munmap_js"](0) is None


def test_files_are_opened_and_read(tree: Kernel) -> None:
    fd = tree.open("/a.txt")
    assert fd == 4
    assert tree.open("a.txt") == 5  # the working directory is /
    assert tree.open("deep/data", at=tree.open("/dir", DIRECTORY)) == 7


@pytest.mark.parametrize(
    ("path", "flags", "errno"),
    [
        ("/missing", RDONLY, Errno.NOENT),
        ("", RDONLY, Errno.NOENT),
        ("/dir", RDWR, Errno.ISDIR),
        ("/a.txt", CREAT | EXCL | WRONLY, Errno.EXIST),
        ("/a.txt", DIRECTORY, Errno.NOTDIR),
        ("/a.txt/b", RDONLY, Errno.NOTDIR),
        ("/link", NOFOLLOW, Errno.LOOP),
        ("/../secret", RDONLY, Errno.PERM),
        ("x" * 5000, RDONLY, Errno.NAMETOOLONG),
    ],
)
def test_opening_fails_as_on_linux(tree: Kernel, path: str, flags: int, errno: Errno) -> None:
    assert Errno(-tree.open(path, flags)) is errno


def test_a_path_without_an_end_is_efault(tree: Kernel) -> None:
    tree.memory.write(len(tree.memory) - 4, b"aaaa")
    for address in (len(tree.memory) - 4, -4, len(tree.memory)):
        assert tree.openat(CWD, address, 0, 0) == failed(Errno.FAULT)


def test_what_is_opened_may_do_what_was_asked_for(tree: Kernel) -> None:
    assert tree.wasi is not None
    for flags, reads, writes in ((RDONLY, True, False), (WRONLY, False, True), (RDWR, True, True)):
        descriptor = tree.wasi.descriptors.get(tree.open("/a.txt", flags))
        outcomes = []
        for attempt in (
            lambda d=descriptor: d.read([memoryview(bytearray(1))]),
            lambda d=descriptor: d.write([memoryview(b"x")]),
        ):
            try:
                attempt()
            except wasmine.wasi.WasiError:
                outcomes.append(False)
            else:
                outcomes.append(True)
        assert outcomes == [reads, writes]
        assert tree.fcntl64(tree.open("/a.txt", flags), 3, 0) == flags


def test_the_longest_mount_serves_a_path(kernel: Callable[..., Kernel]) -> None:
    kernel_ = kernel({"/": {"f": "1", "data": {"f": "22"}}, "/data": {"f": "333"}, "/data/more": {"f": "4444"}})
    assert [kernel_.stat_of(path)[1] for path in ("/f", "/data/f", "/data/more/f", "//data//f")] == [1, 3, 4, 3]
    assert kernel_.stat64("/data/missing", BUFFER) == failed(Errno.NOENT)


def test_nothing_is_found_outside_the_mounts(kernel: Callable[..., Kernel], tmp_path: Path) -> None:
    kernel_ = kernel({"/data": tmp_path})
    assert kernel_.stat64("/etc/passwd", BUFFER) == failed(Errno.NOENT)
    assert kernel_.stat64("/database", BUFFER) == failed(Errno.NOENT)
    assert kernel_.stat64("/data/../../etc/passwd", BUFFER) == failed(Errno.PERM)


def test_stat_is_linuxs(tree: Kernel) -> None:
    assert tree.stat_of("/a.txt") == (0o100666, 5)
    assert tree.stat_of("/link")[0] == 0o040777
    assert tree.lstat64("/link", BUFFER) == 0
    assert struct.unpack("<I", tree.memory.read(BUFFER + 4, 4)) == (0o120777,)
    fd = tree.open("/dir/deep/data")
    assert tree.fstat64(fd, BUFFER) == 0
    size, block, blocks = struct.unpack("<qii", tree.memory.read(BUFFER + 24, 16))
    assert (size, block, blocks) == (1000, 4096, 2)
    assert tree.newfstatat(fd, "", BUFFER, 0x1000) == 0
    assert tree.newfstatat(fd, "", BUFFER, 0) == failed(Errno.NOENT)
    assert tree.fstat64(99, BUFFER) == failed(Errno.BADF)
    assert tree.fstat64(fd, -8) == failed(Errno.FAULT)


def test_times_are_set_and_told(tree: Kernel) -> None:
    tree.memory.write(BUFFER, struct.pack("<qi4xqi4x", 1_000, 5, 2_000, 0x3FFF_FFFE))
    assert tree.utimensat(CWD, "/a.txt", BUFFER, 0) == 0
    tree.stat_of("/a.txt")
    assert struct.unpack("<qi", tree.memory.read(BUFFER + 40, 12)) == (1_000, 5)
    assert struct.unpack("<q", tree.memory.read(BUFFER + 56, 8)) != (2_000,)
    tree.memory.write(BUFFER, struct.pack("<qi4xqi4x", 0, 1_000_000_000, 0, 0))
    assert tree.utimensat(CWD, "/a.txt", BUFFER, 0) == failed(Errno.INVAL)
    assert tree.utimensat(tree.open("/a.txt", RDWR), 0, 0, 0) == 0


def test_the_tree_is_changed(tree: Kernel) -> None:
    assert tree.mkdirat(CWD, "/new", 0o777) == 0
    assert tree.mkdirat(CWD, "/new", 0o777) == failed(Errno.EXIST)
    tree.create("/new/file", b"data")
    assert tree.renameat(CWD, "/new/file", CWD, "/moved") == 0
    assert tree.stat_of("/moved") == (0o100666, 4)
    assert tree.rmdir("/new") == 0
    assert tree.rmdir("/dir") == failed(Errno.NOTEMPTY)
    assert tree.unlinkat(CWD, "/moved", 0) == 0
    assert tree.unlinkat(CWD, "/moved", 0) == failed(Errno.NOENT)
    assert tree.unlinkat(CWD, "/dir", 1) == failed(Errno.INVAL)
    assert tree.symlinkat("a.txt", CWD, "/alias") == 0
    assert tree.stat_of("/alias") == (0o100666, 5)


def test_links_are_read(tree: Kernel) -> None:
    assert tree.readlinkat(CWD, "/link", BUFFER, 100) == 8
    assert tree.memory.read(BUFFER, 8) == b"dir/deep"
    assert tree.readlinkat(CWD, "/link", BUFFER, 3) == 3
    assert tree.readlinkat(CWD, "/a.txt", BUFFER, 100) == failed(Errno.INVAL)
    assert tree.readlinkat(CWD, "/link", BUFFER, 0) == failed(Errno.INVAL)
    assert tree.readlinkat(CWD, "/link", -1, 0x7FFF_FFFF) == failed(Errno.FAULT)


def test_sizes_are_set(tree: Kernel) -> None:
    fd = tree.open("/a.txt", RDWR)
    assert tree.ftruncate64(fd, 100) == 0
    assert tree.stat_of("/a.txt")[1] == 100
    assert tree.truncate64("/a.txt", 2) == 0
    assert tree.fallocate(fd, 0, 0, 50) == 0
    assert tree.stat_of("/a.txt")[1] == 50
    assert tree.ftruncate64(fd, -1) == tree.fallocate(fd, 0, -1, 5) == failed(Errno.INVAL)
    assert tree.ftruncate64(tree.open("/a.txt"), 0) < 0
    assert tree.fdatasync(fd) == 0


def test_the_working_directory_moves(tree: Kernel) -> None:
    assert tree.getcwd(BUFFER, 100) == 2
    assert tree.chdir("dir") == 0
    assert tree.chdir("deep") == 0
    assert tree.getcwd(BUFFER, 100) == 10
    assert tree.memory.read_c_string(BUFFER) == "/dir/deep"
    assert tree.stat_of("data")[1] == 1000
    assert tree.chdir("data") == failed(Errno.NOTDIR)
    assert tree.chdir("/missing") == failed(Errno.NOENT)
    assert tree.getcwd(BUFFER, 5) == failed(Errno.RANGE)
    assert tree.getcwd(BUFFER, 0) == failed(Errno.INVAL)


def entries(tree: Kernel, fd: int, size: int) -> list[tuple[str, int]]:
    """Names and types that one call gives."""
    count = tree.getdents64(fd, BUFFER, size)
    assert count >= 0
    found = []
    for address in range(BUFFER, BUFFER + count, 280):
        _, _, length, type = struct.unpack("<QqHB", tree.memory.read(address, 19))
        assert length == 280
        found.append((tree.memory.read_c_string(address + 19), type))
    return found


def test_directories_are_listed_piece_by_piece(tree: Kernel) -> None:
    fd = tree.open("/", DIRECTORY)
    assert entries(tree, fd, 3 * 280) == [(".", 4), ("..", 4), ("a.txt", 8)]
    assert entries(tree, fd, 4096) == [("dir", 4), ("link", 10)]
    assert entries(tree, fd, 4096) == []
    assert tree.getdents64(tree.open("/a.txt"), BUFFER, 4096) == failed(Errno.NOTDIR)


def test_modes_are_accepted_for_what_exists(tree: Kernel) -> None:
    assert tree.chmod("/a.txt", 0o600) == tree.faccessat(CWD, "/a.txt", 4, 0) == 0
    assert tree.chmod("/missing", 0o600) == tree.faccessat(CWD, "/missing", 0, 0) == failed(Errno.NOENT)
    assert tree.fchmod(99, 0o600) == failed(Errno.BADF)


def test_flags_and_locks(tree: Kernel) -> None:
    fd = tree.open("/a.txt", RDWR)
    tree.memory.write(BUFFER, struct.pack("<I", APPEND))
    assert tree.fcntl64(fd, 4, BUFFER) == 0
    assert tree.fcntl64(fd, 3, 0) == RDWR | APPEND
    assert tree.fcntl64(fd, 2, BUFFER) == tree.fcntl64(fd, 6, BUFFER) == 0
    tree.memory.write(BUFFER, struct.pack("<I", BUFFER + 100))
    assert tree.fcntl64(fd, 5, BUFFER) == 0
    assert tree.memory.read(BUFFER + 100, 2) == b"\x02\0"
    assert tree.fcntl64(fd, 1234, BUFFER) == failed(Errno.INVAL)
    assert tree.fcntl64(99, 1, 0) == failed(Errno.BADF)


def test_a_file_is_no_terminal(tree: Kernel) -> None:
    assert tree.ioctl(tree.open("/a.txt"), 0x5413, BUFFER) == failed(Errno.NOTTY)
    assert tree.ioctl(99, 0x5413, BUFFER) == failed(Errno.BADF)


def test_a_read_only_mount_stays_so(kernel: Callable[..., Kernel]) -> None:
    kernel_ = kernel({"/": ReadOnly(MemoryFileSystem(TREE))})
    attempts = [
        kernel_.open("/a.txt", RDWR),
        kernel_.open("/new", WRONLY | CREAT),
        kernel_.mkdirat(CWD, "/new", 0),
        kernel_.unlinkat(CWD, "/a.txt", 0),
        kernel_.truncate64("/a.txt", 0),
        kernel_.renameat(CWD, "/a.txt", CWD, "/b"),
    ]
    assert attempts == [failed(Errno.ROFS)] * len(attempts)
