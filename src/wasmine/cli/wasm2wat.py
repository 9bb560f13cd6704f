"""`wasmine wasm2wat`: binary to text."""

from __future__ import annotations

import sys
from pathlib import Path

from wasmine.cli.options import Arguments, Command, CommandError, Flag, UsageError
from wasmine.cli.source import load


def execute(arguments: Arguments) -> int:
    if len(arguments.operands) != 1:
        raise UsageError("expected one file", status=1 if not arguments.operands else 2)
    from wasmine.format.text import print_lines

    module = load(arguments.operands[0])
    lines = print_lines(module.syntax, folded=not arguments["--flat"], skeleton=arguments["--skeleton"])
    output = arguments["--output"]
    if output is None or output == "-":
        sys.stdout.writelines(lines)
        return 0
    try:
        with Path(output).open("w", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as error:
        raise CommandError(f"cannot write {output!r}: {error.strerror or error}") from None
    return 0


COMMAND = Command(
    "wasm2wat",
    "Translate the binary format to the text format",
    "FILE",
    execute,
    (
        Flag("--flat", "one instruction a line instead of folded expressions"),
        Flag("--skeleton", "leave out function bodies and the contents of segments"),
        Flag("--output", "where to write, standard output if not given", "PATH", short="-o"),
    ),
)
