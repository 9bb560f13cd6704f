"""Running a whole program in one call, shaped like `subprocess.run`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from wasmine.errors import Exit, LinkError, WasmineError
from wasmine.format.types import FuncType
from wasmine.record import record
from wasmine.runtime.cache import Cache
from wasmine.runtime.deadline import within
from wasmine.runtime.module import Module
from wasmine.runtime.runtime import Runtime
from wasmine.wasi.system import WASI

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Mapping, Sequence

    from wasmine.runtime.limits import Limits
    from wasmine.runtime.module import Source
    from wasmine.runtime.runtime import EngineName
    from wasmine.wasi.clocks import Clock
    from wasmine.wasi.mounts import Mount
    from wasmine.wasi.quota import Quota
    from wasmine.wasi.random import RandomSource
    from wasmine.wasi.streams import Input, Output

# As in subprocess, which is slow to import.
PIPE = -1
STDOUT = -2
DEVNULL = -3


@record(frozen=False)
class CompletedProgram:
    """A program that ended. `stdout` and `stderr` are what was captured (bytes, or text), else None."""

    args: list[str]
    returncode: int
    stdout: Any = None
    stderr: Any = None

    def check_returncode(self) -> None:
        """Raise `ProgramFailed` if the exit code is not 0."""
        if self.returncode:
            raise ProgramFailed(self)


class ProgramFailed(Exit):
    """A program ended with another exit code than 0 although `check=True`. `completed` is its `CompletedProgram`."""

    def __init__(self, completed: CompletedProgram) -> None:
        self.completed = completed
        super().__init__(completed.returncode)

    def __str__(self) -> str:
        return f"program {self.completed.args[0]!r} exited with code {self.code}"


def run(
    program: Source,
    args: Sequence[str] = (),
    *,
    stdin: Input = None,
    input: bytes | str | None = None,
    stdout: Output = None,
    stderr: Output = None,
    capture_output: bool = False,
    text: bool = False,
    check: bool = False,
    timeout: float | None = None,
    limits: Limits | None = None,
    env: Mapping[str, str] | None = None,
    mounts: Mapping[str, Mount] | None = None,
    listen: Iterable[socket.socket] = (),
    clock: Clock | None = None,
    random: int | RandomSource | None = None,
    quota: Quota | None = None,
    imports: Mapping[str, Any] | None = None,
    name: str | None = None,
    engine: EngineName = "auto",
    cache: Cache | str | os.PathLike[str] | None = None,
) -> CompletedProgram:
    """Run a WASI program to its end: `wasmine.run("tool.wasm", ["--version"], capture_output=True).stdout`.

    `program` is what `Module` takes. `args` follow the program's name (`name`, else that of the file). As in
    `subprocess.run`: a stream that is None is the process's own; PIPE captures, DEVNULL discards, `stderr=STDOUT` joins the
    two; `input` feeds standard input; `text` makes captured output str (UTF-8, what is malformed replaced). A stream is
    also any file object, bytes, bytearray or function (`wasmine.wasi.WASI`). Unlike there, the guest gets only what is
    given: no environment without `env`, no files without `mounts` (`{"/data": "./data"}`). `clock`, `random`, `listen` and
    `quota` are those of `WASI`; `imports` satisfies what is not WASI. `timeout` is for all of the run but reading the
    module; `limits` and `cache` are those of `Runtime`.

    Raises `Trap` and what host functions raise; `Timeout` when the time is over, also while the guest waits;
    `ProgramFailed` with `check=True`. A `WasmineError` that ends the run carries what was captured as `stdout` and
    `stderr`.
    """
    if input is not None:
        if stdin is not None:
            raise ValueError("stdin and input cannot both be given")
        stdin = input
    if capture_output:
        if stdout is not None or stderr is not None:
            raise ValueError("stdout and stderr cannot be given with capture_output")
        stdout = stderr = PIPE
    cache = Cache.of(cache)
    module = program if isinstance(program, Module) else Module(program, cache=cache)
    argv = [name or _program_name(module), *args]
    captured_out = bytearray() if stdout == PIPE else None
    captured_error = captured_out if stderr == STDOUT else bytearray() if stderr == PIPE else None
    out = _stream(stdout, captured_out, sys.stdout)
    error = out if stderr == STDOUT else _stream(stderr, captured_error, sys.stderr)
    with (
        WASI(
            argv,
            env,
            stdin=_stream(stdin, None, sys.stdin),
            stdout=out,
            stderr=error,
            mounts=mounts,
            listen=listen,
            clock=clock,
            random=random,
            quota=quota,
        ) as system,
        Runtime(engine, limits=limits, cache=cache) as runtime,
    ):
        try:
            returncode = start(runtime, module, system, imports, timeout=timeout)
        except WasmineError as failure:
            failure.stdout = _captured(stdout, captured_out, text)  # type: ignore[attr-defined]
            failure.stderr = _captured(stderr, captured_error, text)  # type: ignore[attr-defined]
            raise
    completed = CompletedProgram(
        argv, returncode, _captured(stdout, captured_out, text), _captured(stderr, captured_error, text)
    )
    if check:
        completed.check_returncode()
    return completed


def start(
    runtime: Runtime,
    module: Module,
    system: WASI,
    imports: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
) -> int:
    """Instantiate a program and run it to its end; its exit code.

    A command has `_start`; a reactor, which only gives functions to others, has `_initialize`. LinkError if there is
    neither, nor a start function; Timeout after `timeout` seconds.
    """
    if timeout is not None:
        return within(timeout, start, runtime, module, system, imports)
    entry = entry_point(module)
    try:
        instance = runtime.instantiate(module, {**system.imports(), **(imports or {})})
        if entry:
            instance.exports[entry]()
    except Exit as exit:
        return exit.code
    return 0


def entry_point(module: Module) -> str:
    """The function to call after instantiation, "" if the start function is all. LinkError if nothing would run."""
    for name in ("_start", "_initialize"):
        if name in module.exports:
            return name
    if module.syntax.start is not None:
        return ""
    functions = [name for name, type in module.exports.items() if isinstance(type, FuncType)]
    offered = f"it exports {', '.join(functions[:10])}" if functions else "and exports no function"
    raise LinkError(f"module {module.name!r} is no program: it has no function _start; {offered}")


def _program_name(module: Module) -> str:
    return os.path.basename(module.origin) or module.name or "main.wasm"  # noqa: PTH119 - importing pathlib takes 4 ms


def _stream(given: Any, captured: bytearray | None, own: Any) -> Any:
    """What a stream parameter means for `WASI`: None there is nothing, here it is the process's own."""
    if given == DEVNULL:
        return None
    if captured is not None:
        return captured
    return own_stream(own) if given is None else given


def own_stream(stream: Any) -> Any:
    """One of the process's streams; None where it has none, and where it was closed."""
    return None if stream is None or stream.closed else stream


def _captured(given: Any, captured: bytearray | None, text: bool) -> bytes | str | None:
    if captured is None or given == STDOUT:
        return None
    return captured.decode(errors="replace") if text else bytes(captured)
