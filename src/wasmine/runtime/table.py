"""Tables of references."""

from __future__ import annotations

from abc import ABC, abstractmethod
from operator import index as to_index
from typing import TYPE_CHECKING, Any

from wasmine.runtime import traps
from wasmine.runtime.unique import Unique
from wasmine.runtime.values import to_internal, to_python

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wasmine.format.types import TableType
    from wasmine.runtime.function import Function

# Without a declared maximum a table ends here: 10 million elements, wasmtime's and browsers' limit.
MAXIMUM_ELEMENTS = 10_000_000


class Functions:
    """Elements of a table of function references: an index in the function index space of an instance, None for null, or
    a function that does not belong to it. `plan` is what the engine has to know to write them.
    """

    __slots__ = ("items", "plan")

    def __init__(self, items: Sequence[int | Function | None]) -> None:
        self.items = items
        self.plan: Any = None

    def __len__(self) -> int:
        return len(self.items)


class Table(Unique, ABC):
    """A table. `table[i]` reads and writes an element as a Python value (None is null); `len(table)` is its size.

    An index out of range is an IndexError, a value of another type a TypeError.
    """

    __slots__ = ("__weakref__", "limit", "owner", "type")

    def __init__(self, type: TableType) -> None:
        self.type = type
        self.limit: int | None = None  # elements, a host's limit below the declared maximum
        self.owner: object = None  # the engine, so that linking can refuse what belongs to another runtime

    @property
    def maximum(self) -> int:
        """The largest size that `grow` can reach, in elements."""
        most = self.type.limits.maximum
        most = MAXIMUM_ELEMENTS if most is None or most > MAXIMUM_ELEMENTS else most
        return most if self.limit is None or self.limit > most else self.limit

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def get(self, index: int) -> Any:
        """The internal value of element `index`, which is in range."""

    @abstractmethod
    def put(self, index: int, values: Sequence[Any]) -> None:
        """Store internal values from `index` on; the range is in bounds."""

    @abstractmethod
    def extend(self, delta: int, init: Any) -> int:
        """Add elements of an internal value; the old size, or -1 if that is too many."""

    def write(self, index: int, values: Sequence[Any]) -> None:
        """`put`, or the trap "invalid table access" (and nothing written) if the range is out of bounds."""
        if index + len(values) > len(self):
            raise traps.table_access(index, len(values), len(self))
        self.put(index, values)

    def grow(self, delta: int, init: Any = None) -> int:
        """Add `delta` elements of value `init`; the size before. MemoryError if it would pass the maximum."""
        value, count = to_internal(self.type.element, init), to_index(delta)
        old = self.extend(count, value) if count >= 0 else -1
        if old < 0:
            raise MemoryError(f"cannot grow a table of {len(self)} elements by {count}: the maximum is {self.maximum}")
        return old

    def __getitem__(self, index: int) -> Any:
        return to_python(self.type.element, self.get(self._checked(index)))

    def __setitem__(self, index: int, value: Any) -> None:
        self.put(self._checked(index), (to_internal(self.type.element, value),))

    def _checked(self, index: int) -> int:
        size = len(self)
        number = to_index(index)
        if not -size <= number < size:
            raise IndexError(f"table index {number} out of range: the table has {size} elements")
        return number + size if number < 0 else number

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<table {self.type}, size {len(self)}>"
