"""The command line: `wasmine COMMAND ...`. Each command is a module of this package, imported when it is called.

Exit codes: that of the guest; 0 if all is well; 1 for a file or module that is bad; 2 for a wrong use of the command line;
124 after a timeout; 130 after Ctrl-C; 134 after a trap.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, cast

from wasmine.cli.options import CommandError, UsageError, help_text, parse, usage
from wasmine.errors import Timeout, Trap, WasmException, WasmineError
from wasmine.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.cli.options import Command

# Names and summaries, so that the overview needs no imports; the modules' `COMMAND` have the same.
COMMANDS = {
    "run": "run a WASI program, or call an exported function",
    "compile": "compile modules ahead, into a cache directory",
    "validate": "check whether files are valid modules",
    "inspect": "show what a module is made of",
    "wat2wasm": "translate the text format to the binary format",
    "wasm2wat": "translate the binary format to the text format",
    "wast": "run test scripts of the WebAssembly specification",
    "doctor": "say which engine is used on this machine, and why",
    "completion": "print a completion script for a shell",
    "version": "print the version",
}

FAILED = 1
MISUSED = 2
TIMED_OUT = 124
INTERRUPTED = 130
TRAPPED = 134


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    words = sys.argv[1:] if words is None else words
    try:
        status = _dispatch(list(words))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain again when it flushes at its end.
        sys.stdout = None
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _dispatch(words: list[str]) -> int:
    if not words:
        sys.stderr.write(overview())
        return MISUSED
    name = words.pop(0)
    if name in ("-h", "-help", "--help", "help"):
        if words and words[0] in COMMANDS:
            sys.stdout.write(help_text(find(words[0])))
        else:
            sys.stdout.write(overview())
        return 0
    if name in ("-V", "-version", "--version"):
        name = "version"
    if name not in COMMANDS:
        sys.stderr.write(f"error: invalid command {name!r}{_suggestion(name)}\n\n{overview()}")
        return MISUSED if name.startswith("-") else FAILED
    return _execute(find(name), words)


def _suggestion(name: str) -> str:
    """What may have been meant by something that is no command."""
    import difflib
    import os

    if os.path.exists(name):  # noqa: PTH110 - importing pathlib takes 4 ms
        return f": to run that file, wasmine run {name}"
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    return f": did you mean {close[0]}?" if close else ""


def _execute(command: Command, words: list[str]) -> int:
    try:
        arguments = parse(command, words)
        if arguments is None:
            sys.stdout.write(help_text(command))
            return 0
        return command.execute(arguments)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n{usage(command)}\nwasmine {command.name} --help says more\n")
        return error.status
    except (Trap, WasmException) as error:
        sys.stderr.write(f"error: {error}\n")
        return TRAPPED
    except Timeout as error:
        sys.stderr.write(f"error: {error}\n")
        return TIMED_OUT
    except (CommandError, WasmineError) as error:
        sys.stderr.write(f"error: {error}\n")
        return FAILED


def find(name: str) -> Command:
    """The command of a name in `COMMANDS`."""
    return cast("Command", importlib.import_module(f"wasmine.cli.{name}").COMMAND)


def overview() -> str:
    """The help of the whole."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:{width}}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            f"Wasmine {__version__}, a WebAssembly runtime for Python",
            "",
            "usage: wasmine COMMAND ...",
            "",
            *lines,
            "",
            "wasmine COMMAND --help says more about a command.",
            "",
        ]
    )
