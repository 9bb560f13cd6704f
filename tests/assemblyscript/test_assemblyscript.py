"""abort, trace, seed and strings, with what the AssemblyScript compiler makes of them written as text."""

from __future__ import annotations

import io
import pickle
import struct
import sys
from collections.abc import Callable
from typing import Any

import pytest

import wasmine
from wasmine.assemblyscript import Abort, imports, new_string, read_string
from wasmine.wasi import FakeClock, seeded_random

Instantiate = Callable[..., wasmine.Instance]


def string(address: int, text: str) -> str:
    """A data segment with a string whose text is at `address`, behind the header that AssemblyScript gives its objects."""
    data = text.encode("utf-16-le", errors="surrogatepass")
    header = struct.pack("<IIIII", 0x1C, 0, 0, 2, len(data))
    escaped = "".join(f"\\{byte:02x}" for byte in header + data)
    return f'(data (i32.const {address - 20}) "{escaped}")'


MODULE = f"""(module
  (import "env" "abort" (func $~lib/builtins/abort (param i32 i32 i32 i32)))
  (import "env" "trace" (func $~lib/builtins/trace (param i32 i32 f64 f64 f64 f64 f64)))
  (import "env" "seed" (func $~lib/builtins/seed (result f64)))
  (import "env" "console.log" (func $log (param i32)))
  (import "env" "console.error" (func $error (param i32)))
  (import "env" "console.assert" (func $assert (param i32 i32)))
  (import "env" "Date.now" (func $now (result f64)))
  (import "env" "performance.now" (func $performance (result f64)))
  (import "env" "process.exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  {string(1056, "sad sad world")} {string(1120, "index.ts")} {string(1184, "größe 😀")} {string(1248, "half " + chr(0xD83D))}
  (func (export "goodbye_world")
    (call $~lib/builtins/abort (i32.const 1056) (i32.const 1120) (i32.const 7) (i32.const 3)) (unreachable))
  (func (export "abort_at") (param i32 i32)
    (call $~lib/builtins/abort (local.get 0) (local.get 1) (i32.const 0) (i32.const -1)))
  (func (export "trace") (param i32 i32)
    (call $~lib/builtins/trace (local.get 0) (local.get 1)
      (f64.const 3) (f64.const 1.5) (f64.const -0.25) (f64.const 1e300) (f64.const nan)))
  (func (export "seed") (result f64) (call $~lib/builtins/seed))
  (func (export "log") (param i32) (call $log (local.get 0)))
  (func (export "error") (param i32) (call $error (local.get 0)))
  (func (export "assert") (param i32) (call $assert (local.get 0) (i32.const 1056)))
  (func (export "now") (result f64) (call $now))
  (func (export "performance") (result f64) (call $performance))
  (func (export "exit") (param i32) (call $exit (local.get 0))))"""
GREETING, HALF = 1184, 1248


@pytest.fixture
def guest(instantiate: Instantiate) -> Callable[..., wasmine.Exports]:
    def make(**options: Any) -> wasmine.Exports:
        return instantiate(MODULE, imports(**options)).exports

    return make


