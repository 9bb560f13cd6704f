"""`invoke_*` and what goes with it, with the guest's side of the ABI written out as text."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

import wasmine
import wasmine.emscripten
from wasmine import Trap, TrapKind

Instantiate = Callable[..., wasmine.Instance]

# A guest with the exports that `invoke_*` needs: the stack pointer, and what `setThrew` was told.
GUEST = """(module
  (import "env" "_emscripten_throw_longjmp" (func $throw))
  {imports}
  (global $stack (mut i32) (i32.const 1000))
  (global $threw (export "threw") (mut i32) (i32.const 0))
  (global $value (export "value") (mut i32) (i32.const 0))
  (func (export "{save}") (result i32) (global.get $stack))
  (func (export "{restore}") (param i32) (global.set $stack (local.get 0)))
  (func (export "setThrew") (param i32 i32)
    (global.set $threw (i32.add (global.get $threw) (local.get 0))) (global.set $value (local.get 1)))
  (func $push (global.set $stack (i32.sub (global.get $stack) (i32.const 16))))
  {functions})"""
NEW = {"save": "emscripten_stack_get_current", "restore": "_emscripten_stack_restore"}
OLD = {"save": "stackSave", "restore": "stackRestore"}


@pytest.fixture
def guest(instantiate: Instantiate) -> Callable[..., wasmine.Instance]:
    """`guest(imports, functions)` instantiates such a guest with Emscripten's imports."""

    def make(imports: str, functions: str, names: dict[str, str] = NEW, **env: Any) -> wasmine.Instance:
        module = wasmine.Module(GUEST.format(imports=imports, functions=functions, **names))
        given = wasmine.emscripten.imports(module)
        return instantiate(module, {"env": {**given["env"], **env}})

    return make


ADD = """
  (table (export "__indirect_function_table") 4 funcref)
  (elem (i32.const 1) $add $jump)
  (func $add (param i32 i64) (result i64) (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1)))
  (func $jump (param i32 i64) (result i64) (call $push) (call $throw) (unreachable))
  (func (export "call") (param i32 i32 i64) (result i64)
    (call $invoke (local.get 0) (local.get 1) (local.get 2)))
  (func (export "stack") (result i32) (global.get $stack))"""
INVOKE_JIJ = '(import "env" "invoke_jij" (func $invoke (param i32 i32 i64) (result i64)))'


def test_it_calls_the_entry_of_the_table(guest: Any) -> None:
    exports = guest(INVOKE_JIJ, ADD).exports
    assert exports.call(1, -5, 1 << 40) == (1 << 40) - 5
    assert exports.threw.value == 0


@pytest.mark.parametrize("names", [NEW, OLD], ids=["new names", "old names"])
def test_a_longjmp_ends_the_call_restores_the_stack_and_is_reported(guest: Any, names: dict[str, str]) -> None:
    exports = guest(INVOKE_JIJ, ADD, names).exports
    assert exports.call(2, 1, 1) == 0
    assert (exports.threw.value, exports.value.value, exports.stack()) == (1, 0, 1000)


@pytest.mark.parametrize(
    ("index", "kind"),
    [
        (0, TrapKind.UNINITIALIZED_ELEMENT),
        (3, TrapKind.UNINITIALIZED_ELEMENT),
        (4, TrapKind.TABLE_OUT_OF_BOUNDS),
        (-1, TrapKind.TABLE_OUT_OF_BOUNDS),
    ],
)
def test_it_traps_where_call_indirect_would(guest: Any, index: int, kind: TrapKind) -> None:
    exports = guest(INVOKE_JIJ, ADD).exports
    with pytest.raises(Trap) as caught:
        exports.call(index, 1, 1)
    assert caught.value.kind is kind
    assert exports.threw.value == 0


def test_an_entry_of_another_type_is_refused(guest: Any) -> None:
    exports = guest(
        '(import "env" "invoke_ii" (func $invoke (param i32 i32) (result i32)))',
        """(table 2 funcref) (elem (i32.const 1) $other)
           (func $other (param i64) (result i32) (i32.const 1))
           (func (export "call") (result i32) (call $invoke (i32.const 1) (i32.const 2)))""",
    ).exports
    with pytest.raises(Trap, match=r"indirect call type mismatch: .* is of type .*i64.*, expected .*i32"):
        exports.call()


def test_without_an_exported_table_it_is_the_first(guest: Any) -> None:
    exports = guest(
        '(import "env" "invoke_i" (func $invoke (param i32) (result i32)))',
        """(table 2 funcref) (table 1 funcref) (elem (table 0) (i32.const 1) func $seven)
           (func $seven (result i32) (i32.const 7))
           (func (export "call") (result i32) (call $invoke (i32.const 1)))""",
    ).exports
    assert exports.call() == 7


