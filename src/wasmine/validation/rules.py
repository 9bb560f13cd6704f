"""Typing rules of the instructions that the generated walk does not spell out: calls to these stand in its source.

Each takes the context and the operand stack, pops and pushes types, and raises a `Fault`. An empty stack raises
`IndexError`, which the walk's caller explains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from wasmine.format.instructions import INSTRUCTIONS
from wasmine.format.types import (
    ANYREF,
    EXTERNREF,
    FUNCREF,
    I32,
    ArrayType,
    FieldType,
    FuncType,
    Heap,
    Packed,
    RefType,
    StructType,
    heap_matches,
    matches,
    storage_matches,
)
from wasmine.validation import closing
from wasmine.validation.faults import Disabled, Invalid, Malformed, require
from wasmine.validation.operands import Bottom, check, check_all, pop, pop_all, pop_ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.format.types import HeapType, NumberType, TableType, ValueType
    from wasmine.validation.context import Context
    from wasmine.validation.operands import Operand, Stack

    # (outer stack, outer results, outer handlers, label types, opcode, parameters); see `templates`.
    Frame: TypeAlias = "tuple[Any, Any, Any, Sequence[ValueType], int, Sequence[ValueType]]"
    Frames: TypeAlias = "list[Frame]"

# Opcodes in frames: what a block is, or has become.
BLOCK: Final = 0x02
IF: Final = 0x04
ELSE: Final = 0x05
TRY: Final = 0x06
CATCH: Final = 0x07
CATCH_ALL: Final = 0x19

# As many operands as `array.new_fixed` may take.
MAX_FIXED: Final = 10_000

EQREF: Final = RefType(True, Heap.EQ)
I31REF: Final = RefType(True, Heap.I31)
I31: Final = RefType(False, Heap.I31)
ARRAYREF: Final = RefType(True, Heap.ARRAY)
EXN: Final = RefType(False, Heap.EXN)
FUNC: Final = RefType(False, Heap.FUNC)

_BY_SLOT: Final = {instruction.slot: instruction for instruction in INSTRUCTIONS}


# Opcodes


def refuse(slot: int, prefix: int, sub: int) -> NoReturn:
    """Raise for an opcode that is unknown or switched off."""
    instruction = _BY_SLOT.get(slot)
    if instruction is not None:
        raise Disabled(instruction.feature, instruction.name)
    raise Malformed(f"illegal opcode {prefix:02x}" + (f" {sub:02x}" if sub >= 0 else ""))


def not_constant(slot: int, prefix: int, sub: int) -> NoReturn:
    """Raise for an instruction that constant expressions do not have."""
    instruction = _BY_SLOT.get(slot)
    if instruction is None:
        refuse(slot, prefix, sub)
    from wasmine.validation.templates import CONSTANT_NAMES  # not needed where walks were prepared

    if instruction.name in CONSTANT_NAMES:
        raise Disabled(instruction.feature or "extended_const", f"{instruction.name} in a constant expression")
    raise Invalid(f"constant expression required: {instruction.name} is not constant")


# Index spaces


def table(context: Context, index: int) -> TableType:
    """The type of a table."""
    if index >= len(context.tables):
        raise Invalid(f"unknown table {index}: the module has {len(context.tables)}")
    if index:
        require(context.features, "reference_types", f"table {index}")
    return context.tables[index]


def address(context: Context, index: int) -> NumberType:
    """The address type of a memory."""
    if index >= len(context.memories):
        raise Invalid(f"unknown memory {index}: the module has {len(context.memories)}")
    if index:
        require(context.features, "multi_memory", f"memory {index}")
    return context.memories[index].address


def tag_params(context: Context, index: int) -> tuple[ValueType, ...]:
    """The types of the values that a tag carries."""
    if index >= len(context.tags):
        raise Invalid(f"unknown tag {index}: the module has {len(context.tags)}")
    signature = context.tags[index].composite
    assert isinstance(signature, FuncType)
    return signature.params


def data(context: Context, index: int) -> None:
    """Raise unless the data segment exists."""
    if context.data_count is None:
        raise Malformed("data count section required: a body names a data segment")
    if index >= context.data_count:
        raise Invalid(f"unknown data segment {index}: the module has {context.data_count}")


def element(context: Context, index: int) -> RefType:
    """The type of an element segment."""
    if index >= len(context.elements):
        raise Invalid(f"unknown elem segment {index}: the module has {len(context.elements)}")
    return context.elements[index]


def label(frames: Frames, index: int) -> Sequence[ValueType]:
    """The types that a branch to the label takes."""
    if index >= len(frames):
        raise Invalid(f"unknown label {index}: {len(frames)} are in scope")
    return frames[~index][3]


def lane(index: int, lanes: int) -> NoReturn:
    """Raise for a lane index out of range."""
    raise Invalid(f"invalid lane index: {index} is not below {lanes}")


# Control


def br_table(stack: Stack, frames: Frames, targets: tuple[int, ...]) -> None:
    default = label(frames, targets[-1])
    distinct = {id(types): types for types in (label(frames, target) for target in set(targets))}
    for types in distinct.values():
        if len(types) != len(default):
            raise Invalid(
                f"type mismatch: br_table with a label of {len(types)} operands and a default of {len(default)}"
            )
        if types:
            # In unreachable code bottoms must stay bottoms, so what was popped is put back.
            popped = [stack.pop() for _ in types][::-1]
            for found, expected in zip(popped, types, strict=True):
                check(found, expected)
            stack.extend(popped)
    pop_all(stack, default)


def if_without_else(params: Sequence[ValueType], results: Sequence[ValueType]) -> None:
    check_all(params, results, "an if without else leaves its parameters {found}, but its results are {expected}")


def misplaced(name: str, opener: str) -> NoReturn:
    raise Malformed(f"END opcode expected: {name} without {opener}")


def rethrow(frames: Frames, index: int) -> None:
    label(frames, index)
    if frames[~index][4] not in (CATCH, CATCH_ALL):
        raise Invalid(f"invalid rethrow label: label {index} is no catch")


def try_table(context: Context, frames: Frames, catches: Sequence[tuple[int, int | None, int]]) -> None:
    for kind, tag, target in catches:
        carried = [] if tag is None else [*tag_params(context, tag)]
        if kind & 1:
            carried.append(EXN)
        check_all(carried, label(frames, target), "a catch clause carries {found}, but its label takes {expected}")


# Calls


def call_indirect(context: Context, stack: Stack, type_: int, index: int) -> FuncType:
    """Pop the callee and its arguments; the signature."""
    type_of_table = table(context, index)
    if not matches(type_of_table.element, FUNCREF):
        raise Invalid(f"type mismatch: table {index} holds {type_of_table.element}, not functions")
    signature = closing.function_type(context, type_)
    pop(stack, type_of_table.address)
    pop_all(stack, signature.params)
    return signature


def call_ref(context: Context, stack: Stack, type_: int) -> FuncType:
    """Pop the callee and its arguments; the signature."""
    signature = closing.function_type(context, type_)
    pop(stack, context.types[type_].ref_null)
    pop_all(stack, signature.params)
    return signature


def returned(signature: FuncType, results: Sequence[ValueType]) -> None:
    """Check that a tail call's results are the caller's."""
    check_all(signature.results, results, "a tail call returns {found}, but the function itself {expected}")


# Parametric instructions and references


def typed_select(context: Context, stack: Stack, types: Sequence[ValueType]) -> ValueType:
    """The closed type of the operands."""
    type_ = closing.value(context, types[0])
    pop(stack, I32)
    pop(stack, type_)
    pop(stack, type_)
    stack.append(type_)
    return type_


def ref_null(context: Context, stack: Stack, heap: HeapType) -> None:
    stack.append(RefType(True, context.heap(heap)))


def ref_is_null(stack: Stack) -> Operand:
    """The operand's type."""
    operand = pop_ref(stack)
    stack.append(I32)
    return operand


