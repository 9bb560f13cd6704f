"""The modules of the official suite: valid ones are accepted, invalid ones refused for the reason that the suite gives.

The suite is not part of this project: it is looked for in `../shared/spectest`, or where WASMINE_SPECTEST says.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wasmine.errors import ValidationError
from wasmine.format.text.script import (
    AssertInvalid,
    AssertUninstantiable,
    AssertUnlinkable,
    Definition,
    Module,
    parse_script,
)
from wasmine.script.suite import void_lines
from wasmine.validation import validate

PROJECT = Path(__file__).parents[2]
SUITE = Path(os.environ.get("WASMINE_SPECTEST") or PROJECT.parent / "shared" / "spectest")
SCRIPTS = sorted(path.relative_to(SUITE).as_posix() for path in SUITE.rglob("*.wast"))

pytestmark = pytest.mark.skipif(
    not SCRIPTS,
    reason="the official suite is not here: put the .wast files of github.com/WebAssembly/testsuite into "
    "../shared/spectest, or name their folder in WASMINE_SPECTEST",
)


@pytest.mark.parametrize("name", SCRIPTS or ["no script"])
def test_modules_of_a_script(name: str) -> None:
    void = void_lines(SUITE / name)
    wrong = []
    for command in parse_script((SUITE / name).read_bytes().decode("utf-8", "surrogateescape")):
        match command:
            case Module() | Definition() | AssertUnlinkable() | AssertUninstantiable():
                validate(command.module.parse())
            case AssertInvalid(custom=False) if not {command.line, command.module.line} & set(void):
                with pytest.raises(ValidationError) as caught:
                    validate(command.module.parse())
                # What follows a colon, and the index at the end, are left to implementations.
                expected = command.message.partition(":")[0].rstrip(" 0123456789")
                if not caught.value.reason.startswith(expected):
                    wrong.append(f"line {command.line}: expected {command.message!r}, found {caught.value.reason!r}")
    assert not wrong, "\n".join(wrong)
