"""A file system over another one: reads come from below, writes are caught in memory, `diff()` tells what changed.

It is the file system in memory whose nodes are made when they are first looked up, from what lies below.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from wasmine.record import field, record
from wasmine.wasi.filesystem.interface import Directory, Entry, File, FileSystem, Open
from wasmine.wasi.filesystem.memory import (
    DEFAULT_CAPACITY,
    DirectoryNode,
    FileNode,
    LinkNode,
    MemoryFileSystem,
    Node,
    Symlink,
    children,
    content_of,
)
from wasmine.wasi.layout import Filetype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wasmine.wasi.filesystem.interface import Stat

Route = tuple[str, ...]  # the names from the root of the base

_PIECE: Final = 1 << 20
"""How many bytes of a file below are read at a time."""


@record(frozen=False)
class Diff:
    """What a guest changed, by path. A directory that was made has the content None; a removed one stands for all in it."""

    added: dict[str, bytes | Symlink | None] = field(default_factory=dict)
    changed: dict[str, bytes | Symlink | None] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


class Overlay(MemoryFileSystem):
    """`Overlay(HostDirectory("project"))`: a guest may change everything, the directory below stays as it is.

    `capacity` bounds what is caught, in bytes (ENOSPC beyond): content that is written, and the whole of a file of which
    a part is written.
    """

    def __init__(
        self, base: FileSystem, *, capacity: int = DEFAULT_CAPACITY, now: Callable[[], int] = time.time_ns
    ) -> None:
        self.base = base
        self._base_root = base.root()
        super().__init__(capacity=capacity, now=now)

    def new_root(self) -> DirectoryNode:
        return _OverlayDirectoryNode(self, (), self._base_root.stat())

    def below(self, route: Route) -> Directory:
        """A directory of the base, to be closed."""
        here = self._base_root.duplicate()
        for name in route:
            with here:
                here = here.open_directory(name)
        return here

    def load(self, directory: Directory, route: Route) -> Node | None:
        """A node for what the base has under the last name of the route, None if nothing."""
        try:
            found = directory.stat_at(route[-1])
        except FileNotFoundError:
            return None
        if found.filetype is Filetype.DIRECTORY:
            return _OverlayDirectoryNode(self, route, found)
        if found.filetype is Filetype.SYMBOLIC_LINK:
            node: Node = LinkNode(found.inode, found.modified, directory.read_link(route[-1]))
        elif found.filetype is Filetype.REGULAR_FILE:
            node = _OverlayFileNode(self, route, found)
        else:
            return None  # pipes and devices cannot be caught
        return _resembling(node, found)

    def diff(self) -> Diff:
        """What is not as in the base."""
        result = Diff()
        assert isinstance(self._root, _OverlayDirectoryNode)
        with self.lock:
            self._compare(self._root, (), result)
        return result

    def _compare(self, directory: _OverlayDirectoryNode, route: Route, result: Diff) -> None:
        """Compare a directory that still is where it was in the base."""
        for name, node in sorted(directory.children.items()):
            here = (*route, name)
            if name not in directory.hidden and name in directory.loaded:
                if isinstance(node, _OverlayDirectoryNode):
                    self._compare(node, here, result)
                elif isinstance(node, _OverlayFileNode) and node.route is None:
                    result.changed["/".join(here)] = content_of(node)  # type: ignore[assignment]
            elif name in directory.hidden:
                self._write(node, here, result.changed, result.added)
            else:
                self._write(node, here, result.added, result.added)
        for name in sorted(directory.hidden - directory.children.keys()):
            result.removed.append("/".join((*route, name)))

    def _write(
        self,
        node: Node,
        route: Route,
        into: dict[str, bytes | Symlink | None],
        inside: dict[str, bytes | Symlink | None],
    ) -> None:
        """Note a node that is new at its place, and everything in it."""
        path = "/".join(route)
        if isinstance(node, DirectoryNode):
            into[path] = None
            for name, child in children(node):
                self._write(child, (*route, name), inside, inside)
        else:
            into[path] = content_of(node)  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Overlay({self.base!r})"


def _resembling(node: Node, found: Stat) -> Node:
    """The node with the times of the file below."""
    node.links = found.links
    node.accessed, node.modified, node.changed = found.accessed, found.modified, found.changed
    return node


class _OverlayDirectoryNode(DirectoryNode):
    """A directory of the base, wherever it may have been moved.

    `children` are what was looked up (`loaded`: from below) or put there; `hidden` are the names of the base that were
    removed or replaced.
    """

    __slots__ = ("hidden", "loaded", "overlay", "route")

    def __init__(self, overlay: Overlay, route: Route, found: Stat) -> None:
        super().__init__(found.inode, found.modified)
        _resembling(self, found)
        self.links = 1
        self.overlay = overlay
        self.route = route
        self.hidden: set[str] = set()
        self.loaded: set[str] = set()

    def get(self, name: str) -> Node | None:
        node = self.children.get(name)
        if node is None and name not in self.hidden:
            with self.overlay.below(self.route) as below:
                node = self.overlay.load(below, (*self.route, name))
            if node is not None:
                self.children[name] = node
                self.loaded.add(name)
                if isinstance(node, DirectoryNode):
                    node.parent = self
        return node

    def entries(self) -> Iterable[Entry]:
        found = {name: Entry(name, node.filetype, node.inode) for name, node in self.children.items()}
        with self.overlay.below(self.route) as below:
            for entry in below.entries():
                if entry.name not in self.hidden:
                    found.setdefault(entry.name, entry)
        return found.values()

    def remove(self, name: str) -> None:
        super().remove(name)
        if name in self.loaded:
            self.loaded.remove(name)
            self.hidden.add(name)


class _OverlayFileNode(FileNode):
    """A file of the base as long as `route` is not None; then one in memory."""

    __slots__ = ("below", "found", "overlay", "route")

    def __init__(self, overlay: Overlay, route: Route, found: Stat) -> None:
        super().__init__(found.inode, found.modified)
        self.overlay = overlay
        self.route: Route | None = route
        self.found = found
        self.below: File | None = None

    def size(self) -> int:
        if self.route is None:
            return len(self.data)
        return self.below.stat().size if self.below is not None else self.found.size

    def read(self, buffer: memoryview, offset: int) -> int:
        if self.below is None:
            return super().read(buffer, offset)
        return self.below.read(buffer, offset)

    def opened(self) -> None:
        if self.route is not None and self.below is None:
            with self.overlay.below(self.route[:-1]) as directory:
                self.below = directory.open_file(self.route[-1], Open.READ)

    def closed(self) -> None:
        below, self.below = self.below, None
        if below is not None:
            below.close()

    def own(self, *, keep: bool = True) -> None:
        if self.below is None or self.route is None:
            return
        size = self.below.stat().size if keep else 0
        self.overlay.charge(self, size)
        # No view of `data` itself: while one lives, and PyPy does not see at once that nobody has it, data cannot grow.
        data, piece = bytearray(), memoryview(bytearray(min(size, _PIECE)))
        while len(data) < size and (count := self.below.read(piece[: size - len(data)], len(data))):
            data += piece[:count]
        data.extend(bytes(size - len(data)))
        self.data = data
        self.route = None
        self.closed()
