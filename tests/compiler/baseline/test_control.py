"""Blocks, branches and joins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wasmine.errors import TrapKind

Agree = Callable[[Any], Callable[..., Any]]

TYPES = ["i32", "i64", "f32", "f64"]


@pytest.mark.parametrize("type", TYPES)
def test_a_branch_carries_a_value_over_others(agree: Agree, type: str) -> None:
    call = agree(f"""(module (func (export "f") (param i32 {type}) (result {type})
        ({type}.const 1000)
        (block $b (result {type})
          ({type}.const 1) ({type}.mul (local.get 1) ({type}.const 2)) ({type}.add (local.get 1) ({type}.const 3))
          (br_if $b (local.get 0)) {type}.add
          (br_if $b (i32.eqz (local.get 0))) {type}.sub)
        {type}.add))""")
    assert call("f", 0, 5) == 1018
    assert call("f", 1, 5) == 1008


def test_several_values_move_down_where_a_branch_leaves_others_behind(agree: Agree) -> None:
    call = agree("""(module (func (export "f") (param i32) (result i32 i64 f64)
        (block $b (result i32 i64 f64)
          (i32.const 77) (i32.const 1) (i64.const 2) (f64.const 3)
          (br_if $b (local.get 0))
          drop drop drop drop (i32.const 4) (i64.const 5) (f64.const 6))))""")
    assert call("f", 1) == (1, 2, 3.0)
    assert call("f", 0) == (4, 5, 6.0)


def test_parameters_of_blocks_loops_and_ifs(agree: Agree) -> None:
    call = agree("""(module (func (export "f") (param i32) (result i32 i32 i32) (local i32)
        (i32.const 0) (local.get 0)
        (loop $l (param i32 i32) (result i32 i32 i32)
          (local.set 0) (local.get 0) i32.add (local.set 1)
          (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (local.get 1)
          (if (param i32 i32) (result i32 i32) (local.get 0)
            (then (local.set 1) drop (local.get 1) (local.get 0) (br $l)))
          (i32.const 100))))""")
    assert call("f", 4) == (0, 10, 100)


def test_an_if_without_else_passes_its_parameters_on(agree: Agree) -> None:
    call = agree("""(module
        (func (export "one") (param i32 f64) (result f64)
          (f64.add (local.get 1) (f64.const 1)) (if (param f64) (result f64) (local.get 0) (then f64.neg)))
        (func (export "two") (param i32) (result i32 i32)
          (i32.const 1) (i32.const 2)
          (if (param i32 i32) (result i32 i32) (local.get 0) (then drop drop (i32.const 3) (i32.const 4)))))""")
    assert (call("one", 0, 2.0), call("one", 1, 2.0)) == (3.0, -3.0)
    assert (call("two", 0), call("two", 1)) == ((1, 2), (3, 4))


@pytest.mark.parametrize("results", ["", "i32", "f64", "i32 f64"])
def test_a_table_of_branches(agree: Agree, results: str) -> None:
    """With the index above what is carried, to blocks, to a loop, out of the function, beyond the table."""
    carried = " ".join(f"({type}.const 7)" for type in results.split())
    dropped = "drop " * len(results.split())
    block = f"(result {results})" if results else ""
    call = agree(f"""(module (func (export "f") (param i32) (result i32) (local i32)
        (block $out {block}
          (block $b {block}
            (block $a {block}
              (i64.const 1) {carried} (local.get 0) (br_table $a $b $out $a))
            {dropped} (return (i32.const 1)))
          {dropped} (return (i32.const 2)))
        {dropped} (i32.const 3)))""")
    assert [call("f", index) for index in (0, 1, 2, 3, -1)] == [1, 2, 3, 1, 1]


def test_a_table_of_branches_to_a_loop_and_a_block_that_want_the_value_elsewhere(agree: Agree) -> None:
    call = agree("""(module (func (export "f") (param i32) (result i32)
        (block $b (result i32)
          (local.get 0)
          (loop $l (param i32) (result i32)
            (local.set 0) (i32.const 9) (i32.sub (local.get 0) (i32.const 1)) (local.get 0)
            (br_table $b $l $l $b)))))""")
    assert [call("f", n) for n in range(5)] == [-1, -1, -1, 2, 3]


@pytest.mark.parametrize("comparison", ["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"])
@pytest.mark.parametrize("type", ["i32", "i64"])
def test_conditions_of_integers_in_every_place(agree: Agree, type: str, comparison: str) -> None:
    _conditions(agree, type, comparison, ["0", "1", "-1", "2147483647", "-2147483648", "5"], [0, 1, -1, 5, 2**31 - 1])


@pytest.mark.parametrize("comparison", ["eq", "ne", "lt", "gt", "le", "ge"])
@pytest.mark.parametrize("type", ["f32", "f64"])
def test_conditions_of_floats_in_every_place(agree: Agree, type: str, comparison: str) -> None:
    _conditions(agree, type, comparison, ["0", "-0", "1.5", "nan", "inf"], [0.0, -1.0, 1.5, float("nan")])


def _conditions(agree: Agree, type: str, comparison: str, constants: list[str], values: list[Any]) -> None:
    """Branches, their opposites, values, selections of either file; with a local, a constant, on either side."""
    operands = [f"(local.get 0) ({type}.const {constant})" for constant in constants]
    operands += [f"({type}.const {constants[0]}) (local.get 0)", "(local.get 0) (local.get 1)"]
    functions = []
    for number, operand in enumerate(operands):
        for opposite in ("", "i32.eqz"):
            condition = f"{operand} {type}.{comparison} {opposite}"
            functions.append(f"""(func (export "{number}{opposite}") (param {type} {type})
              (result i32 i32 i32 i64 f64 i32) (local i32)
              (if (result i32) {_folded(condition)} (then (i32.const 1)) (else (i32.const 2)))
              {condition}
              (block (result i32) (i32.const 3) {condition} br_if 0 drop (i32.const 4))
              (i64.const 5) (i64.const 6) {condition} select
              (f64.const 7) (f64.const 8) {condition} select
              {condition} local.set 2 (local.get 2))""")
    call = agree(f"(module {' '.join(functions)})")
    for number in range(len(operands)):
        for opposite in ("", "i32.eqz"):
            for value in values:
                call(f"{number}{opposite}", value, values[-2])


def _folded(condition: str) -> str:
    """A condition where the folded form of `if` wants it."""
    return f"(block (result i32) {condition})"


def test_the_code_behind_a_branch_that_is_always_taken_is_left_out(agree: Agree) -> None:
    call = agree("""(module (func (export "f") (param i32) (result i32)
        (block (br_if 0 (i32.const 1)) (return (i32.const 1)))
        (block (br_if 0 (i32.const 0)) (local.set 0 (i32.add (local.get 0) (i32.const 5))))
        (if (i32.const 0) (then (return (i32.const 2))))
        (if (result i32) (i32.const 1) (then (local.get 0)) (else (i32.const 3)))))""")
    assert call("f", 10) == 15


def test_the_index_of_a_table_with_nothing_but_a_default_is_computed(agree: Agree) -> None:
    call = agree("""(module (memory 1) (func (export "f") (param i32) (result i32)
        (block (br_table 0 (i32.load (local.get 0)))) (i32.const 1)))""")
    assert call("f", 0) == 1
    assert call("f", -1) is TrapKind.MEMORY_OUT_OF_BOUNDS


@pytest.mark.parametrize("count", range(5))
def test_the_result_register_is_cleared_for_a_branch_when_all_are_taken(agree: Agree, count: int) -> None:
    loads = "(i64.load16_u (i32.const 1))" * count
    call = agree(f"""(module (memory 1) (data (i32.const 1) "\\07") (func $f) (elem declare func $f)
        (func (export "f") (param i64) (result i64)
          (i64.const 1) (br_on_null 0 (ref.func $f)) {loads}
          (br_if 0 (i64.load16_u (i32.const 1)) (i64.le_s (local.get 0) (i64.load16_u (i32.const 1))))
          drop {"drop " * count} drop))""")
    assert call("f", 8) == 1
    assert call("f", 7) == 7
