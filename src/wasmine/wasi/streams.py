"""Standard input and output: anything that Python can read from or write to, as descriptors of the guest.

An input is None (at its end), bytes or text, a file object, a descriptor of the host (int), or a function that is asked
for at most n bytes and gives b"" at the end. An output is None (discarded), a `bytearray` that grows, a file object, a
descriptor of the host, or a function that gets each piece.
"""

from __future__ import annotations

import codecs
import functools
import io
import os
import select
import stat as modes
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias

from wasmine.runtime.lock import lock
from wasmine.wasi import rights
from wasmine.wasi.descriptors import Descriptor
from wasmine.wasi.errno import Errno, WasiError
from wasmine.wasi.filesystem.interface import Stat
from wasmine.wasi.layout import FdFlags, Filetype, Whence
from wasmine.wasi.rights import Rights
from wasmine.wasi.waiting import waiting_bytes

if TYPE_CHECKING:
    from wasmine.wasi.waiting import Waiting

Input: TypeAlias = bytes | bytearray | str | int | IO[bytes] | IO[str] | Callable[[int], bytes] | None
Output: TypeAlias = bytearray | int | IO[bytes] | IO[str] | Callable[[bytes], Any] | None

# What POSIX promises to take at once when a pipe is said to be writable; more could block without end.
_PIECE = getattr(select, "PIPE_BUF", 512)
_LARGEST_READ = 1 << 20  # a guest may offer gigabytes of room: what a Python file object gives comes as a new object


class Source(Protocol):
    """Where input comes from. `terminal`: a person sits there. `fileno`: what to wait for, None if nothing.

    `available` is how many bytes there are: 0 at the end, 1 where it is not known how many.
    """

    terminal: bool

    def fileno(self) -> int | None: ...

    def available(self) -> int: ...

    def read(self, count: int) -> bytes: ...


class Sink(Protocol):
    """Where output goes."""

    terminal: bool

    def fileno(self) -> int | None: ...

    def write(self, data: memoryview) -> int: ...


class Stream(Descriptor):
    """What standard streams have in common."""

    def __init__(self, terminal: bool, right: int) -> None:
        super().__init__(Filetype.CHARACTER_DEVICE if terminal else Filetype.UNKNOWN, rights.STREAM | right)

    def stat(self) -> Stat:
        return Stat(self.filetype)

    def pread(self, buffers: list[memoryview], offset: int) -> int:
        raise WasiError(Errno.SPIPE)

    def pwrite(self, buffers: list[memoryview], offset: int) -> int:
        raise WasiError(Errno.SPIPE)

    def seek(self, delta: int, whence: Whence) -> int:
        raise WasiError(Errno.SPIPE)

    def set_flags(self, flags: int) -> None:
        if flags & ~(FdFlags.NONBLOCK | FdFlags.APPEND):
            raise WasiError(Errno.NOTSUP)
        self.flags = flags


class InputStream(Stream):
    """Standard input."""

    def __init__(self, source: Source, waiting: Waiting) -> None:
        super().__init__(source.terminal, Rights.FD_READ)
        self._source = source
        self._waiting = waiting

    def read(self, buffers: list[memoryview]) -> int:
        if not buffers:
            return 0
        # The first buffer only: filling the second could block although there is something to give back already.
        buffer = buffers[0]
        fd = self._source.fileno()
        if fd is not None:
            patience = 0.0 if self.flags & FdFlags.NONBLOCK else None
            if not self._waiting.wait([fd], (), patience)[0]:
                raise WasiError(Errno.AGAIN)
        data = self._source.read(min(len(buffer), _LARGEST_READ))
        buffer[: len(data)] = data
        return len(data)

    def available(self) -> int:
        return self._source.available()

    def read_fileno(self) -> int | None:
        return self._source.fileno()


class OutputStream(Stream):
    """Standard output or error."""

    def __init__(self, sink: Sink, waiting: Waiting, budget: OutputBudget) -> None:
        super().__init__(sink.terminal, Rights.FD_WRITE)
        self._sink = sink
        self._waiting = waiting
        self._budget = budget

    def write(self, buffers: list[memoryview]) -> int:
        total = 0
        for buffer in buffers:
            written = self._write(self._budget.allowed(buffer))
            self._budget.take(written)
            total += written
            if written < len(buffer):
                break
        return total

    def _write(self, data: memoryview) -> int:
        fd = self._sink.fileno()
        if fd is None:
            return self._sink.write(data)
        done = 0
        while done < len(data):
            patience = 0.0 if self.flags & FdFlags.NONBLOCK else None
            if not self._waiting.wait((), [fd], patience)[1]:
                if done:
                    break
                raise WasiError(Errno.AGAIN)
            done += self._sink.write(data[done : done + _PIECE])
        return done

    def write_fileno(self) -> int | None:
        return self._sink.fileno()


class OutputBudget:
    """How many bytes standard output and error may still take together; None is any number."""

    def __init__(self, limit: int | None) -> None:
        self.remaining = limit

    def allowed(self, data: memoryview) -> memoryview:
        """The part of the data that may be written. NOSPC if that is nothing."""
        if self.remaining is None or len(data) <= self.remaining:
            return data
        if not self.remaining:
            raise WasiError(Errno.NOSPC)
        return data[: self.remaining]

    def take(self, count: int) -> None:
        if self.remaining is not None:
            self.remaining -= count


