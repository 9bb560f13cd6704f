"""Where a decoder stands in the binary format: integers, names and vectors' lengths are read from here."""

from __future__ import annotations

from wasmine.errors import DecodeError


class Cursor:
    """A position in `binary`, bounded by `end`: the position never goes beyond it.

    Every method advances the position and raises `DecodeError` if what it should read is not there. The texts are those
    of the official test suite. The methods are written for speed where a module has hundreds of thousands of the thing.
    """

    __slots__ = ("binary", "end", "position")

    def __init__(self, binary: bytes, position: int = 0, end: int | None = None) -> None:
        self.binary = binary
        self.position = position
        self.end = len(binary) if end is None else end

    def error(self, reason: str, offset: int | None = None) -> DecodeError:
        """The error to raise, placed at `offset` or else where the cursor stands."""
        return DecodeError(reason, self.position if offset is None else offset)

    def ended(self) -> DecodeError:
        """The error of reading behind the end."""
        return self.error("unexpected end of section or function", self.end)

    def byte(self) -> int:
        """The next byte."""
        position = self.position
        if position >= self.end:
            raise self.ended()
        self.position = position + 1
        return self.binary[position]

    def zero(self) -> None:
        """A reserved byte, which must be 0."""
        if self.byte():
            raise self.error("zero byte expected", self.position - 1)

    def u32(self) -> int:
        """An unsigned integer of 32 bits."""
        position = self.position
        if position < self.end:
            byte = self.binary[position]
            if byte < 0x80:
                self.position = position + 1
                return byte
        return self._integer(32)[0]

    def u64(self) -> int:
        """An unsigned integer of 64 bits."""
        return self._integer(64)[0]

    def s32(self) -> int:
        """A signed integer of 32 bits."""
        return self._signed(32)

    def s33(self) -> int:
        """A signed integer of 33 bits, which is how type indices stand beside type codes."""
        return self._signed(33)

    def s64(self) -> int:
        """A signed integer of 64 bits."""
        return self._signed(64)

    def _integer(self, bits: int, *, check: bool = True) -> tuple[int, int]:
        """An unsigned integer and how many bits its bytes have room for.

        One that is malformed and also crosses the end is reported as malformed, as the official test suite wants it.
        """
        binary, position = self.binary, self.position
        value = shift = 0
        for byte in binary[position : position + (bits + 6) // 7]:
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        else:
            if shift < bits:
                raise self.ended()
            raise self.error("integer representation too long")
        if check and value >> bits:
            raise self.error("integer too large")
        position += shift // 7
        if position > self.end:
            raise self.ended()
        self.position = position
        return value, shift

    def _signed(self, bits: int) -> int:
        start = self.position
        value, room = self._integer(bits, check=False)
        if value >> (room - 1):
            value -= 1 << room
        if not -1 << (bits - 1) <= value < 1 << (bits - 1):
            raise self.error("integer too large", start)
        return value

    def u32s(self, count: int) -> list[int]:
        """`count` unsigned integers of 32 bits."""
        values: list[int] = []
        append = values.append
        binary, position, end = self.binary, self.position, self.end
        for _ in range(count):
            if position < end and (byte := binary[position]) < 0x80:
                position += 1
                append(byte)
            elif position + 1 < end and (high := binary[position + 1]) < 0x80:
                position += 2
                append(byte & 0x7F | high << 7)
            else:
                self.position = position
                append(self.u32())
                position = self.position
        self.position = position
        return values

    def count(self, what: str) -> int:
        """The length of a vector. None of its elements is empty, so it cannot exceed the bytes that are left."""
        start = self.position
        count = self.u32()
        left = self.end - self.position
        if count > left:
            raise self.error(
                f"unexpected end of section or function: {count} {what} announced, {left} bytes left", start
            )
        return count

    def length(self) -> int:
        """The number of bytes of something that follows."""
        start = self.position
        length = self.u32()
        left = self.end - self.position
        if length > left:
            raise self.error(f"length out of bounds: {length} bytes announced, {left} left", start)
        return length

    def skip(self, count: int) -> None:
        """Goes over `count` bytes."""
        if count > self.end - self.position:
            raise self.ended()
        self.position += count

    def sized(self) -> bytes:
        """A byte vector: its length, then the bytes."""
        length = self.count("bytes")
        start = self.position
        self.position = end = start + length
        return self.binary[start:end]

    def name(self) -> str:
        """A name: its length in bytes, then UTF-8."""
        length = self.length()
        start = self.position
        self.position = end = start + length
        try:
            return self.binary[start:end].decode()
        except UnicodeDecodeError as error:
            raise self.error("malformed UTF-8 encoding", start + error.start) from None
