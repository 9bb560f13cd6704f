"""Types: closed types are canonical whatever module they come from, and subtyping is that of the specification."""

from __future__ import annotations

import gc
import pickle
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmine.format import types
from wasmine.format.types import (
    ANYREF,
    EXTERNREF,
    F64,
    FUNCREF,
    I32,
    I64,
    NUMBER_TYPES,
    SHORTHANDS,
    V128,
    ArrayType,
    DefinedType,
    FieldType,
    FuncType,
    Heap,
    Packed,
    RefType,
    StructType,
    SubType,
    composite_matches,
    define,
    field_matches,
    func_type,
    heap_matches,
    matches,
    storage_matches,
    substitute,
)


def plain(composite: types.CompositeType) -> DefinedType:
    """The defined type of a final type on its own."""
    return define((SubType(composite),), ())[0]


def structure(*fields: types.StorageType, mutable: bool = False) -> StructType:
    return StructType(tuple(FieldType(field, mutable) for field in fields))


LIST = SubType(
    StructType((FieldType(I32), FieldType(RefType(True, 0))))
)  # (rec (type $list (struct i32 (ref null $list))))


# Reference types.


def test_abstract_reference_types_are_one_object_each() -> None:
    assert RefType(True, Heap.FUNC) is FUNCREF
    assert RefType(False, Heap.ANY) is RefType(False, Heap.ANY)


def test_reference_types_of_defined_types_are_one_object_each() -> None:
    defined = func_type([I32])
    assert RefType(True, defined) is defined.ref_null
    assert RefType(False, defined) is defined.ref


def test_reference_types_of_indices_compare_by_value() -> None:
    assert RefType(True, 3) == RefType(True, 3)
    assert RefType(True, 3) != RefType(False, 3)
    assert hash(RefType(True, 3)) == hash(RefType(True, 3))


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (I32, "i32"),
        (V128, "v128"),
        (FUNCREF, "funcref"),
        (RefType(True, Heap.NONE), "nullref"),
        (RefType(True, Heap.NOFUNC), "nullfuncref"),
        (RefType(True, Heap.NOEXTERN), "nullexternref"),
        (RefType(True, Heap.NOEXN), "nullexnref"),
        (RefType(False, Heap.I31), "(ref i31)"),
        (RefType(True, 5), "(ref null 5)"),
        (FuncType((I32, I64), (FUNCREF,)), "[i32 i64] -> [funcref]"),
        (structure(I32, Packed.I8), "(struct (field i32) (field i8))"),
        (ArrayType(FieldType(I64, mutable=True)), "(array (mut i64))"),
        (types.TableType(FUNCREF, types.Limits(1, 2), I64), "i64 1 2 funcref"),
        (types.MemoryType(types.Limits(1, 2), shared=True, page_size_log2=0), "1 2 shared (pagesize 1)"),
        (types.GlobalType(I32, mutable=True), "(mut i32)"),
    ],
)
def test_types_are_printed_as_in_the_text_format(type_: object, text: str) -> None:
    assert str(type_) == text


def test_shorthands_name_every_nullable_abstract_reference_type() -> None:
    assert set(SHORTHANDS.values()) == {RefType(True, heap) for heap in Heap}
    assert all(str(type_) == name for name, type_ in SHORTHANDS.items())


# Canonical types.


def test_equal_types_of_different_modules_are_one_object() -> None:
    assert plain(FuncType((I32,), (I64,))) is plain(FuncType((I32,), (I64,)))
    assert plain(FuncType((I32,), (I64,))) is not plain(FuncType((I64,), (I32,)))


def test_the_kind_of_a_type_matters() -> None:
    assert len({plain(FuncType()), plain(StructType()), define((SubType(FuncType(), final=False),), ())[0]}) == 3


def test_mutability_and_storage_matter() -> None:
    variants = [FieldType(t, m) for t, m in product([I32, Packed.I8, Packed.I16], [False, True])]
    assert len({plain(ArrayType(field)) for field in variants}) == len(variants)
    assert len({plain(StructType((field,))) for field in variants}) == len(variants)


def test_func_type_is_the_type_that_a_module_would_define() -> None:
    assert func_type([I32], [F64]) is plain(FuncType((I32,), (F64,)))
    inner = func_type()
    (outer,) = define((SubType(FuncType((RefType(True, 0),))),), (inner,))
    assert func_type([inner.ref_null]) is outer


