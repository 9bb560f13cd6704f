"""A progress bar on a terminal, for work that a person would otherwise wonder about."""

from __future__ import annotations

import os
import sys
import time
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import Self

_PATIENCE: Final = 0.5  # seconds that nobody wonders about
_INTERVAL: Final = 0.1  # seconds between two pictures
_WIDTH: Final = 30
_ERASE: Final = "\r\033[K"


class Progress:
    """Shows how much is done: `with Progress("compiling") as progress: progress(3, 10)`.

    It is drawn on standard error, only if that is a terminal and nobody asked for quiet, once the work has taken half
    a second, and is gone from the screen when the work ends, whichever way: what a guest prints comes after it.
    """

    def __init__(self, title: str, *, quiet: bool = False, stream: IO[str] | None = None) -> None:
        self._title = title
        self._stream = sys.stderr if stream is None else stream
        self._shows = not quiet and _is_terminal(self._stream)
        self._drawn = False
        self._next = time.monotonic() + _PATIENCE

    def __call__(self, done: int, of: int) -> None:
        """So much is done, of so much."""
        if not self._shows:
            return
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _INTERVAL
            filled = _WIDTH * done // max(of, 1)
            bar = "#" * filled + "." * (_WIDTH - filled)
            # A line that wraps could not be erased.
            title = self._title[: max(_columns(self._stream) - _WIDTH - 9, 0)]
            self._stream.write(f"{_ERASE}{title} [{bar}] {100 * done // max(of, 1)}%")
            self._stream.flush()
            self._drawn = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._drawn:
            self._stream.write(_ERASE)
            self._stream.flush()


def _columns(stream: IO[str]) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80  # 0: nobody set the size
    except (OSError, ValueError):
        return 80


def _is_terminal(stream: IO[str] | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty() and os.environ.get("TERM") != "dumb"
