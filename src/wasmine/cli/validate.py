"""`wasmine validate`: are these modules valid?"""

from __future__ import annotations

import sys

from wasmine.cli.options import Arguments, Command, CommandError, Flag, UsageError
from wasmine.cli.source import load


def execute(arguments: Arguments) -> int:
    if not arguments.operands:
        raise UsageError("missing path to wasm file", status=1)
    status = 0
    for path in arguments.operands:
        try:
            load(path, quiet=arguments["--quiet"])
        except CommandError as error:
            # All files are looked at, so the reason stands with each.
            sys.stderr.write(f"{path}: {error.__cause__ or error}\n")
            status = 1
        else:
            if not arguments["--quiet"]:
                print(f"{path}: valid")
    return status


COMMAND = Command(
    "validate",
    "Check whether files are valid modules",
    "FILE...",
    execute,
    (Flag("--quiet", "say nothing about valid files"),),
    notes="The exit code is 1 if one is not.",
)
