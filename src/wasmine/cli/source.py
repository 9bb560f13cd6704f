"""Reading the files that commands are given."""

from __future__ import annotations

import os
import sys

from wasmine.cli.options import CommandError, Flag
from wasmine.cli.progress import Progress
from wasmine.errors import WasmineError
from wasmine.runtime.cache import Cache
from wasmine.runtime.module import Module

CACHE_VARIABLE = "WASMINE_CACHE_DIR"
CACHE_DIR = Flag("--cache-dir", f"keep compiled code here; or {CACHE_VARIABLE}", "DIR")
QUIET = Flag("--quiet", "show no progress on the terminal")


def open_cache(given: str | None) -> Cache | None:
    """The cache that a flag or else the environment names, None without one. CommandError if it cannot be a directory."""
    path = given if given is not None else os.environ.get(CACHE_VARIABLE, "")
    if not path:
        return None
    try:
        os.makedirs(path, 0o700, exist_ok=True)  # noqa: PTH103 - importing pathlib takes 4 ms
    except OSError as error:
        raise CommandError(f"invalid cache directory: {error.strerror or error}: {path!r}") from None
    return Cache(path)


def read_file(path: str) -> bytes:
    """The content of a file, `-` being standard input. CommandError."""
    try:
        if path == "-":
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:  # noqa: PTH123 - importing pathlib takes 4 ms
            return file.read()
    except OSError as error:
        raise CommandError(f"error reading wasm binary: {error.strerror or error}: {path!r}") from None


def load(path: str, data: bytes | None = None, *, cache: Cache | None = None, quiet: bool = False) -> Module:
    """The module in a file, binary or text, whose content may be given. CommandError says what is wrong with it."""
    data = read_file(path) if data is None else data
    try:
        with Progress("validating", quiet=quiet) as progress:
            module = Module(data, cache=cache, progress=progress)
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
