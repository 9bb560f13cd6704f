"""What a file system is: the few operations that every one of them has.

A `FileSystem` gives a `Directory`, the root; a directory gives files and directories by name. A *name* is always one path
component: never empty, never `.` or `..`, never with a slash. Paths, symbolic links and `..` are resolved in one place for
all file systems (`filesystem.resolution`), so an implementation can neither get them wrong nor be escaped through them; for
that, **no operation here follows a symbolic link**: opening one raises `OSError(errno.ELOOP, ...)` or
`NotADirectoryError`, and `stat_at` describes the link itself.

Failure is an `OSError`, with an error number or as one of its subclasses (`FileNotFoundError("x")`). What changes a file
system is refused with EROFS unless a subclass implements it: the abstract methods alone make a read-only one.
"""

from __future__ import annotations

import enum
import errno
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from wasmine.record import record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn, Self

    from wasmine.wasi.layout import Filetype


@record
class Stat:
    """What is known of a file. Times are nanoseconds since 1970; `device` and `inode` together identify it."""

    filetype: Filetype
    size: int = 0
    device: int = 0
    inode: int = 0
    links: int = 1
    accessed: int = 0
    modified: int = 0
    changed: int = 0


@record
class Entry:
    """One name in a directory."""

    name: str
    filetype: Filetype
    inode: int = 0


class Open(enum.IntFlag):
    """How `Directory.open_file` opens. CREATE makes a missing file, with EXCLUSIVE an existing one is EEXIST."""

    READ = 1
    WRITE = 2
    CREATE = 4
    EXCLUSIVE = 8
    TRUNCATE = 16

    @property
    def changes(self) -> bool:
        """Whether a read-only file system must refuse it."""
        return bool(self & ~Open.READ)


def fail(number: int, name: str = "") -> NoReturn:
    """Raise the `OSError` of an error number (its right subclass)."""
    raise OSError(number, os.strerror(number), name)


class File(ABC):
    """An open file without a position: who holds it keeps that.

    Where `seekable` is false (a pipe, a device) offsets are ignored, and `fileno` says what to wait for when an operation
    raises `BlockingIOError`.
    """

    seekable: bool = True

    @abstractmethod
    def stat(self) -> Stat:
        """What is known of the file now."""

    @abstractmethod
    def read(self, buffer: memoryview, offset: int) -> int:
        """Fill the buffer from `offset`; how many bytes there were, 0 at the end of the file."""

    def write(self, data: memoryview, offset: int) -> int:
        """Write at `offset`, the gap before it being zeros; how many bytes were written."""
        fail(errno.EROFS)

    def append(self, data: memoryview) -> int:
        """Write at the end, whoever else writes; how many bytes were written."""
        return self.write(data, self.stat().size)

    def truncate(self, size: int) -> None:
        """Make the file this long, with zeros if it was shorter."""
        fail(errno.EROFS)

    def allocate(self, offset: int, length: int) -> None:
        """Make sure that the bytes offset to offset + length exist; never shorten."""
        if offset + length > self.stat().size:
            self.truncate(offset + length)

    def set_times(self, accessed: int | None, modified: int | None) -> None:
        """Set times, in nanoseconds; None keeps one."""
        fail(errno.EROFS)

    def sync(self, *, data_only: bool = False) -> None:
        """Write to the medium what is still held back."""
        return

    def fileno(self) -> int | None:
        """A descriptor of the host to wait on, None if reading and writing never block."""
        return None

    def close(self) -> None:
        """Let go of it. A second call does nothing."""
        return


class Directory(ABC):
    """An open directory. It stays the same directory when it is renamed."""

    @abstractmethod
    def stat(self) -> Stat:
        """What is known of the directory itself."""

    @abstractmethod
    def entries(self) -> Iterable[Entry]:
        """What is in it, without `.` and `..`."""

    @abstractmethod
    def stat_at(self, name: str) -> Stat:
        """What is known of the entry; of a symbolic link itself."""

    @abstractmethod
    def open_directory(self, name: str) -> Directory:
        """The directory of that name. NotADirectoryError or ELOOP for anything else."""

    @abstractmethod
    def open_file(self, name: str, mode: Open) -> File:
        """The file of that name. IsADirectoryError for a directory, ELOOP for a symbolic link."""

    @abstractmethod
    def duplicate(self) -> Directory:
        """Another handle of this same directory, closed on its own."""

    def read_link(self, name: str) -> str:
        """The content of a symbolic link. EINVAL for anything else."""
        self.stat_at(name)
        fail(errno.EINVAL, name)

    def make_directory(self, name: str) -> None:
        fail(errno.EROFS, name)

    def remove_directory(self, name: str) -> None:
        """Remove an empty directory. ENOTDIR for anything else, ENOTEMPTY."""
        fail(errno.EROFS, name)

    def unlink(self, name: str) -> None:
        """Remove anything but a directory (EISDIR)."""
        fail(errno.EROFS, name)

    def rename(self, name: str, target: Directory, new_name: str) -> None:
        """Move an entry, replacing what POSIX lets it replace. EXDEV if `target` is in another file system."""
        fail(errno.EROFS, name)

    def link(self, name: str, target: Directory, new_name: str) -> None:
        """Make a hard link to the entry (of a symbolic link: to itself). EXDEV, EPERM for directories."""
        fail(errno.EROFS, name)

    def symlink(self, content: str, name: str) -> None:
        """Make a symbolic link."""
        fail(errno.EROFS, name)

    def set_times(self, accessed: int | None, modified: int | None) -> None:
        """Set times of the directory itself, in nanoseconds; None keeps one."""
        fail(errno.EROFS)

    def set_times_at(self, name: str, accessed: int | None, modified: int | None) -> None:
        """Set times of the entry; of a symbolic link itself."""
        fail(errno.EROFS, name)

    def sync(self, *, data_only: bool = False) -> None:
        """Write to the medium what is still held back."""
        return

    def close(self) -> None:
        """Let go of it. A second call does nothing."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class FileSystem(ABC):
    """Something to mount. It can be mounted many times, in many guests."""

    @abstractmethod
    def root(self) -> Directory:
        """A new handle of the root directory. OSError if there is none."""
