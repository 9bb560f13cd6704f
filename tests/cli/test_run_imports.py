"""What `wasmine run` gives to modules that import more than WASI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wasmine.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """`run(text, *flags, args=...)` runs a module given as text: exit code, standard output, standard error."""

    def call(text: str, *flags: str, args: tuple[str, ...] = ()) -> tuple[int, str, str]:
        path = tmp_path / "program.wat"
        path.write_text(text)
        status = main(["run", *flags, str(path), *args])
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


ASSEMBLYSCRIPT = r"""(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (import "env" "console.log" (func $log (param i32)))
  (import "env" "seed" (func $seed (result f64)))
  (memory (export "memory") 1)
  (data (i32.const 12) "\04\00\00\00h\00i\00")
  (data (i32.const 28) "\06\00\00\00b\00a\00d\00")
  (func (export "_start")
    (call $log (i32.const 16))
    (drop (call $seed))
    (call $abort (i32.const 32) (i32.const 16) (i32.const 7) (i32.const 3))))"""


def test_assemblyscript(run: Run, engine: str) -> None:
    assert run(ASSEMBLYSCRIPT, "--engine", engine) == (255, "hi\n", "bad at hi:7:3\n")


SEEDED = """(module (import "env" "seed" (func $seed (result f64)))
  (func (export "bits") (result i64) (i64.reinterpret_f64 (call $seed))))"""


def test_assemblyscripts_randomness_is_that_of_the_flags(run: Run) -> None:
    first = run(SEEDED, "--seed", "1", "--invoke", "bits")
    assert first[0] == 0
    assert run(SEEDED, "--seed", "1", "--invoke", "bits") == first
    assert run(SEEDED, "--seed", "2", "--invoke", "bits") != first


EMSCRIPTEN = """(module
  (import "env" "memory" (memory 2 4))
  (import "env" "__indirect_function_table" (table 2 funcref))
  (import "env" "invoke_ii" (func $invoke (param i32 i32) (result i32)))
  (import "env" "_emscripten_throw_longjmp" (func $throw))
  (import "env" "emscripten_notify_memory_growth" (func $grown (param i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (export "memory" (memory 0))
  (export "__indirect_function_table" (table 0))
  (global $threw (mut i32) (i32.const 0))
  (elem (i32.const 1) $jump)
  (func $jump (param i32) (result i32) (call $throw) (i32.const 1))
  (func (export "setThrew") (param i32 i32) (global.set $threw (local.get 0)))
  (func (export "emscripten_stack_get_current") (result i32) (i32.const 64))
  (func (export "_emscripten_stack_restore") (param i32))
  (func (export "_start")
    (call $grown (i32.const 0))
    (drop (call $invoke (i32.const 1) (i32.const 5)))
    (call $exit (i32.add (i32.const 40) (i32.add (global.get $threw) (memory.size))))))"""


def test_emscripten(run: Run, engine: str) -> None:
    assert run(EMSCRIPTEN, "--engine", engine) == (43, "", "")


def test_an_imported_memory_is_limited_like_others(run: Run) -> None:
    grow = """(module (import "env" "memory" (memory 1)) (import "env" "emscripten_get_now" (func (result f64)))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"""
    assert run(grow, "--max-memory", "128K", "--invoke", "grow", args=("1",))[1] == "1\n"
    assert run(grow, "--max-memory", "128K", "--invoke", "grow", args=("2",))[1] == "-1\n"


def test_emscriptens_abort_is_a_trap(run: Run) -> None:
    text = '(module (import "env" "abort" (func $abort)) (func (export "_start") (call $abort)))'
    status, _, err = run(text)
    assert status == 134
    assert "the guest called abort()" in err


def test_missing_imports_are_named_with_what_helps(run: Run) -> None:
    text = """(module (import "env" "my_function" (func)) (import "math" "add" (func (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (func (export "_start")))"""
    status, _, err = run(text)
    assert status == 1
    assert "env.my_function: missing; expected function [] -> []" in err
    assert "math.add: missing; expected function [i32 i32] -> [i32]" in err
    assert "sched_yield" not in err
    assert "--preload math=FILE" in err
    assert "preview 2" not in err
    assert (
        "Of WASI preview 2 there is nothing"
        in run(
            '(module (import "wasi:cli/environment@0.2.0" "get-arguments" (func (param i32))) (func (export "_start")))'
        )[2]
    )


def test_a_wrong_type_is_no_missing_import(run: Run) -> None:
    text = """(module (import "wasi_snapshot_preview1" "sched_yield" (func)) (func (export "_start")))"""
    status, _, err = run(text)
    assert status == 1
    assert "expected" in err


PROVIDER = """(module
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (global $ready (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $ready (call $yield)) (global.set $ready (i32.const 100)))
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (global.get $ready) (i32.add (local.get 0) (local.get 1)))))"""
USER = """(module (import "math" "add" (func $add (param i32 i32) (result i32)))
  (func (export "f") (result i32) (call $add (i32.const 1) (i32.const 2))))"""


def test_modules_are_preloaded(run: Run, engine: str, tmp_path: Path) -> None:
    (tmp_path / "math.wat").write_text(PROVIDER)
    given = ("--engine", engine, "--preload", f"math={tmp_path / 'math.wat'}", "--invoke", "f")
    assert run(USER, *given) == (0, "103\n", "")


@pytest.mark.parametrize("given", ["math", "math=", "="])
def test_a_wrong_preload_is_explained(run: Run, given: str) -> None:
    assert run(USER, "--preload", given, "--invoke", "f")[::2] == (
        1,
        f"error: invalid preload: {given!r}: expected NAME=FILE\n",
    )
