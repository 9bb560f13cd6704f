"""`wasmine wast`: scripts of the specification's test suite."""

from __future__ import annotations

from wasmine.cli.options import Arguments, Command, CommandError, Flag, UsageError
from wasmine.runtime.runtime import ENGINES


def execute(arguments: Arguments) -> int:
    if not arguments.operands:
        raise UsageError("missing path to a script or a folder of them", status=1)
    from wasmine.script import main

    try:
        return main(arguments.operands, arguments["--engine"] or "auto")
    except OSError as error:
        raise CommandError(f"error reading script: {error.strerror or error}: {error.filename!r}") from None


COMMAND = Command(
    "wast",
    "Run test scripts of the WebAssembly specification",
    "PATH...",
    execute,
    (Flag("--engine", "how to run them: " + ", ".join(ENGINES), "NAME", choices=ENGINES),),
    notes="A PATH is a .wast file or a folder that is searched for them. The exit code is 1 if anything failed.",
)
