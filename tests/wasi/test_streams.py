"""Standard input and output on whatever Python has."""

from __future__ import annotations

import gc
import io
import os
import threading
import time
from pathlib import Path

import pytest
from guest import Guest, fails

from wasmine import Timeout
from wasmine.wasi import WASI, Errno, Quota
from wasmine.wasi.layout import Filetype


def test_without_streams_input_is_at_its_end_and_output_is_gone() -> None:
    guest = Guest()
    assert guest.read(0) == b""
    assert guest.write(1, b"x") == guest.write(2, b"x") == 1


@pytest.mark.parametrize(
    "stdin",
    [b"one\ntwo", bytearray(b"one\ntwo"), "one\ntwo", io.BytesIO(b"one\ntwo"), io.StringIO("one\ntwo")],
    ids=lambda stdin: type(stdin).__name__,
)
def test_input_from_values_and_file_objects(stdin: object) -> None:
    guest = Guest(stdin=stdin)
    assert guest.read(0, 4) == b"one\n"
    assert guest.read(0, 100) == b"two"
    assert guest.read(0, 100) == b""


def test_input_from_a_function_that_gives_more_than_asked_for() -> None:
    given = [b"abcdef", "größe", b""]
    guest = Guest(stdin=lambda count: given.pop(0))
    assert guest.read(0, 4) == b"abcd"
    assert guest.read(0, 4) == b"ef"
    assert guest.read(0, 5) == "grö".encode() + b"\xc3"
    assert guest.read(0, 5) == b"\x9fe"
    assert guest.read(0, 5) == b""


def test_input_from_a_function_that_gives_nonsense_is_its_callers_error() -> None:
    guest = Guest(stdin=lambda count: 42)
    with pytest.raises(TypeError, match="standard input gave int: expected bytes or str"):
        guest.read(0)


def test_input_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"from a file")
    with path.open("rb") as file:
        assert Guest(stdin=file).read(0) == b"from a file"


def test_output_to_each_kind_of_thing(tmp_path: Path) -> None:
    array, binary, text, pieces = bytearray(), io.BytesIO(), io.StringIO(), []
    with (tmp_path / "out").open("wb") as file, (tmp_path / "text").open("w") as text_file:
        text_file.write("before ")
        for stdout in (array, binary, text, pieces.append, file, text_file):
            guest = Guest(stdout=stdout)
            assert guest.write(1, b"gr\xc3", b"\xb6\xc3\x9fe\n") == 8
    assert (
        bytes(array) == binary.getvalue() == b"".join(pieces) == (tmp_path / "out").read_bytes() == "größe\n".encode()
    )
    assert text.getvalue() == "größe\n"
    assert (tmp_path / "text").read_text() == "before größe\n"


def test_what_is_no_stream_is_refused() -> None:
    with pytest.raises(TypeError, match="standard input: expected"):
        WASI(stdin=3.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="standard output: expected"):
        WASI(stdout=3.5)  # type: ignore[arg-type]


def test_an_error_of_a_file_object_is_an_error_for_the_guest() -> None:
    def broken(data: bytes) -> None:
        raise BrokenPipeError

    with fails(Errno.PIPE):
        Guest(stdout=broken).write(1, b"x")


def test_an_exception_of_a_function_ends_the_guest() -> None:
    def failing(data: bytes) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        Guest(stdout=failing).write(1, b"x")


def test_streams_are_read_or_written_not_both() -> None:
    guest = Guest(stdin=b"x")
    with fails(Errno.BADF):
        guest.write(0, b"x")
    with fails(Errno.BADF):
        guest.read(1)


def test_streams_cannot_be_sought() -> None:
    guest = Guest(stdin=b"x")
    for call in (
        lambda: guest.seek(0, 0),
        lambda: guest.tell(1),
        lambda: guest.pread(0, 1, 0),
        lambda: guest.pwrite(1, b"", 0),
    ):
        with fails(Errno.SPIPE):
            call()


def test_a_stream_is_no_terminal_unless_there_is_one() -> None:
    guest = Guest(stdin=b"x")
    assert [guest.fdstat(fd).filetype for fd in range(3)] == [Filetype.UNKNOWN] * 3
    assert guest.fd_stat(0).size == 0


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_terminal_is_a_character_device_that_cannot_be_sought() -> None:
    leader, follower = os.openpty()
    try:
        guest = Guest(stdout=follower)
        stat = guest.fdstat(1)
        assert stat.filetype is Filetype.CHARACTER_DEVICE
        assert not stat.rights & (1 << 2 | 1 << 5)  # what libc's isatty looks at
        guest.write(1, b"x")
        assert os.read(leader, 10) == b"x"
    finally:
        os.close(leader)
        os.close(follower)


def test_a_pipe_gives_what_is_there() -> None:
    reader, writer = os.pipe()
    guest = Guest(stdin=reader)
    os.write(writer, b"part")
    assert guest.read(0, 3, 100) == b"par"
    assert guest.read(0, 100) == b"t"
    guest.call("fd_fdstat_set_flags", 0, 4)
    with fails(Errno.AGAIN):
        guest.read(0, 1)
    os.close(writer)
    assert guest.read(0, 1) == b""
    os.close(reader)


def test_reading_a_pipe_waits_for_a_writer() -> None:
    reader, writer = os.pipe()
    thread = threading.Timer(0.05, os.write, (writer, b"late"))
    thread.start()
    assert Guest(stdin=reader).read(0) == b"late"
    thread.join()
    os.close(reader)
    os.close(writer)


def test_a_deadline_ends_reading_and_writing() -> None:
    reader, writer = os.pipe()
    guest = Guest(stdin=reader, stdout=writer, memory=1 << 20)
    guest.wasi.waiting.deadline = time.monotonic() + 0.05
    with pytest.raises(Timeout):
        guest.read(0)
    guest.wasi.waiting.deadline = time.monotonic() + 0.05
    with pytest.raises(Timeout):
        guest.write(1, bytes(1 << 19))  # far more than a pipe holds
    os.close(reader)
    os.close(writer)


def test_output_to_a_full_pipe_that_must_not_block_is_partial() -> None:
    reader, writer = os.pipe()
    guest = Guest(stdout=writer)
    guest.call("fd_fdstat_set_flags", 1, 4)
    written = guest.write(1, bytes(1 << 19))
    assert 0 < written < 1 << 19
    with fails(Errno.AGAIN):
        guest.write(1, b"x" * 4096)
    os.close(reader)
    with fails(Errno.PIPE):
        guest.write(1, b"x")
    os.close(writer)


def test_standard_streams_are_not_closed_with_the_guest() -> None:
    reader, writer = os.pipe()
    with Guest(stdin=reader, stdout=writer).wasi as system:
        system.descriptors.close(0)
    os.write(writer, b"still open")
    assert os.read(reader, 20) == b"still open"
    os.close(reader)
    os.close(writer)


def test_output_is_bounded_over_both_streams() -> None:
    out, error = bytearray(), bytearray()
    guest = Guest(stdout=out, stderr=error, quota=Quota(output_bytes=10))
    assert guest.write(1, b"12345") == 5
    assert guest.write(2, b"678901234") == 5
    with fails(Errno.NOSPC):
        guest.write(1, b"x")
    assert (out, error) == (b"12345", b"67890")


def test_a_file_object_stays_open_as_long_as_the_guest(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"what was meant")
    (tmp_path / "other").write_bytes(b"what was not")
    guest = Guest(stdin=(tmp_path / "input").open("rb"))
    gc.collect()
    with (tmp_path / "other").open("rb"):  # it would have the same descriptor
        assert guest.read(0, 100) == b"what was meant"