def ref_func(context: Context, stack: Stack, index: int) -> None:
    if index >= len(context.functions):
        raise Invalid(f"unknown function {index}: the module has {len(context.functions)}")
    if index not in context.declared:
        raise Invalid(
            f"undeclared function reference: function {index} is not exported, and no global or element segment names it"
        )
    stack.append(context.functions[index].ref)


def non_null(type_: RefType | Bottom) -> RefType | Bottom:
    """The type of the same reference once it is known not to be null."""
    return RefType(False, type_.heap) if isinstance(type_, RefType) else type_


def ref_as_non_null(stack: Stack) -> Operand:
    """The operand's type."""
    operand = pop_ref(stack)
    stack.append(non_null(operand))
    return operand


def br_on_null(stack: Stack, frames: Frames, index: int) -> Operand:
    """The operand's type."""
    operand = pop_ref(stack)
    types = label(frames, index)
    pop_all(stack, types)
    stack.extend(types)
    stack.append(non_null(operand))
    return operand


def br_on_non_null(stack: Stack, frames: Frames, index: int) -> Operand:
    """The operand's type."""
    operand = pop_ref(stack)
    _branch_with(stack, label(frames, index), non_null(operand))
    return operand


def _branch_with(stack: Stack, types: Sequence[ValueType], carried: Operand) -> None:
    """Check a branch that carries one more operand; without the branch, what lies below it stays."""
    if not types:
        raise Invalid("type mismatch: the branch carries a reference, but its label takes nothing")
    check(carried, types[-1])
    pop_all(stack, types[:-1])
    stack.extend(types[:-1])