def test_type_indices_may_differ() -> None:
    leaf = plain(structure(I32))
    (one,) = define((SubType(structure(RefType(True, 0))),), (leaf,))
    (other,) = define((SubType(structure(RefType(True, 2))),), (plain(FuncType()), plain(FuncType()), leaf))
    assert one is other
    assert one.composite == structure(leaf.ref_null)


def test_recursive_types_are_canonical() -> None:
    (one,) = define((LIST,), ())
    shifted = SubType(StructType((FieldType(I32), FieldType(RefType(True, 1)))))
    (other,) = define((shifted,), (func_type(),))
    assert one is other
    assert isinstance(one.composite, StructType)
    assert one.composite.fields[1].storage is one.ref_null


def test_a_group_is_more_than_its_members() -> None:
    alone = plain(FuncType())
    first, second = define((SubType(FuncType()), SubType(FuncType())), ())
    assert len({alone, first, second}) == 3
    assert (first, second) == define((SubType(FuncType()), SubType(FuncType())), ())


def test_unrolled_recursion_is_another_type() -> None:
    (rolled,) = define((LIST,), ())
    unrolled = plain(StructType((FieldType(I32), FieldType(rolled.ref_null))))
    assert unrolled is not rolled


def test_mutually_recursive_types_close_over_each_other() -> None:
    a, b = define((SubType(structure(RefType(False, 1))), SubType(structure(RefType(False, 0)))), ())
    assert a.composite == structure(b.ref)
    assert b.composite == structure(a.ref)


def test_types_that_nobody_uses_are_forgotten() -> None:
    key_count = len(types._GROUPS)
    marker = [I32, I64, F64, I64, I32, F64, V128]
    defined = func_type(marker)
    assert len(types._GROUPS) == key_count + 1
    del defined
    gc.collect()
    assert len(types._GROUPS) <= key_count


def test_a_type_keeps_the_types_it_mentions() -> None:
    (outer,) = define((SubType(structure(RefType(True, 0))),), (plain(structure(V128, V128, V128)),))
    gc.collect()
    assert outer.composite == structure(plain(structure(V128, V128, V128)).ref_null)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_types_come_back_from_a_pickle_as_themselves(protocol: int) -> None:
    parent = define((SubType(structure(I32), final=False),), ())[0]
    child = define((SubType(structure(I32, I64), supertypes=(0,)),), (parent,))[0]
    (cycle,) = define((LIST,), ())
    for type_ in (I32, FUNCREF, RefType(True, 7), parent, child, child.ref, cycle, FuncType((cycle.ref,))):
        assert pickle.loads(pickle.dumps(type_, protocol)) == type_
    assert pickle.loads(pickle.dumps(cycle, protocol)) is cycle


def test_recursive_types_can_be_printed() -> None:
    assert str(define((LIST,), ())[0]) == "(struct (field i32) (field (ref null (struct ...))))"


def test_substitute_replaces_every_heap_type() -> None:
    composite = FuncType((RefType(True, 1), I32), (RefType(False, 2),))
    assert substitute(composite, lambda heap: heap + 1 if isinstance(heap, int) else heap) == FuncType(
        (RefType(True, 2), I32), (RefType(False, 3),)
    )
    assert substitute(structure(RefType(True, 1), Packed.I8), lambda _: Heap.ANY) == structure(ANYREF, Packed.I8)
    assert substitute(ArrayType(FieldType(RefType(True, 1))), lambda _: Heap.ANY) == ArrayType(FieldType(ANYREF))


# Subtyping.

HIERARCHY = {
    Heap.ANY: {Heap.EQ, Heap.I31, Heap.STRUCT, Heap.ARRAY, Heap.NONE},
    Heap.EQ: {Heap.I31, Heap.STRUCT, Heap.ARRAY, Heap.NONE},
    Heap.I31: {Heap.NONE},
    Heap.STRUCT: {Heap.NONE},
    Heap.ARRAY: {Heap.NONE},
    Heap.FUNC: {Heap.NOFUNC},
    Heap.EXTERN: {Heap.NOEXTERN},
    Heap.EXN: {Heap.NOEXN},
}


@pytest.mark.parametrize("sup", Heap)
def test_abstract_heap_types(sup: Heap) -> None:
    assert {sub for sub in Heap if heap_matches(sub, sup)} == {sup} | HIERARCHY.get(sup, set())


