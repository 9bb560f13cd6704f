"""How long real programs take to load, to instantiate and to say their first word, and how much memory they take.

    python benchmarks/programs.py [--engine NAME] [--warm] [PROGRAM ...]

Each program runs in a process of its own: under Wasmine, and under wasmtime (extra `bench`, cache off) right after it. With
`--warm` Wasmine runs it twice more with a cache directory: once to fill it, once to take everything from it.
Packages are fetched as for the tests (`tests/programs/registry.py`, docs/programs.md).

load           read and validate (wasmtime: compile)
instantiate    link, allocate, copy segments, run the start function
first output   from the entry of the program to the first byte of its standard output
total          from the start of loading to the end of the program
memory         the most that the process held (resident set)

`x` after a figure of wasmtime's is Wasmine's figure over it: above 1 Wasmine takes more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests/programs"))

from registry import PROGRAMS, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="40" height="40">
<linearGradient id="fade"><stop stop-color="black"/><stop offset="1" stop-color="white"/></linearGradient>
<circle cx="50" cy="50" r="40" fill="url(#fade)"/></svg>"""
JAVASCRIPT = "console.log([1, 2, 3].map(x => x * x).join('-'), 2n ** 100n)"
PYTHON = "import sys, math; print(sys.version.split()[0], sys.platform, math.factorial(20))"
PHASES = ("load", "instantiate", "first output", "total", "memory")


@dataclass(frozen=True)
class Case:
    """What a program is asked to do: its arguments, input and files; `expected` is in what it prints."""

    args: tuple[str, ...]
    expected: bytes
    input: bytes = b""
    reactor: bool = False


CASES = {
    "quickjs": Case(("qjs", "-e", JAVASCRIPT), b"1-4-9 1267650600228229401496703205376\n", reactor=True),
    "resvg": Case(("resvg", "in.svg", "-c"), b"\x89PNG"),
    "cpython": Case(("python", "-c", PYTHON), b"3.12.0 wasi 2432902008176640000\n"),
    "pandoc": Case(("pandoc", "-f", "markdown", "-t", "html"), b"<em>text</em>", b"# Title\n\nSome *text*.\n"),
}

Marks = dict[str, float]


def start_reactor(args: tuple[str, ...], call: Callable[..., Any], write: Callable[[int, bytes], object]) -> None:
    """Start QuickJS: its arguments go into memory that it gives."""
    call("_initialize")

    def put(data: bytes) -> int:
        address: int = call("malloc", len(data)) & 0xFFFF_FFFF
        write(address, data)
        return address

    words = [put(word.encode() + b"\0") for word in args]
    call("qjs_init_argv", len(words), put(b"".join(word.to_bytes(4, "little") for word in words)))


def run_wasmine(case: Case, binary: bytes, files: str, engine: Any, cache: str = "") -> Marks:
    """Run in this process; the moments at which phases ended."""
    import wasmine
    from wasmine.wasi import WASI

    wasmine.Runtime(engine).instantiate("(module)")
    marks = {"start": time.monotonic()}
    module = wasmine.Module(binary, cache=cache or None)
    marks["load"] = time.monotonic()
    with (
        WASI(case.args, stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr, mounts={".": files}) as system,
        wasmine.Runtime(engine, cache=cache or None) as runtime,
    ):
        exports = runtime.instantiate(module, system.imports()).exports
        marks["instantiate"] = time.monotonic()
        try:
            if case.reactor:
                start_reactor(case.args, lambda name, *args: exports[name](*args), exports.memory.write)
            else:
                exports._start()
        except wasmine.Exit as exit:
            marks["status"] = exit.code
    return marks


def run_wasmtime(case: Case, binary: bytes, files: str, engine: Any, cache: str = "") -> Marks:
    """The same under wasmtime."""
    import wasmtime

    config = wasmtime.Config()
    config.wasm_exceptions = True
    compiler = wasmtime.Engine(config)
    marks = {"start": time.monotonic()}
    module = wasmtime.Module(compiler, binary)
    marks["load"] = time.monotonic()
    linker = wasmtime.Linker(compiler)
    linker.define_wasi()
    store = wasmtime.Store(compiler)
    wasi = wasmtime.WasiConfig()
    wasi.argv = list(case.args)
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    wasi.preopen_dir(files, ".")
    store.set_wasi(wasi)
    exports: Any = linker.instantiate(store, module).exports(store)
    marks["instantiate"] = time.monotonic()
    try:
        if case.reactor:
            memory = exports["memory"]
            start_reactor(
                case.args,
                lambda name, *args: exports[name](store, *args),
                lambda address, data: memory.write(store, data, address),
            )
        else:
            exports["_start"](store)
    except wasmtime.ExitTrap as exit:
        marks["status"] = exit.code
    return marks


