"""Any file system with every change refused (EROFS), whatever way a guest comes by."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from wasmine.wasi.filesystem.interface import Directory, Entry, File, FileSystem, Open, Stat, fail

if TYPE_CHECKING:
    from collections.abc import Iterable


class ReadOnly(FileSystem):
    """A file system seen through a glass."""

    def __init__(self, base: FileSystem) -> None:
        self.base = base

    def root(self) -> Directory:
        return ReadOnlyDirectory(self.base.root())

    def __repr__(self) -> str:
        return f"ReadOnly({self.base!r})"


class ReadOnlyDirectory(Directory):
    """A directory of which only the reading operations reach the one inside. The others are those of `Directory`: EROFS.

    Being another class than the directory inside, it is never the target of that one's `rename` or `link` either.
    """

    def __init__(self, inner: Directory) -> None:
        self._inner = inner

    def stat(self) -> Stat:
        return self._inner.stat()

    def entries(self) -> Iterable[Entry]:
        return self._inner.entries()

    def stat_at(self, name: str) -> Stat:
        return self._inner.stat_at(name)

    def open_directory(self, name: str) -> Directory:
        return ReadOnlyDirectory(self._inner.open_directory(name))

    def open_file(self, name: str, mode: Open) -> File:
        if mode & Open.CREATE and not mode & (Open.WRITE | Open.TRUNCATE):
            # What exists may be opened so; only making it is refused.
            try:
                self._inner.stat_at(name)
            except FileNotFoundError:
                fail(errno.EROFS, name)
            if mode & Open.EXCLUSIVE:
                fail(errno.EEXIST, name)
            mode &= ~Open.CREATE
        if mode.changes:
            fail(errno.EROFS, name)
        return ReadOnlyFile(self._inner.open_file(name, Open.READ))

    def duplicate(self) -> Directory:
        return ReadOnlyDirectory(self._inner.duplicate())

    def read_link(self, name: str) -> str:
        return self._inner.read_link(name)

    def close(self) -> None:
        self._inner.close()


class ReadOnlyFile(File):
    """A file of which only reading reaches the one inside."""

    def __init__(self, inner: File) -> None:
        self._inner = inner
        self.seekable = inner.seekable

    def stat(self) -> Stat:
        return self._inner.stat()

    def read(self, buffer: memoryview, offset: int) -> int:
        return self._inner.read(buffer, offset)

    def allocate(self, offset: int, length: int) -> None:
        fail(errno.EROFS)

    def fileno(self) -> int | None:
        return self._inner.fileno()

    def close(self) -> None:
        self._inner.close()