@pytest.mark.parametrize(
    ("composite", "above", "below"),
    [
        (FuncType(), {Heap.FUNC}, {Heap.NOFUNC}),
        (StructType(), {Heap.STRUCT, Heap.EQ, Heap.ANY}, {Heap.NONE}),
        (ArrayType(FieldType(I32)), {Heap.ARRAY, Heap.EQ, Heap.ANY}, {Heap.NONE}),
    ],
)
def test_defined_types_stand_between_abstract_ones(
    composite: types.CompositeType, above: set[Heap], below: set[Heap]
) -> None:
    defined = plain(composite)
    assert {heap for heap in Heap if heap_matches(defined, heap)} == above
    assert {heap for heap in Heap if heap_matches(heap, defined)} == below


def chain(length: int) -> list[DefinedType]:
    """Types each of which declares the one before as its supertype."""
    made: list[DefinedType] = []
    for depth in range(length):
        supertypes = (depth - 1,) if depth else ()
        made.extend(define((SubType(structure(*[I32] * depth), False, supertypes),), made))
    return made


def test_declared_subtypes_match_all_that_lie_above() -> None:
    made = chain(5)
    for (i, sub), (j, sup) in product(enumerate(made), repeat=2):
        assert sub.is_subtype_of(sup) == (i >= j)
        assert heap_matches(sub, sup) == (i >= j)
    assert [defined.depth for defined in made] == [0, 1, 2, 3, 4]


def test_structure_alone_makes_no_subtype() -> None:
    assert not plain(structure(I32, I64)).is_subtype_of(plain(structure(I32)))


def test_null_is_only_in_nullable_types() -> None:
    assert matches(RefType(False, Heap.FUNC), FUNCREF)
    assert not matches(FUNCREF, RefType(False, Heap.FUNC))
    assert not matches(FUNCREF, EXTERNREF)


@pytest.mark.parametrize(("sub", "sup"), list(product([*NUMBER_TYPES.values(), FUNCREF], repeat=2)))
def test_number_types_match_only_themselves(sub: types.ValueType, sup: types.ValueType) -> None:
    assert matches(sub, sup) == (sub is sup)


def test_packed_types_match_only_themselves() -> None:
    assert storage_matches(Packed.I8, Packed.I8)
    assert not storage_matches(Packed.I8, Packed.I16)
    assert not storage_matches(Packed.I8, I32)
    assert storage_matches(RefType(False, Heap.I31), ANYREF)


def test_mutable_fields_are_invariant() -> None:
    sub, sup = RefType(True, Heap.I31), ANYREF
    assert field_matches(FieldType(sub), FieldType(sup))
    assert not field_matches(FieldType(sub, mutable=True), FieldType(sup, mutable=True))
    assert not field_matches(FieldType(sub, mutable=True), FieldType(sup))
    assert not field_matches(FieldType(sub), FieldType(sup, mutable=True))
    assert field_matches(FieldType(sub, mutable=True), FieldType(sub, mutable=True))


def test_functions_are_contravariant_in_parameters_and_covariant_in_results() -> None:
    i31 = RefType(True, Heap.I31)
    assert composite_matches(FuncType((ANYREF,), (i31,)), FuncType((i31,), (ANYREF,)))
    assert not composite_matches(FuncType((i31,), ()), FuncType((ANYREF,), ()))
    assert not composite_matches(FuncType((), (ANYREF,)), FuncType((), (i31,)))
    assert not composite_matches(FuncType((I32,)), FuncType())
    assert not composite_matches(FuncType((), (I32,)), FuncType())


def test_structures_may_have_more_fields_below() -> None:
    assert composite_matches(structure(I32, I64), structure(I32))
    assert not composite_matches(structure(I32), structure(I32, I64))
    assert not composite_matches(structure(I64), structure(I32))
    assert not composite_matches(structure(I32), FuncType())


def test_arrays_match_by_element() -> None:
    assert composite_matches(ArrayType(FieldType(RefType(False, Heap.EQ))), ArrayType(FieldType(ANYREF)))
    assert not composite_matches(ArrayType(FieldType(I32)), ArrayType(FieldType(I64)))


closed = st.sampled_from(
    [
        *NUMBER_TYPES.values(),
        *(RefType(nullable, heap) for heap in Heap for nullable in (False, True)),
        *(ref for defined in chain(3) for ref in (defined.ref, defined.ref_null)),
        *(ref for defined in (func_type(), func_type([I32])) for ref in (defined.ref, defined.ref_null)),
    ]
)


@given(closed, closed, closed)
def test_matching_is_a_partial_order(a: types.ValueType, b: types.ValueType, c: types.ValueType) -> None:
    assert matches(a, a)
    assert not (matches(a, b) and matches(b, a)) or a is b
    assert not (matches(a, b) and matches(b, c)) or matches(a, c)
