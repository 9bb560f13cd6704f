"""What instances of the compiler engine leave behind: nothing, as soon as nobody can reach them."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from tests.objects import allocated_blocks, let_go

import wasmine
from wasmine import Runtime
from wasmine.compiler.contexts import contexts
from wasmine.compiler.hosts import hosts
from wasmine.format.types import FUNCREF

pytestmark = pytest.mark.usefixtures("compiler")

PLAIN = """(module (memory (export "m") 1) (table (export "t") 2 funcref) (elem (i32.const 0) $f)
  (func $f (export "f") (result i32) (i32.const 1)))"""
HOST = """(module (import "h" "f" (func $f)) (memory 1) (table (export "t") 1 funcref) (elem (i32.const 0) $f)
  (func (export "g") (call $f)))"""
OWNER = """(module (table (export "t") 2 funcref)
  (func (export "call") (result i32) (call_indirect (result i32) (i32.const 0)))
  (func (export "drop") (table.set (i32.const 0) (ref.null func))))"""
FILLER = """(module (import "o" "t" (table 2 funcref)) (memory 1) (global $n (mut i32) (i32.const 0))
  (elem (i32.const 0) $f)
  (func $f (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"""
REFS = '(module (memory 1) (func $f (export "f") (param funcref) (result funcref) (ref.func $f)))'


@pytest.fixture
def runtime() -> Runtime:
    return Runtime("compiler")


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * 4096


def test_a_thousand_instances_in_one_runtime_leave_nothing_behind(runtime: Runtime) -> None:
    owner = runtime.instantiate(OWNER)
    modules = [wasmine.Module(text) for text in (PLAIN, HOST, FILLER, REFS)]

    def use(count: int) -> None:
        for _ in range(count):
            plain, host, filler, refs = (
                runtime.instantiate(module, {"h": {"f": lambda: None}, "o": owner}) for module in modules
            )
            assert plain.exports.f() == 1
            host.exports.g()
            assert refs.exports.f(plain.exports.f) is refs.exports.f
            for instance in (plain, host, filler, refs):
                instance.close()
            assert owner.exports.call() == 1
        del plain, host, filler, refs, instance
        gc.collect()

    use(200)
    space, pages, blocks = address_space(), resident(), allocated_blocks()
    used = len(contexts), len(hosts)
    use(1000)
    assert address_space() - space < 1 << 40  # closed ones wait until there are some dozens
    assert resident() - pages < 4 << 20
    assert allocated_blocks() - blocks < 8000
    assert len(contexts) - used[0] < 200
    assert len(hosts) - used[1] < 100


def test_instances_that_are_only_dropped_are_collected(runtime: Runtime) -> None:
    gone = []
    for text in (PLAIN, HOST):
        instance = runtime.instantiate(text, {"h": {"f": lambda: None}})
        gone += [weakref.ref(instance), weakref.ref(instance.exports.t)]
    del instance
    gc.collect()
    assert [reference() for reference in gone] == [None] * 4
    assert repr(runtime) == "<runtime compiler, 0 instances>"


def test_closing_gives_the_memory_back_though_its_functions_are_held(runtime: Runtime) -> None:
    instance = runtime.instantiate(PLAIN)
    function, table = instance.exports.f, instance.exports.t
    gone = weakref.ref(instance.exports.m)
    instance.close()
    let_go()
    assert gone() is None
    with pytest.raises(wasmine.WasmineError, match="is closed"):
        function()
    assert table[0] is function
    with pytest.raises(wasmine.WasmineError, match="is closed"):
        instance.exports.f  # noqa: B018


def test_a_memory_outlives_its_closed_instance_and_still_grows(runtime: Runtime) -> None:
    instance = runtime.instantiate(PLAIN)
    memory = instance.exports.m
    memory[5] = 6
    instance.close()
    del instance
    gc.collect()
    runtime.instantiate(PLAIN).exports.m[5] = 1  # in what another one gave back
    assert memory.grow(1) == 1
    assert (memory[5], memory.size) == (6, 2)


@pytest.mark.parametrize("holder", ["table", "global", "python", "standalone"])
def test_a_reference_keeps_a_dropped_instance(runtime: Runtime, holder: str) -> None:
    owner = runtime.instantiate(
        """(module (table (export "t") 1 funcref) (global (export "g") (mut funcref) (ref.null func))
        (func (export "table") (result i32) (call_indirect (result i32) (i32.const 0)))
        (func (export "global") (result i32)
          (table.set (i32.const 0) (global.get 0)) (call_indirect (result i32) (i32.const 0))))"""
    )
    count = FILLER.replace('(import "o" "t" (table 2 funcref))', "").replace("(elem (i32.const 0) $f)", "")
    instance = runtime.instantiate(count.replace("(func $f", '(func $f (export "f")'))
    function = instance.exports.f
    standalone = runtime.table(1)
    if holder == "table":
        owner.exports.t[0] = function
    elif holder == "global":
        owner.exports.g.value = function
    elif holder == "standalone":
        standalone[0] = function
    calls = {
        "table": owner.exports.table,
        "global": getattr(owner.exports, "global"),
        "python": function,
        "standalone": lambda: standalone[0](),
    }
    call = calls[holder]
    del function, calls, instance
    for _ in range(3):
        gc.collect()
        runtime.instantiate(PLAIN).close()
    assert [call() for _ in range(3)] == [1, 2, 3]


def test_closed_instances_go_when_the_last_reference_in_a_table_is_overwritten(runtime: Runtime) -> None:
    owner = runtime.instantiate(OWNER)
    module = wasmine.Module(FILLER)
    gone = []
    for _ in range(100):
        filler = runtime.instantiate(module, {"o": owner})
        gone.append(weakref.ref(filler))
        filler.close()
        assert owner.exports.call() == 1
    last = gone[-1]
    del filler
    gc.collect()
    assert sum(reference() is not None for reference in gone) < 70
    assert last() is not None
    assert owner.exports.call() == 2


def test_closed_instances_go_though_another_thread_could_call(runtime: Runtime) -> None:
    """That one has used the compiler, and waits for something else."""
    owner, module = runtime.instantiate(OWNER), wasmine.Module(FILLER)
    used, go = threading.Event(), threading.Event()
    other = runtime.instantiate(PLAIN)

    def use() -> None:
        assert other.exports.f() == 1
        used.set()
        go.wait(60)

    thread = threading.Thread(target=use)
    thread.start()
    assert used.wait(60)
    gone = []
    for _ in range(200):
        filler = runtime.instantiate(module, {"o": owner})
        gone.append(weakref.ref(filler))
        filler.close()
    del filler
    gc.collect()
    assert sum(reference() is not None for reference in gone) < 100
    assert [owner.exports.call(), owner.exports.call(), other.exports.f()] == [1, 2, 1]
    go.set()
    thread.join()


def test_a_linked_instance_gives_its_memory_back_when_it_is_closed(runtime: Runtime) -> None:
    owner = runtime.instantiate(OWNER)
    filler = runtime.instantiate(FILLER.replace("(memory 1)", '(memory (export "m") 1)'), {"o": owner})
    gone = weakref.ref(filler.exports.m)
    owner.exports.drop()
    filler.close()
    let_go()
    assert gone() is None
    assert owner.exports.t[0] is None


def test_the_host_function_that_a_closed_instance_put_into_a_table_stays(runtime: Runtime) -> None:
    owner = runtime.instantiate(OWNER)
    text = (
        '(module (import "o" "t" (table 2 funcref)) (import "h" "f" (func $f (result i32))) (elem (i32.const {}) $f))'
    )
    runtime.instantiate(text.format(0), {"o": owner, "h": {"f": lambda: 42}}).close()
    for i in range(100):
        runtime.instantiate(text.format(1), {"o": owner, "h": {"f": lambda i=i: i}}).close()
    gc.collect()
    assert owner.exports.call() == 42
    assert owner.exports.t[1]() == 99


USER = """(module (import "o" "t" (table 2 funcref))
  (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))"""


def test_what_a_closed_instance_put_into_a_table_of_the_host_stays(runtime: Runtime) -> None:
    table = runtime.table(2)
    runtime.instantiate(FILLER, {"o": {"t": table}}).close()
    gc.collect()
    users = [runtime.instantiate(text, {"o": {"t": table}}) for text in (USER, USER)]
    assert [user.exports.call(0) for user in users] == [1, 2]


@pytest.mark.parametrize("holder", ["table", "global"])
def test_a_function_may_be_stored_after_its_instance_was_closed(runtime: Runtime, holder: str) -> None:
    table = runtime.table(2)
    variable = runtime.global_(FUNCREF, None, mutable=True)
    instance = runtime.instantiate(FILLER.replace("(func $f", '(func $f (export "f")'), {"o": {"t": table}})
    context, function = instance.code.address, instance.exports.f
    table[0] = None
    instance.close()
    if holder == "table":
        table[0] = function
    else:
        variable.value = function
    del function, instance
    gc.collect()
    others = [runtime.instantiate(FILLER, {"o": {"t": runtime.table(2)}}) for _ in range(3)]
    assert context not in [other.code.address for other in others]
    with pytest.raises(wasmine.WasmineError, match="is closed"):
        (table[0] if holder == "table" else variable.value)()


def test_a_function_is_copied_from_the_table_of_a_closed_instance(runtime: Runtime) -> None:
    owner = runtime.instantiate(PLAIN)
    context, tables = owner.code.address, {"from": owner.exports.t, "to": runtime.table(1)}
    owner.close()
    del owner
    copier = """(module (import "t" "to" (table $to 1 funcref)) (import "t" "from" (table $from 2 funcref))
      (func (export "copy") (table.copy $to $from (i32.const 0) (i32.const 0) (i32.const 1))))"""
    instance = runtime.instantiate(copier, {"t": tables})
    instance.exports.copy()
    instance.close()
    del tables["from"], instance
    gc.collect()
    others = [runtime.instantiate(PLAIN) for _ in range(3)]
    assert context not in [other.code.address for other in others]
    with pytest.raises(wasmine.WasmineError, match="is closed"):
        tables["to"][0]()


def test_a_context_is_not_given_to_another_instance_while_somebody_writes_to_it(runtime: Runtime) -> None:
    memory = runtime.memory(1, 4)
    text = '(module (import "o" "m" (memory 1)))'
    made, drop, dropped = threading.Event(), threading.Event(), threading.Event()
    context: list[int] = []
    free: list[int] = []

    def work() -> None:
        instance = runtime.instantiate(text, {"o": {"m": memory}})
        context.append(instance.code.address)
        made.set()
        drop.wait(60)
        del instance
        gc.collect()
        free.extend(address for addresses in contexts._free.values() for address in addresses)
        dropped.set()

    class Fields(dict[int, None]):
        def __contains__(self, field: object) -> bool:  # asked just before it is written there
            found = super().__contains__(field)
            drop.set()
            dropped.wait(60)
            return found

    thread = threading.Thread(target=work)
    thread.start()
    made.wait(60)
    memory._fields = Fields(memory._fields)  # type: ignore[attr-defined]
    memory.grow(1)
    thread.join()
    assert contexts.get(context[0]) is None
    assert free
    assert context[0] not in free
    assert runtime.instantiate(text, {"o": {"m": runtime.memory(1)}}).code.address == context[0]


def test_an_instance_that_imports_keeps_what_it_imports(runtime: Runtime) -> None:
    user = runtime.instantiate(
        '(module (import "p" "f" (func $f (result i32))) (func (export "g") (result i32) (call $f)))',
        {"p": runtime.instantiate(PLAIN)},
    )
    gc.collect()
    assert user.exports.g() == 1


def test_an_instance_is_closed_in_the_middle_of_its_call(runtime: Runtime) -> None:
    text = """(module (import "h" "close" (func $close)) (memory (export "m") 1) (table $t 1 funcref) (elem (i32.const 0) $f)
      (func $f (result i32) (i32.const 5))
      (func (export "run") (result i32) (call $close) (drop (memory.grow (i32.const 1)))
        (i32.store (i32.const 70000) (i32.const 2))
        (i32.add (i32.load (i32.const 70000)) (call_indirect (result i32) (i32.const 0)))))"""
    instance = runtime.instantiate(text, {"h": {"close": lambda: instance.close()}})
    run = instance.exports.run
    assert run() == 7
    with pytest.raises(wasmine.WasmineError, match="is closed"):
        run()


def test_an_instance_is_closed_while_another_thread_runs_it(runtime: Runtime) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        go_on.wait(10)

    instance = runtime.instantiate(
        """(module (import "h" "wait" (func $w)) (memory 1)
        (func (export "run") (result i32) (call $w) (i32.store (i32.const 9) (i32.const 3)) (i32.load (i32.const 9))))""",
        {"h": {"wait": wait}},
    )
    results: list[int] = []

    def collect(run: Any) -> None:
        results.append(run())

    thread = threading.Thread(target=collect, args=(instance.exports.run,))
    thread.start()
    inside.wait(10)
    instance.close()
    runtime.close()
    del instance
    gc.collect()
    go_on.set()
    thread.join()
    assert results == [3]


def test_a_finalizer_uses_an_instance_that_is_garbage_with_it(runtime: Runtime) -> None:
    results: list[object] = []

    class Late:
        instance: Any = None
        itself: Any = None

        def __del__(self) -> None:
            exports = self.instance.exports
            results.extend((exports.grow(1), exports.m.size, exports.host(), exports.at()))

    for _ in range(20):
        late = Late()
        late.itself = late
        late.instance = runtime.instantiate(
            """(module (import "h" "f" (func $f (result i32))) (memory (export "m") 1) (table 1 funcref)
            (elem (i32.const 0) $f)
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "host") (result i32) (call $f))
            (func (export "at") (result i32) (call_indirect (result i32) (i32.const 0))))""",
            {"h": {"f": lambda: 8}},
        )
        del late
        gc.collect()
        runtime.instantiate(PLAIN).close()
    assert results == [1, 2, 8, 8] * 20


def test_clones_take_memory_only_for_what_they_write(runtime: Runtime) -> None:
    source = runtime.instantiate('(module (memory (export "m") 256))')
    source.exports.m[0 : 16 << 20] = bytes(range(256)) * 65536
    snapshot = source.snapshot()
    clones = [snapshot.clone() for _ in range(20)]
    pages = resident()
    for i, clone in enumerate(clones):
        clone.exports.m[i << 16] = 77
    assert resident() - pages < 8 << 20
    assert [clone.exports.m[(i << 16) + 1] for i, clone in enumerate(clones)] == [1] * 20


def test_images_go_with_the_last_snapshot_and_clone(runtime: Runtime) -> None:
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    source = runtime.instantiate(PLAIN)
    gc.collect()  # what others left behind is not to be counted
    before = files()
    for i in range(40):
        source.exports.m[0] = i
        snapshot = source.snapshot()
        first, second = snapshot.clone(), snapshot.clone()
        first.close()
        assert second.exports.m[0] == snapshot.clone().exports.m[0] == i
        del snapshot, first, second
        gc.collect()
    assert files() == before


def test_what_a_clone_wrote_is_not_seen_by_the_next_one(runtime: Runtime) -> None:
    source = runtime.instantiate(PLAIN)
    source.exports.m[1] = 5
    snapshot = source.snapshot()
    for _ in range(3):
        clone = snapshot.clone()
        assert clone.exports.m[0:3] == b"\0\5\0"
        assert clone.exports.m.grow(2) == 1
        clone.exports.m[0:3] = b"xyz"
        clone.exports.m[100_000] = 1
        clone.close()
    plain = runtime.instantiate(PLAIN)
    assert plain.exports.m[0:3] == b"\0\0\0"
    with pytest.raises(IndexError):
        plain.exports.m[100_000]
