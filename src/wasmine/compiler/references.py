"""How machine code holds references: numbers for objects, addresses of records for functions, numbers for types."""

from __future__ import annotations

import ctypes
import itertools
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.machine import libc
from wasmine.compiler.machine.layout import Record
from wasmine.format.types import FuncType, Heap

if TYPE_CHECKING:
    from wasmine.format.types import DefinedType, RefType
    from wasmine.runtime.function import Function

_type_numbers: weakref.WeakKeyDictionary[DefinedType, int] = weakref.WeakKeyDictionary()
_next_type_number = itertools.count(1)
_type_lock = threading.Lock()


def type_number(type: DefinedType) -> int:
    """The number of a defined type in this process, never given to another; 1 and up. It is never stored in code."""
    found = _type_numbers.get(type)
    if found is None:
        with _type_lock:
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
        self._lock = threading.Lock()
        self._objects: list[Any] = [None]
        self._numbers: dict[int, int] = {}  # id(object) -> number; the object is in _objects, so the id stays its own
        self._functions: dict[int, Function] = {}  # by the address of the record
        self._records: dict[int, int] = {}  # id(function) -> address
        self._room: list[int] = []
        self._displays: dict[DefinedType, int] = {}
        self._keep: list[Any] = []

    def number(self, value: Any) -> int:
        """The number of an object that is not a function; 0 for null."""
        if value is None:
            return 0
        with self._lock:
            found = self._numbers.get(id(value))
            if found is None:
                found = len(self._objects)
                self._objects.append(value)
                self._numbers[id(value)] = found
            return found

    def object(self, number: int) -> Any:
        """What a number stands for."""
        return self._objects[number]

    def record(self, function: Function) -> int:
        """The address of a function's record, made by `new_record`."""
        return self._records[id(function)]

    def function(self, address: int) -> Function | None:
        """The function whose record lies at an address; None for 0."""
        return self._functions[address] if address else None

    def new_record(self, function: Function, code: int, context: int) -> int:
        """Make the record of a function: where its code is, and the VM context that it needs (0: the caller's)."""
        with self._lock:
            if not self._room:
                size = libc.round_up(_RECORDS_PER_BLOCK * Record.SIZE)
                block = ctypes.create_string_buffer(size + Record.SIZE)
                self._keep.append(block)
                start = libc.round_up(ctypes.addressof(block), Record.SIZE)
                self._room = list(range(start, start + size, Record.SIZE))
                self._room.reverse()
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

    def to_native(self, type: RefType, value: Any) -> int:
        """The native form of an internal reference value of this closed type."""
        if value is None:
            return 0
        if is_function_type(type):
            return self.record(value)
        return self.number(value)

    def to_internal(self, type: RefType, native: int) -> Any:
        """The internal value of a native reference of this closed type."""
        if is_function_type(type):
            return self.function(native)
        return self.object(native)
