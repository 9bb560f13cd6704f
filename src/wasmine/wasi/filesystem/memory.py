"""A file system in memory: built from a dict, readable back as a dict."""

from __future__ import annotations

import errno
import functools
import itertools
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from wasmine.record import record
from wasmine.wasi.filesystem.interface import Directory, Entry, File, FileSystem, Open, Stat, fail
from wasmine.wasi.layout import Filetype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

DEFAULT_CAPACITY = 256 << 20
ENTRY_COST = 256  # bytes that a file, directory or link costs besides its content: guests must not make them for free


@record
class Symlink:
    """A symbolic link in the dict of a file system."""

    content: str


Tree: TypeAlias = "Mapping[str, bytes | bytearray | memoryview | str | Symlink | Tree]"
TreeDict: TypeAlias = "dict[str, bytes | Symlink | TreeDict]"


class Node:
    """A file, directory or symbolic link. `opens` counts handles, `links` names; without either it is gone.

    `charged` is how many bytes of capacity it holds.
    """

    __slots__ = ("accessed", "changed", "charged", "inode", "links", "modified", "opens")
    filetype = Filetype.UNKNOWN

    def __init__(self, inode: int, now: int) -> None:
        self.inode = inode
        self.links = 0
        self.opens = 0
        self.charged = 0
        self.accessed = self.modified = self.changed = now

    def size(self) -> int:
        return 0

    def set_times(self, accessed: int | None, modified: int | None, now: int) -> None:
        self.accessed = self.accessed if accessed is None else accessed
        self.modified = self.modified if modified is None else modified
        self.changed = now


class FileNode(Node):
    __slots__ = ("data",)
    filetype = Filetype.REGULAR_FILE

    def __init__(self, inode: int, now: int, data: bytes | bytearray = b"") -> None:
        super().__init__(inode, now)
        self.data = bytearray(data)

    def size(self) -> int:
        return len(self.data)

    def read(self, buffer: memoryview, offset: int) -> int:
        piece = self.data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def own(self, *, keep: bool = True) -> None:
        """Called before the data change, for those that are not in memory yet. `keep`: what is there now matters."""

    def opened(self) -> None:
        """Called when a handle is made."""

    def closed(self) -> None:
        """Called when the last handle is closed."""


class LinkNode(Node):
    __slots__ = ("content",)
    filetype = Filetype.SYMBOLIC_LINK

    def __init__(self, inode: int, now: int, content: str) -> None:
        super().__init__(inode, now)
        self.content = content

    def size(self) -> int:
        return len(self.content.encode(errors="surrogateescape"))


class DirectoryNode(Node):
    """`parent` is None for the root and for a directory that was removed."""

    __slots__ = ("children", "parent")
    filetype = Filetype.DIRECTORY

    def __init__(self, inode: int, now: int) -> None:
        super().__init__(inode, now)
        self.children: dict[str, Node] = {}
        self.parent: DirectoryNode | None = None

    def get(self, name: str) -> Node | None:
        return self.children.get(name)

    def entries(self) -> Iterable[Entry]:
        return [Entry(name, node.filetype, node.inode) for name, node in self.children.items()]

    def put(self, name: str, node: Node) -> None:
        self.children[name] = node

    def remove(self, name: str) -> None:
        del self.children[name]


Operation = TypeVar("Operation", bound="Callable[..., Any]")


def whole(operation: Operation) -> Operation:
    """A method of what is open in a file system, as one step for other threads: guests may share the file system."""

    @functools.wraps(operation)
    def one_at_a_time(self: MemoryFile | MemoryDirectory, *arguments: Any) -> Any:
        with self._system.lock:
            return operation(self, *arguments)

    return cast("Operation", one_at_a_time)


# Programs take two files of one device and one inode for the same file.
_DEVICES = itertools.count(1)

_systems: Final[weakref.WeakSet[MemoryFileSystem]] = weakref.WeakSet()


