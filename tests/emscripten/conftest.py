"""A guest that hands what it imports on to Python: `guest(wasi, "name(i32 i64)->i32", ...)`."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import wasmine
import wasmine.emscripten
from wasmine.wasi import WASI

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
    def make(wasi: WASI | None, *declarations: str) -> wasmine.Exports:
        module = wasmine.Module(forwarding(declarations))
        return runtime.instantiate(module, wasmine.emscripten.imports(module, wasi)).exports

    return make
