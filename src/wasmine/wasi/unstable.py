"""What was different in `wasi_unstable`, the snapshot before preview 1 that old toolchains import."""

from __future__ import annotations

from functools import partial
from struct import Struct
from typing import TYPE_CHECKING

from wasmine.wasi import files, paths, poll
from wasmine.wasi.errno import Errno, WasiError
from wasmine.wasi.layout import Whence
from wasmine.wasi.poll import Layout
from wasmine.wasi.preview1 import FUNCTIONS, WasiFunction

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.wasi.guest_memory import GuestMemory
    from wasmine.wasi.system import WASI

# The number of links has 32 bits.
FILESTAT = Struct("<QQB3xIQQQQ")
# A clock subscription begins with an identifier, which nothing uses.
POLL = Layout(size=56, clock=Struct("<8xI4xQQH6x"))
# SET was the last.
WHENCE = (Whence.CUR, Whence.END, Whence.SET)


def fd_seek(system: WASI, memory: GuestMemory, fd: int, delta: int, whence: int, result: int) -> None:
    if whence >= len(WHENCE):
        system.descriptors.get(fd)
        raise WasiError(Errno.INVAL)
    files.fd_seek(system, memory, fd, delta, WHENCE[whence], result)


_BODIES: dict[str, Callable[..., None]] = {
    "fd_seek": fd_seek,
    "fd_filestat_get": partial(files.fd_filestat_get, layout=FILESTAT),
    "path_filestat_get": partial(paths.path_filestat_get, layout=FILESTAT),
    "poll_oneoff": partial(poll.poll_oneoff, layout=POLL),
}

REPLACED = {
    each.name: WasiFunction(each.name, each.group, each.parameters, _BODIES[each.name], each.returns_errno)
    for each in FUNCTIONS
    if each.name in _BODIES
}
