"""The caller's memory as WASI functions use it: every access is checked, and what lies outside is FAULT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmine.wasi.errno import Errno, WasiError
from wasmine.wasi.layout import IOVEC, U32, U64

if TYPE_CHECKING:
    from struct import Struct

# POSIX calls this IOV_MAX and the systems we run on have 1024: a guest's libc never sends more.
MAX_VECTORS = 1024


class GuestMemory:
    """A view of one memory for the length of one call. Addresses and lengths are unsigned."""

    __slots__ = ("size", "view")

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.size = len(view)

    def slice(self, address: int, length: int) -> memoryview:
        """The bytes themselves, writable."""
        if address + length > self.size:
            raise WasiError(Errno.FAULT)
        return self.view[address : address + length]

    def text(self, address: int, length: int, longest: int) -> str:
        """UTF-8 text, for a path. NAMETOOLONG over `longest` bytes, ILSEQ if it is not UTF-8, INVAL if it holds NUL."""
        piece = self.slice(address, length)
        if length > longest:
            raise WasiError(Errno.NAMETOOLONG)
        try:
            text = bytes(piece).decode()  # str(piece, "utf-8") takes surrogates on PyPy
        except UnicodeDecodeError:
            raise WasiError(Errno.ILSEQ) from None
        if "\0" in text:
            raise WasiError(Errno.INVAL)
        return text

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data`."""
        self.slice(address, len(data))[:] = data

    def write_u32(self, address: int, value: int) -> None:
        self.pack(U32, address, value)

    def write_u64(self, address: int, value: int) -> None:
        self.pack(U64, address, value)

    def pack(self, layout: Struct, address: int, *values: int) -> None:
        """Write one record."""
        if address + layout.size > self.size:
            raise WasiError(Errno.FAULT)
        layout.pack_into(self.view, address, *values)

    def unpack(self, layout: Struct, address: int) -> tuple[Any, ...]:
        """Read one record."""
        if address + layout.size > self.size:
            raise WasiError(Errno.FAULT)
        return layout.unpack_from(self.view, address)

    def vectors(self, address: int, count: int) -> list[memoryview]:
        """The buffers of an array of (c)iovec, empty ones left out.

        INVAL for more than 1024 of them or more than 2^32-1 bytes together, since no count could report that.
        """
        if count > MAX_VECTORS:
            raise WasiError(Errno.INVAL)
        buffers = []
        total = 0
        for start, length in IOVEC.iter_unpack(self.slice(address, count * IOVEC.size)):
            buffer = self.slice(start, length)
            if length:
                buffers.append(buffer)
                total += length
        if total > 0xFFFFFFFF:
            raise WasiError(Errno.INVAL)
        return buffers
