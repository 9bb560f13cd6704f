"""What a visitor of the typed walk gets, as `docs/architecture.md` says."""

from __future__ import annotations

import struct

import pytest

from wasmine.errors import ValidationError
from wasmine.format.instructions import INSTRUCTIONS, SLOTS
from wasmine.format.text import parse_module
from wasmine.format.types import ANYREF, EXTERNREF, FUNCREF, I32, I64, Heap, RefType
from wasmine.validation import validate, walk_expression, walk_function


class Recorder:
    """Writes down every call as (name, *arguments), and where the walk was."""

    def __init__(self):
        self.calls = []
        self.positions = []
        self.handlers = [None] * SLOTS
        for instruction in INSTRUCTIONS:
            self.handlers[instruction.slot] = self._handler(instruction.name)

    def _handler(self, name):
        def handler(*arguments):
            self.calls.append((name, *arguments))
            self.positions.append(self.position())

        return handler

    def begin(self, position):
        self.position = position
        self.start = position()


@pytest.fixture
def visit(check):
    """The calls for the first function that a module defines."""

    def calls(fields):
        context = check(f"(module {fields})")
        recorder = Recorder()
        walk_function(context, context.imported_functions, recorder)
        return recorder.calls

    return calls


def test_numbers_are_signed_and_floats_are_bytes(visit):
    assert (
        visit("""(func
        (drop (i32.const -1)) (drop (i32.const 64)) (drop (i64.const -0x8000000000000000)) (drop (i64.const 63))
        (drop (f32.const 1.5)) (drop (f64.const -2)) (drop (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)))""")[
            ::2
        ]
        == [
            ("i32.const", -1),
            ("i32.const", 64),
            ("i64.const", -(2**63)),
            ("i64.const", 63),
            ("f32.const", struct.pack("<f", 1.5)),
            ("f64.const", struct.pack("<d", -2)),
            ("v128.const", bytes(range(16))),
            ("end", True),
        ]
    )


def test_indices(visit):
    assert visit("""(type $t (func)) (func (param i32) (local i64)
        (local.set 1 (i64.const 0)) (global.set 0 (local.get 0))
        (call_indirect 1 (type $t) (i32.const 0)) (table.copy 1 0 (i32.const 1) (i32.const 2) (i32.const 3)))
        (global (mut i32) (i32.const 0)) (table 1 funcref) (table 1 funcref)""") == [
        ("i64.const", 0),
        ("local.set", 1),
        ("local.get", 0),
        ("global.set", 0),
        ("i32.const", 0),
        ("call_indirect", 0, 1),
        ("i32.const", 1),
        ("i32.const", 2),
        ("i32.const", 3),
        ("table.copy", 1, 0),
        ("end", True),
    ]


def test_memory_accesses_give_offset_memory_and_alignment(visit):
    calls = visit("""(memory 1) (memory i64 1) (func (param v128)
        (drop (i32.load offset=300 (i32.const 0)))
        (drop (i64.load16_u 1 offset=0x100000000 align=1 (i64.const 0)))
        (v128.store8_lane offset=1 7 (i32.const 0) (local.get 0))
        (i32.atomic.store (i32.const 0) (i32.const 1)))""")

    assert [call for call in calls if "const" not in call[0]] == [
        ("i32.load", 300, 0, 2),
        ("drop", I32),
        ("i64.load16_u", 2**32, 1, 0),
        ("drop", I64),
        ("local.get", 0),
        ("v128.store8_lane", 1, 0, 0, 7),
        ("i32.atomic.store", 0, 0, 2),
        ("end", True),
    ]


def test_block_types(visit):
    calls = visit("""(type $t (func (param i32) (result i32 i64))) (func (param externref)
        (block) (drop (loop (result externref) (local.get 0)))
        (i32.const 0) (block (type $t) (i64.const 0)) (drop) (drop) (if (i32.const 1) (then) (else)))""")

    assert [call for call in calls if call[0] in ("block", "loop", "if")] == [
        ("block", (), (), None),
        ("loop", (), (EXTERNREF,), None),
        ("block", (I32,), (I32, I64), 0),
        ("if", (), (), None),
    ]


def test_branches(visit):
    assert visit("""(func (block (loop
        (br_if 1 (i32.const 0)) (br_table 0 1 2 1 (i32.const 0)))))""")[2:6] == [
        ("i32.const", 0),
        ("br_if", 1),
        ("i32.const", 0),
        ("br_table", (0, 1, 2, 1)),
    ]


def test_types_of_operands(visit):
    calls = visit("""(type $s (struct)) (func (param anyref (ref null $s)) (local f32)
        (drop (local.get 2))
        (drop (select (i64.const 0) (i64.const 1) (i32.const 0)))
        (drop (select (result anyref) (local.get 0) (local.get 1) (i32.const 0)))
        (drop (ref.is_null (local.get 1)))
        (drop (ref.as_non_null (local.get 0)))
        (block (drop (br_on_null 0 (local.get 0)))))""")
    given = {call[0]: call[1:] for call in calls}

    assert given["ref.as_non_null"] == (ANYREF,)
    assert given["br_on_null"] == (0, ANYREF)
    assert [call[1:] for call in calls if call[0] == "select"] == [(I64,), ((ANYREF,), ANYREF)]
    (operand,) = given["ref.is_null"]
    assert operand.nullable
    assert operand is operand.heap.ref_null


