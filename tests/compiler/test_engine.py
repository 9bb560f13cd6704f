"""The compiler engine around compiled functions: traps, owners, exceptions, lifetimes."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import skip_unless_available
from tests.objects import COUNTED

import wasmine
from wasmine import Trap, TrapKind, WasmException
from wasmine.compiler.machine import glue
from wasmine.runtime.gil import FREE_THREADED

Instantiate = Callable[..., wasmine.Instance]


@pytest.fixture
def compiled() -> Iterator[Instantiate]:
    """`compiled(text, imports=None)` in a runtime of the compiler engine."""
    skip_unless_available("compiler")
    with wasmine.Runtime("compiler") as runtime:
        yield runtime.instantiate


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * 4096


# ---------------------------------------------------------------------------------------------- traps on both engines

INNER = """
(module $inner (import "h" "raise" (func $raise)) (memory 1) (table 2 funcref)
  (func $load (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func $divide (export "divide") (param i32) (result i32) (i32.div_s (i32.const -2147483648) (local.get 0)))
  (func $fill (export "fill") (param i32) (result i32) (memory.fill (local.get 0) (i32.const 0) (i32.const 9)) (i32.const 0))
  (func $get (export "get") (param i32) (result i32) (drop (table.get (local.get 0))) (i32.const 0))
  (func $grow (export "grow") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))
  (func $never (export "never") (param i32) (result i32) unreachable)
  (func $null (export "null") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))
  (func $wide (export "wide") (param i32) (result i32)
    (i32.trunc_f64_s (f64.mul (f64.const 1e300) (f64.convert_i32_s (local.get 0)))))
  (func $host (export "host") (param i32) (result i32) (call $raise) (i32.const 0)))
"""
OUTER = """
(module $outer
  (import "inner" "{name}" (func $f (param i32) (result i32)))
  (import "h" "again" (func $again (param i32) (result i32)))
  (func $middle (param i32) (result i32) (i32.add (i32.const 1) (call $f (local.get 0))))
  (func (export "direct") (param i32) (result i32) (i32.add (i32.const 1) (call $middle (local.get 0))))
  (func (export "nested") (param i32) (result i32) (i32.add (i32.const 1) (call $again (local.get 0)))))
