"""Every feature can be switched off, and a module that needs it is refused by its name."""

from __future__ import annotations

import pytest

from wasmine.errors import UnsupportedFeature
from wasmine.format.features import Features
from wasmine.format.instructions import INSTRUCTIONS
from wasmine.format.text import parse_module
from wasmine.validation import features_used, validate

NEEDS = {
    "mutable_global": [
        '(global (export "g") (mut i32) (i32.const 0))',
        '(import "m" "g" (global (mut i32)))',
    ],
    "sign_extension_ops": ["(func (drop (i32.extend8_s (i32.const 0))))"],
    "nontrapping_float_to_int_conversion": ["(func (drop (i32.trunc_sat_f32_s (f32.const 0))))"],
    "multi_value": ["(type (func (result i32 i32)))", "(func (i32.const 0) (block (param i32) (drop)))"],
    "bulk_memory_operations": [
        "(memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
        '(data "x")',
        "(elem func)",
    ],
    "reference_types": [
        "(func (param externref))",
        "(func (drop (ref.null func)))",
        "(table 1 funcref) (table 1 funcref)",
        "(func $f) (elem declare func $f)",
        "(func $f (local funcref))",
    ],
    "simd": ["(func (param v128))", "(func (drop (v128.const i64x2 0 0)))", "(global v128 (v128.const i64x2 0 0))"],
    "tail_call": ["(func $f (return_call $f))"],
    "extended_const": ["(global i32 (i32.add (i32.const 1) (i32.const 2)))"],
    "multi_memory": ["(memory 1) (memory 1)"],
    "memory64": ["(memory i64 1)", "(table i64 1 funcref)"],
    "exception_handling": ["(func (param exnref))", "(func (try_table))", "(func (unreachable) (throw_ref))"],
    "function_references": [
        "(type $t (func)) (func (param (ref null $t)))",
        "(func (param (ref extern)))",
        "(type $t (func)) (func (unreachable) (call_ref $t))",
        "(func $f) (table 1 funcref (ref.func $f))",
    ],
    "gc": [
        "(type (struct))",
        "(type (array i32))",
        "(type (sub (func)))",
        "(rec (type (func)) (type (func)))",
        "(type $t (func (param (ref null $t))))",
        "(func (param anyref))",
        "(func (drop (ref.i31 (i32.const 0))))",
        "(global (ref i31) (ref.i31 (i32.const 0)))",
        "(global i32 (i32.const 0)) (global i32 (global.get 0))",
    ],
    "relaxed_simd": ["(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))"],
    "threads": ["(memory 1 1 shared)", "(func (atomic.fence))"],
    "custom_page_sizes": ["(memory 1 (pagesize 1))"],
    "wide_arithmetic": ["(func (unreachable) (i64.mul_wide_u) (drop) (drop))"],
    "legacy_exceptions": ["(func (try (do) (catch_all)))"],
}
CASES = [(feature, fields) for feature, all_fields in NEEDS.items() for fields in all_fields]


def test_there_is_a_case_for_every_feature():
    assert set(NEEDS) == set(Features.names())


@pytest.mark.parametrize(("feature", "fields"), CASES)
def test_a_module_that_needs_a_feature_is_refused_by_its_name(check, refused, feature, fields):
    check(f"(module {fields})")

    error = refused(f"(module {fields})", feature)

    assert isinstance(error, UnsupportedFeature)
    assert error.feature == feature.replace("_", "-")
    assert str(error).startswith(f'feature "{error.feature}" is disabled: ')


@pytest.mark.parametrize(("feature", "fields"), CASES)
def test_the_features_used_are_those_that_are_needed(check, feature, fields):
    context = check(f"(module {fields})")

    used = features_used(context)

    assert feature in used
    validate(context.syntax, Features.none().enable(*used))
    for needed in used:
        with pytest.raises(UnsupportedFeature):
            validate(context.syntax, Features.none().enable(*used).disable(needed))


def test_a_plain_module_uses_no_feature(check):
    context = check("""(module (memory 1) (table 1 funcref) (global $g (mut i32) (i32.const 0)) (elem (i32.const 0) $f)
        (func $f (param i32) (result i32) (global.set $g (local.get 0)) (i32.load (global.get $g))))""")

    assert features_used(context) == set()


def test_tags_come_with_either_kind_of_exceptions(check, refused):
    text = "(module (tag $e) (func (throw $e)))"

    check(text, "exception_handling")
    check(text, "legacy_exceptions")
    assert refused(text, "exception_handling", "legacy_exceptions").feature == "exception-handling"


def test_a_memory_access_that_names_its_memory_needs_multiple_memories(check):
    explicit = "(module (memory 1) (memory 1) (func (drop (i32.load 1 (i32.const 0)))))"

    assert features_used(check(explicit)) == {"multi_memory"}


@pytest.mark.parametrize("name", sorted({i.feature for i in INSTRUCTIONS if i.feature}))
def test_the_table_names_features(name):
    assert name in Features.names()


def test_an_error_says_where(refused):
    error = refused("(module (func) (func (nop) (atomic.fence)))", "threads")

    assert str(error).startswith('feature "threads" is disabled: atomic.fence (in function 1, at offset ')


def test_features_are_found_in_text_modules_too():
    context = validate(parse_module("(module (func (param i32) (drop (i32.extend8_s (local.get 0)))))"))

    assert features_used(context) == {"sign_extension_ops"}
