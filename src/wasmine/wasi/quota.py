"""Limits on what a guest may take of its host besides memory and time."""

from __future__ import annotations

from wasmine.record import record


@record
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
        for name in self.__match_args__:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative: {value}")
