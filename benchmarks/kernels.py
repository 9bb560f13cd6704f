"""How fast compiled code runs: kernels on our engines next to PyPI's wasmtime, in turns, in one process.

    python benchmarks/kernels.py [NAME ...] [--engines compiler,interpreter] [--bounds guard,checked] [--quick]

The kernels are the C and text files in `kernels/`. C is compiled by PyPI's ziglang (`python -m ziglang cc`) into a cache
folder. Each exports `run(n)`, which returns a checksum: all have to return the same one. A kernel is called once for
everything that a first call brings with it, then several times in turns; what counts is the fastest call. Numbers are
our time over wasmtime's: below 1, we are faster. NAME selects the kernels whose names contain it.

The interpreter, and `--quick`, get a smaller n. Exit status 1 says that a checksum was wrong or that a kernel failed.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import wasmtime

import wasmine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SOURCES = Path(__file__).parent / "kernels"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "wasmine-benchmarks")
C_COMPILER = ("-m", "ziglang", "cc")
C_OPTIONS = (
    "-target", "wasm32-freestanding", "-O2", "-msimd128", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry", "-s",
)  # fmt: skip


class Kernel(NamedTuple):
    """A source file, an n for about 4 ms of wasmtime, and one for a small fraction of that."""

    file: str
    n: int
    small: int

    @property
    def name(self) -> str:
        """The name of the file, less its ending."""
        return self.file.partition(".")[0]


KERNELS = (
    Kernel("fib.c", 31, 18),
    Kernel("tak.c", 24, 12),
    Kernel("queens.c", 12, 6),
    Kernel("tail_calls.wat", 1_300_000, 20_000),
    Kernel("indirect.c", 480_000, 20_000),
    Kernel("callback.c", 4, 1),
    Kernel("globals.wat", 630_000, 10_000),
    Kernel("guarded.wat", 820_000, 20_000),
    Kernel("sieve.c", 7, 1),
    Kernel("crc.c", 25, 1),
    Kernel("base64.c", 260, 1),
    Kernel("life.c", 45, 1),
    Kernel("search.c", 38, 1),
    Kernel("scanner.c", 470, 2),
    Kernel("machine.c", 100_000, 1000),
    Kernel("hash.c", 100_000, 1000),
    Kernel("lists.c", 150, 2),
    Kernel("matrices.c", 290, 1),
    Kernel("quicksort.c", 1, 1),
    Kernel("heapsort.c", 2, 1),
    Kernel("tree.c", 40, 1),
    Kernel("levenshtein.c", 8, 1),
    Kernel("floyd.c", 4, 1),
    Kernel("sha256.c", 12_000, 50),
    Kernel("chacha.c", 25_000, 200),
    Kernel("mix64.c", 1_800_000, 20_000),
    Kernel("divide64.c", 25_000, 300),
    Kernel("bignum.c", 1300, 10),
    Kernel("bits.c", 480_000, 5000),
    Kernel("matmul.c", 5, 1),
    Kernel("lu.c", 25, 1),
    Kernel("mandelbrot.c", 158, 16),
    Kernel("nbody.c", 57_000, 200),
    Kernel("spectral.c", 250, 30),
    Kernel("fft.c", 80, 1),
    Kernel("spheres.c", 352, 20),
    Kernel("copy.c", 160_000, 500),
    Kernel("matmul_simd.c", 18, 1),
    Kernel("mandelbrot_simd.c", 154, 16),
    Kernel("chacha_simd.c", 22_000, 200),
    Kernel("blur_simd.c", 320, 2),
    Kernel("dot_simd.c", 360, 2),
    Kernel("lines_simd.c", 500, 2),
)


def binary(kernel: Kernel) -> bytes:
    """The module of a kernel; C is compiled if it was not before."""
    source = SOURCES / kernel.file
    if source.suffix == ".wat":
        return wasmine.Module(source).to_bytes()
    text = source.read_bytes() + (SOURCES / "kernel.h").read_bytes() + " ".join(C_OPTIONS).encode()
    cached = CACHE / f"{kernel.name}-{hashlib.sha256(text).hexdigest()[:16]}.wasm"
    if not cached.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            made = Path(folder, "kernel.wasm")
            subprocess.run([sys.executable, *C_COMPILER, *C_OPTIONS, "-o", made, source], check=True)
            made.replace(cached)
    return cached.read_bytes()


class Subject(NamedTuple):
    """What runs kernels: a name for the column, and what makes the function `run` of a module."""

    name: str
    load: Callable[[bytes], Callable[[int], int]]


def peer() -> Subject:
    """Wasmtime with what it has switched on by default, and exceptions."""
    config = wasmtime.Config()
    config.wasm_exceptions = True
    engine = wasmtime.Engine(config)

    def load(module: bytes) -> Callable[[int], int]:
        store = wasmtime.Store(engine)
        instance = wasmtime.Instance(store, wasmtime.Module(engine, module), [])
        run = instance.exports(store)["run"]
        return lambda n: run(store, n)

    return Subject("wasmtime", load)


def ours(engine: str, bounds: str) -> Subject:
    """One of our engines."""

    def load(module: bytes) -> Callable[[int], int]:
        return wasmine.Runtime(engine=engine, bounds=bounds).instantiate(module).exports.run

    return Subject(bounds if engine == "compiler" else engine, load)


def fastest(functions: Sequence[Callable[[int], int]], n: int, rounds: int) -> list[float]:
    """Processor seconds of the fastest call of each. The order changes from round to round."""
    times = [math.inf] * len(functions)
    for turn in range(rounds):
        for position in range(len(functions)):
            at = (position + turn) % len(functions)
            started = time.thread_time()
            functions[at](n)
            times[at] = min(times[at], time.thread_time() - started)
    return times


class Failed(Exception):
    """A kernel that some engine does not run, or runs wrong."""


def measure(kernel: Kernel, subjects: Sequence[Subject], n: int, rounds: int) -> list[float]:
    """Seconds of each, wasmtime's first."""
    module = binary(kernel)
    functions, expected = [], None
    for subject in subjects:
        try:
            function = subject.load(module)
            found = function(n) & 0xFFFFFFFF
        except Exception as error:
            raise Failed(f"{subject.name}: {type(error).__name__}: {error}") from error
        expected = found if expected is None else expected
        if found != expected:
            raise Failed(f"{subject.name} returns {found:#x} instead of {expected:#x}")
        functions.append(function)
    return fastest(functions, n, rounds)