def test_an_imported_table_serves_too(runtime: wasmine.Runtime) -> None:
    text = GUEST.format(
        imports='(import "env" "__indirect_function_table" (table 2 funcref))\n'
        '(import "env" "invoke_f" (func $invoke (param i32) (result f32)))',
        functions="""(elem (i32.const 1) $half) (func $half (result f32) (f32.const 0.5))
                     (func (export "call") (result f32) (call $invoke (i32.const 1)))""",
        **NEW,
    )
    module = wasmine.Module(text)
    imports = wasmine.emscripten.imports(module)
    imports["env"]["__indirect_function_table"] = runtime.table(2)
    assert runtime.instantiate(module, imports).exports.call() == 0.5


def test_the_inner_of_two_invokes_gets_the_jump(guest: Any) -> None:
    exports = guest(
        '(import "env" "invoke_v" (func $invoke (param i32)))',
        """(table 3 funcref) (elem (i32.const 1) $jump $middle)
           (global $after (export "after") (mut i32) (i32.const 0))
           (func $jump (call $throw))
           (func $middle (call $invoke (i32.const 1)) (global.set $after (i32.const 1)))
           (func (export "call") (call $invoke (i32.const 2)))""",
    ).exports
    exports.call()
    assert (exports.after.value, exports.threw.value) == (1, 1)


@pytest.mark.parametrize("raised", [wasmine.Exit(3), KeyError("the host's own"), wasmine.Timeout("over")])
def test_what_is_no_jump_passes_through_with_the_stack_restored(guest: Any, raised: Exception) -> None:
    def leave() -> None:
        raise raised

    exports = guest(
        '(import "env" "invoke_v" (func $invoke (param i32))) (import "env" "leave" (func $leave))',
        """(table 2 funcref) (elem (i32.const 1) $run)
           (func $run (call $push) (call $leave))
           (func (export "call") (call $invoke (i32.const 1)))
           (func (export "stack") (result i32) (global.get $stack))""",
        leave=leave,
    ).exports
    with pytest.raises(type(raised)) as caught:
        exports.call()
    assert caught.value is raised
    assert (exports.threw.value, exports.stack()) == (0, 1000)


def test_endless_recursion_through_the_host_is_a_stack_overflow(guest: Any) -> None:
    exports = guest(
        '(import "env" "invoke_v" (func $invoke (param i32)))',
        """(table 2 funcref) (elem (i32.const 1) $run)
           (func $run (export "run") (call $invoke (i32.const 1)))""",
    ).exports
    gc.collect()  # garbage of other tests would have no room for its destructors
    with pytest.raises(Trap) as caught:
        exports.run()
    assert caught.value.kind is TrapKind.STACK_OVERFLOW


def test_the_older_longjmp_reports_its_buffer_itself(guest: Any) -> None:
    exports = guest(
        '(import "env" "emscripten_longjmp" (func $longjmp (param i32 i32)))',
        '(func (export "jump") (call $longjmp (i32.const 64) (i32.const 0)))',
    ).exports
    with pytest.raises(wasmine.emscripten.Longjmp):
        exports.jump()
    assert (exports.threw.value, exports.value.value) == (64, 1)


@pytest.mark.parametrize(
    ("exports", "missing"),
    [
        ([], "emscripten_stack_get_current"),
        (["emscripten_stack_get_current"], "_emscripten_stack_restore"),
        (["stackSave", "stackRestore"], "setThrew"),
    ],
)
def test_a_missing_export_is_named(exports: list[str], missing: str) -> None:
    types = {"Save": "(result i32) (i32.const 0)", "current": "(result i32) (i32.const 0)", "estore": "(param i32)"}
    functions = " ".join(
        f'(func (export "{name}") {next(type for end, type in types.items() if name.endswith(end))})'
        for name in exports
    )
    module = wasmine.Module(f'(module (import "env" "invoke_v" (func (param i32))) {functions})')
    with pytest.raises(wasmine.LinkError, match=f"{missing} not exported"):
        wasmine.emscripten.imports(module)


def test_an_invoke_without_an_index_is_refused() -> None:
    module = wasmine.Module(GUEST.format(imports='(import "env" "invoke_v" (func))', functions="", **NEW))
    with pytest.raises(wasmine.LinkError, match=r"env\.invoke_v: expected the index of a function"):
        wasmine.emscripten.imports(module)


def test_an_export_of_another_type_is_refused() -> None:
    text = '(module (import "env" "emscripten_longjmp" (func (param i32 i32))) (memory (export "setThrew") 1))'
    with pytest.raises(wasmine.LinkError, match=r"export setThrew: expected function \[i32 i32\] -> \[\], found"):
        wasmine.emscripten.imports(wasmine.Module(text))