class MemoryFileSystem(FileSystem):
    """Files in memory: `MemoryFileSystem({"etc": {"motd": "hello"}, "bin/tool": b"...", "link": Symlink("etc")})`.

    Text is stored as UTF-8. `capacity` bounds what all files, names and directories take together, in bytes (ENOSPC
    beyond). `now` gives the time for new files and changes, in nanoseconds since 1970: the host's clock unless given.
    Mounted several times it is the same file system, whose content `to_dict()` gives.
    """

    def __init__(
        self, tree: Tree | None = None, *, capacity: int = DEFAULT_CAPACITY, now: Callable[[], int] = time.time_ns
    ) -> None:
        self.capacity = capacity
        self.used = 0
        self.device = next(_DEVICES)
        self.now = now
        self._inodes = 0
        self.lock = threading.RLock()  # a signal handler or a finalizer that runs while it is held may use it too
        _systems.add(self)
        self._root = self.new_root()
        if tree is not None:
            self._fill(self._root, tree)

    def new_root(self) -> DirectoryNode:
        return DirectoryNode(self.next_inode(), self.now())

    def root(self) -> Directory:
        return MemoryDirectory(self, self._root)

    def describe(self, node: Node) -> Stat:
        """What is known of a node."""
        return Stat(
            node.filetype,
            node.size(),
            self.device,
            node.inode,
            max(node.links, 1),
            node.accessed,
            node.modified,
            node.changed,
        )

    def next_inode(self) -> int:
        self._inodes += 1
        return self._inodes

    def charge(self, node: Node, delta: int) -> None:
        """Take capacity for a node (give it back if negative). ENOSPC if there is not so much, and nothing is taken."""
        if delta > 0 and self.used + delta > self.capacity:
            fail(errno.ENOSPC)
        self.used += delta
        node.charged += delta

    def add(self, directory: DirectoryNode, name: str, node: Node) -> None:
        """Give a new or known node a name."""
        self.charge(node, ENTRY_COST + len(name) + (node.size() if node.links == 0 else 0))
        node.links += 1
        self._named(directory, name, node)

    def remove(self, directory: DirectoryNode, name: str, node: Node) -> None:
        """Take a name away."""
        directory.remove(name)
        node.links -= 1
        if isinstance(node, DirectoryNode):
            node.parent = None
        self.charge(node, -min(ENTRY_COST + len(name), node.charged))
        self.release(node)
        directory.modified = directory.changed = node.changed = self.now()

    def move(self, source: DirectoryNode, name: str, node: Node, target: DirectoryNode, new_name: str) -> None:
        """Give a node another name instead of the one it has."""
        self.charge(node, max(len(new_name) - len(name), 0))
        source.remove(name)
        source.modified = source.changed = self.now()
        self._named(target, new_name, node)

    def _named(self, directory: DirectoryNode, name: str, node: Node) -> None:
        if isinstance(node, DirectoryNode):
            node.parent = directory
        directory.put(name, node)
        directory.modified = directory.changed = node.changed = self.now()

    def release(self, node: Node) -> None:
        """Give back the capacity of a node that has neither a name nor a handle any more."""
        if node.links == 0 and node.opens == 0:
            self.charge(node, -node.charged)

    def alive(self, directory: DirectoryNode) -> None:
        """ENOENT if the directory was removed: nothing can be made in it."""
        if directory.parent is None and directory is not self._root:
            fail(errno.ENOENT)

    def _fill(self, directory: DirectoryNode, tree: Tree) -> None:
        for path, content in tree.items():
            *parents, name = path.split("/")
            if any(part in ("", ".", "..") or "\0" in part for part in (*parents, name)):
                raise ValueError(f"not a relative path beneath the root: {path!r}")
            here = directory
            for part in parents:
                here = self._subdirectory(here, part, path)
            if isinstance(content, (bytes, bytearray, memoryview, str, Symlink)):
                if here.get(name) is not None:
                    raise ValueError(f"two files of one name: {path!r}")
                self.add(here, name, self._leaf(content))
            else:
                self._fill(self._subdirectory(here, name, path), content)

    def _leaf(self, content: bytes | bytearray | memoryview | str | Symlink) -> Node:
        if isinstance(content, Symlink):
            return LinkNode(self.next_inode(), self.now(), content.content)
        data = content.encode() if isinstance(content, str) else bytes(content)
        return FileNode(self.next_inode(), self.now(), data)

    def _subdirectory(self, directory: DirectoryNode, name: str, path: str) -> DirectoryNode:
        node = directory.get(name)
        if node is None:
            node = DirectoryNode(self.next_inode(), self.now())
            self.add(directory, name, node)
        if not isinstance(node, DirectoryNode):
            raise ValueError(f"both a file and a directory: {name!r} in {path!r}")
        return node

    def to_dict(self) -> TreeDict:
        """Everything in it: bytes for a file, a `Symlink`, a dict for a directory. Hard links show as separate files."""
        with self.lock:
            return to_dict(self._root)


