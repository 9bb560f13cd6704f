"""Processes that fork, end, are short of memory, or have several interpreters; threads that come and go."""

from __future__ import annotations

import sys

import pytest
from tests.compiler.machine.conftest import Run, expect
from tests.objects import COUNTED

from wasmine.runtime.gil import FREE_THREADED

COUNTER = """
COUNTER = '''(module (memory 1)
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "sum") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1))
  (func (export "spin") (loop (br 0)))
  (func (export "other") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3))))'''
"""


def test_parent_and_child_go_on_after_a_fork(run: Run) -> None:
    script = (
        COUNTER
        + """
first = instance(COUNTER).exports
assert first.sum(10) == 55
def work():
    new = instance(COUNTER).exports  # compiles anew
    return [first.sum(4), first.other(5), new.other(6), trapped(first.load, -1), trapped(new.load, -1)]
child = os.fork()
result = work()
right = [10, 15, 18, TrapKind.MEMORY_OUT_OF_BOUNDS, TrapKind.MEMORY_OUT_OF_BOUNDS]
if not child:
    os._exit(7 if result == right else 8)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), result == right)
"""
    )
    expect(run(script), "7 True")


def test_memory_is_not_shared_with_the_child(run: Run) -> None:
    script = (
        COUNTER
        + """
made = instance('(module (memory (export "m") 1))').exports.m
made[0] = 1
child = os.fork()
if not child:
    made[0] = 2
    made.grow(1)
    os._exit(made[0] + made.size)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), made[0], made.size)
"""
    )
    expect(run(script), "4 1 1")


@pytest.mark.skipif(
    FREE_THREADED,
    reason="there CPython's own locks may stay taken in the child of a process with threads (docs/limits.md)",
)
def test_forks_while_threads_compile(run: Run) -> None:
    """No lock may stay taken in the child by a thread that is not there any more."""
    script = (
        COUNTER
        + """
functions = "".join(f'(func (export "f{i}") (result i32) (i32.const {i}))' for i in range(3000))
module = wasmine.Module(f"(module (memory 1) {functions})")
small = wasmine.Module(COUNTER)
def fresh(): return wasmine.Runtime("compiler").instantiate(module).exports
fresh().f0()
wasmine.Runtime("compiler").instantiate(small).exports.sum(3)
stop = False
wrong = []
def work(first):
    made = fresh()
    for i in range(first, 2900, 2):
        if made[f"f{i}"]() != i: wrong.append(i)
        wasmine.Runtime("compiler").instantiate(small).exports.other(1)
        if stop: return
threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
for thread in threads: thread.start()
codes = set()
for i in range(2900, 2930):
    child = os.fork()
    if not child:
        exports = wasmine.Runtime("compiler").instantiate(small).exports
        os._exit(exports.sum(3) + (fresh()[f"f{i}"]() == i))
    codes.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop = True
for thread in threads: thread.join()
print(codes, wrong)
"""
    )
    expect(run(script), "{7} []")


def test_the_child_can_use_what_a_thread_that_is_gone_was_using(run: Run) -> None:
    script = (
        COUNTER
        + """
exports = instance(COUNTER).exports
threading.Thread(target=exports.spin, daemon=True).start()
time.sleep(0.1)
child = os.fork()
if not child:
    os._exit(exports.sum(4))
try:
    exports.sum(4)
except wasmine.WasmineError as error:
    print("by another thread" in str(error))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    expect(run(script), "True\n10")


def test_a_crash_in_a_forked_child_is_the_childs(run: Run) -> None:
    script = (
        COUNTER
        + """
load = instance(COUNTER).exports.load
child = os.fork()
if not child:
    trapped(load, -1)
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(5)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), trapped(load, -1))
"""
    )
    expect(run(script), "-11 TrapKind.MEMORY_OUT_OF_BOUNDS")


def test_threads_that_come_and_go_use_the_same_blocks(run: Run) -> None:
    """Compared with threads without wasm: where the processor is emulated, the emulator keeps memory for each of them."""
    script = (
        COUNTER
        + """
from wasmine.compiler.machine import glue, threads
exports = instance(COUNTER).exports
exports.sum(3)
# Where references are not counted, blocks of ended threads come back when Python collects.
most = 3 if hasattr(sys, "getrefcount") else threads._MANY
def work():
    exports.sum(3)
    trapped(exports.load, -1)
def growth(work):
    before = resident()
    for _ in range(500):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    return resident() - before
growth(work)
gc.collect()
plain = growth(lambda: None)
# A lost block has two pages at least: of the block itself, and of its value stack.
print(len(glue.load().threads.all) <= most, growth(work) - plain < 500 * 2 * 4096 * 3 // 4)
"""
    )
    expect(run(script), "True True")


def test_a_thread_that_was_interrupted_in_its_first_call_calls_again(run: Run) -> None:
    """By what a signal handler raises: machine code and Python must find the same block afterwards."""
    script = (
        COUNTER
        + """
from wasmine.compiler.machine import libc
exports, before = instance(COUNTER).exports, libc.set_thread_specific
def interrupted(key, value):
    before(key, value)
    libc.set_thread_specific = before
    raise KeyboardInterrupt
def work():
    libc.set_thread_specific = interrupted
    try:
        exports.sum(3)
    except KeyboardInterrupt:
        print("stopped", trapped(exports.load, -1), exports.sum(3))
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    )
    expect(run(script), "stopped TrapKind.MEMORY_OUT_OF_BOUNDS 6")