def test_abort_writes_its_message_and_exits_with_255(guest: Any) -> None:
    err = bytearray()
    with pytest.raises(Abort) as caught:
        guest(stderr=err).goodbye_world()
    assert err == b"sad sad world at index.ts:7:3\n"
    assert isinstance(caught.value, wasmine.Exit)
    assert (caught.value.code, str(caught.value)) == (255, "sad sad world at index.ts:7:3")
    assert (caught.value.message, caught.value.file, caught.value.line, caught.value.column) == (
        *("sad sad world", "index.ts", 7, 3),
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_abort_is_silent_without_a_stream(guest: Any, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Abort):
        guest().goodbye_world()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("pointer", [0, 2, 65_534, -2])
def test_abort_does_not_fail_on_bad_strings(guest: Any, pointer: int) -> None:
    with pytest.raises(Abort) as caught:
        guest().abort_at(pointer, 1120)
    assert (caught.value.message, caught.value.column) == ("", 0xFFFF_FFFF)


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (0, "trace: größe 😀\n"),
        (2, "trace: größe 😀 3,1.5\n"),
        (5, "trace: größe 😀 3,1.5,-0.25,1e+300,NaN\n"),
        (99, "trace: größe 😀 3,1.5,-0.25,1e+300,NaN\n"),
        (-1, "trace: größe 😀\n"),
    ],
)
def test_trace_writes_a_message_and_numbers(guest: Any, count: int, line: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    guest(stdout=out, stderr=err, trace="stdout").trace(GREETING, count)
    assert (out.getvalue(), err.getvalue()) == (line, "")
    guest(stdout=out, stderr=err, trace="stderr").trace(GREETING, count)
    assert (out.getvalue(), err.getvalue()) == (line, line)


def test_trace_is_off_unless_asked_for(guest: Any) -> None:
    out = bytearray()
    guest(stdout=out, stderr=out).trace(GREETING, 1)
    assert out == b""
    with pytest.raises(ValueError, match='"off", "stdout" or "stderr"'):
        imports(trace="on")  # type: ignore[arg-type]


def test_a_string_outside_the_memory_is_a_trap(guest: Any) -> None:
    exports = guest(trace="stdout")
    for pointer in (65_538, 2, -1):
        with pytest.raises(wasmine.Trap) as caught:
            exports.trace(pointer, 0)
        assert caught.value.kind is wasmine.TrapKind.MEMORY_OUT_OF_BOUNDS


def test_a_seed_is_eight_random_bytes(guest: Any) -> None:
    expected = struct.unpack("<d", seeded_random(42)(8))[0]
    assert guest(random=42).seed() == guest(random=seeded_random(42)).seed() == expected
    assert guest().seed() != guest().seed()
    assert struct.pack("<d", guest(random=lambda count: bytes(range(count))).seed()) == bytes(range(8))


def test_console_writes_to_the_streams(guest: Any) -> None:
    out, err = bytearray(), bytearray()
    exports = guest(stdout=out, stderr=err)
    exports.log(GREETING)
    exports.log(0)
    exports.log(HALF)
    exports.error(1056)
    exports["assert"](1)
    exports["assert"](0)
    assert out.decode() == "größe 😀\nnull\nhalf \ufffd\n"
    assert err.decode() == "sad sad world\nAssertion failed: sad sad world\n"


def test_the_clock_is_the_one_given(guest: Any) -> None:
    exports = guest(clock=FakeClock())
    assert [exports.now(), exports.now()] == [1_640_995_200_000, 1_640_995_200_001]
    assert [exports.performance(), exports.performance()] == [0, 1]
    assert guest().now() > 1_700_000_000_000


def test_exit_passes_through(guest: Any) -> None:
    with pytest.raises(wasmine.Exit) as caught:
        guest().exit(3)
    assert caught.value.code == 3
    assert not isinstance(caught.value, Abort)


def test_strings_are_read(guest: Any) -> None:
    memory = guest().memory
    assert read_string(memory, GREETING) == "größe 😀"
    assert read_string(memory, HALF) == "half \ufffd"
    assert read_string(memory, 0) is None
    with pytest.raises(IndexError):
        read_string(memory, -2)


def test_strings_are_made_in_the_guest(instantiate: Instantiate) -> None:
    text = """(module (memory (export "memory") 1) (global $free (mut i32) (i32.const 1044))
      (func (export "__new") (param $size i32) (param $class i32) (result i32)
        (i32.store (i32.sub (global.get $free) (i32.const 8)) (local.get $class))
        (i32.store (i32.sub (global.get $free) (i32.const 4)) (local.get $size))
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (i32.add (local.get $size) (i32.const 20))))))"""
    instance = instantiate(text)
    for text in ("", "größe 😀", "\ud83d"):
        pointer = new_string(instance, text)
        assert instance.exports.memory[pointer - 8] == 2
        assert read_string(instance.exports.memory, pointer) == text.replace("\ud83d", "\ufffd")


def test_strings_cannot_be_made_without_the_runtime(instantiate: Instantiate) -> None:
    with pytest.raises(wasmine.LinkError, match="compile the module with --exportRuntime"):
        new_string(instantiate(MODULE, imports()), "x")


def test_the_processs_own_streams_can_be_given(guest: Any, capsys: pytest.CaptureFixture[str]) -> None:
    guest(stdout=sys.stdout).log(GREETING)
    assert capsys.readouterr().out == "größe 😀\n"