def geometric_mean(numbers: Sequence[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


def main() -> int:
    """Run the kernels asked for; the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("names", nargs="*", help="parts of names of kernels")
    parser.add_argument("--engines", default="compiler", help="compiler, interpreter or both, with a comma")
    parser.add_argument("--bounds", default="guard", help="guard, checked or both, with a comma: for the compiler")
    parser.add_argument("--rounds", type=int, help="calls of each kernel (40, or 3 with --quick)")
    parser.add_argument("--quick", action="store_true", help="a small n")
    options = parser.parse_args()
    engines = options.engines.split(",")
    subjects = [peer()]
    if "compiler" in engines:
        subjects += [ours("compiler", bounds) for bounds in options.bounds.split(",")]
    if "interpreter" in engines:
        subjects.append(ours("interpreter", "auto"))
    small = options.quick or "interpreter" in engines
    rounds = options.rounds or (3 if options.quick else 40)
    chosen = [k for k in KERNELS if not options.names or any(name in k.name for name in options.names)]
    print(f"{'kernel':16} {'wasmtime':>12}" + "".join(f"{subject.name:>13}" for subject in subjects[1:]))
    ratios: dict[str, list[float]] = {}
    failures = 0
    for kernel in chosen:
        try:
            own, *others = measure(kernel, subjects, kernel.small if small else kernel.n, rounds)
        except Failed as failure:
            failures += 1
            print(f"{kernel.name:16} FAILED {failure}", flush=True)
            continue
        ratios[kernel.name] = [other / own for other in others]
        print(f"{kernel.name:16} {own * 1e3:9.3f} ms" + "".join(f"{x:13.2f}" for x in ratios[kernel.name]), flush=True)
    for column, subject in enumerate(subjects[1:]):
        own_ratios = {name: row[column] for name, row in ratios.items()}
        if own_ratios:
            worst = max(own_ratios, key=lambda name: own_ratios[name])
            mean = geometric_mean(list(own_ratios.values()))
            print(
                f"{subject.name}: geometric mean {mean:.2f} of {len(own_ratios)}, worst {own_ratios[worst]:.2f} ({worst})"
            )
    names = [subject.name for subject in subjects[1:]]
    if {"guard", "checked"} <= set(names) and ratios:
        guard, checked = names.index("guard"), names.index("checked")
        print(f"checked / guard: {geometric_mean([row[checked] / row[guard] for row in ratios.values()]):.2f}")
    if failures:
        print(f"{failures} of {len(chosen)} kernels failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
