"""Limits on what a guest may take of its host besides memory and time."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Quota:
    """What a WASI guest may use. None is no limit.

    `open_files`: descriptors at once (MFILE beyond). `path_bytes`: the longest path (NAMETOOLONG). `output_bytes`: what
    standard output and error take together (NOSPC). `file_bytes`: the size to which a guest may make a file grow (FBIG).
    """

    open_files: int = 1024
    path_bytes: int = 4096
    output_bytes: int | None = None
    file_bytes: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value < 0:
                raise ValueError(f"{field.name} must not be negative: {value}")
