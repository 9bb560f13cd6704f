"""Lowerings of structs and arrays.

A null has no attribute `fields` or `elements` and a list no element out of range: `traps` knows what these errors mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.format.types import F32, F64, I32, ArrayType, NumberType, Packed, StructType
from wasmine.interpreter.operand import EXPRESSION, HEAP, MEMORY, PRIMARY, TABLES, TRAPS, W32, Operand

if TYPE_CHECKING:
    from wasmine.format.types import FieldType, StorageType, ValueType
    from wasmine.interpreter.lowering import Handler, Lowering


def handlers(lowering: Lowering) -> dict[str, Handler]:
    """Handlers by name."""
    return {**_structs(lowering), **_arrays(lowering), **_whole_arrays(lowering)}


def _unpacked(storage: StorageType) -> ValueType:
    return I32 if isinstance(storage, Packed) else storage


def _default(storage: StorageType) -> str:
    if storage is F32 or storage is F64:
        return "0.0"
    return "0" if isinstance(storage, Packed | NumberType) else "None"


def _packed(storage: StorageType, operand: Operand, height: int) -> Operand:
    """The operand as a field or element holds it; it is exact or of another type already."""
    if not isinstance(storage, Packed):
        return operand
    mask = (1 << 8 * storage.size) - 1
    if operand.high <= mask:
        return operand
    return Operand(f"{operand.factor} & {mask}", EXPRESSION, 0, mask, operand.reads)


def _pop_stored(lowering: Lowering, fields: tuple[FieldType, ...]) -> list[Operand]:
    operands = lowering.pop_all([_unpacked(field.storage) for field in fields])
    height = len(lowering.stack)
    return [_packed(field.storage, operand, height) for field, operand in zip(fields, operands, strict=True)]


def _reads(operands: list[Operand]) -> int:
    reads = 0
    for operand in operands:
        reads |= operand.reads
    return reads


def _push_read(lowering: Lowering, text: str, storage: StorageType, reads: int, signed: bool) -> None:
    """Push what was read from a field or an element."""
    if not isinstance(storage, Packed):
        lowering.push(text, storage, reads, PRIMARY)
        return
    sign = 1 << 8 * storage.size - 1
    if signed:
        operand = Operand(f"({text} ^ {sign}) - {sign}", EXPRESSION, -sign, sign - 1, reads)
    else:
        operand = Operand(text, PRIMARY, 0, 2 * sign - 1, reads)
    lowering.stack.append(operand)
    lowering.shorten()


# ---------------------------------------------------------------------------------------------------- structs


def _structs(lowering: Lowering) -> dict[str, Handler]:
    stack = lowering.stack
    types = lowering.context.types

    def fields(type: int) -> tuple[FieldType, ...]:
        composite = types[type].composite
        assert isinstance(composite, StructType)
        return composite.fields

    def new(type: int) -> None:
        operands = _pop_stored(lowering, fields(type))
        values = ", ".join(operand.text for operand in operands)
        name = lowering.need("D", "type", type)
        stack.append(Operand(f"Struct({name}, [{values}])", PRIMARY, reads=_reads(operands)))
        lowering.shorten()

    def new_default(type: int) -> None:
        values = ", ".join(_default(field.storage) for field in fields(type))
        stack.append(Operand(f"Struct({lowering.need('D', 'type', type)}, [{values}])", PRIMARY))
        lowering.shorten()

    def get(type: int, number: int, signed: bool = False) -> None:
        a = stack.pop()
        field = fields(type)[number]
        reads = a.reads | TRAPS | (HEAP if field.mutable else 0)
        _push_read(lowering, f"{a.factor}.fields[{number}]", field.storage, reads, signed)

    def get_s(type: int, number: int) -> None:
        get(type, number, signed=True)

    def set(type: int, number: int) -> None:
        lowering.in_order(2)
        (value,) = _pop_stored(lowering, (fields(type)[number],))
        a = stack.pop()
        lowering.statement(f"{a.factor}.fields[{number}] = {value.text}", a.reads | value.reads | TRAPS, HEAP)

    return {
        "struct.new": new,
        "struct.new_default": new_default,
        "struct.get": get,
        "struct.get_s": get_s,
        "struct.get_u": get,
        "struct.set": set,
    }


# ---------------------------------------------------------------------------------------------------- arrays


def _element(lowering: Lowering, type: int) -> FieldType:
    composite = lowering.context.types[type].composite
    assert isinstance(composite, ArrayType)
    return composite.field


def _arrays(lowering: Lowering) -> dict[str, Handler]:
    stack = lowering.stack

    def make(type: int, elements: str, reads: int) -> None:
        name = lowering.need("D", "type", type)
        stack.append(Operand(f"Array({name}, {elements})", PRIMARY, reads=reads))
        lowering.shorten()

    def new(type: int) -> None:
        length = lowering.pop_all((I32,))[0]
        (value,) = _pop_stored(lowering, (_element(lowering, type),))
        make(type, f"array_elements({value.text}, {length.text})", value.reads | length.reads | TRAPS)

    def new_default(type: int) -> None:
        (length,) = lowering.pop_all((I32,))
        make(type, f"array_elements({_default(_element(lowering, type).storage)}, {length.text})", length.reads | TRAPS)

    def new_fixed(type: int, count: int) -> None:
        operands = _pop_stored(lowering, (_element(lowering, type),) * count)
        make(type, f"[{', '.join(operand.text for operand in operands)}]", _reads(operands))

    def get(type: int, signed: bool = False) -> None:
        lowering.in_order(2)
        index = lowering.pop_all((I32,))[0]
        a = stack.pop()
        field = _element(lowering, type)
        reads = a.reads | index.reads | TRAPS | (HEAP if field.mutable else 0)
        _push_read(lowering, f"{a.factor}.elements[{index.value}]", field.storage, reads, signed)

    def get_s(type: int) -> None:
        get(type, signed=True)

    def set(type: int) -> None:
        lowering.in_order(3)
        (value,) = _pop_stored(lowering, (_element(lowering, type),))
        index = lowering.pop_all((I32,))[0]
        a = stack.pop()
        reads = a.reads | index.reads | value.reads | TRAPS
        lowering.statement(f"{a.factor}.elements[{index.value}] = {value.text}", reads, HEAP)

    def length() -> None:
        a = stack.pop()
        stack.append(Operand(f"len({a.factor}.elements)", PRIMARY, 0, W32.mask, a.reads | TRAPS))

    return {
        "array.new": new,
        "array.new_default": new_default,
        "array.new_fixed": new_fixed,
        "array.get": get,
        "array.get_s": get_s,
        "array.get_u": get,
        "array.set": set,
        "array.len": length,
    }


def _whole_arrays(lowering: Lowering) -> dict[str, Handler]:
    stack = lowering.stack
    types = lowering.context.types

    def reference(type: int) -> ValueType:
        return types[type].ref_null

    def data(segment: int) -> str:
        lowering.need("data", "data", 0)
        return f"data0[{segment}]"

    def elements(segment: int) -> str:
        lowering.need("elements", "elements", 0)
        return f"elements0[{segment}]"

    def new(name: str, type: int, segment: str, reads: int) -> None:
        more, arguments = lowering.arguments((I32, I32))
        text = f"{name}({lowering.need('D', 'type', type)}, {segment}, {arguments})"
        stack.append(Operand(text, PRIMARY, reads=reads | more | TRAPS))
        lowering.shorten()

    def new_data(type: int, segment: int) -> None:
        new("array_new_data", type, data(segment), MEMORY)

    def new_elem(type: int, segment: int) -> None:
        new("array_new_elem", type, elements(segment), TABLES)

    def call(name: str, leading: str, operand_types: tuple[ValueType, ...]) -> None:
        reads, arguments = lowering.arguments(operand_types)
        lowering.statement(f"{name}({leading}{arguments})", reads | TRAPS, HEAP)

    def fill(type: int) -> None:
        storage = _element(lowering, type).storage
        length = stack.pop()
        value = stack.pop()
        stack.append(_packed(storage, lowering.stored(_unpacked(storage), value, len(stack)), len(stack)))
        stack.append(length)
        call("array_fill", "", (reference(type), I32, _unpacked(storage), I32))

    def copy(target: int, source: int) -> None:
        call("array_copy", "", (reference(target), I32, reference(source), I32, I32))

    def init_data(type: int, segment: int) -> None:
        call("array_init_data", f"{data(segment)}, ", (reference(type), I32, I32, I32))

    def init_elem(type: int, segment: int) -> None:
        call("array_init_elem", f"{elements(segment)}, ", (reference(type), I32, I32, I32))

    return {
        "array.new_data": new_data,
        "array.new_elem": new_elem,
        "array.fill": fill,
        "array.copy": copy,
        "array.init_data": init_data,
        "array.init_elem": init_elem,
    }
