"""Linear memories."""

from __future__ import annotations

from abc import ABC, abstractmethod
from operator import index as to_index
from typing import TYPE_CHECKING

from wasmine.format.types import I64
from wasmine.runtime import traps
from wasmine.runtime.unique import Unique

if TYPE_CHECKING:
    from wasmine.format.types import MemoryType


class Memory(Unique, ABC):
    """A linear memory: `mem[i]` is a byte (int), `mem[a:b]` bytes; assignment writes; `len(mem)` is its size in bytes.

    Every access is checked: a range out of bounds is an IndexError and nothing is clipped (unlike Python's sequences,
    because a wrong pointer must not silently give fewer bytes). `view()` is a writable memoryview of all bytes, for
    struct, numpy and friends; it shows the bytes until the memory grows, after which a new one is needed.
    On Python 3.12 and later `memoryview(mem)` gives the same.
    """

    __slots__ = ("__weakref__", "limit", "owner", "type")

    def __init__(self, type: MemoryType) -> None:
        self.type = type
        self.limit: int | None = None  # bytes, a host's limit below the declared maximum
        self.owner: object = None  # the engine, so that linking can refuse what belongs to another runtime

    @abstractmethod
    def view(self) -> memoryview:
        """A writable memoryview of the bytes (format "B"). It becomes stale when the memory grows."""

    @abstractmethod
    def extend(self, delta: int) -> int:
        """Add zeroed pages; the old size in pages, or -1 if that is too much."""

    @property
    @abstractmethod
    def byte_length(self) -> int:
        """Size in bytes."""

    @property
    def size(self) -> int:
        """Size in pages (of `type.page_size` bytes, normally 65,536)."""
        return self.byte_length >> self.type.page_size_log2

    @property
    def maximum(self) -> int:
        """The largest size that `grow` can reach, in pages."""
        # 2^48 bytes is the most that an x86-64 or ARM64 process could map.
        ceiling = (1 << 48 if self.type.address is I64 else 1 << 32) >> self.type.page_size_log2
        bounds = [ceiling]
        if self.type.limits.maximum is not None:
            bounds.append(self.type.limits.maximum)
        if self.limit is not None:
            bounds.append(self.limit >> self.type.page_size_log2)
        return min(bounds)

    def grow(self, delta: int) -> int:
        """Add `delta` pages of zeros; the size before, in pages. MemoryError if it cannot be had."""
        pages = to_index(delta)
        old = self.extend(pages) if pages >= 0 else -1
        if old < 0:
            raise MemoryError(f"cannot grow a memory of {self.size} pages by {pages}: the maximum is {self.maximum}")
        return old

    def __len__(self) -> int:
        return self.byte_length

    def __buffer__(self, flags: int) -> memoryview:
        return self.view()

    def read(self, address: int, length: int) -> bytes:
        """A copy of `length` bytes from `address`. IndexError if they are not all inside."""
        start, end = self._inside(address, length)
        return bytes(self.view()[start:end])

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data` at `address`. IndexError, and nothing is written, if it does not fit."""
        source = memoryview(data).cast("B")
        start, end = self._inside(address, len(source))
        self.view()[start:end] = source

    def read_string(self, address: int, length: int, encoding: str = "utf-8") -> str:
        """`length` bytes from `address`, decoded. IndexError or UnicodeDecodeError."""
        return self.read(address, length).decode(encoding)

    def read_c_string(self, address: int, encoding: str = "utf-8") -> str:
        """The text from `address` to the next zero byte. IndexError if there is none."""
        address, end = self._inside(address, 0)
        view = self.view()
        # By pieces: a copy of everything up to the end of memory would be wasted.
        while end < len(view):
            piece = bytes(view[end : end + 4096])
            found = piece.find(0)
            if found >= 0:
                return bytes(view[address : end + found]).decode(encoding)
            end += len(piece)
        raise IndexError(f"no zero byte from address {address} to the end of the memory ({len(view)} bytes)")

    def initialize(self, address: int, data: bytes | memoryview) -> None:
        """Write a data segment, or the trap "out of bounds memory access" (and nothing written)."""
        if not 0 <= address <= self.byte_length - len(data):
            raise traps.memory_access(address, len(data), self.byte_length)
        if data:
            self.view()[address : address + len(data)] = data

    def _inside(self, address: int, length: int) -> tuple[int, int]:
        """The start and the end of a range, as ints of Python's: those of others may overflow. IndexError."""
        start, count = to_index(address), to_index(length)
        if start < 0 or count < 0 or start + count > self.byte_length:
            raise IndexError(f"{count} bytes at address {start} lie outside the memory of {self.byte_length} bytes")
        return start, start + count

    def _range(self, key: slice) -> tuple[int, int]:
        if key.step not in (None, 1):
            raise ValueError("memory slices must have step 1")
        start = 0 if key.start is None else to_index(key.start)
        stop = self.byte_length if key.stop is None else to_index(key.stop)
        if start < 0 or stop < 0:
            raise IndexError("addresses count from the start of the memory: negative ones are out of range")
        return self._inside(start, max(stop - start, 0))

    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, slice):
            start, stop = self._range(key)
            return bytes(self.view()[start:stop])
        return self.view()[self._inside(key, 1)[0]]

    def __setitem__(self, key: int | slice, value: int | bytes | bytearray | memoryview) -> None:
        if isinstance(key, slice):
            start, stop = self._range(key)
            source = memoryview(value).cast("B")  # type: ignore[arg-type]
            if len(source) != stop - start:
                raise ValueError(
                    f"cannot assign {len(source)} bytes to a slice of {stop - start}: a memory keeps its size"
                )
            self.view()[start:stop] = source
            return
        self.view()[self._inside(key, 1)[0]] = value  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<memory {self.type}, {self.size} pages>"
