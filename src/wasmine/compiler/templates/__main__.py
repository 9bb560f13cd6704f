"""`python -m wasmine.compiler.templates build|show|list`: for whoever works on the templates."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wasmine.compiler.templates import library


def main() -> int:
    """Runs one of the commands; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m wasmine.compiler.templates", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build the libraries (needs llvmlite)")
    building.add_argument("directory", nargs="?", type=Path, default=Path(__file__).parent, help="where to (here)")
    showing = commands.add_parser("show", help="print templates")
    showing.add_argument("pattern", nargs="+", help="the first words of keys, such as: i32.add RC")
    listing = commands.add_parser("list", help="print the keys of all templates")
    for command in (showing, listing):
        command.add_argument("--level", default="amd64_v3", choices=library.LEVELS, help="which library")
    arguments = parser.parse_args()
    if arguments.command == "build":
        return _build(arguments.directory)
    found = library.load(arguments.level)
    if found is None:
        print(f"there is no library {arguments.level}: run the command build first", file=sys.stderr)
        return 1
    if arguments.command == "list":
        print("\n".join(found.keys))
        return 0
    from wasmine.compiler.templates.show import show

    lines = list(show(found, " ".join(arguments.pattern)))
    print("\n".join(lines) or f"no template's key starts with {' '.join(arguments.pattern)}")
    return not lines


def _build(directory: Path) -> int:
    from wasmine.compiler.templates.build import build

    for path in build(directory):
        found = library.TemplateLibrary(path.read_bytes())
        print(f"{path}: {len(found.keys)} templates, {len(found.constants)} constants, {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
