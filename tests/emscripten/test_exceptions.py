"""C++ exceptions that go through the host: code that LLVM makes for Emscripten, compiled with PyPI's `ziglang`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

import wasmine
import wasmine.emscripten

NOTHING, ERROR, NARROWER, UNRELATED = range(4)


@pytest.fixture(scope="session")
def exceptions_module(compiled: Callable[..., wasmine.Module]) -> wasmine.Module:
    return compiled(
        *("c++", "exceptions.cpp", "library.c"),
        *("-fexceptions", "-frtti", "-nostdlib++", "-mllvm", "-enable-emscripten-cxx-exceptions"),
    )


@pytest.fixture
def guest(exceptions_module: wasmine.Module, runtime: wasmine.Runtime) -> Iterator[wasmine.Exports]:
    imports = wasmine.emscripten.imports(exceptions_module)
    with runtime.instantiate(exceptions_module, imports) as instance:
        yield instance.exports


def test_the_compiler_made_the_imports_that_are_tested(exceptions_module: wasmine.Module) -> None:
    names = {entry.name for entry in exceptions_module.imports}
    assert names >= {"__cxa_throw", "__cxa_begin_catch", "__cxa_end_catch", "__cxa_rethrow", "__resumeException"}
    assert {f"__cxa_find_matching_catch_{number}" for number in (2, 3, 4, 5)} <= names


@pytest.mark.parametrize(("kind", "result"), [(NOTHING, 0), (ERROR, 1005), (NARROWER, 2005), (UNRELATED, -1)])
def test_the_first_clause_that_fits_catches(guest: wasmine.Exports, kind: int, result: int) -> None:
    assert guest["catch"](kind, 5) == result
    assert guest.destroyed() == 1


def test_a_base_catches_what_is_derived_from_it(guest: wasmine.Exports) -> None:
    assert guest.catch_base(NARROWER, 5) == 1005


@pytest.mark.parametrize(("kind", "result"), [(NOTHING, 0), (ERROR, 5), (NARROWER, 6), (UNRELATED, -1)])
def test_what_is_thrown_again_reaches_the_outer_clause(guest: wasmine.Exports, kind: int, result: int) -> None:
    assert guest.rethrow(kind, 5) == result
    assert guest.destroyed() == 1


def test_an_exception_is_thrown_while_another_is_caught(guest: wasmine.Exports) -> None:
    assert guest.nested(3) == 33


def test_every_exception_is_destroyed_and_freed_once(guest: wasmine.Exports) -> None:
    for kind in (ERROR, NARROWER, UNRELATED):
        guest["catch"](kind, 1)
        guest.rethrow(kind, 1)
    guest.nested(1)
    assert (guest.alive(), guest.allocated()) == (0, 0)


def test_what_nobody_catches_reaches_python_after_the_cleanups(guest: wasmine.Exports) -> None:
    with pytest.raises(wasmine.emscripten.CppException) as caught:
        guest.catch_base(UNRELATED, 7)
    assert guest.destroyed() == 1
    assert guest.memory[caught.value.pointer] == 7
    assert f"{caught.value.pointer:#x}" in str(caught.value)
    assert guest["catch"](ERROR, 5) == 1005


def test_catching_nothing_is_a_trap(runtime: wasmine.Runtime) -> None:
    text = """(module (import "env" "__cxa_end_catch" (func $end)) (import "env" "__cxa_rethrow" (func $rethrow))
      (memory (export "memory") 1)
      (func (export "setThrew") (param i32 i32)) (func (export "__cxa_decrement_exception_refcount") (param i32))
      (func (export "end") (call $end)) (func (export "rethrow") (call $rethrow)))"""
    module = wasmine.Module(text)
    exports = runtime.instantiate(module, wasmine.emscripten.imports(module)).exports
    for function in (exports.end, exports.rethrow):
        with pytest.raises(wasmine.Trap, match=re.escape("no C++ exception is being caught")):
            function()


def test_what_the_guest_must_export_is_named() -> None:
    find = '(import "env" "__cxa_find_matching_catch_3" (func (param i32) (result i32)))'
    for others, missing in (
        ("", "_emscripten_tempret_set"),
        ('(func (export "setTempRet0") (param i32))', "__cxa_can_catch"),
    ):
        module = wasmine.Module(f"(module {find} {others})")
        with pytest.raises(wasmine.LinkError, match=rf"env\.__cxa_find_matching_catch_3: {missing} not exported"):
            wasmine.emscripten.imports(module)


def test_a_guest_cannot_pile_up_exceptions(runtime: wasmine.Runtime) -> None:
    text = """(module (import "env" "__cxa_begin_catch" (func $begin (param i32) (result i32))) (memory 1)
      (func (export "__cxa_increment_exception_refcount") (param i32))
      (func (export "__cxa_get_exception_ptr") (param i32) (result i32) (local.get 0))
      (func (export "run") (loop $again (drop (call $begin (i32.const 64))) (br $again))))"""
    module = wasmine.Module(text)
    exports = runtime.instantiate(module, wasmine.emscripten.imports(module)).exports
    with pytest.raises(wasmine.Trap, match="more than 10000 C\\+\\+ exceptions are being caught"):
        exports.run()
