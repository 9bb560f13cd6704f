"""Explicit checks of bounds that are left out: only where an earlier one, or the operands, say that all is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wasmine
from wasmine import TrapKind
from wasmine.compiler.baseline import compile_function
from wasmine.compiler.code import FunctionCode
from wasmine.compiler.context import ContextLayout
from wasmine.compiler.engine import template_library

Agree = Callable[[str], Callable[..., Any]]

OUTSIDE = TrapKind.MEMORY_OUT_OF_BOUNDS
PAGE = 65536


@pytest.fixture
def traps(compiler: str) -> Callable[[str], int]:
    """`traps(body)`: at how many places checked code of a function with two i32 parameters and a memory of a page traps."""

    def count(body: str) -> int:
        module = wasmine.Module(f"(module (memory 1) (func (param $p i32) (param $q i32) {body}))")
        layout = ContextLayout(module.context)
        code: FunctionCode = compile_function(module.context, layout, 0, template_library(), "checked")
        call = template_library_trap()
        return code.code.count(call)

    return count


def template_library_trap() -> bytes:
    """The end of every explicit trap."""
    from wasmine.compiler.machine import architecture

    return architecture.instructions(template_library().architecture).trap(0)[-4:]


LOAD = "(drop (i32.load {} (local.get $p)))"


def test_code_without_branches_checks_an_address_once(traps: Callable[[str], int]) -> None:
    assert traps(LOAD.format("offset=8")) == 1
    assert traps(LOAD.format("offset=8") + LOAD.format("offset=8") + LOAD.format("")) == 1
    assert traps(LOAD.format("offset=8") + "(i64.store offset=4 (local.get $p) (i64.const 1))") == 1


def test_what_lies_further_on_is_checked_again(traps: Callable[[str], int]) -> None:
    assert traps(LOAD.format("offset=8") + LOAD.format("offset=9")) == 2
    assert traps(LOAD.format("offset=8") + "(i64.store offset=8 (local.get $p) (i64.const 1))") == 2


def test_another_address_is_checked(traps: Callable[[str], int]) -> None:
    assert traps(LOAD.format("") + "(drop (i32.load (local.get $q)))") == 2
    assert traps(LOAD.format("") + "(local.set $p (local.get $q))" + LOAD.format("")) == 2
    assert (
        traps(LOAD.format("") + "(drop (local.tee $p (i32.add (local.get $p) (i32.const 1))))" + LOAD.format("")) == 2
    )


def test_what_is_known_to_lie_in_the_memory_is_not_checked(traps: Callable[[str], int]) -> None:
    assert traps("(drop (i32.load (i32.const 65532)))") == 0
    assert traps("(drop (i32.load (i32.const 65533)))") == 1
    assert traps("(i64.store offset=65520 (i32.const 8) (i64.const 1))") == 0
    assert traps("(i64.store offset=65520 (i32.const 9) (i64.const 1))") == 1
    assert traps("(drop (i32.load8_u offset=65280 (i32.and (local.get $p) (i32.const 255))))") == 0
    assert traps("(drop (i32.load8_u offset=65281 (i32.and (local.get $p) (i32.const 255))))") == 1
    assert traps("(i32.store8 (i32.shr_u (local.get $p) (i32.const 16)) (i32.const 1))") == 0
    assert traps("(i32.store16 (i32.shr_u (local.get $p) (i32.const 16)) (i32.const 1))") == 1
    assert traps("(drop (i32.load8_u (i32.load8_u (i32.const 0))))") == 0
    assert traps("(drop (i32.load8_u offset=1 (i32.load16_u (i32.const 0))))") == 1
    assert traps("(drop (i32.load8_u (i32.load16_s (i32.const 0))))") == 1
    assert traps("(drop (i32.load8_u (i32.shr_s (local.get $p) (i32.const 16))))") == 1


WAYS = {
    "a branch may go round it": """
      (block $b (br_if $b (local.get $q)) (drop (i32.load offset=100 (local.get $p))))
      (i32.load offset=100 (local.get $p))""",
    "one arm does it": """
      (if (local.get $q) (then (drop (i32.load offset=100 (local.get $p)))) (else (drop (i32.load offset=4 (local.get $p)))))
      (i32.load offset=100 (local.get $p))""",
    "the other arm": """
      (if (result i32) (local.get $q)
        (then (i32.load offset=100 (local.get $p))) (else (i32.load offset=50 (local.get $p))))""",
    "a loop moves the address": """
      (loop $l (result i32)
        (drop (i32.load offset=100 (local.get $p)))
        (local.set $p (i32.add (local.get $p) (i32.const 4)))
        (drop (i32.load offset=100 (local.get $p)))
        (br_if $l (local.tee $q (i32.sub (local.get $q) (i32.const 1))))
        (i32.load offset=96 (local.get $p)))""",
    "a loop begins with it known": """
      (drop (i32.load offset=100 (local.get $p)))
      (loop $l (result i32)
        (i32.load offset=100 (local.get $p))
        (local.set $p (i32.add (local.get $p) (i32.const 8)))
        (br_if $l (local.tee $q (i32.sub (local.get $q) (i32.const 1)))))""",
    "a switch": """
      (block $a (block $b (block $c (br_table $a $b $c (local.get $q)))
        (drop (i32.load offset=100 (local.get $p)))) (drop (i32.load offset=60 (local.get $p))))
      (i32.load offset=100 (local.get $p))""",
    "the value loaded is the next address": """
      (local.set $p (i32.load offset=4 (local.get $p)))
      (i32.add (i32.load offset=4 (local.get $p)) (i32.load (local.get $p)))""",
    "a load waits on the stack while the address changes": """
      (i32.load offset=100 (local.get $p))
      (local.set $p (i32.add (local.get $p) (local.get $q)))
      (i32.add (i32.load offset=100 (local.get $p)))""",
    "memory grows": """
      (drop (memory.grow (local.get $q)))
      (drop (i32.load offset=65530 (local.get $p)))
      (i32.load offset=65530 (local.get $p))""",
}


@pytest.mark.parametrize("path", WAYS)
def test_every_access_traps_where_it_must(agree: Agree, path: str) -> None:
    call = agree(f"""(module (memory 1) (data (i32.const 0) "\\20\\00\\00\\00\\f0\\ff\\00\\00\\fd\\ff")
        (func (export "f") (param $p i32) (param $q i32) (result i32) {WAYS[path]}))""")
    found = [
        call("f", p, q)
        for q in (0, 1, 2, 30)
        for p in (0, 4, 2, PAGE - 160, PAGE - 104, PAGE - 103, PAGE - 54, PAGE, -1)
    ]
    assert OUTSIDE in found
    assert any(isinstance(each, int) for each in found)


@pytest.mark.parametrize("offset", [65280, 65281, 65535, 65536])
def test_masked_addresses(agree: Agree, offset: int) -> None:
    call = agree(f"""(module (memory 1)
        (func (export "f") (param i32) (result i32)
          (i32.load8_u offset={offset} (i32.and (local.get 0) (i32.const 255)))))""")
    for index in (0, 1, 254, 255, 256, -1):
        assert call("f", index) == (0 if (index & 255) + offset < PAGE else OUTSIDE)


def test_an_imported_memory_has_what_the_import_asks_for(compiler: Any) -> None:
    runtime = wasmine.Runtime(compiler, bounds="checked")
    memory = runtime.memory(2)
    text = """(module (import "m" "m" (memory 1)) (func (export "f") (param i32) (result i32) (i32.load8_u (i32.const 65535)))
      (func (export "g") (param i32) (result i32) (i32.load8_u (i32.const 131072))))"""
    exports = runtime.instantiate(text, {"m": {"m": memory}}).exports
    memory[65535] = 7
    assert exports.f(0) == 7
    with pytest.raises(wasmine.Trap):
        exports.g(0)
    memory.grow(1)
    assert exports.g(0) == 0
