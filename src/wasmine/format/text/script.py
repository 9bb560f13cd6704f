"""Scripts (`.wast`): the commands of the specification's test suite, as plain data.

`parse_script` yields commands in order. A module in a command is a `ModuleSource` that is parsed only when its `parse` is
called, so that a malformed one is the business of whoever runs the command and not of the script around it.

Numbers in arguments and results are bit patterns (`Number.bits`, unsigned), so nothing of a NaN is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from wasmine.errors import DecodeError
from wasmine.format.text import literals
from wasmine.format.text.cursor import Cursor
from wasmine.format.text.lexer import Source
from wasmine.format.text.parser import DECLARATIONS, ModuleParser, parse_quoted
from wasmine.format.text.types import HEAPS
from wasmine.format.types import F32, F64, I32, I64, V128, Heap, NumberType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wasmine.format.module import ModuleSyntax

# ---- modules in commands -------------------------------------------------------------------------------------------
# `line` is the line of the script on which the module starts, from 1.


@dataclass(frozen=True, slots=True)
class TextModule:
    """`(module $id? ...)` written out in the script: the tokens from `start` on, which is after `(module`."""

    id: str | None
    line: int
    source: Source = field(repr=False)
    start: int

    def parse(self) -> ModuleSyntax:
        """The module. DecodeError (with line and column in the script) if it is malformed."""
        return ModuleParser(self.source, self.start).contents()


@dataclass(frozen=True, slots=True)
class BinaryModule:
    """`(module $id? binary "...")`: a module in the binary format."""

    id: str | None
    line: int
    binary: bytes

    def parse(self) -> ModuleSyntax:
        """The module. DecodeError (with an offset) if it is malformed."""
        from wasmine.format.reader import read

        return read(self.binary)


@dataclass(frozen=True, slots=True)
class QuotedModule:
    """`(module $id? quote "...")`: a module in the text format, given as a string (`text`, not yet decoded)."""

    id: str | None
    line: int
    text: bytes

    def parse(self) -> ModuleSyntax:
        """The module. DecodeError (with line and column in `text`) if it is malformed."""
        return parse_quoted(self.text)


ModuleSource: TypeAlias = TextModule | BinaryModule | QuotedModule

# ---- arguments and expected results --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """A number or, as an argument, a vector. `bits` is its bit pattern as an unsigned int (lane 0 lowest)."""

    type: NumberType
    bits: int


@dataclass(frozen=True, slots=True)
class Nan:
    """Expected: a NaN of `type` (F32 or F64), either sign. `canonical`: only the quiet bit of the payload is set;
    otherwise (arithmetic) at least the quiet bit is."""

    type: NumberType
    canonical: bool


@dataclass(frozen=True, slots=True)
class Vector:
    """Expected: a v128, lane by lane (lane 0 first). `lane_bits` is the width of a lane; float lanes may be `Nan`."""

    lane_bits: int
    lanes: tuple[int | Nan, ...]


@dataclass(frozen=True, slots=True)
class Null:
    """A null reference. `heap` is its type, None where the script does not say (as an expected result)."""

    heap: Heap | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """The host reference number `value`: `(ref.extern N)`, or `(ref.host N)`, which is one taken as an anyref."""

    value: int
    internal: bool = False


@dataclass(frozen=True, slots=True)
class AnyReference:
    """Expected: any reference to something of this heap type that is not null, `(ref.func)`, `(ref.struct)` and so on."""

    heap: Heap


@dataclass(frozen=True, slots=True)
class Either:
    """Expected: one of these."""

    alternatives: tuple[Result, ...]


Argument: TypeAlias = Number | Null | Host
Result: TypeAlias = Number | Nan | Vector | Null | Host | AnyReference | Either

# ---- commands ------------------------------------------------------------------------------------------------------
# `line` is the line of the script, from 1. Identifiers are without their `$`. Where a command names a module by an
# identifier that is None, it means the instance made last.


@dataclass(frozen=True, slots=True)
class Module:
    """Instantiate a module; it becomes the current instance and is called `module.id` where that is given."""

    line: int
    module: ModuleSource


@dataclass(frozen=True, slots=True)
class Definition:
    """`(module definition $id? ...)`: check a module and keep it, as `module.id` and as the last one, for `Instance`."""

    line: int
    module: ModuleSource


@dataclass(frozen=True, slots=True)
class Instance:
    """`(module instance $id $definition)`: instantiate a kept definition, the last one if `definition` is None."""

    line: int
    id: str | None
    definition: str | None


@dataclass(frozen=True, slots=True)
class Register:
    """Make the exports of an instance importable under `name`."""

    line: int
    name: str
    instance: str | None


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call an exported function; by itself, whatever it returns."""

    line: int
    instance: str | None
    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Get:
    """Read an exported global."""

    line: int
    instance: str | None
    name: str


