"""`wasmine inspect`: what a module is made of."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from wasmine.cli.options import Arguments, Command, CommandError, Flag, UsageError
from wasmine.cli.source import load, read_file
from wasmine.format.cursor import Cursor
from wasmine.format.module import ORDER, Section
from wasmine.format.types import FuncType, GlobalType, MemoryType, TableType, TagType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmine.runtime.module import ExternType, Module

_KINDS = {FuncType: "func", TableType: "table", MemoryType: "memory", GlobalType: "global", TagType: "tag"}
_MAGIC = b"\0asm"
_HEADER = 8  # bytes: magic number and version


def execute(arguments: Arguments) -> int:
    if len(arguments.operands) != 1:
        raise UsageError("expected one file", status=1 if not arguments.operands else 2)
    path = arguments.operands[0]
    data = read_file(path)
    module = load(path, data)
    if arguments["--lowering"] is not None:
        print(_lowering(module, arguments["--lowering"]), end="")
        return 0
    for line in _lines(module, path, data):
        print(line)
    return 0


def _lines(module: Module, path: str, data: bytes) -> Iterator[str]:
    binary = data if data[:4] == _MAGIC else module.to_bytes()
    text = "" if binary is data else ", translated from text"
    yield f"{path}: module {module.name or '(without a name)'}, {len(binary):,} bytes{text}"
    yield f"features: {', '.join(sorted(module.features_used)) or 'none beyond the first version of WebAssembly'}"
    yield f"engines: {_engines(module)}"
    yield ""
    yield "sections:"
    yield from _sections(binary)
    yield ""
    yield from _titled("imports", [(f"{each.module}.{each.name}", each.type) for each in module.imports])
    yield ""
    yield from _titled("exports", list(module.exports.items()))


def _engines(module: Module) -> str:
    """Which engines can run the module, and why not the compiler."""
    from wasmine.compiler.support import object_instruction

    found = object_instruction(module.context)
    return f"interpreter only, for objects of the GC proposal: {found}" if found else "interpreter, compiler"


def _sections(binary: bytes) -> Iterator[str]:
    """A line for each section: name, offset, size, number of members. The module is known to be well-formed."""
    yield f"  {'name':24}{'offset':>10}{'bytes':>12}{'members':>10}"
    cursor = Cursor(binary, _HEADER)
    while cursor.position < len(binary):
        section = Section(cursor.byte())
        size = cursor.u32()
        start = cursor.position
        name, count = section.name.lower().replace("_", " "), ""
        if section is Section.CUSTOM:
            name = f'custom "{_printable(cursor.name())}"'
        elif section in ORDER and section is not Section.START:
            count = f"{cursor.u32():,}"
        yield f"  {name:24}{start:>#10x}{size:>12,}{count:>10}"
        cursor.position = start + size


def _titled(title: str, members: list[tuple[str, ExternType]]) -> Iterator[str]:
    """A heading with the number of members of each kind, and a line for each member."""
    counts = Counter(_KINDS[type(extern)] for _, extern in members)
    numbers = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"
    yield f"{title}: {numbers}"
    width = min(max((len(name) for name, _ in members), default=0), 60) + 2
    for name, extern in members:
        yield f"  {_KINDS[type(extern)]:8}{_printable(name):{width}}{extern}"


def _printable(name: str) -> str:
    """A name that cannot play tricks with the terminal."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _lowering(module: Module, wanted: str) -> str:
    """The Python source that the interpreter makes of a function, given by name or index."""
    from wasmine.interpreter.lowering import Lowering

    context = module.context
    defined = range(context.imported_functions, len(context.functions))
    wanted = wanted.removeprefix("$")
    if wanted.isdecimal():
        found = [int(wanted)] if int(wanted) in defined else []
    else:
        found = [index for index in defined if module.function_name(index) == wanted]
        export = next((each for each in module.syntax.exports if each.name == wanted), None)
        if not found and export is not None and isinstance(module.exports[wanted], FuncType):
            found = [export.index] if export.index in defined else []
    if not found:
        raise CommandError(
            f"no function {wanted!r} is defined in the module: expected a name, or an index "
            f"from {defined.start} to {defined.stop - 1}"
        )
    return Lowering(context).lower(found[0], annotated=True).source


COMMAND = Command(
    "inspect",
    "Show what a module is made of",
    "FILE",
    execute,
    (Flag("--lowering", "the Python source that the interpreter makes of a function (name or index)", "FUNCTION"),),
)
