"""Reading the files that commands are given."""

from __future__ import annotations

import sys

from wasmine.cli.options import CommandError
from wasmine.errors import WasmineError
from wasmine.runtime.module import Module


def read_file(path: str) -> bytes:
    """The content of a file, `-` being standard input. CommandError."""
    try:
        if path == "-":
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:  # noqa: PTH123 - importing pathlib takes 4 ms
            return file.read()
    except OSError as error:
        raise CommandError(f"error reading wasm binary: {error.strerror or error}: {path!r}") from None


def load(path: str, data: bytes | None = None) -> Module:
    """The module in a file, binary or text, whose content may be given. CommandError says what is wrong with it."""
    data = read_file(path) if data is None else data
    try:
        module = Module(data)
    except WasmineError as error:
        raise CommandError(f"error compiling wasm binary: {path}: {error}") from error
    module.origin = "" if path == "-" else path
    return module


def write_file(path: str, data: bytes) -> None:
    """Write a file, `-` being standard output. CommandError."""
    try:
        if path == "-":
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"cannot write {path!r}: {error.strerror or error}") from None