Action: TypeAlias = Invoke | Get


@dataclass(frozen=True, slots=True)
class AssertReturn:
    """The action returns values that match `results`, in number too."""

    line: int
    action: Action
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class AssertTrap:
    """The action traps. (`assert_trap` of a module is an `AssertUninstantiable`.)"""

    line: int
    action: Action
    message: str


@dataclass(frozen=True, slots=True)
class AssertExhaustion:
    """The action exhausts the call stack."""

    line: int
    action: Action
    message: str


@dataclass(frozen=True, slots=True)
class AssertException:
    """The action ends in an uncaught WebAssembly exception."""

    line: int
    action: Action


@dataclass(frozen=True, slots=True)
class AssertMalformed:
    """The module is malformed: parsing it raises DecodeError. `custom`: it is so in a custom section or annotation."""

    line: int
    module: ModuleSource
    message: str
    custom: bool = False


@dataclass(frozen=True, slots=True)
class AssertInvalid:
    """The module is well-formed but invalid. `custom`: it is so in a custom section or annotation, where parsing may
    already find it."""

    line: int
    module: ModuleSource
    message: str
    custom: bool = False


@dataclass(frozen=True, slots=True)
class AssertUnlinkable:
    """The module is valid, but its imports cannot be satisfied."""

    line: int
    module: ModuleSource
    message: str


@dataclass(frozen=True, slots=True)
class AssertUninstantiable:
    """The module is valid and links, but traps during instantiation."""

    line: int
    module: ModuleSource
    message: str


@dataclass(frozen=True, slots=True)
class Thread:
    """`(thread $id (shared (module $M))* command*)`: run commands in a thread with a registry and instances of its own.

    `shared` are instances of the script that the thread can name (and register) too.
    """

    line: int
    id: str
    shared: tuple[str, ...]
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for a thread to end; the assertions in it count as the script's."""

    line: int
    thread: str


Command: TypeAlias = (
    Module
    | Definition
    | Instance
    | Register
    | Invoke
    | Get
    | AssertReturn
    | AssertTrap
    | AssertExhaustion
    | AssertException
    | AssertMalformed
    | AssertInvalid
    | AssertUnlinkable
    | AssertUninstantiable
    | Thread
    | Wait
)

# ---- parsing -------------------------------------------------------------------------------------------------------


def parse_script(text: str) -> Iterator[Command]:
    """The commands of a script, one after the other; a script may also be just the fields of one module.

    DecodeError, with line and column, once a command is malformed. (Malformed modules are another matter: see
    `ModuleSource`.)
    """
    parser = _ScriptParser(Source(text))
    try:
        yield from parser.script()
    except DecodeError as error:
        raise parser.placed(error) from None


_MODULE_FIELDS: Final = frozenset(DECLARATIONS)
_LITERALS: Final = {
    I32: (literals.integer, 32),
    I64: (literals.integer, 64),
    F32: (literals.float_bits, 32),
    F64: (literals.float_bits, 64),
}
_NUMBERS: Final = {f"{type_}.const": type_ for type_ in _LITERALS}
_FLOAT_LANES: Final = {"f32x4": F32, "f64x2": F64}
_NANS: Final = {"nan:canonical": True, "nan:arithmetic": False}
# Expected results that say only what kind of reference it is.
_KINDS_OF_REFERENCE: Final = {
    f"ref.{heap}": heap
    for heap in (Heap.FUNC, Heap.EXTERN, Heap.STRUCT, Heap.ARRAY, Heap.I31, Heap.EQ, Heap.ANY, Heap.EXN)
}


