"""Lowerings of the memory instructions.

The bytes of memory 0 are `m0`, a global name of the instance that the memory rebinds when it grows, so it is never stale.
`m0_b` is a view of signed bytes and `m0_B` one of bytes, which slices without copying. Everything wider goes through
`struct`, which checks bounds and writes all or nothing. (Typed views with a test of alignment are 0 to 5% faster in a
tight loop, measured on CPython 3.11 to 3.13, but twice as much code to compile, which is what a first run spends most of
its time on.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.format.types import F64, I32, I64
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
    """The name of the buffer of a memory's bytes."""
    return lowering.need("m", "memory", memory)


# ---------------------------------------------------------------------------------------------------- loads, stores


def _load(lowering: Lowering, format: str, low: int, high: int) -> Handler:
    stack = lowering.stack
    template = {"B": "{m}[{a}]", "b": "{m}_b[{a}]"}.get(format, f"load_{format}({{m}}, {{a}})[0]")

    def handler(offset: int, memory: int, align: int) -> None:
        lowering.no_calls(1)
        address = stack.pop()
        address = effective(lowering, address, offset, memory, len(stack))
        text = template.format(m=view(lowering, memory), a=address.text)
        stack.append(Operand(text, PRIMARY, low, high, address.reads | MEMORY | TRAPS))
        lowering.shorten()

    return handler


def _load_f32(lowering: Lowering) -> Handler:
    """`struct` would make a signaling NaN quiet: NaNs are read as bits."""
    stack = lowering.stack

    def handler(offset: int, memory: int, align: int) -> None:
        lowering.no_calls(1)
        address = stack.pop()
        height = len(stack)
        address = effective(lowering, address, offset, memory, height)
        first, again = named(address, f"t{height}")
        value, bytes_ = f"v{height}", view(lowering, memory)
        text = f"{value} if ({value} := load_f({bytes_}, {first})[0]) == {value} else load_f32({bytes_}, {again})"
        stack.append(Operand(text, reads=address.reads | MEMORY | TRAPS))
        lowering.shorten()

    return handler


def _operands(lowering: Lowering, offset: int, memory: int) -> tuple[Operand, Operand]:
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
        address, value = _operands(lowering, offset, memory)
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
    """`struct` would make a signaling NaN quiet: NaNs are written as bits."""
    stack = lowering.stack

    def handler(offset: int, memory: int, align: int) -> None:
        address, value = _operands(lowering, offset, memory)
        height = len(stack)
        reads = address.reads | value.reads | TRAPS
        if value.grade != NAME and address.reads & TRAPS:
            # The test of the value comes first: what the address traps on must not come after it.
            lowering.statement(f"t{height} = {address.text}", address.reads)
            address = Operand(f"t{height}", NAME)
        # A name that is nowhere else: the address is evaluated between the two.
        first, again = named(value, "stored")
        arguments = f"{view(lowering, memory)}, {address.text}, {again}"
        lowering.statement(f"(store_f if {first} == {again} else store_f32)({arguments})", reads, MEMORY)

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
