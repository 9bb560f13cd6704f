"""A directory of the host, held by its descriptor: what happens to its path afterwards does not matter.

Every operation is relative to a directory descriptor and names one entry without following symbolic links, so that
nothing outside can be reached (see `filesystem.resolution`). Needs an operating system that has such operations: Linux,
macOS and the BSDs do, Windows does not.
"""

from __future__ import annotations

import errno
import os
import stat as modes
from typing import TYPE_CHECKING

from wasmine.errors import UnsupportedFeature
from wasmine.wasi.filesystem.interface import Directory, Entry, File, FileSystem, Open, Stat, fail
from wasmine.wasi.filesystem.readonly import ReadOnlyDirectory
from wasmine.wasi.layout import Filetype

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

# O_PATH (Linux) opens a directory that may be searched but not read; elsewhere reading it is needed too.
_SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
# A pipe must not block the opening, a terminal must not become ours.
_FILE = _NOFOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)

# PyPy's gives back the number of an error, where CPython's raises an exception.
_posix_fallocate: Callable[[int, int, int], int | None] | None = getattr(os, "posix_fallocate", None)

_FILETYPES = {
    modes.S_IFREG: Filetype.REGULAR_FILE,
    modes.S_IFDIR: Filetype.DIRECTORY,
    modes.S_IFLNK: Filetype.SYMBOLIC_LINK,
    modes.S_IFCHR: Filetype.CHARACTER_DEVICE,
    modes.S_IFBLK: Filetype.BLOCK_DEVICE,
    modes.S_IFSOCK: Filetype.SOCKET_STREAM,
}


def supported() -> bool:
    """Whether this operating system has the operations that hold a guest in its directory."""
    needed = {os.open, os.stat, os.unlink, os.rmdir, os.mkdir, os.rename, os.link, os.symlink, os.readlink, os.utime}
    return bool(_NOFOLLOW) and needed <= os.supports_dir_fd and os.scandir in os.supports_fd


def from_stat_result(result: os.stat_result) -> Stat:
    """The description of a file of the host."""
    return Stat(
        _FILETYPES.get(modes.S_IFMT(result.st_mode), Filetype.UNKNOWN),
        result.st_size,
        result.st_dev,
        result.st_ino,
        result.st_nlink,
        result.st_atime_ns,
        result.st_mtime_ns,
        result.st_ctime_ns,
    )


class HostDirectory(FileSystem):
    """A directory of the host, to mount. With `read_only` nothing in it can be changed.

    NotADirectoryError or FileNotFoundError when it is mounted and is no directory.
    """

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        self.path = os.fspath(path)
        self.read_only = read_only

    def root(self) -> Directory:
        if not supported():
            raise UnsupportedFeature(
                "host directories",
                f"cannot mount {self.path!r}: this operating system has no operations relative to directory descriptors, "
                "without which a guest could escape. Mount a MemoryFileSystem, a ZipFileSystem or a file system of yours",
            )
        directory = _HostDirectory(os.open(self.path, _SEARCH))
        return ReadOnlyDirectory(directory) if self.read_only else directory

    def __repr__(self) -> str:
        return f"HostDirectory({self.path!r}{', read_only=True' if self.read_only else ''})"


class _Held:
    """A descriptor of the host that is closed once."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


class HostFile(_Held, File):
    """An open file of the host."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        mode = os.fstat(fd).st_mode
        self.seekable = modes.S_ISREG(mode) or modes.S_ISBLK(mode)
        self._appending = False

    def stat(self) -> Stat:
        return from_stat_result(os.fstat(self.fd))

    def read(self, buffer: memoryview, offset: int) -> int:
        return _pread(self.fd, buffer, offset) if self.seekable else os.readv(self.fd, [buffer])

    def write(self, data: memoryview, offset: int) -> int:
        if not self.seekable:
            return os.write(self.fd, data)
        self._set_append(False)  # Linux appends in spite of an offset as long as O_APPEND is set
        return os.pwrite(self.fd, data, offset)

    def append(self, data: memoryview) -> int:
        if fcntl is None:
            return super().append(data)
        self._set_append(True)
        return os.write(self.fd, data)

    def _set_append(self, wanted: bool) -> None:
        if self._appending != wanted:
            flags = fcntl.fcntl(self.fd, fcntl.F_GETFL)
            fcntl.fcntl(self.fd, fcntl.F_SETFL, flags | os.O_APPEND if wanted else flags & ~os.O_APPEND)
            self._appending = wanted

    def truncate(self, size: int) -> None:
        os.ftruncate(self.fd, size)

    def allocate(self, offset: int, length: int) -> None:
        if _posix_fallocate is not None:
            failed = _posix_fallocate(self.fd, offset, length)
            if failed:
                raise OSError(failed, os.strerror(failed))
        else:
            super().allocate(offset, length)

    def set_times(self, accessed: int | None, modified: int | None) -> None:
        os.utime(self.fd, ns=_times(os.fstat(self.fd), accessed, modified))

    def sync(self, *, data_only: bool = False) -> None:
        if data_only and hasattr(os, "fdatasync"):
            os.fdatasync(self.fd)
        else:
            os.fsync(self.fd)

    def fileno(self) -> int | None:
        return None if self.seekable else self.fd


