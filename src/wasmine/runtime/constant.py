"""Constant expressions: initial values of globals, tables and segments.

A `ConstantCompiler` walks an expression once and gives a function from an instance to the internal value; a module keeps
these, so instantiating it again decodes nothing.
"""

from __future__ import annotations

from operator import add, mul, sub
from typing import TYPE_CHECKING, Any

from wasmine.errors import Trap, TrapKind
from wasmine.format.instructions import BY_NAME, SLOTS
from wasmine.format.types import I32, ArrayType, Packed, StructType
from wasmine.runtime.bits import f32_from_bits, f64_from_bits
from wasmine.runtime.reference import I31, Array, Struct
from wasmine.runtime.values import default
from wasmine.validation import walk_expression

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.module import Expression
    from wasmine.format.types import DefinedType, StorageType, ValueType
    from wasmine.runtime.instance import Instance
    from wasmine.validation.context import Context

    Step = Callable[["Instance", list[Any]], None]

_MASK32 = 0xFFFF_FFFF
_I32_CONST = BY_NAME["i32.const"].opcode
_MASK64 = 0xFFFF_FFFF_FFFF_FFFF


class ConstantCompiler:
    """Makes the evaluators of a module's constant expressions; a visitor that collects one step per instruction."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.types = context.types
        self.handlers: list[Callable[..., object]] = [_unexpected] * SLOTS
        for name, handler in self._table().items():
            self.handlers[BY_NAME[name].slot] = handler
        self._reset()

    def _reset(self) -> None:
        self.steps: list[Step] = []
        self.values: list[Any] = []  # the literals, in order
        self.literal = True  # whether every step pushed a literal

    def compile(self, expression: Expression, type: ValueType) -> Callable[[Instance], Any]:
        """The evaluator of a constant expression. The expression was validated with the module."""
        if type is I32 and expression.code[0] == _I32_CONST:
            number = _single(expression.code)
            if number is not None:
                return lambda instance: number
        self._reset()
        walk_expression(self.context, expression, type, self)
        steps = self.steps
        if len(steps) == 1 and self.literal:
            value = self.values[0]
            return lambda instance: value

        def evaluate(instance: Instance) -> Any:
            stack: list[Any] = []
            for step in steps:
                step(instance, stack)
            return stack.pop()

        return evaluate

    def _table(self) -> dict[str, Callable[..., object]]:
        return {
            "i32.const": lambda value: self.push(value & _MASK32),
            "i64.const": lambda value: self.push(value & _MASK64),
            "f32.const": lambda data: self.push(f32_from_bits(int.from_bytes(data, "little"))),
            "f64.const": lambda data: self.push(f64_from_bits(int.from_bytes(data, "little"))),
            "v128.const": lambda data: self.push(int.from_bytes(data, "little")),
            "i32.add": lambda: self.step(_binary(add, _MASK32)),
            "i32.sub": lambda: self.step(_binary(sub, _MASK32)),
            "i32.mul": lambda: self.step(_binary(mul, _MASK32)),
            "i64.add": lambda: self.step(_binary(add, _MASK64)),
            "i64.sub": lambda: self.step(_binary(sub, _MASK64)),
            "i64.mul": lambda: self.step(_binary(mul, _MASK64)),
            "global.get": lambda index: self.step(lambda instance, stack: stack.append(instance.globals[index].get())),
            "ref.null": lambda heap: self.push(None),
            "ref.func": lambda index: self.step(lambda instance, stack: stack.append(instance.function(index))),
            "ref.i31": lambda: self.step(lambda instance, stack: stack.append(I31(stack.pop()))),
            "struct.new": lambda index: self.step(_struct_new(self.types[index])),
            "struct.new_default": lambda index: self.step(_struct_new_default(self.types[index])),
            "array.new": lambda index: self.step(_array_new(self.types[index])),
            "array.new_default": lambda index: self.step(_array_new_default(self.types[index])),
            "array.new_fixed": lambda index, count: self.step(_array_new_fixed(self.types[index], count)),
            "any.convert_extern": lambda: None,
            "extern.convert_any": lambda: None,
            "end": lambda reachable: None,
        }

    def begin(self, position: Callable[[], int]) -> None:
        """Nothing to prepare."""

    def push(self, value: Any) -> None:
        self.values.append(value)
        self.steps.append(lambda instance, stack: stack.append(value))

    def step(self, step: Step) -> None:
        self.literal = False
        self.steps.append(step)


def _single(code: bytes) -> int | None:
    """The value of an expression that is one i32.const, None if there is more. Modules have 79,000 of them."""
    value = shift = 0
    for at, byte in enumerate(code[1:7], 1):
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if at + 2 != len(code):
                return None
            return (value | -(byte >> 6 & 1) << shift) & _MASK32
    return None


def _unexpected(*immediates: object) -> None:
    raise AssertionError("validation let a non-constant instruction into a constant expression")


def _binary(operation: Callable[[int, int], int], mask: int) -> Step:
    def step(instance: Instance, stack: list[Any]) -> None:
        right = stack.pop()
        stack[-1] = operation(stack[-1], right) & mask

    return step


def pack(storage: StorageType, value: Any) -> Any:
    """An internal value as a field or element of this storage type holds it."""
    if storage is Packed.I8:
        return value & 0xFF
    if storage is Packed.I16:
        return value & 0xFFFF
    return value


def storage_default(storage: StorageType) -> Any:
    """The internal default value of a field or element."""
    return 0 if isinstance(storage, Packed) else default(storage)


def _struct_new(type: DefinedType) -> Step:
    composite = type.composite
    assert isinstance(composite, StructType)
    storages = [field.storage for field in composite.fields]

    def step(instance: Instance, stack: list[Any]) -> None:
        start = len(stack) - len(storages)
        stack[start:] = [Struct(type, list(map(pack, storages, stack[start:])))]

    return step


def _struct_new_default(type: DefinedType) -> Step:
    composite = type.composite
    assert isinstance(composite, StructType)
    values = [storage_default(field.storage) for field in composite.fields]
    return lambda instance, stack: stack.append(Struct(type, list(values)))


def _array_new(type: DefinedType) -> Step:
    composite = type.composite
    assert isinstance(composite, ArrayType)
    storage = composite.field.storage

    def step(instance: Instance, stack: list[Any]) -> None:
        length = stack.pop()
        stack[-1] = Array(type, array_elements(pack(storage, stack[-1]), length))

    return step


def _array_new_default(type: DefinedType) -> Step:
    composite = type.composite
    assert isinstance(composite, ArrayType)
    value = storage_default(composite.field.storage)

    def step(instance: Instance, stack: list[Any]) -> None:
        stack[-1] = Array(type, array_elements(value, stack[-1]))

    return step


def _array_new_fixed(type: DefinedType, count: int) -> Step:
    composite = type.composite
    assert isinstance(composite, ArrayType)
    storage = composite.field.storage

    def step(instance: Instance, stack: list[Any]) -> None:
        start = len(stack) - count
        stack[start:] = [Array(type, [pack(storage, value) for value in stack[start:]])]

    return step


# A guest must not take the host's memory with one instruction: 2^27 elements of 8 bytes are 1 GiB.
MAXIMUM_ARRAY = 1 << 27


def array_elements(value: Any, length: int) -> list[Any]:
    """`length` times `value`, or the trap "allocation size too large"."""
    if length > MAXIMUM_ARRAY:
        raise Trap(TrapKind.ALLOCATION_TOO_LARGE, f"an array of {length} elements; at most {MAXIMUM_ARRAY} are allowed")
    return [value] * length
