"""Read-only file systems made of a tree that is known from the start: a zip file, the files of a Python package."""

from __future__ import annotations

import calendar
import errno
import stat as modes
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeAlias

from wasmine.wasi.filesystem.interface import Directory, Entry, File, FileSystem, Open, Stat, fail
from wasmine.wasi.layout import Filetype

if TYPE_CHECKING:
    import os
    import zipfile
    from collections.abc import Iterable, Iterator
    from importlib.resources.abc import Traversable
    from typing import IO

# A file is held in memory while it is open; a zip file may claim anything.
LARGEST = 256 << 20


class Leaf(ABC):
    """A file or symbolic link of the tree."""

    def __init__(self, size: int, modified: int = 0, filetype: Filetype = Filetype.REGULAR_FILE) -> None:
        self.size = size
        self.modified = modified
        self.filetype = filetype

    @abstractmethod
    def load(self) -> bytes:
        """The content."""


Branch: TypeAlias = "dict[str, Leaf | Branch]"


def insert(tree: Branch, path: str, leaf: Leaf | None) -> None:
    """Put a leaf into a tree (None: make the directory). Paths that could not be walked to are left out."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\0" in path:
        return
    *parents, name = parts
    here = tree
    for part in (*parents, name) if leaf is None else parents:
        inner = here.setdefault(part, {})
        if isinstance(inner, Leaf):
            return
        here = inner
    if leaf is not None and not isinstance(here.get(name), dict):
        here[name] = leaf


class TreeFileSystem(FileSystem):
    """A tree of leaves. Identity of nodes gives the inodes."""

    def __init__(self, tree: Branch) -> None:
        self.tree = tree

    def root(self) -> Directory:
        return _TreeDirectory(self.tree)


class _TreeDirectory(Directory):
    def __init__(self, branch: Branch) -> None:
        self._branch = branch

    def _child(self, name: str) -> Leaf | Branch:
        child = self._branch.get(name)
        if child is None:
            fail(errno.ENOENT, name)
        return child

    def stat(self) -> Stat:
        return _describe(self._branch)

    def entries(self) -> Iterable[Entry]:
        for name, child in self._branch.items():
            found = _describe(child)
            yield Entry(name, found.filetype, found.inode)

    def stat_at(self, name: str) -> Stat:
        return _describe(self._child(name))

    def open_directory(self, name: str) -> Directory:
        child = self._child(name)
        if isinstance(child, Leaf):
            fail(errno.ELOOP if child.filetype is Filetype.SYMBOLIC_LINK else errno.ENOTDIR, name)
        return _TreeDirectory(child)

    def open_file(self, name: str, mode: Open) -> File:
        child = self._branch.get(name)
        if child is None:
            fail(errno.EROFS if mode & Open.CREATE else errno.ENOENT, name)
        if mode & Open.CREATE and mode & Open.EXCLUSIVE:
            fail(errno.EEXIST, name)
        if not isinstance(child, Leaf):
            fail(errno.EISDIR, name)
        if child.filetype is Filetype.SYMBOLIC_LINK:
            fail(errno.ELOOP, name)
        if mode & (Open.WRITE | Open.TRUNCATE):
            fail(errno.EROFS, name)
        return _TreeFile(child)

    def duplicate(self) -> Directory:
        return _TreeDirectory(self._branch)

    def read_link(self, name: str) -> str:
        child = self._child(name)
        if not isinstance(child, Leaf) or child.filetype is not Filetype.SYMBOLIC_LINK:
            fail(errno.EINVAL, name)
        return child.load().decode(errors="surrogateescape")


class _TreeFile(File):
    """An open leaf; its content is loaded by the first read."""

    def __init__(self, leaf: Leaf) -> None:
        self._leaf = leaf
        self._content: bytes | None = None

    def stat(self) -> Stat:
        return _describe(self._leaf)

    def read(self, buffer: memoryview, offset: int) -> int:
        if self._content is None:
            self._content = self._leaf.load()
        piece = self._content[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._content = None


def _describe(node: Leaf | Branch) -> Stat:
    inode = id(node) & 0xFFFF_FFFF_FFFF_FFFF
    if isinstance(node, Leaf):
        return Stat(node.filetype, node.size, 0, inode, 1, node.modified, node.modified, node.modified)
    return Stat(Filetype.DIRECTORY, inode=inode)


class ZipFileSystem(TreeFileSystem):
    """The content of a zip file, read-only. Takes what `zipfile.ZipFile` takes, or one that is open.

    Entries that no path can reach (absolute ones, `..`) are left out.
    """

    def __init__(self, file: str | os.PathLike[str] | IO[bytes] | zipfile.ZipFile) -> None:
        import zipfile

        self._zip = file if isinstance(file, zipfile.ZipFile) else zipfile.ZipFile(file)
        tree: Branch = {}
        for info in self._zip.infolist():
            if not info.filename.startswith("/"):
                insert(tree, info.filename, None if info.filename.endswith("/") else _ZipLeaf(self._zip, info))
        super().__init__(tree)

    def close(self) -> None:
        """Close the zip file."""
        self._zip.close()


class _ZipLeaf(Leaf):
    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        link = modes.S_ISLNK(info.external_attr >> 16)
        super().__init__(info.file_size, _modified(info), Filetype.SYMBOLIC_LINK if link else Filetype.REGULAR_FILE)
        self._archive = archive
        self._info = info

    def load(self) -> bytes:
        import zipfile
        import zlib

        if self.size > LARGEST:
            fail(errno.EFBIG, self._info.filename)
        try:
            # `read` would go by what the data say, however long they turn out to be.
            with self._archive.open(self._info) as file:
                return file.read(self.size)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
            raise OSError(errno.EIO, f"{self._info.filename}: {error}") from error


def _modified(info: zipfile.ZipInfo) -> int:
    """When the entry was written; zip files that should be the same in every build have month 0."""
    try:
        return max(calendar.timegm((*info.date_time, 0, 0, 0)) * 1_000_000_000, 0)
    except ValueError:
        return 0


class PackageFileSystem(TreeFileSystem):
    """The data files of an importable package, read-only: `PackageFileSystem("guest_files")`.

    Also takes what `importlib.resources.files` gives. Symbolic links are left out.
    """

    def __init__(self, package: str | Traversable) -> None:
        if isinstance(package, str):
            from importlib.resources import files

            package = files(package)
        super().__init__(dict(_package_tree(package)))


def _package_tree(directory: Traversable) -> Iterator[tuple[str, Leaf | Branch]]:
    for item in directory.iterdir():
        is_link = getattr(item, "is_symlink", None)
        if is_link is not None and is_link():
            continue
        if item.is_dir():
            yield item.name, dict(_package_tree(item))
        elif item.is_file():
            yield item.name, _PackageLeaf(item)


class _PackageLeaf(Leaf):
    """The size of a resource is only known once it was read, where it is no file of the host."""

    def __init__(self, item: Traversable) -> None:
        self._item = item
        status = getattr(item, "stat", None)
        if callable(status):
            result = status()
            super().__init__(result.st_size, result.st_mtime_ns)
        else:
            super().__init__(len(self.load()))

    def load(self) -> bytes:
        return self._item.read_bytes()
