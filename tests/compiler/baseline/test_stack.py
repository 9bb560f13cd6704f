"""The abstract stack: what is pending keeps its meaning until it is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wasmine

Agree = Callable[[Any], Callable[..., Any]]


def test_a_local_that_is_written_leaves_the_value_on_the_stack_alone(agree: Agree) -> None:
    call = agree("""(module (func (export "f") (param i32 i32) (result i32)
        local.get 0   local.get 0 i32.const 1 i32.add
        local.get 1 local.set 0   i32.mul   local.get 0 i32.sub
        local.get 0 i32.const 3 i32.mul local.set 1   local.get 1 i32.xor local.get 0 local.get 1 i32.add i32.add))""")
    assert call("f", 5, 9) == ((5 * 6 - 9) ^ 27) + 36


@pytest.mark.parametrize("type", ["i32", "i64", "f32", "f64"])
@pytest.mark.parametrize("uses", [1, 5])
def test_an_operation_writes_a_local_that_it_reads(agree: Agree, type: str, uses: int) -> None:
    again = f"(local.set 0 ({type}.sub (local.get 1) (local.get 0)))" * uses
    call = agree(f"""(module (func (export "f") (param {type} {type}) (result {type})
        (local.set 0 ({type}.sub (local.get 0) (local.get 1))) {again}
        (local.set 1 ({type}.mul (local.get 1) (local.get 1)))
        ({type}.add (local.get 0) (local.get 1))))""")
    call("f", 7, 3)


def test_swapping_locals_through_the_stack(agree: Agree) -> None:
    call = agree("""(module (func (export "f") (param i32 i32 i32) (result i32)
        (loop $l
          local.get 0 local.get 1 local.set 0 local.set 1
          (br_if $l (local.tee 2 (i32.sub (local.get 2) (i32.const 1)))))
        (i32.sub (i32.mul (local.get 0) (i32.const 10)) (local.get 1))))""")
    assert call("f", 1, 2, 1) == 19
    assert call("f", 1, 2, 2) == 8


@pytest.mark.parametrize("type", ["i32", "i64", "f32", "f64"])
@pytest.mark.parametrize("depth", [3, 12, 90])
def test_more_values_than_registers(agree: Agree, type: str, depth: int) -> None:
    values = "".join(f"({type}.mul (local.get 0) ({type}.const {n}))" for n in range(1, depth + 1))
    call = agree(f"""(module (func (export "f") (param {type}) (result {type})
        {values} {f"{type}.sub " * (depth - 1)}))""")
    call("f", 3)


def test_values_of_both_files_compete_for_registers(agree: Agree) -> None:
    """Conversions and comparisons take operands in one file and have results in the other."""
    pushes = "".join(
        f"(f64.lt (f64.add (local.get 1) (f64.const {n}.5)) (f64.mul (local.get 1) (local.get 1)))"
        f"(f64.load (i32.add (local.get 0) (i32.const {8 * n})))"
        f"(f64.convert_i32_s (i32.mul (local.get 0) (i32.const {n})))"
        for n in range(12)
    )
    sum = """f64.add f64.neg local.set 2 f64.convert_i32_u local.get 2 f64.sub
        local.get 3 f64.add local.set 3 """
    data = "\\3f\\f0\\40\\01" * 64
    call = agree(f"""(module (memory 1) (data (i32.const 0) "{data}")
      (func (export "f") (param i32 f64) (result f64) (local f64 f64) {pushes} {sum * 12} (local.get 3)))""")
    call("f", 8, 1.25)


def test_deep_stacks_are_compiled_quickly(compiler: str, way: str) -> None:
    """Were each search to go through the whole stack, this would take hours."""
    count, steps = 20_000, 2000
    step = """local.get 1 i32.const 1 i32.add local.set 1 local.get 0 i32.add
        local.get 0 local.get 0 i32.const 3 i32.mul local.set 0 i32.sub """
    with wasmine.Runtime(compiler, bounds="checked" if way == "checked" else "guard") as runtime:
        instance = runtime.instantiate(f"""(module (func (export "f") (param i32 i32) (result i32)
            {"local.get 0 " * count} {step * steps} {"i32.add " * (count - 1)}))""")
        found = instance.exports.f(3, 4)
    top = sum(3 * 3**n - 3 * 3**n for n in range(steps))
    assert found == (count * 3 + top + (1 << 31)) % (1 << 32) - (1 << 31)


@pytest.mark.parametrize("count", [12, 13, 300, 20_000])
def test_locals_start_as_zero_however_many(agree: Agree, count: int) -> None:
    call = agree(f"""(module (func (export "f") (param i32) (result i32) (local {"i32 " * count})
        (local.set 5 (i32.add (local.get 5) (local.get 0)))
        (local.set {count} (i32.add (local.get {count}) (local.get 5)))
        (i32.add (local.get 7) (local.get {count}))))""")
    assert call("f", 3) == 3
    assert call("f", 3) == 3


def test_a_pending_load_happens_before_a_store_after_it(agree: Agree) -> None:
    call = agree("""(module (memory 1)
        (func (export "f") (param i32) (result i32)
          (i32.load (local.get 0)) (i32.load offset=4 (local.get 0)) (local.get 0)
          (i32.store (local.get 0) (i32.const 7)) (i32.store offset=4 (local.get 0) (i32.const 9))
          drop i32.sub (i32.mul (i32.const 100) (i32.load (local.get 0))) i32.add))""")
    assert call("f", 16) == 700
    assert call("f", 16) == 698


@pytest.mark.parametrize(
    "what",
    [
        "(i32.add (i32.load (i32.const -4)) (i32.div_u (i32.const 1) (local.get 0)))",
        "(i32.load (i32.const -4)) (global.set $g (i32.const 1)) (drop) (i32.const 1)",
        "(i32.load (i32.const -4)) drop (i32.const 2)",
        "(block (result i32) (i32.load (i32.const -4)) (br 0 (i32.const 3)))",
        "(i32.load (i32.const -4)) (if (local.get 0) (then unreachable)) drop (i32.const 4)",
        "(i32.load (i32.const -4)) (i32.const 1) return",
        "(i32.load (i32.const -4)) (i32.trunc_f64_s (f64.const nan)) i32.add",
        "(i32.load (i32.const -4)) unreachable",
    ],
)
def test_a_pending_load_traps_where_it_stands(agree: Agree, what: str) -> None:
    call = agree(f"""(module (memory 1) (global $g (mut i32) (i32.const 0))
        (func (export "f") (param i32) (result i32) {what})
        (func (export "g") (result i32) (global.get $g)))""")
    assert call("f", 0).name == "MEMORY_OUT_OF_BOUNDS"
    assert call("g") == 0
