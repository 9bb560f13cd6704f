"""Operands: the entries of the abstract operand stack, which are Python expressions with what is known of their values.

An integer operand need not be *exact*: its Python value may be any int congruent to the WebAssembly value modulo 2^32 or
2^64, within the interval `low` to `high`. Consumers that care ask for `exact` (0 to 2^n-1) or `signed` (-2^(n-1) to
2^(n-1)-1) and pay for a mask only if the interval says that one is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wasmine.interpreter.bounds import Test

# How an expression may be used: repeated at no cost; as an operand without parentheses; only in parentheses.
NAME: Final = 0
PRIMARY: Final = 1
EXPRESSION: Final = 2

# What evaluating an expression depends on or does, as bits of `Operand.reads`. Bits of locals and stack variables follow;
# many share one, for functions may have 50,000 of them: an expression may only seem to read more than it does.
TRAPS: Final = 1
MEMORY: Final = 2
GLOBALS: Final = 4
TABLES: Final = 8
HEAP: Final = 16
CALLS: Final = 32  # does anything that a call can do
STATE: Final = MEMORY | GLOBALS | TABLES | HEAP
EFFECTS: Final = TRAPS | CALLS
ANYTHING: Final = STATE | EFFECTS
_VARIABLES: Final = 256
_LOCALS: Final = tuple(1 << number for number in range(6, 6 + _VARIABLES))
_SLOTS: Final = tuple(1 << number for number in range(6 + _VARIABLES, 6 + 2 * _VARIABLES))


def local_bit(index: int) -> int:
    """The bit that says "reads local `index`"."""
    return _LOCALS[index % _VARIABLES]


def slot_bit(height: int) -> int:
    """The bit that says "reads the stack variable of this height"."""
    return _SLOTS[height % _VARIABLES]


class Operand:
    """A Python expression on the abstract stack.

    `low` and `high` bound the value of an integer expression (both 0 for other types). `reads` are bits of what it
    depends on and does. `truth` says that it gives a Python bool. `root` and `offset` are set where the text is
    "root + offset" for a root that is a name, so that constants can be added up and masked by a comparison. `tests` is what
    a condition says of locals.
    """

    __slots__ = ("grade", "high", "low", "offset", "reads", "root", "tests", "text", "truth")

    def __init__(
        self,
        text: str,
        grade: int = EXPRESSION,
        low: int = 0,
        high: int = 0,
        reads: int = 0,
        truth: bool = False,
        root: Operand | None = None,
        offset: int = 0,
        tests: tuple[Test, ...] = (),
    ) -> None:
        self.text = text
        self.grade = grade
        self.low = low
        self.high = high
        self.reads = reads
        self.truth = truth
        self.root = root
        self.offset = offset
        self.tests = tests

    @property
    def factor(self) -> str:
        """The text, in parentheses if it needs them as an operand."""
        return self.text if self.grade != EXPRESSION else f"({self.text})"

    @property
    def value(self) -> str:
        """The text with a Python bool made an int: for whatever keeps the value."""
        return f"1 if {self.factor} else 0" if self.truth else self.text

    @property
    def local(self) -> int:
        """The number of the local that it is, -1 if it is none."""
        return int(self.text[1:]) if self.grade == NAME and self.text[0] == "l" else -1

    @property
    def is_constant(self) -> bool:
        """Whether it is a literal; for integer operands only."""
        return self.low == self.high and self.grade == NAME and not self.reads


class Width:
    """An integer type's width: masks and bounds, and what depends on nothing else."""

    __slots__ = ("bits", "mask", "modulus", "sign")

    def __init__(self, bits: int) -> None:
        self.bits: Final = bits
        self.modulus: Final = 1 << bits
        self.mask: Final = (1 << bits) - 1
        self.sign: Final = 1 << (bits - 1)

    def constant(self, value: int) -> Operand:
        """A literal."""
        value &= self.mask
        return Operand(str(value), NAME, value, value)

    def signed_value(self, constant: Operand) -> int:
        """The signed value of a literal."""
        value = constant.low & self.mask
        return value - self.modulus if value & self.sign else value

    def is_exact(self, operand: Operand) -> bool:
        """Whether the Python value is the unsigned value."""
        return operand.low >= 0 and operand.high <= self.mask

    def is_signed(self, operand: Operand) -> bool:
        """Whether the Python value is the signed value."""
        return operand.low >= -self.sign and operand.high < self.sign

    def exact(self, operand: Operand, scratch: str) -> Operand:
        """The unsigned value. `scratch` is a name that the expression may assign."""
        low, high, modulus = operand.low, operand.high, self.modulus
        if low >= 0 and high < modulus:
            return operand
        root = operand.root
        if root is not None:
            text = self._wrapped_sum(root, operand.offset)
        elif low >= 0 and high < 2 * modulus and self.bits == 32:
            # Measured on CPython 3.11 to 3.13: a comparison and a subtraction that rarely happens take 30 ns where
            # `&` with a constant of more than 30 bits takes 40. From 60 bits on `&` is as fast.
            text = f"{scratch} if ({scratch} := {operand.text}) < {modulus} else {scratch} - {modulus}"
        elif low >= -modulus and high < modulus and self.bits == 32:
            text = f"{scratch} if ({scratch} := {operand.text}) >= 0 else {scratch} + {modulus}"
        else:
            text = f"{operand.factor} & {self.mask}"
        return Operand(text, EXPRESSION, 0, self.mask, operand.reads)

    def _wrapped_sum(self, root: Operand, offset: int) -> str:
        name, modulus = root.text, self.modulus
        if offset > 0:
            return f"{name} + {offset} if {name} < {modulus - offset} else {name} - {modulus - offset}"
        if offset == -1:
            return f"{name} - 1 if {name} else {self.mask}"
        return f"{name} - {-offset} if {name} >= {-offset} else {name} + {modulus + offset}"

    def signed(self, operand: Operand, scratch: str) -> Operand:
        """The signed value."""
        if self.is_signed(operand):
            return operand
        operand = self.exact(operand, scratch)
        if operand.is_constant:
            value = self.signed_value(operand)
            return Operand(str(value), PRIMARY if value >= 0 else EXPRESSION, value, value)
        first, again = named(operand, scratch)
        text = f"{again} if {first} < {self.sign} else {again} - {self.modulus}"
        return Operand(text, EXPRESSION, -self.sign, self.sign - 1, operand.reads)


W32: Final = Width(32)
W64: Final = Width(64)


def named(operand: Operand, scratch: str) -> tuple[str, str]:
    """Two texts: the first evaluates the operand and is evaluated first, the second repeats its value."""
    if operand.grade == NAME:
        return operand.text, operand.text
    return f"({scratch} := {operand.text})", scratch
