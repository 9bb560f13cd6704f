"""Locals without a default value must be set before they are read, on every way there."""

from __future__ import annotations

import pytest

VALID = {
    "set before": "(local.set $x (ref.func 0)) (drop (local.get $x))",
    "teed before": "(drop (local.tee $x (ref.func 0))) (drop (local.get $x))",
    "set before a block": "(local.set $x (ref.func 0)) (block (drop (local.get $x)))",
    "set again inside": "(local.set $x (ref.func 0)) (block (local.set $x (ref.func 0))) (drop (local.get $x))",
    "set in each branch for itself": """
        (if (local.get 0)
          (then (local.set $x (ref.func 0)) (drop (local.get $x)))
          (else (local.set $x (ref.func 0)) (drop (local.get $x))))""",
    "set in unreachable code": "(unreachable) (local.set $x (ref.func 0)) (drop (local.get $x))",
    "a nullable one is null": "(drop (local.get $y))",
    "a parameter is set": "(drop (local.get 0))",
}

INVALID = {
    "never": "(drop (local.get $x))",
    "in a block that ended": "(block (local.set $x (ref.func 0))) (drop (local.get $x))",
    "in the other branch": """
        (if (local.get 0) (then (local.set $x (ref.func 0))) (else (drop (local.get $x))))""",
    "in both branches": """
        (if (local.get 0) (then (local.set $x (ref.func 0))) (else (local.set $x (ref.func 0))))
        (drop (local.get $x))""",
    "in the body of a try": "(try (do (local.set $x (ref.func 0))) (catch_all (drop (local.get $x))))",
    "in unreachable code": "(unreachable) (drop (local.get $x))",
    "after a branch out": "(block (br 0) (local.set $x (ref.func 0))) (drop (local.get $x))",
}

FUNCTION = '(module (func (export "f") (param i32) (local $x (ref func)) (local $y funcref) {}))'


@pytest.mark.parametrize("body", VALID.values(), ids=VALID)
def test_set(check, body):
    check(FUNCTION.format(body))


@pytest.mark.parametrize("body", INVALID.values(), ids=INVALID)
def test_not_set(refused, body):
    error = refused(FUNCTION.format(body))

    assert error.reason == "uninitialized local: local 1 of type (ref func) is not set yet"


def test_a_wrong_value_for_one_is_a_mismatch(refused):
    error = refused(FUNCTION.format("(local.set $x (ref.null func))"))

    assert error.reason == "type mismatch: local.set expected [(ref func)], found [funcref]"
