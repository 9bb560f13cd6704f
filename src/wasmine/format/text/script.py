"""Scripts (`.wast`): the commands of the specification's test suite, as plain data.

`parse_script` yields commands in order. A module in a command is a `ModuleSource` that is parsed only when its `parse` is
called, so that a malformed one is the business of whoever runs the command and not of the script around it.

Numbers in arguments and results are bit patterns (`Number.bits`, unsigned), so nothing of a NaN is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from wasmine.format.module import ModuleSyntax
    from wasmine.format.text.lexer import Source
    from wasmine.format.types import Heap, NumberType

# ---- modules in commands -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextModule:
    """`(module $id? ...)` written out in the script: the tokens from `start` on."""

    id: str | None
    source: Source = field(repr=False)
    start: int

    def parse(self) -> ModuleSyntax:
        """The module. DecodeError (with line and column in the script) if it is malformed."""


@dataclass(frozen=True, slots=True)
class BinaryModule:
    """`(module $id? binary "...")`: a module in the binary format."""

    id: str | None
    binary: bytes

    def parse(self) -> ModuleSyntax:
        """The module. DecodeError (with an offset) if it is malformed."""


@dataclass(frozen=True, slots=True)
class QuotedModule:
    """`(module $id? quote "...")`: a module in the text format, given as a string (`text`, not yet decoded)."""

    id: str | None
    text: bytes

    def parse(self) -> ModuleSyntax:
        """The module. DecodeError (with line and column in `text`) if it is malformed."""


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
