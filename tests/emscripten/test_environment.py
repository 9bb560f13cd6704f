"""The heap, the clocks, the calendar and the end of a guest of Emscripten's."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest

import wasmine
import wasmine.emscripten
from wasmine import Trap, TrapKind
from wasmine.wasi import WASI, FakeClock

Guest = Callable[..., wasmine.Exports]
PAGE = 65_536


def test_only_what_the_module_imports_is_given() -> None:
    module = wasmine.Module(
        '(module (import "env" "abort" (func)) (import "env" "own" (func)) (import "m" "exit" (func)))'
    )
    assert list(wasmine.emscripten.imports(module)) == ["env"]
    assert list(wasmine.emscripten.imports(module)["env"]) == ["abort"]


def test_what_is_not_known_is_named_by_linking(runtime: wasmine.Runtime) -> None:
    module = wasmine.Module('(module (import "env" "emscripten_run_script" (func (param i32))))')
    with pytest.raises(wasmine.LinkError, match=r"env\.emscripten_run_script: missing"):
        runtime.instantiate(module, wasmine.emscripten.imports(module))


@pytest.mark.parametrize(
    "declaration",
    [
        "__syscall_openat (func (param i32)",
        "__syscall_socket (func (param f64)",
        "__syscall_rmdir (func (param i32) (result f64)",
        "_gmtime_js (func",
        "emscripten_memcpy_js (func (param i32 i32 i32) (result i32 i32)",
        "abort (func (param i32)",
    ],
)
def test_a_type_that_cannot_be_emscriptens_is_refused(runtime: wasmine.Runtime, declaration: str) -> None:
    name, type = declaration.split(" ", 1)
    module = wasmine.Module(f'(module (import "env" "{name}" {type})))')
    with pytest.raises(wasmine.LinkError, match=rf"env\.{name}: .*expected"):
        runtime.instantiate(module, wasmine.emscripten.imports(module))


def test_the_heap_grows_to_what_is_asked_for(guest: Guest) -> None:
    env = guest(None, "emscripten_resize_heap(i32)->i32", "emscripten_get_heap_max()->i32")
    assert env.emscripten_get_heap_max() == 4 * PAGE
    assert env.emscripten_resize_heap(2 * PAGE + 1) == 1
    assert env.memory.size == 3
    assert env.emscripten_resize_heap(PAGE) == 1
    assert env.memory.size >= 3


def test_a_heap_beyond_its_maximum_is_refused(guest: Guest) -> None:
    env = guest(None, "emscripten_resize_heap(i32)->i32")
    for size in (4 * PAGE + 1, -1):
        assert env.emscripten_resize_heap(size) == 0
    assert env.memory.size == 1
    assert env.emscripten_resize_heap(4 * PAGE) == 1


def test_growth_leaves_a_fifth_to_spare(runtime: wasmine.Runtime) -> None:
    module = wasmine.Module(
        """(module (import "env" "emscripten_resize_heap" (func $resize (param i32) (result i32)))
             (memory (export "memory") 100) (func (export "resize") (param i32) (result i32) (call $resize (local.get 0))))"""
    )
    exports = runtime.instantiate(module, wasmine.emscripten.imports(module)).exports
    assert exports.resize(100 * PAGE + 1) == 1
    assert exports.memory.size == 120


def test_notice_of_growth_is_taken(guest: Guest) -> None:
    assert guest(None, "emscripten_notify_memory_growth(i32)").emscripten_notify_memory_growth(0) is None


@pytest.mark.parametrize("name", ["emscripten_memcpy_js", "_emscripten_memcpy_js", "emscripten_memcpy_big"])
def test_blocks_are_copied_even_if_they_overlap(guest: Guest, name: str) -> None:
    env = guest(None, f"{name}(i32 i32 i32)")
    env.memory[10:16] = b"abcdef"
    assert env[name](12, 10, 6) is None
    assert env.memory[10:18] == b"ababcdef"


def test_the_older_copy_returns_its_target(guest: Guest) -> None:
    assert guest(None, "emscripten_memcpy_big(i32 i32 i32)->i32").emscripten_memcpy_big(12, 10, 6) == 12


@pytest.mark.parametrize(("target", "source", "size"), [(PAGE - 1, 0, 2), (0, PAGE - 1, 2), (0, 0, -1), (-4, 0, 4)])
def test_a_copy_out_of_bounds_is_a_trap(guest: Guest, target: int, source: int, size: int) -> None:
    with pytest.raises(Trap) as caught:
        guest(None, "emscripten_memcpy_js(i32 i32 i32)").emscripten_memcpy_js(target, source, size)
    assert caught.value.kind is TrapKind.MEMORY_OUT_OF_BOUNDS


def test_abort_is_a_trap(guest: Guest) -> None:
    for name in ("abort", "_abort_js"):
        with pytest.raises(Trap, match=r"called abort\(\)") as caught:
            guest(None, f"{name}()")[name]()
        assert caught.value.kind is TrapKind.HOST


def test_a_failed_assertion_says_which(guest: Guest) -> None:
    env = guest(None, "__assert_fail(i32 i32 i32 i32)")
    env.memory.write(100, b"x > 0\0main.c\0check\0")
    with pytest.raises(Trap, match=r"assertion failed: x > 0, at main\.c:12 in check\(\)"):
        env["__assert_fail"](100, 106, 12, 113)


def test_exit_passes_through(guest: Guest) -> None:
    with pytest.raises(wasmine.Exit) as caught:
        guest(None, "exit(i32)").exit(7)
    assert caught.value.code == 7


def test_the_upper_half_of_a_result_is_kept(guest: Guest) -> None:
    env = guest(None, "setTempRet0(i32)", "getTempRet0()->i32")
    env.setTempRet0(-5)
    assert env.getTempRet0() == -5


def test_clocks_are_those_of_the_guest(guest: Guest) -> None:
    env = guest(
        WASI(clock=FakeClock()),
        "emscripten_date_now()->f64",
        "emscripten_get_now()->f64",
        "emscripten_get_now_res()->f64",
        "_emscripten_get_now_is_monotonic()->i32",
    )
    assert [env.emscripten_date_now(), env.emscripten_date_now()] == [1_640_995_200_000, 1_640_995_200_001]
    assert [env.emscripten_get_now(), env.emscripten_get_now()] == [0, 1]
    assert env.emscripten_get_now_res() == 1e-6
    assert env["_emscripten_get_now_is_monotonic"]() == 1


def test_without_wasi_clocks_are_the_hosts(guest: Guest) -> None:
    before = time.time_ns() // 1_000_000
    now = guest(None, "emscripten_date_now()->f64").emscripten_date_now()
    assert before <= now <= time.time_ns() / 1_000_000


def test_randomness_is_that_of_the_guest(guest: Guest) -> None:
    drawn = []
    for _ in range(2):
        env = guest(WASI(random=42), "getentropy(i32 i32)->i32")
        assert env.getentropy(64, 16) == 0
        drawn.append(env.memory[64:80])
    assert drawn[0] == drawn[1] != bytes(16)
    assert env.getentropy(0, 257) == -1


# 2024-02-29T12:34:56Z, a Thursday, day 59 of its year (from 0).
LEAP_DAY = 1_709_210_096
FIELDS = (56, 34, 12, 29, 1, 124, 4, 59, 0, 0)


@pytest.mark.parametrize("name", ["_localtime_js", "_gmtime_js"])
def test_times_are_broken_down_in_utc(guest: Guest, name: str) -> None:
    by_value = guest(None, f"{name}(i64 i32)")
    by_value[name](LEAP_DAY, 256)
    assert struct.unpack("<10i", by_value.memory[256:296]) == FIELDS
    by_address = guest(None, f"{name}(i32 i32)")
    by_address.memory.write(8, struct.pack("<q", LEAP_DAY))
    by_address[name](8, 256)
    assert struct.unpack("<10i", by_address.memory[256:296]) == FIELDS


@pytest.mark.parametrize("name", ["_mktime_js", "_timegm_js"])
def test_broken_down_times_are_combined_and_normalised(guest: Guest, name: str) -> None:
    env = guest(None, f"{name}(i32)->i64")
    env.memory.write(0, struct.pack("<6i", 56, 34, 12 - 24, 30, 1 - 12, 125))
    assert env[name](0) == LEAP_DAY
    assert struct.unpack("<10i", env.memory[0:40]) == FIELDS


def test_a_time_beyond_the_calendar_is_an_error(guest: Guest) -> None:
    env = guest(None, "_timegm_js(i32)->i32", "_gmtime_js(i64 i32)->i32")
    env.memory.write(0, struct.pack("<6i", 0, 0, 0, 1, 0, 2**31 - 1 - 1900))
    assert env["_timegm_js"](0) == -1
    env.memory.write(0, struct.pack("<6i", 0, 0, 0, 1, 0, 200))
    assert env["_timegm_js"](0) == -1  # after 2038, which an i32 cannot hold
    assert env["_gmtime_js"](2**63 - 1, 0) == -61


def test_the_time_zone_is_utc(guest: Guest) -> None:
    env = guest(None, "_tzset_js(i32 i32 i32 i32)")
    env.memory.write(0, b"\xff" * 64)
    env["_tzset_js"](0, 4, 8, 24)
    assert env.memory[0:12] == bytes(8) + b"UTC\0"
    assert env.memory[24:28] == b"UTC\0"


def test_messages_go_to_the_standard_streams(guest: Guest) -> None:
    out, err = bytearray(), bytearray()
    wasi = WASI(stdout=out, stderr=err)
    env = guest(wasi, *(f"emscripten_{name}(i32)" for name in ("out", "err", "console_log", "console_error")))
    env.memory.write(16, "größe\0".encode())
    for name in ("out", "err", "console_log", "console_error"):
        env[f"emscripten_{name}"](16)
    assert out.decode() == err.decode() == "größe\ngröße\n"
    with pytest.raises(Trap):
        env.emscripten_out(-1)
