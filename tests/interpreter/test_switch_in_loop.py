"""A `switch` in a `for (;;)`, some of whose cases are `continue`: as C compiles it, a br_table with the loop's label."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import wasmine

# Skips the numbers 1 in memory, from `at`; gives 10 * position + what ended it: 2 for a 2, 3 for anything else.
SKIP = """
(module
  (memory 1)
  (data (i32.const 0) "\\01\\01\\02\\01\\03")
  (func (export "skip") (param $at i32) (result i32)
    (local $here i32)
    (loop $next (result i32)
      (block $other
        (block $two
          (local.set $here (local.get $at))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br_table $other $next $two $other (i32.load8_u (local.get $here))))
        (return (i32.add (i32.mul (local.get $here) (i32.const 10)) (i32.const 2))))
      (i32.add (i32.mul (local.get $here) (i32.const 10)) (i32.const 3)))))
"""


@pytest.mark.parametrize(("at", "found"), [(0, 22), (1, 22), (2, 22), (3, 43), (4, 43), (5, 53)])
def test_cases_that_continue_the_loop(instantiate: Callable[..., wasmine.Instance], at: int, found: int) -> None:
    assert instantiate(SKIP).exports.skip(at) == found
