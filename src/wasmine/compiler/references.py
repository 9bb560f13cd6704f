"""How machine code holds references: numbers for objects, addresses of records for functions, numbers for types."""

from __future__ import annotations

import ctypes
import itertools
import weakref
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.machine.layout import Record
from wasmine.compiler.machine.lock import lock
from wasmine.compiler.values import Convention, Slots
from wasmine.format.types import FuncType, Heap

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.types import DefinedType, RefType, ValueType
    from wasmine.runtime.function import Function

_type_numbers: weakref.WeakKeyDictionary[DefinedType, int] = weakref.WeakKeyDictionary()
_next_type_number = itertools.count(1)


def type_number(type: DefinedType) -> int:
    """The number of a defined type in this process, never given to another; 1 and up. It is never stored in code."""
    found = _type_numbers.get(type)
    if found is None:
        with lock:
            found = _type_numbers.setdefault(type, next(_next_type_number))
    return found


def is_function_type(type: RefType) -> bool:
    """Whether references of this closed type are function references."""
    heap = type.heap
    if isinstance(heap, Heap):
        return heap in (Heap.FUNC, Heap.NOFUNC)
    return not isinstance(heap, int) and isinstance(heap.composite, FuncType)


_RECORDS_PER_BLOCK: Final = 512


class References:
    """The references of one engine. What a number or a record stands for is kept alive as long as the engine is."""

    def __init__(self) -> None:
        self._next_number = itertools.count(1)
        self._objects: dict[int, Any] = {0: None}
        self._numbers: dict[int, int] = {}  # id(object) -> number; the object is in _objects, so the id stays its own
        self._functions: dict[int, Function] = {}  # by the address of the record
        self._records: dict[int, int] = {}  # id(function) -> address
        self._room: list[int] = []
        self._displays: dict[DefinedType, int] = {}
        self._keep: list[Any] = []
        self._slots: dict[tuple[ValueType, ...], Slots] = {}
        self._conventions: dict[DefinedType, Convention] = {}

    def slots(self, types: tuple[ValueType, ...]) -> Slots:
        """How values of these types lie in memory."""
        found = self._slots.get(types)
        if found is None:
            found = self._slots.setdefault(types, Slots(types, self))
        return found

    def convention(self, type: DefinedType) -> Convention:
        """How functions of a type are called."""
        found = self._conventions.get(type)
        if found is None:
            composite = type.composite
            assert isinstance(composite, FuncType)
            found = self._conventions.setdefault(type, Convention(composite, self))
        return found

    def number(self, value: Any) -> int:
        """The number of an object that is not a function; 0 for null."""
        if value is None:
            return 0
        with lock:
            found = self._numbers.get(id(value))
            if found is None:
                found = next(self._next_number)
                self._objects[found] = value
                self._numbers[id(value)] = found
            return found

    def object(self, number: int) -> Any:
        """What a number stands for."""
        return self._objects[number]

    def record(self, function: Function | None) -> int:
        """The address of a function's record, made by `new_record`; 0 for null. TypeError for another runtime's."""
        if function is None:
            return 0
        try:
            return self._records[id(function)]
        except KeyError:
            raise TypeError(
                f"function {function.name} belongs to another runtime: functions cannot be passed between runtimes"
            ) from None

    def function(self, address: int) -> Function | None:
        """The function whose record lies at an address; None for 0."""
        return self._functions[address] if address else None

    def new_record(self, function: Function, code: int, context: int) -> int:
        """Make the record of a function: where its code is, and the VM context that it needs (0: the caller's)."""
        with lock:
            if not self._room:
                # Never given back before the engine is: machine code may hold any of them.
                block = (ctypes.c_ubyte * (Record.SIZE * _RECORDS_PER_BLOCK))()
                self._keep.append(block)
                start = ctypes.addressof(block)
                self._room.extend(range(start, start + len(block), Record.SIZE))
            address = self._room.pop()
            fields = (ctypes.c_uint64 * 4).from_address(address)
            fields[Record.CODE // 8] = code
            fields[Record.CONTEXT // 8] = context
            fields[Record.TYPE // 8] = type_number(function.defined)
            fields[Record.SUPERTYPES // 8] = self._display(function.defined)
            self._functions[address] = function
            self._records[id(function)] = address
            return address

    def _display(self, type: DefinedType) -> int:
        """The address of the numbers of a type's display: how many, then from the root down."""
        found = self._displays.get(type)
        if found is None:
            numbers = [type_number(above) for above in type.display]
            block = (ctypes.c_uint64 * (1 + len(numbers)))(len(numbers), *numbers)
            self._keep.append(block)
            found = self._displays[type] = ctypes.addressof(block)
        return found

    def encoder(self, type: RefType) -> Callable[[Any], int]:
        """The function from internal reference values of this closed type to their native form."""
        return self.record if is_function_type(type) else self.number

    def decoder(self, type: RefType) -> Callable[[int], Any]:
        """The function from native references of this closed type to internal values."""
        return self.function if is_function_type(type) else self.object
