"""Programs compiled as for Emscripten, and a guest that hands what it imports on to Python."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import wasmine
import wasmine.emscripten
from wasmine.wasi import WASI

PROGRAMS = Path(__file__).parent / "programs"
COMPILER = (sys.executable, "-m", "ziglang")
OPTIONS = (
    *("-target", "wasm32-freestanding", "-O1", "-g0", "-nostdlib", "-Wno-everything"),
    *("-Wl,--no-entry", "-Wl,--export-table", "-Wl,--import-symbols"),
)


@pytest.fixture(scope="session")
def compiled(pytestconfig: pytest.Config) -> Callable[..., wasmine.Module]:
    """`compiled("cc", "a.c", "b.c", *options)` is the module that these sources of `programs` make.

    It is compiled once for as long as they stay the same.
    """

    def compile(driver: str, *words: str) -> wasmine.Module:
        if importlib.util.find_spec("ziglang") is None:
            pytest.skip("needs a C compiler: pip install ziglang")
        assert pytestconfig.cache is not None
        sources = [PROGRAMS / word for word in words if not word.startswith("-") and (PROGRAMS / word).exists()]
        options = [*OPTIONS, *(word for word in words if PROGRAMS / word not in sources)]
        contents = b"".join(source.read_bytes() for source in sources)
        digest = hashlib.sha256(repr((driver, options)).encode() + contents).hexdigest()[:16]
        path = pytestconfig.cache.mkdir("wasmine-programs") / f"{sources[0].stem}-{digest}.wasm"
        if not path.exists():
            unfinished = path.with_suffix(f".{os.getpid()}")
            inputs = [part for source in sources for part in ("-x", LANGUAGES[source.suffix], str(source))]
            subprocess.run([*COMPILER, driver, *options, "-o", str(unfinished), *inputs], check=True, timeout=600)
            unfinished.replace(path)
        return wasmine.Module(path)

    return compile


LANGUAGES = {".c": "c", ".cpp": "c++"}
Guest = Callable[..., wasmine.Exports]
_DECLARATION = re.compile(r"(.+?)\((.*)\)(?:->(\w+))?")


def forwarding(declarations: tuple[str, ...]) -> str:
    """A module with a function for each import of `env` that calls it with its own parameters."""
    imports, functions = [], []
    for declaration in declarations:
        matched = _DECLARATION.fullmatch(declaration)
        assert matched is not None, declaration
        name, params, result = matched[1], matched[2], matched[3]
        type = f"(param {params}) " + (f"(result {result})" if result else "")
        arguments = " ".join(f"(local.get {number})" for number in range(len(params.split())))
        imports.append(f'(import "env" "{name}" (func ${name} {type}))')
        functions.append(f'(func (export "{name}") {type} (call ${name} {arguments}))')
    return f'(module {" ".join(imports)} (memory (export "memory") 1 4) {" ".join(functions)})'


@pytest.fixture
def guest(runtime: wasmine.Runtime) -> Guest:
    """`guest(wasi, "name(i32 i64)->i32", ...)` is a guest that imports these functions and exports them again."""

    def make(wasi: WASI | None, *declarations: str) -> wasmine.Exports:
        module = wasmine.Module(forwarding(declarations))
        return runtime.instantiate(module, wasmine.emscripten.imports(module, wasi)).exports

    return make