def ref_eq(stack: Stack) -> None:
    pop(stack, EQREF)
    pop(stack, EQREF)
    stack.append(I32)


def _top(heap: HeapType) -> Heap:
    """The top of the hierarchy that a closed heap type belongs to."""
    return next(top for top in (Heap.ANY, Heap.FUNC, Heap.EXTERN, Heap.EXN) if heap_matches(heap, top))


def ref_test(context: Context, stack: Stack, target: RefType) -> None:
    closed = context.close_ref(target)
    pop(stack, RefType(True, _top(closed.heap)))
    stack.append(I32)


def ref_cast(context: Context, stack: Stack, target: RefType) -> None:
    closed = context.close_ref(target)
    pop(stack, RefType(True, _top(closed.heap)))
    stack.append(closed)


def _difference(source: RefType, target: RefType) -> RefType:
    """The type of a reference of type `source` that is known not to match `target`."""
    return RefType(source.nullable and not target.nullable, source.heap)


def br_on_cast(
    context: Context, stack: Stack, frames: Frames, index: int, source: RefType, target: RefType, *, fail: bool
) -> None:
    source, target = context.close_ref(source), context.close_ref(target)
    if not matches(target, source):
        raise Invalid(f"type mismatch: a cast from {source} to {target}, which is no subtype of it")
    pop(stack, source)
    taken, stays = target, _difference(source, target)
    if fail:
        taken, stays = stays, taken
    _branch_with(stack, label(frames, index), taken)
    stack.append(stays)


def convert(stack: Stack, source: RefType, heap: Heap) -> None:
    """`any.convert_extern` and `extern.convert_any`: the reference stays (non-)nullable."""
    operand = stack.pop()
    if operand is not source:
        check(operand, source)
    stack.append(RefType(not isinstance(operand, Bottom) and operand.nullable, heap))


def any_convert_extern(stack: Stack) -> None:
    convert(stack, EXTERNREF, Heap.ANY)


def extern_convert_any(stack: Stack) -> None:
    convert(stack, ANYREF, Heap.EXTERN)


# Tables


def table_get(context: Context, stack: Stack, index: int) -> None:
    type_ = table(context, index)
    pop(stack, type_.address)
    stack.append(type_.element)


def table_set(context: Context, stack: Stack, index: int) -> None:
    type_ = table(context, index)
    pop(stack, type_.element)
    pop(stack, type_.address)


def table_size(context: Context, stack: Stack, index: int) -> None:
    stack.append(table(context, index).address)


def table_grow(context: Context, stack: Stack, index: int) -> None:
    type_ = table(context, index)
    pop(stack, type_.address)
    pop(stack, type_.element)
    stack.append(type_.address)


def table_fill(context: Context, stack: Stack, index: int) -> None:
    type_ = table(context, index)
    pop_all(stack, (type_.address, type_.element, type_.address))


def _shorter(one: NumberType, other: NumberType) -> NumberType:
    """The type of a length that must fit both address types."""
    return one if one is other else I32


