"""`Lowering`: the visitor that turns a function body into Python source.

It keeps the abstract operand stack as `Operand`s, Python expressions that are not evaluated yet. An expression stays on
the stack as long as the order of evaluation allows: expressions are evaluated in the order of the stack, and before a
statement is put out, whatever lies on the stack and conflicts with it is stored in a stack variable. `s3` is the stack
variable of height 3, `t3` a scratch name for the operand of height 3, `l3` local 3.

The instructions are in the modules of their families, which each give a table of handlers by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wasmine.format.instructions import INSTRUCTIONS, SLOTS
from wasmine.format.types import F32, F64, I32, I64, V128
from wasmine.interpreter.bounds import LocalBounds, Test, without
from wasmine.interpreter.dispatcher import dispatch
from wasmine.interpreter.operand import (
    ANYTHING,
    CALLS,
    EFFECTS,
    EXPRESSION,
    NAME,
    PRIMARY,
    STATE,
    W32,
    W64,
    Operand,
    Width,
    local_bit,
    slot_bit,
)
from wasmine.interpreter.statements import If, Jump, Label, Leave, Loop
from wasmine.interpreter.structure import Printer, Unstructured
from wasmine.record import record
from wasmine.validation import walk_function

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wasmine.format.types import FuncType, ValueType
    from wasmine.interpreter.bounds import Bounds, LoopBounds
    from wasmine.interpreter.exceptions import Clauses
    from wasmine.interpreter.statements import Block, Body, Try
    from wasmine.validation.context import Context

    Handler = Callable[..., object]
    Node = Block | Loop | If | Try | None

# An expression longer than this is stored in a stack variable: CPython's parser takes 200 nested parentheses at most.
MAX_EXPRESSION: Final = 220

_V128_MASK: Final = (1 << 128) - 1
# The bounds of values of which nothing else is known.
_RANGES: Final[dict[ValueType, tuple[int, int]]] = {I32: (0, W32.mask), I64: (0, W64.mask), V128: (0, _V128_MASK)}
_NO_RANGE: Final = (0, 0)
_ZEROS: Final[dict[ValueType, str]] = {I32: "0", I64: "0", F32: "0.0", F64: "0.0", V128: "0"}
_WIDTHS: Final[dict[ValueType, Width]] = {I32: W32, I64: W64}


@record
class Lowered:
    """A function as Python source: one `def` named `f`.

    `needs` are the names that the namespace must have beyond the helpers: what each is, as (kind, index). `tail` says
    whether the function ends in tail calls: what it returns may then be a `Tail` to go on with.
    """

    source: str
    needs: dict[str, tuple[str, Any]]
    tail: bool


class Frame:
    """A control frame: a block, loop, if, try or the function itself. What lies below it on the stack was stored before.

    `base` is the height of the operand stack below its parameters; `branch_types` are what a branch to it takes. `out`
    is the body that the frame's node is in, `saved` the parameters for the other arm of an `if`, `clauses` belong to a
    `try`. `assigned` are the bits of the locals that were assigned inside, `bounds` what was known of locals before it;
    `otherwise` what is known where an `if`'s condition fails, `loop` is kept for a loop.
    """

    __slots__ = (
        "assigned",
        "base",
        "bounds",
        "branch_types",
        "clauses",
        "kind",
        "label",
        "loop",
        "node",
        "otherwise",
        "out",
        "results",
        "saved",
    )

    def __init__(
        self,
        kind: str,
        label: Label,
        base: int,
        params: Sequence[ValueType],
        results: Sequence[ValueType],
        node: Node,
        out: Body,
    ) -> None:
        self.kind = kind
        self.label = label
        self.base = base
        self.results = results
        self.branch_types = params if kind == "loop" else results
        self.node = node
        self.out = out
        self.saved: list[Operand] = []
        self.clauses: Clauses | None = None
        self.assigned = 0
        self.bounds: Bounds = {}
        self.otherwise: Bounds = {}
        self.loop: LoopBounds | None = None


class Lowering:
    """Lowers the functions of one module, one at a time; not for several threads at once."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.stack: list[Operand] = []
        self._plain = _handlers(self)
        self.handlers = self._plain
        self._position: Callable[[], int] = int
        self._offset = 0
        self._annotated = False
        self._reset(-1, [], 0, ())

    def _reset(
        self,
        index: int,
        types: list[ValueType],
        parameters: int,
        results: Sequence[ValueType],
        known: list[LoopBounds] | None = None,
    ) -> None:
        self.index = index
        self.types = types
        self.results = results
        self.stack.clear()
        self.body: Body = []
        self.out = self.body
        self.needs: dict[str, tuple[str, Any]] = {}
        self.tail = False
        self.repeats = False  # whether it tail-calls itself
        self.delegates = False  # whether it delegates exceptions to its caller
        self._numbers = 0
        # The locals that were used, and those that were written before they could be read.
        self.used: set[int] = set()
        self.written: set[int] = set()
        self._locals: dict[int, Operand] = {}  # of which no more is known than the type
        self.bounds = LocalBounds(known)
        # Declared locals start with zero.
        for number in range(parameters, min(len(types), parameters + 64)):
            if types[number] in _WIDTHS:
                self.bounds.set(number, 0, 0)
        self.frames: list[Frame] = [Frame("function", Label(), 0, (), results, None, self.body)]

    # ------------------------------------------------------------------------------------------------ a function

    def lower(self, index: int, annotated: bool = False) -> Lowered:
        """The function's source. `annotated` adds the offset of the instruction to lines, in a comment."""
        self._annotated = annotated
        self.handlers = [self._annotating(handler) for handler in self._plain] if annotated else self._plain
        self._walk(index)
        loops = None
        if any(loop.useful for loop in self.bounds.loops):
            loops = self.bounds.loops
            self._walk(index, loops)
        try:
            lines = Printer().print(self.body)
        except Unstructured:
            # The printer rewrote the tree; the dispatcher needs a fresh one.
            self._walk(index, loops)
            lines = dispatch(self.body)
        if self.delegates:
            lines = _undelegate(lines)
        parameters = len(self.context.signatures[index].params)
        head = f"def f({', '.join(f'l{i}' for i in range(parameters))}):"
        prologue = [] if self.repeats else [f" {line}" for line in self._prologue(parameters)]
        return Lowered("\n".join([head, *prologue, *lines, ""]), self.needs, self.tail)

    def _walk(self, index: int, known: list[LoopBounds] | None = None) -> None:
        context = self.context
        signature = context.signatures[index]
        types: list[ValueType] = list(signature.params)
        for count, type in context.syntax.code[index - context.imported_functions].locals:
            types += [type] * count
        self._reset(index, types, len(signature.params), signature.results, known)
        walk_function(context, index, self)
        if self.repeats:
            # Every turn starts with fresh locals.
            loop = Loop(self.frames[0].label)
            loop.body = [*self._prologue(len(signature.params)), *self.body]
            self.body = [loop]

    def begin(self, position: Callable[[], int]) -> None:
        """Called by the walk before the first instruction."""
        self._position = position
        self._offset = position()

    def note(self) -> str:
        """The comment with the offset of the instruction, for a line that it puts out; "" where none are wanted."""
        return f"  # {self._offset:#x}" if self._annotated else ""

    def _annotating(self, handler: Handler) -> Handler:
        def call(*immediates: Any) -> None:
            out = self.out
            before = len(out)
            handler(*immediates)
            note = self.note()
            for i in range(before, len(out)):
                item = out[i]
                if isinstance(item, str):
                    out[i] = item + note
                elif isinstance(item, If | Leave):
                    item.note = note
            # An instruction starts where the one before it ended.
            self._offset = self._position()

        return call

    def _prologue(self, parameters: int) -> list[str]:
        """The initial values of the declared locals that may be read before they are written."""
        by_zero: dict[str, list[str]] = {}
        for number in sorted(self.used - self.written):
            if number >= parameters:
                by_zero.setdefault(_ZEROS.get(self.types[number], "None"), []).append(f"l{number}")
        lines = []
        for zero, names in by_zero.items():
            lines += [f"{' = '.join(names[i : i + 50])} = {zero}" for i in range(0, len(names), 50)]
        return lines

    # ------------------------------------------------------------------------------------------------ the stack

    def push(self, text: str, type: ValueType, reads: int, grade: int = EXPRESSION) -> None:
        """Push an expression of which no more is known than its type."""
        low, high = _RANGES.get(type, _NO_RANGE)
        self.stack.append(Operand(text, grade, low, high, reads))
        if len(text) > MAX_EXPRESSION:
            self.spill(len(self.stack) - 1)

    def push_slot(self, type: ValueType) -> str:
        """Push the stack variable of the new height, for a statement that assigns it; its name."""
        height = len(self.stack)
        name = f"s{height}"
        low, high = _RANGES.get(type, _NO_RANGE)
        self.stack.append(Operand(name, NAME, low, high, slot_bit(height)))
        return name

    def shorten(self) -> None:
        """Store the top operand in its stack variable if its expression has become long."""
        if len(self.stack[-1].text) > MAX_EXPRESSION:
            self.spill(len(self.stack) - 1)

    def spill(self, height: int) -> None:
        """Store the operand of this height in its stack variable."""
        operand = self.stack[height]
        name = f"s{height}"
        if operand.text == name:
            return
        bit = slot_bit(height)
        # Until it is stored it is no longer pending: it must not be in conflict with itself.
        stored = Operand(name, NAME, operand.low, operand.high, bit)
        self.stack[height] = stored
        for other in range(self.frames[-1].base, len(self.stack)):
            if other != height and self.stack[other].reads & bit:
                self.spill(other)
        if operand.reads & ANYTHING:
            self.settle(operand.reads, 0, height)
        self.out.append(f"{name} = {operand.value}")

    def settle(self, reads: int, writes: int, height: int | None = None) -> None:
        """Store the operands (below `height`) that conflict with a statement which reads and writes these bits."""
        conflicts = writes
        if reads & STATE:
            conflicts |= CALLS
        if reads & EFFECTS or writes & ANYTHING:
            conflicts |= EFFECTS
        if reads & CALLS:
            conflicts |= STATE
        stack = self.stack
        for i in range(self.frames[-1].base, len(stack) if height is None else height):
            if stack[i].reads & conflicts:
                self.spill(i)

    def settle_effects(self, below: int | None = None) -> None:
        """Store every operand (below a height) that may trap or does something: control may be going elsewhere."""
        for i in range(self.frames[-1].base, len(self.stack) if below is None else below):
            if self.stack[i].reads & EFFECTS:
                self.spill(i)

    def before_condition(self, reads: int) -> None:
        """Make ready for a branch on a condition that reads this; the stack may live on behind it."""
        if self.stack:
            self.settle_effects()
            self.settle(reads, 0)

    def spill_all(self, params: int = 0) -> None:
        """Store every operand but literals, and of the top `params` operands those too."""
        stack = self.stack
        first_param = len(stack) - params
        for i in range(self.frames[-1].base, len(stack)):
            if stack[i].reads or stack[i].grade != NAME or i >= first_param:
                self.spill(i)

    def statement(self, text: str, reads: int, writes: int = 0) -> None:
        """Put out a line after what it is in conflict with."""
        if self.stack:
            self.settle(reads, writes)
        self.out.append(text)

    def stored(self, type: ValueType, operand: Operand, height: int) -> Operand:
        """The operand as locals, stack variables, arguments and results hold it: exact, and no Python bool."""
        width = _WIDTHS.get(type)
        if width is None:
            return operand
        if operand.truth:
            return Operand(operand.value, EXPRESSION, 0, 1, operand.reads)
        return width.exact(operand, f"t{height}")

    def arguments(self, types: Sequence[ValueType]) -> tuple[int, str]:
        """Operands of these types, popped, as arguments of a call: what they read, and the text."""
        operands = self.pop_all(types)
        reads = 0
        for operand in operands:
            reads |= operand.reads
        return reads, ", ".join([operand.text for operand in operands])

    def in_order(self, count: int) -> None:
        """Store the top operands if what Python evaluates in another order has effects."""
        first = len(self.stack) - count
        if any(operand.reads & EFFECTS for operand in self.stack[first + 1 :]):
            for height in range(first, len(self.stack)):
                if self.stack[height].reads & ANYTHING:
                    self.spill(height)

    def no_calls(self, count: int) -> None:
        """Store those of the top operands that call: a memory may grow between the name of its view and its use."""
        for height in range(len(self.stack) - count, len(self.stack)):
            if self.stack[height].reads & CALLS:
                self.spill(height)

    def pop_all(self, types: Sequence[ValueType]) -> list[Operand]:
        """Pop operands of these types, as they are stored."""
        if not types:
            return []
        base = len(self.stack) - len(types)
        operands = self.stack[base:]
        del self.stack[base:]
        return [
            self.stored(type, operand, base + i) for i, (type, operand) in enumerate(zip(types, operands, strict=True))
        ]

    def local(self, index: int) -> Operand:
        """A local as an operand."""
        self.used.add(index)
        known = self.bounds.at.get(index)
        if known is not None:
            return Operand(f"l{index}", NAME, *known, local_bit(index))
        found = self._locals.get(index)
        if found is None:
            low, high = _RANGES.get(self.types[index], _NO_RANGE)
            found = self._locals[index] = Operand(f"l{index}", NAME, low, high, local_bit(index))
        return found

    def assign(self, index: int, operand: Operand) -> None:
        """Put out the assignment of a popped operand to a local."""
        type = self.types[index]
        operand = self.stored(type, operand, len(self.stack))
        bit = local_bit(index)
        if index not in self.used:
            self.used.add(index)
            if len(self.frames) == 1:
                self.written.add(index)
        if self.stack:
            self.settle(operand.reads, bit)
        if operand.text != f"l{index}":
            self.out.append(f"l{index} = {operand.text}")
        self.frames[-1].assigned |= bit
        width = _WIDTHS.get(type)
        if width is not None and (operand.low > 0 or operand.high < width.mask):
            self.bounds.set(index, operand.low, operand.high)
        else:
            self.bounds.forget(index)

    def need(self, prefix: str, kind: str, index: int) -> str:
        """The name in the namespace of something of the instance."""
        name = f"{prefix}{index}"
        self.needs[name] = (kind, index)
        return name

    def number(self) -> int:
        """A number from 1 on that this function has not used yet."""
        self._numbers += 1
        return self._numbers

    def call(self, callee: str, signature: FuncType, reads: int = 0) -> None:
        """Call with the arguments on the stack; push the results. The callee `reads` this."""
        more, arguments = self.arguments(signature.params)
        reads |= more | CALLS
        text = f"{callee}({arguments})"
        results = signature.results
        if len(results) == 1:
            self.push(text, results[0], reads, PRIMARY)
            return
        if not results:
            self.statement(text, reads)
            return
        height = len(self.stack)
        for i in range(len(results)):
            self.settle(reads, slot_bit(height + i))
        names = [f"s{height + i}" for i in range(len(results))]
        self.out.append(f"{', '.join(names)} = {text}")
        for type in results:
            self.push_slot(type)

    # ------------------------------------------------------------------------------------------------ control

    def enter(
        self, kind: str, params: Sequence[ValueType], results: Sequence[ValueType], node: Node, label: Label, body: Body
    ) -> Frame:
        """Open a frame for a node that was put out; what follows goes into `body`."""
        frame = Frame(kind, label, len(self.stack) - len(params), params, results, node, self.out)
        frame.bounds = self.bounds.at
        self.bounds.at = dict(frame.bounds)
        self.frames.append(frame)
        self.out = body
        return frame

    def close(self) -> None:
        """Close the innermost frame: what follows goes behind its node, and its results are on the stack."""
        frame = self.frames.pop()
        self.out = frame.out
        self.frames[-1].assigned |= frame.assigned
        self._join(frame)
        self.reset_stack(frame.base, frame.results)

    def _join(self, frame: Frame) -> None:
        """Set the bounds behind the end of a frame's node."""
        kept = without(frame.bounds, frame.assigned)
        if frame.kind == "loop":
            # Control comes only from the end of the body.
            self.bounds.at = kept | self.bounds.at
        elif frame.label.uses or frame.kind != "block":
            self.bounds.at = kept

    def reset_stack(self, base: int, types: Sequence[ValueType]) -> None:
        """Cut the stack at `base` and push the stack variables above it."""
        del self.stack[base:]
        for type in types:
            self.push_slot(type)

    def fall(self, frame: Frame) -> None:
        """Put out what brings the results to where the end of the frame's node has them."""
        self.settle_effects(len(self.stack) - len(frame.results))
        self.out += self._moves(frame.base, frame.results)

    def _moves(self, base: int, types: Sequence[ValueType]) -> list[str]:
        """The lines that move the top operands to the stack variables from `base` on. The stack stays as it is."""
        first = len(self.stack) - len(types)
        targets, texts = [], []
        overlap = False
        written = 0
        for i, type in enumerate(types):
            operand = self.stored(type, self.stack[first + i], first + i)
            target = f"s{base + i}"
            if operand.text == target:
                continue
            overlap = overlap or bool(operand.reads & written)
            written |= slot_bit(base + i)
            targets.append(target)
            texts.append(operand.text)
        if overlap:
            return [f"{', '.join(targets)} = {', '.join(texts)}"]
        return [f"{target} = {text}" for target, text in zip(targets, texts, strict=True)]

    def leave(self) -> Leave:
        """The return of the top operands."""
        start = len(self.stack) - len(self.results)
        texts = [self.stored(type, self.stack[start + i], start + i).text for i, type in enumerate(self.results)]
        return Leave(f"return {', '.join(texts)}" if texts else "return")

    def branch(self, depth: int) -> Body:
        """The body of a branch: moves and a jump, or a return."""
        frame = self.frames[-1 - depth]
        if frame.kind == "function":
            return [self.leave()]
        if frame.loop is not None:
            frame.loop.returns(self.bounds.at)
        return [*self._moves(frame.base, frame.branch_types), Jump(frame.label)]

    def branch_if(self, condition: Operand, height: int, depth: int) -> None:
        """Put out a branch on a condition that was popped from this height."""
        text = self.condition(condition, height)
        self.before_condition(condition.reads)
        before = self.bounds.at
        self.bounds.at = narrowed(before, condition, True)
        self.out.append(If(text, self.branch(depth)))
        self.bounds.at = narrowed(before, condition, False)

    def condition(self, operand: Operand, height: int) -> str:
        """The i32 operand that was popped from this height, as an expression for its truth."""
        if not operand.truth and (operand.low <= -W32.modulus or operand.high >= W32.modulus):
            return W32.exact(operand, f"t{height}").text
        return operand.text


