"""A guest without wasm: Python code that calls WASI functions with pointers into a memory of its own.

A failing function raises `WasiError`, so that tests read `with fails(Errno.PERM): guest.open("../secret")`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import pytest

from wasmine.wasi import WASI, Errno, WasiError
from wasmine.wasi.layout import EVENT, FDSTAT, FILESTAT, EventType, Filetype, FstFlags, OFlags
from wasmine.wasi.rights import DIRECTORY, FILE, WRITING

ALL_RIGHTS = DIRECTORY | FILE
ROOT = 3  # the first mount


class Memory:
    def __init__(self, size: int) -> None:
        self.bytes = bytearray(size)

    def view(self) -> memoryview:
        return memoryview(self.bytes)


class Caller:
    def __init__(self, memory: Memory) -> None:
        self.memory = memory


@dataclass
class Filestat:
    device: int
    inode: int
    filetype: Filetype
    links: int
    size: int
    accessed: int
    modified: int
    changed: int


@dataclass
class Fdstat:
    filetype: Filetype
    flags: int
    rights: int
    inheriting: int


@dataclass
class Event:
    userdata: int
    errno: Errno
    type: EventType
    available: int
    hung_up: bool


def clock_subscription(userdata: int, timeout: int, *, clock: int = 1, absolute: bool = False) -> bytes:
    return struct.pack("<QB7xI4xQQH6x", userdata, EventType.CLOCK, clock, timeout, 0, int(absolute))


def fd_subscription(userdata: int, fd: int, type: EventType = EventType.FD_READ) -> bytes:
    return struct.pack("<QB7xI28x", userdata, type, fd)


class Guest:
    """Methods are named like the functions they call, shortened where nothing is lost."""

    def __init__(self, *args: Any, memory: int = 1 << 20, **options: Any) -> None:
        self.wasi = WASI(*args, **options)
        self.memory = Memory(memory)
        self.functions = self.wasi.imports()["wasi_snapshot_preview1"]
        self._free = 64  # where the next thing is put; results go to the first bytes

    def errno(self, name: str, *arguments: int) -> Errno:
        """Call a function; what it returned."""
        return Errno(self.functions[name](Caller(self.memory), *arguments))

    def call(self, name: str, *arguments: int) -> None:
        """Call a function that must succeed."""
        errno = self.errno(name, *arguments)
        if errno:
            raise WasiError(errno)

    def put(self, data: bytes) -> int:
        """Put bytes into the memory; their address."""
        if self._free + len(data) > len(self.memory.bytes):
            self._free = 64
        address = self._free
        self.memory.bytes[address : address + len(data)] = data
        self._free += len(data) + -len(data) % 8
        return address

    def text(self, text: str | bytes) -> tuple[int, int]:
        data = text.encode() if isinstance(text, str) else text
        return self.put(data), len(data)

    def vectors(self, *buffers: tuple[int, int]) -> tuple[int, int]:
        return self.put(b"".join(struct.pack("<II", *buffer) for buffer in buffers)), len(buffers)

    def room(self, *sizes: int) -> list[tuple[int, int]]:
        return [(self.put(bytes(size)), size) for size in sizes]

    def at(self, address: int, size: int) -> bytes:
        return bytes(self.memory.bytes[address : address + size])

    def u32(self, address: int = 0) -> int:
        return int.from_bytes(self.at(address, 4), "little")

    def u64(self, address: int = 0) -> int:
        return int.from_bytes(self.at(address, 8), "little")

    # -------------------------------------------------------------------------------------------------- descriptors

    def read(self, fd: int, *sizes: int) -> bytes:
        buffers = self.room(*sizes or (4096,))
        self.call("fd_read", fd, *self.vectors(*buffers), 0)
        return b"".join(self.at(*buffer) for buffer in buffers)[: self.u32()]

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        (buffer,) = self.room(size)
        self.call("fd_pread", fd, *self.vectors(buffer), offset, 0)
        return self.at(buffer[0], self.u32())

    def write(self, fd: int, *pieces: bytes) -> int:
        self.call("fd_write", fd, *self.vectors(*[self.text(piece) for piece in pieces]), 0)
        return self.u32()

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        self.call("fd_pwrite", fd, *self.vectors(self.text(data)), offset, 0)
        return self.u32()

    def seek(self, fd: int, delta: int, whence: int = 0) -> int:
        self.call("fd_seek", fd, delta, whence, 0)
        return self.u64()

    def tell(self, fd: int) -> int:
        self.call("fd_tell", fd, 0)
        return self.u64()

    def close(self, fd: int) -> None:
        self.call("fd_close", fd)

    def fdstat(self, fd: int) -> Fdstat:
        self.call("fd_fdstat_get", fd, 0)
        filetype, flags, rights, inheriting = FDSTAT.unpack_from(self.memory.bytes)
        return Fdstat(Filetype(filetype), flags, rights, inheriting)

    def _filestat(self) -> Filestat:
        device, inode, filetype, *rest = FILESTAT.unpack_from(self.memory.bytes)
        return Filestat(device, inode, Filetype(filetype), *rest)

    def fd_stat(self, fd: int) -> Filestat:
        self.call("fd_filestat_get", fd, 0)
        return self._filestat()

    def readdir(self, fd: int, cookie: int = 0, size: int = 4096) -> list[tuple[str, Filetype, int]]:
        """Names, filetypes and cookies of the whole entries that fit into a buffer."""
        ((buffer, _),) = self.room(size)
        self.call("fd_readdir", fd, buffer, size, cookie, 0)
        data = self.at(buffer, self.u32())
        found = []
        while len(data) >= 24:
            following, _, length, filetype = struct.unpack_from("<QQIB", data)
            if 24 + length > len(data):
                break
            found.append((data[24 : 24 + length].decode(errors="surrogateescape"), Filetype(filetype), following))
            data = data[24 + length :]
        return found

    def names(self, fd: int = ROOT) -> list[str]:
        return [name for name, _, _ in self.readdir(fd) if name not in (".", "..")]

    def poll(self, *subscriptions: bytes) -> list[Event]:
        address = self.put(b"".join(subscriptions))
        ((events, _),) = self.room(EVENT.size * len(subscriptions))
        self.call("poll_oneoff", address, events, len(subscriptions), 0)
        found = []
        for number in range(self.u32()):
            userdata, errno, type, available, flags = EVENT.unpack_from(self.memory.bytes, events + number * EVENT.size)
            assert flags in (0, 1)
            found.append(Event(userdata, Errno(errno), EventType(type), available, flags == 1))
        return found

    # -------------------------------------------------------------------------------------------------------- paths

    def open(
        self,
        path: str | bytes,
        oflags: int = 0,
        *,
        at: int = ROOT,
        rights: int = ALL_RIGHTS,
        inheriting: int = ALL_RIGHTS,
        fdflags: int = 0,
        follow: bool = True,
    ) -> int:
        if oflags & OFlags.DIRECTORY:
            rights &= ~WRITING
        self.call("path_open", at, int(follow), *self.text(path), oflags, rights, inheriting, fdflags, 0)
        return self.u32()

    def open_to_read(self, path: str, at: int = ROOT) -> int:
        return self.open(path, at=at, rights=ALL_RIGHTS & ~WRITING)

    def create(self, path: str, data: bytes = b"", at: int = ROOT) -> int:
        fd = self.open(path, OFlags.CREAT | OFlags.TRUNC, at=at)
        if data:
            self.write(fd, data)
        return fd

    def file(self, path: str, data: bytes = b"") -> None:
        """Make a file with this content."""
        self.close(self.create(path, data))

    def content(self, path: str) -> bytes:
        fd = self.open_to_read(path)
        try:
            return self.read(fd, min(1 << 16, len(self.memory.bytes) // 2))
        finally:
            self.close(fd)

    def stat(self, path: str, *, at: int = ROOT, follow: bool = True) -> Filestat:
        self.call("path_filestat_get", at, int(follow), *self.text(path), 0)
        return self._filestat()

    def mkdir(self, path: str, at: int = ROOT) -> None:
        self.call("path_create_directory", at, *self.text(path))

    def rmdir(self, path: str, at: int = ROOT) -> None:
        self.call("path_remove_directory", at, *self.text(path))

    def unlink(self, path: str, at: int = ROOT) -> None:
        self.call("path_unlink_file", at, *self.text(path))

    def rename(self, old: str, new: str, *, at: int = ROOT, to: int = ROOT) -> None:
        self.call("path_rename", at, *self.text(old), to, *self.text(new))

    def link(self, old: str, new: str, *, at: int = ROOT, to: int = ROOT, follow: bool = False) -> None:
        self.call("path_link", at, int(follow), *self.text(old), to, *self.text(new))

    def symlink(self, content: str, path: str, at: int = ROOT) -> None:
        self.call("path_symlink", *self.text(content), at, *self.text(path))

    def readlink(self, path: str, size: int = 4096) -> str:
        ((buffer, _),) = self.room(size)
        self.call("path_readlink", ROOT, *self.text(path), buffer, size, 0)
        return self.at(buffer, self.u32()).decode()

    def set_times(self, path: str, accessed: int, modified: int, *, follow: bool = True, at: int = ROOT) -> None:
        flags = FstFlags.ATIM | FstFlags.MTIM
        self.call("path_filestat_set_times", at, int(follow), *self.text(path), accessed, modified, flags)


class fails:  # noqa: N801 - reads like pytest.raises
    """The block ends with a WASI function failing with one of these error numbers."""

    def __init__(self, *expected: Errno) -> None:
        self.expected = expected

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        names = " or ".join(errno.name for errno in self.expected)
        if error is None:
            pytest.fail(f"it succeeded: expected {names}")
        if not isinstance(error, WasiError):
            return False
        assert error.errno in self.expected, f"it failed with {error.errno.name}: expected {names}"
        return True