def table_copy(context: Context, stack: Stack, target: int, source: int) -> None:
    to, from_ = table(context, target), table(context, source)
    if not matches(from_.element, to.element):
        raise Invalid(f"type mismatch: table {source} holds {from_.element}, table {target} {to.element}")
    pop_all(stack, (to.address, from_.address, _shorter(to.address, from_.address)))


def table_init(context: Context, stack: Stack, segment: int, index: int) -> None:
    type_ = table(context, index)
    found = element(context, segment)
    if not matches(found, type_.element):
        raise Invalid(f"type mismatch: element segment {segment} holds {found}, table {index} {type_.element}")
    pop_all(stack, (type_.address, I32, I32))


def memory_copy(context: Context, stack: Stack, target: int, source: int) -> None:
    to, from_ = address(context, target), address(context, source)
    pop_all(stack, (to, from_, _shorter(to, from_)))


# Structs and arrays


def _struct(context: Context, index: int) -> StructType:
    composite = closing.defined(context, index).composite
    if not isinstance(composite, StructType):
        raise Invalid(f"unknown type: type {index} is no struct type but {composite}")
    return composite


def _array(context: Context, index: int) -> FieldType:
    composite = closing.defined(context, index).composite
    if not isinstance(composite, ArrayType):
        raise Invalid(f"unknown type: type {index} is no array type but {composite}")
    return composite.field


def _mutable_array(context: Context, index: int) -> FieldType:
    field = _array(context, index)
    if not field.mutable:
        raise Invalid(f"immutable array: the elements of type {index} cannot be set")
    return field


def _field(context: Context, index: int, position: int) -> FieldType:
    fields = _struct(context, index).fields
    if position >= len(fields):
        raise Invalid(f"unknown field {position}: type {index} has {len(fields)}")
    return fields[position]


def _unpacked(field: FieldType) -> ValueType:
    """The type of an operand that holds the field's value."""
    return I32 if isinstance(field.storage, Packed) else field.storage


def _read(field: FieldType, *, extends: bool) -> ValueType:
    """The type that reading the field gives; `extends`: by an instruction that says how to extend a packed field."""
    if isinstance(field.storage, Packed) != extends:
        wanted = "a packed type" if extends else "a type that is not packed"
        raise Invalid(f"type mismatch: reading {field.storage} with an instruction for {wanted}")
    return _unpacked(field)


def _has_default(field: FieldType) -> bool:
    return not isinstance(field.storage, RefType) or field.storage.nullable


def _fields(context: Context, index: int) -> tuple[Sequence[ValueType], FieldType | None]:
    """The operands that make a struct, and its first field without a default value; kept, as structs may be large."""
    known = context.structs.get(index)
    if known is None:
        fields = _struct(context, index).fields
        without = next((field for field in fields if not _has_default(field)), None)
        known = context.structs[index] = tuple(map(_unpacked, fields)), without
    return known


def struct_new(context: Context, stack: Stack, index: int) -> None:
    pop_all(stack, _fields(context, index)[0])
    stack.append(context.types[index].ref)


def struct_new_default(context: Context, stack: Stack, index: int) -> None:
    without = _fields(context, index)[1]
    if without is not None:
        raise Invalid(f"type mismatch: {without} has no default value")
    stack.append(context.types[index].ref)


def struct_get(context: Context, stack: Stack, index: int, position: int, *, extends: bool = False) -> None:
    result = _read(_field(context, index, position), extends=extends)
    pop(stack, context.types[index].ref_null)
    stack.append(result)


def struct_set(context: Context, stack: Stack, index: int, position: int) -> None:
    field = _field(context, index, position)
    if not field.mutable:
        raise Invalid(f"immutable field: field {position} of type {index} cannot be set")
    pop(stack, _unpacked(field))
    pop(stack, context.types[index].ref_null)


def array_new(context: Context, stack: Stack, index: int) -> None:
    field = _array(context, index)
    pop(stack, I32)
    pop(stack, _unpacked(field))
    stack.append(context.types[index].ref)


def array_new_default(context: Context, stack: Stack, index: int) -> None:
    field = _array(context, index)
    if not _has_default(field):
        raise Invalid(f"type mismatch: {field} has no default value")
    pop(stack, I32)
    stack.append(context.types[index].ref)


