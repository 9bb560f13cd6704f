"""Arguments, environment, clocks, random bytes, and the end."""

from __future__ import annotations

import struct
import time

import pytest
from guest import Guest, fails

from wasmine import Exit
from wasmine.wasi import WASI, Errno, FakeClock


def strings(guest: Guest, what: str, pointers: int = 1024, text: int = 2048) -> list[bytes]:
    guest.call(f"{what}_sizes_get", 0, 4)
    count, size = struct.unpack_from("<II", guest.memory.bytes)
    guest.call(f"{what}_get", pointers, text)
    addresses = struct.unpack_from(f"<{count}I", guest.memory.bytes, pointers)
    found = [guest.at(address, size).split(b"\0")[0] for address in addresses]
    assert size == sum(len(string) + 1 for string in found)
    return found


def test_arguments_are_those_given() -> None:
    assert strings(Guest(["tool", "", "größe"]), "args") == [b"tool", b"", "größe".encode()]


def test_there_are_none_unless_given() -> None:
    assert strings(Guest(), "args") == strings(Guest(), "environ") == []


def test_environment_is_what_was_given_in_order() -> None:
    assert strings(Guest(env={"B": "2", "A": "x=y"}), "environ") == [b"B=2", b"A=x=y"]


@pytest.mark.parametrize(
    ("args", "env", "message"),
    [
        (["a\0b"], {}, "args invalid: contains NUL character"),
        ([], {"": "x"}, "environ invalid: empty key"),
        ([], {"a=b": "x"}, "environ invalid: key contains '=' character"),
        ([], {"a": "x\0"}, "environ invalid: contains NUL character"),
    ],
)
def test_what_no_process_can_have_is_refused(args: list[str], env: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WASI(args, env)


def test_arguments_that_do_not_fit_into_memory_are_a_fault() -> None:
    guest = Guest(["tool"] * 10, memory=1 << 16)
    with fails(Errno.FAULT):
        guest.call("args_get", 0, (1 << 16) - 20)
    with fails(Errno.FAULT):
        guest.call("args_get", (1 << 16) - 20, 0)


@pytest.mark.parametrize(("clock", "host"), [(0, time.time_ns), (1, time.monotonic_ns), (2, time.process_time_ns)])
def test_clocks_are_the_hosts(clock: int, host: object) -> None:
    before = host()  # type: ignore[operator]
    guest = Guest()
    guest.call("clock_time_get", clock, 1, 0)
    assert before <= guest.u64() <= host()  # type: ignore[operator]


@pytest.mark.parametrize("clock", [0, 1, 2, 3])
def test_every_clock_has_a_resolution(clock: int) -> None:
    guest = Guest()
    guest.call("clock_res_get", clock, 0)
    assert 1 <= guest.u64() <= 1_000_000_000


@pytest.mark.parametrize("function", ["clock_res_get", "clock_time_get"])
def test_there_is_no_fifth_clock(function: str) -> None:
    arguments = (4, 0) if function == "clock_res_get" else (4, 0, 0)
    with fails(Errno.INVAL):
        Guest().call(function, *arguments)


def test_a_fake_clock_depends_on_nothing_but_its_readings() -> None:
    def readings() -> list[int]:
        guest = Guest(clock=FakeClock())
        found = []
        for clock in (0, 1, 0, 1):
            guest.call("clock_time_get", clock, 0, 0)
            found.append(guest.u64())
        return found

    start = 1_640_995_200_000_000_000
    assert readings() == readings() == [start, 0, start + 1_000_000, 1_000_000]


def test_random_bytes_fill_the_buffer_and_nothing_else() -> None:
    guest = Guest(memory=1 << 22)
    size = (1 << 21) + 7
    guest.call("random_get", 100, size)
    assert any(guest.at(100 + size - 16, 16))
    assert not any(guest.at(100 + size, 64))
    assert not any(guest.at(0, 100))


def test_a_seed_gives_the_same_bytes_in_every_run() -> None:
    first, second, other = Guest(random=7), Guest(random=7), Guest(random=8)
    for guest in (first, second, other):
        guest.call("random_get", 0, 32)
    assert first.at(0, 32) == second.at(0, 32) != other.at(0, 32)


def test_a_source_of_randomness_that_runs_dry_is_an_error() -> None:
    with fails(Errno.IO):
        Guest(random=lambda count: b"x" * (count - 1)).call("random_get", 0, 10)


@pytest.mark.parametrize("code", [0, 1, 255, 0xFFFF_FFFF])
def test_exit_ends_the_guest(code: int) -> None:
    with pytest.raises(Exit) as caught:
        Guest().call("proc_exit", code)
    assert caught.value.code == code


def test_an_exit_code_may_come_as_a_signed_number() -> None:
    with pytest.raises(Exit) as caught:
        Guest().call("proc_exit", -1)
    assert caught.value.code == 0xFFFF_FFFF


def test_signals_do_not_exist() -> None:
    with fails(Errno.NOSYS):
        Guest().call("proc_raise", 9)


def test_yielding_succeeds() -> None:
    Guest().call("sched_yield")
