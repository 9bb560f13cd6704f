"""`Cache`: a directory that keeps what engines made of modules, for the next process.

It knows nothing of what is kept: pieces of bytes by key (an engine's code of a function by its index) under a name for the
kind of thing. What is found there was made by the same version of Wasmine and of Python, for the same module.

Like Python's `__pycache__`, a cache directory is trusted: who can write to it can run code in processes that use it. What
was damaged, cut off or left behind by another version is detected by a checksum, ignored, and written anew.
"""

from __future__ import annotations

import functools
import marshal
import os
import sys
import threading
import warnings
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wasmine.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

Key: TypeAlias = int | str

LIMIT: Final = 1 << 30
"""Bytes that a cache directory may hold unless another limit is given."""

_MAGIC: Final = b"wasmine cache 1\n"
_CHECKSUM: Final = 32
_SUFFIX: Final = ".wasmine"
_TAG_FILE: Final = "CACHEDIR.TAG"
# What https://bford.info/cachedir/ asks for: backups leave the directory out.
_TAG: Final = "Signature: 8a477f597d28d172789f06886806bc55\n# Compiled code, written by Wasmine. It may be deleted.\n"


def digest(*pieces: bytes | bytearray | memoryview) -> bytes:
    """SHA-256 of the pieces together. A guest must not be able to make two modules that pass for each other."""
    from hashlib import sha256  # here: it takes 8 ms, and most processes have no cache

    found = sha256()
    for piece in pieces:
        found.update(piece)
    return found.digest()


class Stored:
    """What is kept of one kind for one module: pieces by key. Any thread may use it."""

    __slots__ = ("_lock", "_new", "_path", "_pieces", "_title")

    def __init__(self, path: str, title: bytes) -> None:
        self._path = path
        self._title = title
        self._pieces = _read(path, title)
        self._new: dict[Key, bytes] = {}
        self._lock = threading.RLock()  # the finalizer of a cache may run while its thread is in here

    def get(self, key: Key) -> bytes | None:
        """The piece, None if it was not kept."""
        return self._pieces.get(key)

    def put(self, key: Key, piece: bytes) -> None:
        """Keep a piece; it is written by the next `save`."""
        with self._lock:
            self._pieces[key] = self._new[key] = piece

    def save(self) -> bool:
        """Write the new pieces, if there are any, to those that the file has by now; whether it was so. OSError."""
        with self._lock:
            if not self._new:
                return False
            # Another process may have added some meanwhile. Two that write at the same moment lose the pieces of one.
            pieces = {**_read(self._path, self._title), **self._new}
            _write(self._path, self._title, pieces)
            self._pieces = pieces
            self._new = {}
            return True


class Cache:
    """A directory of compiled code, made when something is first written to it.

    `Runtime(cache=...)` takes one, or the directory's path. Runtimes, threads and processes may share a directory. What
    a runtime had compiled is written when it is closed, and at the end of the process. When the directory holds more
    than `limit` bytes, what was not used for the longest time is deleted (None: nothing is ever deleted). After a
    warning, a directory that cannot be written is only read.
    """

    def __init__(self, directory: str | os.PathLike[str], *, limit: int | None = LIMIT) -> None:
        self.directory = os.path.abspath(os.fspath(directory))  # noqa: PTH100 - importing pathlib takes 4 ms
        self.limit = limit
        self._stored: dict[tuple[bytes, str], Stored] = {}
        self._home: str | None = None
        self._lock = threading.RLock()
        # Also at the end of the process, for runtimes that nobody closed.
        self._finalizer = weakref.finalize(self, _save, self.directory, limit, self._stored)

    @staticmethod
    def of(given: Cache | str | os.PathLike[str] | None) -> Cache | None:
        """The cache that a parameter means."""
        return given if given is None or isinstance(given, Cache) else Cache(given)

    def stored(self, module: bytes, kind: str) -> Stored:
        """What is kept of this kind for the module with this digest."""
        with self._lock:
            found = self._stored.get((module, kind))
            if found is None:
                if self._home is None:
                    self._home = os.path.join(self.directory, _home())  # noqa: PTH118
                title = b"%b %b" % (module.hex().encode(), kind.encode())
                name = digest(title).hex()[:40] + _SUFFIX
                found = self._stored[module, kind] = Stored(os.path.join(self._home, name), title)  # noqa: PTH118
            return found

    def save(self) -> None:
        """Write what is new, and make room if there is too much; a warning if that cannot be done."""
        _save(self.directory, self.limit, self._stored)

    def __repr__(self) -> str:
        return f"Cache({self.directory!r})"


