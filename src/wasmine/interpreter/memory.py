"""Lowerings of the memory instructions.

A memory of index 0 is `m0`, a buffer of its bytes, with a view for each struct format: `m0_I` and so on. These are global
names of the instance that the memory rebinds when it grows, so no view is ever stale.

An aligned access goes through the typed view, which checks bounds by itself (measured: 44 ns with the test of alignment,
where `struct` takes 51 on CPython 3.11 and 64 on 3.12); what is not aligned goes through `struct`. Writes always do,
for there it is as fast. On big-endian machines everything does, because typed views have the machine's byte order.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from wasmine.format.types import F32, F64, I32, I64
from wasmine.interpreter.operand import (
    CALLS,
    EXPRESSION,
    MEMORY,
    NAME,
    PRIMARY,
    TRAPS,
    W32,
    W64,
    Operand,
    Width,
    named,
)

if TYPE_CHECKING:
    from wasmine.format.types import NumberType
    from wasmine.interpreter.lowering import Handler, Lowering

_TYPED_VIEWS: Final = sys.byteorder == "little"

# Loads: type, struct format, bounds of the result. Signed ones give the signed value.
_LOADS: Final[dict[str, tuple[NumberType, str, int, int]]] = {
    "i32.load": (I32, "I", 0, W32.mask),
    "i64.load": (I64, "Q", 0, W64.mask),
    "f64.load": (F64, "d", 0, 0),
    "i32.load8_s": (I32, "b", -0x80, 0x7F),
    "i32.load8_u": (I32, "B", 0, 0xFF),
    "i32.load16_s": (I32, "h", -0x8000, 0x7FFF),
    "i32.load16_u": (I32, "H", 0, 0xFFFF),
    "i64.load8_s": (I64, "b", -0x80, 0x7F),
    "i64.load8_u": (I64, "B", 0, 0xFF),
    "i64.load16_s": (I64, "h", -0x8000, 0x7FFF),
    "i64.load16_u": (I64, "H", 0, 0xFFFF),
    "i64.load32_s": (I64, "i", -0x8000_0000, 0x7FFF_FFFF),
    "i64.load32_u": (I64, "I", 0, W32.mask),
}

# Stores: type and struct format.
_STORES: Final[dict[str, tuple[NumberType, str]]] = {
    "i32.store": (I32, "I"),
    "i64.store": (I64, "Q"),
    "f64.store": (F64, "d"),
    "i32.store8": (I32, "B"),
    "i32.store16": (I32, "H"),
    "i64.store8": (I64, "B"),
    "i64.store16": (I64, "H"),
    "i64.store32": (I64, "I"),
}

FORMATS: Final = "bhHiIqQfd"
"""The formats of typed views, beside bytes."""
_SHIFTS: Final = {"H": 1, "h": 1, "I": 2, "i": 2, "f": 2, "Q": 3, "d": 3}
_BITS: Final = {"B": 8, "H": 16, "I": 32, "Q": 64}


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    table: dict[str, Handler] = {}
    for name, (_, format, low, high) in _LOADS.items():
        table[name] = _load(lowering, format, low, high)
    for name, (type, format) in _STORES.items():
        table[name] = _store(lowering, type, format)
    table["f32.load"] = _load_f32(lowering)
    table["f32.store"] = _store_f32(lowering)
    table.update(_bulk(lowering))
    return table


def width(lowering: Lowering, memory: int) -> Width:
    """The width of a memory's addresses."""
    return W64 if lowering.context.memories[memory].address is I64 else W32


def effective(lowering: Lowering, address: Operand, offset: int, memory: int, height: int) -> Operand:
    """The effective address: a number without bound, for the sum does not wrap around."""
    address = width(lowering, memory).exact(address, f"t{height}")
    if not offset:
        return address
    if address.is_constant:
        return Operand(str(address.low + offset), NAME, address.low + offset, address.low + offset)
    text = f"{address.factor} + {offset}"
    return Operand(text, EXPRESSION, offset, address.high + offset, address.reads)


def view(lowering: Lowering, memory: int) -> str:
    """The name of the buffer of a memory's bytes; typed views are this with an underscore and the format."""
    return lowering.need("m", "memory", memory)


# ---------------------------------------------------------------------------------------------------- loads, stores


def _load(lowering: Lowering, format: str, low: int, high: int) -> Handler:
    stack = lowering.stack
    shift = _SHIFTS.get(format, 0)
    beyond = (1 << shift) - 1

    def handler(offset: int, memory: int, align: int) -> None:
        lowering.no_calls(1)
        address = stack.pop()
        height = len(stack)
        address = effective(lowering, address, offset, memory, height)
        reads = address.reads | MEMORY | TRAPS
        bytes_ = view(lowering, memory)
        typed = bytes_ if format == "B" else f"{bytes_}_{format}"
        if not shift:
            text, grade = f"{typed}[{address.text}]", PRIMARY
        elif address.is_constant and not address.low & beyond and _TYPED_VIEWS:
            text, grade = f"{typed}[{address.low >> shift}]", PRIMARY
        elif address.is_constant or not _TYPED_VIEWS:
            text, grade = f"load_{format}({bytes_}, {address.text})[0]", PRIMARY
        else:
            first, again = named(address, f"t{height}")
            aligned, other = f"{typed}[{again} >> {shift}]", f"load_{format}({bytes_}, {again})[0]"
            text, grade = f"{aligned} if not {first} & {beyond} else {other}", EXPRESSION
        stack.append(Operand(text, grade, low, high, reads))
        lowering.shorten()

    return handler


