"""`wasmine run`: a WASI program with the process's own streams, or one exported function."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from wasmine.cli.imports import explain, offered, parse_preload
from wasmine.cli.options import Arguments, Command, CommandError, Flag, UsageError
from wasmine.cli.quantities import duration, size, units
from wasmine.cli.source import CACHE_DIR, QUIET, load, open_cache
from wasmine.errors import Exit, LinkError, Timeout
from wasmine.format.types import F32, F64, FuncType
from wasmine.runtime.deadline import within
from wasmine.runtime.limits import Limits
from wasmine.runtime.runtime import ENGINES, Runtime

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from wasmine.runtime.instance import Instance
    from wasmine.runtime.module import Module
    from wasmine.wasi.filesystem import HostDirectory
    from wasmine.wasi.system import WASI


def execute(arguments: Arguments) -> int:
    if not arguments.operands:
        raise UsageError("missing path to wasm file", status=1)
    path, *rest = arguments.operands
    cache = open_cache(arguments["--cache-dir"])
    module = load(path, cache=cache, quiet=arguments["--quiet"])
    invoked = arguments["--invoke"]
    argv = [os.path.basename(path), *([] if invoked else rest)]  # noqa: PTH119 - importing pathlib takes 4 ms
    limits = Limits(memory=arguments["--max-memory"], fuel=arguments["--fuel"])
    runtime = Runtime(arguments["--engine"] or "auto", limits=limits, cache=cache)
    preloaded = dict(map(parse_preload, arguments["--preload"]))

    def run() -> int:
        runtime.settle(module)
        for name, file in preloaded.items():
            other = load(file, cache=cache, quiet=arguments["--quiet"])
            _initialize(runtime.instantiate(other, offered(runtime, other, system), name=name))
        imports = offered(runtime, module, system)
        if invoked:
            return _invoke(runtime, module, imports, invoked, rest)
        from wasmine.wasi.program import start

        return start(runtime, module, system, imports) & 0xFF

    seconds = arguments["--timeout"]
    with _system(arguments, argv) as system, runtime:
        try:
            return run() if seconds is None else within(seconds, run)
        except Timeout:
            raise Timeout(f"module closed with context deadline exceeded (timeout {seconds:g}s)") from None
        except LinkError as error:
            advice = f"\n{explain(module)}" if "cannot be satisfied" in str(error) else ""
            if "is no program" in str(error):
                advice = "\nTo call a function of it: wasmine run --invoke FUNCTION FILE [ARGS...]"
            raise CommandError(f"error instantiating wasm binary: {error}{advice}") from error


def _system(arguments: Arguments, argv: list[str]) -> WASI:
    """The guest's operating system, as the flags say."""
    from wasmine.wasi.clocks import FakeClock
    from wasmine.wasi.program import own_stream
    from wasmine.wasi.system import WASI
    from wasmine.wasi.trace import Tracer

    groups = arguments["--hostlogging"]
    mounts: dict[str, HostDirectory] = {}
    for given in (*arguments["--dir"], *arguments["--mount"]):
        guest, mount = parse_mount(given)
        mounts[guest] = mount
    try:
        return WASI(
            argv,
            _environment(arguments),
            stdin=own_stream(sys.stdin),
            stdout=own_stream(sys.stdout),
            stderr=own_stream(sys.stderr),
            mounts=mounts,
            listen=[_listener(address) for address in arguments["--listen"]],
            clock=FakeClock() if arguments["--fake-clock"] else None,
            random=arguments["--seed"],
            tracer=Tracer(sys.stderr.write, groups) if groups else None,
        )
    except OSError as error:
        raise CommandError(f"invalid mount: {error.strerror or error}: {error.filename!r}") from None
    except ValueError as error:
        raise CommandError(str(error)) from None


def _environment(arguments: Arguments) -> dict[str, str]:
    environment = dict(os.environ) if arguments["--env-inherit"] else {}
    for given in arguments["--env"]:
        key, separator, value = given.partition("=")
        if not separator or not key:
            raise CommandError(f"invalid environment variable: {given!r}: expected NAME=VALUE")
        environment[key] = value
    return environment


def parse_mount(given: str) -> tuple[str, HostDirectory]:
    """The guest's name and the directory that HOST[:GUEST[:ro]] means. CommandError."""
    from wasmine.wasi.filesystem.host import HostDirectory

    path, read_only = (given.removesuffix(":ro"), True) if given.endswith(":ro") else (given, False)
    drive, path = os.path.splitdrive(path)  # of Windows, with a colon of its own
    host, _, guest = path.partition(":")
    if not host:
        raise CommandError(f"invalid mount: {given!r}: expected HOST[:GUEST[:ro]]")
    return guest or drive + host, HostDirectory(drive + host, read_only=read_only)


