"""Prints a statement tree as a state machine over basic blocks, for functions that nest too deep for structured Python.

All of it is one `while True` around a binary decision tree on `pc`, the number of the basic block to run. Nothing here
recurses on the tree, so the depth of nesting does not matter. An exception is looked at by a basic block too: which one,
says the number of the block that was running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wasmine.interpreter.statements import Block, If, Jump, Leave, Loop, Switch, Try
from wasmine.interpreter.structure import pick

if TYPE_CHECKING:
    from wasmine.interpreter.statements import Body

_NOWHERE = -1


def dispatch(body: Body) -> list[str]:
    """The lines of a function body, indented by one space per level, the first level being 1."""
    return _Dispatcher().print(body)


class _Part(NamedTuple):
    """What is still to be put into basic blocks: a body from an item on, the block it starts in, the one after it.

    `handler` is the block that looks at exceptions from here, or none (-1).
    """

    body: Body
    start: int
    block: int
    following: int
    handler: int


class _Dispatcher:
    """Collects basic blocks: lists of lines of which the last says where to go. `handlers` is parallel to `blocks`."""

    def __init__(self) -> None:
        self.blocks: list[list[str]] = []
        self.handlers: list[int] = []

    def _new(self, handler: int) -> int:
        self.blocks.append([])
        self.handlers.append(handler)
        return len(self.blocks) - 1

    def print(self, body: Body) -> list[str]:
        work = [_Part(body, 0, self._new(_NOWHERE), _NOWHERE, _NOWHERE)]
        while work:
            self._fill(work.pop(), work)
        tree: list[str] = []
        if all(handler == _NOWHERE for handler in self.handlers):
            self._tree(tree, 0, len(self.blocks), 2)
            return [" pc = 0", " while True:", *tree]
        self._tree(tree, 0, len(self.blocks), 4)
        head = [" pc = 0", " while True:", "  try:", "   while True:"]
        return [
            *head,
            *tree,
            "  except Thrown as thrown:",
            "   e = thrown",
            f"   pc = {tuple(self.handlers)}[pc]",
            "   if pc < 0:",
            "    raise",
        ]

    def _tree(self, lines: list[str], low: int, high: int, indent: int) -> None:
        margin = " " * indent
        if high - low == 1:
            lines.extend(margin + line for line in self.blocks[low] or ["pass"])
            return
        middle = (low + high) // 2
        lines.append(f"{margin}if pc < {middle}:")
        self._tree(lines, low, middle, indent + 1)
        lines.append(f"{margin}else:")
        self._tree(lines, middle, high, indent + 1)

    def _fill(self, part: _Part, work: list[_Part]) -> None:
        """Append the part's items to its block, up to the first one after which control goes on in another block."""
        body, start, number, following, handler = part
        lines = self.blocks[number]
        for at in range(start, len(body)):
            item = body[at]
            if isinstance(item, str):
                lines.append(item)
                continue
            if isinstance(item, Leave):
                lines.append(item.text + item.note)
                return
            if isinstance(item, Jump):
                lines.append(f"pc = {item.label.state}")
                return
            if isinstance(item, Switch):
                self._switch(item, number, work, handler)
                return
            after = following
            if at + 1 < len(body):
                after = self._new(handler)
                work.append(_Part(body, at + 1, after, following, handler))
            match item:
                case If():
                    then, otherwise = self._new(handler), self._new(handler)
                    lines.append(f"pc = {then} if ({item.condition}) else {otherwise}")
                    work.append(_Part(item.then, 0, then, after, handler))
                    work.append(_Part(item.otherwise, 0, otherwise, after, handler))
                case Block():
                    item.label.state = after
                    work.append(_Part(item.body, 0, number, after, handler))
                case Loop():
                    item.label.state = self._new(handler)
                    item.exit.state = after
                    lines.append(f"pc = {item.label.state}")
                    work.append(_Part(item.body, 0, item.label.state, after, handler))
                case Try():
                    self._try(item, number, after, work, handler)
            return
        lines.append(f"pc = {following}")

    def _switch(self, item: Switch, number: int, work: list[_Part], handler: int) -> None:
        arms = []
        for arm in item.arms:
            arms.append(self._new(handler))
            work.append(_Part(arm, 0, arms[-1], _NOWHERE, handler))
        table = tuple(arms[choice] for choice in item.table)
        self.blocks[number].append(f"pc = {pick(item.index, table, arms[item.default])}")

    def _try(self, item: Try, number: int, after: int, work: list[_Part], handler: int) -> None:
        looks = self._new(handler)
        inside = self._new(looks)
        self.blocks[number].append(f"pc = {inside}")
        work.append(_Part(item.body, 0, inside, after, looks))
        again = self._new(handler)
        self.blocks[again].append("raise e")
        choice = str(again)
        for condition, body in reversed(item.handlers):
            found = self._new(handler)
            work.append(_Part(body, 0, found, after, handler))
            choice = f"{found} if {condition} else {choice}"
        self.blocks[looks] += [*item.before, f"pc = {choice}"]
