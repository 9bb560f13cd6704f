"""How machine code holds references: numbers for objects, addresses of records for functions, numbers for types."""

from __future__ import annotations

import ctypes
import itertools
import sys
import weakref
from typing import TYPE_CHECKING, Any, Final

from wasmine.compiler.contexts import contexts
from wasmine.compiler.domain import Domain
from wasmine.compiler.hosts import hosts
from wasmine.compiler.machine import python
from wasmine.compiler.machine.layout import Record
from wasmine.compiler.reachable import reachable
from wasmine.compiler.values import Convention, Slots
from wasmine.format.types import FuncType, is_function_type
from wasmine.runtime.function import Function
from wasmine.runtime.gil import FREE_THREADED
from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from wasmine.compiler.engine import CompilerEngine
    from wasmine.compiler.globals import NativeGlobal
    from wasmine.compiler.table import NativeTable
    from wasmine.format.types import DefinedType, RefType, ValueType

_LEAST: Final = 64
"""Slots in the smallest table of `Known`."""

_PATIENCE: Final = 4096
"""So many references are given before it is looked which are still in use, at least."""

_PROBE: Final = -1

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


class Known:
    """Addresses of objects, for machine code: `place` is where the address of a hash table stands, of 8-byte words.

    The first is its size less 1, a mask; at least half of the others are 0. Who does not find what it looks for asks
    Python, so a table that is outgrown meanwhile does no harm. Without a GIL they are all kept: another thread may be
    reading one.
    """

    def __init__(self) -> None:
        self._place = ctypes.c_uint64()
        self.place = ctypes.addressof(self._place)
        self._outgrown: list[ctypes.Array[ctypes.c_uint64]] = []
        self._make(())

    def _make(self, addresses: Collection[int]) -> None:
        size = max(_LEAST, 1 << (4 * len(addresses)).bit_length())
        table = (ctypes.c_uint64 * (1 + size))(size - 1)
        count = sum(self._put(table, address) for address in addresses)
        self._table, self._count = table, count
        self._place.value = ctypes.addressof(table)

    def _all(self) -> list[int]:
        return [address for address in self._table[1:] if address]

    @staticmethod
    def _put(table: ctypes.Array[ctypes.c_uint64], address: int) -> bool:
        mask = table[0]
        i = (address ^ address >> 8) >> 4 & mask
        while table[1 + i]:
            if table[1 + i] == address:
                return False
            i = i + 1 & mask
        table[1 + i] = address
        return True

    def add(self, address: int) -> None:
        """An object is known from now on. It lives as long as machine code may look for it. The caller holds `lock`."""
        self._count += self._put(self._table, address)
        if 2 * self._count > self._table[0]:
            if FREE_THREADED:
                self._outgrown.append(self._table)
            self._make(self._all())

    def discard(self, addresses: set[int]) -> None:
        """Some are not known any more. The caller holds `lock` and the GIL."""
        self._make([address for address in self._all() if address not in addresses])


class References:
    """The references of one engine, `owner`. What a number stands for is kept alive as long as wasm code may have it. Where
    machine code works with objects it is the object's address, and what is `known` needs no Python.

    `common` is the domain of the instances that can pass function references as arguments, results or in exceptions.
    """

    def __init__(self, owner: CompilerEngine) -> None:
        self._owner = owner
        self.common = Domain()
        self.known = Known()
        self._are_addresses = python.host().native
        self._next_number = itertools.count(1)
        self._objects: dict[int, Any] = {0: None}  # by number
        self._numbers: dict[int, int] = {}  # by id: an object that has a number lives, so its id is its own
        self._holders: dict[int, weakref.ref[NativeTable | NativeGlobal]] = {}
        self._new = 0  # how many numbers were given since it was looked which are in use
        self._patience = _PATIENCE
        self._suspects: set[int] = set()  # what was not in use then
        self._looking = False
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
                found = id(value) if self._are_addresses else next(self._next_number)
                self._objects[found] = value
                self._numbers[id(value)] = found
                self._new += 1
        if self._new >= self._patience:
            self._give_back()
        return found

    def watch(self, holder: NativeTable | NativeGlobal) -> None:
        """A table or a global may have references to objects from now on."""
        key = id(holder)
        self._holders[key] = weakref.ref(holder, lambda _: self._holders.pop(key, None))

    def _give_back(self) -> None:
        """Let objects go that only these references keep, and that no wasm code had now, nor the last time.

        Whoever is about to give one to wasm code, or to take one from there, has it himself, or it is where `reachable`
        looks. Where references are not counted that is not to be seen, and without a GIL it was not tried: there everything
        is kept.
        """
        self._new = 0
        if FREE_THREADED or not self._are_addresses:
            return
        with lock:
            if self._looking:  # what runs in between, a finalizer or a signal handler, came here
                return
            self._looking = True
            try:
                with self._owner.alone() as alone:
                    dropped = self._drop() if alone else []
            finally:
                self._looking = False
        dropped.clear()  # without the lock: they may have finalizers

    def _drop(self) -> list[Any]:
        """Take out what is not in use. No other thread is in a call."""
        objects = self._objects
        objects[_PROBE] = object()
        least = sys.getrefcount(objects[_PROBE])
        del objects[_PROBE]
        wanted = {number for number in list(objects) if number and sys.getrefcount(objects[number]) <= least}
        holders = [holder for known in list(self._holders.values()) if (holder := known()) is not None]
        used, looked_at = reachable(wanted, self._owner.glue, holders)
        unused = wanted - used
        gone = unused & self._suspects
        self._suspects = unused - gone
        # In this order: if a signal handler ends it in the middle, what machine code knows is kept.
        self.known.discard(gone)
        for number in gone:
            self._numbers.pop(id(objects[number]), None)
        self._patience = max(_PATIENCE, len(objects) - len(gone), looked_at >> 6)
        return [objects.pop(number) for number in gone]

    def known_number(self, value: Any) -> int:
        """The same for machine code, which finds it by itself from now on. Where numbers are addresses."""
        found = self.number(value)
        with lock:
            self.known.add(found)
        return found

    def object(self, number: int) -> Any:
        """What a number stands for."""
        return self._objects[number]

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
