"""How machine code holds references: numbers for objects, addresses of records for functions, numbers for types."""

from __future__ import annotations

import ctypes
import itertools
import weakref
from typing import TYPE_CHECKING, Any

from wasmine.compiler.contexts import contexts
from wasmine.compiler.domain import Domain
from wasmine.compiler.hosts import hosts
from wasmine.compiler.machine.layout import Record
from wasmine.compiler.values import Convention, Slots
from wasmine.format.types import FuncType, is_function_type
from wasmine.runtime.function import Function
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.types import DefinedType, RefType, ValueType

_type_numbers: weakref.WeakKeyDictionary[DefinedType, int] = weakref.WeakKeyDictionary()
_next_type_number = itertools.count(1)
_displays: weakref.WeakKeyDictionary[DefinedType, ctypes.Array[ctypes.c_uint64]] = weakref.WeakKeyDictionary()


def type_number(type: DefinedType) -> int:
    """The number of a defined type in this process, never given to another; 1 and up. It is never stored in code."""
    found = _type_numbers.get(type)
    if found is None:
        with lock:
            found = _type_numbers.setdefault(type, next(_next_type_number))
    return found


def display_address(type: DefinedType) -> int:
    """The address of the numbers of a type's display: how many, then from the root down. It lives as long as the type."""
    found = _displays.get(type)
    if found is None:
        numbers = [type_number(above) for above in type.display]
        with lock:
            found = _displays.setdefault(type, (ctypes.c_uint64 * (1 + len(numbers)))(len(numbers), *numbers))
    return ctypes.addressof(found)


class References:
    """The references of one engine, `owner`. What a number stands for is kept alive as long as the engine is. Machine code
    looks things up in `objects` (by number) and `numbers` (by id; an object that has a number lives, so its id is its own).

    `common` is the domain of the instances that can pass function references as arguments, results or in exceptions.
    """

    def __init__(self, owner: object) -> None:
        self._owner = owner
        self.common = Domain()
        self._next_number = itertools.count(1)
        self.objects: dict[int, Any] = {0: None}
        self.numbers: dict[int, int] = {}
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
            found = self.numbers.get(id(value))
            if found is None:
                found = next(self._next_number)
                self.objects[found] = value
                self.numbers[id(value)] = found
            return found

    def object(self, number: int) -> Any:
        """What a number stands for."""
        return self.objects[number]

    def record(self, function: Function | None) -> int:
        """The address of the record of a function that is passed to machine code; 0 for null. TypeError for another
        runtime's.

        Only functions that can pass references have such arguments and results, so it comes into the common domain.
        """
        address = self.address(function)
        self.common.hold(function)
        return address

    def of_function(self, value: Any) -> int:
        """`record` of an object that is a function of this runtime, -1 of any other."""
        return self.record(value) if isinstance(value, Function) and value.owner is self._owner else -1

    def address(self, function: Function | None) -> int:
        """The same of a function that whoever gets it keeps alive himself."""
        if function is None:
            return 0
        if function.owner is not self._owner:
            raise TypeError(
                f"function {function.name} belongs to another runtime: functions cannot be passed between runtimes"
            )
        address: int = function.record  # type: ignore[attr-defined]
        return address

    @staticmethod
    def function(address: int) -> Function | None:
        """The function whose record lies at an address; None for 0."""
        if not address:
            return None
        context = ctypes.c_uint64.from_address(address + Record.CONTEXT).value
        return contexts[context].function_at(address) if context else hosts.at(address)

    def encoder(self, type: RefType) -> Callable[[Any], int]:
        """The function from internal reference values of this closed type to their native form."""
        return self.record if is_function_type(type) else self.number

    def decoder(self, type: RefType) -> Callable[[int], Any]:
        """The function from native references of this closed type to internal values."""
        return self.function if is_function_type(type) else self.object
