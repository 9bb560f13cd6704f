"""Decoding of immediates from the iterator over a body's bytes: all but the first byte of the short forms.

The generated walk reads one-byte immediates inline and comes here for the rest.
"""

from __future__ import annotations

from itertools import islice
from operator import length_hint
from typing import TYPE_CHECKING, Final, NoReturn

from wasmine.format.types import I32, NUMBER_TYPES, Heap, RefType
from wasmine.validation import closing
from wasmine.validation.faults import Invalid, Malformed, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from wasmine.format.types import HeapType, ValueType
    from wasmine.validation.context import Context

    Bytes: TypeAlias = Iterator[int]

HEAPS: Final = {heap.value: heap for heap in Heap}
REF_NULL: Final = 0x63
REF: Final = 0x64
EMPTY_BLOCK: Final = 0x40


def truncated() -> NoReturn:
    """Raise: the body ends inside an instruction."""
    raise Malformed("unexpected end of section or function: the code ends inside an instruction")


def byte(it: Bytes) -> int:
    """The next byte."""
    for value in it:
        return value
    truncated()


def unsigned(it: Bytes, first: int, bits: int) -> int:
    """The unsigned LEB128 number whose first byte, `first`, says that it goes on."""
    result = first & 127
    shift = 7
    for value in it:
        result |= (value & 127) << shift
        shift += 7
        if value < 128:
            if result >> bits:
                raise Malformed(f"integer too large: it does not fit in {bits} bits")
            return result
        if shift >= bits:
            raise Malformed(f"integer representation too long for {bits} bits")
    truncated()


def unsigned_32(it: Bytes, first: int) -> int:
    """`unsigned`, for u32."""
    return unsigned(it, first, 32)


def signed(it: Bytes, first: int, bits: int) -> int:
    """The signed LEB128 number that starts with the byte `first`."""
    value = first
    result = value & 127
    shift = 7
    while value > 127:
        if shift >= bits:
            raise Malformed(f"integer representation too long for {bits} bits")
        value = byte(it)
        result |= (value & 127) << shift
        shift += 7
    if shift > bits:
        # What the last byte holds beyond the number must repeat its sign.
        surplus = shift - bits
        if (value & 127) >> (6 - surplus) not in (0, (2 << surplus) - 1):
            raise Malformed(f"integer too large: it does not fit in {bits} bits")
    return result - (1 << shift) if value & 64 else result


def u32(it: Bytes) -> int:
    """The next unsigned LEB128 number of 32 bits."""
    first = byte(it)
    return unsigned(it, first, 32) if first > 127 else first


def fixed(it: Bytes, size: int) -> bytes:
    """The next `size` bytes."""
    value = bytes(islice(it, size))
    if len(value) != size:
        truncated()
    return value


def lanes(it: Bytes) -> bytes:
    """The sixteen lane indices of a shuffle."""
    value = fixed(it, 16)
    if max(value) > 31:
        raise Invalid(f"invalid lane index: {max(value)} is not below 32")
    return value


def offset(context: Context, it: Bytes, first: int, address: object) -> int:
    """The offset of a memory access whose first byte says that it goes on; `address` is the memory's address type."""
    value = unsigned(it, first, 64 if context.features.memory64 else 32)
    if address is I32 and value >> 32:
        raise Invalid(f"offset out of range: {value} in a memory of 32-bit addresses")
    return value


def memory_flags(context: Context, it: Bytes, flags: int, natural: int) -> tuple[int, int]:
    """The alignment and the memory index of an access whose first byte is more than its natural alignment."""
    memory = 0
    if flags & 0xC0 == 0x40:
        require(context.features, "multi_memory", "a memory access that names its memory")
        flags &= 0x3F
        memory = u32(it)
        if memory >= len(context.memories):
            raise Invalid(f"unknown memory {memory}: the module has {len(context.memories)}")
    elif flags > 127:
        raise Malformed(f"malformed memop flags: alignment {unsigned(it, flags, 32)}")
    if flags > natural:
        raise Invalid(f"alignment must not be larger than natural: 2^{flags} for an access of {1 << natural} bytes")
    return flags, memory


def labels(it: Bytes) -> tuple[int, ...]:
    """The labels of `br_table`, the default last."""
    count = u32(it)
    if count >= length_hint(it):
        truncated()
    return tuple([u32(it) for _ in range(count + 1)])


def heap_type(context: Context, it: Bytes) -> HeapType:
    """A heap type of the syntax: abstract or a known type index."""
    first = byte(it)
    if 64 <= first < 128:
        if first not in HEAPS:
            raise Malformed(f"malformed heap type {first:#04x}")
        heap: HeapType = HEAPS[first]
    else:
        heap = signed(it, first, 33) if first > 127 else first
        if heap < 0:
            raise Malformed(f"malformed heap type {heap}")
    closing.heap(context, heap)
    return heap


def value_type(context: Context, it: Bytes, first: int) -> ValueType:
    """A value type of the syntax whose first byte is `first`."""
    if first in NUMBER_TYPES:
        closing.value(context, NUMBER_TYPES[first])
        return NUMBER_TYPES[first]
    if first in (REF, REF_NULL):
        return ref_type(context, it, nullable=first == REF_NULL)
    if first in HEAPS:
        type_ = RefType(True, HEAPS[first])
        closing.value(context, type_)
        return type_
    raise Malformed(f"malformed value type {first:#04x}")


def ref_type(context: Context, it: Bytes, *, nullable: bool) -> RefType:
    """A reference type of the syntax, given as its heap type."""
    type_ = RefType(nullable, heap_type(context, it))
    closing.ref(context, type_)
    return type_


def value_types(context: Context, it: Bytes) -> tuple[ValueType, ...]:
    """The types of a typed `select`: exactly one."""
    count = u32(it)
    if count != 1:
        raise Invalid(f"invalid result arity: select with {count} result types")
    return (value_type(context, it, byte(it)),)


def block_type(
    context: Context, it: Bytes, first: int
) -> tuple[tuple[ValueType, ...], tuple[ValueType, ...], int | None]:
    """Parameters, results (closed) and type index of a block type that is not empty; None for an inline type."""
    if 64 <= first < 128:
        return (), (closing.value(context, value_type(context, it, first)),), None
    index = signed(it, first, 33) if first > 127 else first
    if index < 0:
        raise Malformed(f"malformed block type {index}")
    require(context.features, "multi_value", f"a block of type {index}")
    signature = closing.function_type(context, index)
    return signature.params, signature.results, index


def cast(context: Context, it: Bytes) -> tuple[int, RefType, RefType]:
    """Label, source and target type of `br_on_cast`."""
    flags = byte(it)
    if flags > 3:
        raise Malformed(f"malformed br_on_cast flags {flags:#04x}")
    label = u32(it)
    source = ref_type(context, it, nullable=bool(flags & 1))
    return label, source, ref_type(context, it, nullable=bool(flags & 2))


def catches(it: Bytes) -> tuple[tuple[int, int | None, int], ...]:
    """The handlers of `try_table`: kind, tag (None for the two that catch all), label."""
    count = u32(it)
    if count > length_hint(it):
        truncated()
    return tuple([_catch(it) for _ in range(count)])


def _catch(it: Bytes) -> tuple[int, int | None, int]:
    kind = byte(it)
    if kind > 3:
        raise Malformed(f"malformed catch clause {kind:#04x}")
    tag = u32(it) if kind < 2 else None
    return kind, tag, u32(it)
