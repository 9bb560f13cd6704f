"""setjmp and longjmp in C: code that LLVM makes for Emscripten, compiled with PyPI's `ziglang`, on each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import wasmine
import wasmine.emscripten


@pytest.fixture(scope="session")
def jumps_module(compiled: Callable[..., wasmine.Module]) -> wasmine.Module:
    return compiled("cc", "jumps.c", "library.c", "-mllvm", "-enable-emscripten-sjlj")


@pytest.fixture
def jumps(jumps_module: wasmine.Module, runtime: wasmine.Runtime) -> Iterator[wasmine.Exports]:
    with runtime.instantiate(jumps_module, wasmine.emscripten.imports(jumps_module)) as instance:
        yield instance.exports


def test_the_compiler_made_the_imports_that_are_tested(jumps_module: wasmine.Module) -> None:
    names = {entry.name for entry in jumps_module.imports}
    assert names == {"invoke_v", "invoke_vii", "invoke_ii", "invoke_djf", "_emscripten_throw_longjmp"}


def test_a_call_that_does_not_jump_returns(jumps: wasmine.Exports) -> None:
    assert jumps["try"](0, 5) == 0


@pytest.mark.parametrize("depth", [1, 2, 30])
def test_longjmp_leaves_nested_calls(jumps: wasmine.Exports, depth: int) -> None:
    assert jumps["try"](depth, 42) == 42


def test_longjmp_of_0_arrives_as_1(jumps: wasmine.Exports) -> None:
    assert jumps["try"](3, 0) == 1


def test_one_buffer_is_jumped_to_many_times(jumps: wasmine.Exports) -> None:
    assert jumps.retry(20) == 21


def test_a_jump_goes_to_the_setjmp_that_is_meant(jumps: wasmine.Exports) -> None:
    assert jumps.choose(0) == 105
    assert jumps.choose(1) == 207


def test_arguments_and_results_of_every_type_pass_through_invoke(jumps: wasmine.Exports) -> None:
    assert jumps.through_pointer(0, 1 << 40, 1.5) == 1.5 * 2**40
    assert jumps.through_pointer(1, 3, 1.5) == -3


def test_a_jump_puts_the_stack_pointer_back(jumps: wasmine.Exports) -> None:
    assert jumps.stack_lost(10) == 0


def test_a_trap_passes_setjmp(jumps: wasmine.Exports) -> None:
    stack = jumps.emscripten_stack_get_current()
    with pytest.raises(wasmine.Trap) as caught:
        jumps.trap()
    assert caught.value.kind is wasmine.TrapKind.UNREACHABLE
    assert jumps["try"](2, 3) == 3
    assert 0 <= stack - jumps.emscripten_stack_get_current() <= 4096


def test_a_jump_that_nobody_waits_for_is_an_error(jumps: wasmine.Exports) -> None:
    with pytest.raises(wasmine.emscripten.Longjmp, match="no function that called setjmp was waiting"):
        jumps.jump_late()
