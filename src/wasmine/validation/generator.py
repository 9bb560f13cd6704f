"""The generator of the typed walk: one function per set of features and kind, made on first use.

A walk is a loop over the bytes of an expression and in it a tree of comparisons on the number of the opcode's group,
balanced by how often instructions occur; opcodes whose templates come out equal are one group. The forms were measured
against each other (`benchmarks/validation.py` guards the result): an iterator instead of an index, methods of the stack
instead of bound locals, a tree instead of a table of functions, nothing done to keep positions.
"""

from __future__ import annotations

import enum
from functools import lru_cache
from operator import length_hint
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from wasmine.format.instructions import INSTRUCTIONS, SLOTS
from wasmine.format.types import EXNREF, F32, F64, I32, I64, V128, NumberType
from wasmine.validation import immediates, operands, rules
from wasmine.validation.templates import CONSTANT_NAMES, indented
from wasmine.validation.templates import source as template_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wasmine.format.features import Features
    from wasmine.format.instructions import Instruction
    from wasmine.format.types import ValueType
    from wasmine.validation.context import Context
    from wasmine.validation.rules import Frames


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


# How often instructions occur in real programs (QuickJS and resvg), per mille. The others hardly do.
_FREQUENCIES: Final = {
    name: int(frequency)
    for frequency, *names in map(
        str.split,
        """
        251 local.get
        139 i32.const
        69 i32.add
        50 local.set local.tee br_if
        45 end i32.load block
        24 call i32.store
        17 br i64.const
        10 i32.and i32.eqz
        7 i64.store i64.load i32.shl i32.ne i32.load8_u
        5 select i32.load16_u i32.wrap_i64 i32.sub
        4 i32.eq i32.store8 i32.lt_u i32.mul i32.shr_u i32.gt_u loop f32.const
        3 i32.gt_s i32.or f32.load f32.mul f32.store i32.store16 i64.lt_u unreachable drop global.set if else
        2 i64.and i32.ge_u i32.lt_s return f64.const f32.add br_table v128.load v128.store
        1 f64.load f64.store f64.mul f64.add i64.add i64.eq i64.ne i64.extend_i32_u global.get call_indirect struct.get
        """.strip().splitlines(),
    )
    for name in names
}
# What is not in this list.
_RARE: Final = 0.1

# A slot that no instruction has, for unknown prefixed opcodes.
_ILLEGAL: Final = SLOTS
_SLOTS_OF_PREFIXED: Final = {i.opcode: i.slot for i in INSTRUCTIONS if i.prefix}
_PREFIXES: Final = sorted({i.prefix for i in INSTRUCTIONS if i.prefix})

_HEAD: Final = '''\
def walk(m, it, loc, var, res, ctl, V=None, silent=None, visible=0):
    """The walk of {kind}."""
    signatures = m.signatures
    globals_ = m.globals
    address_0 = m.memories[0].address if m.memories else NO_MEMORY
    i32, i64, f32, f64, v128 = I32, I64, F32, F64, V128
    group_of = GROUPS
    st = []
    ctl.append((None, None, V, res, 2, ()))
    for op in it:
        k = group_of[op]
'''
_TAIL: Final = """
    else:
        no_end()
    if length_hint(it): leftover(length_hint(it))
"""
_PREFIXED: Final = """\
p = op
for i in it: break
else: truncated()
if i > 127: i = unsigned_32(it, i)
op = SLOTS_OF_PREFIXED.get(p << 16 | i, ILLEGAL)
k = group_of[op]
"""
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
    "ILLEGAL": _ILLEGAL,
    "SLOTS_OF_PREFIXED": _SLOTS_OF_PREFIXED,
}


class _Group(NamedTuple):
    """Opcodes (slots) that the same source handles, and how often they occur."""

    weight: float
    source: list[str]
    slots: list[int]


def walk(features: Features, kind: Kind) -> Walk:
    """The walk for these features."""
    return _build(features, kind)


@lru_cache(maxsize=64)
def _build(features: Features, kind: Kind) -> Walk:
    text, groups = _generate(features, kind)
    namespace: dict[str, Any] = {**_NAMESPACE, "GROUPS": groups}
    exec(compile(text, f"<typed walk: {kind.value}>", "exec"), namespace)
    return namespace["walk"]  # type: ignore[no-any-return]


def source(features: Features, kind: Kind) -> str:
    """The Python source of the walk for these features."""
    return _generate(features, kind)[0]


def _generate(features: Features, kind: Kind) -> tuple[str, list[int]]:
    """The source, and the number of each slot's group."""
    single = [i for i in INSTRUCTIONS if not i.prefix]
    prefixed = [i for i in INSTRUCTIONS if i.prefix]
    refuse = "not_constant" if kind is Kind.CONSTANT else "refuse"

    inner = _groups(prefixed, features, kind)
    inner.append(_Group(_RARE, [f"{refuse}(op, p, i)"], []))
    group_of = [0] * (SLOTS + 1)
    numbered = _number(inner, group_of, range(256, SLOTS + 1))
    nested = [*_PREFIXED.splitlines(), *_tree(numbered, 0)]

    outer = _groups(single, features, kind)
    outer.append(_Group(sum(group.weight for group in inner), nested, _PREFIXES))
    outer.append(_Group(_RARE, [f"{refuse}(op, op, -1)"], []))
    numbered = _number(outer, group_of, range(256))
    text = _HEAD.format(kind=kind.value) + indented(list(_tree(numbered, 0)), 2) + _TAIL
    return text, group_of


def _groups(instructions: Sequence[Instruction], features: Features, kind: Kind) -> list[_Group]:
    """The instructions that the walk knows, those with equal source together."""
    groups: dict[str, _Group] = {}
    for instruction in instructions:
        if not _known(instruction, features, kind):
            continue
        lines = template_source(instruction, visiting=kind is not Kind.BODY, constant=kind is Kind.CONSTANT)
        weight, _, slots = groups.get("\n".join(lines), (0, None, []))
        weight += _FREQUENCIES.get(instruction.name, _RARE)
        groups["\n".join(lines)] = _Group(weight, lines, [*slots, instruction.slot])
    return list(groups.values())


def _known(instruction: Instruction, features: Features, kind: Kind) -> bool:
    if kind is Kind.CONSTANT and instruction.name not in CONSTANT_NAMES:
        return False
    return not instruction.feature or bool(getattr(features, instruction.feature))


def _number(groups: list[_Group], group_of: list[int], slots: range) -> list[_Group]:
    """The groups, most frequent first; enters their numbers for these slots. Slots of no group are the last one's."""
    *known, refused = groups
    known.sort(key=lambda group: -group.weight)
    for slot in slots:
        group_of[slot] = len(known)
    for number, group in enumerate(known):
        for slot in group.slots:
            group_of[slot] = number
    return [*known, refused]


def _tree(groups: Sequence[_Group], first: int) -> Iterator[str]:
    """Comparisons on `k` that lead to the group; `groups` are numbered from `first`."""
    if len(groups) == 1:
        yield from groups[0].source or ["pass"]
        return
    total = sum(group.weight for group in groups)
    half = groups[0].weight
    split = 1
    while split < len(groups) - 1 and half * 2 < total:
        half += groups[split].weight
        split += 1
    yield f"if k == {first}:" if split == 1 else f"if k < {first + split}:"
    yield from (f"    {line}" for line in _tree(groups[:split], first))
    yield "else:"
    yield from (f"    {line}" for line in _tree(groups[split:], first + split))