def array_new_fixed(context: Context, stack: Stack, index: int, count: int) -> None:
    element_type = _unpacked(_array(context, index))
    if count > MAX_FIXED:
        raise Invalid(f"array.new_fixed with {count} operands: at most {MAX_FIXED} are supported")
    pop_all(stack, (element_type,) * count)
    stack.append(context.types[index].ref)


def _check_data(context: Context, field: FieldType, segment: int) -> None:
    if isinstance(field.storage, RefType):
        raise Invalid(f"array type is not numeric or vector: its elements are {field.storage}")
    data(context, segment)


def _check_elements(context: Context, field: FieldType, segment: int) -> None:
    found = element(context, segment)
    if not storage_matches(found, field.storage):
        raise Invalid(f"type mismatch: element segment {segment} holds {found}, the array {field.storage}")


def array_new_data(context: Context, stack: Stack, index: int, segment: int) -> None:
    _check_data(context, _array(context, index), segment)
    pop_all(stack, (I32, I32))
    stack.append(context.types[index].ref)


def array_new_elem(context: Context, stack: Stack, index: int, segment: int) -> None:
    _check_elements(context, _array(context, index), segment)
    pop_all(stack, (I32, I32))
    stack.append(context.types[index].ref)


def array_get(context: Context, stack: Stack, index: int, *, extends: bool = False) -> None:
    result = _read(_array(context, index), extends=extends)
    pop(stack, I32)
    pop(stack, context.types[index].ref_null)
    stack.append(result)


def array_set(context: Context, stack: Stack, index: int) -> None:
    field = _mutable_array(context, index)
    pop_all(stack, (context.types[index].ref_null, I32, _unpacked(field)))


def array_len(stack: Stack) -> None:
    pop(stack, ARRAYREF)
    stack.append(I32)


def array_fill(context: Context, stack: Stack, index: int) -> None:
    field = _mutable_array(context, index)
    pop_all(stack, (context.types[index].ref_null, I32, _unpacked(field), I32))


def array_copy(context: Context, stack: Stack, target: int, source: int) -> None:
    to, from_ = _mutable_array(context, target), _array(context, source)
    if not storage_matches(from_.storage, to.storage):
        raise Invalid(f"array types do not match: cannot copy {from_.storage} into {to.storage}")
    pop_all(stack, (context.types[target].ref_null, I32, context.types[source].ref_null, I32, I32))


def array_init_data(context: Context, stack: Stack, index: int, segment: int) -> None:
    _check_data(context, _mutable_array(context, index), segment)
    pop_all(stack, (context.types[index].ref_null, I32, I32, I32))


def array_init_elem(context: Context, stack: Stack, index: int, segment: int) -> None:
    _check_elements(context, _mutable_array(context, index), segment)
    pop_all(stack, (context.types[index].ref_null, I32, I32, I32))


# Memories and globals


def zero(value: int) -> None:
    if value:
        raise Malformed(f"zero byte expected, found {value:#04x}")


def immutable_global(index: int) -> NoReturn:
    raise Invalid(f"immutable global: global {index} cannot be set")


def unnatural(alignment: int, natural: int) -> NoReturn:
    raise Invalid(f"atomic alignment must be natural: 2^{natural}, not 2^{alignment}")


# Expressions


def no_end() -> NoReturn:
    raise Malformed("unexpected end of section or function: END opcode expected")


def leftover(count: int) -> NoReturn:
    raise Malformed(f"END opcode expected at the end: {count} bytes follow it")


def constant_global(context: Context, stack: Stack, index: int, visible: int) -> None:
    if index >= visible:
        raise Invalid(f"unknown global {index}: {visible} are visible here")
    if index >= context.imported_globals:
        require(context.features, "gc", f"a constant expression that reads global {index}, which is not imported")
    type_ = context.globals[index]
    if type_.mutable:
        raise Invalid(f"constant expression required: global {index} is mutable")
    stack.append(type_.value)


def constant_ref_func(context: Context, stack: Stack, index: int) -> None:
    if index >= len(context.functions):
        raise Invalid(f"unknown function {index}: the module has {len(context.functions)}")
    context.declared.add(index)
    stack.append(context.functions[index].ref)
