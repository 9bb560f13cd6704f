"""Connections on listeners of the host."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from guest import Guest, fails, fd_subscription

from wasmine import Timeout
from wasmine.wasi import Errno
from wasmine.wasi.layout import EventType, Filetype

LISTENER = 3


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def guest(listener: socket.socket) -> Iterator[Guest]:
    made = Guest(listen=[listener])
    with made.wasi:
        yield made


@pytest.fixture
def client(listener: socket.socket) -> Iterator[socket.socket]:
    with socket.create_connection(listener.getsockname()) as made:
        made.settimeout(10)
        yield made


def accept(guest: Guest, flags: int = 0) -> int:
    guest.call("sock_accept", LISTENER, flags, 0)
    return guest.u32()


def receive(guest: Guest, fd: int, *sizes: int, flags: int = 0) -> bytes:
    buffers = guest.room(*sizes)
    guest.call("sock_recv", fd, *guest.vectors(*buffers), flags, 0, 4)
    return b"".join(guest.at(*buffer) for buffer in buffers)[: guest.u32()]


def send(guest: Guest, fd: int, *pieces: bytes) -> int:
    guest.call("sock_send", fd, *guest.vectors(*[guest.text(piece) for piece in pieces]), 0, 0)
    return guest.u32()


def test_what_one_side_sends_the_other_receives(guest: Guest, client: socket.socket) -> None:
    fd = accept(guest)
    assert guest.fdstat(fd).filetype is guest.fdstat(LISTENER).filetype is Filetype.SOCKET_STREAM
    client.sendall(b"ping")
    assert receive(guest, fd, 10) == b"ping"
    assert send(guest, fd, b"po", b"ng") == 4
    assert client.recv(10) == b"pong"


def test_a_connection_is_read_and_written_like_a_file(guest: Guest, client: socket.socket) -> None:
    fd = accept(guest)
    client.sendall(b"ping")
    assert guest.read(fd, 10) == b"ping"
    guest.write(fd, b"pong")
    assert client.recv(10) == b"pong"
    for call in (lambda: guest.seek(fd, 0), lambda: guest.pread(fd, 1, 0), lambda: guest.pwrite(fd, b"x", 0)):
        with fails(Errno.SPIPE):
            call()
    guest.close(fd)
    assert client.recv(10) == b""


def test_peeking_leaves_what_is_there(guest: Guest, client: socket.socket) -> None:
    fd = accept(guest)
    client.sendall(b"ping")
    assert receive(guest, fd, 10, flags=1) == b"ping"
    assert receive(guest, fd, 10) == b"ping"


def test_waiting_for_all_fills_the_buffers(guest: Guest, client: socket.socket) -> None:
    fd = accept(guest)
    client.sendall(b"abc")
    timer = threading.Timer(0.03, client.sendall, (b"defg",))
    timer.start()
    assert receive(guest, fd, 2, 4, flags=2) == b"abcdef"
    timer.join()
    client.close()
    assert receive(guest, fd, 10, flags=2) == b"g"


def test_a_connection_can_be_ended_one_way(guest: Guest, client: socket.socket) -> None:
    fd = accept(guest)
    guest.call("sock_shutdown", fd, 2)
    assert client.recv(10) == b""
    client.sendall(b"still")
    assert receive(guest, fd, 10) == b"still"
    guest.call("sock_shutdown", fd, 1)
    for how in (0, 4, 255):
        with fails(Errno.INVAL):
            guest.call("sock_shutdown", fd, how)


def test_what_must_not_block_is_told_to_come_again(guest: Guest, listener: socket.socket) -> None:
    guest.call("fd_fdstat_set_flags", LISTENER, 4)
    with fails(Errno.AGAIN):
        accept(guest)
    with socket.create_connection(listener.getsockname()):
        guest.poll(fd_subscription(1, LISTENER))
        fd = accept(guest, flags=4)
        assert guest.fdstat(fd).flags == 4
        with fails(Errno.AGAIN):
            receive(guest, fd, 10)
    with fails(Errno.INVAL):
        guest.call("sock_accept", LISTENER, 1, 0)


def test_connections_are_polled(guest: Guest, client: socket.socket) -> None:
    (event,) = guest.poll(fd_subscription(1, LISTENER))
    assert event.errno is Errno.SUCCESS
    fd = accept(guest)
    (event,) = guest.poll(fd_subscription(1, fd), fd_subscription(2, fd, EventType.FD_WRITE))
    assert event.userdata == 2
    client.sendall(b"x")
    events = guest.poll(fd_subscription(1, fd))
    assert [event.userdata for event in events] == [1]


def test_a_poll_tells_how_much_came_and_that_no_more_will(guest: Guest, client: socket.socket) -> None:
    fd = accept(guest)
    client.sendall(b"hello")
    (event,) = guest.poll(fd_subscription(1, fd))
    assert (event.available, event.hung_up) == (5, False)
    client.close()
    assert receive(guest, fd, 10) == b"hello"
    (event,) = guest.poll(fd_subscription(1, fd))
    assert (event.available, event.hung_up) == (0, True)


def test_a_poll_leaves_a_reset_to_be_told_by_reading(guest: Guest, client: socket.socket) -> None:
    fd = accept(guest)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    for _ in range(2):
        (event,) = guest.poll(fd_subscription(1, fd))
        assert event.hung_up
    with fails(Errno.CONNRESET):
        receive(guest, fd, 10)


def test_a_deadline_ends_waiting_for_a_connection_and_for_data(guest: Guest, listener: socket.socket) -> None:
    guest.wasi.waiting.deadline = time.monotonic() + 0.05
    with pytest.raises(Timeout):
        accept(guest)
    with socket.create_connection(listener.getsockname()):
        guest.wasi.waiting.deadline = None
        fd = accept(guest)
        guest.wasi.waiting.deadline = time.monotonic() + 0.05
        with pytest.raises(Timeout):
            receive(guest, fd, 10)


def test_what_is_no_connection_is_refused(guest: Guest) -> None:
    for call, errno in (
        (lambda: receive(guest, 1, 10), Errno.NOTSOCK),
        (lambda: receive(guest, LISTENER, 10), Errno.NOTCONN),
        (lambda: send(guest, 99, b"x"), Errno.BADF),
        (lambda: guest.call("sock_accept", 1, 0, 0), Errno.NOTSOCK),
        (lambda: guest.call("sock_shutdown", 1, 3), Errno.NOTSOCK),
        (lambda: guest.read(LISTENER), Errno.BADF),
        (lambda: guest.write(LISTENER, b"x"), Errno.BADF),
    ):
        with fails(errno):
            call()


def test_unknown_flags_are_refused(guest: Guest, client: socket.socket) -> None:
    fd = accept(guest)
    with fails(Errno.NOTSUP):
        receive(guest, fd, 10, flags=4)
    with fails(Errno.NOTSUP):
        guest.call("sock_send", fd, *guest.vectors(guest.text(b"x")), 1, 0)
    with fails(Errno.INVAL):
        guest.call("sock_accept", fd, 0, 0)


def test_results_outside_of_memory_are_a_fault(guest: Guest, client: socket.socket) -> None:
    fd = accept(guest)
    outside = len(guest.memory.bytes) - 1
    client.sendall(b"kept")
    with fails(Errno.FAULT):
        guest.call("sock_recv", fd, *guest.vectors(*guest.room(10)), 0, outside, 4)
    with fails(Errno.FAULT):
        guest.call("sock_recv", fd, *guest.vectors(*guest.room(10)), 0, 0, outside)
    with fails(Errno.FAULT):
        guest.call("sock_send", fd, *guest.vectors(guest.text(b"x")), 0, outside)
    with fails(Errno.FAULT):
        guest.call("sock_accept", LISTENER, 0, outside)
    assert receive(guest, fd, 10) == b"kept"


def test_the_listener_still_belongs_to_the_host(listener: socket.socket) -> None:
    with Guest(listen=[listener]).wasi:
        pass
    assert os.get_blocking(listener.fileno())
    with socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        connection.close()
