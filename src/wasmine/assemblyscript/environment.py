"""The functions of AssemblyScript's `env`: abort, trace and seed, and the few of JavaScript's that its library knows."""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from wasmine.assemblyscript.strings import read_string
from wasmine.errors import Exit, Trap, TrapKind
from wasmine.wasi.clocks import Clock, SystemClock
from wasmine.wasi.random import seeded_random, system_random
from wasmine.wasi.streams import sink

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.runtime.host import Caller, f64, i32
    from wasmine.runtime.memory import Memory
    from wasmine.wasi.random import RandomSource
    from wasmine.wasi.streams import Output

_MASK = 0xFFFF_FFFF
_ABORTED = 255  # the exit code, as in wazero
_MILLISECOND = 1_000_000  # in nanoseconds


class Abort(Exit):
    """The guest aborted: it threw an error, or an assertion failed. Line and column are 0 where the guest gave none."""

    def __init__(self, message: str, file: str, line: int, column: int) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        super().__init__(_ABORTED)

    def __str__(self) -> str:
        return f"{self.message} at {self.file}:{self.line}:{self.column}"

    def __reduce__(self) -> tuple[object, ...]:
        return Abort, (self.message, self.file, self.line, self.column)


def imports(
    *,
    stdout: Output = None,
    stderr: Output = None,
    trace: Literal["off", "stdout", "stderr"] = "off",
    random: int | RandomSource | None = None,
    clock: Clock | None = None,
) -> dict[str, dict[str, Callable[..., Any]]]:
    """What modules import from `env`, for `Runtime.instantiate`; other functions can be added to the dict.

    `abort` writes `message at file:line:column` to `stderr` and raises `Abort`. `trace` writes `trace: message 1,2` to the
    stream named, or nothing. `seed` comes from `random`: the system's randomness, or a seed, or a function that gives n
    bytes. `console.*` write to the two streams, `Date.now` and `performance.now` read `clock`, `process.exit` raises
    `Exit`. A stream is what `wasmine.wasi.WASI` takes, None discards.
    """
    if trace not in ("off", "stdout", "stderr"):
        raise ValueError(f'trace must be "off", "stdout" or "stderr", found {trace!r}')
    source = system_random if random is None else seeded_random(random) if isinstance(random, int) else random
    time: Clock = clock or SystemClock()
    output, errors = _writer(stdout), _writer(stderr)
    traces = {"off": None, "stdout": output, "stderr": errors}[trace]

    def abort(caller: Caller, message: i32, file: i32, line: i32, column: i32) -> None:
        memory = caller.memory
        error = Abort(_readable(memory, message), _readable(memory, file), line & _MASK, column & _MASK)
        errors(str(error))
        raise error

    def tell(caller: Caller, message: i32, count: i32, a0: f64, a1: f64, a2: f64, a3: f64, a4: f64) -> None:
        if traces is not None:
            numbers = ",".join(_number(value) for value in (a0, a1, a2, a3, a4)[: max(count, 0)])
            traces(f"trace: {_text(caller.memory, message)} {numbers}".rstrip())

    def seed() -> f64:
        return float(struct.unpack("<d", source(8))[0])  # the guest takes the bits, not the number

    def console(write: Callable[[str], None]) -> Callable[..., None]:
        def log(caller: Caller, message: i32) -> None:
            write(_text(caller.memory, message))

        return log

    def console_assert(caller: Caller, condition: i32, message: i32) -> None:
        if not condition:
            errors(f"Assertion failed: {_text(caller.memory, message)}")

    def now() -> f64:
        return float(time.realtime() // _MILLISECOND)

    def performance_now() -> f64:
        return time.monotonic() / _MILLISECOND

    def exit(code: i32) -> None:
        raise Exit(code & _MASK)

    consoles = {"debug": output, "error": errors, "info": output, "log": output, "warn": errors}
    functions: dict[str, Callable[..., Any]] = {
        "abort": abort,
        "trace": tell,
        "seed": seed,
        **{f"console.{name}": console(write) for name, write in consoles.items()},
        "console.assert": console_assert,
        "Date.now": now,
        "performance.now": performance_now,
        "process.exit": exit,
    }
    return {"env": functions}


def _writer(stream: Output) -> Callable[[str], None]:
    """A function that writes a line."""
    target = sink(stream)

    def write(line: str) -> None:
        data = memoryview((line + "\n").encode(errors="replace"))
        while data:
            data = data[target.write(data) :]

    return write


def _text(memory: Memory, pointer: int) -> str:
    """The string; "null" for a null pointer. A pointer that leads outside is the guest's trap."""
    try:
        found = read_string(memory, pointer)
    except IndexError as error:
        raise Trap(TrapKind.MEMORY_OUT_OF_BOUNDS, str(error)) from None
    return "null" if found is None else found


def _readable(memory: Memory, pointer: int) -> str:
    """The string; "" for a null pointer or one that leads outside: an abort must not fail."""
    with suppress(IndexError):
        return read_string(memory, pointer) or ""
    return ""


def _number(value: float) -> str:
    """As JavaScript writes it: whole numbers without a fraction."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
