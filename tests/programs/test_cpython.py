"""CPython 3.12 for WASI, its standard library inside the module: a heavy program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import wasmine
from wasmine.wasi import MemoryFileSystem
from wasmine.wasi.program import CompletedProgram, run

LoadProgram = Callable[[str], wasmine.Module]
Python = Callable[..., CompletedProgram]


@pytest.fixture
def python(load_program: LoadProgram, engine: str) -> Python:
    """`python("-c", source)`."""
    module = load_program("cpython")

    def call(*words: str, **options: Any) -> CompletedProgram:
        return run(module, words, name="python", capture_output=True, text=True, engine=engine, **options)

    return call


def test_it_computes(python: Python) -> None:
    done = python("-c", "import sys, math; print(sys.version.split()[0], sys.platform, math.factorial(20))")
    assert (done.returncode, done.stdout, done.stderr) == (0, "3.12.0 wasi 2432902008176640000\n", "")


SCRIPT = """
import hashlib, json, re, struct, sys, zlib
from fractions import Fraction
from pathlib import Path

class Shape:
    def __init__(self, *sides): self.sides = sides
    def __repr__(self): return f"Shape({', '.join(map(str, self.sides))})"

words = re.findall(r"\\w+", sys.stdin.read())
Path("/work/out.json").write_text(json.dumps({"words": words, "pi": 3.141592653589793, "none": None}))
print(hashlib.sha256(b"wasm").hexdigest()[:16], zlib.crc32(b"wasm"), struct.pack("<d", 0.1).hex())
print(2 ** 200 // 3 ** 50, Fraction(1, 3) + Fraction(1, 6), 1e308 * 10, -7 // 2, round(2.675, 2))
print([Shape(n, n * n) for n in range(3)], sorted({"b": 1, "a": 2}.items()), f"{1234567.891:,.2f}")
sys.exit(int(sys.argv[1]))
"""


def test_a_script_reads_files_streams_and_arguments(python: Python) -> None:
    work = MemoryFileSystem({"script.py": SCRIPT})
    done = python("/work/script.py", "5", input="some words, größer", mounts={"/work": work})
    assert (done.returncode, done.stderr) == (5, "")
    assert done.stdout.splitlines() == [
        "336154bf67f765f8 2846413310 9a9999999999b93f",
        "2238393297946874000179418290327143433 1/2 inf -4 2.67",
        "[Shape(0, 0), Shape(1, 1), Shape(2, 4)] [('a', 2), ('b', 1)] 1,234,567.89",
    ]
    written = work.to_dict()["out.json"]
    assert written == b'{"words": ["some", "words", "gr\\u00f6\\u00dfer"], "pi": 3.141592653589793, "none": null}'


def test_an_exception_is_a_traceback_and_an_exit_code(python: Python) -> None:
    done = python("-c", "{}['missing']")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "KeyError: 'missing'"