"""
TRAPS = {
    "load": (65_533, TrapKind.MEMORY_OUT_OF_BOUNDS),
    "divide": (0, TrapKind.INTEGER_DIVIDE_BY_ZERO),
    "fill": (65_530, TrapKind.MEMORY_OUT_OF_BOUNDS),
    "get": (2, TrapKind.TABLE_OUT_OF_BOUNDS),
    "never": (0, TrapKind.UNREACHABLE),
    "null": (1, TrapKind.UNINITIALIZED_ELEMENT),
    "wide": (1, TrapKind.INTEGER_OVERFLOW),
    "host": (0, TrapKind.HOST),
}


def raises() -> None:
    raise Trap(TrapKind.HOST, "no more")


@pytest.mark.parametrize("bounds", ["guard", "checked"])
@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_and_its_frames(engine: Any, bounds: Any, name: str) -> None:
    argument, kind = TRAPS[name]
    runtime = wasmine.Runtime(engine, bounds=bounds)
    inner = runtime.instantiate(INNER, {"h": {"raise": raises}})
    outer: wasmine.Instance
    imports = {"inner": inner, "h": {"again": lambda value: outer.exports.direct(value)}}
    outer = runtime.instantiate(OUTER.replace("{name}", name), imports, name="outside")
    for _ in range(2):  # the first call compiles
        with pytest.raises(Trap) as caught:
            outer.exports.direct(argument)
        assert caught.value.kind is kind
        names = [(frame.module, frame.function, frame.index) for frame in caught.value.frames]
        here = [("inner", name, list(TRAPS).index(name) + 1 + (name not in ("load", "divide", "fill", "get")))]
        outside = [("outside", "middle", 2), ("outside", "direct", 3)]
        assert names == here + outside
        with pytest.raises(Trap) as caught:
            outer.exports.nested(argument)
        names = [(frame.module, frame.function, frame.index) for frame in caught.value.frames]
        assert names == [*here, *outside, ("outside", "nested", 4)]


OPCODES = {
    "load": b"\x28",
    "divide": b"\x6d",
    "fill": b"\xfc\x0b",
    "get": b"\x25",
    "never": b"\x00",
    "null": b"\x11",
    "wide": b"\xaa",
    "host": b"\x10",
}


@pytest.mark.parametrize("form", ["text", "binary"])
@pytest.mark.parametrize("bounds", ["guard", "checked"])
@pytest.mark.parametrize("name", TRAPS)
def test_frames_say_which_instruction_of_the_binary_trapped(compiler: Any, bounds: Any, form: str, name: str) -> None:
    runtime = wasmine.Runtime(compiler, bounds=bounds)
    inner_binary = wasmine.Module(INNER).to_bytes()
    inner = runtime.instantiate(inner_binary if form == "binary" else INNER, {"h": {"raise": raises}})
    text = OUTER.replace("{name}", name)
    outer_binary = wasmine.Module(text).to_bytes()
    imports: Any = {"inner": inner, "h": {"again": abs}}
    outer = runtime.instantiate(outer_binary if form == "binary" else text, imports)
    with pytest.raises(Trap) as caught:
        outer.exports.direct(TRAPS[name][0])
    instruction, *calls = caught.value.frames
    assert instruction.offset is not None
    assert inner_binary.startswith(OPCODES[name], instruction.offset)
    for frame, callee in zip(calls, (0, 2), strict=True):
        assert frame.offset is not None
        assert outer_binary.startswith(bytes((0x10, callee)), frame.offset)


@pytest.mark.parametrize("name", TRAPS)
def test_the_offsets_of_frames_lie_in_their_functions(engine: Any, name: str) -> None:
    module = wasmine.Module(wasmine.Module(INNER).to_bytes())
    with pytest.raises(Trap) as caught:
        wasmine.Runtime(engine).instantiate(module, {"h": {"raise": raises}}).exports[name](TRAPS[name][0])
    (frame,) = caught.value.frames
    body = module.syntax.code[frame.index - 1].body
    assert frame.offset is not None
    assert body.offset <= frame.offset < body.offset + len(body.code)


def test_what_is_not_a_trap_of_the_guest_goes_on_after_a_trap(engine: Any) -> None:
    runtime = wasmine.Runtime(engine)
    inner = runtime.instantiate(INNER, {"h": {"raise": raises}}).exports

    def again(value: int) -> int:
        for _ in range(3):
            with pytest.raises(Trap):
                inner.load(-1)
        return value + 1

    outer = runtime.instantiate(OUTER.replace("{name}", "load"), {"inner": inner, "h": {"again": again}})
    assert outer.exports.nested(4) == 6


# ---------------------------------------------------------------------------------------------- exceptions on both engines

THROWER = """
(module (import "h" "f" (func $f (param i32))) (tag $t (export "t") (param i32 externref))
  (func (export "throw") (param i32 externref) (throw $t (local.get 0) (local.get 1)))
  (func (export "call") (param i32) (call $f (local.get 0))))
"""
CATCHER = """
(module (import "a" "t" (tag $t (param i32 externref))) (import "a" "throw" (func $throw (param i32 externref)))
  (import "a" "call" (func $call (param i32)))
  (func (export "catch") (param i32 externref) (result i32 externref)
    (block $h (result i32 externref) (try_table (catch $t $h) (call $throw (local.get 0) (local.get 1))) unreachable))
  (func (export "through") (param i32) (result i32 externref)
    (block $h (result i32 externref) (try_table (catch $t $h) (call $call (local.get 0))) (i32.const -1) (ref.null extern)))
  (func (export "all") (param i32) (result i32)
    (block $h (try_table (catch_all $h) (call $call (local.get 0))) (return (i32.const 0))) (i32.const 1)))
