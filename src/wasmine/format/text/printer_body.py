"""How the text format writes code: a visitor of the typed walk that makes text of a body or constant expression.

Folding is a matter of layout only: `(f A B)` is `A B f` whatever the instructions are, so what is printed always reads
back to the same code. An instruction is folded around its operands where those stand directly before it and give one
value each; otherwise everything stays in order, flat.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from wasmine.format.instructions import INSTRUCTIONS, SLOTS
from wasmine.format.text.printer_literals import print_f32, print_f64, print_v128
from wasmine.format.text.printer_names import Space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wasmine.format.instructions import Instruction
    from wasmine.format.text.printer_names import Scope
    from wasmine.format.types import FuncType, RefType, ValueType

    Handler: TypeAlias = Callable[..., None]
    Arity: TypeAlias = tuple[int, int]

_WIDTH: Final = 80  # longest folded expression on one line
_DEPTH: Final = 40  # deepest folding of operands: what is deeper stays flat
_MARGIN: Final = 60  # deepest indentation, so that hostile nesting does not make the text quadratic
_SPELLED: Final = 16  # most types of a block that are spelled out beside a type index, which says them all in few bytes

NO_NAMES: Final = Space({})

# Operands and results of the instructions that have no signature in the table but always take and give as many.
_ARITIES: Final[dict[str, Arity]] = {
    name: (int(row[0]), int(row[2]))
    for row in """
