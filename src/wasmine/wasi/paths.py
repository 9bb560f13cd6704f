"""The path_* functions: what can be done with a path beneath an open directory."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from wasmine.wasi import rights
from wasmine.wasi.descriptors import Descriptor, OpenDirectory, OpenFile, derive
from wasmine.wasi.errno import Errno, WasiError
from wasmine.wasi.files import chosen_times, pack_filestat
from wasmine.wasi.filesystem.interface import Open
from wasmine.wasi.filesystem.resolution import Last, Place, resolve
from wasmine.wasi.layout import FILESTAT, FdFlags, Filetype, LookupFlags, OFlags
from wasmine.wasi.rights import Rights

if TYPE_CHECKING:
    from struct import Struct

    from wasmine.wasi.guest_memory import GuestMemory
    from wasmine.wasi.system import WASI

_READING = Rights.FD_READ | Rights.FD_READDIR


def _place(
    system: WASI, memory: GuestMemory, fd: int, right: int, path: int, length: int, last: Last = Last.NAME
) -> Place:
    """The place that the guest's path means beneath the directory `fd`, which must have the right."""
    directory = system.descriptors.directory(fd, right)
    return resolve(directory.directory, _text(system, memory, path, length), last)


def _text(system: WASI, memory: GuestMemory, address: int, length: int) -> str:
    return memory.text(address, length, system.quota.path_bytes)


def _last(flags: int) -> Last:
    """What lookupflags say about a symbolic link at the end."""
    if flags & ~LookupFlags.all():
        raise WasiError(Errno.INVAL)
    return Last.FOLLOW if flags & LookupFlags.SYMLINK_FOLLOW else Last.SLASH


def path_create_directory(system: WASI, memory: GuestMemory, fd: int, path: int, length: int) -> None:
    with _place(system, memory, fd, Rights.PATH_CREATE_DIRECTORY, path, length) as place:
        place.directory.make_directory(place.expect_name(Errno.EXIST))


def path_filestat_get(
    system: WASI,
    memory: GuestMemory,
    fd: int,
    flags: int,
    path: int,
    length: int,
    result: int,
    *,
    layout: Struct = FILESTAT,
) -> None:
    with _place(system, memory, fd, Rights.PATH_FILESTAT_GET, path, length, _last(flags)) as place:
        pack_filestat(memory, result, place.stat(), layout)


def path_filestat_set_times(
    system: WASI,
    memory: GuestMemory,
    fd: int,
    flags: int,
    path: int,
    length: int,
    accessed: int,
    modified: int,
    fst_flags: int,
) -> None:
    with _place(system, memory, fd, Rights.PATH_FILESTAT_SET_TIMES, path, length, _last(flags)) as place:
        times = chosen_times(system, accessed, modified, fst_flags)
        place.stat()
        if place.name:
            place.directory.set_times_at(place.name, *times)
        else:
            place.directory.set_times(*times)


def path_link(
    system: WASI,
    memory: GuestMemory,
    old_fd: int,
    old_flags: int,
    old_path: int,
    old_length: int,
    new_fd: int,
    new_path: int,
    new_length: int,
) -> None:
    if _last(old_flags) is Last.FOLLOW:
        raise WasiError(Errno.INVAL)  # as in wasmtime: a link to what a link means is a race
    with (
        _place(system, memory, old_fd, Rights.PATH_LINK_SOURCE, old_path, old_length) as old,
        _place(system, memory, new_fd, Rights.PATH_LINK_TARGET, new_path, new_length) as new,
    ):
        old.stat()
        if new.slash:
            raise WasiError(Errno.NOENT)
        old.directory.link(old.expect_name(Errno.PERM), new.directory, new.expect_name(Errno.EXIST))


def path_open(
    system: WASI,
    memory: GuestMemory,
    fd: int,
    lookup: int,
    path: int,
    length: int,
    oflags: int,
    base: int,
    inheriting: int,
    fdflags: int,
    result: int,
) -> None:
    if oflags & ~OFlags.all() or fdflags & ~FdFlags.all():
        raise WasiError(Errno.INVAL)
    if oflags & OFlags.DIRECTORY and oflags & (OFlags.CREAT | OFlags.TRUNC | OFlags.EXCL):
        raise WasiError(Errno.INVAL)
    memory.slice(result, 4)
    needed = int(Rights.PATH_OPEN)
    if oflags & OFlags.CREAT:
        needed |= Rights.PATH_CREATE_FILE
    if oflags & OFlags.TRUNC:
        needed |= Rights.PATH_FILESTAT_SET_SIZE
    parent = system.descriptors.directory(fd, needed)
    system.descriptors.check_room()
    last = Last.NAME if oflags & OFlags.EXCL else _last(lookup)
    with resolve(parent.directory, _text(system, memory, path, length), last) as place:
        opened = _open(system, parent, place, oflags, base, inheriting, fdflags)
    memory.write_u32(result, system.descriptors.add(opened))