@functools.cache
def _home() -> str:
    """The name of the directory for what this version of Wasmine makes on this version of Python."""
    stamp = digest(sys.version.encode(), *(repr(each).encode() for each in sorted(_sources())))
    return f"{__version__}-{sys.implementation.cache_tag}-{stamp.hex()[:16]}"


def _sources() -> Iterator[tuple[str, int, int]]:
    """Every file of the package with its time and size: who develops Wasmine must not run yesterday's code."""
    root = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120
    pending = [root]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if not entry.is_dir():
                        found = entry.stat()
                        yield entry.path[len(root) :], found.st_mtime_ns, found.st_size
                    elif entry.name != "__pycache__":
                        pending.append(entry.path)
        except OSError:  # imported from an archive: the version must do
            continue


def _read(path: str, title: bytes) -> dict[Key, bytes]:
    """The pieces in a file; none if there is no such file, or if it is not what was written there."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            data = file.read()
    except OSError:
        return {}
    start = len(_MAGIC) + _CHECKSUM
    body = memoryview(data)[start:]
    if not data.startswith(_MAGIC) or data[len(_MAGIC) : start] != digest(body):
        return {}
    pieces: dict[Key, bytes]
    try:
        found, pieces = marshal.loads(body)
    except (EOFError, ValueError, TypeError):
        return {}
    if found != title:
        return {}
    with suppress(OSError):
        os.utime(path)  # used now: others go first when room is needed
    return pieces


def _write(path: str, title: bytes, pieces: dict[Key, bytes]) -> None:
    """Write a file whole or not at all: readers see the old one or the new one."""
    body = marshal.dumps((title, pieces))
    unfinished = f"{path}.{os.getpid()}-{threading.get_ident()}.new"
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)  # noqa: PTH103, PTH120
    try:
        with open(unfinished, "wb") as file:  # noqa: PTH123
            file.write(_MAGIC + digest(body))
            file.write(body)
        os.replace(unfinished, path)  # noqa: PTH105
    except BaseException as error:
        with suppress(OSError):
            os.unlink(unfinished)  # noqa: PTH108
        # Windows does not replace a file while another process reads it: then that one stays.
        if not (isinstance(error, PermissionError) and os.path.exists(path)):  # noqa: PTH110
            raise


_refused: set[str] = set()  # directories that could not be written


def _save(directory: str, limit: int | None, stored: dict[Any, Stored]) -> None:
    if directory in _refused:
        return
    try:
        written = [each.save() for each in list(stored.values())]
        if any(written):
            _mark(directory)
            if limit is not None:
                _make_room(directory, limit)
    except OSError as error:
        _refused.add(directory)
        warnings.warn(f"the cache directory {directory!r} cannot be written: {error}", RuntimeWarning, stacklevel=3)


def _mark(directory: str) -> None:
    path = os.path.join(directory, _TAG_FILE)  # noqa: PTH118
    if not os.path.exists(path):  # noqa: PTH110
        with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(_TAG)


def _make_room(directory: str, limit: int) -> None:
    """Delete the files that were not used for the longest time until the others are within the limit."""
    found = sorted(_files(directory))
    total = sum(size for _, size, _ in found)
    for _, size, path in found:
        if total <= limit:
            return
        total -= size
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108
            os.rmdir(os.path.dirname(path))  # noqa: PTH106, PTH120 - if it is empty now


def _files(directory: str) -> Iterator[tuple[int, int, str]]:
    """When each file of ours was last used, its size, and its path. Others may delete them meanwhile."""
    for home in _entries(directory):
        for entry in _entries(home.path):
            # Also what a process that was killed left unfinished. Nothing else is ours.
            if _SUFFIX in entry.name:
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    yield status.st_mtime_ns, status.st_size, entry.path


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []
