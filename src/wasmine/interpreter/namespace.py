"""The helpers of generated code: what its global names mean beside the instance's own functions, memories and so on."""

from __future__ import annotations

from math import copysign, inf, sqrt
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from wasmine.errors import Trap, TrapKind
from wasmine.interpreter.heap import HEAP_HELPERS
from wasmine.interpreter.tail import Tail
from wasmine.runtime import traps
from wasmine.runtime.bits import SCALAR, f32_from_bits, f32_round, f32_to_bits, f64_div, f64_sqrt
from wasmine.runtime.thrown import Thrown, thrown_again

if TYPE_CHECKING:
    from wasmine.format.types import DefinedType
    from wasmine.runtime.function import Function

    Buffer = bytearray | memoryview

_STRUCTS: Final = {format: Struct(f"<{format}") for format in "hHiIqQdf"}
_load_32: Final = _STRUCTS["I"].unpack_from
_store_32: Final = _STRUCTS["I"].pack_into


def unreachable() -> Trap:
    """What the instruction raises."""
    return Trap(TrapKind.UNREACHABLE)


def check_type(function: Function, expected: DefinedType) -> None:
    """Traps unless the callee of an indirect call is of the expected type or a subtype."""
    if not function.defined.is_subtype_of(expected):
        raise traps.type_mismatch(function, expected)


def load_f32(memory: Buffer, address: int) -> float:
    """An f32, wherever it lies and whatever NaN it is."""
    if address + 4 > len(memory):
        raise traps.memory_access(address, 4, len(memory))
    return f32_from_bits(_load_32(memory, address)[0])


def store_f32(memory: Buffer, address: int, value: float) -> None:
    """Store an f32, wherever and whatever NaN it is."""
    if address + 4 > len(memory):
        raise traps.memory_access(address, 4, len(memory))
    _store_32(memory, address, f32_to_bits(value))


_two_64: Final = Struct("<QQ")


def load_v128(memory: Buffer, address: int) -> int:
    """`v128.load`."""
    if address + 16 > len(memory):
        raise traps.memory_access(address, 16, len(memory))
    low, high = _two_64.unpack_from(memory, address)
    return low | high << 64  # type: ignore[no-any-return]


def store_v128(memory: Buffer, address: int, value: int) -> None:
    """`v128.store`."""
    if address + 16 > len(memory):
        raise traps.memory_access(address, 16, len(memory))
    _two_64.pack_into(memory, address, value & 0xFFFF_FFFF_FFFF_FFFF, value >> 64)


# What is longer goes by pieces: between them signal handlers can run, and Python need not allocate what a guest fills.
_PIECE: Final = 1 << 20


def memory_copy(to: memoryview, of: memoryview, target: int, source: int, length: int) -> None:
    """`memory.copy`; the ranges may overlap."""
    if source + length > len(of):
        raise traps.memory_access(source, length, len(of))
    if target + length > len(to):
        raise traps.memory_access(target, length, len(to))
    if length <= _PIECE:
        to[target : target + length] = of[source : source + length]
        return
    starts = range(0, length, _PIECE)
    for start in starts if target <= source else reversed(starts):
        end = min(start + _PIECE, length)
        to[target + start : target + end] = of[source + start : source + end]


def memory_fill(memory: memoryview, target: int, value: int, length: int) -> None:
    """`memory.fill`."""
    end = target + length
    if end > len(memory):
        raise traps.memory_access(target, length, len(memory))
    piece = bytes((value & 0xFF,)) * min(length, _PIECE)
    while end - target > _PIECE:
        memory[target : target + _PIECE] = piece
        target += _PIECE
    memory[target:end] = piece[: end - target]


def memory_init(memory: memoryview, data: bytes, target: int, source: int, length: int) -> None:
    """`memory.init`."""
    if source + length > len(data):
        raise traps.data_access(source, length, len(data))
    if target + length > len(memory):
        raise traps.memory_access(target, length, len(memory))
    memory[target : target + length] = data[source : source + length]


HELPERS: Final[dict[str, Any]] = {
    **{name.replace(".", "_"): function for name, function in SCALAR.items()},
    **{f"load_{format}": struct.unpack_from for format, struct in _STRUCTS.items()},
    **{f"store_{format}": struct.pack_into for format, struct in _STRUCTS.items()},
    **HEAP_HELPERS,
    "single": memoryview(bytearray(4)).cast("f"),  # one element, for rounding to f32
    "inf": inf,
    "sqrt": sqrt,
    "copysign": copysign,
    "f32_round": f32_round,
    "f64_div": f64_div,
    "f64_sqrt": f64_sqrt,
    "unreachable": unreachable,
    "check_type": check_type,
    "load_f32": load_f32,
    "store_f32": store_f32,
    "load_v128": load_v128,
    "store_v128": store_v128,
    "Tail": Tail,
    "Thrown": Thrown,
    "thrown_again": thrown_again,
    "memory_copy": memory_copy,
    "memory_fill": memory_fill,
    "memory_init": memory_init,
}
"""Global names of every namespace of generated code."""