def _listener(address: str) -> socket.socket:
    """A listening socket for HOST:PORT; port 0 takes a free one, and which is said on standard error."""
    import socket

    host, separator, port = address.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise CommandError(f"invalid listener: {address!r}: expected HOST:PORT")
    host = host.removeprefix("[").removesuffix("]")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, int(port)), family=family)
    except OSError as error:
        raise CommandError(f"invalid listener: {address!r}: {error.strerror or error}") from None
    if port == "0":
        sys.stderr.write(f"listening on {host}:{listener.getsockname()[1]}\n")
    return listener


def _invoke(runtime: Runtime, module: Module, imports: dict[str, dict[str, Any]], name: str, words: list[str]) -> int:
    """Call an exported function and print its results, one a line."""
    type = module.exports.get(name)
    if not isinstance(type, FuncType):
        functions = [export for export, found in module.exports.items() if isinstance(found, FuncType)]
        offered = ", ".join(functions) or "none"
        raise CommandError(f"{name!r} is not an exported function; exported functions: {offered}")
    values = [_value(word, str(parameter), name) for word, parameter in zip(words, type.params, strict=False)]
    if len(words) != len(type.params):
        raise CommandError(f"{name}{_parameters(type)} takes {len(type.params)} arguments, {len(words)} given")
    try:
        instance = runtime.instantiate(module, imports)
        _initialize(instance)
        result = instance.exports[name](*values)
    except Exit as exit:
        return exit.code & 0xFF
    except (TypeError, OverflowError) as error:
        raise CommandError(str(error)) from None
    results = result if isinstance(result, tuple) else () if result is None and not type.results else (result,)
    for value, kind in zip(results, type.results, strict=True):
        print(_shown(value, kind))
    return 0


def _initialize(instance: Instance) -> None:
    initialize = instance.exports.get("_initialize")
    if initialize is not None:
        initialize()


def _parameters(type: FuncType) -> str:
    return f"({', '.join(map(str, type.params))})"


_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "i32": lambda word: int(word, 0),
    "i64": lambda word: int(word, 0),
    "f32": float,
    "f64": float,
    "v128": lambda word: int(word, 0),
}


def _value(word: str, type: str, function: str) -> Any:
    """An argument of a function, from the command line."""
    convert = _CONVERSIONS.get(type)
    if convert is None:
        raise CommandError(f"cannot invoke {function} from the command line: it takes a {type}")
    try:
        return convert(word)
    except ValueError:
        raise CommandError(f"invalid argument {word!r} for {function}: expected {type}") from None


def _shown(value: Any, type: Any) -> str:
    if isinstance(value, bytes):
        return "0x" + value[::-1].hex()
    return f"{value:g}" if type is F32 else repr(value) if type is F64 else str(value)


def _groups(text: str) -> list[str]:
    from wasmine.wasi.preview1 import GROUPS

    for group in text.split(","):
        if group not in ("all", *GROUPS):
            raise ValueError(f"expected all, {', '.join(GROUPS)}, with commas between")
    return text.split(",")


COMMAND = Command(
    "run",
    "Run a WASI program, or call an exported function",
    "FILE [ARGS...]",
    execute,
    (
        Flag("--engine", "how to run it: " + ", ".join(ENGINES), "NAME", choices=ENGINES),
        Flag("--dir", "mount a host directory, ro: read-only", "HOST[:GUEST[:ro]]", repeated=True),
        Flag("--mount", "the same as --dir", "HOST[:GUEST[:ro]]", repeated=True),
        Flag("--env", "set an environment variable", "NAME=VALUE", repeated=True),
        Flag("--env-inherit", "pass on all variables; --env comes on top"),
        Flag("--preload", "instantiate FILE first, for imports from NAME", "NAME=FILE", repeated=True),
        Flag("--invoke", "call it with ARGS, and print its results", "FUNCTION"),
        Flag("--listen", "give it a listening TCP socket; port 0: any", "HOST:PORT", repeated=True),
        CACHE_DIR,
        Flag("--timeout", "stop it after this time: 1.5 (s), 200ms, 1m30s", "DURATION", convert=duration),
        Flag("--max-memory", "the most that a memory may have: 64K, 512M, 2G", "SIZE", convert=size),
        Flag("--fuel", "how many instructions it may take, about", "UNITS", convert=units),
        Flag("--fake-clock", "the same times in every run; sleep takes none"),
        Flag("--seed", "the same random numbers in every run", "NUMBER", convert=lambda text: int(text, 0)),
        Flag(
            "--hostlogging",
            "log calls: all, clock, filesystem, poll, proc, random, sock",
            "GROUPS",
            convert=_groups,
        ),
        QUIET,
    ),
    passes_on=True,
    notes="FILE - is standard input. Exit codes: the program's; 134 a trap, 124 a timeout.",
)
