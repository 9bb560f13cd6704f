"""Lowering: when it happens, what is shared, what the generated source looks like, what tools see of it."""

from __future__ import annotations

import cProfile
import gc
import linecache
import pstats
import threading
import weakref
from collections.abc import Callable
from types import FunctionType

import pytest

import wasmine
from wasmine.interpreter.code import ModuleCode
from wasmine.interpreter.engine import InterpreterEngine

Instantiate = Callable[..., wasmine.Instance]


def source(text: str, index: int = 0) -> list[str]:
    """The lines of a function's generated source, without the first and without comments."""
    lines = InterpreterEngine.lowering(wasmine.Module(text), index).splitlines()[1:]
    return [line.partition("  # ")[0] for line in lines]


def function(body: str, signature: str = "(param i32 i32) (result i32)") -> str:
    return f"(module (memory 1) (func {signature} {body}))"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("(i32.and (local.get 0) (i32.add (local.get 1) (i32.const 255)))", " return l0 & (l1 + 255)"),
        ("(i32.and (i32.mul (local.get 0) (local.get 1)) (i32.const 255))", " return (l0 * l1) & 255"),
        ("(i32.add (i32.add (local.get 0) (i32.const 3)) (i32.const -3))", " return l0"),
        ("(i32.load8_u offset=7 (i32.const 1))", " return m0[8]"),
        ("(i32.load (i32.const 16))", " return load_I(m0, 16)[0]"),
        ("(i32.shr_u (local.get 0) (i32.const 24))", " return l0 >> 24"),
        ("(i32.div_u (local.get 0) (i32.const 8))", " return l0 >> 3"),
        ("(i32.lt_u (local.get 0) (local.get 1))", " return 1 if (l0 < l1) else 0"),
    ],
)
def test_masks_only_where_they_are_needed(body: str, expected: str) -> None:
    assert source(function(body)) == [expected]


def test_a_counted_loop_has_no_masks() -> None:
    body = """(local $i i32)
      (loop $l
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (local.get 0))))
      (local.get $i)"""
    assert source(function(body)) == [
        " l2 = 0",
        " while True:",
        "  l2 = l2 + 1",
        "  if not (l2 < l0):",
        "   break",
        " return l2",
    ]


def test_a_while_loop_is_a_while_loop() -> None:
    body = """(block $done
        (loop $l
          (br_if $done (i32.ge_u (local.get 0) (local.get 1)))
          (local.set 0 (i32.add (local.get 0) (i32.const 1)))
          (br $l)))
      (local.get 0)"""
    assert source(function(body)) == [" while not (l0 >= l1):", "  l0 = l0 + 1", " return l0"]


def test_lines_tell_the_offset_of_their_instruction() -> None:
    binary = wasmine.Module(function("(local.set 0 (i32.const 5)) (local.get 0)")).to_bytes()
    module = wasmine.Module(binary)
    lines = InterpreterEngine.lowering(module, 0).splitlines()
    start = module.syntax.code[0].body.offset
    assert lines[1:] == [f" l0 = 5  # {start + 2:#x}", f" return l0  # {start + 6:#x}"]


COUNTED = """
(module
  (func $helper (export "helper") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "run") (param i32) (result i32) (call $helper (call $helper (local.get 0))))
  (func (export "never") (unreachable)))
"""


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The indices of functions, in the order in which they are compiled."""
    found: list[int] = []
    original = ModuleCode._compile

    def compile_(self: ModuleCode, index: int) -> object:
        found.append(index)
        return original(self, index)

    monkeypatch.setattr(ModuleCode, "_compile", compile_)
    return found


def test_functions_are_lowered_once_when_first_called(compiled: list[int], runtime: wasmine.Runtime) -> None:
    module = wasmine.Module(COUNTED)
    first = runtime.instantiate(module)
    assert compiled == []
    assert first.exports.run(5) == 7
    assert compiled == [1, 0]
    second = runtime.instantiate(module)
    assert second.exports.run(5) == 7
    assert compiled == [1, 0]
    with wasmine.Runtime("interpreter") as other:
        assert other.instantiate(module).exports.run(1) == 3
    assert compiled == [1, 0]


def test_instances_share_code_objects(runtime: wasmine.Runtime) -> None:
    module = wasmine.Module(COUNTED)
    codes = []
    for _ in range(2):
        exports = runtime.instantiate(module).exports
        exports.run(1)
        assert isinstance(exports.run.code, FunctionType)
        codes.append(exports.run.code.__code__)
    assert codes[0] is codes[1]


def test_threads_may_call_a_function_for_the_first_time_at_once(runtime: wasmine.Runtime) -> None:
    module = wasmine.Module(COUNTED)
    start = threading.Barrier(8)
    results: list[int] = []

    def work(exports: wasmine.Exports) -> None:
        start.wait()
        results.append(exports.run(40))

    threads = [threading.Thread(target=work, args=(runtime.instantiate(module).exports,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [42] * 8


def test_profilers_see_functions_by_name(runtime: wasmine.Runtime) -> None:
    run = runtime.instantiate(COUNTED).exports.run
    run(1)
    profile = cProfile.Profile()
    profile.runcall(run, 1)
    calls = {name: counts[0] for (_, _, name), counts in pstats.Stats(profile).stats.items()}  # type: ignore[attr-defined]
    assert calls["helper"] == 2
    assert calls["run"] == 1


def test_names_of_any_kind(runtime: wasmine.Runtime) -> None:
    exports = runtime.instantiate('(module (func (export "a\\00b\\n\\u{1f600}") (result i32) (i32.const 1)))').exports
    (name,) = exports
    assert exports[name]() == 1


def test_sources_are_forgotten_with_the_module(runtime: wasmine.Runtime) -> None:
    module = wasmine.Module(COUNTED, name="forgotten")
    with wasmine.Runtime("interpreter") as other:
        other.instantiate(module).exports.run(1)
        assert any(file.startswith("forgotten.wasm") for file in linecache.cache)
    del other, module
    gc.collect()
    assert not any(file.startswith("forgotten.wasm") for file in linecache.cache)


def test_instances_are_collected() -> None:
    text = """(module (import "host" "memory" (memory 1)) (func $f (export "run") (drop (i32.load (i32.const 0)))))"""
    module = wasmine.Module(text)
    with wasmine.Runtime("interpreter") as short:
        instance = short.instantiate(module, {"host": {"memory": short.memory(1)}})
        instance.exports.run()
        reference = weakref.ref(instance)
    del instance, short
    gc.collect()
    assert reference() is None
