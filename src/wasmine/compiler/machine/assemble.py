"""Assembles the hand-written sequences of all architectures. Build time only; some need llvmlite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.compiler.machine import architecture, blob

if TYPE_CHECKING:
    from pathlib import Path


def build(directory: Path) -> list[Path]:
    """Writes the blob of every architecture into `directory`; the files written.

    One that cannot be made on this host may lie there already, made from the same source on another. OSError if not.
    """
    written = []
    for name in architecture.MACHINES.values():
        made_for = architecture.named(name)
        path = blob.path(directory, made_for)
        try:
            path.write_bytes(blob.pack(*made_for.assemble(), made_for))
        except OSError as error:
            if not blob.is_current(path, made_for):
                raise OSError(
                    f"{error}: build the package there, for it is the same on all hosts, or copy {path.name} from there "
                    f"to {directory} first (python -m wasmine.compiler.machine makes it)"
                ) from None
        written.append(path)
    return written
