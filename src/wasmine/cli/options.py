"""Commands and their flags as data: parsing, help and shell completion come from the same tables.

Flags may be written `--flag VALUE`, `--flag=VALUE`, or with one dash, as in wazero. They end at the first argument that is
none, or after `--`: what follows a program's name belongs to the program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmine.errors import WasmineError
from wasmine.record import field, record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class UsageError(Exception):
    """A command was called wrongly. `status` is the exit code."""

    def __init__(self, message: str, status: int = 2) -> None:
        self.status = status
        super().__init__(message)


class CommandError(WasmineError):
    """A command cannot do its work; the message is complete. The exit code is 1."""


@record
class Flag:
    """One flag. `value` names its value in the help, "" for a switch; `convert` makes of it what the command gets.

    `short` is another name for it that other tools have taught everybody: "-o". `repeated` flags give a list. `convert`
    raises ValueError for a wrong value. `choices` are for completion and checks.
    """

    name: str
    help: str
    value: str = ""
    convert: Callable[[str], Any] = str
    repeated: bool = False
    choices: tuple[str, ...] = ()
    short: str = ""


@record
class Command:
    """A command. `operands` describes what follows the flags; `passes_on`: all of it after the first is not ours."""

    name: str
    summary: str
    operands: str
    execute: Callable[[Arguments], int]
    flags: tuple[Flag, ...] = ()
    passes_on: bool = False
    notes: str = ""


@record(frozen=False)
class Arguments:
    """What a command was called with: `arguments["--flag"]`, and the operands."""

    values: dict[str, Any] = field(default_factory=dict)
    operands: list[str] = field(default_factory=list)

    def __getitem__(self, flag: str) -> Any:
        return self.values[flag]


HELP = Flag("--help", "show this help")


def parse(command: Command, words: Sequence[str]) -> Arguments | None:
    """What the words after the command's name mean; None if help is wanted. UsageError."""
    flags = {flag.name: flag for flag in (*command.flags, HELP)}
    short = {flag.short: flag for flag in command.flags if flag.short}
    arguments = Arguments({flag.name: [] if flag.repeated else None if flag.value else False for flag in command.flags})
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            arguments.operands += rest
            break
        if not word.startswith("-") or word == "-":
            arguments.operands.append(word)
            if command.passes_on:
                arguments.operands += rest[1:] if rest[:1] == ["--"] else rest
                break
            continue
        if word in ("-h", "-help", "--help"):
            return None
        name, assigned, value = word.partition("=")
        flag = flags.get("--" + name.lstrip("-")) or short.get(name)
        if flag is None:
            raise UsageError(f"unknown flag {name}{_suggestion(name, flags)}")
        if not flag.value:
            if assigned:
                raise UsageError(f"{flag.name} takes no value, found {value!r}")
            arguments.values[flag.name] = True
            continue
        if not assigned:
            if not rest:
                raise UsageError(f"{flag.name} needs a value: {flag.name} {flag.value}")
            value = rest.pop(0)
        _store(arguments, flag, value)
    if arguments.operands and not command.operands:
        raise UsageError(f"expected no arguments, found {arguments.operands[0]!r}")
    return arguments


def _store(arguments: Arguments, flag: Flag, value: str) -> None:
    if flag.choices and value not in flag.choices:
        raise UsageError(f"invalid value {value!r} for {flag.name}: expected {', '.join(flag.choices)}")
    try:
        converted = flag.convert(value)
    except ValueError as error:
        raise UsageError(f"invalid value {value!r} for {flag.name}: {error}") from None
    if flag.repeated:
        arguments.values[flag.name].append(converted)
    else:
        arguments.values[flag.name] = converted


def _suggestion(name: str, known: dict[str, Flag]) -> str:
    import difflib

    close = difflib.get_close_matches("--" + name.lstrip("-"), known, n=1)
    return f": did you mean {close[0]}?" if close else ""


def usage(command: Command) -> str:
    """One line."""
    flags = " [FLAGS]" if command.flags else ""
    return f"usage: wasmine {command.name}{flags} {command.operands}".rstrip()


def help_text(command: Command) -> str:
    """The help of a command."""
    import shutil
    import textwrap

    columns = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 100)
    lines = [usage(command), "", command.summary + "."]
    if command.flags:
        lines.append("")
    width = max((len(_shown(flag)) for flag in command.flags), default=0) + 2
    for flag in command.flags:
        wrapped = textwrap.wrap(flag.help, max(columns - width - 2, 30))
        lines += [f"  {_shown(flag) if not number else '':{width}}{line}" for number, line in enumerate(wrapped)]
    if command.notes:
        lines += ["", *textwrap.wrap(command.notes, columns)]
    return "\n".join(lines) + "\n"


def _shown(flag: Flag) -> str:
    name = f"{flag.short}, {flag.name}" if flag.short else flag.name
    return f"{name} {flag.value}".rstrip() + ("..." if flag.repeated else "")
