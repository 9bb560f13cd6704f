"""What calls between Python and WebAssembly cost, next to `divmod(7, 3)` and PyPI's wasmtime.

    python benchmarks/calls.py [--engine compiler] [--rounds 15]

Nanoseconds per call, the fastest of some rounds; all variants take turns in one process, so that what else the machine does
hits them alike. A call from wasm to Python is measured inside one long call. `python` is a Python function with the same
parameters that does nothing.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import wasmine

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = """
(module (import "h" "f" (func $f (param i32) (result i32)))
  (func (export "nullary"))
  (func (export "i32") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "f64") (param f64) (result f64) (f64.add (local.get 0) (f64.const 1)))
  (func (export "two") (param i32 i32) (result i32 i32) (local.get 1) (local.get 0))
  (func (export "externref") (param externref) (result externref) (local.get 0))
  (func (export "host") (param i32) (result i32) (local i32)
    (loop (local.set 1 (call $f (local.get 0))) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func (export "trap") unreachable)
  (memory 1)
  (func (export "fault") (result i32) (i32.load (i32.const 65536))))
"""
CALLS: dict[str, tuple[Any, ...]] = {
    "nullary": (),
    "i32": (7, 3),
    "f64": (1.5,),
    "two": (7, 3),
    "externref": ("object",),
}
HOST_CALLS = 1000
PYTHON = {
    "nullary": lambda: None,
    "i32": lambda a, b: a,
    "f64": lambda a: a,
    "two": lambda a, b: (b, a),
    "externref": lambda a: a,
}
Variant = tuple["Callable[[int], object]", int]


def repeated(function: Callable[..., object], *args: object) -> Callable[[int], object]:
    """Calls a function so many times."""
    names = ", ".join(f"a{i}" for i in range(len(args)))
    namespace: dict[str, Any] = {"f": function, **{f"a{i}": arg for i, arg in enumerate(args)}}
    lines = f"def run(n, f=f{''.join(f', a{i}=a{i}' for i in range(len(args)))}):\n for _ in range(n): f({names})"
    exec(lines, namespace)
    run: Callable[[int], object] = namespace["run"]
    return run


def caught(function: Callable[..., object], kind: type[BaseException]) -> Callable[[int], object]:
    """Calls a function that traps so many times."""

    def run(n: int) -> None:
        for _ in range(n):
            try:  # noqa: SIM105 - what `suppress` costs is not to be measured
                function()
            except kind:
                pass

    return run


def variants_of(
    exports: Any, kind: type[BaseException], bind: Callable[[str], Callable[..., object]]
) -> dict[str, Variant]:
    """What is measured of a runtime: how to run it, and how many calls one step is."""
    found: dict[str, Variant] = {name: (repeated(bind(name), *args), 1) for name, args in CALLS.items()}
    found["host"] = repeated(bind("host"), HOST_CALLS), HOST_CALLS
    found["trap"] = caught(bind("trap"), kind), 1
    found["fault"] = caught(bind("fault"), kind), 1
    return found


def ours(engine: str, **options: str) -> dict[str, Variant]:
    """Ours."""
    instance = wasmine.Runtime(engine, **options).instantiate(TEXT, {"h": {"f": lambda number: number}})
    return variants_of(instance.exports, wasmine.Trap, lambda name: instance.exports[name])


def theirs() -> dict[str, Variant]:
    """wasmtime's."""
    import wasmtime

    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, TEXT)
    i32 = wasmtime.ValType.i32()
    host = wasmtime.Func(store, wasmtime.FuncType([i32], [i32]), lambda number: number)
    exports = wasmtime.Instance(store, module, [host]).exports(store)

    def bind(name: str) -> Callable[..., object]:
        function = exports[name]
        return lambda *args: function(store, *args)

    return variants_of(exports, wasmtime.Trap, bind)


def steps(variant: Variant, seconds: float = 0.002) -> int:
    """How many steps take about so long."""
    variant[0](3)  # it is compiled on the first call
    count = 1
    while True:
        start = time.perf_counter()
        variant[0](count)
        taken = time.perf_counter() - start
        if taken >= seconds or count >= 1 << 20:
            return count
        count *= 2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", default="compiler")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    columns: dict[str, dict[str, Variant]] = {}
    wasmtimes = theirs()  # first: a fault goes to the handler that was installed last, and from there to the other one
    if options.engine == "compiler":
        columns["lazy"] = ours("compiler", gil="lazy")
        columns["release"] = ours("compiler", gil="release")
    else:
        columns[options.engine] = ours(options.engine)
    columns["wasmtime"] = wasmtimes
    columns["python"] = {name: (repeated(PYTHON[name], *args), 1) for name, args in CALLS.items()}
    columns["divmod"] = {"i32": (repeated(divmod, 7, 3), 1)}
    counts = {(column, name): steps(v) for column, found in columns.items() for name, v in found.items()}
    best: dict[tuple[str, str], float] = {}
    for _ in range(options.rounds):
        for column, found in columns.items():
            for name, (run, calls) in found.items():
                count = counts[column, name]
                start = time.perf_counter()
                run(count)
                taken = (time.perf_counter() - start) / (count * calls)
                best[column, name] = min(best.get((column, name), taken), taken)
    unit = best["divmod", "i32"]
    print(f"divmod(7, 3): {unit * 1e9:.0f} ns")
    print(
        f"{'ns':12}" + "".join(f"{column:>12}" for column in list(columns)[:-1]) + "   of divmod; wasmtime is slower by"
    )
    first = next(iter(columns))
    for name in columns["wasmtime"]:
        cells = "".join(
            f"{best[column, name] * 1e9:12.0f}" if (column, name) in best else f"{'':12}"
            for column in list(columns)[:-1]
        )
        mine = best[first, name]
        print(f"{name:12}{cells}   {mine / unit:9.2f}; {best['wasmtime', name] / mine:.0f} times")


if __name__ == "__main__":
    main()
