"""Recursive groups, declared subtypes and the limits of types."""

from __future__ import annotations

import pytest

from wasmine.errors import ValidationError

VALID = {
    "a subtype with more fields": "(type $a (sub (struct (field i32)))) (type (sub $a (struct (field i32) (field i64))))",
    "a field of a subtype": """
        (type $a (sub (struct (field (ref null any))))) (type (sub $a (struct (field (ref i31)))))""",
    "parameters go the other way": """
        (type $f (sub (func (param (ref i31)) (result anyref)))) (type (sub $f (func (param anyref) (result (ref i31)))))""",
    "a recursive type": "(type $list (struct (field (ref null $list))))",
    "types that name each other": "(rec (type $a (struct (field (ref $b)))) (type $b (array (ref $a))))",
    "a supertype in the same group": "(rec (type $a (sub (struct))) (type $b (sub $a (struct (field i32)))))",
    "63 supertypes": " ".join(
        ["(type $t0 (sub (func)))", *(f"(type $t{n} (sub $t{n - 1} (func)))" for n in range(1, 64))]
    ),
    "a thousand parameters": f"(type (func (param {'i32 ' * 1000})))",
}

INVALID = {
    "(type $a (struct)) (type (sub $a (struct)))": "sub type: type 1 extends type 0, which is final",
    "(type $a (sub (struct (field i32)))) (type (sub $a (struct (field i64))))": "sub type: type 1",
    "(type $a (sub (struct (field i32)))) (type (sub $a (struct)))": "sub type: type 1",
    "(type $a (sub (struct (field (mut anyref))))) (type (sub $a (struct (field (mut i31ref)))))": "sub type: type 1",
    "(type $a (sub (array anyref))) (type (sub $a (struct)))": "sub type: type 1",
    "(type $f (sub (func (param anyref)))) (type (sub $f (func (param i31ref))))": "sub type: type 1",
    "(type (struct (field (ref 1)))) (type (struct))": "unknown type 1: type 0 may name types below 1",
    "(rec (type $a (sub $b (struct))) (type $b (sub (struct))))": "unknown type 1: the supertype of type 0",
    f"(type (func (param {'i32 ' * 1001})))": "type 0 has 1001 parameters, at most 1000 are supported",
    f"(type (func (result {'i32 ' * 1001})))": "type 0 has 1001 results, at most 1000 are supported",
    f"(type (struct (field {'i32 ' * 10_001})))": "type 0 has 10001 fields, at most 10000 are supported",
    " ".join(["(type $t0 (sub (func)))", *(f"(type $t{n} (sub $t{n - 1} (func)))" for n in range(1, 65))]): (
        "sub type: type 64 has 64 supertypes, at most 63 are supported"
    ),
}


@pytest.mark.parametrize("fields", VALID.values(), ids=VALID)
def test_what_the_rules_allow(check, fields):
    check(f"(module {fields})")


@pytest.mark.parametrize(("fields", "reason"), INVALID.items(), ids=INVALID.values())
def test_what_the_rules_forbid(refused, fields, reason):
    error = refused(f"(module {fields})")

    assert isinstance(error, ValidationError)
    assert error.reason.startswith(reason), error.reason


def test_equal_types_of_two_modules_are_one_object(check):
    text = "(module {} (rec (type $a (struct (field (ref $b)))) (type $b (array (ref $a)))))"

    one, other = check(text.format("")).types, check(text.format("(type (func))")).types

    assert one[0] is other[1]
    assert one[1] is other[2]
