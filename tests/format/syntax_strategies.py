"""Hypothesis strategies for the abstract syntax: modules that are well-formed, though hardly ever valid."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from wasmine.format import types as t
from wasmine.format.instructions import BY_NAME
from wasmine.format.leb128 import signed, unsigned
from wasmine.format.module import (
    ORDER,
    Active,
    Code,
    CustomSection,
    DataSegment,
    ElementSegment,
    Export,
    Expression,
    Global,
    Import,
    Mode,
    ModuleSyntax,
    Names,
    Section,
    Table,
)
from wasmine.format.writer import heap_type

u32 = st.integers(0, 2**32 - 1) | st.integers(0, 300)
u64 = st.integers(0, 2**64 - 1) | st.integers(0, 300)
s32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-100, 100)
s64 = st.integers(-(2**63), 2**63 - 1)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def tuples_of(elements: st.SearchStrategy[Any], max_size: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(elements, max_size=max_size).map(tuple)


heap_types = st.sampled_from(t.Heap) | u32
ref_types = st.builds(t.RefType, st.booleans(), heap_types)
value_types = st.sampled_from(list(t.NUMBER_TYPES.values())) | ref_types
fields = st.builds(t.FieldType, value_types | st.sampled_from(t.Packed), st.booleans())
composites = (
    st.builds(t.FuncType, tuples_of(value_types), tuples_of(value_types))
    | st.builds(t.StructType, tuples_of(fields))
    | st.builds(t.ArrayType, fields)
)
sub_types = st.builds(t.SubType, composites, st.booleans(), tuples_of(u32, 2))
limits = st.builds(t.Limits, u64, st.none() | u64)
addresses = st.sampled_from([t.I32, t.I64])
table_types = st.builds(t.TableType, ref_types, limits, addresses)
memory_types = st.builds(t.MemoryType, limits, st.booleans(), addresses, st.just(16) | st.integers(0, 64))
global_types = st.builds(t.GlobalType, value_types, st.booleans())
tags = st.builds(t.TagIndex, u32)
externs = st.builds(t.FuncIndex, u32) | table_types | memory_types | global_types | tags


def instruction(name: str, *immediates: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(st.just(BY_NAME[name].encoding), *immediates).map(b"".join)


index = u32.map(unsigned)
plain_instructions = st.one_of(
    instruction("i32.const", s32.map(signed)),
    instruction("i64.const", s64.map(signed)),
    instruction("f32.const", st.binary(min_size=4, max_size=4)),
    instruction("f64.const", st.binary(min_size=8, max_size=8)),
    instruction("v128.const", st.binary(min_size=16, max_size=16)),
    instruction("i32.add"),
    instruction("global.get", index),
    instruction("ref.func", index),
    instruction("ref.null", heap_types.map(heap_type)),
    instruction("struct.new", index),
    instruction("array.new_fixed", index, index),
    instruction("ref.i31"),
    instruction("i32.load", st.integers(0, 63).map(unsigned), u64.map(unsigned)),
    instruction("i8x16.shuffle", st.binary(min_size=16, max_size=16)),
    instruction("br_table", st.lists(index, max_size=3).map(lambda n: unsigned(len(n)) + b"".join(n)), index),
)
instructions = st.recursive(
    plain_instructions,
    lambda inner: st.lists(inner, max_size=3).map(lambda body: b"\x02\x40" + b"".join(body) + b"\x0b"),
    max_leaves=5,
)
expressions = st.lists(instructions, max_size=3).map(lambda body: Expression(b"".join(body) + b"\x0b"))

segment_modes = st.builds(Active, u32 | st.just(0), expressions)
element_modes = segment_modes | st.sampled_from(Mode)
elements = st.builds(ElementSegment, st.just(t.RefType(False, t.Heap.FUNC)), tuples_of(u32), element_modes) | st.builds(
    ElementSegment, ref_types, tuples_of(expressions), element_modes
)
data_segments = st.builds(DataSegment, st.binary(max_size=200), segment_modes | st.just(Mode.PASSIVE))
locals_ = tuples_of(st.tuples(st.integers(0, 2**30), value_types))
code = st.builds(Code, locals_, expressions)


# Whether a module has the section, by what it holds.
FIELDS = {
    Section.TYPE: lambda syntax: syntax.types,
    Section.IMPORT: lambda syntax: syntax.imports,
    Section.FUNCTION: lambda syntax: syntax.functions,
    Section.TABLE: lambda syntax: syntax.tables,
    Section.MEMORY: lambda syntax: syntax.memories,
    Section.TAG: lambda syntax: syntax.tags,
    Section.GLOBAL: lambda syntax: syntax.globals,
    Section.EXPORT: lambda syntax: syntax.exports,
    Section.START: lambda syntax: syntax.start is not None,
    Section.ELEMENT: lambda syntax: syntax.elements,
    Section.DATA_COUNT: lambda syntax: syntax.data_count is not None,
    Section.CODE: lambda syntax: syntax.code,
    Section.DATA: lambda syntax: syntax.data,
}


@st.composite
def modules(draw: st.DrawFn) -> ModuleSyntax:
    functions = draw(st.lists(st.tuples(u32, code), max_size=4))
    data = draw(tuples_of(data_segments))
    syntax = ModuleSyntax(
        types=draw(tuples_of(tuples_of(sub_types))),
        imports=draw(tuples_of(st.builds(Import, names, names, externs))),
        functions=tuple(type_ for type_, _ in functions),
        tables=draw(tuples_of(st.builds(Table, table_types, st.none() | expressions))),
        memories=draw(tuples_of(memory_types)),
        tags=draw(tuples_of(tags)),
        globals=draw(tuples_of(st.builds(Global, global_types, expressions))),
        exports=draw(tuples_of(st.builds(Export, names, st.sampled_from(t.Kind), u32))),
        start=draw(st.none() | u32),
        elements=draw(tuples_of(elements)),
        data_count=draw(st.sampled_from([None, len(data)])),
        code=tuple(body for _, body in functions),
        data=data,
    )
    places = [None, *(section for section in ORDER if FIELDS[section](syntax))]
    after = sorted(draw(st.lists(st.integers(0, len(places) - 1), max_size=3)))
    customs = tuple(CustomSection(draw(names), draw(st.binary(max_size=5)), places[i]) for i in after)
    return dataclasses.replace(syntax, customs=customs)


name_maps = st.dictionaries(u32, names, max_size=4)
indirect_name_maps = st.dictionaries(u32, name_maps, max_size=3)
name_sections = st.builds(
    Names,
    st.none() | names,
    name_maps,
    indirect_name_maps,
    indirect_name_maps,
    name_maps,
    name_maps,
    name_maps,
    name_maps,
    name_maps,
    name_maps,
    indirect_name_maps,
    name_maps,
)


def without_offsets(value: Any) -> Any:
    """The same syntax with every offset 0, so that it compares with syntax that was never in a file."""
    if isinstance(value, tuple):
        return tuple(map(without_offsets, value))
    if isinstance(value, Expression | CustomSection) and value.offset:
        value = dataclasses.replace(value, offset=0)
    if isinstance(value, ModuleSyntax | Table | Global | Active | ElementSegment | DataSegment | Code):
        old = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: without_offsets(part) for name, part in old.items()})
    return value


def same_module(one: ModuleSyntax, other: ModuleSyntax) -> bool:
    """Whether two modules are equal but for offsets."""
    return bool(without_offsets(one) == without_offsets(other))