def narrowed(bounds: Bounds, condition: Operand, truth: bool) -> Bounds:
    """The bounds where a condition has this truth."""
    tests = condition.tests
    if not tests and condition.local >= 0:
        tests = (Test(condition.local, (1, condition.high), (0, 0)),)
    for test in tests:
        bounds = test.narrowed(bounds, truth)
    return bounds


def _undelegate(lines: list[str]) -> list[str]:
    """The body of a function that delegates exceptions to its caller: there they are ordinary exceptions again."""
    return [
        " try:",
        *(f" {line}" for line in lines),
        " except Thrown as e:",
        "  e.target = 0",
        "  raise",
    ]


def _handlers(lowering: Lowering) -> list[Handler]:
    from wasmine.interpreter import (
        aggregate,
        control,
        exceptions,
        floating,
        integer,
        memory,
        reference,
        shared,
        table,
        tail,
        variable,
        vector,
    )

    by_name: dict[str, Handler] = {}
    families = (
        control,
        tail,
        exceptions,
        variable,
        table,
        memory,
        integer,
        floating,
        reference,
        aggregate,
        vector,
        shared,
    )
    for family in families:
        by_name.update(family.handlers(lowering))
    handlers: list[Handler] = [int] * SLOTS
    for instruction in INSTRUCTIONS:
        handlers[instruction.slot] = by_name[instruction.name]
    return handlers
