"""The generator of the typed walk: the source of one function per set of features and kind.

A walk is a loop over the bytes of an expression and in it a tree of comparisons on the number of the opcode's group,
balanced by how often instructions occur; opcodes whose templates come out equal are one group. The forms were measured
against each other (`benchmarks/validation.py` guards the result): an iterator instead of an index, methods of the stack
instead of bound locals, a tree instead of a table of functions, nothing done to keep positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from wasmine.format.features import Features
from wasmine.format.instructions import INSTRUCTIONS
from wasmine.validation.templates import CONSTANT_NAMES, EXTENDED_CONST_NAMES, indented
from wasmine.validation.templates import source as template_source
from wasmine.validation.walks import ILLEGAL, Kind, prepared_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wasmine.format.instructions import Instruction


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

_PREFIXES: Final = sorted({i.prefix for i in INSTRUCTIONS if i.prefix})

_WALK: Final = '''\
def walk(m, it, loc, var, res, ctl, V=None, silent=None, visible=0):
    """The walk of {kind}."""
    signatures = m.signatures
    globals_ = m.globals
    address_0 = m.memories[0].address if m.memories else NO_MEMORY
    i32, i64, f32, f64, v128 = I32, I64, F32, F64, V128
    group_of = GROUPS
    pushed = 0
    st = []
    ctl.append((None, None, V, res, BLOCK, ()))
    for op in it:
        k = group_of[op]
{tree}
    else:
        no_end()
    if length_hint(it): leftover(length_hint(it))
'''
# The prefixed instructions have a function each per prefix, made only when the first of them is met.
_CALL_PREFIXED: Final = "prefixed[op](m, it, st, ctl, V)"
_PREFIXED: Final = '''\
def prefixed(m, it, st, ctl, V):
    """One instruction with prefix {prefix:#x}, in {kind}."""
    address_0 = m.memories[0].address if m.memories else NO_MEMORY
    i32, i64, f32, f64, v128 = I32, I64, F32, F64, V128
    for i in it: break
    else: truncated()
    if i > 127: i = unsigned_32(it, i)
    op = SLOT_OF.get(i, ILLEGAL)
    k = GROUPS[op]
{tree}
'''


class _Group(NamedTuple):
    """Opcodes (slots) that the same source handles, and how often they occur."""

    weight: float
    source: list[str]
    slots: list[int]


def prepare(directory: Path) -> list[Path]:
    """Write the walks that most programs need into `directory`, as modules for `walks`; the files written."""
    written = [directory / "__init__.py"]
    written[0].write_text('"""Walks that were generated when the package was built."""\n')
    for kind in Kind:
        for prefix in (0, *_PREFIXES):
            text, groups = generate(Features(), kind, prefix)
            path = directory / f"{prepared_name(kind, prefix)}.py"
            path.write_text(f"GROUPS = {groups}\n\n\n{text}", encoding="utf-8")
            written.append(path)
    return written


def generate(features: Features, kind: Kind, prefix: int = 0) -> tuple[str, list[int]]:
    """The Python source of the walk for these features, or of its part for the instructions with a prefix; and for each
    slot the number of the group that handles it.
    """
    groups = _groups([i for i in INSTRUCTIONS if i.prefix == prefix], features, kind)
    if not prefix:
        groups.append(_Group(2.0, [_CALL_PREFIXED], _PREFIXES))
    groups.sort(key=lambda group: -group.weight)
    refuse = "not_constant" if kind is Kind.CONSTANT else "refuse"
    groups.append(_Group(_RARE, [f"{refuse}(op, {f'{prefix}, i' if prefix else 'op, -1'})"], []))
    group_of = [len(groups) - 1] * (ILLEGAL + 1)
    for number, group in enumerate(groups):
        for slot in group.slots:
            group_of[slot] = number
    template, depth = (_PREFIXED, 1) if prefix else (_WALK, 2)
    tree = indented(list(_tree(groups, 0)), depth)
    return template.format(kind=kind.value, prefix=prefix, tree=tree), group_of


def _groups(instructions: Sequence[Instruction], features: Features, kind: Kind) -> list[_Group]:
    """The instructions that the walk knows, those with equal source together."""
    groups: dict[tuple[str, ...], _Group] = {}
    for instruction in instructions:
        if not _known(instruction, features, kind):
            continue
        lines = template_source(instruction, visiting=kind is not Kind.BODY, constant=kind is Kind.CONSTANT)
        known = groups.get(tuple(lines), _Group(0, lines, []))
        weight = known.weight + _FREQUENCIES.get(instruction.name, _RARE)
        groups[tuple(lines)] = _Group(weight, lines, [*known.slots, instruction.slot])
    return list(groups.values())


def _known(instruction: Instruction, features: Features, kind: Kind) -> bool:
    """Whether the walk has the instruction; the others are refused."""
    needs = [instruction.feature]
    if kind is Kind.CONSTANT:
        if instruction.name not in CONSTANT_NAMES:
            return False
        if instruction.name in EXTENDED_CONST_NAMES:
            needs = ["extended_const"]
    elif instruction.name == "throw":
        # The legacy exceptions have it too.
        needs.append("legacy_exceptions")
    return any(not feature or getattr(features, feature) for feature in needs)


def _tree(groups: Sequence[_Group], first: int) -> Iterator[str]:
    """Comparisons on `k` that lead to the group; `groups` are numbered from `first`."""
    if len(groups) == 1:
        yield from groups[0].source or ["pass"]
        return
    total = sum(group.weight for group in groups)
    left = groups[0].weight
    split = 1
    while split < len(groups) - 1 and left * 2 < total:
        left += groups[split].weight
        split += 1
    yield f"if k == {first}:" if split == 1 else f"if k < {first + split}:"
    yield from (f"    {line}" for line in _tree(groups[:split], first))
    yield "else:"
    yield from (f"    {line}" for line in _tree(groups[split:], first + split))
