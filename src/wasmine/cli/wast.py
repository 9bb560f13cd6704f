"""`wasmine wast`: scripts of the specification's test suite."""

from __future__ import annotations

from wasmine.cli.options import Arguments, Command, CommandError, Flag, UsageError
from wasmine.runtime.runtime import BOUNDS, ENGINES, Bounds, EngineName


def execute(arguments: Arguments) -> int:
    if not arguments.operands:
        raise UsageError("missing path to a script or a folder of them", status=1)
    from wasmine.script import main

    try:
        # Not "auto": that is settled by the first module of a script, and a later one may have GC objects.
        engine: EngineName = arguments["--engine"] or "interpreter"
        bounds: Bounds = arguments["--bounds"] or "auto"
        return main(arguments.operands, engine, bounds=bounds)
    except OSError as error:
        raise CommandError(f"error reading script: {error.strerror or error}: {error.filename!r}") from None


COMMAND = Command(
    "wast",
    "Run test scripts of the WebAssembly specification",
    "PATH...",
    execute,
    (
        Flag("--engine", f"how to run them: {', '.join(ENGINES)}; interpreter if not given", "NAME", choices=ENGINES),
        Flag("--bounds", "how the compiler checks memory accesses: " + ", ".join(BOUNDS), "NAME", choices=BOUNDS),
    ),
    notes="A PATH is a .wast file or a folder that is searched for them. The exit code is 1 if anything failed.",
)
