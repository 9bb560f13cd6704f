"""Handlers in odd places."""

from __future__ import annotations

from collections.abc import Callable

import wasmine


def test_a_loop_that_catches_leaves_its_results_like_any_other(instantiate: Callable[..., wasmine.Instance]) -> None:
    exports = instantiate(
        """(module (tag $t) (global $again (mut i32) (i32.const 0))
        (func (export "none") (result i64)
          (loop $l (result i64) (try_table (catch_all $l) (nop)) (i64.const 42)))
        (func (export "once") (result i64)
          (loop $l (result i64)
            (try_table (catch $t $l)
              (if (i32.eqz (global.get $again)) (then (global.set $again (i32.const 1)) (throw $t))))
            (i64.const 43)))
        (func (export "two") (result i64)
          (loop $l (result i64 i64) (try_table (catch_all $l) (nop)) (i64.const 44) (i64.const 2))
          (i64.sub)))"""
    ).exports
    assert exports.none() == 42
    assert exports.once() == 43
    assert exports.two() == 42