def _load_f32(lowering: Lowering) -> Handler:
    """A typed view would make a signaling NaN quiet: NaNs are read as bits."""
    stack = lowering.stack

    def handler(offset: int, memory: int, align: int) -> None:
        lowering.no_calls(1)
        address = stack.pop()
        height = len(stack)
        address = effective(lowering, address, offset, memory, height)
        reads = address.reads | MEMORY | TRAPS
        bytes_ = view(lowering, memory)
        if not _TYPED_VIEWS:
            stack.append(Operand(f"load_f32({bytes_}, {address.text})", PRIMARY, reads=reads))
            return
        first, again = named(address, f"t{height}")
        value = f"v{height}"
        aligned = f"{value} if ({value} := {bytes_}_f[{again} >> 2]) == {value}"
        text = f"({aligned} else load_f32({bytes_}, {again})) if not {first} & 3 else load_f32({bytes_}, {again})"
        stack.append(Operand(text, reads=reads))
        lowering.shorten()

    return handler


def _operands(lowering: Lowering, type: NumberType, offset: int, memory: int) -> tuple[Operand, Operand]:
    """The effective address and the value of a store, popped."""
    stack = lowering.stack
    lowering.no_calls(2)
    lowering.in_order(2)
    value = stack.pop()
    address = stack.pop()
    height = len(stack)
    return effective(lowering, address, offset, memory, height), value


def _store(lowering: Lowering, type: NumberType, format: str) -> Handler:
    stack = lowering.stack
    bits = _BITS.get(format, 0)

    def handler(offset: int, memory: int, align: int) -> None:
        address, value = _operands(lowering, type, offset, memory)
        text = value.text
        if bits and not (value.low >= 0 and value.high < 1 << bits):
            if bits == 32 and type is I32:
                text = W32.exact(value, f"t{len(stack) + 1}").text
            else:
                text = f"{value.factor} & {(1 << bits) - 1}"
        bytes_ = view(lowering, memory)
        line = (
            f"{bytes_}[{address.text}] = {text}"
            if format == "B"
            else f"store_{format}({bytes_}, {address.text}, {text})"
        )
        lowering.statement(line, address.reads | value.reads | TRAPS, MEMORY)

    return handler


def _store_f32(lowering: Lowering) -> Handler:
    """A typed view would make a signaling NaN quiet: NaNs are written as bits."""
    stack = lowering.stack

    def handler(offset: int, memory: int, align: int) -> None:
        address, value = _operands(lowering, F32, offset, memory)
        bytes_ = view(lowering, memory)
        height = len(stack)
        reads = address.reads | value.reads | TRAPS
        if not _TYPED_VIEWS:
            lowering.statement(f"store_f32({bytes_}, {address.text}, {value.text})", reads, MEMORY)
            return
        lowering.settle(reads, MEMORY)
        place, number = address.text, value.text
        if address.grade != NAME:
            lowering.out.append(f"t{height} = {place}")
            place = f"t{height}"
        if value.grade != NAME:
            lowering.out.append(f"t{height + 1} = {number}")
            number = f"t{height + 1}"
        lowering.out.append(f"if {number} == {number} and not {place} & 3: {bytes_}_f[{place} >> 2] = {number}")
        lowering.out.append(f"else: store_f32({bytes_}, {place}, {number})")

    return handler


# ---------------------------------------------------------------------------------------------------- whole memories


def _bulk(lowering: Lowering) -> dict[str, Handler]:
    stack = lowering.stack
    context = lowering.context

    def size(memory: int) -> None:
        type = context.memories[memory]
        text = f"len({view(lowering, memory)}) >> {type.page_size_log2}"
        stack.append(Operand(text, EXPRESSION, 0, width(lowering, memory).mask, MEMORY))

    def grow(memory: int) -> None:
        w = width(lowering, memory)
        delta = w.exact(stack.pop(), f"t{len(stack)}")
        name = lowering.need("M", "memory object", memory)
        text = f"{name}.extend({delta.text})"
        stack.append(Operand(text, PRIMARY, -1, w.mask, delta.reads | CALLS | MEMORY))

    def call(name: str, memories: str, types: tuple[NumberType, ...]) -> None:
        lowering.no_calls(len(types))
        reads, arguments = lowering.arguments(types)
        lowering.statement(f"{name}({memories}, {arguments})", reads | TRAPS, MEMORY)

    def copy(target: int, source: int) -> None:
        to, of = context.memories[target].address, context.memories[source].address
        views = f"{view(lowering, target)}_B, {view(lowering, source)}_B"
        call("memory_copy", views, (to, of, I32 if I32 in (to, of) else I64))

    def fill(memory: int) -> None:
        address = context.memories[memory].address
        call("memory_fill", view(lowering, memory) + "_B", (address, I32, address))

    def init(data: int, memory: int) -> None:
        lowering.need("data", "data", 0)
        address = context.memories[memory].address
        call("memory_init", f"{view(lowering, memory)}_B, data0[{data}]", (address, I32, I32))

    def drop(data: int) -> None:
        lowering.need("data", "data", 0)
        lowering.statement(f"data0[{data}] = b''", 0, MEMORY)

    return {
        "memory.size": size,
        "memory.grow": grow,
        "memory.copy": copy,
        "memory.fill": fill,
        "memory.init": init,
        "data.drop": drop,
    }
