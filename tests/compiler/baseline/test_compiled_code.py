"""What comes with the code of a function."""

from __future__ import annotations

import pytest

from wasmine.compiler.baseline import compile_function
from wasmine.compiler.code import FunctionCode, RelocationKind
from wasmine.compiler.context import ContextLayout
from wasmine.compiler.templates import library
from wasmine.errors import UnsupportedFeature
from wasmine.format.text import parse_module
from wasmine.validation.module import validate


def compile_first(text: str, bounds: str = "guard") -> FunctionCode:
    """The first function that a module defines."""
    context = validate(parse_module(text))
    templates = library.load("amd64_v3")
    if templates is None:
        pytest.skip("the template library was not built: python -m wasmine.compiler.templates build")
    return compile_function(context, ContextLayout(context), context.imported_functions, templates, bounds)


def test_a_function_that_calls_nothing_has_no_prologue() -> None:
    code = compile_first("(module (func (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))")
    assert code.frame_size == 0
    assert code.code.endswith(b"\xc3")
    assert len(code.code) <= 12
    assert not code.relocations
    assert not code.sites


def test_a_leaf_with_a_large_frame_checks_its_limits() -> None:
    locals = "i64 " * 10_000
    code = compile_first(f"(module (func (param i32) (local {locals}) (local.set 9999 (local.get 9998))))")
    assert code.slots > 80_000
    assert code.sites, "the trap of an overflow has a place"


def test_places_that_may_trap_or_call_are_listed_in_order() -> None:
    code = compile_first("""(module (import "" "h" (func $h)) (memory 1)
      (func (param i32) (result i32) (call $h) (i32.store (local.get 0) (i32.div_u (i32.load (local.get 0)) (local.get 0)))
        (call $g) (i32.load (local.get 0)))
      (func $g))""")
    offsets = [offset for offset, _ in code.sites]
    assert offsets == sorted(offsets)
    assert len(code.sites) >= 6  # two calls, three accesses, a division, an overflow
    kinds = {(relocation.kind, relocation.operand) for relocation in code.relocations}
    assert kinds == {(RelocationKind.SYMBOL, "call_record"), (RelocationKind.FUNCTION, 2)}


def test_a_loop_keeps_its_locals_in_registers() -> None:
    """Four operations and a branch: there is no room for a load or a store."""
    code = compile_first("""(module (func (param i32 i32) (result i32) (local i32)
        (loop $l
          (local.set 2 (i32.add (local.get 2) (i32.mul (local.get 0) (local.get 1))))
          (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 2)))""").code
    multiplication = code.index(b"\x0f\xaf")
    branch = code.index(b"\x0f\x85")
    assert branch - multiplication <= 13


def test_regions_are_nested_and_cover_the_calls_in_them() -> None:
    code = compile_first("""(module (tag $e)
      (func (block $a (block $b
        (try_table (catch $e $a) (call $g) (try_table (catch_all $b) (call $g)) (call $g))))
        (call $g))
      (func $g))""")
    assert [region.parent for region in code.regions] == [None, 0]
    assert sorted(code.covered.values()) == [0, 0, 1]
    assert all(0 < clause.landing < len(code.code) for region in code.regions for clause in region.catches)
    assert code.frame_size >= 6 * 8


def test_gc_objects_are_refused() -> None:
    with pytest.raises(UnsupportedFeature):
        compile_first("(module (type $s (struct)) (func (drop (struct.new $s))))")
