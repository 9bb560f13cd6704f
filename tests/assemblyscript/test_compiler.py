"""A program compiled by the AssemblyScript compiler from npm, on each engine."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import wasmine
from wasmine.assemblyscript import Abort, imports, new_string, read_string
from wasmine.wasi import FakeClock

SOURCE = Path(__file__).parent / "programs/index.ts"
PACKAGE = "assemblyscript@0.28.20"
OPTIONS = ("--exportRuntime", "--optimizeLevel", "2")


@pytest.fixture(scope="session")
def module(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> wasmine.Module:
    """The compiled program; compiled once for as long as the source stays the same."""
    assert pytestconfig.cache is not None
    digest = hashlib.sha256(SOURCE.read_bytes() + PACKAGE.encode()).hexdigest()[:16]
    path = pytestconfig.cache.mkdir("wasmine-programs") / f"assemblyscript-{digest}.wasm"
    if not path.exists():
        npm, node = shutil.which("npm"), shutil.which("node")
        if npm is None or node is None:
            pytest.skip("needs the AssemblyScript compiler: install Node.js with npm")
        folder = tmp_path_factory.mktemp("assemblyscript")
        install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
        done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            pytest.skip(f"npm cannot install {PACKAGE}: {done.stderr.strip() or done.stdout.strip()}")
        compiler = folder / "node_modules/assemblyscript/bin/asc.js"
        unfinished = folder / f"{os.getpid()}.wasm"
        subprocess.run(
            [node, compiler, SOURCE.name, "-o", unfinished, *OPTIONS], cwd=SOURCE.parent, check=True, timeout=300
        )
        shutil.copyfile(unfinished, path)
    return wasmine.Module(path)


@pytest.fixture
def make(module: wasmine.Module, runtime: wasmine.Runtime) -> Callable[..., wasmine.Instance]:
    return lambda **options: runtime.instantiate(module, imports(**options))


Make = Callable[..., wasmine.Instance]


def test_an_error_that_is_thrown_aborts(make: Make) -> None:
    err = bytearray()
    exports = make(stderr=err).exports
    assert exports.hello_world(7) == 10
    with pytest.raises(Abort, match=r"sad sad world at index\.ts:7:3"):
        exports.goodbye_world()
    assert err == b"sad sad world at index.ts:7:3\n"


def test_the_compilers_own_checks_abort(make: Make) -> None:
    with pytest.raises(Abort, match=r"Index out of range at ~lib/"):
        make().exports.element(99)


def test_traces(make: Make) -> None:
    out = bytearray()
    make(stdout=out, trace="stdout").exports.traced()
    assert out.decode() == "trace: zero\ntrace: näme 😀 3,1.5,2,-0.25\n"


def test_random_numbers_repeat_with_a_seed(make: Make) -> None:
    first, second = (make(random=42).exports for _ in range(2))
    numbers = [first.lucky() for _ in range(3)]
    assert numbers == [second.lucky() for _ in range(3)]
    assert len(set(numbers)) == 3
    assert all(0 <= number < 1 for number in numbers)


def test_strings_go_in_and_out(make: Make) -> None:
    instance = make()
    result = instance.exports.greet(new_string(instance, "Ada Lovelace 😀"))
    assert read_string(instance.exports.memory, result) == "Hello, Ada Lovelace 😀!"


def test_time_console_and_exit(make: Make) -> None:
    out = bytearray()
    instance = make(stdout=out, clock=FakeClock())
    assert instance.exports.now() == 1_640_995_200_000
    instance.exports.log(new_string(instance, "größe"))
    assert out.decode() == "größe\n"
    with pytest.raises(wasmine.Exit) as caught:
        instance.exports.leave(3)
    assert caught.value.code == 3
