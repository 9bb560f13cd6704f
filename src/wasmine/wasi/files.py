"""The fd_* functions: what can be done with an open descriptor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.wasi.descriptors import OpenDirectory
from wasmine.wasi.errno import Errno, WasiError
from wasmine.wasi.layout import DIRENT, FDSTAT, FILESTAT, PRESTAT, Advice, FdFlags, FstFlags, Whence

if TYPE_CHECKING:
    from struct import Struct

    from wasmine.wasi.filesystem.interface import Stat
    from wasmine.wasi.guest_memory import GuestMemory
    from wasmine.wasi.system import WASI

_U64 = 0xFFFF_FFFF_FFFF_FFFF
_SIGN = 1 << 63
_LONGEST_NAME = 1 << 16  # of a directory entry; no file system of the host has longer ones


def fd_advise(system: WASI, memory: GuestMemory, fd: int, offset: int, length: int, advice: int) -> None:
    descriptor = system.descriptors.get(fd)
    if advice not in Advice._value2member_map_:
        raise WasiError(Errno.INVAL)
    if offset & _SIGN or length & _SIGN:
        raise WasiError(Errno.INVAL)
    descriptor.advise()


def fd_allocate(system: WASI, memory: GuestMemory, fd: int, offset: int, length: int) -> None:
    descriptor = system.descriptors.get(fd)
    if offset & _SIGN or length & _SIGN or not length:
        raise WasiError(Errno.INVAL)
    descriptor.allocate(offset, length)


def fd_close(system: WASI, memory: GuestMemory, fd: int) -> None:
    system.descriptors.close(fd)


def fd_datasync(system: WASI, memory: GuestMemory, fd: int) -> None:
    system.descriptors.get(fd).sync(data_only=True)


def fd_sync(system: WASI, memory: GuestMemory, fd: int) -> None:
    system.descriptors.get(fd).sync(data_only=False)


def fd_fdstat_get(system: WASI, memory: GuestMemory, fd: int, result: int) -> None:
    descriptor = system.descriptors.get(fd)
    memory.pack(FDSTAT, result, descriptor.filetype, descriptor.flags, descriptor.rights, descriptor.inheriting)


def fd_fdstat_set_flags(system: WASI, memory: GuestMemory, fd: int, flags: int) -> None:
    descriptor = system.descriptors.get(fd)
    if flags & ~FdFlags.all():
        raise WasiError(Errno.INVAL)
    descriptor.set_flags(flags)


def fd_fdstat_set_rights(system: WASI, memory: GuestMemory, fd: int, base: int, inheriting: int) -> None:
    descriptor = system.descriptors.get(fd)
    if base & ~descriptor.rights or inheriting & ~descriptor.inheriting:
        raise WasiError(Errno.NOTCAPABLE)  # rights can only be given up
    descriptor.rights = base
    descriptor.inheriting = inheriting


def pack_filestat(memory: GuestMemory, address: int, found: Stat, layout: Struct = FILESTAT) -> None:
    """Write a filestat record."""
    memory.pack(
        layout,
        address,
        found.device & _U64,
        found.inode & _U64,
        found.filetype,
        min(found.links, 0xFFFF_FFFF),
        found.size,
        *(min(max(time, 0), _U64) for time in (found.accessed, found.modified, found.changed)),
    )


def fd_filestat_get(system: WASI, memory: GuestMemory, fd: int, result: int, *, layout: Struct = FILESTAT) -> None:
    pack_filestat(memory, result, system.descriptors.get(fd).stat(), layout)


def fd_filestat_set_size(system: WASI, memory: GuestMemory, fd: int, size: int) -> None:
    descriptor = system.descriptors.get(fd)
    if size & _SIGN:
        raise WasiError(Errno.INVAL)
    descriptor.truncate(size)


def chosen_times(system: WASI, accessed: int, modified: int, flags: int) -> tuple[int | None, int | None]:
    """The times that fstflags choose; None keeps one. INVAL if a time is to be both given and now."""
    if flags & ~FstFlags.all():
        raise WasiError(Errno.INVAL)
    now = system.clock.realtime() if flags & (FstFlags.ATIM_NOW | FstFlags.MTIM_NOW) else 0
    return (
        _chosen(accessed, flags & FstFlags.ATIM, flags & FstFlags.ATIM_NOW, now),
        _chosen(modified, flags & FstFlags.MTIM, flags & FstFlags.MTIM_NOW, now),
    )


def _chosen(given: int, is_given: int, is_now: int, now: int) -> int | None:
    if is_given and is_now:
        raise WasiError(Errno.INVAL)
    if is_given and given & _SIGN:
        raise WasiError(Errno.OVERFLOW)  # no host has a time after the year 2262
    return given if is_given else now if is_now else None


def fd_filestat_set_times(system: WASI, memory: GuestMemory, fd: int, accessed: int, modified: int, flags: int) -> None:
    descriptor = system.descriptors.get(fd)
    descriptor.set_times(*chosen_times(system, accessed, modified, flags))


def fd_read(system: WASI, memory: GuestMemory, fd: int, iovs: int, count: int, result: int) -> None:
    descriptor = system.descriptors.get(fd)
    memory.write_u32(result, descriptor.read(memory.vectors(iovs, count)))


def fd_pread(system: WASI, memory: GuestMemory, fd: int, iovs: int, count: int, offset: int, result: int) -> None:
    descriptor = system.descriptors.get(fd)
    memory.write_u32(result, descriptor.pread(memory.vectors(iovs, count), offset))


def fd_write(system: WASI, memory: GuestMemory, fd: int, iovs: int, count: int, result: int) -> None:
    descriptor = system.descriptors.get(fd)
    memory.slice(result, 4)  # before anything is written: the guest would not learn of it
    memory.write_u32(result, descriptor.write(memory.vectors(iovs, count)))


def fd_pwrite(system: WASI, memory: GuestMemory, fd: int, iovs: int, count: int, offset: int, result: int) -> None:
    descriptor = system.descriptors.get(fd)
    memory.slice(result, 4)
    memory.write_u32(result, descriptor.pwrite(memory.vectors(iovs, count), offset))


def fd_seek(system: WASI, memory: GuestMemory, fd: int, delta: int, whence: int, result: int) -> None:
    descriptor = system.descriptors.get(fd)
    if whence not in Whence._value2member_map_:
        raise WasiError(Errno.INVAL)
    signed = delta - (1 << 64) if delta & _SIGN else delta
    memory.write_u64(result, descriptor.seek(signed, Whence(whence)))


def fd_tell(system: WASI, memory: GuestMemory, fd: int, result: int) -> None:
    memory.write_u64(result, system.descriptors.get(fd).seek(0, Whence.CUR))


def fd_renumber(system: WASI, memory: GuestMemory, fd: int, to: int) -> None:
    system.descriptors.renumber(fd, to)


def _preopened(system: WASI, fd: int) -> bytes:
    descriptor = system.descriptors.get(fd)
    if not isinstance(descriptor, OpenDirectory) or descriptor.name is None:
        raise WasiError(Errno.BADF)  # libc asks for 3, 4, 5, ... until it gets this
    return descriptor.name.encode()


def fd_prestat_get(system: WASI, memory: GuestMemory, fd: int, result: int) -> None:
    memory.pack(PRESTAT, result, 0, len(_preopened(system, fd)))


def fd_prestat_dir_name(system: WASI, memory: GuestMemory, fd: int, buffer: int, size: int) -> None:
    name = _preopened(system, fd)
    if size < len(name):
        raise WasiError(Errno.NAMETOOLONG)
    memory.write(buffer, name)


def fd_readdir(system: WASI, memory: GuestMemory, fd: int, buffer: int, size: int, cookie: int, result: int) -> None:
    descriptor = system.descriptors.get(fd)
    if not isinstance(descriptor, OpenDirectory):
        raise WasiError(Errno.NOTDIR)
    room = memory.slice(buffer, size)
    memory.slice(result, 4)
    used = 0
    for number, entry in enumerate(descriptor.listing(cookie), cookie + 1):
        name = entry.name.encode(errors="surrogateescape")
        record = DIRENT.pack(number, entry.inode & _U64, len(name), entry.filetype) + name
        # The last record is cut off where the buffer ends: a full buffer tells the guest that there is more.
        piece = record[: size - used]
        room[used : used + len(piece)] = piece
        used += len(piece)
        if used == size:
            break
    memory.write_u32(result, used)
