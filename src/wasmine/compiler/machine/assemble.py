"""Assembles the hand-written sequences of all architectures. Build time only; some need llvmlite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.compiler.machine import architecture, blob

if TYPE_CHECKING:
    from pathlib import Path


def build(directory: Path) -> list[Path]:
    """Writes the blob of every architecture into `directory`; the files written."""
    written = []
    for name in architecture.MACHINES.values():
        made_for = architecture.named(name)
        path = blob.path(directory, made_for)
        path.write_bytes(blob.pack(*made_for.assemble(), made_for))
        written.append(path)
    return written
