"""Any file system with every change refused (EROFS), whatever way a guest comes by."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from wasmine.wasi.filesystem.interface import Directory, Entry, File, FileSystem, Open, Stat, fail
from wasmine.wasi.layout import Filetype

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
        if mode.changes:
            self._refuse_changes(name, mode)
        return ReadOnlyFile(self._inner.open_file(name, Open.READ))

    def _refuse_changes(self, name: str, mode: Open) -> None:
        """Fail as Linux does where it is mounted read-only. What exists may be opened to be created, if not written."""
        try:
            filetype = self._inner.stat_at(name).filetype
        except FileNotFoundError:
            fail(errno.EROFS if mode & Open.CREATE else errno.ENOENT, name)
        if mode & Open.CREATE and mode & Open.EXCLUSIVE:
            fail(errno.EEXIST, name)
        if filetype is Filetype.DIRECTORY:
            fail(errno.EISDIR, name)
        if filetype is Filetype.SYMBOLIC_LINK:
            fail(errno.ELOOP, name)
        if mode & (Open.WRITE | Open.TRUNCATE):
            fail(errno.EROFS, name)

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