class _Descriptor:
    """A descriptor of the host, as source and as sink; it is not closed with the guest.

    `file` is whose it is, if somebody's: its descriptor is open as long as it lives. `flush` brings what Python still holds
    back for the same descriptor before what the guest writes.
    """

    def __init__(self, fd: int, file: object = None, flush: Callable[[], object] | None = None) -> None:
        self._fd = fd
        self._file = file
        self._flush = flush
        self.terminal = os.isatty(fd)
        mode = os.fstat(fd).st_mode
        # Files and terminals take any amount; everything else can fill up.
        self._waits = modes.S_ISFIFO(mode) or modes.S_ISSOCK(mode) or modes.S_ISCHR(mode)
        self._pollable = self._waits and hasattr(select, "poll")

    def fileno(self) -> int | None:
        return self._fd if self._pollable else None

    def available(self) -> int:
        return waiting_bytes(self._fd) if self._waits else 1

    def read(self, count: int) -> bytes:
        return os.read(self._fd, count)

    def write(self, data: memoryview) -> int:
        if self._flush is not None:
            self._flush()
        return os.write(self._fd, data)


class _Nothing:
    """Input at its end, output that is thrown away."""

    terminal = False

    def fileno(self) -> int | None:
        return None

    def available(self) -> int:
        return 0

    def read(self, count: int) -> bytes:
        return b""

    def write(self, data: memoryview) -> int:
        return len(data)


class _BytesSource(_Nothing):
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def available(self) -> int:
        return len(self._data) - self._position

    def read(self, count: int) -> bytes:
        piece = self._data[self._position : self._position + count]
        self._position += len(piece)
        return piece


class _FunctionSource(_Nothing):
    """A function that gives bytes; what it gives too many of is kept for the next read."""

    def __init__(self, function: Callable[[int], bytes | str]) -> None:
        self._function = function
        self._kept = b""

    def available(self) -> int:
        return len(self._kept) or 1

    def read(self, count: int) -> bytes:
        data = self._kept
        if not data:
            given: object = self._function(count)
            if given is None:
                raise WasiError(Errno.AGAIN)  # a raw file object that would block
            if isinstance(given, str):
                given = given.encode()
            if not isinstance(given, bytes | bytearray | memoryview):
                raise TypeError(f"standard input gave {type(given).__name__}: expected bytes or str")
            data = bytes(given)
        self._kept = data[count:]
        return data[:count]


class _FunctionSink(_Nothing):
    def __init__(self, function: Callable[[bytes], Any]) -> None:
        self._function = function

    def write(self, data: memoryview) -> int:
        self._function(bytes(data))
        return len(data)


class _TextSink(_Nothing):
    """A file object that takes text. A character whose bytes come in two writes is written when it is whole."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: memoryview) -> int:
        self._file.write(self._decoder.decode(bytes(data)))
        self._file.flush()
        return len(data)


class _FileSink(_Nothing):
    """A file object that takes bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: memoryview) -> int:
        written: int | None = self._file.write(bytes(data))
        self._file.flush()
        return len(data) if written is None else written


def source(input: Input) -> Source:
    """Where a guest's standard input comes from. TypeError for what nothing can be read from."""
    if input is None:
        return _Nothing()
    if isinstance(input, str):
        return _BytesSource(input.encode())
    if isinstance(input, bytes | bytearray):
        return _BytesSource(bytes(input))
    if isinstance(input, int):
        return _Descriptor(input)
    fd = _fileno(input)
    if fd is not None:
        return _Descriptor(fd, input)
    if isinstance(input, io.TextIOWrapper):
        input = input.buffer
    for name in ("read1", "read"):  # read1 gives what is there instead of waiting for all that was asked for
        method = getattr(input, name, None)
        if method is not None:
            return _FunctionSource(method)
    if callable(input):
        return _FunctionSource(input)
    raise TypeError(f"standard input: expected bytes, str, a file object, a descriptor or a function, found {input!r}")


def sink(output: Output) -> Sink:
    """Where a guest's output goes. TypeError for what nothing can be written to."""
    if output is None:
        return _Nothing()
    if isinstance(output, bytearray):
        return _FunctionSink(functools.partial(_extend, output))
    if isinstance(output, int):
        return _Descriptor(output)
    fd = _fileno(output)
    if fd is not None:
        return _Descriptor(fd, output, getattr(output, "flush", None))
    if isinstance(output, io.TextIOBase):
        buffer = getattr(output, "buffer", None)
        if buffer is None:
            return _TextSink(output)
        output.flush()
        output = buffer
    if hasattr(output, "write"):
        return _FileSink(output)  # type: ignore[arg-type]
    if callable(output):
        return _FunctionSink(output)
    raise TypeError(
        f"standard output: expected a file object, a bytearray, a descriptor or a function, found {output!r}"
    )


def _extend(output: bytearray, data: bytes) -> None:
    # Several guests may write to one, each in a thread. Without a GIL, CPython 3.13 crashes when two do at once.
    with lock:
        output.extend(data)


def _fileno(file: object) -> int | None:
    """The host's descriptor behind a file object, None if there is none."""
    method = getattr(file, "fileno", None)
    if method is None:
        return None
    try:
        fd = int(method())
    except (OSError, ValueError):  # io.UnsupportedOperation is both
        return None
    # A console of Windows wants UTF-16, which Python's file object for it knows and its descriptor does not.
    return None if sys.platform == "win32" and os.isatty(fd) else fd
