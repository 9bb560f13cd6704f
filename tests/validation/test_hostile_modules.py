"""Modules that try to cost more than they weigh: refused or checked, in time and memory that their size explains."""

from __future__ import annotations

from contextlib import suppress

import pytest
from tests.objects import peak_of

from wasmine.errors import ValidationError
from wasmine.format.module import Code, Expression, ModuleSyntax
from wasmine.format.types import F64, I32, ArrayType, FieldType, FuncType, RefType, StructType, SubType
from wasmine.validation import validate
from wasmine.validation.walk import MAX_LOCALS


def module(body: bytes, *types, locals_=()) -> ModuleSyntax:
    """Function 0 has type 0 and this body."""
    return ModuleSyntax(
        types=tuple((SubType(type_),) for type_ in types),
        functions=(0,),
        code=(Code(tuple(locals_), Expression(body)),),
    )


def peak(syntax: ModuleSyntax) -> int:
    """The most memory that validation takes at a time, in bytes; an error of ours is fine."""

    def check() -> None:
        with suppress(ValidationError):
            validate(syntax)

    return peak_of(check)


def test_as_many_locals_as_the_limit_allows():
    half = MAX_LOCALS // 2

    validate(module(b"\x0b", FuncType(), locals_=[(half, I32), (half, F64)]))
    with pytest.raises(ValidationError, match=f"too many locals: at most {MAX_LOCALS} are supported"):
        validate(module(b"\x0b", FuncType((I32,)), locals_=[(half, I32), (half, F64)]))


def test_a_run_of_four_billion_locals_is_not_laid_out():
    assert peak(module(b"\x0b", FuncType(), locals_=[(2**32 - 1, RefType(False, 0))])) < 1 << 20


def test_calls_of_a_thousand_results_do_not_fill_the_memory():
    # Two bytes push a thousand operands: without a limit, 100 KB of code would take 400 MB.
    body = b"\x10\x00" * 50_000 + b"\x00\x0b"
    syntax = module(body, FuncType((), (I32,) * 1000))

    with pytest.raises(ValidationError, match="too many operands"):
        validate(syntax)
    assert peak(syntax) < 300 << 20  # without a GIL, what a list leaves behind when it grows is freed later


def test_large_signatures_cost_nothing_in_unreachable_code():
    array, struct = ArrayType(FieldType(I32)), StructType((FieldType(I32),) * 10_000)
    body = b"\x00" + (b"\xfb\x00\x02\x1a" + b"\xfb\x08\x01\x90\x4e\x1a" + b"\x10\x00") * 2_000 + b"\x0b"

    validate(module(body, FuncType((I32,) * 1000), array, struct))


def test_deep_nesting_is_no_recursion():
    depth = 100_000

    validate(module(b"\x02\x40" * depth + b"\x0b" * depth + b"\x0b", FuncType()))


def test_a_large_br_table():
    targets = 100_000

    validate(module(b"\x41\x00\x0e\xa0\x8d\x06" + bytes(targets + 1) + b"\x0b", FuncType()))


def test_array_new_fixed_has_a_limit():
    with pytest.raises(ValidationError, match=r"array\.new_fixed with 10001 operands: at most 10000 are supported"):
        validate(module(b"\x00\xfb\x08\x01\x91\x4e\x1a\x0b", FuncType(), ArrayType(FieldType(I32))))


def test_messages_stay_short():
    syntax = module(b"\x41\x00" * 500 + b"\x0b", FuncType((), (F64,) * 1000))

    with pytest.raises(ValidationError) as caught:
        validate(syntax)

    assert len(str(caught.value)) < 300