@pytest.mark.skipif(not hasattr(sys, "getallocatedblocks"), reason="this Python does not count what it has allocated")
def test_a_thread_that_ends_leaves_nothing_to_the_allocator(run: Run) -> None:
    """CPython 3.11 loses the dictionary that it keeps `errno` in, if ctypes is used once more while a thread goes."""
    script = (
        COUNTER
        + """
exports = instance(COUNTER).exports
def growth():
    before = sys.getallocatedblocks()
    for _ in range(500):
        thread = threading.Thread(target=exports.sum, args=(3,))
        thread.start()
        thread.join()
    gc.collect()
    return sys.getallocatedblocks() - before
growth()
print(growth() < 500)
"""
    )
    expect(run(script), "True")


@pytest.mark.parametrize(
    "ending", ["", "sys.exit(3)", "os.close(2); raise KeyError", "gc.collect(); made = exports = None"]
)
def test_the_process_ends_while_daemon_threads_run_wasm(run: Run, ending: str) -> None:
    script = (
        COUNTER
        + """
made = instance(COUNTER)
exports = made.exports
called = instance('''(module (import "h" "f" (func $f)) (memory 1)
  (func (export "g") (loop (call $f) (br 0))) (func (export "t") (param i32) (drop (i32.load (local.get 0)))))''', {"h": {"f": lambda: None}}).exports
traps = instance(COUNTER).exports
def trap():
    while True:
        trapped(traps.load, -1)
for work in (exports.spin, called.g, trap):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
print("ended", flush=True)
"""
        + ending
    )
    done = run(script)
    assert (done.returncode, done.stdout) == ({"sys": 3, "os.": 1}.get(ending[:3], 0), "ended\n"), done.stderr
    assert "Fatal" not in done.stderr


def test_a_call_from_an_exit_handler(run: Run) -> None:
    script = (
        COUNTER
        + """
import atexit
exports = instance(COUNTER).exports
atexit.register(lambda: print(exports.sum(4), trapped(exports.load, -1)))
class Late:
    def __del__(self, sum=exports.sum):
        sum(4)
late = Late()
"""
    )
    expect(run(script), "10 TrapKind.MEMORY_OUT_OF_BOUNDS")


# ------------------------------------------------------------------------------------------------ little memory


def test_bounds_are_checked_where_guard_pages_cannot_be_had(run: Run) -> None:
    script = (
        COUNTER
        + """
runtime = wasmine.Runtime("compiler")
exports = instance(COUNTER, runtime=runtime).exports
memory = runtime.memory(1, 3)
print(runtime.engine.bounds, exports.sum(4), trapped(exports.load, -1), memory.grow(2), memory.size)
try:
    wasmine.Runtime("compiler", bounds="guard").memory(1)
except MemoryError as error:
    print(str(error)[:14])
"""
    )
    output = "checked 10 TrapKind.MEMORY_OUT_OF_BOUNDS 1 3\ncannot reserve"
    expect(run(script, before="ulimit -v 4000000"), output)
    expect(run(script, before="ulimit -v 1000000"), output)


def test_guard_pages_where_they_can_be_had(run: Run) -> None:
    expect(run("r = wasmine.Runtime('compiler'); instance(LOAD, runtime=r); print(r.engine.bounds)"), "guard")


def test_memory_that_the_system_refuses_is_an_error_not_a_crash(run: Run) -> None:
    script = """
runtime = wasmine.Runtime("compiler")
grown = instance('(module (memory (export "m") 0) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))', runtime=runtime).exports
print(grown.grow(65_536), grown.m.size)
made = 0
try:
    for _ in range(100): instance('(module (memory 16_000) (table 5_000_000 funcref))', runtime=runtime); made += 1
except MemoryError as error:
    print("cannot" in str(error), made < 100)
"""
    expect(run(script, before="ulimit -v 3000000"), "-1 0\nTrue True")


def test_where_executable_memory_is_refused_the_engine_says_so(run: Run) -> None:
    script = """
from wasmine.compiler.machine import libc
real = libc._mprotect
def refused(address, size, protection):
    if protection & libc.PROT_EXEC:
        ctypes.set_errno(13)
        return -1
    return real(address, size, protection)
libc._mprotect = refused
from wasmine.compiler.availability import unavailable
print(unavailable())
try:
    wasmine.Runtime("compiler").engine
except wasmine.UnsupportedFeature as error:
    print(error)
print(wasmine.Runtime().engine.name)
"""
    why = "[Errno 13] executable memory is refused: Permission denied"
    expect(run(script), f"{why}\n{why}\ninterpreter")


# ------------------------------------------------------------------------------------------------ several interpreters

SUB = """
try:
    import _interpreters as subinterpreters
except ImportError:
    import _xxsubinterpreters as subinterpreters
inside = '''
import sys
sys.path[:] = %r
import wasmine
from wasmine.compiler.availability import unavailable
print(unavailable(), wasmine.Runtime().instantiate(%r).exports.load(4), flush=True)
'''
here = instance(LOAD).exports.load
number = subinterpreters.create()
print(subinterpreters.run_string(number, inside % (sys.path, LOAD)))
subinterpreters.destroy(number)
print(trapped(here, -1))
"""
REFUSED = "the compiler serves the main interpreter of a process only 0\nNone\nTrapKind.MEMORY_OUT_OF_BOUNDS"


@pytest.mark.skipif(not COUNTED, reason="PyPy has no subinterpreters")
def test_sub_interpreters_have_the_interpreter(run: Run) -> None:
    expect(run(SUB), REFUSED)
