"""`wasmine version`."""

from __future__ import annotations

from wasmine.cli.options import Arguments, Command
from wasmine.version import __version__


def execute(arguments: Arguments) -> int:
    print(f"wasmine {__version__}")
    return 0


COMMAND = Command("version", "Print the version", "", execute)
