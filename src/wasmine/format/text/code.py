"""Instructions in the text format, flat and folded, become bytes of the binary format.

Plain instructions come from the instruction table: `_ENCODERS` has bytes for those without immediates, and otherwise a
function that reads them. Control instructions open and close `Form`s, which are kept on a stack of our own: nesting is
limited by memory only.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, TypeAlias

from wasmine.format import writer
from wasmine.format.instructions import BY_NAME, INSTRUCTIONS, REF_CAST_NULL, REF_TEST_NULL, SELECT_TYPED
from wasmine.format.leb128 import signed, unsigned
from wasmine.format.module import Expression
from wasmine.format.text import literals
from wasmine.format.text.cursor import INDEX_STARTS
from wasmine.format.text.literals import shortened
from wasmine.format.text.types import Space, TypeCursor

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.format.instructions import Instruction
    from wasmine.format.text.lexer import Source

    Reader: TypeAlias = "Callable[[CodeCursor], bytes]"


class Form(enum.Enum):
    """What the parser is inside of: what may come next, for messages, and whether flat and folded instructions may."""

    # The whole of a body or an expression; and an expression that is one folded instruction.
    SEQUENCE = ("an instruction or )", True, True)
    SINGLE = ("a folded instruction", False, True)
    # A folded instruction, before its operands are complete.
    OPERANDS = ("a folded instruction or )", False, True)
    CONDITION = ("a folded instruction or (then", False, True)
    # A folded block, loop or try_table; a `then`, `else`, `do`, `catch` or `catch_all` of a folded `if` or `try`.
    BLOCK = ("an instruction or ) to end the block", True, True)
    ARM = ("an instruction or ) to end this part", True, True)
    # A folded `if` after its `then` and after its `else`; a folded `try` before and after each of its parts.
    IF = ("(else or ) to end the if", False, False)
    IF_ELSE = (") to end the if", False, False)
    TRY = ("(do", False, False)
    TRY_DO = ("(catch, (catch_all, (delegate or ) to end the try", False, False)
    TRY_CATCH = ("(catch, (catch_all or ) to end the try", False, False)
    TRY_LAST = (") to end the try", False, False)
    TRY_DELEGATE = (") to end the try after its delegate", False, False)
    # Flat blocks, which last until their `end` (or `delegate`).
    FLAT = ("an instruction or end", True, True)
    FLAT_IF = ("an instruction, else or end", True, True)
    FLAT_TRY = ("an instruction, catch, catch_all, delegate or end", True, True)
    FLAT_CATCH = ("an instruction, catch, catch_all or end", True, True)

    def __init__(self, expected: str, flat: bool, folded: bool) -> None:
        self.expected = expected
        self.flat = flat
        self.folded = folded


# What the form becomes by a keyword that divides it. Folded: `(then ...)` inside `(if ...)`, and so on.
_FOLDED_PARTS: Final = {
    "then": {Form.CONDITION: Form.IF},
    "else": {Form.IF: Form.IF_ELSE},
    "do": {Form.TRY: Form.TRY_DO},
    "catch": {Form.TRY_DO: Form.TRY_CATCH, Form.TRY_CATCH: Form.TRY_CATCH},
    "catch_all": {Form.TRY_DO: Form.TRY_LAST, Form.TRY_CATCH: Form.TRY_LAST},
    "delegate": {Form.TRY_DO: Form.TRY_DELEGATE},
}
_FLAT_PARTS: Final = {
    "else": {Form.FLAT_IF: Form.FLAT},
    "catch": {Form.FLAT_TRY: Form.FLAT_CATCH, Form.FLAT_CATCH: Form.FLAT_CATCH},
    "catch_all": {Form.FLAT_TRY: Form.FLAT, Form.FLAT_CATCH: Form.FLAT},
}
_FOLDED_OPENINGS: Final = {
    "block": Form.BLOCK,
    "loop": Form.BLOCK,
    "if": Form.CONDITION,
    "try": Form.TRY,
    "try_table": Form.BLOCK,
}
_FLAT_OPENINGS: Final = {
    "block": Form.FLAT,
    "loop": Form.FLAT,
    "if": Form.FLAT_IF,
    "try": Form.FLAT_TRY,
    "try_table": Form.FLAT,
}

# The blocks that a closing parenthesis ends with an `end`, and the forms that it ends without one.
_ENDED: Final = frozenset({Form.BLOCK, Form.IF, Form.IF_ELSE, Form.TRY_DO, Form.TRY_CATCH, Form.TRY_LAST})
_CLOSED: Final = frozenset({Form.ARM, Form.TRY_DELEGATE})
_FLAT: Final = frozenset({Form.FLAT, Form.FLAT_IF, Form.FLAT_TRY, Form.FLAT_CATCH})

_END: Final = BY_NAME["end"].encoding
_DIVIDERS: Final = {keyword: BY_NAME[keyword].encoding for keyword in ("else", "catch", "catch_all", "delegate")}
_HINTED: Final = frozenset({"if", "br_if"})
HINT: Final = "metadata.code.branch_hint"


class Frame:
    """A form that is open. `code` is what follows its operands or its condition; `hint` is that instruction's.

    `label` is the identifier of a block, `name` what people call it.
    """

    __slots__ = ("code", "form", "hint", "label", "name")

    def __init__(
        self,
        form: Form,
        code: bytes = b"",
        hint: int | None = None,
        label: str | None = None,
        name: str | None = None,
    ) -> None:
        self.form = form
        self.label = label
        self.name = name
        self.code = code
        self.hint = hint


class CodeCursor(TypeCursor):
    """Reads bodies and expressions, whose identifiers must all be declared."""

    def __init__(self, source: Source, at: int = 0) -> None:
        super().__init__(source, at)
        self.functions = Space("func")
        self.tables = Space("table")
        self.memories = Space("memory")
        self.globals = Space("global")
        self.tags = Space("tag")
        self.elements = Space("elem segment")
        self.data = Space("data segment")
        self.mentions_data = False  # whether code names data segments, which needs a data count section
        self._begin_body(Space("local"))

    def _begin_body(self, locals: Space) -> None:
        self.locals = locals
        self.hints: list[tuple[int, int]] = []  # branch hints: where in the code, and 1 for likely or 0
        self.label_names: dict[int, str] = {}
        self._label_count = 0
        self._depth = 0
        self._label_depths: dict[str, list[int]] = {}
        self._code = bytearray()
        self._frames: list[Frame] = []

    # ---- what modules are made of

    def body(self, locals: Space) -> bytes:
        """The instructions up to a closing parenthesis, and an `end`. Leaves `hints` and `label_names`."""
        self._begin_body(locals)
        return self._instructions(Form.SEQUENCE, hints=True)

    def expression(self) -> Expression:
        """A constant expression: the instructions up to a closing parenthesis."""
        self._begin_body(Space("local"))
        return Expression(self._instructions(Form.SEQUENCE))

    def folded_expression(self) -> Expression:
        """A constant expression that is one folded instruction."""
        self._begin_body(Space("local"))
        return Expression(self._instructions(Form.SINGLE))

    # ---- the stack of forms

    def _instructions(self, form: Form, hints: bool = False) -> bytes:
        tokens = self.tokens
        annotated = self.source.annotations if hints else {}
        code = self._code
        frames = self._frames
        frames.append(Frame(form))
        while True:
            top = frames[-1]
            token = tokens[self.at]
            hint = self._hint() if self.at in annotated else None
            if token == "(":
                keyword = tokens[self.at + 1]
                encoder = _ENCODERS.get(keyword)
                if encoder is None or not top.form.folded:
                    self._open_folded(top, keyword, hint)
                    continue
                self.at += 2
                plain = encoder if isinstance(encoder, bytes) else encoder(self)
                frames.append(Frame(Form.OPERANDS, plain, hint))
            elif token == ")":
                if len(frames) == 1:
                    break
                self._close_folded(top)
                if form is Form.SINGLE and len(frames) == 1:
                    break
            else:
                encoder = _ENCODERS.get(token)
                if encoder is None or not top.form.flat:
                    self._flat_control(top, token, hint)
                    continue
                self.at += 1
                if hint is not None:
                    self.hints.append((len(code), hint))
                code += encoder if isinstance(encoder, bytes) else encoder(self)
        if form is Form.SINGLE and not code:
            raise self.unexpected(form.expected)
        code += _END
        return bytes(code)

    def _emit(self, frame: Frame) -> None:
        if frame.hint is not None:
            self.hints.append((len(self._code), frame.hint))
        self._code += frame.code

    def _enter(self, frame: Frame) -> None:
        """Emits the instruction that starts a block, whose label is in scope from now on."""
        self._emit(frame)
        self._depth += 1
        if frame.label is not None:
            self._label_depths.setdefault(frame.label, []).append(self._depth)
        if frame.name is not None:
            self.label_names[self._label_count] = frame.name
        self._label_count += 1

    def _leave(self, frame: Frame) -> None:
        self._depth -= 1
        if frame.label is not None:
            self._label_depths[frame.label].pop()

    def _block(self, keyword: str, form: Form, hint: int | None) -> None:
        """Opens a block, whose keyword was accepted."""
        label = self.identifier()
        name = self.annotated_name("label")
        if name is None:
            name = label
        code = BY_NAME[keyword].encoding + self._block_type()
        if keyword == "try_table":
            code += self._catches()
        frame = Frame(form, code, hint, label, name)
        if form is not Form.CONDITION:
            self._enter(frame)
        self._frames.append(frame)

    def _open_folded(self, top: Frame, keyword: str, hint: int | None) -> None:
        if keyword in _FOLDED_OPENINGS and top.form.folded:
            self.at += 2
            self._block(keyword, _FOLDED_OPENINGS[keyword], hint)
            return
        form = _FOLDED_PARTS.get(keyword, {}).get(top.form)
        if form is None:
            self.at += top.form.folded  # where an instruction may stand, the error is about its name
            raise self.unexpected(top.form.expected)
        self.at += 2
        top.form = form
        if keyword == "then":
            self._enter(top)
        elif keyword == "delegate":
            self._delegate(top)
            self.close()
            return
        elif keyword != "do":
            self._divide(keyword)
        self._frames.append(Frame(Form.ARM))

    def _close_folded(self, top: Frame) -> None:
        if top.form is Form.OPERANDS:
            self._emit(top)
        elif top.form in _ENDED:
            self._code += _END
            self._leave(top)
        elif top.form not in _CLOSED:
            raise self.unexpected(top.form.expected)
        self._frames.pop()
        self.at += 1

    def _flat_control(self, top: Frame, keyword: str, hint: int | None) -> None:
        if keyword in _FLAT_OPENINGS and top.form.flat:
            self.at += 1
            self._block(keyword, _FLAT_OPENINGS[keyword], hint)
        elif keyword == "end" and top.form in _FLAT:
            self.at += 1
            self._same_label(top)
            self._code += _END
            self._leave(top)
            self._frames.pop()
        elif keyword == "delegate" and top.form is Form.FLAT_TRY:
            self.at += 1
            self._delegate(top)
            self._frames.pop()
        elif form := _FLAT_PARTS.get(keyword, {}).get(top.form):
            self.at += 1
            top.form = form
            self._divide(keyword)
            if keyword == "else":
                self._same_label(top)
        else:
            raise self.unexpected(top.form.expected)

    def _divide(self, keyword: str) -> None:
        self._code += _DIVIDERS[keyword]
        if keyword == "catch":
            self._code += self.encoded_index(self.tags)

    def _delegate(self, frame: Frame) -> None:
        self._leave(frame)
        self._code += _DIVIDERS["delegate"]
        self._code += self.label()

    def _same_label(self, frame: Frame) -> None:
        """Accepts the label that may be repeated after `else` and `end`."""
        name = literals.identifier(self.tokens[self.at])
        if name is None:
            return
        if name != frame.label:
            found = "no label" if frame.label is None else f"${shortened(frame.label)}"
            raise self.error(f"mismatching label ${shortened(name)}: the block has {found}")
        self.at += 1

    def _hint(self) -> int | None:
        """The branch hint before the instruction that comes next, if there is one."""
        hints = [annotation for annotation in self.source.annotations[self.at] if annotation.name == HINT]
        if not hints:
            return None
        first = hints[0]
        reason = None
        keyword = self.tokens[self.at + (self.tokens[self.at] == "(")]
        value = literals.string(first.tokens[0]) if len(first.tokens) == 1 else None
        if len(hints) > 1:
            reason = "duplicate annotation"
        elif value not in (b"\0", b"\1"):
            reason = 'malformed value: expected "\\00" (unlikely) or "\\01" (likely)'
        elif keyword not in _HINTED:
            reason = f"invalid target: expected if or br_if, found {shortened(keyword)}"
        if reason is not None or value is None:
            raise self.source.error_at(hints[-1].offset, f"@{HINT} annotation: {reason}")
        self.used_annotations.add((self.at, HINT))
        return value[0]

    # ---- immediates

    def label(self) -> bytes:
        """A label, as the number of blocks to leave."""
        token = self.tokens[self.at]
        if token[:1] != "$":
            return unsigned(self.natural(32, "a label"))
        name = literals.identifier(token)
        if name is None:
            raise self.unexpected("a label")
        depths = self._label_depths.get(name)
        if not depths:
            raise self.error(f"unknown label ${shortened(name)}: no enclosing block has it")
        self.at += 1
        return unsigned(self._depth - depths[-1])

    def labels(self) -> bytes:
        """The labels of a `br_table`."""
        labels = [self.label()]
        while self.at_index():
            labels.append(self.label())
        return writer.vector(labels[:-1]) + labels[-1]

    def _block_type(self) -> bytes:
        start = self.at
        if self.tokens[start] != "(":
            return writer.block_type(None)
        explicit = self.explicit_type()
        signature = self.signature(None)
        if explicit is not None:
            self.check_agreement(start, explicit, signature)
            return writer.block_type(explicit)
        if signature.params or len(signature.results) > 1:
            return writer.block_type(self.implicit_type(signature))
        return writer.block_type(signature.results[0] if signature.results else None)

    def _catches(self) -> bytes:
        """The handlers of a `try_table`. Its own label is not in scope."""
        clauses = []
        while self.tokens[self.at] == "(" and (kind := _CATCH_KINDS.get(self.tokens[self.at + 1])) is not None:
            self.at += 2
            tag = self.encoded_index(self.tags) if kind < 2 else b""
            clauses.append(bytes((kind,)) + tag + self.label())
            self.close()
        return writer.vector(clauses)

    def optional_index(self, space: Space) -> bytes:
        """An index that is 0 if it is left out."""
        return self.encoded_index(space) if self.at_index() else b"\0"

    def _leading_index(self, space: Space) -> bytes:
        """An index that is 0 if it is left out, before another index that is not."""
        two = self.at_index() and self.tokens[self.at + 1][:1] in INDEX_STARTS
        return self.encoded_index(space) if two else b"\0"

    def _two_indices(self, space: Space) -> bytes:
        return self.encoded_index(space) + self.encoded_index(space) if self.at_index() else b"\0\0"

    def data_index(self) -> bytes:
        self.mentions_data = True
        return self.encoded_index(self.data)

    def _field(self) -> bytes:
        """A struct type and one of its fields."""
        type_ = self.index(self.types)
        return unsigned(type_) + unsigned(self.index(self.fields.get(type_) or Space("field")))

    def memarg(self, natural_alignment: int) -> bytes:
        """What a memory access says of its memory, offset and alignment."""
        memory = self.index(self.memories) if self.at_index() else 0
        return self._memarg(natural_alignment, memory)

    def _memarg_and_lane(self, natural_alignment: int) -> bytes:
        # A number by itself is the lane, not the memory.
        follower = self.tokens[self.at + 1]
        named = self.at_index() and (follower[:1] in INDEX_STARTS or follower.startswith(("offset=", "align=")))
        memory = self.index(self.memories) if named else 0
        return self._memarg(natural_alignment, memory) + self.lane()

    def _memarg(self, alignment: int, memory: int) -> bytes:
        offset = self._assigned("offset=")
        align = self._assigned("align=")
        if align is not None:
            if align.bit_count() != 1:
                self.at -= 1
                raise self.error(f"alignment must be a power of two, found {align}")
            alignment = align.bit_length() - 1
        return writer.memarg(alignment, memory, offset or 0)

    def _assigned(self, prefix: str) -> int | None:
        """The number in a token `PREFIXnumber`, if one comes next."""
        token = self.tokens[self.at]
        if not token.startswith(prefix):
            return None
        value = literals.natural(token[len(prefix) :], 64)
        if value is None:
            raise self.unexpected(f"a number after {prefix}")
        self.at += 1
        return value

    def lane(self) -> bytes:
        return bytes((self.natural(8, "a lane index"),))

    def _lanes(self) -> bytes:
        """The sixteen lanes of a shuffle."""
        lanes = self.numbers()
        if len(lanes) != 16:
            raise self.error(f"invalid lane length: expected 16 lane indices, found {len(lanes)}")
        result = bytearray()
        for lane in lanes:
            value = literals.natural(lane, 8)
            if value is None:
                raise self.error(f"i8 constant out of range: expected a lane index, found {shortened(lane)}")
            result.append(value)
            self.at += 1
        return bytes(result)

    def integer(self, bits: int) -> bytes:
        value = literals.integer(self.tokens[self.at], bits)
        if value is None:
            raise self.unexpected("an integer")
        self.at += 1
        return signed(value)

    def float(self, bits: int) -> bytes:
        value = literals.float_bits(self.tokens[self.at], bits)
        if value is None:
            raise self.unexpected("a number")
        self.at += 1
        return value.to_bytes(bits // 8, "little")

    def _cast(self) -> bytes:
        """The immediates of `br_on_cast` and `br_on_cast_fail`."""
        label = self.label()
        source, target = self.ref_type(), self.ref_type()
        flags = source.nullable | target.nullable << 1
        return bytes((flags,)) + label + writer.heap_type(source.heap) + writer.heap_type(target.heap)

    def _select(self) -> bytes:
        types = []
        typed = False
        while self.opens("result"):
            typed = True
            types += self.value_types()
        return SELECT_TYPED.encoding + writer.value_types(types) if typed else BY_NAME["select"].encoding

    def _nullable(self, plain: Instruction, null: Instruction) -> bytes:
        """A test or cast, which has an opcode of its own for types with null."""
        type_ = self.ref_type()
        return (null if type_.nullable else plain).encoding + writer.heap_type(type_.heap)


_CATCH_KINDS: Final = {"catch": 0, "catch_ref": 1, "catch_all": 2, "catch_all_ref": 3}

# How the text of an immediate is read, by its kind.
_READERS: Final[dict[str, Reader]] = {
    "label": CodeCursor.label,
    "labels": CodeCursor.labels,
    "func": lambda cursor: cursor.encoded_index(cursor.functions),
    "type": lambda cursor: cursor.encoded_index(cursor.types),
    "local": lambda cursor: cursor.encoded_index(cursor.locals),
    "global": lambda cursor: cursor.encoded_index(cursor.globals),
    "tag": lambda cursor: cursor.encoded_index(cursor.tags),
    "elem": lambda cursor: cursor.encoded_index(cursor.elements),
    "data": CodeCursor.data_index,
    "lane": CodeCursor.lane,
    "lanes": CodeCursor._lanes,
    "i32": lambda cursor: cursor.integer(32),
    "i64": lambda cursor: cursor.integer(64),
    "f32": lambda cursor: cursor.float(32),
    "f64": lambda cursor: cursor.float(64),
    "v128": CodeCursor.vector,
    "heap": lambda cursor: writer.heap_type(cursor.heap_type()),
    "castop": CodeCursor._cast,
    "count": lambda cursor: unsigned(cursor.natural(32, "a number")),
    "zero": lambda _: b"\0",
}


def _after(first: Reader, second: Reader) -> Reader:
    """Reads what comes second in the binary format first."""

    def read(cursor: CodeCursor) -> bytes:
        later = second(cursor)
        return first(cursor) + later

    return read


# Immediates that are read together: their order is another one in the text format, or some may be left out.
_TOGETHER: Final[dict[tuple[str, ...], Reader]] = {
    ("memory",): lambda cursor: cursor.optional_index(cursor.memories),
    ("table",): lambda cursor: cursor.optional_index(cursor.tables),
    ("memory", "memory"): lambda cursor: cursor._two_indices(cursor.memories),
    ("table", "table"): lambda cursor: cursor._two_indices(cursor.tables),
    ("data", "memory"): _after(CodeCursor.data_index, lambda cursor: cursor._leading_index(cursor.memories)),
    ("elem", "table"): _after(_READERS["elem"], lambda cursor: cursor._leading_index(cursor.tables)),
    ("type", "table"): _after(
        lambda cursor: unsigned(cursor.type_use()), lambda cursor: cursor.optional_index(cursor.tables)
    ),
    ("type", "field"): CodeCursor._field,
}

# The three names that stand for two instructions each.
_CHOICES: Final[dict[str, Reader]] = {
    "select": CodeCursor._select,
    "ref.test": lambda cursor: cursor._nullable(BY_NAME["ref.test"], REF_TEST_NULL),
    "ref.cast": lambda cursor: cursor._nullable(BY_NAME["ref.cast"], REF_CAST_NULL),
}


def _immediates(instruction: Instruction) -> Reader:
    """Reads all immediates of an instruction that has some."""
    kinds = tuple(immediate.kind for immediate in instruction.immediates)
    alignment = instruction.alignment
    if kinds == ("memarg",):
        return lambda cursor: cursor.memarg(alignment)
    if kinds == ("memarg", "lane"):
        return lambda cursor: cursor._memarg_and_lane(alignment)
    if kinds in _TOGETHER:
        return _TOGETHER[kinds]
    readers = [_READERS[kind] for kind in kinds]
    if len(readers) == 1:
        return readers[0]
    return lambda cursor: b"".join([read(cursor) for read in readers])


def _encoder(instruction: Instruction) -> bytes | Reader:
    """The code of an instruction: all of it, or what reads its immediates and returns it."""
    encoding = instruction.encoding
    if instruction.name in _CHOICES:
        return _CHOICES[instruction.name]
    if not instruction.immediates:
        return encoding
    read = _immediates(instruction)
    return lambda cursor: encoding + read(cursor)


_CONTROL: Final = _FOLDED_OPENINGS.keys() | _DIVIDERS.keys() | {"end"}
_ENCODERS: Final[dict[str, bytes | Reader]] = {
    instruction.name: _encoder(instruction) for instruction in INSTRUCTIONS if instruction.name not in _CONTROL
}
