"""What a guest's file descriptors refer to, and the table of them."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from wasmine.runtime.lock import lock
from wasmine.wasi import rights
from wasmine.wasi.errno import Errno, WasiError
from wasmine.wasi.filesystem.interface import Entry
from wasmine.wasi.layout import FdFlags, Filetype, Whence
from wasmine.wasi.rights import Rights
from wasmine.wasi.waiting import waiting_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wasmine.wasi.filesystem.interface import Directory, File, Stat
    from wasmine.wasi.waiting import Waiting

LARGEST_OFFSET = (1 << 63) - 1


class Descriptor(ABC):
    """The base of all kinds. `rights` and `inheriting` are preview 1's, `flags` its fdflags.

    What a kind cannot do fails with BADF, as in wasmtime, or with the errno that POSIX has for it.
    """

    def __init__(self, filetype: Filetype, base: int, inheriting: int = 0, flags: int = 0) -> None:
        self.filetype = filetype
        self.rights = int(base)
        self.inheriting = int(inheriting)
        self.flags = flags

    def require(self, right: int) -> None:
        """NOTCAPABLE if the descriptor lacks one of the rights."""
        if right & ~self.rights:
            raise WasiError(Errno.NOTCAPABLE)

    @abstractmethod
    def stat(self) -> Stat:
        """What is known of what it refers to."""

    def read(self, buffers: list[memoryview]) -> int:
        """Read at the position into buffers, none of them empty; how many bytes, 0 at the end."""
        raise WasiError(Errno.BADF)

    def write(self, buffers: list[memoryview]) -> int:
        """Write buffers at the position; how many bytes."""
        raise WasiError(Errno.BADF)

    def pread(self, buffers: list[memoryview], offset: int) -> int:
        """Read at an offset; how many bytes."""
        raise WasiError(Errno.BADF)

    def pwrite(self, buffers: list[memoryview], offset: int) -> int:
        """Write at an offset; how many bytes."""
        raise WasiError(Errno.BADF)

    def seek(self, delta: int, whence: Whence) -> int:
        """Move the position; where it is then."""
        raise WasiError(Errno.BADF)

    def advise(self) -> None:
        """Fail if advice about access makes no sense here."""
        raise WasiError(Errno.BADF)

    def allocate(self, offset: int, length: int) -> None:
        """Make sure that these bytes exist."""
        raise WasiError(Errno.BADF)

    def truncate(self, size: int) -> None:
        """Set the size."""
        raise WasiError(Errno.BADF)

    def set_times(self, accessed: int | None, modified: int | None) -> None:
        """Set times, in nanoseconds; None keeps one."""
        raise WasiError(Errno.BADF)

    @abstractmethod
    def set_flags(self, flags: int) -> None:
        """Replace the fdflags."""

    def sync(self, *, data_only: bool) -> None:
        """Write to the medium what is held back."""
        raise WasiError(Errno.INVAL)

    def available(self) -> int:
        """How many bytes can be read now, as `poll_oneoff` tells: 0 at the end, 1 where it is not known how many."""
        return 1

    def read_fileno(self) -> int | None:
        """What to wait on until there is something to read; None if reading never blocks."""
        raise WasiError(Errno.BADF)

    def write_fileno(self) -> int | None:
        """What to wait on until something can be written; None if writing never blocks."""
        raise WasiError(Errno.BADF)

    def close(self) -> None:
        """Let go of what it refers to."""
        return


class OpenFile(Descriptor):
    """A file with a position. `largest` is the size to which a guest may make it grow (FBIG beyond), None for any."""

    def __init__(
        self, file: File, base: int, inheriting: int, flags: int, waiting: Waiting, largest: int | None = None
    ) -> None:
        super().__init__(file.stat().filetype, base, inheriting, flags)
        self.file = file
        self.offset = 0
        self._waiting = waiting
        self._largest = largest

    def stat(self) -> Stat:
        self.require(Rights.FD_FILESTAT_GET)
        return self.file.stat()

    def read(self, buffers: list[memoryview]) -> int:
        self.require(Rights.FD_READ)
        if not self.file.seekable:
            return self._patiently(lambda: self.file.read(buffers[0], 0), writing=False) if buffers else 0
        count = self._pread(buffers, self.offset)
        self.offset += count
        return count

    def pread(self, buffers: list[memoryview], offset: int) -> int:
        self.require(Rights.FD_READ | Rights.FD_SEEK)
        self._check_seekable(offset)
        return self._pread(buffers, offset)

    def _pread(self, buffers: list[memoryview], offset: int) -> int:
        total = 0
        for buffer in buffers:
            count = self.file.read(buffer, offset + total)
            total += count
            if count < len(buffer):
                break
        return total

    def write(self, buffers: list[memoryview]) -> int:
        self.require(Rights.FD_WRITE)
        if not self.file.seekable:
            return self._patiently(lambda: self.file.write(buffers[0], 0), writing=True) if buffers else 0
        if self.flags & FdFlags.APPEND:
            return self._append(buffers)
        count = self._pwrite(buffers, self.offset)
        self.offset += count
        return count

    def pwrite(self, buffers: list[memoryview], offset: int) -> int:
        self.require(Rights.FD_WRITE | Rights.FD_SEEK)
        self._check_seekable(offset)
        return self._pwrite(buffers, offset)

    def _pwrite(self, buffers: list[memoryview], offset: int) -> int:
        total = 0
        for buffer in buffers:
            piece = self._within_limit(buffer, offset + total)
            count = self.file.write(piece, offset + total)
            total += count
            if count < len(buffer):
                break
        self._written()
        return total

    def _append(self, buffers: list[memoryview]) -> int:
        """Write at the end. The pieces are joined: another program must not get between them."""
        if not buffers:
            return 0
        data = buffers[0] if len(buffers) == 1 else memoryview(b"".join(buffers))
        count = self.file.append(self._within_limit(data, self.file.stat().size if self._largest is not None else 0))
        self.offset = self.file.stat().size
        self._written()
        return count

    def _within_limit(self, data: memoryview, offset: int) -> memoryview:
        """The part of the data that keeps the file within its limit. FBIG if that is nothing."""
        if offset + len(data) > LARGEST_OFFSET:
            raise WasiError(Errno.FBIG)
        if self._largest is None or offset + len(data) <= self._largest:
            return data
        if offset >= self._largest:
            raise WasiError(Errno.FBIG)
        return data[: self._largest - offset]

    def _written(self) -> None:
        if self.flags & (FdFlags.SYNC | FdFlags.DSYNC):
            self.file.sync(data_only=not self.flags & FdFlags.SYNC)

    def _patiently(self, action: Callable[[], int], *, writing: bool) -> int:
        """Do what may block on a pipe or device, waiting where the guest wants that."""
        fd = self.file.fileno()
        if self.flags & FdFlags.NONBLOCK or fd is None:
            return action()
        return self._waiting.until_done(action, fd, writing=writing)

    def _check_seekable(self, offset: int) -> None:
        if not self.file.seekable:
            raise WasiError(Errno.SPIPE)
        if offset > LARGEST_OFFSET:
            raise WasiError(Errno.INVAL)

    def seek(self, delta: int, whence: Whence) -> int:
        # Asking where it is needs less than moving it.
        self.require(Rights.FD_TELL if delta == 0 and whence is Whence.CUR else Rights.FD_SEEK)
        self._check_seekable(0)
        if whence is Whence.SET:
            position = delta
        elif whence is Whence.CUR:
            position = self.offset + delta
        else:
            position = self.file.stat().size + delta
        if not 0 <= position <= LARGEST_OFFSET:
            raise WasiError(Errno.INVAL)
        self.offset = position
        return position

    def advise(self) -> None:
        self.require(Rights.FD_ADVISE)
        if not self.file.seekable:
            raise WasiError(Errno.SPIPE)

    def allocate(self, offset: int, length: int) -> None:
        self.require(Rights.FD_ALLOCATE)
        self._check_size(offset + length)
        self.file.allocate(offset, length)

    def truncate(self, size: int) -> None:
        self.require(Rights.FD_FILESTAT_SET_SIZE)
        self._check_size(size)
        self.file.truncate(size)

    def _check_size(self, size: int) -> None:
        if size > LARGEST_OFFSET or (self._largest is not None and size > self._largest):
            raise WasiError(Errno.FBIG)

    def set_times(self, accessed: int | None, modified: int | None) -> None:
        self.require(Rights.FD_FILESTAT_SET_TIMES)
        self.file.set_times(accessed, modified)

    def set_flags(self, flags: int) -> None:
        self.require(Rights.FD_FDSTAT_SET_FLAGS)
        if (flags ^ self.flags) & (FdFlags.DSYNC | FdFlags.RSYNC | FdFlags.SYNC):
            raise WasiError(Errno.NOTSUP)  # as for open files in POSIX
        self.flags = flags

    def sync(self, *, data_only: bool) -> None:
        self.require(Rights.FD_DATASYNC if data_only else Rights.FD_SYNC)
        self.file.sync(data_only=data_only)

    def available(self) -> int:
        if self.file.seekable:
            return max(self.file.stat().size - self.offset, 0)
        fd = self.file.fileno()
        return 1 if fd is None else waiting_bytes(fd)

    def read_fileno(self) -> int | None:
        return self.file.fileno()

    def write_fileno(self) -> int | None:
        return self.file.fileno()

    def close(self) -> None:
        self.file.close()


class OpenDirectory(Descriptor):
    """A directory. `name` is its path for the guest if it was there from the start (pre-opened), else None."""

    def __init__(
        self, directory: Directory, base: int, inheriting: int, flags: int = 0, name: str | None = None
    ) -> None:
        super().__init__(Filetype.DIRECTORY, base, inheriting, flags)
        self.directory = directory
        self.name = name
        self._listing: list[Entry] | None = None

    def stat(self) -> Stat:
        self.require(Rights.FD_FILESTAT_GET)
        return self.directory.stat()

    def listing(self, cookie: int) -> list[Entry]:
        """The entries from a cookie on, `.` and `..` first; a cookie is the number of entries before.

        The list is made when reading starts at cookie 0, so that cookies keep their meaning while files come and go.
        """
        self.require(Rights.FD_READDIR)
        if self._listing is None or cookie == 0:
            inode = self.directory.stat().inode
            # What is above is nobody's business: as in the root of a system, `..` is the directory itself. An inode of 0
            # would make libc ask for it, by the path `..`, and fail.
            special = [Entry(".", Filetype.DIRECTORY, inode), Entry("..", Filetype.DIRECTORY, inode)]
            self._listing = special + sorted(self.directory.entries(), key=lambda entry: entry.name)
        return self._listing[cookie:]

    def set_times(self, accessed: int | None, modified: int | None) -> None:
        self.require(Rights.FD_FILESTAT_SET_TIMES)
        self.directory.set_times(accessed, modified)

    def set_flags(self, flags: int) -> None:
        self.require(Rights.FD_FDSTAT_SET_FLAGS)
        self.flags = flags

    def sync(self, *, data_only: bool) -> None:
        self.require(Rights.FD_DATASYNC if data_only else Rights.FD_SYNC)
        self.directory.sync(data_only=data_only)

    def close(self) -> None:
        self.directory.close()


class DescriptorTable:
    """Descriptors by number. A new one gets the lowest free number; more than `limit` at once are MFILE.

    It stays whole if two threads use it, though the guest's files are for one at a time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[int, Descriptor] = {}
        self._free: list[int] = []  # a heap of numbers below the highest that was given out

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._open))

    def check_room(self) -> None:
        """MFILE if no further descriptor may be opened."""
        if len(self._open) >= self._limit:
            raise WasiError(Errno.MFILE)

    def add(self, descriptor: Descriptor) -> int:
        """The number of a new descriptor."""
        with lock:
            self.check_room()
            fd = heapq.heappop(self._free) if self._free else len(self._open)
            self._open[fd] = descriptor
            return fd

    def get(self, fd: int) -> Descriptor:
        """The descriptor; BADF if there is none."""
        try:
            return self._open[fd]
        except KeyError:
            raise WasiError(Errno.BADF) from None

    def directory(self, fd: int, right: int) -> OpenDirectory:
        """The directory; NOTDIR if it is something else, NOTCAPABLE without the right."""
        descriptor = self.get(fd)
        if not isinstance(descriptor, OpenDirectory):
            raise WasiError(Errno.NOTDIR)
        descriptor.require(right)
        return descriptor

    def close(self, fd: int) -> None:
        """Close one."""
        with lock:
            descriptor = self.get(fd)
            del self._open[fd]
            heapq.heappush(self._free, fd)
        descriptor.close()

    def renumber(self, fd: int, to: int) -> None:
        """Give an open descriptor the number of another one, which is closed."""
        with lock:
            descriptor, replaced = self.get(fd), self.get(to)
            if fd == to:
                return
            del self._open[fd]
            heapq.heappush(self._free, fd)
            self._open[to] = descriptor
        replaced.close()

    def close_all(self) -> None:
        """Close everything; what goes wrong in one does not spare the others."""
        with lock:
            opened, self._open, self._free = list(self._open.values()), {}, []
        for descriptor in opened:
            try:
                descriptor.close()
            except OSError:
                continue


def derive(parent: OpenDirectory, base: int, inheriting: int, *, directory: bool) -> tuple[int, int]:
    """The rights of what is opened through a directory: those asked for that the parent hands on and the kind can have."""
    most = rights.DIRECTORY if directory else rights.FILE
    return base & parent.inheriting & most, inheriting & parent.inheriting if directory else 0
