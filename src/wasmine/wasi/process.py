"""Arguments, environment, clocks, random bytes and the end of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.errors import Exit
from wasmine.wasi.errno import Errno, WasiError
from wasmine.wasi.layout import U32, ClockId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.wasi.guest_memory import GuestMemory
    from wasmine.wasi.system import WASI

_RANDOM_PIECE = 1 << 20  # bytes: a guest may ask for gigabytes at once


def args_sizes_get(system: WASI, memory: GuestMemory, count: int, size: int) -> None:
    _sizes(memory, system.args, count, size)


def args_get(system: WASI, memory: GuestMemory, pointers: int, buffer: int) -> None:
    _strings(memory, system.args, pointers, buffer)


def environ_sizes_get(system: WASI, memory: GuestMemory, count: int, size: int) -> None:
    _sizes(memory, system.environ, count, size)


def environ_get(system: WASI, memory: GuestMemory, pointers: int, buffer: int) -> None:
    _strings(memory, system.environ, pointers, buffer)


def _sizes(memory: GuestMemory, strings: Sequence[bytes], count: int, size: int) -> None:
    memory.write_u32(count, len(strings))
    memory.write_u32(size, sum(len(string) + 1 for string in strings))


def _strings(memory: GuestMemory, strings: Sequence[bytes], pointers: int, buffer: int) -> None:
    """Write the strings, each ended by a zero byte, and an array of pointers to them."""
    memory.slice(buffer, sum(len(string) + 1 for string in strings))
    table = memory.slice(pointers, 4 * len(strings))
    for number, string in enumerate(strings):
        U32.pack_into(table, 4 * number, buffer)
        memory.write(buffer, string + b"\0")
        buffer += len(string) + 1


def now(system: WASI, clock: int) -> int:
    """The time of one of preview 1's clocks. INVAL if it is none, NOTSUP if this run has no such clock."""
    if clock == ClockId.REALTIME:
        return system.clock.realtime()
    if clock == ClockId.MONOTONIC:
        return system.clock.monotonic()
    if clock in (ClockId.PROCESS_CPUTIME, ClockId.THREAD_CPUTIME):
        time = system.clock.cpu_time()
        if time is None:
            raise WasiError(Errno.NOTSUP)
        return time
    raise WasiError(Errno.INVAL)


def clock_res_get(system: WASI, memory: GuestMemory, clock: int, result: int) -> None:
    if clock == ClockId.REALTIME:
        resolution = system.clock.realtime_resolution()
    elif clock == ClockId.MONOTONIC:
        resolution = system.clock.monotonic_resolution()
    else:
        now(system, clock)
        resolution = 1
    memory.write_u64(result, resolution)


def clock_time_get(system: WASI, memory: GuestMemory, clock: int, precision: int, result: int) -> None:
    memory.write_u64(result, now(system, clock) & 0xFFFF_FFFF_FFFF_FFFF)


def random_get(system: WASI, memory: GuestMemory, buffer: int, size: int) -> None:
    room = memory.slice(buffer, size)
    for start in range(0, size, _RANDOM_PIECE):
        wanted = min(_RANDOM_PIECE, size - start)
        piece = system.random(wanted)
        if len(piece) != wanted:
            raise WasiError(Errno.IO)
        room[start : start + wanted] = piece


def proc_exit(system: WASI, memory: GuestMemory, code: int) -> None:
    raise Exit(code)


def proc_raise(system: WASI, memory: GuestMemory, signal: int) -> None:
    # Preview 1 gives no way to catch a signal, and no runtime has ever delivered one.
    raise WasiError(Errno.NOSYS)


def sched_yield(system: WASI, memory: GuestMemory) -> None:
    system.waiting.check()
