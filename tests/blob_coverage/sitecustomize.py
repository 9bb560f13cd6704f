"""Loads the machine code with marks instead of the usual one, in every Python that the tests start (`__main__`)."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
from pathlib import Path
from typing import Any

_FIXED = 0x10  # MAP_FIXED


def _replace(folder: Path) -> None:
    from wasmine.compiler.machine import architecture, blob, glue, layout, libc

    described = json.loads((folder / "blob.json").read_text())
    code = (folder / "blob").read_bytes()
    here: Any = architecture.host()
    here.DATA = described["data"]
    layout.Data.SIZE = described["marks"] + libc.round_up(described["size"])  # type: ignore[misc]
    blob.load = lambda: (code, described["symbols"])
    make = glue.Glue.__init__

    def make_and_map(self: Any, *arguments: Any) -> None:
        make(self, *arguments)
        address, size = self._data + described["marks"], described["size"]
        before = ctypes.string_at(address, size)
        map_at = ctypes.CDLL(None).mmap
        map_at.restype = ctypes.c_void_p
        with (folder / "marks").open("r+b") as file:
            protection, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | _FIXED
            found = map_at(
                ctypes.c_void_p(address), ctypes.c_size_t(size), protection, flags, file.fileno(), ctypes.c_long(0)
            )
        assert found == address
        for offset, mark in enumerate(before):
            if mark:
                ctypes.c_ubyte.from_address(address + offset).value = mark

    glue.Glue.__init__ = make_and_map  # type: ignore[method-assign]


if "WASMINE_BLOB_COVERAGE" in os.environ:
    _replace(Path(os.environ["WASMINE_BLOB_COVERAGE"]))
