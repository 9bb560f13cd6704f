"""How heavily a function uses its locals: a scan of validated code that knows the lengths of instructions, no more.

One regular expression swallows whatever does not matter and yields accesses to locals, the structure of blocks, and calls,
three times as fast as any walk. What it does not know (a `br_table` of more than 128 targets, `try_table`, ...) makes
the scan start over as a visitor of the typed walk, so what it leaves out is a matter of speed alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from wasmine.compiler.baseline.lifetimes import lifetimes, local_index
from wasmine.format.instructions import BY_NAME, INSTRUCTIONS, SLOTS
from wasmine.record import field, record
from wasmine.validation.walk import walk_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wasmine.validation.context import Context

PER_LOOP: Final = 8
"""A loop is taken to run so many times."""

_MANY_LOCALS: Final = 6
"""So many have registers of their own at any rate."""

_HEAVIEST: Final = PER_LOOP**7

_N = rb"[\x80-\xff]*[\x00-\x7f]"  # one LEB128 number
_MEMARG = rb"(?:[\x00-\x3f]|[\x40-\x7f]" + _N + rb")" + _N
_SKIPPED: Final = rb"|".join(
    (
        rb"[\x45-\xc4\x00\x01\x0f\x1a\x1b\xd1\xd4]",
        rb"[\x41\x42\x23\x24\x0c\x0d\x25\x26\x3f\xd0\xd5\xd6]" + _N,
        rb"[\x28-\x3e]" + _MEMARG,
        rb"\x43.{4}|\x44.{8}",
        rb"\x1c\x01(?:[\x63\x64]" + _N + rb"|[\x65-\x7f])",
        rb"\xfc[\x00-\x07]|\xfc\x0a" + _N + _N + rb"|\xfc[\x0b\x10]" + _N,
        # Vectors: accesses, accesses to lanes, constants and shuffles, lanes, the rest.
        rb"\xfd(?:[\x00-\x0b\x5c\x5d]"
        + _MEMARG
        + rb"|[\x54-\x5b]"
        + _MEMARG
        + rb".|[\x0c\x0d].{16}|[\x15-\x22].|[\x0e-\x14\x23-\x53\x5e-\x7f]|[\x80-\xff][\x01\x02])",
        rb"\xfe(?:\x03\x00|[\x10-\x47]" + _MEMARG + rb")",
        rb"\x0e(?:"
        + rb"|".join(re.escape(bytes((n,))) + rb"(?:" + _N + rb"){%d}" % (n + 1) for n in range(128))
        + rb")",
    )
)
_CALLS: Final = (
    rb"[\x10\x12\x14\x15\x40\xd2]" + _N,
    rb"[\x11\x13]" + _N + _N,
    rb"\xfc[\x08\x0c\x0e]" + _N + _N,
    rb"\xfc[\x09\x0d\x0f\x11]" + _N,
    rb"\xfe[\x00-\x02]" + _MEMARG,
)
_BLOCK: Final = rb"[\x02-\x04](?:[\x63\x64]" + _N + rb"|" + _N + rb")"
_TOKENS: Final = rb"|".join((rb"[\x20-\x22]" + _N, _BLOCK, rb"[\x05\x0b]", *_CALLS, rb"."))


# Smaller bodies are walked: a program that has no others does without the regular expression, which takes 5 ms to make.
_SMALL: Final = 100


@record(frozen=False)
class Weights:
    """What the scan found. `locals` has an entry for every local that is used.

    `lives` are the lifetimes of locals where there are many (`lifetimes`): one that begins at 0 has a value from the start.
    """

    locals: dict[int, int]
    calls: bool = False  # anything that calls other code, runtime functions included
    handlers: bool = False  # try blocks
    wide: bool = False  # instructions with four operands: they need all temporary registers
    lives: dict[int, tuple[int, int]] = field(default_factory=dict)


_scan: Callable[[bytes], list[bytes]] | None = None


def weigh(context: Context, index: int) -> Weights:
    """The weights of the function `index`, whose body is known to be valid."""
    body = context.syntax.code[index - context.imported_functions].body.code
    if len(body) < _SMALL:
        found = _walk(context, index)
        if len(found.locals) <= _MANY_LOCALS:
            return found
    tokens = _tokens(body)
    scanned = _weigh_tokens(tokens)
    if scanned is None:
        return _walk(context, index)
    if len(scanned.locals) > _MANY_LOCALS:
        scanned.lives = lifetimes(tokens, len(context.signatures[index].params))
    return scanned


def _walk(context: Context, index: int) -> Weights:
    visitor = _Visitor()
    walk_function(context, index, visitor)
    return visitor.weights


def is_plain(body: bytes) -> bool:
    """Whether the scan knows all instructions of a valid body: then none of them is about GC objects."""
    return _weigh_tokens(_tokens(body)) is not None


def _tokens(body: bytes) -> list[bytes]:
    global _scan
    if _scan is None:
        # Made when first needed.
        _scan = re.compile(rb"(?s)(?:" + _SKIPPED + rb")*(" + _TOKENS + rb")").findall
    return _scan(body)


def _weigh_tokens(tokens: Iterable[bytes]) -> Weights | None:
    """The weights, or None where something was not understood."""
    counts: dict[bytes, int] = {}
    outer: list[int] = []
    weight = 1
    calls = False
    for token in tokens:
        opcode = token[0]
        if 0x20 <= opcode <= 0x22 and len(token) > 1:
            counts[token] = counts.get(token, 0) + weight
        elif opcode == 0x0B:
            if outer:
                weight = outer.pop()
        elif opcode == 5:
            pass
        elif 2 <= opcode <= 4 and len(token) > 1:
            outer.append(weight)
            if opcode == 3 and weight < _HEAVIEST:
                weight *= PER_LOOP
        elif len(token) > 1:
            calls = True
        else:
            return None
    locals: dict[int, int] = {}
    for token, count in counts.items():
        index = local_index(token)
        locals[index] = locals.get(index, 0) + count
    return Weights(locals, calls)


_CALLING: Final = (
    *("call", "call_indirect", "call_ref", "return_call", "return_call_indirect", "return_call_ref"),
    *("memory.grow", "memory.init", "data.drop", "ref.func", "throw", "throw_ref", "rethrow"),
    *("table.init", "elem.drop", "table.copy", "table.grow", "table.fill"),
    *("memory.atomic.notify", "memory.atomic.wait32", "memory.atomic.wait64"),
)


class _Visitor:
    """The same by the typed walk."""

    def __init__(self) -> None:
        self.weights = Weights({})
        self._weight = 1
        self._outer: list[int] = []
        handlers: list[Callable[..., object]] = [self._nothing] * SLOTS
        for names, handler in (
            (("local.get", "local.set", "local.tee"), self._local),
            (("block", "if"), self._block),
            (("loop",), self._loop),
            (("try", "try_table"), self._try),
            (("end", "delegate"), self._end),
            (_CALLING, self._call),
        ):
            for name in names:
                handlers[BY_NAME[name].slot] = handler
        for instruction in INSTRUCTIONS:
            if "cmpxchg" in instruction.name or instruction.feature == "wide_arithmetic":
                handlers[instruction.slot] = self._wide
        self.handlers = handlers

    def begin(self, position: Callable[[], int]) -> None:
        """Nothing to do."""

    def _nothing(self, *_: object) -> None:
        pass

    def _local(self, index: int) -> None:
        locals = self.weights.locals
        locals[index] = locals.get(index, 0) + self._weight

    def _block(self, *_: object) -> None:
        self._outer.append(self._weight)

    def _loop(self, *_: object) -> None:
        self._outer.append(self._weight)
        if self._weight < _HEAVIEST:
            self._weight *= PER_LOOP

    def _try(self, *_: object) -> None:
        self._outer.append(self._weight)
        self.weights.handlers = True

    def _end(self, *_: object) -> None:
        if self._outer:
            self._weight = self._outer.pop()

    def _call(self, *_: object) -> None:
        self.weights.calls = True

    def _wide(self, *_: object) -> None:
        self.weights.wide = True