0>0 unreachable rethrow
0>1 local.get global.get ref.null ref.func table.size struct.new_default
1>0 drop local.set global.set throw_ref
1>1 local.tee table.get ref.is_null ref.as_non_null ref.test ref.cast ref.i31 i31.get_s i31.get_u
1>1 struct.get struct.get_s struct.get_u array.new_default array.len any.convert_extern extern.convert_any
2>0 table.set struct.set
2>1 table.grow ref.eq array.new array.new_data array.new_elem array.get array.get_s array.get_u
3>0 memory.copy table.init table.copy table.fill array.set
3>1 select
4>0 array.fill array.init_data array.init_elem
5>0 array.copy
""".strip().splitlines()
    for name in row.split()[1:]
}


class Group:
    """Lines that belong together: a head, what it encloses, one level deeper, and a tail.

    A tail `)` joins the last line; any other tail is a line of its own. `depth` says how many groups are inside.
    """

    __slots__ = ("children", "depth", "head", "tail")

    def __init__(self, head: str, children: list[Node], tail: str = ")") -> None:
        self.head = head
        self.children = children
        self.tail = tail
        self.depth = 1 + max((_depth(child) for child in children), default=0)


Node: TypeAlias = "str | Group"


def _depth(node: Node) -> int:
    return 0 if isinstance(node, str) else node.depth


def render(nodes: Sequence[Node], indent: int) -> Iterator[str]:
    """The lines of `nodes`, at `indent` levels. Nothing here recurses: code may be nested as deeply as it likes."""
    open_groups: list[tuple[str, Iterator[Node]]] = [("", iter(nodes))]
    line = ""
    while open_groups:
        tail, children = open_groups[-1]
        for child in children:
            if line:
                yield line
            margin = "  " * min(indent + len(open_groups) - 1, _MARGIN)
            if isinstance(child, str):
                line = margin + child
            else:
                line = margin + child.head
                open_groups.append((child.tail, iter(child.children)))
                break
        else:
            open_groups.pop()
            if tail == ")":
                line += tail
            elif tail:
                yield line
                line = "  " * min(indent + len(open_groups) - 1, _MARGIN) + tail
    if line:
        yield line


class _Frame:
    """An open block: what is printed of it so far, and what a branch to its label carries.

    `values` counts the last children that give one value each: the operands that an instruction can be folded around.
    `parts` holds, in the folded form of `if` and `try`, what comes before the part that is open.
    """

    __slots__ = ("arity", "children", "head", "label", "part", "parts", "results", "takes", "values")

    def __init__(self, head: str, label: str | None, arity: int, takes: int, results: int) -> None:
        self.head = head
        self.label = label
        self.arity = arity
        self.takes = takes
        self.results = results
        self.children: list[Node] = []
        self.values = 0
        self.part = ""
        self.parts: list[Node] = []


class BodyPrinter:
    """The visitor: `start`, walk, `finish`. One printer serves all bodies of a module, one at a time."""

    wants_unreachable = True

    def __init__(self, scope: Scope, *, folded: bool) -> None:
        self._scope = scope
        self._folded = folded
        self._frames: list[_Frame] = []
        self._locals = self._labels = NO_NAMES
        self._blocks = 0
        self._bound: dict[str, list[int]] = {}  # positions of the open frames with a label, innermost last
        self._nodes: list[Node] = []
        self._control = self._control_handlers()
        self._immediates = self._immediate_printers()
        self._variable = self._variable_arities()
        self.handlers: list[Handler] = [_ignore] * SLOTS
        for instruction in INSTRUCTIONS:
            self.handlers[instruction.slot] = partial(self._print_first, instruction)

    def begin(self, position: Callable[[], int]) -> None:
        """Nothing: the text has no positions."""

    def start(self, results: int, locals_: Space = NO_NAMES, labels: Space = NO_NAMES) -> None:
        """Before each walk: how many results the body has, and what its locals and labels are called."""
        self._frames = [_Frame("", None, results, 0, results)]
        self._locals = locals_
        self._labels = labels
        self._blocks = 0
        self._bound = {}

    def finish(self) -> list[Node]:
        """After each walk: the text."""
        return self._nodes

    # Layout

    def _place(self, text: str, takes: int, gives: int) -> None:
        """Print an instruction that takes and gives so many values."""
        frame = self._frames[-1]
        children = frame.children
        if not self._folded:
            children.append(text)
            return
        if takes == 0:
            children.append(f"({text})")
        elif frame.values < takes or max(map(_depth, children[-takes:])) >= _DEPTH:
            children.append(text)
            frame.values = 0
            return
        else:
            operands = children[-takes:]
            del children[-takes:]
            frame.values -= takes
            children.append(_fold(text, operands))
        frame.values = frame.values + 1 if gives == 1 else 0

    def _open(self, text: str, params: Sequence[ValueType], results: Sequence[ValueType], index: int | None) -> None:
        """Print the head of a block; what follows goes inside."""
        loop = text == "loop"
        position = len(self._frames)
        label = self._labels.identifiers.get(self._blocks)
        text += self._labels.binding(self._blocks) or f" (;@{position};)"
        self._blocks += 1
        if label is not None:
            self._bound.setdefault(label, []).append(position)
        if index is not None:
            text += f" (type {self._scope.types.get(index, index)})"
            signature = self._scope.signature(index)
            params, results = signature.params, signature.results
        takes, gives = len(params), len(results)
        if takes + gives <= _SPELLED or index is None:
            text += self._scope.print_params(params) + self._scope.print_results(results)
        self._frames.append(_Frame(text, label, takes if loop else gives, takes, gives))

    def _close(self, tail: str) -> None:
        """Print the end of a block."""
        frame = self._frames.pop()
        if frame.label is not None:
            self._bound[frame.label].pop()
        if not self._folded:
            self._frames[-1].children.append(Group(frame.head, frame.children, tail))
            return
        children = frame.children
        if frame.part:
            children = [*frame.parts, _part(frame.part, children)]
        outer = self._frames[-1]
        outer.children.append(Group(f"({frame.head}", children))
        outer.values = outer.values + 1 if frame.takes == 0 and frame.results == 1 else 0

    def _divide(self, text: str) -> None:
        """Print what divides a block: `else`, `catch`, `catch_all`."""
        frame = self._frames[-1]
        if self._folded:
            frame.parts.append(_part(frame.part, frame.children))
            frame.part = text
        else:
            self._frames[-2].children.append(Group(frame.head, frame.children, ""))
            frame.head = text
        frame.children = []
        frame.values = 0

    # Immediates

    def _label(self, depth: int) -> str:
        position = len(self._frames) - 1 - depth
        label = self._frames[position].label
        if label is not None and self._bound[label][-1] == position:
            return label
        return f"{depth} (;@{position};)"

    def _arity_of(self, label: int) -> int:
        return self._frames[-1 - label].arity

    # Instructions

    def handler(self, instruction: Instruction) -> Handler:
        """What prints an instruction, given its immediates."""
        return self._control.get(instruction.name) or self._plain_handler(instruction)

    def _print_first(self, instruction: Instruction, *arguments: object) -> None:
        # Most modules use few of the instructions.
        handler = self.handlers[instruction.slot] = self.handler(instruction)
        handler(*arguments)

    def _plain_handler(self, instruction: Instruction) -> Handler:
        place, name = self._place, instruction.name
        immediates = self._immediates[tuple(kind for kind, _ in instruction.immediates)]
        variable = self._variable.get(name)
        if variable is not None:

            def by_context(*arguments: object) -> None:
                place(name + immediates(*arguments), *variable(*arguments))

            return by_context

        if instruction.params is None or instruction.results is None:
            takes, gives = _ARITIES[name]
        else:
            takes, gives = len(instruction.params), len(instruction.results)
        if instruction.immediates and instruction.immediates[0].kind == "memarg":
            natural = instruction.immediates[0].bound

            def access(offset: int, memory: int, align: int, *lane: object) -> None:
                aligned = "" if align == natural else f" align={1 << align}"
                place(name + immediates(offset, memory, aligned, *lane), takes, gives)

            return access

        def fixed(*arguments: object) -> None:
            place(name + immediates(*arguments), takes, gives)

        return fixed

    def _immediate_printers(self) -> dict[tuple[str, ...], Callable[..., str]]:
        """How the immediates of an instruction are written, by their kinds. A space comes first."""
        scope = self._scope
        types, memories, tables = scope.types, scope.memories, scope.tables

        def indices(space: Space) -> Callable[..., str]:
            return lambda index, *_: f" {space.get(index, index)}"

        def unless_zero(space: Space) -> Callable[..., str]:
            return lambda index, *_: f" {space.get(index, index)}" if index else ""

        def unless_both_zero(space: Space) -> Callable[..., str]:
            def text(one: int, two: int, *_: object) -> str:
                return f" {space.get(one, one)} {space.get(two, two)}" if one or two else ""

            return text

        def pair(one: Callable[..., str], two: Callable[..., str]) -> Callable[..., str]:
            return lambda first, second, *_: one(first) + two(second)

        def swapped(one: Callable[..., str], two: Callable[..., str]) -> Callable[..., str]:
            return lambda first, second, *_: two(second) + one(first)

        def number(value: int, *_: object) -> str:
            return f" {value}"

        def local(index: int, *_: object) -> str:
            return f" {self._locals.get(index, index)}"

        def label(depth: int, *_: object) -> str:
            return f" {self._label(depth)}"

        def labels(depths: Sequence[int], *_: object) -> str:
            return "".join(map(label, depths))

        def access(offset: int, memory: int, aligned: str, *lane: int) -> str:
            text = f" {memories.get(memory, memory)}" if memory else ""
            if offset:
                text += f" offset={offset}"
            return text + aligned + "".join(map(number, lane[:1]))

        def field(type_: int, index: int, *_: object) -> str:
            return f" {types.get(type_, type_)} {scope.field(type_, index)}"

        def indirect(type_: int, table: int, *_: object) -> str:
            return f"{table_(table)} (type {types.get(type_, type_)})"

        def reference(type_: RefType, *_: object) -> str:
            return f" {scope.print_ref(type_)}"

        def cast(depth: int, source: RefType, target: RefType, *_: object) -> str:
            return f"{label(depth)} {scope.print_ref(source)} {scope.print_ref(target)}"

        index, memory, table_ = indices(types), unless_zero(memories), unless_zero(tables)
        data, element = indices(scope.data), indices(scope.elements)
        return {
            (): lambda *_: "",
            ("zero",): lambda *_: "",
            ("label",): label,
            ("labels",): labels,
            ("func",): indices(scope.functions),
            ("type",): index,
            ("local",): local,
            ("global",): indices(scope.globals),
            ("tag",): indices(scope.tags),
            ("data",): data,
            ("elem",): element,
            ("memory",): memory,
            ("table",): table_,
            ("memory", "memory"): unless_both_zero(memories),
            ("table", "table"): unless_both_zero(tables),
            ("data", "memory"): swapped(data, memory),
            ("elem", "table"): swapped(element, table_),
            ("type", "table"): indirect,
            ("type", "field"): field,
            ("type", "count"): pair(index, number),
            ("type", "data"): pair(index, data),
            ("type", "elem"): pair(index, element),
            ("type", "type"): pair(index, index),
            ("memarg",): access,
            ("memarg", "lane"): access,
            ("lane",): number,
            ("lanes",): lambda lanes, *_: "".join(map(number, lanes)),
            ("i32",): number,
            ("i64",): number,
            ("f32",): lambda bits, *_: f" {print_f32(bits)}",
            ("f64",): lambda bits, *_: f" {print_f64(bits)}",
            ("v128",): lambda bits, *_: f" {print_v128(bits)}",
            ("heap",): lambda heap, *_: f" {scope.print_heap(heap)}",
            ("ref",): reference,
            ("refnull",): reference,
            ("castop",): cast,
            ("valtypes",): lambda values, *_: scope.print_results(values),
        }

    def _variable_arities(self) -> dict[str, Callable[..., Arity]]:
        """Operands and results of the instructions where they depend on the immediates and on the context."""
        scope = self._scope

        def called(signature: FuncType, extra: int) -> Arity:
            return len(signature.params) + extra, len(signature.results)

        def call(index: int, *_: object) -> Arity:
            return called(scope.function(index), 0)

        def call_by_type(index: int, *_: object) -> Arity:
            return called(scope.signature(index), 1)

        def ending(arity: Callable[..., Arity]) -> Callable[..., Arity]:
            return lambda *arguments: (arity(*arguments)[0], 0)

        def branch(label: int, *_: object) -> Arity:
            return self._arity_of(label), 0

        def branch_if(label: int, *_: object) -> Arity:
            arity = self._arity_of(label)
            return arity + 1, arity

        def branch_on_null(label: int, *_: object) -> Arity:
            arity = self._arity_of(label) + 1
            return arity, arity

        def branch_on_non_null(label: int, *_: object) -> Arity:
            arity = self._arity_of(label)
            return arity, arity - 1

        def branch_on_cast(label: int, *_: object) -> Arity:
            arity = self._arity_of(label)
            return arity, arity

        return {
            "call": call,
            "call_indirect": call_by_type,
            "call_ref": call_by_type,
            "return_call": ending(call),
            "return_call_indirect": ending(call_by_type),
            "return_call_ref": ending(call_by_type),
            "br": branch,
            "br_if": branch_if,
            "br_table": lambda labels, *_: (self._arity_of(labels[-1]) + 1, 0),
            "return": lambda *_: (self._frames[0].arity, 0),
            "throw": lambda index, *_: (len(scope.tag(index).params), 0),
            "br_on_null": branch_on_null,
            "br_on_non_null": branch_on_non_null,
            "br_on_cast": branch_on_cast,
            "br_on_cast_fail": branch_on_cast,
            "struct.new": lambda index, *_: (scope.field_count(index), 1),
            "array.new_fixed": lambda _, count, *rest: (count, 1),
        }

    def _control_handlers(self) -> dict[str, Handler]:
        """The instructions that open, divide and close blocks."""

        def opening(name: str) -> Handler:
            def open_block(
                params: Sequence[ValueType], results: Sequence[ValueType], index: int | None, *_: object
            ) -> None:
                self._open(name, params, results, index)

            return open_block

        def open_if(params: Sequence[ValueType], results: Sequence[ValueType], index: int | None, *_: object) -> None:
            condition: list[Node] = []
            frame = self._frames[-1]
            if self._folded and frame.values:
                condition = [frame.children.pop()]
                frame.values -= 1
            self._open("if", params, results, index)
            self._frames[-1].part = "then"
            self._frames[-1].parts = condition

        def open_try(params: Sequence[ValueType], results: Sequence[ValueType], index: int | None, *_: object) -> None:
            self._open("try", params, results, index)
            self._frames[-1].part = "do"

        def open_try_table(
            params: Sequence[ValueType],
            results: Sequence[ValueType],
            index: int | None,
            catches: Sequence[tuple[int, int | None, int]],
            *_: object,
        ) -> None:
            clauses = "".join(f" ({self._catch(*clause)})" for clause in catches)
            self._open("try_table", params, results, index)
            self._frames[-1].head += clauses

        def divide_by_tag(tag: int, *_: object) -> None:
            self._divide(f"catch {self._scope.tags.get(tag, tag)}")

        def delegate(depth: int, *_: object) -> None:
            frame = self._frames.pop()
            text = f"delegate {self._label(depth)}"
            self._frames.append(frame)
            if self._folded:
                self._divide(text)
                self._close("")
            else:
                self._close(text)

        def end(*_: object) -> None:
            if len(self._frames) == 1:
                self._nodes = self._frames.pop().children
            else:
                self._close("end")

        return {
            "block": opening("block"),
            "loop": opening("loop"),
            "if": open_if,
            "else": lambda *_: self._divide("else"),
            "try": open_try,
            "catch": divide_by_tag,
            "catch_all": lambda *_: self._divide("catch_all"),
            "delegate": delegate,
            "try_table": open_try_table,
            "end": end,
        }

    def _catch(self, kind: int, tag: int | None, label: int) -> str:
        name = ("catch", "catch_ref", "catch_all", "catch_all_ref")[kind]
        tag_text = "" if tag is None else f" {self._scope.tags.get(tag, tag)}"
        return f"{name}{tag_text} {self._label(label)}"


def _ignore(*_: object) -> None:
    """For slots that no instruction has."""


def _fold(text: str, operands: list[Node]) -> Node:
    lines = [operand for operand in operands if isinstance(operand, str)]
    if len(lines) == len(operands) and len(text) + sum(map(len, lines)) + len(lines) < _WIDTH:
        return f"({text} {' '.join(lines)})"
    return Group(f"({text}", operands)


def _part(name: str, children: list[Node]) -> Node:
    return Group(f"({name}", children) if children else f"({name})"
