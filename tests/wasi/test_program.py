"""`wasmine.wasi.program.run`: a whole program in one call."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from wasmine import Exit, LinkError, Timeout, Trap
from wasmine.wasi import Errno, FakeClock, MemoryFileSystem, Quota
from wasmine.wasi.program import DEVNULL, PIPE, STDOUT, ProgramFailed, run

HELLO = Path(__file__).parents[2] / "examples/hello.wat"

PRELUDE = """
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $write (param $fd i32) (param $address i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $address))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
"""


def program(body: str) -> str:
    return f'(module {PRELUDE} (data (i32.const 64) "outerr") (func (export "_start") {body}))'


BOTH = program(
    "(call $write (i32.const 1) (i32.const 64) (i32.const 3)) (call $write (i32.const 2) (i32.const 67) (i32.const 3))"
)
CAT = program("""
  (loop $next
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 1000))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
    (if (i32.load (i32.const 16)) (then
      (call $write (i32.const 1) (i32.const 1024) (i32.load (i32.const 16)))
      (br $next))))""")
SLEEP = program(
    "(i64.store (i32.const 152) (i64.const 3600000000000)) (drop (call $poll (i32.const 128) (i32.const 256) (i32.const 1) (i32.const 8)))"
)


def exiting(code: int) -> str:
    return program(f"(call $write (i32.const 1) (i32.const 64) (i32.const 3)) (call $exit (i32.const {code}))")


def test_output_is_captured(engine: Any) -> None:
    done = run(HELLO, ["Ada"], capture_output=True, engine=engine)
    assert done.returncode == 0
    assert done.args == ["hello.wat", "Ada"]
    assert (done.stdout, done.stderr) == (b"Hello, Ada!\n", b"")


def test_output_as_text() -> None:
    assert run(HELLO, ["Zoë"], capture_output=True, text=True).stdout == "Hello, Zoë!\n"


def test_streams_are_chosen_as_in_subprocess() -> None:
    assert (PIPE, STDOUT, DEVNULL) == (subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL)
    done = run(BOTH, stdout=PIPE, stderr=STDOUT)
    assert (done.stdout, done.stderr) == (b"outerr", None)
    done = run(BOTH, stdout=DEVNULL, stderr=PIPE)
    assert (done.stdout, done.stderr) == (None, b"err")
    out, err = io.BytesIO(), io.StringIO()
    run(BOTH, stdout=out, stderr=err)
    assert (out.getvalue(), err.getvalue()) == (b"out", "err")


def test_streams_are_the_processes_own_unless_chosen(capfd: pytest.CaptureFixture[str]) -> None:
    done = run(BOTH)
    assert (done.stdout, done.stderr) == (None, None)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("out", "err")


def test_streams_that_python_replaced_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    run(BOTH)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("out", "err")


def test_input_is_given_as_bytes_text_or_a_file() -> None:
    assert run(CAT, input=b"abc", stdout=PIPE).stdout == b"abc"
    assert run(CAT, input="größe", stdout=PIPE, text=True).stdout == "größe"
    assert run(CAT, stdin=io.BytesIO(b"x" * 5000), stdout=PIPE).stdout == b"x" * 5000
    assert run(CAT, stdin=DEVNULL, stdout=PIPE).stdout == b""


def test_arguments_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="stdin and input cannot both be given"):
        run(CAT, stdin=b"", input=b"")
    with pytest.raises(ValueError, match="cannot be given with capture_output"):
        run(CAT, stdout=PIPE, capture_output=True)


@pytest.mark.parametrize("code", [0, 1, 3, 255, 0xFFFF_FFFF])
def test_the_exit_code_is_the_guests(code: int) -> None:
    done = run(exiting(code), capture_output=True)
    assert done.returncode == code
    assert done.stdout == b"out"


def test_check_raises_for_failures() -> None:
    run(exiting(0), capture_output=True, check=True)
    with pytest.raises(ProgramFailed, match="program 'tool' exited with code 3") as caught:
        run(exiting(3), capture_output=True, check=True, name="tool")
    assert isinstance(caught.value, Exit)
    assert caught.value.code == 3
    assert caught.value.completed.stdout == b"out"


def test_a_trap_is_raised_with_what_was_captured() -> None:
    with pytest.raises(Trap) as caught:
        run(program("(call $write (i32.const 1) (i32.const 64) (i32.const 3)) unreachable"), capture_output=True)
    assert caught.value.stdout == b"out"  # type: ignore[attr-defined]


def test_a_timeout_ends_a_guest_that_sleeps() -> None:
    with pytest.raises(Timeout):
        run(SLEEP, timeout=0.05)


def test_a_timeout_ends_a_guest_that_reads() -> None:
    reader, writer = os.pipe()
    with pytest.raises(Timeout):
        run(CAT, stdin=reader, timeout=0.05)
    os.close(reader)
    os.close(writer)


def test_a_fake_clock_sleeps_at_once() -> None:
    assert run(SLEEP, clock=FakeClock(), timeout=60).returncode == 0


def test_what_the_operating_system_has_comes_with_the_call(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    body = '(import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))'
    text = f"""(module {body}
      (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
      (import "env" "tell" (func $tell (param i32 i32 i32 i32)))
      (memory (export "memory") 1)
      (func (export "_start")
        (drop (call $environ (i32.const 0) (i32.const 4)))
        (drop (call $random (i32.const 8) (i32.const 4)))
        (call $tell (call $prestat (i32.const 4) (i32.const 16)) (call $prestat (i32.const 5) (i32.const 16))
          (i32.load (i32.const 0)) (i32.load (i32.const 8)))))"""
    told: list[tuple[int, ...]] = []
    for _ in range(2):
        run(
            text,
            env={"A": "1", "B": "2"},
            mounts={"/a": tmp_path, "/b": MemoryFileSystem()},
            random=5,
            imports={"env": {"tell": lambda *args: told.append(args)}},
        )
    assert told[0] == told[1]
    assert told[0][:3] == (0, 8, 2)


def test_output_is_bounded() -> None:
    assert run(CAT, input=b"x" * 5000, stdout=PIPE, quota=Quota(output_bytes=100)).stdout == b"x" * 100


def test_a_reactor_is_initialized() -> None:
    called: list[int] = []
    text = '(module (import "env" "f" (func $f)) (func (export "_initialize") call $f))'
    assert run(text, imports={"env": {"f": lambda: called.append(1)}}).returncode == 0
    assert called == [1]


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(LinkError, match="is no program: it has no function _start; it exports add"):
        run('(module (func (export "add")))')


def test_a_program_without_a_memory_can_exit() -> None:
    text = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (func (export "_start") (call $exit (i32.const 9))))"""
    assert run(text).returncode == 9
    text = """(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (func (export "_start") (call $exit (call $random (i32.const 0) (i32.const 1)))))"""
    assert run(text).returncode == Errno.FAULT


def test_an_import_of_the_wrong_type_is_refused() -> None:
    text = (
        '(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64) (result i32))) (func (export "_start")))'
    )
    with pytest.raises(LinkError, match=r"wasi_snapshot_preview1\.fd_close"):
        run(text)