class _ScriptParser(Cursor):
    """Reads commands. Nothing in a script nests deeper than a result in an assertion in a thread."""

    def script(self) -> Iterator[Command]:
        if self.tokens[0] == "(" and self.tokens[1] in _MODULE_FIELDS:
            yield Module(self.source.line(0), TextModule(None, self.source.line(0), self.source, 0))
            return
        while self.tokens[self.at]:
            yield self._command(_COMMANDS)

    def _command(self, commands: dict[str, Callable[[_ScriptParser, int], Command]]) -> Command:
        line = self.source.line(self.at)
        if self.tokens[self.at] != "(":
            raise self.unexpected("a command")
        self.at += 1
        read = commands.get(self.tokens[self.at])
        if read is None:
            raise self.unexpected("a command")
        self.at += 1
        command = read(self, line)
        self.close()
        return command

    # ---- modules

    def _module(self, line: int) -> Command:
        if self.accepts("definition"):
            return Definition(line, self._module_source())
        if self.accepts("instance"):
            return Instance(line, self.identifier(), self.identifier())
        return Module(line, self._module_source())

    def _module_source(self) -> ModuleSource:
        """A module after its `(module`, up to its closing parenthesis."""
        start = self.at
        line = self.source.line(start - 1)
        identifier = self.identifier()
        if self.accepts("binary"):
            return BinaryModule(identifier, line, self.strings())
        if self.accepts("quote"):
            return QuotedModule(identifier, line, self.strings())
        self.skip()
        self.at -= 1
        return TextModule(identifier, line, self.source, start)

    def _whole_module(self) -> ModuleSource:
        self.open("module")
        source = self._module_source()
        self.close()
        return source

    def _register(self, line: int) -> Register:
        return Register(line, self.name(), self.identifier())

    # ---- actions

    def _invoke(self, line: int) -> Invoke:
        instance = self.identifier()
        name = self.name()
        arguments = []
        while self.tokens[self.at] == "(":
            arguments.append(self._argument())
        return Invoke(line, instance, name, tuple(arguments))

    def _get(self, line: int) -> Get:
        return Get(line, self.identifier(), self.name())

    def _action(self) -> Action:
        line = self.source.line(self.at)
        action: Action
        if self.opens("invoke"):
            action = self._invoke(line)
        else:
            self.open("get")
            action = self._get(line)
        self.close()
        return action

    # ---- assertions

    def _assert_return(self, line: int) -> AssertReturn:
        action = self._action()
        results = []
        while self.tokens[self.at] == "(":
            results.append(self._result())
        return AssertReturn(line, action, tuple(results))

    def _assert_trap(self, line: int) -> AssertTrap | AssertUninstantiable:
        if self.tokens[self.at + 1] == "module":
            return AssertUninstantiable(line, self._whole_module(), self.name())
        return AssertTrap(line, self._action(), self.name())

    def _assert_exhaustion(self, line: int) -> AssertExhaustion:
        return AssertExhaustion(line, self._action(), self.name())

    def _assert_exception(self, line: int) -> AssertException:
        return AssertException(line, self._action())

    def _assert_malformed(self, line: int) -> AssertMalformed:
        return AssertMalformed(line, self._whole_module(), self.name())

    def _assert_malformed_custom(self, line: int) -> AssertMalformed:
        return AssertMalformed(line, self._whole_module(), self.name(), custom=True)

    def _assert_invalid(self, line: int) -> AssertInvalid:
        return AssertInvalid(line, self._whole_module(), self.name())

    def _assert_invalid_custom(self, line: int) -> AssertInvalid:
        return AssertInvalid(line, self._whole_module(), self.name(), custom=True)

    def _assert_unlinkable(self, line: int) -> AssertUnlinkable:
        return AssertUnlinkable(line, self._whole_module(), self.name())

    def _assert_uninstantiable(self, line: int) -> AssertUninstantiable:
        return AssertUninstantiable(line, self._whole_module(), self.name())

    # ---- threads

    def _thread(self, line: int) -> Thread:
        identifier = self._thread_identifier()
        shared = []
        while self.opens("shared"):
            self.open("module")
            instance = self.identifier()
            if instance is None:
                raise self.unexpected("an identifier")
            shared.append(instance)
            self.close()
            self.close()
        commands = []
        while self.tokens[self.at] == "(":
            commands.append(self._command(_COMMANDS_IN_THREADS))
        return Thread(line, identifier, tuple(shared), tuple(commands))

    def _wait(self, line: int) -> Wait:
        return Wait(line, self._thread_identifier())

    def _thread_identifier(self) -> str:
        identifier = self.identifier()
        if identifier is None:
            raise self.unexpected("an identifier")
        return identifier

    # ---- values

    def _value_keyword(self, expected: str) -> str:
        """The keyword of a value, which is accepted together with its parenthesis."""
        if self.tokens[self.at] != "(":
            raise self.unexpected(expected)
        self.at += 2
        return self.tokens[self.at - 1]

    def _argument(self) -> Argument:
        keyword = self._value_keyword("an argument")
        argument: Argument
        if type_ := _NUMBERS.get(keyword):
            argument = Number(type_, self._bits(*_LITERALS[type_]))
        elif keyword == "v128.const":
            argument = Number(V128, int.from_bytes(self.vector(), "little"))
        elif reference := self._reference(keyword):
            argument = reference
        else:
            self.at -= 1
            raise self.unexpected("an argument such as i32.const or ref.null")
        self.close()
        return argument

    def _result(self) -> Result:
        """An expected result, or several in `either`."""
        if not self.opens("either"):
            return self._single_result()
        alternatives = []
        while self.tokens[self.at] == "(":
            alternatives.append(self._single_result())
        self.close()
        return Either(tuple(alternatives))

    def _single_result(self) -> Result:
        keyword = self._value_keyword("a result")
        result: Result
        if type_ := _NUMBERS.get(keyword):
            result = self._nan(type_) or Number(type_, self._bits(*_LITERALS[type_]))
        elif keyword == "v128.const":
            result = Vector(*self._lanes())
        elif keyword in _KINDS_OF_REFERENCE and not (keyword == "ref.extern" and self.at_index()):
            if self.at_index():  # `(ref.func 3)` says no more than `(ref.func)`
                self.at += 1
            result = AnyReference(_KINDS_OF_REFERENCE[keyword])
        elif reference := self._reference(keyword):
            result = reference
        else:
            self.at -= 1
            raise self.unexpected("a result such as i32.const, ref.null or either")
        self.close()
        return result

    def _reference(self, keyword: str) -> Null | Host | None:
        """The rest of a reference after its keyword, or None if it is no reference that has a value."""
        if keyword == "ref.null":
            if self.tokens[self.at] == ")":
                return Null()
            heap = HEAPS.get(self.tokens[self.at])
            if heap is None and not self.at_index():
                raise self.unexpected("a heap type")
            self.at += 1
            return Null(heap)
        if keyword in ("ref.extern", "ref.host"):
            return Host(self.natural(32, "a number"), internal=keyword == "ref.host")
        return None

    def _nan(self, type_: NumberType) -> Nan | None:
        """The class of NaNs that comes next, if one does."""
        canonical = _NANS.get(self.tokens[self.at])
        if canonical is None or type_ not in (F32, F64):
            return None
        self.at += 1
        return Nan(type_, canonical)

    def _bits(self, literal: literals.Number, bits: int) -> int:
        """The bit pattern of the number that comes next."""
        value = literal(self.tokens[self.at], bits)
        if value is None:
            raise self.unexpected("a number")
        self.at += 1
        return value & (1 << bits) - 1

    def _lanes(self) -> tuple[int, tuple[int | Nan, ...]]:
        """The width of the lanes of a vector, and the lanes, after `v128.const`."""
        shape = literals.SHAPES.get(self.tokens[self.at])
        if shape is None:
            raise self.unexpected("a shape such as i32x4")
        literal, bits = shape
        type_ = _FLOAT_LANES.get(self.tokens[self.at])
        self.at += 1
        lanes: list[int | Nan] = []
        for _ in range(128 // bits):
            nan = self._nan(type_) if type_ is not None else None
            lanes.append(nan or self._bits(literal, bits))
        return bits, tuple(lanes)


_COMMANDS_IN_THREADS: Final[dict[str, Callable[[_ScriptParser, int], Command]]] = {
    "module": _ScriptParser._module,
    "register": _ScriptParser._register,
    "invoke": _ScriptParser._invoke,
    "get": _ScriptParser._get,
    "assert_return": _ScriptParser._assert_return,
    "assert_trap": _ScriptParser._assert_trap,
    "assert_exhaustion": _ScriptParser._assert_exhaustion,
    "assert_exception": _ScriptParser._assert_exception,
    "assert_malformed": _ScriptParser._assert_malformed,
    "assert_malformed_custom": _ScriptParser._assert_malformed_custom,
    "assert_invalid": _ScriptParser._assert_invalid,
    "assert_invalid_custom": _ScriptParser._assert_invalid_custom,
    "assert_unlinkable": _ScriptParser._assert_unlinkable,
    "assert_uninstantiable": _ScriptParser._assert_uninstantiable,
}
_COMMANDS: Final = _COMMANDS_IN_THREADS | {"thread": _ScriptParser._thread, "wait": _ScriptParser._wait}
