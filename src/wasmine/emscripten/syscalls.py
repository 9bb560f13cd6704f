"""Emscripten's `__syscall_*`: Linux's calls as its C library makes them, on the files that WASI gives the guest.

Each is translated to functions of preview 1, so that the sandbox, the rights and the quota are the same for both. What
preview 1 has no answer to is ENOSYS. Error numbers need no translation: Emscripten uses WASI's.
"""

from __future__ import annotations

import inspect
from struct import Struct
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from wasmine.errors import LinkError
from wasmine.format.types import I32, I64
from wasmine.wasi import files, paths, rights
from wasmine.wasi.descriptors import OpenDirectory
from wasmine.wasi.errno import Errno, WasiError, from_os_error
from wasmine.wasi.guest_memory import GuestMemory
from wasmine.wasi.layout import FILESTAT, U32, FdFlags, Filetype, FstFlags, LookupFlags, OFlags
from wasmine.wasi.rights import Rights

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.types import FuncType
    from wasmine.runtime.host import Caller
    from wasmine.wasi.system import WASI

_MASK = 0xFFFF_FFFF
_SECOND = 1_000_000_000
_LONGEST_PATH = 4096

# What open(2) is told, as Emscripten's fcntl.h has it (Linux's generic numbers).
_ACCESS = 3
_READ_ONLY, _WRITE_ONLY, _READ_WRITE = 0, 1, 2
_OPEN_FLAGS = ((0o100, OFlags.CREAT), (0o200, OFlags.EXCL), (0o1000, OFlags.TRUNC), (0o200000, OFlags.DIRECTORY))
_FD_FLAGS = ((0o2000, FdFlags.APPEND), (0o4000, FdFlags.NONBLOCK), (0o10000, FdFlags.DSYNC), (0o4000000, FdFlags.SYNC))
_NO_FOLLOW = 0o400000
# The *at functions.
_WORKING_DIRECTORY = -100
_AT_NO_FOLLOW, _AT_REMOVE_DIRECTORY, _AT_EMPTY_PATH = 0x100, 0x200, 0x1000
# fcntl(2): commands, and the lock type that says that there is none.
_SET_NOTHING = (1, 2, 6, 7, 13, 14)  # F_GETFD, F_SETFD, F_SETLK, F_SETLKW and these with 64-bit offsets
_GET_FLAGS, _SET_FLAGS, _GET_LOCK = 3, 4, (5, 12)
_UNLOCKED = 2
# utimensat(2): nanoseconds that mean something else.
_NOW, _OMIT = 0x3FFF_FFFF, 0x3FFF_FFFE

_TIMESPEC = Struct("<qi4x")
# device, mode, links, user, group, device it stands for, size, block size, blocks, three times, inode
_STAT = Struct("<IIIIIIqiiqi4xqi4xqi4xQ")
_DIRENT = Struct("<QqHB256s5x")  # inode, offset of the next, length of this, type, name
_BLOCK = 512

_MODES = {
    Filetype.BLOCK_DEVICE: 0o060666,
    Filetype.CHARACTER_DEVICE: 0o020666,
    Filetype.DIRECTORY: 0o040777,
    Filetype.REGULAR_FILE: 0o100666,
    Filetype.SOCKET_DGRAM: 0o140666,
    Filetype.SOCKET_STREAM: 0o140666,
    Filetype.SYMBOLIC_LINK: 0o120777,
    Filetype.UNKNOWN: 0o020666,  # a pipe or whatever else standard input and output are
}


