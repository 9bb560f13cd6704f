"""Every valid module of the official suite, to the binary format, to text and back."""

from __future__ import annotations

from suite import SUITE, each_script, needs_suite

from wasmine.format.reader import read
from wasmine.format.text import parse_module, print_module, script
from wasmine.format.writer import write

VALID = (script.Module, script.Definition, script.AssertUnlinkable, script.AssertUninstantiable)


@needs_suite
@each_script
def test_every_module_of_a_script_comes_back(name: str) -> None:
    for command in script.parse_script((SUITE / name).read_text(encoding="utf-8")):
        if isinstance(command, VALID):
            syntax = read(write(command.module.parse()))
            folded = command.line % 2 == 0  # both forms get their share

            text = print_module(syntax, folded=folded)

            assert print_module(read(write(parse_module(text))), folded=folded) == text, f"line {command.line}"
