"""What the meanings are written with: the text of one LLVM function in the making, and the shape of a meaning."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wasmine.format.instructions import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.errors import TrapKind

LLVM_TYPES: Final = {"i": "i32", "I": "i64", "f": "float", "F": "double", "v": "<2 x i64>", "a": "i64"}
"""LLVM's type for each signature letter of the instruction table.

A v128 is `<2 x i64>` between meanings. An address (`a`) is always an i64: one of a 32-bit memory is zero-extended.
"""


class Target(enum.Enum):
    """The architectures with instructions that LLVM IR has no portable name for."""

    AMD64 = "amd64"
    ARM64 = "arm64"


class Builder:
    """The body of an LLVM function, line by line. Values are names (`%3`) or constants, without their type."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.lines: list[str] = []
        self.declarations: dict[str, str] = {}
        self._count = 0

    def fresh(self) -> str:
        """A name that no other value of this function has."""
        self._count += 1
        return f"%v{self._count}"

    def let(self, expression: str) -> str:
        """The name of a new value, computed by `expression`."""
        name = self.fresh()
        self.lines.append(f"{name} = {expression}")
        return name

    def do(self, statement: str) -> None:
        """Writes a line that yields no value."""
        self.lines.append(statement)

    def call(self, result: str, function: str, *arguments: str) -> str:
        """The result, of type `result`, of an intrinsic; each argument is a type and a value."""
        self.declare(result, function, *arguments)
        return self.let(f"call {result} @{function}({', '.join(arguments)})")

    def declare(self, result: str, function: str, *arguments: str) -> None:
        """Makes an intrinsic known to the module."""
        types = ", ".join(_type_of(argument) for argument in arguments)
        self.declarations[function] = f"declare {result} @{function}({types})"

    def cast(self, value: str, source: str, target: str) -> str:
        """The same bits as another type."""
        return value if source == target else self.let(f"bitcast {source} {value} to {target}")

    def load(self, type: str, pointer: str, *, align: int = 1) -> str:
        """What lies in guest memory at `pointer`. Volatile: an access that may trap is never moved or narrowed."""
        return self.let(f"load volatile {type}, ptr {pointer}, align {align}")

    def store(self, type: str, value: str, pointer: str, *, align: int = 1) -> None:
        """Writes guest memory at `pointer`."""
        self.do(f"store volatile {type} {value}, ptr {pointer}, align {align}")

    def trap_if(self, condition: str, kind: TrapKind) -> None:
        """Ends the function with a trap where the i1 `condition` holds; what follows is the other case."""
        raise TypeError("the tier's own builder knows how to trap")

    def address(self, index: str | None, size: int, *, aligned: bool = False) -> str:
        """The pointer to `size` bytes of guest memory, after whatever checks the tier and the memory need.

        `index` is the i64 operand, or None where it is a constant that the offset includes. `aligned` asks for the trap
        of a misaligned atomic access.
        """
        raise TypeError("the tier's own builder knows its memories")


def _type_of(argument: str) -> str:
    """The type in "type value": vector types have spaces, and constants of them too."""
    return argument[: argument.index(">") + 1] if argument[0] == "<" else argument.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one instruction computes.

    `params` and `results` are signature letters of the instruction table. `write(builder, *operands)` writes the
    computation and returns the result's name, a tuple of names where there are two, None where there is none.
    `lanes` is the number of values of the lane immediate, which is then one more argument; 0 where there is none.
    `size` is the number of bytes of guest memory that it touches, else 0.
    """

    params: str
    results: str
    write: Callable[..., str | tuple[str, ...] | None]
    lanes: int = 0
    size: int = 0


def meaning(
    name: str, write: Callable[..., str | tuple[str, ...] | None], *, lanes: int = 0, size: int = 0
) -> tuple[str, Meaning]:
    """The meaning of an instruction of the table, which gives the signature."""
    instruction = BY_NAME[name]
    return name, Meaning(instruction.params or "", instruction.results or "", write, lanes, size)


def internal(name: str, signature: str, write: Callable[..., str | tuple[str, ...] | None]) -> tuple[str, Meaning]:
    """The meaning of an instruction of our own; its signature is written as in the table."""
    params, _, results = signature.partition("->")
    return name, Meaning(params.strip(), results.strip(), write)