def _renew_locks() -> None:
    """After a fork nobody holds a lock: who did is another process's thread."""
    for system in list(_systems):
        system.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def content_of(node: Node) -> bytes | Symlink | TreeDict:
    """What the dict of a file system holds for a node."""
    if isinstance(node, DirectoryNode):
        return to_dict(node)
    if isinstance(node, LinkNode):
        return Symlink(node.content)
    assert isinstance(node, FileNode)
    data = bytearray(node.size())
    node.opened()
    try:
        return bytes(data[: node.read(memoryview(data), 0)])
    finally:
        if node.opens == 0:
            node.closed()


def to_dict(directory: DirectoryNode) -> TreeDict:
    """The content of a directory, as `MemoryFileSystem` takes it."""
    return {name: content_of(node) for name, node in children(directory)}


def children(directory: DirectoryNode) -> Iterator[tuple[str, Node]]:
    """Names and nodes, in the order of the names."""
    for entry in sorted(directory.entries(), key=lambda entry: entry.name):
        node = directory.get(entry.name)
        if node is not None:
            yield entry.name, node


class MemoryFile(File):
    """An open file in memory."""

    def __init__(self, system: MemoryFileSystem, node: FileNode) -> None:
        self._system = system
        self._node = node
        self._open = True
        with system.lock:
            node.opened()
            node.opens += 1

    @whole
    def stat(self) -> Stat:
        return self._system.describe(self._node)

    @whole
    def read(self, buffer: memoryview, offset: int) -> int:
        return self._node.read(buffer, offset)

    @whole
    def write(self, data: memoryview, offset: int) -> int:
        if not len(data):
            return 0
        node = self._node
        node.own()
        end = offset + len(data)
        if end > len(node.data):
            self._resize(end)
        node.data[offset:end] = data
        self._touch()
        return len(data)

    @whole
    def truncate(self, size: int) -> None:
        self._node.own(keep=size > 0)
        self._resize(size)
        self._touch()

    append = whole(File.append)
    allocate = whole(File.allocate)

    def _resize(self, size: int) -> None:
        data = self._node.data
        self._system.charge(self._node, size - len(data))
        if size < len(data):
            del data[size:]
        else:
            data.extend(bytes(size - len(data)))

    def _touch(self) -> None:
        self._node.modified = self._node.changed = self._system.now()

    @whole
    def set_times(self, accessed: int | None, modified: int | None) -> None:
        self._node.set_times(accessed, modified, self._system.now())

    @whole
    def close(self) -> None:
        if self._open:
            self._open = False
            self._node.opens -= 1
            if self._node.opens == 0:
                self._node.closed()
            self._system.release(self._node)