"""


class Custom(BaseException):
    pass


@pytest.fixture
def exceptions(engine: Any) -> Any:
    """The exports of a thrower and a catcher, and the list whose last function is what the host function does."""
    does: list[Callable[[int], None]] = []
    runtime = wasmine.Runtime(engine)
    thrower = runtime.instantiate(THROWER, {"h": {"f": lambda value: does[-1](value)}})
    return thrower.exports, runtime.instantiate(CATCHER, {"a": thrower}).exports, does


def test_an_exception_is_caught_in_another_instance(exceptions: Any) -> None:
    _, catcher, _ = exceptions
    marker = object()
    for _ in range(3):
        assert catcher.catch(7, marker) == (7, marker)


def test_an_exception_of_python_is_caught_in_wasm(exceptions: Any) -> None:
    thrower, catcher, does = exceptions
    marker = object()

    def throw(value: int) -> None:
        raise WasmException(thrower.t, value, marker)

    does.append(throw)
    assert catcher.through(5) == (5, marker)
    assert catcher.all(5) == 1


def test_an_exception_of_wasm_passes_python_on_its_way(exceptions: Any) -> None:
    thrower, catcher, does = exceptions
    marker = object()
    does.append(lambda value: thrower.throw(value, marker))
    assert catcher.through(6) == (6, marker)
    depth = [3]

    def deeper(value: int) -> None:
        depth[0] -= 1
        if depth[0]:
            thrower.call(value)
        else:
            thrower.throw(value, marker)

    does.append(deeper)
    assert catcher.through(8) == (8, marker)
    with pytest.raises(WasmException) as caught:
        thrower.throw(9, marker)
    assert caught.value.tag is thrower.t
    assert caught.value.values == (9, marker)


@pytest.mark.parametrize("kind", [Custom, KeyboardInterrupt, SystemExit, KeyError, wasmine.Exit])
def test_an_exception_of_the_host_arrives_as_the_same_object(exceptions: Any, kind: type[BaseException]) -> None:
    _, catcher, does = exceptions
    error = kind(3)

    def fail(value: int) -> None:
        raise error

    does.append(fail)
    for export in (catcher.through, catcher.all):
        with pytest.raises(kind) as caught:
            export(1)
        assert caught.value is error


def test_a_trap_is_not_caught(exceptions: Any) -> None:
    _, catcher, does = exceptions
    does.append(lambda value: raises())
    with pytest.raises(Trap, match="no more"):
        catcher.all(1)


# ---------------------------------------------------------------------------------------------- threads

SPIN = """
(module (memory (export "m") 1 1)
  (func (export "spin") (loop (br_if 0 (i32.eqz (i32.load8_u (i32.const 0))))))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
"""
CALLS_ADD = """
(module (import "a" "add" (func $add (param i32 i32) (result i32)))
  (func (export "call") (result i32) (call $add (i32.const 1) (i32.const 2)))
  (func (export "tail") (result i32) (return_call $add (i32.const 1) (i32.const 2))))
"""


def test_an_instance_is_used_by_one_thread_at_a_time(compiled: Instantiate) -> None:
    made = compiled(SPIN, None, "busy")
    through = compiled(CALLS_ADD, {"a": made}).exports

    def spin() -> None:
        while True:
            try:
                return made.exports.spin()
            except wasmine.WasmineError:  # the main thread was faster
                pass

    thread = threading.Thread(target=spin)
    thread.start()
    try:

        def until_the_other_thread_is_there() -> None:
            while True:
                made.exports.add(1, 2)

        with pytest.raises(wasmine.WasmineError, match="instance 'busy' is in use by another thread"):
            until_the_other_thread_is_there()
        for call in (through.call, through.tail):
            with pytest.raises(wasmine.WasmineError, match="in use by another thread"):
                call()
    finally:
        made.exports.m[0] = 1
        thread.join()
    assert (made.exports.add(1, 2), through.call(), through.tail()) == (3, 3, 3)


def test_an_instance_is_free_again_however_a_call_ends(compiled: Instantiate) -> None:
    inner = compiled(INNER, {"h": {"raise": raises}})
    outer = compiled(
        OUTER.replace("{name}", "load"), {"inner": inner, "h": {"again": lambda value: raises() or value}}
    ).exports
    for call in (outer.direct, outer.nested, inner.exports.host):
        with pytest.raises((Trap, TypeError)):
            call(-1)
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(outer.direct(0)))
    thread.start()
    thread.join()
    assert results == [2]


def test_instances_run_in_parallel(compiled: Instantiate) -> None:
    """Two threads that wait for each other in wasm can only end if both run at once."""
    memory = wasmine.Runtime("compiler")
    shared = memory.memory(1, 1, shared=True)
    text = """
    (module (import "a" "m" (memory 1 1 shared))
      (func (export "meet") (param i32 i32) (i32.atomic.store (local.get 0) (i32.const 1))
        (loop (br_if 0 (i32.eqz (i32.atomic.load (local.get 1)))))))
    """
    one, other = (memory.instantiate(text, {"a": {"m": shared}}).exports for _ in range(2))
    thread = threading.Thread(target=one.meet, args=(0, 8))
    thread.start()
    other.meet(8, 0)
    thread.join()
    assert shared[0] == shared[8] == 1


def test_a_finalizer_that_calls_wasm_in_the_middle_of_a_call_disturbs_nothing(compiled: Instantiate) -> None:
    """Garbage is collected, and wasm called, at as many moments as Python has."""
    made = compiled(
        '(module (import "h" "f" (func $f (param i64 f64 v128) (result i64 f64 v128)))'
        ' (func (export "call") (param i64 f64 v128) (result i64 f64 v128)'
        "  (call $f (local.get 0) (local.get 1) (local.get 2)))"
        ' (func (export "sum") (param i32) (result i32) (if (result i32) (local.get 0)'
        "   (then (i32.add (local.get 0) (i32.const 1))) (else unreachable))))",
        {"h": {"f": lambda *values: collected(values)}},
    ).exports
    seen = []

    def collected(values: tuple[object, ...]) -> tuple[object, ...]:
        if not COUNTED and values[0] % 10 == 0:  # there is no threshold to set
            gc.collect()
        return values

    class Late:
        def __del__(self) -> None:
            seen.append(made.sum(1))
            with pytest.raises(Trap):
                made.sum(0)

    threshold = gc.get_threshold() if COUNTED else ()
    if COUNTED:
        gc.set_threshold(1, 0 if FREE_THREADED else 10)
    try:
        for i in range(3000 if FREE_THREADED else 300):
            late = Late()
            late.itself = late  # type: ignore[attr-defined]
            del late
            assert made.call(i, i / 2, i) == (i, i / 2, i.to_bytes(16, "little"))
    finally:
        if COUNTED:
            gc.set_threshold(*threshold)
    gc.collect()
    # Without a GIL the collector waits for some hundreds of new objects at least.
    assert len(seen) > (0 if FREE_THREADED else 200)
    assert set(seen) == {2}


# ---------------------------------------------------------------------------------------------- lifetimes


def test_ten_thousand_runtimes_leave_nothing_behind() -> None:
    skip_unless_available("compiler")
    module = wasmine.Module(SPIN)

    def use(count: int) -> None:
        for _ in range(count):
            made = wasmine.Runtime("compiler").instantiate(module).exports
            assert made.add(2, 3) == 5
            made.m[0] = 7

    use(2000)  # from then on as many mappings wait for the next instance as ever do
    gc.collect()
    space, pages = address_space(), resident()
    use(10_000)
    gc.collect()
    assert address_space() - space < 16 << 30
    assert resident() - pages < 8 << 20


def test_the_code_of_a_module_goes_with_its_last_user() -> None:
    skip_unless_available("compiler")
    memory = glue.load().code

    def use(i: int) -> None:
        text = f'(module (func (export "f") (result i32) (i32.const {i})) (func (export "g") (result i32) (i32.const {i + 1})))'
        made = wasmine.Runtime("compiler").instantiate(text).exports
        assert (made.f(), made.g()) == (i, i + 1)

    def free() -> int:
        gc.collect()
        return sum(memory._free.values())

    use(0)
    before = free()
    for i in range(300):
        use(i)
    assert free() == before


def test_functions_keep_what_they_need(compiled: Instantiate) -> None:
    skip_unless_available("compiler")
    function = wasmine.Runtime("compiler").instantiate(SPIN).exports.add
    gc.collect()
    assert function(4, 5) == 9


def test_views_of_a_memory_outlive_its_instance(compiled: Instantiate) -> None:
    memory = wasmine.Runtime("compiler").instantiate(SPIN).exports.m
    memory[5] = 6
    view = memory.view()
    part = view[5:]
    gone = weakref.ref(memory)
    del memory, view
    gc.collect()
    assert gone() is None
    assert (part[0], len(part)) == (6, 65_531)
    part[0] = 8
    assert part[0] == 8


def test_globals_outlive_their_instance() -> None:
    skip_unless_available("compiler")
    variable = (
        wasmine.Runtime("compiler").instantiate('(module (global (export "g") (mut i64) (i64.const 5)))').exports.g
    )
    gc.collect()
    variable.value += 1
    assert variable.value == 6


def test_a_host_function_is_forgotten_with_the_runtime() -> None:
    skip_unless_available("compiler")

    class Host:
        def __call__(self) -> None:
            pass

    host = Host()
    gone = weakref.ref(host)
    runtime = wasmine.Runtime("compiler")
    runtime.instantiate(
        '(module (import "h" "f" (func $f)) (func (export "g") (call $f)))', {"h": {"f": host}}
    ).exports.g()
    del host, runtime
    gc.collect()
    assert gone() is None


def test_references_to_objects_are_the_same_objects(compiled: Instantiate) -> None:
    made = compiled(
        '(module (table (export "t") 10 externref)'
        ' (func (export "set") (param i32 externref) (table.set (local.get 0) (local.get 1)))'
        ' (func (export "at") (param i32) (result externref) (table.get (local.get 0))))'
    ).exports
    for i in range(1000):
        value = [i]  # where the last one was, often
        made.set(i % 10, value)
        assert made.at(i % 10) is value
        del value
        assert made.at(i % 10) == [i]
    for value in (0, "", None, 1 << 70, made):
        made.set(0, value)
        assert made.at(0) is value


def test_functions_of_another_runtime_are_refused(compiled: Instantiate) -> None:
    table = compiled('(module (table (export "t") 1 funcref))').exports.t
    other = wasmine.Runtime("compiler").instantiate(SPIN).exports.add
    with pytest.raises(TypeError, match="belongs to another runtime"):
        table[0] = other


def test_a_memory_that_grows_while_it_is_imported_twice(compiled: Instantiate) -> None:
    text = (
        '(module (import "a" "m" (memory 1)) (func (export "size") (result i32) (memory.size))'
        ' (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))'
        ' (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))'
    )
    owner = compiled('(module (memory (export "m") 1))')
    one, other = (compiled(text, {"a": owner}).exports for _ in range(2))
    assert (one.grow(2), other.size(), other.at(0x2FFFF)) == (1, 3, 0)
    assert (owner.exports.m.grow(1), one.size(), one.at(0x3FFFF)) == (3, 4, 0)
    with pytest.raises(Trap):
        other.at(0x40000)


# ---------------------------------------------------------------------------------------------- where code lies


def test_functions_do_not_compete_for_the_same_lines_of_the_cache(compiled: Instantiate) -> None:
    count = 64
    functions = "".join(f'(func (export "{i}") (result i32) (i32.const {i}))' for i in range(count))
    instance = compiled(f"(module {functions})")
    assert [instance.exports[str(i)]() for i in range(count)] == list(range(count))
    code: Any = instance.code
    starts = [code.module.address(i) for i in range(count)]
    assert len({start % 4096 // 64 for start in starts}) == count
    # Nor does the table with the first frames of value stacks, which begin with a page.
    assert all(code.module.slot(i) % 4096 >= 2048 for i in range(count))


def test_a_trap_that_is_kept_keeps_the_module_that_it_names_and_not_the_instance() -> None:
    skip_unless_available("compiler")
    text = '(module $shop (memory 1) (func $low (drop (i32.load (i32.const -1)))) (func (export "f") (call $low)))'
    instance = wasmine.Runtime("compiler").instantiate(text)
    try:
        instance.exports.f()
    except Trap as error:
        kept = error.with_traceback(None)
    gone = weakref.ref(instance.exports), weakref.ref(instance)
    del instance
    gc.collect()
    assert [reference() for reference in gone] == [None, None]
    wasmine.Runtime("compiler").instantiate(SPIN).exports.add(1, 2)  # where the other's code was, perhaps
    assert [(frame.module, frame.function) for frame in kept.frames] == [("shop", "low"), ("shop", "f")]
    assert all(frame.offset for frame in kept.frames)


@pytest.mark.parametrize("depth", [0, 6, 7, 8, 9, 30, 1000])
def test_an_exception_is_caught_any_number_of_frames_further_up(engine: Any, depth: int) -> None:
    text = """(module (tag $t (param i32))
      (func $down (param $n i32) (result i32)
        (if (local.get $n) (then (return (i32.add (i32.const 1) (call $down (i32.sub (local.get $n) (i32.const 1)))))))
        (throw $t (i32.const 7)))
      (func (export "f") (param $n i32) (result i32)
        (block $caught (result i32) (try_table (result i32) (catch $t $caught) (call $down (local.get $n))))))"""
    assert wasmine.Runtime(engine).instantiate(text).exports.f(depth) == 7
