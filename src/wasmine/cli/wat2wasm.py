"""`wasmine wat2wasm`: text to binary."""

from __future__ import annotations

from pathlib import PurePath

from wasmine.cli.options import Arguments, Command, Flag, UsageError
from wasmine.cli.source import load, write_file


def execute(arguments: Arguments) -> int:
    if len(arguments.operands) != 1:
        raise UsageError("expected one file", status=1 if not arguments.operands else 2)
    path = arguments.operands[0]
    output = arguments["--output"] or ("-" if path == "-" else str(PurePath(path).with_suffix(".wasm").name))
    write_file(output, load(path).to_bytes())
    return 0


COMMAND = Command(
    "wat2wasm",
    "Translate the text format to the binary format",
    "FILE",
    execute,
    (
        Flag(
            "--output", "where to write, - for standard output; FILE with .wasm, here, if not given", "PATH", short="-o"
        ),
    ),
)
