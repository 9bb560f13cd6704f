"""`Image`: the bytes of a memory at one moment."""

from __future__ import annotations

import itertools
import mmap
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PIECE: Final = 1 << 16
"""An image is made of pieces of so many bytes; those of zeros alone take no room."""

_numbers: Final = itertools.count(1)
_ZEROS: Final = bytes(PIECE)
# Linux's numbers; Python names them from 3.8 and 3.13 on, respectively, where the system has them.
_ALLOW_SEALING: Final = 2
_ADD_SEALS: Final = 1033
_SEAL_SHRINK_GROW_WRITE: Final = 2 | 4 | 8


class Image:
    """`length` bytes that never change. `descriptor` is a file in memory that has them, -1 where there are no such files.

    So any number of memories can share them until they write. `number` is the image's own in this process; `forgotten` are
    functions to be called with it when the image is gone.
    """

    __slots__ = ("_bytes", "descriptor", "forgotten", "length", "number")

    def __init__(self, length: int, pieces: Iterable[tuple[int, bytes]]) -> None:
        """`pieces` are positions and bytes; the rest is zero. MemoryError."""
        self.length = length
        self.number = next(_numbers)
        self.forgotten: set[Callable[[int], None]] = set()
        self.descriptor = -1
        self._bytes = b""
        try:
            self.descriptor = os.memfd_create("wasmine", os.MFD_CLOEXEC | _ALLOW_SEALING)
            os.truncate(self.descriptor, length)
        except AttributeError:
            self._fill_bytes(pieces)
        except OSError:
            self._close()
            self._fill_bytes(pieces)
        else:
            self._fill_file(pieces)

    def _fill_bytes(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        contents = bytearray(self.length)
        for position, data in pieces:
            contents[position : position + len(data)] = data
        self._bytes = bytes(contents)

    def _fill_file(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        import fcntl

        try:
            for position, data in pieces:
                if os.pwrite(self.descriptor, data, position) != len(data):
                    raise MemoryError(f"no memory for an image of {self.length} bytes")
            fcntl.fcntl(self.descriptor, _ADD_SEALS, _SEAL_SHRINK_GROW_WRITE)
        except OSError as error:
            raise MemoryError(f"no memory for an image of {self.length} bytes: {error}") from None

    @classmethod
    def of(cls, view: memoryview) -> Image:
        """The bytes that are in a memory now."""
        return cls(len(view), _pieces(view))

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """The pieces that are not all zero, with their positions."""
        return _pieces(memoryview(self.contents()))

    def contents(self) -> bytes | mmap.mmap:
        """All bytes, for reading."""
        if self.descriptor < 0 or not self.length:
            return self._bytes
        return mmap.mmap(self.descriptor, self.length, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)

    def _close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self._close()
        for forget in self.forgotten:
            forget(self.number)

    def __repr__(self) -> str:
        return f"<image of {self.length} bytes>"


def _pieces(view: memoryview) -> Iterator[tuple[int, bytes]]:
    for position in range(0, len(view), PIECE):
        data = bytes(view[position : position + PIECE])
        if data != (_ZEROS if len(data) == PIECE else bytes(len(data))):
            yield position, data