def test_references_and_casts_are_in_the_syntax(visit):
    calls = visit("""(type $s (struct)) (func (param anyref)
        (drop (ref.null $s)) (drop (ref.null func)) (drop (ref.test (ref $s) (local.get 0)))
        (drop (ref.cast (ref null i31) (local.get 0)))
        (drop (block (result anyref) (br_on_cast 0 anyref (ref $s) (local.get 0)))))""")
    given = [call for call in calls if call[0].startswith(("ref.", "br_on"))]

    assert given == [
        ("ref.null", 0),
        ("ref.null", Heap.FUNC),
        ("ref.test", RefType(False, 0)),
        ("ref.cast", RefType(True, Heap.I31)),
        ("br_on_cast", 0, ANYREF, RefType(False, 0)),
    ]


def test_exceptions(visit):
    calls = visit("""(tag $e) (func
        (block $l (block $r (result exnref) (try_table (catch $e $l) (catch_all_ref $r)) (return)) (drop))
        (try (do (unreachable)) (catch $e (nop)) (catch_all)) (try (do) (delegate 0)))""")

    assert ("try_table", (), (), None, ((0, 0, 1), (3, None, 0))) in calls
    assert [call for call in calls if call[0] in ("catch", "catch_all", "delegate")] == [
        ("catch", 0, False),
        ("catch_all", True),
        ("delegate", 0, True),
    ]


def test_nothing_unreachable_is_visited(visit):
    assert visit("""(func (result i32)
        (block (result i32) (br 0 (i32.const 1)) (block (nop) (loop)) (i32.const 2) (return))
        (if (result i32) (then (unreachable) (if (i32.const 3) (then) (else))) (else (i32.const 4))))""") == [
        ("block", (), (I32,), None),
        ("i32.const", 1),
        ("br", 0),
        ("end", False),
        ("if", (), (I32,), None),
        ("unreachable",),
        ("else", False),
        ("i32.const", 4),
        ("end", True),
        ("end", True),
    ]


def test_a_visitor_may_want_what_is_unreachable(check):
    context = check("(module (func (unreachable) (block (nop))))")
    recorder = Recorder()
    recorder.wants_unreachable = True

    walk_function(context, 0, recorder)

    assert [call[0] for call in recorder.calls] == ["unreachable", "block", "nop", "end", "end"]


def test_positions_are_offsets_of_the_next_byte(check):
    context = check("(module (func (i32.const 300) (f64.const 1) (drop) (drop)))")
    body = context.syntax.code[0].body
    recorder = Recorder()

    walk_function(context, 0, recorder)

    assert recorder.start == body.offset
    assert recorder.positions == [body.offset + n for n in (3, 12, 13, 14, 15)]


def test_every_walk_of_a_function_says_the_same(check):
    context = check("(module (func (param i32) (result i32) (i32.eqz (local.get 0))))")
    one, other = Recorder(), Recorder()

    walk_function(context, 0, one)
    walk_function(context, 0, other)

    assert one.calls == other.calls == [("local.get", 0), ("i32.eqz",), ("end", True)]


def test_constant_expressions(check):
    context = check("(module (global i32 (i32.const 1)) (global i32 (i32.mul (global.get 0) (i32.const -7))))")
    recorder = Recorder()

    walk_expression(context, context.syntax.globals[1].init, I32, recorder)

    assert recorder.calls == [("global.get", 0), ("i32.const", -7), ("i32.mul",), ("end", True)]


def test_a_constant_expression_sees_only_some_globals(check):
    context = check("(module (global i32 (i32.const 1)) (global i32 (global.get 0)))")
    init = context.syntax.globals[1].init

    walk_expression(context, init, I32, globals_visible=1)
    with pytest.raises(ValidationError, match="unknown global 0: 0 are visible here"):
        walk_expression(context, init, I32, globals_visible=0)
    with pytest.raises(ValidationError, match=r"expected \[funcref\], found \[i32\] \(in here"):
        walk_expression(context, init, FUNCREF, where="here")


def test_what_a_visitor_raises_goes_through(check):
    context = check("(module (func (nop)))")
    recorder = Recorder()

    def broken():
        raise IndexError("the visitor's own")

    recorder.handlers[0x01] = broken

    with pytest.raises(IndexError, match="the visitor's own"):
        walk_function(context, 0, recorder)


def test_text_modules_are_walked_from_offset_zero():
    recorder = Recorder()

    walk_function(validate(parse_module("(module (func (nop)))")), 0, recorder)

    assert recorder.positions == [1, 2]