RUNNERS = {"wasmine": run_wasmine, "wasmtime": run_wasmtime}


def child(runner: str, name: str, engine: str, files: str, report: str, cache: str) -> None:
    """Run one program and write the moments and the memory to the file `report`."""
    import resource

    marks = RUNNERS[runner](CASES[name], PROGRAMS[name].binary(), files, engine, cache)
    sys.stdout.flush()
    marks["end"] = time.monotonic()
    unit = 1 if sys.platform == "darwin" else 1024
    marks["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    Path(report).write_text(json.dumps(marks))


def measure(runner: str, name: str, engine: str, cache: str = "") -> Marks | str:
    """The figures of one run by phase, seconds and bytes; a text if the program could not be run."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as files, tempfile.NamedTemporaryFile() as report:
        Path(files, "in.svg").write_bytes(SVG)
        command = [sys.executable, __file__, "--child", runner, name, engine, files, report.name, cache]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.write(case.input)
            process.stdin.close()
            output = os.read(process.stdout.fileno(), 1 << 16)
            first = time.monotonic()
            output += process.stdout.read()
            said = process.stderr.read().decode(errors="replace").strip()
        text = Path(report.name).read_text()
    if process.returncode or not text:
        return said.splitlines()[-1] if said else f"exit code {process.returncode}"
    if case.expected not in output:
        raise SystemExit(f"{name} under {runner} printed {output[:200]!r}, expected {case.expected!r}")
    marks: Marks = json.loads(text)
    return {
        "load": marks["load"] - marks["start"],
        "instantiate": marks["instantiate"] - marks["load"],
        "first output": first - marks["instantiate"],
        "total": marks["end"] - marks["start"],
        "memory": marks["memory"],
    }


def figure(phase: str, value: float) -> str:
    """A figure for people."""
    if phase == "memory":
        return f"{value / (1 << 20):,.0f} MiB"
    return f"{value * 1e3:,.1f} ms" if value < 1 else f"{value:,.2f} s"


def times(ratio: float) -> str:
    """A ratio for people."""
    return f"{ratio:,.2f}x" if ratio < 10 else f"{ratio:,.0f}x"


def row(name: str, runner: str, figures: Marks | str, own: Marks | str | None = None) -> str:
    """One line of the table; with ratios to `own`, Wasmine's figures."""
    head = f"{name:8} {runner:20}"
    if isinstance(figures, str):
        return f"{head} {figures[:100]}"
    cells = []
    for phase in PHASES:
        ratio = f" {times(own[phase] / figures[phase])}" if isinstance(own, dict) else ""
        cells.append(f"{figure(phase, figures[phase]) + ratio:>22}")
    return head + "".join(cells)


def main() -> None:
    """Measure the programs named, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", default="interpreter")
    parser.add_argument("--warm", action="store_true", help="also from a cache directory")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(CASES))
    given = parser.parse_args()
    unknown = set(given.programs) - set(CASES)
    if unknown:
        parser.error(f"unknown program {unknown.pop()!r}: expected one of {', '.join(CASES)}")
    print(f"Python {sys.version.split()[0]}\n{'':29}" + "".join(f"{phase:>22}" for phase in PHASES))
    for name in given.programs or CASES:
        try:
            PROGRAMS[name].binary()
        except Unavailable as error:
            print(f"{name:8} {error}")
            continue
        own = measure("wasmine", name, given.engine)
        print(row(name, f"wasmine {given.engine}", own), flush=True)
        if given.warm:
            with tempfile.TemporaryDirectory() as cache:
                for title in ("fills a cache", "from a cache"):
                    print(row(name, f"wasmine {title}", measure("wasmine", name, given.engine, cache)), flush=True)
        print(row(name, "wasmtime", measure("wasmtime", name, given.engine), own), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