class _HostDirectory(_Held, Directory):
    """An open directory of the host."""

    def stat(self) -> Stat:
        return from_stat_result(os.fstat(self.fd))

    def entries(self) -> list[Entry]:
        reading = self._reopen()
        try:
            with os.scandir(reading) as found:
                return [Entry(entry.name, _entry_filetype(entry), entry.inode()) for entry in found]
        finally:
            os.close(reading)

    def _reopen(self) -> int:
        """A descriptor for what one that only searches cannot do."""
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | _NOFOLLOW, dir_fd=self.fd)

    def stat_at(self, name: str) -> Stat:
        return from_stat_result(os.stat(name, dir_fd=self.fd, follow_symlinks=False))

    def open_directory(self, name: str) -> Directory:
        return _HostDirectory(os.open(name, _SEARCH | _NOFOLLOW, dir_fd=self.fd))

    def open_file(self, name: str, mode: Open) -> File:
        flags = _FILE | _ACCESS[mode & (Open.READ | Open.WRITE)]
        for wanted, flag in _CREATION:
            if mode & wanted:
                flags |= flag
        file = HostFile(os.open(name, flags, 0o666, dir_fd=self.fd))
        if file.stat().filetype is Filetype.DIRECTORY:
            file.close()
            fail(errno.EISDIR, name)
        return file

    def duplicate(self) -> Directory:
        return _HostDirectory(os.dup(self.fd))

    def read_link(self, name: str) -> str:
        return os.readlink(name, dir_fd=self.fd)

    def make_directory(self, name: str) -> None:
        os.mkdir(name, dir_fd=self.fd)

    def remove_directory(self, name: str) -> None:
        os.rmdir(name, dir_fd=self.fd)

    def unlink(self, name: str) -> None:
        # POSIX lets unlink remove directories, or say EPERM for them.
        if self.stat_at(name).filetype is Filetype.DIRECTORY:
            fail(errno.EISDIR, name)
        os.unlink(name, dir_fd=self.fd)

    def rename(self, name: str, target: Directory, new_name: str) -> None:
        os.rename(name, new_name, src_dir_fd=self.fd, dst_dir_fd=_same_system(target))

    def link(self, name: str, target: Directory, new_name: str) -> None:
        os.link(name, new_name, src_dir_fd=self.fd, dst_dir_fd=_same_system(target), follow_symlinks=False)

    def symlink(self, content: str, name: str) -> None:
        os.symlink(content, name, dir_fd=self.fd)

    def set_times(self, accessed: int | None, modified: int | None) -> None:
        os.utime(".", ns=_times(os.fstat(self.fd), accessed, modified), dir_fd=self.fd)

    def set_times_at(self, name: str, accessed: int | None, modified: int | None) -> None:
        now = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        os.utime(name, ns=_times(now, accessed, modified), dir_fd=self.fd, follow_symlinks=False)

    def sync(self, *, data_only: bool = False) -> None:
        writing = self._reopen()
        try:
            os.fsync(writing)
        finally:
            os.close(writing)


def _pread(fd: int, buffer: memoryview, offset: int) -> int:
    """Fill the buffer from an offset, without a copy where the system has a call for that."""
    if hasattr(os, "preadv"):
        return os.preadv(fd, [buffer], offset)
    data = os.pread(fd, len(buffer), offset)
    buffer[: len(data)] = data
    return len(data)


_ACCESS = {
    Open(0): os.O_RDONLY,
    Open.READ: os.O_RDONLY,
    Open.WRITE: os.O_WRONLY,
    Open.READ | Open.WRITE: os.O_RDWR,
}
_CREATION = ((Open.CREATE, os.O_CREAT), (Open.EXCLUSIVE, os.O_EXCL), (Open.TRUNCATE, os.O_TRUNC))


def _entry_filetype(entry: os.DirEntry[str]) -> Filetype:
    if entry.is_symlink():
        return Filetype.SYMBOLIC_LINK
    if entry.is_dir(follow_symlinks=False):
        return Filetype.DIRECTORY
    if entry.is_file(follow_symlinks=False):
        return Filetype.REGULAR_FILE
    return _FILETYPES.get(modes.S_IFMT(entry.stat(follow_symlinks=False).st_mode), Filetype.UNKNOWN)


def _same_system(directory: Directory) -> int:
    """The descriptor of the other directory of a rename or link."""
    if not isinstance(directory, _HostDirectory):
        fail(errno.EXDEV)
    return directory.fd


def _times(now: os.stat_result, accessed: int | None, modified: int | None) -> tuple[int, int]:
    return (
        now.st_atime_ns if accessed is None else accessed,
        now.st_mtime_ns if modified is None else modified,
    )
