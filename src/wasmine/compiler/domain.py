"""`Domain`: what keeps function references alive that machine code holds.

Machine code stores the addresses of function records in tables and globals and passes them to functions, and Python does
not see it. But it sees which instances share a table or a global, and which can pass references as arguments. These form a
domain, and all of them live as long as one of them does. An instance that shares nothing is a domain by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from ctypes import c_uint64
from typing import TYPE_CHECKING, Final

from wasmine.runtime.lock import lock

if TYPE_CHECKING:
    import weakref
    from collections.abc import Iterator

    from wasmine.compiler.globals import NativeGlobal
    from wasmine.compiler.instance import NativeCode
    from wasmine.compiler.table import NativeTable
    from wasmine.runtime.function import Function

_PATIENCE: Final = 32
"""How many members must be closed before it is looked which of them can go, if that takes long."""

_QUICK: Final = 4096
"""How many elements of tables may be looked at whenever a member is closed."""


class Domain:
    """`members` are instances, of which some are `closed`, `held` host functions; `tables` and `globals` are those with
    function references.
    """

    __slots__ = ("__weakref__", "_successor", "_sweep_at", "closed", "globals", "held", "members", "tables")

    def __init__(self) -> None:
        self.members: set[NativeCode] = set()
        self.closed: set[NativeCode] = set()
        self.held: set[Function] = set()
        self.tables: list[weakref.ref[NativeTable]] = []
        self.globals: list[weakref.ref[NativeGlobal]] = []
        self._successor: Domain | None = None
        self._sweep_at = _PATIENCE

    def current(self) -> Domain:
        """The domain that this one has become part of, or itself."""
        found = self
        while found._successor is not None:
            found = found._successor
        return found

    def absorb(self, other: Domain) -> Domain:
        """Both are one from now on, which is the result."""
        with lock:
            into, part = self.current(), other.current()
            if into is part:
                return into
            if len(into.members) < len(part.members):
                into, part = part, into
            into.members |= part.members
            into.closed |= part.closed
            into.held |= part.held
            into.tables += part.tables
            into.globals += part.globals
            part._successor = into
            part.members, part.closed, part.held, part.tables, part.globals = set(), set(), set(), [], []
            return into

    def hold(self, function: Function | None) -> None:
        """A function comes in from Python.

        Until it is where `sweep` finds it, the caller holds `lock` or is in a call of wasm code.
        """
        if function is None:
            return
        if function.instance is None:
            if function not in self.current().held:
                with lock:
                    self.current().held.add(function)
            return
        code: NativeCode = function.instance.code  # type: ignore[assignment]
        if code not in self.current().members:
            code.join(self)

    def is_of(self, code: NativeCode) -> bool:
        """Whether an instance shares nothing: it is the only member, and every table and global is its own."""
        return not self.members - {code} and all(
            shared is None or shared.home is code
            for shared in (reference() for references in (self.tables, self.globals) for reference in references)
        )

    def is_due(self) -> bool:
        """Whether so many members are closed that it is worth looking which of them can go, however long it takes."""
        return len(self.closed) >= self._sweep_at

    def sweep(self) -> None:
        """Let closed members go to whose functions nobody else holds a reference.

        No wasm code runs anywhere, and the caller holds `lock`.
        """
        if not self.is_due() and not self._is_quick():
            return
        closed = list(self.closed)
        held: set[int] = set()  # records in places that are not the own ones of whoever defines them
        closed.sort(key=lambda code: code.address)
        starts = [code.address for code in closed]
        reached: set[NativeCode] = set()
        for home, words in self._words():
            held |= words
            for word in words:
                i = bisect_right(starts, word) - 1
                if i >= 0 and word < starts[i] + closed[i].module.layout.size and closed[i] is not home:
                    reached.add(closed[i])
        for code in closed:
            if code not in reached and not code.extra_records and not code.is_imported():
                for function in code.imported_functions():
                    if function.record in held:
                        self.hold(function)
                code.leave(self)
        self._sweep_at = max(_PATIENCE, 2 * len(self.closed))

    def _is_quick(self) -> bool:
        """Whether there is little to look at."""
        if len(self.tables) + len(self.globals) + len(self.closed) > _PATIENCE:
            return False
        tables = [reference() for reference in self.tables]
        return sum(len(table) for table in tables if table is not None) <= _QUICK

    def _words(self) -> Iterator[tuple[NativeCode | None, set[int]]]:
        """The records in every table and global that is still there, and the instance that defines this."""
        self.tables = [reference for reference in self.tables if reference() is not None]
        self.globals = [reference for reference in self.globals if reference() is not None]
        for table in filter(None, (reference() for reference in self.tables)):
            yield table.home, set(table.words())
        for variable in filter(None, (reference() for reference in self.globals)):
            yield variable.home, {c_uint64.from_address(variable.address).value}
