"""How a command line is read."""

from __future__ import annotations

import pytest

from wasmine.cli import COMMANDS, find
from wasmine.cli.options import Arguments, Command, Flag, UsageError, help_text, parse


def command(*, passes_on: bool = False) -> Command:
    flags = (
        Flag("--verbose", "say more"),
        Flag("--env", "a variable", "K=V", repeated=True),
        Flag("--number", "a number", "N", convert=int),
        Flag("--engine", "which one", "NAME", choices=("auto", "interpreter")),
    )
    return Command("test", "Try", "FILE...", lambda arguments: 0, flags, passes_on=passes_on)


def parsed(*words: str, passes_on: bool = False) -> Arguments:
    found = parse(command(passes_on=passes_on), words)
    assert found is not None
    return found


def test_flags_that_are_not_given_have_no_value() -> None:
    found = parsed("file")
    assert found.operands == ["file"]
    assert (found["--verbose"], found["--env"], found["--number"]) == (False, [], None)


@pytest.mark.parametrize("words", [("--number", "5"), ("--number=5",), ("-number", "5"), ("-number=5",)])
def test_values_are_written_in_four_ways(words: tuple[str, ...]) -> None:
    assert parsed(*words)["--number"] == 5


def test_repeated_flags_collect() -> None:
    assert parsed("--env", "A=1", "--env=B=2", "x")["--env"] == ["A=1", "B=2"]


def test_flags_and_operands_may_mix() -> None:
    found = parsed("a", "--verbose", "b")
    assert found["--verbose"]
    assert found.operands == ["a", "b"]


def test_what_follows_the_program_belongs_to_it() -> None:
    found = parsed("--verbose", "file", "--number", "x", "--", "-h", passes_on=True)
    assert found.operands == ["file", "--number", "x", "--", "-h"]
    assert parsed("file", "--", "--number", passes_on=True).operands == ["file", "--number"]


def test_two_dashes_end_the_flags() -> None:
    assert parsed("--", "--verbose").operands == ["--verbose"]
    assert parsed("-").operands == ["-"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nonsense"], "unknown flag --nonsense"),
        (["--verbos"], "unknown flag --verbos: did you mean --verbose?"),
        (["--number"], "--number needs a value: --number N"),
        (["--number", "x"], "invalid value 'x' for --number: invalid literal"),
        (["--engine", "steam"], "invalid value 'steam' for --engine: expected auto, interpreter"),
        (["--verbose=yes"], "--verbose takes no value, found 'yes'"),
    ],
)
def test_mistakes_are_explained(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(command(), words)
    assert str(caught.value).startswith(message)
    assert caught.value.status == 2


@pytest.mark.parametrize("word", ["-h", "--help", "-help"])
def test_help_is_asked_for_in_three_ways(word: str) -> None:
    assert parse(command(), [word]) is None


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_fits_a_screen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = help_text(find(name)).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_says_what_the_commands_say(name: str) -> None:
    found = find(name)
    assert found.name == name
    assert found.summary.lower() == COMMANDS[name].lower()


def test_a_short_name_that_everybody_knows() -> None:
    output = Command("test", "Try", "FILE", lambda arguments: 0, (Flag("--output", "where", "PATH", short="-o"),))
    for words in (("-o", "x", "file"), ("file", "-o=x"), ("--output", "x", "file")):
        found = parse(output, words)
        assert found is not None
        assert (found["--output"], found.operands) == ("x", ["file"])
    assert "  -o, --output PATH  where\n" in help_text(output)


def test_a_command_without_arguments_takes_none() -> None:
    with pytest.raises(UsageError, match="expected no arguments, found 'x'"):
        parse(Command("test", "Try", "", lambda arguments: 0), ["x"])


def test_the_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (60, 80, 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        for name in COMMANDS:
            longest = max(map(len, help_text(find(name)).splitlines()))
            assert longest <= max(columns, 74), name  # flags themselves are not broken
