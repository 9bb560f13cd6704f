"""How much machine code the baseline compiler writes, for both architectures side by side. Nothing is executed.

    python benchmarks/code_size.py [--show FUNCTION FILE.wasm] [FILE.wasm ...]

Without files: QuickJS and resvg, as in `compile_speed.py`. For each module the bytes of code and, where capstone is
installed, the machine instructions, per wasm instruction that the typed walk meets. `--show` disassembles one function,
given by its index.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from compile_speed import Counter, modules

import wasmine
from wasmine.compiler.baseline import compile_function
from wasmine.compiler.context import ContextLayout
from wasmine.compiler.templates import library
from wasmine.validation import walk_function

try:
    import capstone
except ImportError:
    capstone = None

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmine.compiler.code import FunctionCode
    from wasmine.validation.context import ValidContext

LEVELS = ("amd64_v3", "arm64")


def functions(context: ValidContext, level: str, bounds: str) -> Iterator[FunctionCode]:
    """The code of every function."""
    templates = library.load(level)
    if templates is None:
        raise SystemExit("the template libraries are missing: python -m wasmine.compiler.templates build")
    layout = ContextLayout(context)
    for index in range(context.imported_functions, len(context.functions)):
        yield compile_function(context, layout, index, templates, bounds)


def disassembled(code: bytes, level: str) -> Iterator[str]:
    """The instructions of code; what are none, constants and tables of jumps, as such."""
    if level == "arm64":
        decoder = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    else:
        decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.skipdata = True
    for address, _, name, operands in decoder.disasm_lite(code, 0):
        yield f"{address:6x}  {name} {operands}".rstrip()


def report(name: str, data: bytes) -> None:
    """The table's lines of a module."""
    context = wasmine.Module(data).context
    counter = Counter()
    for index in range(context.imported_functions, len(context.functions)):
        walk_function(context, index, counter)
    for bounds in ("guard", "checked"):
        for level in LEVELS:
            size = count = 0
            for code in functions(context, level, bounds):
                size += len(code.code)
                if capstone is not None:
                    count += sum(".byte" not in line for line in disassembled(code.code, level))
            each = f"{count / counter.count:.2f} instructions and " if count else ""
            print(f"{name:24} {bounds:8} {level:9} {size:>10,} bytes, {each}{size / counter.count:.2f} bytes each")


def main(arguments: list[str]) -> None:
    """Reports, or shows a function."""
    if arguments[:1] == ["--show"]:
        index, path = int(arguments[1]), Path(arguments[2])
        context = wasmine.Module(path.read_bytes()).context
        for level in LEVELS:
            print(level)
            for code in functions(context, level, "guard"):
                if code.index == index:
                    print("\n".join(disassembled(code.code, level)))
        return
    for name, data in modules():
        report(name, data)


if __name__ == "__main__":
    main(sys.argv[1:])