def _open(
    system: WASI, parent: OpenDirectory, place: Place, oflags: int, base: int, inheriting: int, fdflags: int
) -> Descriptor:
    """Open what is at a place: a directory if it is one, unless that was to be written."""
    mode = _mode(parent, oflags, base)
    if not place.name or place.slash or oflags & OFlags.DIRECTORY:
        return _open_directory(parent, place, mode, base, inheriting, fdflags)
    try:
        file = place.directory.open_file(place.name, mode)
    except OSError as error:
        if error.errno != errno.EISDIR and not isinstance(error, IsADirectoryError):
            raise
        return _open_directory(parent, place, mode, base, inheriting, fdflags)
    granted, handed_on = derive(parent, base, inheriting, directory=False)
    return OpenFile(file, granted, handed_on, fdflags, system.waiting, system.quota.file_bytes)


def _mode(parent: OpenDirectory, oflags: int, base: int) -> Open:
    """How the file is opened for the rights asked for."""
    wanted = base & parent.inheriting
    mode = Open(0)
    if wanted & _READING:
        mode |= Open.READ
    if wanted & rights.WRITING:
        mode |= Open.WRITE
    if oflags & OFlags.CREAT:
        mode |= Open.CREATE
        if oflags & OFlags.EXCL:
            mode |= Open.EXCLUSIVE
    if oflags & OFlags.TRUNC:
        mode |= Open.TRUNCATE | Open.WRITE
    return mode


def _open_directory(
    parent: OpenDirectory, place: Place, mode: Open, base: int, inheriting: int, fdflags: int
) -> OpenDirectory:
    """Open a directory. ISDIR if it was to be written or created, as in POSIX."""
    try:
        found = place.stat()
    except FileNotFoundError:
        if mode & Open.CREATE:
            raise WasiError(Errno.ISDIR) from None  # a path with a slash at the end
        raise
    if found.filetype is Filetype.DIRECTORY and mode & ~Open.READ:
        raise WasiError(Errno.EXIST if mode & Open.EXCLUSIVE else Errno.ISDIR)
    directory = place.directory.open_directory(place.name) if place.name else place.directory.duplicate()
    granted, handed_on = derive(parent, base, inheriting, directory=True)
    return OpenDirectory(directory, granted, handed_on, fdflags)


def path_readlink(
    system: WASI, memory: GuestMemory, fd: int, path: int, length: int, buffer: int, size: int, result: int
) -> None:
    with _place(system, memory, fd, Rights.PATH_READLINK, path, length) as place:
        content = place.directory.read_link(place.expect_name(Errno.INVAL)).encode(errors="surrogateescape")
    room = memory.slice(buffer, size)
    piece = content[:size]  # cut off without a sign, as readlink(2) does
    room[: len(piece)] = piece
    memory.write_u32(result, len(piece))


def path_remove_directory(system: WASI, memory: GuestMemory, fd: int, path: int, length: int) -> None:
    with _place(system, memory, fd, Rights.PATH_REMOVE_DIRECTORY, path, length) as place:
        place.directory.remove_directory(place.expect_name(Errno.INVAL))


def path_rename(
    system: WASI,
    memory: GuestMemory,
    old_fd: int,
    old_path: int,
    old_length: int,
    new_fd: int,
    new_path: int,
    new_length: int,
) -> None:
    with (
        _place(system, memory, old_fd, Rights.PATH_RENAME_SOURCE, old_path, old_length) as old,
        _place(system, memory, new_fd, Rights.PATH_RENAME_TARGET, new_path, new_length) as new,
    ):
        found = old.stat()
        if new.slash and found.filetype is not Filetype.DIRECTORY:
            raise WasiError(Errno.NOTDIR)
        old.directory.rename(old.expect_name(Errno.BUSY), new.directory, new.expect_name(Errno.BUSY))


def path_symlink(
    system: WASI, memory: GuestMemory, old_path: int, old_length: int, fd: int, new_path: int, new_length: int
) -> None:
    content = _text(system, memory, old_path, old_length)
    if content.startswith("/"):
        # The guest could not follow it; another program on the host could, and would end up elsewhere.
        raise WasiError(Errno.PERM)
    with _place(system, memory, fd, Rights.PATH_SYMLINK, new_path, new_length) as place:
        name = place.expect_name(Errno.EXIST)
        if not content:
            raise WasiError(Errno.NOENT)
        if place.slash:
            place.stat()
            raise WasiError(Errno.EXIST)
        place.directory.symlink(content, name)


def path_unlink_file(system: WASI, memory: GuestMemory, fd: int, path: int, length: int) -> None:
    with _place(system, memory, fd, Rights.PATH_UNLINK_FILE, path, length) as place:
        name = place.expect_name(Errno.ISDIR)
        if place.slash:
            place.stat()
            raise WasiError(Errno.ISDIR)
        place.directory.unlink(name)
