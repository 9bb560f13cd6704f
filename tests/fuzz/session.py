"""What is run to compare engines, and what comes of it, in a form that is the same for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from wasmine.format.types import F32, F64, I32, I64, V128, Heap, RefType, heap_matches
from wasmine.runtime.bits import f32_round, f32_to_bits, f64_to_bits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from wasmine.format.types import ValueType

# An argument: "i32", "i64", "f32", "f64" or "v128" with the bits; "i31" or "extern" with a number; or null, as "null func",
# "null extern", "null any" or "null exn".
Argument: TypeAlias = tuple[str, int]

# Endings after which nothing may be concluded: engines have different limits.
GAVE_UP: Final = frozenset(("stack overflow", "allocation size too large", "out of memory", "unsupported"))


@dataclass(frozen=True)
class Call:
    """A call of an export of the module `module` (a position in `Case.modules`)."""

    module: int
    export: str
    arguments: tuple[Argument, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(f"{kind}:{number:#x}" for kind, number in self.arguments)
        return f"module {self.module}, export {self.export!r} ({shown})"


# Calls one after another, in new instances of all modules.
Session: TypeAlias = tuple[Call, ...]


@dataclass(frozen=True)
class Case:
    """Modules, binary or text, which import from `m0`, `m1`, ... (those before) and from `host`, and what to call."""

    name: str
    modules: tuple[bytes | str, ...]
    sessions: tuple[Session, ...]


@dataclass(frozen=True)
class Outcome:
    """How a call, or an instantiation, ended, and the state that it left.

    `ending` is "returned", "exception", or why it trapped, in the words of `TrapKind`. `values` are the results or the
    values of the exception. `state` has a line for each exported memory, table and global of every instance.
    """

    ending: str
    values: tuple[str, ...] = ()
    state: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.ending} {' '.join(self.values)}".rstrip()


class Loaded(Protocol):
    """The modules of a case, compiled."""

    def run(self, session: Session) -> list[Outcome]:
        """The outcome of the instantiation, and if it succeeded, of each call."""
        ...


class Subject(Protocol):
    """One way to run modules."""

    name: str

    def load(self, modules: Sequence[bytes | str]) -> Loaded: ...


INTERESTING_INTEGERS: Final = (0, 1, 2, 7, 8, 31, 63, 255, 256, 4096, 65535, 65536)
_FLOATS: Final = (
    *(0.0, 1.0, 0.5, 2.5, math.inf, 2.0**31, 2.0**32, 2.0**63, 2.0**64, 2147483647.0, 2.0**-149),
    *(3.4028234663852886e38, 1.7976931348623157e308, 5e-324, 4503599627370497.5),
)
SPECIAL_FLOATS: Final = {
    "f32": (0x7FC0_0000, *(f32_to_bits(f32_round(sign * x)) for x in _FLOATS for sign in (1, -1))),
    "f64": (0x7FF8 << 48, *(f64_to_bits(sign * x) for x in _FLOATS for sign in (1, -1))),
}
_WIDTH: Final = {"i32": 32, "i64": 64, "f32": 32, "f64": 64, "v128": 128}
_NUMBERS: Final = {I32: "i32", I64: "i64", F32: "f32", F64: "f64", V128: "v128"}


def random_argument(random: Random, type: ValueType) -> Argument | None:
    """An argument of a closed type; None if nothing can be made for it."""
    if not isinstance(type, RefType):
        return random_number(random, _NUMBERS[type])
    numbered = {Heap.ANY: "i31", Heap.EQ: "i31", Heap.I31: "i31", Heap.EXTERN: "extern"}
    kind = numbered.get(type.heap) if isinstance(type.heap, Heap) else None
    if kind is not None and (not type.nullable or random.random() < 0.6):
        return kind, random.choice((1, 2, 77, random.randrange(1, 1 << 31)))
    return (f"null {_top(type)}", 0) if type.nullable else None


def _top(type: RefType) -> Heap:
    """The top of the hierarchy that a reference type belongs to."""
    return next(top for top in (Heap.FUNC, Heap.EXTERN, Heap.ANY, Heap.EXN) if heap_matches(type.heap, top))


def random_number(random: Random, kind: str) -> Argument:
    """A number, often one at some edge. Its NaN is the canonical one."""
    width = _WIDTH[kind]
    if kind in SPECIAL_FLOATS:
        mantissa = 24 if width == 32 else 53
        exponent = (1 << width - mantissa) - 1 << mantissa - 1
        bits = random.getrandbits(width)
        arbitrary = bits if bits & exponent != exponent else 0
        return kind, arbitrary if random.random() < 0.3 else random.choice(SPECIAL_FLOATS[kind])
    edge = 1 << random.choice((width - 1, width // 2, width // 2 - 1, width))
    near = (edge + random.randrange(-2, 2)) % (1 << width)
    return kind, random.choice((*INTERESTING_INTEGERS, near, near, near, near, random.getrandbits(width)))
