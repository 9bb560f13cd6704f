"""`wasmine completion`: scripts for shells, made from the tables of commands and flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.cli.options import Arguments, Command, Flag, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BASH = """\
_wasmine() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} flags=
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "{commands}" -- "$word"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{cases}
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _wasmine wasmine
"""

_ZSH = """\
#compdef wasmine
_wasmine() {{
  if ((CURRENT == 2)); then
    local commands=({commands})
    _describe command commands
    return
  fi
  case $words[2] in
{cases}
    *) _files ;;
  esac
}}
compdef _wasmine wasmine
"""


def _bash() -> str:
    cases = [
        f"    {command.name}) flags='{' '.join(flag.name for flag in command.flags)}' ;;" for command in _commands()
    ]
    return _BASH.format(commands=" ".join(command.name for command in _commands()), cases="\n".join(cases))


def _zsh() -> str:
    names = " ".join(f"'{command.name}:{_zsh_text(command.summary)}'" for command in _commands())
    cases = []
    for command in _commands():
        flags = " ".join(map(_zsh_flag, command.flags))
        cases.append(f"    {command.name}) _arguments {flags} '*:file:_files' ;;")
    return _ZSH.format(commands=names, cases="\n".join(cases))


def _zsh_flag(flag: Flag) -> str:
    repeated = "*" if flag.repeated else ""
    value = f":{_zsh_text(flag.value.lower())}:" if flag.value else ""
    return f"'{repeated}{flag.name}[{_zsh_text(flag.help)}]{value}'"


def _zsh_text(text: str) -> str:
    for character in "':[]":
        text = text.replace(character, " ")
    return text


def _fish() -> str:
    lines = []
    for command in _commands():
        first = "__fish_use_subcommand"
        lines.append(f"complete -c wasmine -n {first} -a {command.name} -d '{_fish_text(command.summary)}'")
        for flag in command.flags:
            seen = f"'__fish_seen_subcommand_from {command.name}'"
            value = " -r" if flag.value else ""
            choices = f" -a '{' '.join(flag.choices)}'" if flag.choices else ""
            lines.append(
                f"complete -c wasmine -n {seen} -l {flag.name[2:]}{value}{choices} -d '{_fish_text(flag.help)}'"
            )
    return "\n".join(lines) + "\n"


def _fish_text(text: str) -> str:
    return text.replace("'", "\\'")


_SHELLS: dict[str, Callable[[], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def _commands() -> Iterator[Command]:
    from wasmine.cli import COMMANDS, find

    return map(find, COMMANDS)


def execute(arguments: Arguments) -> int:
    if len(arguments.operands) != 1 or arguments.operands[0] not in _SHELLS:
        raise UsageError(f"expected one of {', '.join(_SHELLS)}")
    print(_SHELLS[arguments.operands[0]](), end="")
    return 0


COMMAND = Command(
    "completion",
    "Print a completion script for a shell",
    "bash|zsh|fish",
    execute,
    notes="For example: source <(wasmine completion bash)",
)
