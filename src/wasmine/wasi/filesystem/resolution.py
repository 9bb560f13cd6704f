"""Paths: from a directory and a path to the directory and the name that it means. The sandbox is here.

Every component is opened by name in the directory before it, without following symbolic links; a link is read and its
content walked like the rest of the path, and `..` goes back over the names that were walked. So no step can ever leave
the directory where the walk began, whatever other programs change meanwhile: the worst that a change does is an error.
Only one directory is open at a time, however long the path.
"""

from __future__ import annotations

import enum
import errno
from typing import TYPE_CHECKING

from wasmine.wasi.errno import Errno, WasiError
from wasmine.wasi.filesystem.interface import fail
from wasmine.wasi.layout import Filetype

if TYPE_CHECKING:
    from typing import Self

    from wasmine.wasi.filesystem.interface import Directory, Stat

MAX_LINKS = 40  # what Linux allows in one path
MAX_STEPS = 16_384  # directories opened for one path: a guest must not keep the host busy with `a/../a/../a/..`


class Last(enum.Enum):
    """What is done with a symbolic link at the end of a path."""

    NAME = "the link is meant: what removes and makes names never follows"
    SLASH = "followed if the path ends with a slash"
    FOLLOW = "followed"


class Place:
    """Where a path leads: `name` in `directory`, or `directory` itself if `name` is empty.

    The name need not exist. `slash` says that the path ended with a slash, so that only a directory will do. A context
    manager, since it may hold an open directory.
    """

    __slots__ = ("_owned", "directory", "name", "slash")

    def __init__(self, directory: Directory, name: str, slash: bool, owned: bool) -> None:
        self.directory = directory
        self.name = name
        self.slash = slash
        self._owned = owned

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._owned:
            self.directory.close()

    def stat(self) -> Stat:
        """What the place holds; NOENT, and NOTDIR for a file named with a slash."""
        if not self.name:
            return self.directory.stat()
        found = self.directory.stat_at(self.name)
        if self.slash and found.filetype is not Filetype.DIRECTORY:
            fail(errno.ENOTDIR, self.name)
        return found

    def expect_name(self, errno_itself: Errno) -> str:
        """The name; `errno_itself` if the path means the directory itself (`.`, `a/..`)."""
        if not self.name:
            raise WasiError(errno_itself)
        return self.name


def resolve(root: Directory, path: str, last: Last) -> Place:
    """The place that `path` means, beneath `root`. PERM if it is absolute or climbs out, LOOP for too many links."""
    return _Walk(root, last).walk(path)


class _Walk:
    """One resolution: `here` is the directory reached, `names` how it was reached from the root."""

    def __init__(self, root: Directory, last: Last) -> None:
        self.root = root
        self.last = last
        self.here = root
        self.names: list[str] = []
        self.pending: list[str] = []  # components still to walk, the next one last
        self.slash = False
        self.links = 0
        self.steps = 0

    def walk(self, path: str) -> Place:
        try:
            self.push(path, last=True)
            while self.pending:
                component = self.pending.pop()
                if component in ("", "."):
                    continue
                if component == "..":
                    self.up()
                elif self.pending:
                    self.enter(component)
                elif not self.expand_last(component):
                    return Place(self.here, component, self.slash, self.here is not self.root)
            return Place(self.here, "", self.slash, self.here is not self.root)
        except BaseException:
            self.leave()
            raise

    def push(self, path: str, last: bool) -> None:
        """Put a path before what is pending. `last`: nothing comes after it."""
        if not path:
            raise WasiError(Errno.NOENT)
        if path.startswith("/"):
            raise WasiError(Errno.PERM)
        components = path.split("/")
        if last:
            while components[-1] == "":
                components.pop()
                self.slash = True
        self.pending.extend(reversed(components))

    def leave(self) -> None:
        if self.here is not self.root:
            self.here.close()

    def open(self, name: str) -> None:
        """Go into a directory."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise WasiError(Errno.LOOP)
        inner = self.here.open_directory(name)
        self.leave()
        self.here = inner

    def enter(self, name: str) -> None:
        """Go on through `name`, a directory or a symbolic link to one."""
        try:
            self.open(name)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP) and not isinstance(error, NotADirectoryError):
                raise
            self.expand(self.content(name), last=False)
        else:
            self.names.append(name)

    def up(self) -> None:
        """Go back to the directory before. `..` itself is never opened: a directory may have been moved meanwhile."""
        if not self.names:
            raise WasiError(Errno.PERM)
        self.names.pop()
        self.leave()
        self.here = self.root
        for name in self.names:
            self.open(name)

    def expand_last(self, name: str) -> bool:
        """Follow a symbolic link at the end of the path if it is to be followed and there is one; whether it was so."""
        if self.last is Last.NAME or (self.last is Last.SLASH and not self.slash):
            return False
        try:
            found = self.here.stat_at(name)
        except FileNotFoundError:
            return False
        if found.filetype is not Filetype.SYMBOLIC_LINK:
            return False
        self.expand(self.content(name), last=True)
        return True

    def content(self, name: str) -> str:
        """What the symbolic link says; NOTDIR if there is none, for then it was a file."""
        try:
            return self.here.read_link(name)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise WasiError(Errno.NOTDIR) from None
            raise

    def expand(self, content: str, last: bool) -> None:
        self.links += 1
        if self.links > MAX_LINKS:
            raise WasiError(Errno.LOOP)
        self.push(content, last)
