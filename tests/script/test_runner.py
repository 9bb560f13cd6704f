"""Scripts run command by command; what fails or cannot run is told with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from wasmine.format.features import Features
from wasmine.script import Report, run_script
from wasmine.script.report import Remark

Run = Callable[..., Report]


@pytest.fixture
def run(tmp_path: Path, engine: str) -> Run:
    """`run(text)`: the report on a script."""

    def run_text(text: str, **options: object) -> Report:
        path = tmp_path / "script.wast"
        path.write_text(dedent(text).strip())
        options = {"engine": engine, "name": "script", **options}
        return run_script(path, **options)  # type: ignore[arg-type]

    return run_text


def failures(report: Report) -> list[int]:
    return [failure.line for failure in report.failures]


ARITHMETIC = """
    (module
      (func (export "id") (param i32) (result i32) local.get 0)
      (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
      (func (export "nan") (param i32) (result f32) (f32.reinterpret_i32 (local.get 0)))
      (func (export "twice") (result i32 i64) (i32.const 1) (i64.const 2))
      (func (export "vector") (result v128) (v128.const i32x4 1 2 3 0x7fc00000))
      (func (export "nothing"))
      (func $forever (export "forever") (call $forever))
      (global (export "g") i64 (i64.const -1)))
"""


@pytest.mark.parametrize(
    "command",
    [
        '(assert_return (invoke "id" (i32.const -1)) (i32.const 0xffffffff))',
        '(assert_return (invoke "twice") (i32.const 1) (i64.const 2))',
        '(assert_return (invoke "nothing"))',
        '(invoke "nothing")',
        '(assert_return (get "g") (i64.const -1))',
        '(assert_return (invoke "nan" (i32.const 0x7fc00000)) (f32.const nan:canonical))',
        '(assert_return (invoke "nan" (i32.const 0xffc00000)) (f32.const nan:canonical))',
        '(assert_return (invoke "nan" (i32.const 0x7fc00001)) (f32.const nan:arithmetic))',
        '(assert_return (invoke "nan" (i32.const 0x7fa00000)) (f32.const nan:0x200000))',
        '(assert_return (invoke "vector") (v128.const i32x4 1 2 3 0x7fc00000))',
        '(assert_return (invoke "vector") (v128.const f32x4 0x1p-149 0x1p-148 0x1.8p-148 nan:canonical))',
        '(assert_return (invoke "id" (i32.const 3)) (either (i32.const 2) (i32.const 3)))',
        '(assert_trap (invoke "div" (i32.const 1) (i32.const 0)) "integer divide by zero")',
        '(assert_exhaustion (invoke "forever") "call stack exhausted")',
    ],
)
def test_a_command_that_holds_passes(run: Run, command: str) -> None:
    report = run(ARITHMETIC + command)

    assert report.failures == []
    assert report.passed == 2


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            '(assert_return (invoke "id" (i32.const 1)) (i32.const 2))',
            "expected (i32.const 0x2), found (i32.const 0x1)",
        ),
        (
            '(assert_return (invoke "twice") (i32.const 1))',
            "expected (i32.const 0x1), found (i32.const 0x1) (i64.const",
        ),
        ('(assert_return (invoke "nothing") (i32.const 1))', "found nothing"),
        ('(assert_return (invoke "id" (i32.const 1)) (i64.const 1))', "expected (i64.const 0x1)"),
        ('(assert_return (invoke "nan" (i32.const 0x7fc00001)) (f32.const nan:canonical))', "= 0x7fc00001"),
        ('(assert_return (invoke "nan" (i32.const 0x7fa00000)) (f32.const nan:arithmetic))', "= 0x7fa00000"),
        ('(assert_return (invoke "vector") (v128.const i32x4 1 2 3 4))', "0x7fc00000"),
        ('(assert_return (invoke "id" (i32.const 3)) (either (i32.const 1) (i32.const 2)))', "(either"),
        ('(assert_return (invoke "id" (i64.const 3)))', "the arguments do not fit"),
        ('(assert_return (invoke "missing"))', "no exported function 'missing'"),
        ('(assert_return (get "id"))', "no exported global 'id'"),
        ('(assert_return (invoke "div" (i32.const 1) (i32.const 0)) (i32.const 1))', "integer divide by zero"),
        ('(assert_trap (invoke "nothing") "unreachable")', "nothing was raised"),
        ('(assert_trap (invoke "div" (i32.const 1) (i32.const 0)) "unreachable")', "found 'integer divide by zero'"),
        ('(assert_trap (invoke "div" (i32.const 1) (i32.const 0)) "strange words")', "does not know"),
        ('(assert_exhaustion (invoke "nothing") "call stack exhausted")', "nothing was raised"),
        ('(assert_exception (invoke "nothing"))', "expected WasmException"),
        ('(assert_malformed (module binary "\\00asm\\01\\00\\00\\00") "")', "nothing was raised"),
        ('(assert_invalid (module) "")', "nothing was raised"),
        ('(assert_unlinkable (module) "")', "nothing was raised"),
        ('(assert_trap (module) "unreachable")', "nothing was raised"),
        ("(wait $T)", "no thread $T"),
        ("(module instance $I $missing)", "no definition $missing"),
    ],
)
def test_a_command_that_does_not_hold_fails_and_says_why(run: Run, command: str, message: str) -> None:
    report = run(ARITHMETIC + "\n" + command + '\n(assert_return (invoke "id" (i32.const 1)) (i32.const 1))')

    assert len(report.failures) == 1
    assert message in report.failures[0].text
    assert report.passed == 2


def test_a_failure_tells_its_line(run: Run) -> None:
    report = run(
        """
        (module (func (export "one") (result i32) i32.const 1))
        (assert_return (invoke "one") (i32.const 1))

        (assert_return (invoke "one") (i32.const 2))
        """
    )

    assert failures(report) == [4]
    assert report.summary == "script: 2 passed, 1 failed, 0 skipped"


def test_references_match_by_what_they_refer_to(run: Run) -> None:
    report = run(
        """
        (module
          (type $s (struct (field i32)))
          (type $a (array i8))
          (func $f (export "func") (result funcref) (ref.func $f))
          (func (export "extern") (param externref) (result externref) (local.get 0))
          (func (export "struct") (result anyref) (struct.new_default $s))
          (func (export "array") (result anyref) (array.new_default $a (i32.const 3)))
          (func (export "i31") (result anyref) (ref.i31 (i32.const 3)))
          (func (export "null") (result anyref) (ref.null none)))
        (assert_return (invoke "func") (ref.func))
        (assert_return (invoke "extern" (ref.extern 1)) (ref.extern 1))
        (assert_return (invoke "extern" (ref.extern 1)) (ref.extern))
        (assert_return (invoke "extern" (ref.null extern)) (ref.null extern))
        (assert_return (invoke "struct") (ref.struct))
        (assert_return (invoke "struct") (ref.eq))
        (assert_return (invoke "array") (ref.array))
        (assert_return (invoke "i31") (ref.i31))
        (assert_return (invoke "null") (ref.null))
        (assert_return (invoke "extern" (ref.extern 1)) (ref.extern 2))
        (assert_return (invoke "struct") (ref.array))
        (assert_return (invoke "struct") (ref.null))
        (assert_return (invoke "null") (ref.struct))
        (assert_return (invoke "null") (ref.any))
        """,
        engine="interpreter",  # the script has GC objects
    )

    assert failures(report) == [19, 20, 21, 22, 23]


def test_modules_are_found_by_identifier_and_registered_name(run: Run) -> None:
    report = run(
        """
        (module $A (func (export "f") (result i32) (i32.const 1)))
        (register "a" $A)
        (module $B (import "a" "f" (func $f (result i32))) (func (export "g") (result i32) (call $f)))
        (assert_return (invoke $A "f") (i32.const 1))
        (assert_return (invoke "g") (i32.const 1))
        (module definition $D (global $g (export "n") (mut i32) (i32.const 5))
          (func (export "set") (global.set $g (i32.const 6))))
        (module instance $I $D)
        (module instance $J $D)
        (invoke $I "set")
        (assert_return (get $I "n") (i32.const 6))
        (assert_return (get $J "n") (i32.const 5))
        """
    )

    assert report.failures == []
    assert report.passed == 11


def test_wrong_modules_are_told_apart_by_what_is_wrong_with_them(run: Run) -> None:
    report = run(
        """
        (assert_malformed (module quote "(module (func") "unexpected end")
        (assert_malformed (module binary "\\00asm\\01\\00\\00\\00\\0a\\01") "unexpected end")
        (assert_malformed (module binary "\\00asm" "\\01\\00\\00\\00" "\\01\\04\\01\\60\\00\\00" "\\03\\02\\01\\00"
          "\\0a\\05\\01\\03\\00\\ff\\0b") "illegal opcode")
        (assert_invalid (module (func (result i32))) "type mismatch")
        (assert_unlinkable (module (import "spectest" "unknown" (func))) "unknown import")
        (assert_unlinkable (module (import "spectest" "print_i32" (func))) "incompatible import type")
        (assert_trap (module (func $f (unreachable)) (start $f)) "unreachable")
        (assert_trap (module (memory 1) (data (i32.const 65536) "x")) "out of bounds memory access")
        (assert_invalid (module quote "(module (func") "type mismatch")
        (assert_malformed (module quote "(module (func (result i32)))") "unexpected token")
        """
    )

    assert failures(report) == [10, 11]


def test_spectest_offers_one_of_everything(run: Run) -> None:
    report = run(
        """
        (module
          (import "spectest" "print" (func))
          (import "spectest" "print_i32" (func $print_i32 (param i32)))
          (import "spectest" "print_i64" (func (param i64)))
          (import "spectest" "print_f32" (func (param f32)))
          (import "spectest" "print_f64" (func (param f64)))
          (import "spectest" "print_i32_f32" (func (param i32 f32)))
          (import "spectest" "print_f64_f64" (func (param f64 f64)))
          (import "spectest" "global_i32" (global $i i32))
          (import "spectest" "global_i64" (global i64))
          (import "spectest" "global_f32" (global $f f32))
          (import "spectest" "global_f64" (global f64))
          (import "spectest" "table" (table 10 20 funcref))
          (import "spectest" "table64" (table i64 10 20 funcref))
          (import "spectest" "memory" (memory 1 2))
          (import "spectest" "shared_memory" (memory 1 2 shared))
          (func (export "i") (result i32) (call $print_i32 (i32.const 1)) (global.get $i))
          (func (export "f") (result f32) (global.get $f)))
        (assert_return (invoke "i") (i32.const 666))
        (assert_return (invoke "f") (f32.const 666.6))
        """
    )

    assert report.failures == []


def test_an_exception_that_nobody_catches(run: Run) -> None:
    report = run(
        """
        (module (tag $t (param i32)) (func (export "throw") (throw $t (i32.const 1))))
        (assert_exception (invoke "throw"))
        """
    )

    assert report.failures == []


def test_threads_share_what_they_name_and_their_assertions_count(run: Run) -> None:
    report = run(
        """
        (module $M (memory (export "m") 1 1 shared)
          (func (export "load") (result i32) (i32.atomic.load (i32.const 0))))
        (thread $T (shared (module $M))
          (register "m" $M)
          (module (import "m" "m" (memory 1 1 shared))
            (func (export "store") (i32.atomic.store (i32.const 0) (i32.const 7))))
          (invoke "store")
          (assert_return (invoke $M "load") (i32.const 8)))
        (wait $T)
        (assert_return (invoke $M "load") (i32.const 7))
        """
    )

    assert failures(report) == [8]
    assert report.passed == 7


def test_a_thread_that_nobody_waits_for_counts_all_the_same(run: Run) -> None:
    report = run('(module $M)\n(thread $T (shared (module $M))\n  (assert_invalid (module) ""))')

    assert failures(report) == [3]
    assert report.passed == 2


def test_a_void_command_is_skipped_with_the_reason(run: Run) -> None:
    report = run('(module)\n(assert_invalid (module) "")', void={2: "overtaken"})

    assert report.skips == [Remark(2, "overtaken")]
    assert report.lines() == ["script: 1 passed, 0 failed, 1 skipped", "  script:2: skipped: overtaken"]


def test_a_module_of_a_disabled_feature_and_commands_on_it_are_skipped(run: Run) -> None:
    report = run(
        """
        (module (func (export "f") (result v128) (v128.const i64x2 0 0)))
        (assert_return (invoke "f") (v128.const i64x2 0 0))
        (module (func (export "f")))
        (assert_return (invoke "f"))
        """,
        features=Features(simd=False),
    )

    assert [skip.line for skip in report.skips] == [1, 2]
    assert "simd" in report.skips[0].text
    assert report.passed == 2


def test_commands_on_a_module_that_failed_are_skipped(run: Run) -> None:
    report = run('(module (import "no" "where" (func)))\n(assert_return (invoke "f"))')

    assert failures(report) == [1]
    assert [skip.line for skip in report.skips] == [2]


def test_what_is_no_script_is_a_failure(run: Run, tmp_path: Path) -> None:
    assert failures(run("(module)\n(nonsense)")) == [2]
    assert "cannot read" in run_script(tmp_path / "missing.wast").failures[0].text
    (tmp_path / "latin.wast").write_bytes(b"(module)\n;; \xff\n")
    assert run_script(tmp_path / "latin.wast").failures == [Remark(2, "not a script: malformed UTF-8 encoding")]
