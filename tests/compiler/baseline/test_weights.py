"""The scan for how locals are used agrees with a walk."""

from __future__ import annotations

import pytest

from wasmine.compiler.baseline import weights
from wasmine.format.text import parse_module
from wasmine.validation.module import validate

BODIES = {
    "constants that look like instructions": """(drop (i32.const 0x20202020)) (drop (i64.const 0x2121212121212121))
        (drop (f32.const 1.2e-19)) (drop (f64.const 0x1.0202020202020p-500)) (local.set 0 (i32.const 1))""",
    "loops": """(loop (local.set 0 (i32.const 1)) (loop (drop (local.get 1)) (block (drop (local.get 0))))
        (if (local.get 0) (then (drop (local.get 2))) (else (drop (local.get 2))))) (drop (local.get 2))""",
    "memory": """(i32.store offset=0x2020 align=1 (local.get 0) (i32.load8_u offset=0x20 (local.get 1)))
        (i64.store $second offset=33 (local.get 0) (i64.load $second (local.get 1)))
        (memory.copy (local.get 0) (local.get 0) (local.get 1)) (memory.fill (local.get 0) (local.get 0) (local.get 1))""",
    "vectors": """(v128.store (local.get 0) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31
        (v128.const i32x4 0x20202020 0x21212121 0x22222222 0x0b0b0b0b) (v128.load offset=32 (local.get 1))))
        (drop (f64x2.extract_lane 1 (f64x2.add (v128.const i64x2 1 2) (v128.const i64x2 1 2))))
        (drop (v128.load8_lane 3 (local.get 0) (i8x16.relaxed_swizzle (v128.const i64x2 1 2) (v128.const i64x2 1 2))))""",
    # The index of the type is an opcode: `end`, `else`, `loop`, `local.get`.
    "blocks of references": "".join(
        f"(drop (loop (result (ref null {index})) (drop (local.get 1)) (ref.null {index})))" for index in (11, 5, 3, 32)
    )
    + "(drop (block (result funcref) (ref.null func))) (drop (local.get 2))",
    "tables of branches": "(block (block (br_table 0 1 0 0 1 (local.get 0))) (drop (local.get 0)))",
    "selections": """(drop (select (result i32) (local.get 0) (local.get 1) (local.get 2)))
        (drop (select (local.get 0) (local.get 1) (local.get 2))) (drop (ref.null func)) (drop (ref.is_null (ref.null extern)))""",
    "calls": "(call $f (local.get 0)) (loop (call_indirect (type $t) (local.get 0) (local.get 1)))",
    "runtime functions": "(drop (memory.grow (local.get 0))) (memory.init 0 (local.get 0) (local.get 1) (local.get 2))",
    "atomic accesses": "(drop (i32.atomic.rmw.add offset=32 (local.get 0) (local.get 1))) (atomic.fence)",
    "saturation": "(drop (i32.trunc_sat_f64_s (f64.const 32))) (drop (table.size)) (drop (table.get (local.get 0)))",
}


@pytest.mark.parametrize("what", BODIES)
def test_the_scan_finds_what_the_walk_finds(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    context = _context(BODIES[what])
    monkeypatch.setattr(weights, "_SMALL", 0)
    found = weights.weigh(context, 0)
    monkeypatch.setattr(weights, "_weigh_tokens", lambda _: None)
    expected = weights.weigh(context, 0)
    assert found.locals == expected.locals
    assert found.calls == expected.calls


@pytest.mark.parametrize(
    "body",
    [
        f"(block (br_table {'0 ' * 200} (local.get 1)))",
        "(try_table (drop (local.get 1)))",
        "(drop (i32.atomic.rmw.cmpxchg (local.get 1) (i32.const 1) (i32.const 2)))",
    ],
)
def test_what_the_scan_does_not_know_is_walked(body: str) -> None:
    found = weights.weigh(_context(body), 0)
    assert found.locals == {1: 1}
    assert found.handlers == ("try" in body)
    assert found.wide == ("cmpxchg" in body)


def test_inner_loops_weigh_more() -> None:
    found = weights.weigh(_context(BODIES["loops"]), 0)
    assert found.locals == {0: 8 + 64 + 8, 1: 64, 2: 8 + 8 + 1}


def _context(body: str):  # type: ignore[no-untyped-def]
    return validate(
        parse_module(f"""(module (type $t (func (param i32))) (memory 1) (memory $second 1) (table 1 funcref)
        {"(type (func))" * 32} (data "") (func $f (param i32) (local i32 i32) {body}))""")
    )
