"""Error numbers of WASI preview 1, and how Python's `OSError` becomes one."""

from __future__ import annotations

import enum
import errno as host_errno


class Errno(enum.IntEnum):
    """What a WASI function returns. The values are the order of `errno` in the preview 1 specification."""

    SUCCESS = 0
    TOO_BIG = 1  # 2BIG
    ACCES = 2
    ADDRINUSE = 3
    ADDRNOTAVAIL = 4
    AFNOSUPPORT = 5
    AGAIN = 6
    ALREADY = 7
    BADF = 8
    BADMSG = 9
    BUSY = 10
    CANCELED = 11
    CHILD = 12
    CONNABORTED = 13
    CONNREFUSED = 14
    CONNRESET = 15
    DEADLK = 16
    DESTADDRREQ = 17
    DOM = 18
    DQUOT = 19
    EXIST = 20
    FAULT = 21
    FBIG = 22
    HOSTUNREACH = 23
    IDRM = 24
    ILSEQ = 25
    INPROGRESS = 26
    INTR = 27
    INVAL = 28
    IO = 29
    ISCONN = 30
    ISDIR = 31
    LOOP = 32
    MFILE = 33
    MLINK = 34
    MSGSIZE = 35
    MULTIHOP = 36
    NAMETOOLONG = 37
    NETDOWN = 38
    NETRESET = 39
    NETUNREACH = 40
    NFILE = 41
    NOBUFS = 42
    NODEV = 43
    NOENT = 44
    NOEXEC = 45
    NOLCK = 46
    NOLINK = 47
    NOMEM = 48
    NOMSG = 49
    NOPROTOOPT = 50
    NOSPC = 51
    NOSYS = 52
    NOTCONN = 53
    NOTDIR = 54
    NOTEMPTY = 55
    NOTRECOVERABLE = 56
    NOTSOCK = 57
    NOTSUP = 58
    NOTTY = 59
    NXIO = 60
    OVERFLOW = 61
    OWNERDEAD = 62
    PERM = 63
    PIPE = 64
    PROTO = 65
    PROTONOSUPPORT = 66
    PROTOTYPE = 67
    RANGE = 68
    ROFS = 69
    SPIPE = 70
    SRCH = 71
    STALE = 72
    TIMEDOUT = 73
    TXTBSY = 74
    XDEV = 75
    NOTCAPABLE = 76


class WasiError(Exception):
    """A WASI function fails with `errno`. It ends at the function table: the guest sees a number, Python sees nothing."""

    def __init__(self, errno: Errno) -> None:
        self.errno = errno
        super().__init__(errno.name)


def _table() -> dict[int, Errno]:
    """Host error numbers (they differ between operating systems) to WASI's."""
    named = {"TOO_BIG": "E2BIG"}
    table = {}
    for error in Errno:
        number = getattr(host_errno, named.get(error.name, "E" + error.name), None)
        if number is not None:
            table[number] = error
    # Two names for one meaning, on systems where the numbers differ.
    for alias, error in (("EWOULDBLOCK", Errno.AGAIN), ("EOPNOTSUPP", Errno.NOTSUP), ("ENOTCAPABLE", Errno.NOTCAPABLE)):
        number = getattr(host_errno, alias, None)
        if number is not None:
            table.setdefault(number, error)
    return table


_FROM_HOST = _table()


def from_os_error(error: OSError) -> Errno:
    """The WASI error number for an `OSError`; IO if it carries no number, or one that WASI has no name for."""
    if error.errno is None:
        return _FROM_CLASS.get(type(error), Errno.IO)
    return _FROM_HOST.get(error.errno, Errno.IO)


# `raise FileNotFoundError("x")` has a class but no number: what a file system written by a user may well raise.
_FROM_CLASS: dict[type[OSError], Errno] = {
    FileNotFoundError: Errno.NOENT,
    FileExistsError: Errno.EXIST,
    IsADirectoryError: Errno.ISDIR,
    NotADirectoryError: Errno.NOTDIR,
    PermissionError: Errno.ACCES,
    BlockingIOError: Errno.AGAIN,
    BrokenPipeError: Errno.PIPE,
    ConnectionResetError: Errno.CONNRESET,
    ConnectionAbortedError: Errno.CONNABORTED,
    ConnectionRefusedError: Errno.CONNREFUSED,
    InterruptedError: Errno.INTR,
    TimeoutError: Errno.TIMEDOUT,
}
