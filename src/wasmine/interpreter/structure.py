"""Prints a statement tree as structured Python: `if`, `while True`, `break`, `continue`.

Two passes. The first (`_plan`) gives every label its point, finds the blocks that must become Python loops so that a
branch out of their middle can be a `break`, and rewrites `if c: ... br L` + rest as `if c: ... else: rest` where the
branch then needs no code at all. The second prints. A branch that must leave several Python loops sets `br` and breaks;
after each loop that such a branch passes, `br` is tested.

The nest of blocks that a C `switch` compiles to becomes a *chain*: one `while True` around a binary decision tree on a
state variable, whatever its depth.

CPython allows 20 nested loops and 100 levels of indentation: a function that needs more is refused with `Unstructured`,
and the dispatcher prints it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wasmine.interpreter.statements import NOWHERE, Block, If, Jump, Label, Leave, Loop, Point, Switch, Try

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wasmine.interpreter.statements import Body, Item

MAX_LOOPS: Final = 18
MAX_INDENT: Final = 90
MAX_ABSORBED: Final = 45  # no further than this are the rests of blocks moved into `else`
MAX_RECURSION: Final = 200


class Unstructured(Exception):
    """The function needs more nesting than CPython allows. The tree may have been rewritten and is of no more use."""


class _Scope:
    """The innermost Python loop around a place, as the two passes see it.

    `breaks` and `continues` are where these statements lead; `states` are the segments of a chain by their points, and
    `variable` is its state variable. `open` are the labels of the blocks around the place within this loop. `escapes`
    are the labels further out for which branches leave the loop, and `marks` the lines that set `br` for them. `left`
    says whether anything leaves by `breaks`, `carries` whether branches from inner loops come through with `br` set.
    """

    __slots__ = ("breaks", "carries", "continues", "escapes", "left", "marks", "open", "states", "variable")

    def __init__(self, breaks: Point | None, continues: Point | None, variable: str = "") -> None:
        self.breaks = breaks
        self.continues = continues
        self.variable = variable
        self.states: dict[Point, int] = {}
        self.open: set[Label] = set()
        self.escapes: dict[Label, None] = {}
        self.marks: list[int] = []
        self.left = False
        self.carries = False

    def reaches(self, point: Point) -> bool:
        return point is self.breaks or point is self.continues or point in self.states


class _Chain:
    """The segments of a chain, in order; control falls from each to the next. `starts[i]` is the point of segment i.

    Behind them come segments made of the arms of a switch (`arms`: their numbers by the arm's id), which end by a jump.
    """

    __slots__ = ("arms", "segments", "starts")

    def __init__(self, root: Block | Loop) -> None:
        lead: Body = []
        tails: list[tuple[Label, Body]] = []
        node: Block | Loop = root
        while node.spine is not None:
            inner = node.spine
            at = next(i for i, item in enumerate(node.body) if item is inner)
            lead += node.body[:at]
            tails.append((inner.label, node.body[at + 1 :]))
            node = inner
        lead += node.body
        first = root.label.point if isinstance(root, Loop) else Point()
        self.segments: list[Body] = [lead]
        self.starts: list[Point] = [first]
        following = root.after
        later: list[tuple[Point, Body]] = []
        for label, tail in tails:
            if tail:
                following = Point()
                later.append((following, tail))
            label.point = following
        for start, tail in reversed(later):
            self.starts.append(start)
            self.segments.append(tail)
        self.arms: dict[int, int] = {}

    def following(self, number: int, after: Point) -> Point:
        """Where control falls to from a segment's end."""
        if number >= len(self.starts):
            return NOWHERE
        return self.starts[number + 1] if number + 1 < len(self.starts) else after

    def take_arms(self) -> None:
        """Make segments of the arms of the switch that ends the first one, but for those that only branch to one."""
        switch = self.switch
        if switch is None:
            return
        # Not the first segment, the head of a loop: control falls into the tree, which begins with the second.
        states = set(self.starts[1:])
        for arm in switch.arms:
            if len(arm) > 1 or not isinstance(arm[0], Jump) or arm[0].label.point not in states:
                self.arms[id(arm)] = len(self.segments)
                self.segments.append(arm)

    @property
    def switch(self) -> Switch | None:
        """The switch that ends the first segment, if one does."""
        last = self.segments[0][-1] if self.segments[0] else None
        return last if isinstance(last, Switch) else None

    def states(self) -> dict[Point, int]:
        """Segments by their points, without those made of arms."""
        return {start: number for number, start in enumerate(self.starts)}

    def state_of(self, arm: Body) -> int:
        """The segment at which an arm of the switch continues."""
        number = self.arms.get(id(arm))
        if number is None:
            jump = arm[0]
            assert isinstance(jump, Jump)
            number = self.starts.index(jump.label.point)
        return number


class Printer:
    """Prints one function body. `lines` is the result; a chain's switch arms become further segments."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._chains: dict[int, _Chain] = {}
        self._labels = 0
        self._flagged = False
        self._depth = 0

    def print(self, body: Body) -> list[str]:
        """The lines, indented by one space per level, the first level being 1. Raises `Unstructured`."""
        end = Point()
        self._plan(body, end, _Scope(None, None), 1, 0)
        self._items(body, end, _Scope(None, None), 1, 0)
        lines = [line for line in self.lines if line]
        return [" br = 0", *lines] if self._flagged else lines

    # ------------------------------------------------------------------------------------------------ first pass

    def _plan(self, body: Body, fall: Point, scope: _Scope, indent: int, loops: int) -> None:
        self._depth += 1
        if indent > MAX_INDENT or loops > MAX_LOOPS or self._depth > MAX_RECURSION:
            raise Unstructured
        number = 0
        while number < len(body):
            item = body[number]
            number += 1
            if type(item) is str:
                continue
            if isinstance(item, If) and number < len(body) and indent < MAX_ABSORBED:
                self._absorb(item, body, number, fall)
            after = fall if number == len(body) else Point()
            self._plan_item(item, fall, after, scope, indent, loops)
        self._depth -= 1

    def _absorb(self, item: If, body: Body, number: int, fall: Point) -> None:
        """Move the rest of the body into the other arm of an `if` whose one arm ends by a branch to the body's end."""
        if _ends_at(item.then, fall):
            item.otherwise += body[number:]
            del body[number:]
        elif _ends_at(item.otherwise, fall):
            item.then += body[number:]
            del body[number:]

    def _plan_item(self, item: Item, fall: Point, after: Point, scope: _Scope, indent: int, loops: int) -> None:
        match item:
            case Jump():
                self._plan_jump(item.label, fall, scope)
            case If():
                item.after = after
                self._plan(item.then, after, scope, indent + 1, loops)
                self._plan(item.otherwise, after, scope, indent + 1, loops)
            case Block() | Loop() if item.chained:
                self._plan_chain(item, after, scope, indent, loops)
            case Block():
                item.label.point = item.after = after
                scope.open.add(item.label)
                self._plan(item.body, after, scope, indent, loops)
                scope.open.discard(item.label)
            case Loop():
                item.exit.point = item.after = after
                inner = _Scope(after, item.label.point)
                self._plan(item.body, item.label.point, inner, indent + 1, loops + 1)
                self._plan_escapes(inner, after, scope)
            case Switch():
                for arm in item.arms:
                    self._plan(arm, Point(), scope, indent + 4, loops)
            case Try():
                item.after = after
                self._plan(item.body, after, scope, indent + 1, loops + 1)
                for _, handler in item.handlers:
                    self._plan(handler, after, scope, indent + 2, loops + 1)

    def _plan_chain(self, root: Block | Loop, after: Point, scope: _Scope, indent: int, loops: int) -> None:
        root.after = after
        if isinstance(root, Loop):
            root.exit.point = after
        else:
            root.label.point = after
        chain = self._chains[id(root)] = _Chain(root)
        inner = _Scope(after, None)
        inner.states = chain.states()
        chain.take_arms()
        deeper = indent + 2 + len(chain.segments).bit_length()
        for number, segment in enumerate(chain.segments):
            self._plan(segment, chain.following(number, after), inner, deeper, loops + 1)
        self._plan_escapes(inner, after, scope)

    def _plan_escapes(self, inner: _Scope, after: Point, scope: _Scope) -> None:
        for label in inner.escapes:
            self._plan_jump(label, after, scope)

    def _plan_jump(self, label: Label, fall: Point, scope: _Scope) -> None:
        if label.point is fall or scope.reaches(label.point):
            return
        if label in scope.open:
            label.wrapped = True
        else:
            scope.escapes[label] = None

    # ------------------------------------------------------------------------------------------------ second pass

    def _line(self, indent: int, text: str) -> None:
        self.lines.append(" " * indent + text)

    def _suite(self, body: Body, fall: Point, scope: _Scope, indent: int, loops: int) -> bool:
        """Print what follows a line with a colon; False, and nothing printed, if there is nothing."""
        before = len(self.lines)
        self._items(body, fall, scope, indent, loops)
        return len(self.lines) > before

    def _items(self, body: Body, fall: Point, scope: _Scope, indent: int, loops: int) -> None:
        if indent > MAX_INDENT or loops > MAX_LOOPS:
            raise Unstructured
        margin = " " * indent
        for item in body:
            if type(item) is str:
                self.lines.append(margin + item)
            else:
                self._item(item, fall, scope, indent, loops)

    def _item(self, item: Item, fall: Point, scope: _Scope, indent: int, loops: int) -> None:
        match item:
            case Jump():
                self._jump(item.label, fall, scope, indent)
            case Leave():
                self._line(indent, item.text + item.note)
            case If():
                self._if(item, scope, indent, loops)
            case Block() | Loop() if item.chained:
                self._chain(item, scope, indent, loops)
            case Block() if item.label.wrapped:
                self._wrapped(item, scope, indent, loops)
            case Block():
                self._items(item.body, item.after, scope, indent, loops)
            case Loop():
                self._loop(item, scope, indent, loops)
            case Switch():
                self._switch(item, scope, indent, loops)
            case Try():
                self._try(item, scope, indent, loops)

    def _jump(self, label: Label, fall: Point, scope: _Scope, indent: int) -> None:
        point = label.point
        if point is fall:
            return
        if point is scope.breaks:
            scope.left = True
            self._line(indent, "break")
        elif point is scope.continues:
            self._line(indent, "continue")
        elif point in scope.states:
            self._line(indent, f"{scope.variable} = {scope.states[point]}")
            self._line(indent, "continue")
        elif scope.breaks is None:
            raise Unstructured
        else:
            if not label.number:
                self._labels += 1
                label.number = self._labels
            scope.escapes[label] = None
            scope.marks.append(len(self.lines))
            self._line(indent, f"br = {label.number}")
            self._line(indent, "break")

    def _escapes(self, inner: _Scope, after: Point, scope: _Scope, indent: int) -> None:
        """Print what comes after a Python loop for the branches that leave it for somewhere further out."""
        escapes = list(inner.escapes)
        if not escapes:
            return
        if len(escapes) == 1 and not inner.left and not inner.carries:
            for mark in inner.marks:
                self.lines[mark] = ""
            self._jump(escapes[0], after, scope, indent)
            return
        self._flagged = True
        if inner.left:
            self._line(indent, "if br:")
            indent += 1
        here = [label for label in escapes if label.point is after or scope.reaches(label.point)]
        further = [label for label in escapes if label not in here]
        for label in here:
            inside = indent
            if len(escapes) > 1:
                self._line(indent, f"if br == {label.number}:")
                inside += 1
            self._line(inside, "br = 0")
            self._jump(label, after, scope, inside)
        if further:
            if scope.breaks is None:
                raise Unstructured
            if here:
                self._line(indent, "if br:")
                indent += 1
            scope.escapes.update(dict.fromkeys(further))
            scope.carries = True
            self._line(indent, "break")

    def _if(self, item: If, scope: _Scope, indent: int, loops: int) -> None:
        self._line(indent, f"if {item.condition}:{item.note}")
        if not self._suite(item.then, item.after, scope, indent + 1, loops):
            self.lines[-1] = " " * indent + f"if not ({item.condition}):{item.note}"
            if not self._suite(item.otherwise, item.after, scope, indent + 1, loops):
                self.lines[-1] = " " * indent + item.condition + item.note
            return
        if item.otherwise:
            self._line(indent, "else:")
            if not self._suite(item.otherwise, item.after, scope, indent + 1, loops):
                self.lines.pop()

    def _loop(self, item: Loop, scope: _Scope, indent: int, loops: int) -> None:
        inner = _Scope(item.after, item.label.point)
        body = item.body
        first = body[0] if body else None
        condition, note = "True", ""
        if isinstance(first, If) and not first.otherwise and len(first.then) == 1:
            jump = first.then[0]
            if isinstance(jump, Jump) and jump.label.point is item.after:
                condition, note = f"not ({first.condition})", first.note
                inner.left = True
                body = body[1:]
        self._line(indent, f"while {condition}:{note}")
        if not self._suite(body, item.label.point, inner, indent + 1, loops + 1):
            self._line(indent + 1, "pass")
        self._escapes(inner, item.after, scope, indent)

    def _wrapped(self, item: Block, scope: _Scope, indent: int, loops: int) -> None:
        inner = _Scope(item.after, None)
        self._line(indent, "while True:")
        self._items(item.body, item.after, inner, indent + 1, loops + 1)
        self._end(inner, indent + 1)
        self._escapes(inner, item.after, scope, indent)

    def _end(self, inner: _Scope, indent: int) -> None:
        """Leave the Python loop at the end of its body, unless control never comes there."""
        if not self._jumped(indent):
            inner.left = True
            self._line(indent, "break")

    def _jumped(self, indent: int) -> bool:
        line = self.lines[-1]
        return line.startswith(("break", "continue", "return", "raise"), indent) and line[indent - 1] == " "

    def _switch(self, item: Switch, scope: _Scope, indent: int, loops: int) -> None:
        """A switch outside chains: the number of the arm, then a decision tree on it."""

        def arm(number: int, inside: int) -> None:
            if not self._suite(item.arms[number], NOWHERE, scope, inside, loops):
                self._line(inside, "pass")

        self._line(indent, f"k = {pick(item.index, item.table, item.default)}")
        self._tree("k", 0, len(item.arms), arm, indent)

    def _tree(self, variable: str, low: int, high: int, leaf: Callable[[int, int], None], indent: int) -> None:
        """A binary decision tree: `leaf(number, indent)` prints what to do for each number from `low` below `high`."""
        if high - low == 1:
            leaf(low, indent)
            return
        middle = (low + high) // 2
        self._line(indent, f"if {variable} < {middle}:")
        self._tree(variable, low, middle, leaf, indent + 1)
        self._line(indent, "else:")
        self._tree(variable, middle, high, leaf, indent + 1)

    def _chain(self, item: Block | Loop, scope: _Scope, indent: int, loops: int) -> None:
        chain = self._chains[id(item)]
        variable = f"pc{loops}"
        inner = _Scope(item.after, None, variable)
        inner.states = chain.states()
        self._line(indent, f"{variable} = 0")
        self._line(indent, "while True:")
        several = len(chain.segments) > 1

        def segment(number: int, inside: int) -> None:
            self._segment(chain, number, inner, inside, loops + 1, item.after)

        if several:
            self._line(indent + 1, f"if not {variable}:")
        segment(0, indent + 1 + several)
        if several:
            self._tree(variable, 1, len(chain.segments), segment, indent + 1)
        self._escapes(inner, item.after, scope, indent)

    def _segment(self, chain: _Chain, number: int, scope: _Scope, indent: int, loops: int, after: Point) -> None:
        body = chain.segments[number]
        switch = chain.switch if number == 0 else None
        if switch is not None:
            # What follows is the tree on the state variable: control falls into it.
            self._items(body[:-1], NOWHERE, scope, indent, loops)
            states = [chain.state_of(arm) for arm in switch.arms]
            table = tuple(states[arm] for arm in switch.table)
            self._line(indent, f"{scope.variable} = {pick(switch.index, table, states[switch.default])}")
            return
        self._items(body, chain.following(number, after), scope, indent, loops)
        if number + 1 < len(chain.starts):
            if not self._jumped(indent):
                self._line(indent, f"{scope.variable} = {number + 1}")
        elif number < len(chain.starts):
            self._end(scope, indent)

    def _try(self, item: Try, scope: _Scope, indent: int, loops: int) -> None:
        self._line(indent, "try:")
        if not self._suite(item.body, item.after, scope, indent + 1, loops + 1):
            self._line(indent + 1, "pass")
        self._line(indent, "except Thrown as e:")
        for line in item.before:
            self._line(indent + 1, line)
        word = "if"
        for condition, handler in item.handlers:
            self._line(indent + 1, f"{word} {condition}:")
            if not self._suite(handler, item.after, scope, indent + 2, loops + 2):
                self._line(indent + 2, "pass")
            word = "elif"
        if item.handlers:
            self._line(indent + 1, "else:")
        self._line(indent + 1 + bool(item.handlers), "raise")


def pick(index: str, table: Sequence[int], default: int) -> str:
    """An expression for `table[index]`, or `default` for an index out of range."""
    if not table:
        return str(default)
    if all(entry == table[0] for entry in table):
        return f"{table[0]} if {index} < {len(table)} else {default}"
    return f"{tuple(table)}[{index}] if {index} < {len(table)} else {default}"


def _ends_at(arm: Body, point: Point) -> bool:
    """Whether the arm ends by a branch to this point."""
    last = arm[-1] if arm else None
    return isinstance(last, Jump) and last.label.point is point