class Syscalls:
    """The system calls of one guest. Its working directory is `/` at first."""

    def __init__(self, wasi: WASI | None) -> None:
        self._wasi = wasi
        self._directory = "/"
        self._read_up_to: WeakKeyDictionary[OpenDirectory, int] = WeakKeyDictionary()

    def function(self, name: str, type: FuncType) -> Callable[..., Any]:
        """The host function for an import. One that is not known, or has no files to work on, answers -ENOSYS.

        LinkError if the call has other parameters.
        """
        body = SYSCALLS.get(name)
        results = len(type.results)
        integers = {I32, I64}.issuperset(type.params) and type.results in ((), (I32,))
        if not integers or (body is not None and not _takes(body, len(type.params))):
            raise LinkError(f"the system call has another type; expected {type}")

        def call(caller: Caller, *arguments: int) -> Any:
            answer = self._answer(body, caller, arguments)
            return answer if results else None

        return call

    def _answer(self, body: Callable[..., int] | None, caller: Caller, arguments: tuple[int, ...]) -> int:
        if body is None or self._wasi is None:
            return -Errno.NOSYS.value
        try:
            return body(self, GuestMemory(caller.memory.view()), *arguments)
        except WasiError as error:
            return -error.errno.value
        except OSError as error:
            return -from_os_error(error).value

    # ------------------------------------------------------------------------------------------- calls of preview 1

    @property
    def _system(self) -> WASI:
        assert self._wasi is not None
        return self._wasi

    def _call(self, function: Callable[..., None], *arguments: int | str, room: int = 0) -> bytes:
        """Call a function of preview 1 on a memory made for it: texts are passed as address and length, and the `room`
        bytes from address 0 are the result."""
        scratch = bytearray(room)
        passed: list[int] = []
        for argument in arguments:
            if isinstance(argument, str):
                data = argument.encode(errors="surrogateescape")
                passed += (len(scratch), len(data))
                scratch += data
            else:
                passed.append(argument)
        function(self._system, GuestMemory(memoryview(scratch)), *passed)
        return bytes(scratch[:room])

    def _path(self, memory: GuestMemory, address: int) -> str:
        """The guest's text up to a zero byte."""
        address &= _MASK
        piece = bytes(memory.view[address : address + _LONGEST_PATH])
        end = piece.find(0)
        if end < 0:
            raise WasiError(Errno.NAMETOOLONG if len(piece) == _LONGEST_PATH else Errno.FAULT)
        return piece[:end].decode(errors="surrogateescape")

    def _place(self, memory: GuestMemory, directory: int, address: int) -> tuple[int, str]:
        """A path as preview 1 has it: a descriptor of a directory, and the path beneath it."""
        path = self._path(memory, address)
        if not path:
            raise WasiError(Errno.NOENT)
        if directory != _WORKING_DIRECTORY and not path.startswith("/"):
            return directory & _MASK, path
        return self._beneath(self._absolute(path))

    def _absolute(self, path: str) -> str:
        return path if path.startswith("/") else f"{self._directory.rstrip('/')}/{path}"

    def _beneath(self, path: str) -> tuple[int, str]:
        """The mount whose name begins an absolute path, the longest one, and what follows."""
        wanted = path.lstrip("/")
        best: tuple[int, int] | None = None
        for fd in self._system.descriptors:
            descriptor = self._system.descriptors.get(fd)
            if not isinstance(descriptor, OpenDirectory) or descriptor.name is None:
                continue
            name = descriptor.name.removeprefix(".").strip("/")
            inside = not name or wanted == name or wanted.startswith(name + "/")
            if inside and (best is None or len(name) > best[0]):
                best = len(name), fd
        if best is None:
            raise WasiError(Errno.NOENT)
        return best[1], wanted[best[0] :].lstrip("/") or "."

    # --------------------------------------------------------------------------------------------------------- files

    def openat(self, memory: GuestMemory, directory: int, path: int, flags: int, mode: int = 0) -> int:
        fd, name = self._place(memory, directory, path)
        return self._open(fd, name, flags)

    def _open(self, directory: int, path: str, flags: int) -> int:
        base = rights.FILE | rights.DIRECTORY
        if flags & _ACCESS == _READ_ONLY:
            base &= ~rights.WRITING
        elif flags & _ACCESS == _WRITE_ONLY:
            base &= ~int(Rights.FD_READ | Rights.FD_READDIR)
        follow = 0 if flags & _NO_FOLLOW else LookupFlags.SYMLINK_FOLLOW.value
        oflags, fdflags = _translated(flags, _OPEN_FLAGS), _translated(flags, _FD_FLAGS)
        inherited = rights.FILE | rights.DIRECTORY
        # The result comes first in the scratch memory.
        result = self._call(paths.path_open, directory, follow, path, oflags, base, inherited, fdflags, 0, room=4)
        return int.from_bytes(result, "little")

    def fstat(self, memory: GuestMemory, fd: int, result: int) -> int:
        return _pack_stat(memory, result, self._call(files.fd_filestat_get, fd & _MASK, 0, room=FILESTAT.size))

    def stat(self, memory: GuestMemory, path: int, result: int) -> int:
        return self.newfstatat(memory, _WORKING_DIRECTORY, path, result, 0)

    def lstat(self, memory: GuestMemory, path: int, result: int) -> int:
        return self.newfstatat(memory, _WORKING_DIRECTORY, path, result, _AT_NO_FOLLOW)

    def newfstatat(self, memory: GuestMemory, directory: int, path: int, result: int, flags: int) -> int:
        if flags & _AT_EMPTY_PATH and directory != _WORKING_DIRECTORY and not self._path(memory, path):
            return self.fstat(memory, directory, result)
        fd, name = self._place(memory, directory, path)
        return _pack_stat(memory, result, self._stat(fd, name, follow=not flags & _AT_NO_FOLLOW))

    def _stat(self, directory: int, path: str, *, follow: bool = True) -> bytes:
        return self._call(paths.path_filestat_get, directory, int(follow), path, 0, room=FILESTAT.size)

    def faccessat(self, memory: GuestMemory, directory: int, path: int, mode: int, flags: int) -> int:
        """Preview 1 has no permissions: what is there may be tried."""
        self._stat(*self._place(memory, directory, path))
        return 0

    def ftruncate(self, memory: GuestMemory, fd: int, size: int) -> int:
        if size < 0:
            raise WasiError(Errno.INVAL)
        self._call(files.fd_filestat_set_size, fd & _MASK, size)
        return 0

    def truncate(self, memory: GuestMemory, path: int, size: int) -> int:
        fd = self._open(*self._place(memory, _WORKING_DIRECTORY, path), _WRITE_ONLY)
        try:
            return self.ftruncate(memory, fd, size)
        finally:
            self._system.descriptors.close(fd)

    def fallocate(self, memory: GuestMemory, fd: int, mode: int, offset: int, size: int) -> int:
        if mode:
            raise WasiError(Errno.NOTSUP)
        if offset < 0 or size <= 0:
            raise WasiError(Errno.INVAL)
        self._call(files.fd_allocate, fd & _MASK, offset, size)
        return 0

    def fdatasync(self, memory: GuestMemory, fd: int) -> int:
        self._call(files.fd_datasync, fd & _MASK)
        return 0

    def utimensat(self, memory: GuestMemory, directory: int, path: int, times: int, flags: int) -> int:
        follow = int(not flags & _AT_NO_FOLLOW)
        accessed, modified, which = _times(memory, times & _MASK)
        if not path & _MASK:
            self._call(files.fd_filestat_set_times, directory & _MASK, accessed, modified, which)
            return 0
        fd, name = self._place(memory, directory, path)
        self._call(paths.path_filestat_set_times, fd, follow, name, accessed, modified, which)
        return 0

    def change_path(self, memory: GuestMemory, path: int, *owner_or_mode: int) -> int:
        """chmod: preview 1 has neither modes nor owners, so all that can be said is whether the file is there."""
        self._stat(*self._place(memory, _WORKING_DIRECTORY, path))
        return 0

    def change_at(self, memory: GuestMemory, directory: int, path: int, *owner_or_mode: int) -> int:
        """fchownat, fchmodat."""
        self._stat(*self._place(memory, directory, path))
        return 0

    def change_open(self, memory: GuestMemory, fd: int, *owner_or_mode: int) -> int:
        """fchmod, fchown."""
        self._system.descriptors.get(fd & _MASK)
        return 0

    def fcntl(self, memory: GuestMemory, fd: int, command: int, arguments: int) -> int:
        """Flags are kept; locks always succeed, for a guest is one process."""
        descriptor = self._system.descriptors.get(fd & _MASK)
        if command in _SET_NOTHING:
            return 0
        if command == _GET_FLAGS:
            return _access(descriptor.rights) | sum(bit for bit, flag in _FD_FLAGS if descriptor.flags & flag)
        (argument,) = memory.unpack(U32, arguments & _MASK)
        if command == _SET_FLAGS:
            self._call(files.fd_fdstat_set_flags, fd & _MASK, _translated(argument, _FD_FLAGS))
            return 0
        if command in _GET_LOCK:
            memory.write(argument, _UNLOCKED.to_bytes(2, "little"))
            return 0
        raise WasiError(Errno.INVAL)

    def ioctl(self, memory: GuestMemory, fd: int, operation: int, arguments: int) -> int:
        """What C libraries ask to know whether it is a terminal."""
        if self._system.descriptors.get(fd & _MASK).filetype is Filetype.CHARACTER_DEVICE:
            return 0
        raise WasiError(Errno.NOTTY)

    def fadvise(self, memory: GuestMemory, fd: int, *advice: int) -> int:
        self._system.descriptors.get(fd & _MASK).advise()
        return 0

    # --------------------------------------------------------------------------------------------------- directories

    def getcwd(self, memory: GuestMemory, buffer: int, size: int) -> int:
        text = self._directory.encode(errors="surrogateescape") + b"\0"
        if not size:
            raise WasiError(Errno.INVAL)
        if len(text) > size & _MASK:
            raise WasiError(Errno.RANGE)
        memory.write(buffer & _MASK, text)
        return len(text)

    def chdir(self, memory: GuestMemory, path: int) -> int:
        target = self._absolute(self._path(memory, path))
        if len(target) > _LONGEST_PATH:
            raise WasiError(Errno.NAMETOOLONG)
        found = FILESTAT.unpack(self._stat(*self._beneath(target)))
        if found[2] != Filetype.DIRECTORY:
            raise WasiError(Errno.NOTDIR)
        self._directory = target
        return 0

    def mkdirat(self, memory: GuestMemory, directory: int, path: int, mode: int) -> int:
        self._call(paths.path_create_directory, *self._place(memory, directory, path))
        return 0

    def rmdir(self, memory: GuestMemory, path: int) -> int:
        return self.unlinkat(memory, _WORKING_DIRECTORY, path, _AT_REMOVE_DIRECTORY)

    def unlinkat(self, memory: GuestMemory, directory: int, path: int, flags: int) -> int:
        if flags & ~_AT_REMOVE_DIRECTORY:
            raise WasiError(Errno.INVAL)
        remove = paths.path_remove_directory if flags else paths.path_unlink_file
        self._call(remove, *self._place(memory, directory, path))
        return 0

    def renameat(self, memory: GuestMemory, directory: int, path: int, new_directory: int, new_path: int) -> int:
        old, new = self._place(memory, directory, path), self._place(memory, new_directory, new_path)
        self._call(paths.path_rename, *old, *new)
        return 0

    def symlinkat(self, memory: GuestMemory, content: int, directory: int, path: int) -> int:
        self._call(paths.path_symlink, self._path(memory, content), *self._place(memory, directory, path))
        return 0

    def readlinkat(self, memory: GuestMemory, directory: int, path: int, buffer: int, size: int) -> int:
        if size <= 0:
            raise WasiError(Errno.INVAL)
        fd, name = self._place(memory, directory, path)
        room = min(size, _LONGEST_PATH)
        result = self._call(paths.path_readlink, fd, name, 4, room, 0, room=4 + room)
        count = int.from_bytes(result[:4], "little")
        memory.write(buffer & _MASK, result[4 : 4 + count])
        return count

    def getdents(self, memory: GuestMemory, fd: int, buffer: int, size: int) -> int:
        directory = self._system.descriptors.directory(fd & _MASK, Rights.FD_READDIR)
        start = self._read_up_to.get(directory, 0)
        entries = directory.listing(start)[: (size & _MASK) // _DIRENT.size]
        data = b"".join(
            _DIRENT.pack(
                entry.inode,
                (start + number) * _DIRENT.size,
                _DIRENT.size,
                _MODES[entry.filetype] >> 12,
                entry.name.encode(errors="surrogateescape")[:255],
            )
            for number, entry in enumerate(entries, 1)
        )
        memory.write(buffer & _MASK, data)
        self._read_up_to[directory] = start + len(entries)
        return len(data)


def _takes(body: Callable[..., int], count: int) -> bool:
    """Whether a method of `Syscalls` can be called with a memory and this many arguments."""
    try:
        inspect.signature(body).bind(None, None, *range(count))
    except TypeError:
        return False
    return True


def _translated(flags: int, table: tuple[tuple[int, Any], ...]) -> int:
    """Flags of Linux as those of preview 1."""
    return sum(flag.value for bit, flag in table if flags & bit)


def _access(granted: int) -> int:
    """How a descriptor with these rights was opened, as F_GETFL tells."""
    if not granted & Rights.FD_WRITE:
        return _READ_ONLY
    return _READ_WRITE if granted & Rights.FD_READ else _WRITE_ONLY


def _pack_stat(memory: GuestMemory, result: int, filestat: bytes) -> int:
    """Write a `struct stat`; 0."""
    device, inode, filetype, links, size, accessed, modified, changed = FILESTAT.unpack(filestat)
    times = [part for each in (accessed, modified, changed) for part in divmod(each, _SECOND)]
    values = (device & _MASK, _MODES[Filetype(filetype)], links & _MASK, 0, 0, 0)
    blocks = min(-(-size // _BLOCK), 0x7FFF_FFFF)
    memory.pack(_STAT, result & _MASK, *values, size, 4096, blocks, *times, inode)
    return 0


def _times(memory: GuestMemory, address: int) -> tuple[int, int, int]:
    """Two times in nanoseconds, and preview 1's flags that say which of them count."""
    if not address:
        return 0, 0, FstFlags.ATIM_NOW | FstFlags.MTIM_NOW
    values, which = [], 0
    for number, (given, now) in enumerate(((FstFlags.ATIM, FstFlags.ATIM_NOW), (FstFlags.MTIM, FstFlags.MTIM_NOW))):
        seconds, nanoseconds = memory.unpack(_TIMESPEC, address + number * _TIMESPEC.size)
        if nanoseconds == _NOW:
            which |= now
        elif nanoseconds != _OMIT:
            if not 0 <= nanoseconds < _SECOND or not 0 <= seconds * _SECOND + nanoseconds < 1 << 64:
                raise WasiError(Errno.INVAL)
            which |= given
        values.append((seconds * _SECOND + nanoseconds) % (1 << 64))
    return values[0], values[1], int(which)


SYSCALLS: dict[str, Callable[..., int] | None] = {
    "__syscall_chdir": Syscalls.chdir,
    "__syscall_chmod": Syscalls.change_path,
    "__syscall_faccessat": Syscalls.faccessat,
    "__syscall_fadvise64": Syscalls.fadvise,
    "__syscall_fallocate": Syscalls.fallocate,
    "__syscall_fchmod": Syscalls.change_open,
    "__syscall_fchmodat": Syscalls.change_at,
    "__syscall_fchmodat2": Syscalls.change_at,
    "__syscall_fchown32": Syscalls.change_open,
    "__syscall_fchownat": Syscalls.change_at,
    "__syscall_fcntl64": Syscalls.fcntl,
    "__syscall_fdatasync": Syscalls.fdatasync,
    "__syscall_fstat64": Syscalls.fstat,
    "__syscall_ftruncate64": Syscalls.ftruncate,
    "__syscall_getcwd": Syscalls.getcwd,
    "__syscall_getdents64": Syscalls.getdents,
    "__syscall_ioctl": Syscalls.ioctl,
    "__syscall_lstat64": Syscalls.lstat,
    "__syscall_mkdirat": Syscalls.mkdirat,
    "__syscall_newfstatat": Syscalls.newfstatat,
    "__syscall_openat": Syscalls.openat,
    "__syscall_readlinkat": Syscalls.readlinkat,
    "__syscall_renameat": Syscalls.renameat,
    "__syscall_rmdir": Syscalls.rmdir,
    "__syscall_stat64": Syscalls.stat,
    "__syscall_symlinkat": Syscalls.symlinkat,
    "__syscall_truncate64": Syscalls.truncate,
    "__syscall_unlinkat": Syscalls.unlinkat,
    "__syscall_utimensat": Syscalls.utimensat,
    # Preview 1 has no mapping of files: C libraries read and write instead.
    "_mmap_js": None,
    "_munmap_js": None,
    "_msync_js": None,
}
