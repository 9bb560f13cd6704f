"""QuickJS, a JavaScript engine, as a WASI reactor: its functions are called after `_initialize`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

import pytest

import wasmine
from wasmine.wasi import WASI, FakeClock

LoadProgram = Callable[[str], wasmine.Module]


class Ran(NamedTuple):
    """What a JavaScript program left: `qjs_init_argv`'s result, 0 for success, and what it printed."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def javascript(load_program: LoadProgram, runtime: wasmine.Runtime) -> Callable[[str], Ran]:
    """`javascript(source)` runs a program in a fresh instance."""
    module = load_program("quickjs")

    def run(source: str) -> Ran:
        out, error = bytearray(), bytearray()
        with WASI(stdout=out, stderr=error, clock=FakeClock(), random=7, mounts={"/": {"data.txt": "42"}}) as system:
            exports = runtime.instantiate(module, system.imports()).exports
            exports._initialize()

            def put(data: bytes) -> int:
                address: int = exports.malloc(len(data)) & 0xFFFF_FFFF
                exports.memory.write(address, data)
                return address

            arguments = [put(word.encode() + b"\0") for word in ("qjs", "--std", "-e", source)]
            table = put(struct.pack(f"<{len(arguments)}I", *arguments))
            status = exports.qjs_init_argv(len(arguments), table)
        return Ran(status, out.decode(), error.decode())

    return run


PRINTS = {
    "[1, 2, 3].map(x => x * x).join('-')": "1-4-9",
    "2n ** 100n": "1267650600228229401496703205376",
    "0.1 + 0.2": "0.30000000000000004",
    "[5e-324, 1 / 3, 1e21, -0].map(x => JSON.stringify(x)).join()": "5e-324,0.3333333333333333,1e+21,0",
    "JSON.stringify({a: [1, {b: null}], c: 'ä\\n'})": '{"a":[1,{"b":null}],"c":"ä\\n"}',
    "/(?<year>\\d{4})-(\\d\\d)/.exec('on 2024-05-06').groups.year": "2024",
    "'größe'.toUpperCase()": "GRÖSSE",
    "new Date(Date.UTC(2024, 1, 29)).toISOString()": "2024-02-29T00:00:00.000Z",
    "Array.from({length: 300}, (_, i) => i * 7919 % 1009).sort((a, b) => a - b)[150]": "509",
    "std.loadFile('/data.txt')": "42",
}


def test_expressions_have_their_values(javascript: Callable[[str], Ran]) -> None:
    ran = javascript("\n".join(f"console.log({expression});" for expression in PRINTS))
    assert ran == Ran(0, "".join(f"{value}\n" for value in PRINTS.values()), "")


def test_generators_closures_and_classes(javascript: Callable[[str], Ran]) -> None:
    source = """
    function* fibonacci() { let [a, b] = [0, 1]; while (true) { yield a; [a, b] = [b, a + b]; } }
    class Counter { #n = 0; next() { return ++this.#n; } }
    const found = [], counter = new Counter();
    for (const x of fibonacci()) { if (x > 50) break; found.push(x); counter.next(); }
    console.log(found.join(), counter.next());
    """
    assert javascript(source) == Ran(0, "0,1,1,2,3,5,8,13,21,34 11\n", "")


def test_what_is_thrown_is_reported_with_its_place(javascript: Callable[[str], Ran]) -> None:
    ran = javascript("function fail() { throw new TypeError('no') } fail()")
    assert (ran.status, ran.stdout) == (-1, "")
    assert ran.stderr.splitlines()[:2] == ["TypeError: no", "    at fail (<cmdline>:1:29)"]


def test_endless_recursion_is_the_programs_own_error(javascript: Callable[[str], Ran]) -> None:
    source = "try { (function again() { again() })() } catch (error) { console.log(error.name, error.message) }"
    assert javascript(source) == Ran(0, "RangeError Maximum call stack size exceeded\n", "")
