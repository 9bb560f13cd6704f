"""The operand stack of the typed walk: the types below every type, the stack of unreachable code, checking an operand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wasmine.format.types import NumberType, RefType, matches
from wasmine.validation.faults import Invalid, Mismatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.format.types import ValueType


# From how many operands at a time on it pays, or is needed, to treat them together.
MANY: Final = 16
# As many operands as a function's calls and blocks of many results may push: two bytes of code give up to a thousand.
MAX_PUSHED: Final = 10_000_000


class Bottom:
    """A type below others; only unreachable code has operands of it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


# Below every value type.
BOTTOM: Final = Bottom("any value")
# Below every reference type that is not nullable.
BOTTOM_REF: Final = Bottom("any reference")
# Stands for the address type of memory 0 in a module that has no memory.
NO_MEMORY: Final = Bottom("the address type of memory 0")

Operand: TypeAlias = "ValueType | Bottom"
Stack: TypeAlias = "list[Any]"


class Polymorphic(list[Any]):
    """The operand stack after an instruction that never goes on: below its own operands lie bottoms without end."""

    __slots__ = ()

    def pop(self, index: Any = -1) -> Any:
        return list.pop(self, index) if self else BOTTOM

    def __getitem__(self, index: Any) -> Any:
        return list.__getitem__(self, index) if self else BOTTOM

    def __setitem__(self, index: Any, operand: Any) -> None:
        if self:
            list.__setitem__(self, index, operand)
        else:
            self.append(operand)


def check(found: Operand, expected: Operand) -> None:
    """Raise unless an operand of type `found` may stand where `expected` is wanted."""
    if expected is NO_MEMORY:
        raise Invalid("unknown memory 0: the module has no memory")
    if found is BOTTOM or found is expected:
        return
    if found is BOTTOM_REF:
        if isinstance(expected, RefType):
            return
    elif matches(found, expected):  # type: ignore[arg-type]
        return
    raise Mismatch(expected, found)


def pop(stack: Stack, expected: Operand) -> None:
    """Pop one operand of the expected type."""
    found = stack.pop()
    if found is not expected:
        check(found, expected)


def pop_all(stack: Stack, expected: Sequence[ValueType]) -> None:
    """Pop operands of the expected types, the last of which is on top."""
    count = len(expected)
    if count > MANY:
        if count > len(stack) and isinstance(stack, Polymorphic):
            # The operands below are of any type.
            expected = expected[count - len(stack) :]
        elif stack[-count:] == [*expected]:
            del stack[-count:]
            return
    for type_ in expected[::-1]:
        found = stack.pop()
        if found is not type_:
            check(found, type_)


def pushed_many(count: int, before: int) -> int:
    """The total of operands that a function pushed many at a time: `count` more than `before`."""
    total = before + count
    if total > MAX_PUSHED:
        raise Invalid(f"too many operands: calls and blocks with more than {MANY} results give more than {MAX_PUSHED}")
    return total


def pop_ref(stack: Stack) -> RefType | Bottom:
    """Pop a reference of any type and return its type."""
    found = stack.pop()
    if isinstance(found, RefType):
        return found
    if isinstance(found, Bottom):
        return BOTTOM_REF
    raise Mismatch("a reference", found)


def selected(second: Operand, first: Operand) -> Operand:
    """The result type of an untyped `select` of two operands."""
    for operand in (first, second):
        if not isinstance(operand, NumberType) and operand is not BOTTOM:
            raise Mismatch("two numbers or two vectors (select of references names their type)", operand)
    if second is BOTTOM:
        return first
    if first is not BOTTOM and first is not second:
        raise Mismatch(f"two operands of one type, the first is {first}", second)
    return second


def type_list(types: Sequence[object], *, open: bool = False) -> str:
    """Types for people, the last ones of many; `open`: with any number of operands below."""
    shown = [str(type_) for type_ in types[-MANY:]]
    if open or len(types) > MANY:
        shown.insert(0, "...")
    return f"[{' '.join(shown)}]"


def remaining(stack: Stack) -> None:
    """Raise: operands are left over at the end of a block."""
    raise Mismatch("nothing else on the stack", type_list(stack))


def check_all(found: Sequence[ValueType], expected: Sequence[ValueType], problem: str) -> None:
    """Raise unless the types match one by one; `problem` says what it is if not, with `{found}` and `{expected}`."""
    if len(found) != len(expected) or not all(map(matches, found, expected)):
        problem = problem.format(found=type_list(found), expected=type_list(expected))
        raise Invalid(f"type mismatch: {problem}")
