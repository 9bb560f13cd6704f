"""Internal values in slots of 8 bytes, as machine code has them."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

from wasmine.compiler.machine.layout import Call
from wasmine.format.types import F32, F64, I32, I64, V128
from wasmine.runtime.bits import f32_from_bits, f32_to_bits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from wasmine.compiler.references import References
    from wasmine.format.types import FuncType, ValueType

_MASK64 = (1 << 64) - 1

# Of an i32 and an f32 only 4 bytes count.
_FORMATS: dict[ValueType, str] = {I32: "I4x", I64: "Q", F32: "I4x", F64: "d", V128: "QQ"}


def slot_count(types: Iterable[ValueType]) -> int:
    """How many slots values of these types take."""
    return sum(2 if type is V128 else 1 for type in types)


def in_vector_register(type: ValueType) -> bool:
    """Whether a single result of this type comes back in a vector register."""
    return type is F32 or type is F64 or type is V128


class Slots:
    """Internal values of some types in consecutive slots. `size` is what they take, in bytes.

    `write(view, at, values, *head)` and `read(view, at)` work on a view of the value stack, or of other bytes. `before` is
    the format of what lies before the values when they are written: `head`.
    """

    __slots__ = ("_decode", "_encode", "_struct", "read", "size", "write")

    def __init__(self, types: Sequence[ValueType], references: References, before: str = "") -> None:
        self._struct = Struct("<" + before + "".join(_FORMATS.get(type, "Q") for type in types))
        self.size = 8 * slot_count(types)
        self._encode = [_encoder(type, references) for type in types]
        self._decode = [_decoder(type, references) for type in types]
        self.write: Callable[..., None] = (
            self._write_converted if any(self._encode) or V128 in types else self._write_plain
        )
        self.read: Callable[[memoryview, int], Sequence[Any]] = (
            self._read_converted if any(self._decode) or V128 in types else self._struct.unpack_from
        )

    def _write_plain(self, view: memoryview, at: int, values: Sequence[Any], *head: int) -> None:
        self._struct.pack_into(view, at, *head, *values)

    def _write_converted(self, view: memoryview, at: int, values: Sequence[Any], *head: int) -> None:
        words: list[Any] = list(head)
        for value, encode in zip(values, self._encode, strict=True):
            if encode is _split:
                words += (value & _MASK64, value >> 64)
            else:
                words.append(encode(value) if encode is not None else value)
        self._struct.pack_into(view, at, *words)

    def _read_converted(self, view: memoryview, at: int) -> list[Any]:
        words = iter(self._struct.unpack_from(view, at))
        found = []
        for decode in self._decode:
            word = next(words)
            if decode is _split:
                word |= next(words) << 64
            elif decode is not None:
                word = decode(word)
            found.append(word)
        return found


class Convention:
    """How Python calls functions of a type: where in the call (`machine.layout.Call`) its values lie.

    `write(view, at, args, record)` prepares a call. `frame` is what arguments and results take of the frame, in bytes.
    """

    __slots__ = ("_result_at", "_several", "arguments", "frame", "results", "write")

    def __init__(self, type: FuncType, references: References) -> None:
        self.arguments = Slots(type.params, references)
        self.write = Slots(type.params, references, f"Q{Call.FRAME - Call.RECORD - 8}x").write
        self.results = Slots(type.results, references)
        self.frame = max(self.arguments.size, self.results.size)
        self._several = len(type.results) > 1
        self._result_at = Call.RESULT
        if len(type.results) == 1 and in_vector_register(type.results[0]):
            self._result_at = Call.RESULT_VECTOR

    def result(self, view: memoryview, at: int) -> Any:
        """The internal result of the call at an offset: None, a value or a tuple."""
        if self._several:
            return tuple(self.results.read(view, at + Call.FRAME))
        if self.results.size:
            return self.results.read(view, at + self._result_at)[0]
        return None


def _split(value: int) -> int:
    """Marks a v128, which takes two words."""
    return value


def _encoder(type: ValueType, references: References) -> Callable[[Any], int] | None:
    if type is V128:
        return _split
    if type is F32:
        return f32_to_bits
    if type in _FORMATS:
        return None
    return references.encoder(type)  # type: ignore[arg-type]


def _decoder(type: ValueType, references: References) -> Callable[[int], Any] | None:
    if type is V128:
        return _split
    if type is F32:
        return f32_from_bits
    if type in _FORMATS:
        return None
    return references.decoder(type)  # type: ignore[arg-type]
