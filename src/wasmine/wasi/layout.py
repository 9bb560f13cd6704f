"""The enumerations, flags and record layouts of WASI preview 1, as the guest's memory holds them (little-endian)."""

from __future__ import annotations

import enum
from functools import cache
from struct import Struct


class Filetype(enum.IntEnum):
    UNKNOWN = 0
    BLOCK_DEVICE = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SOCKET_DGRAM = 5
    SOCKET_STREAM = 6
    SYMBOLIC_LINK = 7


class ClockId(enum.IntEnum):
    REALTIME = 0
    MONOTONIC = 1
    PROCESS_CPUTIME = 2
    THREAD_CPUTIME = 3


class Whence(enum.IntEnum):
    SET = 0
    CUR = 1
    END = 2


class EventType(enum.IntEnum):
    CLOCK = 0
    FD_READ = 1
    FD_WRITE = 2


class Advice(enum.IntEnum):
    NORMAL = 0
    SEQUENTIAL = 1
    RANDOM = 2
    WILLNEED = 3
    DONTNEED = 4
    NOREUSE = 5


class Flags(enum.IntEnum):
    """The base of the flag sets. Not `IntFlag`: combinations are plain ints, and ten times as fast."""

    @classmethod
    @cache
    def all(cls) -> int:
        """Every named bit."""
        return sum(cls)


class FdFlags(Flags):
    APPEND = 1
    DSYNC = 2
    NONBLOCK = 4
    RSYNC = 8
    SYNC = 16


class OFlags(Flags):
    CREAT = 1
    DIRECTORY = 2
    EXCL = 4
    TRUNC = 8


class LookupFlags(Flags):
    SYMLINK_FOLLOW = 1


class FstFlags(Flags):
    ATIM = 1
    ATIM_NOW = 2
    MTIM = 4
    MTIM_NOW = 8


class SubclockFlags(Flags):
    ABSTIME = 1


class EventRwFlags(Flags):
    HANGUP = 1


class RiFlags(Flags):
    RECV_PEEK = 1
    RECV_WAITALL = 2


class SdFlags(Flags):
    RD = 1
    WR = 2


U16 = Struct("<H")
U32 = Struct("<I")
U64 = Struct("<Q")

IOVEC = Struct("<II")  # address, length
DIRENT = Struct("<QQIB3x")  # cookie of the next entry, inode, length of the name, filetype; the name follows
FDSTAT = Struct("<BxHxxxxQQ")  # filetype, fdflags, rights, inheriting rights
FILESTAT = Struct("<QQB7xQQQQQ")  # device, inode, filetype, links, size, accessed, modified, changed
PRESTAT = Struct("<B3xI")  # tag (0: directory), length of the name

SUBSCRIPTION = Struct("<QB7x32x")  # user data, event type; then, from offset 16, one of the two below
SUBSCRIPTION_BODY = 16
SUBSCRIPTION_CLOCK = Struct("<I4xQQH6x")  # clock, timeout, precision, subclockflags
SUBSCRIPTION_FD = Struct("<I")
EVENT = Struct("<QHB5xQH6x")  # user data, errno, event type, bytes available, eventrwflags
