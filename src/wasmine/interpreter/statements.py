"""The statement tree: what a lowered function body is before it is printed as Python.

A body is a list of items: a `str` is one line of Python that control passes through, anything else a node of this
module. Branches name labels; how a branch becomes `break`, `continue`, a state number or nothing at all is decided when
the whole tree is known (`structure`, `dispatcher`).
"""

from __future__ import annotations

from typing import TypeAlias


class Point:
    """A place in the printed program. Labels that stand for the same place share one, so places compare by identity."""

    __slots__ = ()


NOWHERE = Point()
"""A point that nothing leads to."""


class Label:
    """What branches name. `uses` counts the branches; the rest belongs to the printers."""

    __slots__ = ("number", "point", "state", "uses", "wrapped")

    def __init__(self) -> None:
        self.uses = 0
        self.point = Point()
        self.wrapped = False  # its block is printed as `while True:`, for `break` to leave it
        self.number = 0  # what says in `br` that this label is on its way out of a Python loop
        self.state = 0  # the number of its block in a dispatcher


class Block:
    """A body with a label at its end. `spine` is the block inside that belongs to the same switch, if `chained`."""

    __slots__ = ("after", "body", "chained", "label", "spine")

    def __init__(self, label: Label) -> None:
        self.label = label
        self.body: Body = []
        self.spine: Block | None = None
        self.chained = False
        self.after = label.point


class Loop:
    """A body with a label at its start. The body ends by a jump: the one to `exit` where control leaves the loop."""

    __slots__ = ("after", "body", "chained", "exit", "label", "spine")

    def __init__(self, label: Label) -> None:
        self.label = label
        self.exit = Label()
        self.body: Body = []
        self.spine: Block | None = None
        self.chained = False
        self.after = self.exit.point


class If:
    """Two arms. `condition` is a Python expression for its truth, `note` a comment for its line."""

    __slots__ = ("after", "condition", "note", "otherwise", "then")

    def __init__(self, condition: str, then: Body | None = None, otherwise: Body | None = None) -> None:
        self.condition = condition
        self.note = ""
        self.then: Body = [] if then is None else then
        self.otherwise: Body = [] if otherwise is None else otherwise
        self.after = NOWHERE


class Jump:
    """An unconditional branch; the values were moved before."""

    __slots__ = ("label",)

    def __init__(self, label: Label) -> None:
        self.label = label
        label.uses += 1


class Leave:
    """The end of the function by a line of Python, a `return` or a `raise`; `note` is a comment for the line."""

    __slots__ = ("note", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.note = ""


class Switch:
    """`br_table`: `table[index]` is the number of an arm, `default` that of any other index. Arms end by a jump.

    `index` is a name or a literal.
    """

    __slots__ = ("arms", "default", "index", "table")

    def __init__(self, index: str, table: tuple[int, ...], default: int, arms: list[Body]) -> None:
        self.index = index
        self.table = table
        self.default = default
        self.arms = arms


class Try:
    """A body whose wasm exceptions go to `handlers`: conditions on the exception `e`, each with a body.

    What no condition holds for is raised again. `before` are lines that run first when an exception arrives.
    """

    __slots__ = ("after", "before", "body", "handlers")

    def __init__(self) -> None:
        self.body: Body = []
        self.before: list[str] = []
        self.handlers: list[tuple[str, Body]] = []
        self.after = NOWHERE


Item: TypeAlias = "str | Block | Loop | If | Jump | Leave | Switch | Try"
Body: TypeAlias = "list[Item]"
