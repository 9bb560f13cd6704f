"""How the hand-written sequences of an architecture are stored: a line of NAME=OFFSET pairs, then the code."""

from __future__ import annotations

import pkgutil
import zlib
from typing import TYPE_CHECKING, Final

from wasmine.compiler.machine import architecture

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from wasmine.compiler.machine.architecture import Architecture

STEPS: Final = (
    *(f"{verb}_{type}" for verb in ("take", "box") for type in ("i32", "i64", "f32", "f64", "v128", "reference")),
    "box_function",
    "run_wasm",
    "return_none",
    "return_one",
    "return_tuple",
    "box_caller",
    "call_python",
    "expect_none",
    "unpack",
    "host_done",
)
"""The steps of programs (`compiler.program`)."""

SYMBOLS: Final = (
    "enter",
    "enter_returned",
    "trap",
    "call_host",
    "call_record",
    "jump_record",
    "other_return",
    "host_function",
    "host_function_slow",
    "host_returned",
    "service_returned",
    "compile_function",
    "compile_returned",
    "fill32",
    "fill64",
    "copy32",
    "copy64",
    "fault",
    "kick",
    "python_signal",
    "measure_processor",
    "seize",
    "registers",
    "blob_end",
    "call",
    *STEPS,
)
"""What a blob offers."""

_SOURCE: Final = "source"
"""Stored with the symbols: the number of the source, for a blob made from another one has other structures."""


def _number(made_for: Architecture) -> int:
    return zlib.crc32(made_for.source().encode())


def _file(made_for: Architecture) -> str:
    return f"{made_for.NAME}.bin"


def path(directory: Path, made_for: Architecture) -> Path:
    """Where in a directory the blob of an architecture lies."""
    return directory / _file(made_for)


def pack(code: bytes, symbols: Mapping[str, int], made_for: Architecture) -> bytes:
    """A blob as it is stored."""
    pairs = {**symbols, _SOURCE: _number(made_for)}
    return " ".join(f"{name}={offset}" for name, offset in pairs.items()).encode() + b"\n" + code


def _unpack(stored: bytes, made_for: Architecture) -> tuple[bytes, dict[str, int]] | None:
    """None if it was made from another source."""
    head, _, code = stored.partition(b"\n")
    symbols = {name: int(offset) for name, offset in (pair.split("=") for pair in head.decode().split())}
    return (code, symbols) if symbols.pop(_SOURCE, None) == _number(made_for) else None


def is_current(path: Path, made_for: Architecture) -> bool:
    """Whether there is a blob at this path, made from today's source."""
    return path.exists() and _unpack(path.read_bytes(), made_for) is not None


def load() -> tuple[bytes, dict[str, int]]:
    """The code for this machine and the offsets of its symbols.

    FileNotFoundError if the package was made without, or from another source; OSError for an unknown architecture.
    """
    here = architecture.host()
    stored = pkgutil.get_data(__package__, _file(here))
    assert stored is not None
    found = _unpack(stored, here)
    if found is None:
        raise FileNotFoundError(
            "the machine code in this installation of wasmine is older than its source: build it again with "
            "python -m wasmine.compiler.machine"
        )
    return found
