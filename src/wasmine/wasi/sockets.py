"""The sock_* functions, on connections that listeners of the host accept. A guest cannot make a connection itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wasmine.wasi import rights
from wasmine.wasi.descriptors import Descriptor
from wasmine.wasi.errno import Errno, WasiError
from wasmine.wasi.filesystem.interface import Stat
from wasmine.wasi.layout import U16, FdFlags, Filetype, RiFlags, SdFlags, Whence
from wasmine.wasi.rights import Rights
from wasmine.wasi.waiting import waiting_bytes

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from wasmine.wasi.guest_memory import GuestMemory
    from wasmine.wasi.system import WASI
    from wasmine.wasi.waiting import Result, Waiting

_DIRECTIONS: dict[int, str] = {
    SdFlags.RD: "SHUT_RD",
    SdFlags.WR: "SHUT_WR",
    SdFlags.RD | SdFlags.WR: "SHUT_RDWR",
}


class SocketDescriptor(Descriptor):
    """A socket of the host. It never blocks the host: the guest's waiting is ours, so that deadlines hold."""

    def __init__(self, sock: socket.socket, base: int, flags: int, waiting: Waiting) -> None:
        super().__init__(Filetype.SOCKET_STREAM, base, 0, flags)
        self.socket = sock
        self._waiting = waiting
        sock.setblocking(False)

    def stat(self) -> Stat:
        return Stat(self.filetype)

    def set_flags(self, flags: int) -> None:
        if flags & ~FdFlags.NONBLOCK:
            raise WasiError(Errno.INVAL)
        self.flags = flags

    def pread(self, buffers: list[memoryview], offset: int) -> int:
        raise WasiError(Errno.SPIPE)

    def pwrite(self, buffers: list[memoryview], offset: int) -> int:
        raise WasiError(Errno.SPIPE)

    def seek(self, delta: int, whence: Whence) -> int:
        raise WasiError(Errno.SPIPE)

    def patiently(self, action: Callable[[], Result], *, writing: bool = False) -> Result:
        """Do what may block, waiting where the guest wants that (AGAIN otherwise)."""
        if self.flags & FdFlags.NONBLOCK:
            return action()
        return self._waiting.until_done(action, self.socket.fileno(), writing=writing)

    def close(self) -> None:
        self.socket.close()


class Listener(SocketDescriptor):
    """A socket that connections come in on. It belongs to the host and is not closed with the guest."""

    def __init__(self, sock: socket.socket, waiting: Waiting) -> None:
        super().__init__(sock.dup(), rights.LISTENER, 0, waiting)
        self.inheriting = rights.SOCKET
        self._blocked = sock.gettimeout() is None

    def accept(self, flags: int) -> Connection:
        """The next connection."""
        self.require(Rights.SOCK_ACCEPT)
        connection, _ = self.patiently(self.socket.accept)
        return Connection(connection, rights.SOCKET & self.inheriting, flags, self._waiting)

    def read_fileno(self) -> int | None:
        return self.socket.fileno()

    def close(self) -> None:
        # Whether a socket blocks is the same for all its duplicates, the host's included.
        if self._blocked and self.socket.fileno() >= 0:
            self.socket.setblocking(True)
        super().close()


class Connection(SocketDescriptor):
    """A stream between the guest and somebody."""

    def read(self, buffers: list[memoryview]) -> int:
        return self.receive(buffers, 0)

    def receive(self, buffers: list[memoryview], flags: int) -> int:
        """Receive into the buffers; with RECV_WAITALL until they are full or the stream ends."""
        self.require(Rights.FD_READ)
        import socket  # here: most programs have no sockets, and it takes 4 ms

        peek = socket.MSG_PEEK if flags & RiFlags.RECV_PEEK else 0
        total = 0
        for buffer in buffers:
            rest = buffer
            while len(rest):
                count = self.patiently(partial(self.socket.recv_into, rest, 0, peek))
                total += count
                rest = rest[count:]
                # Looking again would show the same bytes again.
                if not flags & RiFlags.RECV_WAITALL or not count or peek:
                    return total
        return total

    def available(self) -> int:
        return waiting_bytes(self.socket.fileno())

    def write(self, buffers: list[memoryview]) -> int:
        self.require(Rights.FD_WRITE)
        data = b"".join(buffers)
        return self.patiently(lambda: self.socket.send(data), writing=True) if data else 0

    def shut_down(self, how: int) -> None:
        """End one or both directions (sdflags)."""
        self.require(Rights.SOCK_SHUTDOWN)
        import socket

        self.socket.shutdown(getattr(socket, _DIRECTIONS[how]))

    def read_fileno(self) -> int | None:
        return self.socket.fileno()

    def write_fileno(self) -> int | None:
        return self.socket.fileno()


def _connection(system: WASI, fd: int) -> Connection:
    descriptor = system.descriptors.get(fd)
    if isinstance(descriptor, Listener):
        raise WasiError(Errno.NOTCONN)
    if not isinstance(descriptor, Connection):
        raise WasiError(Errno.NOTSOCK)
    return descriptor


def sock_accept(system: WASI, memory: GuestMemory, fd: int, flags: int, result: int) -> None:
    listener = system.descriptors.get(fd)
    if not isinstance(listener, Listener):
        raise WasiError(Errno.INVAL if isinstance(listener, Connection) else Errno.NOTSOCK)
    if flags & ~FdFlags.NONBLOCK:
        raise WasiError(Errno.INVAL)
    memory.slice(result, 4)
    system.descriptors.check_room()
    memory.write_u32(result, system.descriptors.add(listener.accept(flags)))


def sock_recv(
    system: WASI, memory: GuestMemory, fd: int, iovs: int, count: int, flags: int, result: int, result_flags: int
) -> None:
    connection = _connection(system, fd)
    if flags & ~RiFlags.all():
        raise WasiError(Errno.NOTSUP)
    memory.slice(result, 4)
    memory.slice(result_flags, 2)
    received = connection.receive(memory.vectors(iovs, count), flags)
    memory.write_u32(result, received)
    memory.pack(U16, result_flags, 0)  # no roflags: a stream never loses what did not fit


def sock_send(system: WASI, memory: GuestMemory, fd: int, iovs: int, count: int, flags: int, result: int) -> None:
    connection = _connection(system, fd)
    if flags:
        raise WasiError(Errno.NOTSUP)  # preview 1 defines none
    memory.slice(result, 4)
    memory.write_u32(result, connection.write(memory.vectors(iovs, count)))


def sock_shutdown(system: WASI, memory: GuestMemory, fd: int, how: int) -> None:
    connection = _connection(system, fd)
    if how not in _DIRECTIONS:
        raise WasiError(Errno.INVAL)
    connection.shut_down(how)
