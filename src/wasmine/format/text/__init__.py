"""The text format: lexer, parser, printer, and the scripts (`.wast`) of the specification's test suite.

`parse_module` and `parse_script` read text; `print_module` and `print_lines` write it. Each is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wasmine.format.text.parser import parse_module as parse_module
    from wasmine.format.text.printer import print_lines as print_lines
    from wasmine.format.text.printer import print_module as print_module
    from wasmine.format.text.script import parse_script as parse_script

_HOMES = {
    "parse_module": "wasmine.format.text.parser",
    "parse_script": "wasmine.format.text.script",
    "print_lines": "wasmine.format.text.printer",
    "print_module": "wasmine.format.text.printer",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
