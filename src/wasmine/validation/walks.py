"""The typed walk: one function per set of features and kind, made on first use.

Its source is generated (`generator`), which takes 15 ms for the walk of function bodies. So the walks for the features
that are on by default are prepared when a wheel is built, as modules of the package `prepared`, which Python compiles
and caches as it does with all modules. A checkout has no such package.
"""

from __future__ import annotations

import enum
from functools import lru_cache
from importlib import import_module
from operator import length_hint
from typing import TYPE_CHECKING, Any, Final, Protocol

from wasmine.format.features import Features
from wasmine.format.instructions import INSTRUCTIONS, SLOTS
from wasmine.format.types import EXNREF, F32, F64, I32, I64, V128, NumberType
from wasmine.validation import immediates, operands, rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wasmine.format.types import ValueType
    from wasmine.validation.context import Context
    from wasmine.validation.rules import Frames

PREPARED: Final = "wasmine.validation.prepared"
"""The package of the walks that were prepared."""

ILLEGAL: Final = SLOTS
"""A slot that no instruction has, for unknown prefixed opcodes."""


class Kind(enum.Enum):
    """What a walk is generated for."""

    BODY = "function bodies"
    VISITED_BODY = "function bodies, with a visitor"
    CONSTANT = "constant expressions, with a visitor"


class Walk(Protocol):
    """A generated walk. Raises `Fault`, or `IndexError` where an index or the operand stack is at fault."""

    def __call__(
        self,
        m: Context,
        it: Iterator[int],
        loc: Sequence[ValueType],
        var: Sequence[ValueType],
        res: Sequence[ValueType],
        ctl: Frames,
        V: Sequence[Callable[..., object]] | None = None,  # noqa: N803 - as in the templates
        silent: Sequence[Callable[..., object]] | None = None,
        visible: int = 0,
    ) -> None: ...


# What the generated source names: all that these modules define, and a few types.
_NAMESPACE: Final[dict[str, object]] = {
    name: value for module in (immediates, operands, rules) for name, value in vars(module).items() if name[0] != "_"
} | {
    "I32": I32,
    "I64": I64,
    "F32": F32,
    "F64": F64,
    "V128": V128,
    "NumberType": NumberType,
    "exnref": EXNREF,
    "i31": rules.I31,
    "i31ref": rules.I31REF,
    "inline_results": {type_.code: (type_,) for type_ in (I32, I64, F32, F64)},
    "length_hint": length_hint,
    "ILLEGAL": ILLEGAL,
}


@lru_cache(maxsize=64)
def walk(features: Features, kind: Kind) -> Walk:
    """The walk for these features."""
    made: Walk = _function(features, kind, 0)
    return made


class _Prefixed(dict[int, Any]):
    """The functions for prefixed instructions, by prefix."""

    def __init__(self, features: Features, kind: Kind) -> None:
        super().__init__()
        self._features = features
        self._kind = kind

    def __missing__(self, prefix: int) -> Any:
        function = self[prefix] = _function(self._features, self._kind, prefix)
        return function


def prepared_name(kind: Kind, prefix: int) -> str:
    """The name of the module with a prepared function."""
    return f"{kind.name.lower()}_{prefix:02x}"


def _function(features: Features, kind: Kind, prefix: int) -> Any:
    """The function for the instructions with this prefix; prefix 0: the walk itself."""
    namespace = _prepared(kind, prefix) if features == Features() else None
    if namespace is None:
        namespace = _generated(features, kind, prefix)
    namespace.update(_NAMESPACE)
    if prefix:
        namespace["SLOT_OF"] = {i.opcode & 0xFFFF: i.slot for i in INSTRUCTIONS if i.prefix == prefix}
    else:
        namespace["prefixed"] = _Prefixed(features, kind)
    return namespace["prefixed" if prefix else "walk"]


def _prepared(kind: Kind, prefix: int) -> dict[str, Any] | None:
    try:
        return vars(import_module(f"{PREPARED}.{prepared_name(kind, prefix)}"))
    except ModuleNotFoundError:
        return None


def _generated(features: Features, kind: Kind, prefix: int) -> dict[str, Any]:
    from wasmine.validation.generator import generate

    text, groups = generate(features, kind, prefix)
    namespace: dict[str, Any] = {"GROUPS": groups}
    exec(compile(text, f"<typed walk of {kind.value}, prefix {prefix:#x}>", "exec"), namespace)
    return namespace