class MemoryDirectory(Directory):
    """An open directory in memory."""

    def __init__(self, system: MemoryFileSystem, node: DirectoryNode) -> None:
        self._system = system
        self._node = node

    def _child(self, name: str) -> Node:
        node = self._node.get(name)
        if node is None:
            fail(errno.ENOENT, name)
        return node

    @whole
    def stat(self) -> Stat:
        return self._system.describe(self._node)

    @whole
    def entries(self) -> Iterable[Entry]:
        return self._node.entries()

    @whole
    def stat_at(self, name: str) -> Stat:
        return self._system.describe(self._child(name))

    @whole
    def open_directory(self, name: str) -> Directory:
        node = self._child(name)
        if not isinstance(node, DirectoryNode):
            fail(errno.ELOOP if isinstance(node, LinkNode) else errno.ENOTDIR, name)
        return MemoryDirectory(self._system, node)

    @whole
    def open_file(self, name: str, mode: Open) -> File:
        node = self._node.get(name)
        if node is None:
            if not mode & Open.CREATE:
                fail(errno.ENOENT, name)
            self._system.alive(self._node)
            node = FileNode(self._system.next_inode(), self._system.now())
            self._system.add(self._node, name, node)
        elif mode & Open.CREATE and mode & Open.EXCLUSIVE:
            fail(errno.EEXIST, name)
        if not isinstance(node, FileNode):
            fail(errno.ELOOP if isinstance(node, LinkNode) else errno.EISDIR, name)
        file = MemoryFile(self._system, node)
        if mode & Open.TRUNCATE:
            file.truncate(0)
        return file

    def duplicate(self) -> Directory:
        return MemoryDirectory(self._system, self._node)

    @whole
    def read_link(self, name: str) -> str:
        node = self._child(name)
        if not isinstance(node, LinkNode):
            fail(errno.EINVAL, name)
        return node.content

    def _absent(self, name: str) -> None:
        if self._node.get(name) is not None:
            fail(errno.EEXIST, name)
        self._system.alive(self._node)

    @whole
    def make_directory(self, name: str) -> None:
        self._absent(name)
        self._system.add(self._node, name, DirectoryNode(self._system.next_inode(), self._system.now()))

    @whole
    def symlink(self, content: str, name: str) -> None:
        self._absent(name)
        self._system.add(self._node, name, LinkNode(self._system.next_inode(), self._system.now(), content))

    @whole
    def remove_directory(self, name: str) -> None:
        node = self._child(name)
        if not isinstance(node, DirectoryNode):
            fail(errno.ENOTDIR, name)
        if any(True for _ in node.entries()):
            fail(errno.ENOTEMPTY, name)
        self._system.remove(self._node, name, node)

    @whole
    def unlink(self, name: str) -> None:
        node = self._child(name)
        if isinstance(node, DirectoryNode):
            fail(errno.EISDIR, name)
        self._system.remove(self._node, name, node)

    @whole
    def link(self, name: str, target: Directory, new_name: str) -> None:
        node = self._child(name)
        if isinstance(node, DirectoryNode):
            fail(errno.EPERM, name)
        other = self._same_system(target)
        other._absent(new_name)
        self._system.add(other._node, new_name, node)

    @whole
    def rename(self, name: str, target: Directory, new_name: str) -> None:
        node = self._child(name)
        other = self._same_system(target)
        self._system.alive(other._node)
        replaced = other._node.get(new_name)
        if replaced is node:
            return
        if isinstance(node, DirectoryNode):
            above: DirectoryNode | None = other._node
            while above is not None:
                if above is node:
                    fail(errno.EINVAL, new_name)  # into itself
                above = above.parent
        if replaced is not None:
            other._check_replaceable(node, replaced, new_name)
            self._system.remove(other._node, new_name, replaced)
        self._system.move(self._node, name, node, other._node, new_name)

    def _check_replaceable(self, node: Node, replaced: Node, name: str) -> None:
        if isinstance(node, DirectoryNode):
            if not isinstance(replaced, DirectoryNode):
                fail(errno.ENOTDIR, name)
            if any(True for _ in replaced.entries()):
                fail(errno.ENOTEMPTY, name)
        elif isinstance(replaced, DirectoryNode):
            fail(errno.EISDIR, name)

    def _same_system(self, directory: Directory) -> MemoryDirectory:
        if not isinstance(directory, MemoryDirectory) or directory._system is not self._system:
            fail(errno.EXDEV)
        return directory

    @whole
    def set_times(self, accessed: int | None, modified: int | None) -> None:
        self._node.set_times(accessed, modified, self._system.now())

    @whole
    def set_times_at(self, name: str, accessed: int | None, modified: int | None) -> None:
        self._child(name).set_times(accessed, modified, self._system.now())
