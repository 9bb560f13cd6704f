"""Faults: in wasm code they are traps, elsewhere they are what they were without us."""

from __future__ import annotations

import signal

import pytest
from tests.compiler.machine.conftest import Run, expect

CRASH = "ctypes.string_at(8)\n"

HANDLERS = {
    "no faulthandler": "load = instance(LOAD).exports.load\n",
    "enabled before": "faulthandler.enable()\nload = instance(LOAD).exports.load\n",
    "enabled after": "load = instance(LOAD).exports.load\nfaulthandler.enable()\n",
    "enabled twice, instances between": (
        "faulthandler.enable()\ninstance(LOAD)\nfaulthandler.enable()\nload = instance(LOAD).exports.load\n"
    ),
    "disabled": "faulthandler.enable()\nload = instance(LOAD).exports.load\nfaulthandler.disable()\n",
    "enabled again": (
        "faulthandler.enable()\nload = instance(LOAD).exports.load\nfaulthandler.disable()\nfaulthandler.enable()\n"
    ),
}
# Others who change what happens at a fault, after machine code was loaded.
LATER = {
    "a handler": "signal.signal(signal.SIGSEGV, lambda *_: print('called', flush=True))",
    "the default": "signal.signal(signal.SIGSEGV, signal.SIG_DFL)",
    "ignored": "signal.signal(signal.SIGSEGV, signal.SIG_IGN)",
    "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "blocked by a mask": "signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGSEGV, signal.SIGFPE])",
}
REPORTED = {"enabled before", "enabled after", "enabled twice, instances between", "enabled again"}


@pytest.mark.parametrize("handlers", HANDLERS)
def test_a_fault_in_wasm_is_a_trap(run: Run, handlers: str) -> None:
    script = HANDLERS[handlers] + "print(trapped(load, -1), trapped(load, -5), load(0))"
    expect(run(script), "TrapKind.MEMORY_OUT_OF_BOUNDS TrapKind.MEMORY_OUT_OF_BOUNDS 0")


@pytest.mark.parametrize("handlers", HANDLERS)
def test_a_fault_elsewhere_ends_the_process_as_usual(run: Run, handlers: str) -> None:
    done = run(HANDLERS[handlers] + "trapped(load, -1)\nprint('crash', flush=True)\n" + CRASH)
    assert done.returncode == -signal.SIGSEGV
    assert done.stdout == "crash\n"
    assert done.stderr.count("Fatal Python error: Segmentation fault") == (handlers in REPORTED)


@pytest.mark.parametrize("handlers", ["no faulthandler", "enabled before", "enabled after"])
def test_a_fault_in_a_host_function_ends_the_process_as_usual(run: Run, handlers: str) -> None:
    script = HANDLERS[handlers] + (
        'called = instance(\'(module (import "h" "f" (func $f)) (func (export "g") (call $f)))\', '
        '{"h": {"f": lambda: ctypes.string_at(8) and None}})\ncalled.exports.g()'
    )
    done = run(script)
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr.count("Fatal Python error: Segmentation fault") == (handlers in REPORTED)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE])
@pytest.mark.parametrize("handlers", ["no faulthandler", "enabled before", "enabled after"])
def test_a_signal_that_is_sent_ends_the_process_as_usual(run: Run, handlers: str, number: signal.Signals) -> None:
    done = run(HANDLERS[handlers] + f"trapped(load, -1)\nos.kill(os.getpid(), {int(number)})\ntime.sleep(5)")
    assert done.returncode == -number
    assert done.stderr.count("Fatal Python error") == (handlers in REPORTED)


def test_the_interpreter_option_for_faulthandler(run: Run) -> None:
    done = run(
        "load = instance(LOAD).exports.load\nprint(trapped(load, -1), flush=True)\n" + CRASH, "-X", "faulthandler"
    )
    assert done.stdout == "TrapKind.MEMORY_OUT_OF_BOUNDS\n"
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr.count("Fatal Python error: Segmentation fault") == 1


def test_tracebacks_that_are_dumped_later(run: Run) -> None:
    """While wasm runs: where Python runs, faulthandler reads frames that change, and may crash by itself."""
    script = """
import tempfile
spins = instance('''(module (memory 1) (func (export "f") (param i64) (result i32)
  (loop (br_if 0 (i64.ne (i64.const 0) (local.tee 0 (i64.sub (local.get 0) (i64.const 1)))))) (i32.load (i32.const -1))))''').exports.f
trapped(spins, 1)
with tempfile.TemporaryFile() as file:
    faulthandler.dump_traceback_later(0.05, file=file)
    kind = trapped(spins, 2_000_000_000)
    file.seek(0)
    print(kind, b"in trapped" in file.read(), trapped(spins, 1))
"""
    expect(run(script), "TrapKind.MEMORY_OUT_OF_BOUNDS True TrapKind.MEMORY_OUT_OF_BOUNDS")


def test_a_handler_of_another_library_gets_its_own_faults(run: Run) -> None:
    """Here it is a C function that counts: `sigaction` with the address of a callback, which repairs the access."""
    script = """
libc = ctypes.CDLL(None)
page = libc.mmap
page.restype = ctypes.c_void_p
address = page(None, ctypes.c_size_t(4096), 0, 0x22, -1, ctypes.c_size_t(0))
seen = []
@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def repair(number, info, context):
    seen.append(number)
    libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4096), 3)
from wasmine.compiler.machine import libc as ours, linux
action = ours.signal_action(signal.SIGSEGV)
action.handler = ctypes.cast(repair, ctypes.c_void_p).value
action.flags = linux.SA_SIGINFO
ours.set_signal_action(signal.SIGSEGV, action)
load = instance(LOAD).exports.load
for _ in range(3):
    trapped(load, -1)
    libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4096), 0)
    libc.memset(ctypes.c_void_p(address), 5, ctypes.c_size_t(4))  # without the GIL, which the callback takes
print(seen, trapped(load, -1))
"""
    expect(run(script), "[11, 11, 11] TrapKind.MEMORY_OUT_OF_BOUNDS")


def test_a_handler_in_front_of_ours_is_returned_to(run: Run) -> None:
    """While it runs SIGSEGV is blocked, which the kernel takes back when it returns."""
    script = """
from wasmine.compiler.machine import libc as ours, linux
load = instance(LOAD).exports.load
action = ours.signal_action(signal.SIGSEGV)
behind = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(action.handler)
seen = []
@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def in_front(number, info, context):
    behind(number, info, context)
    seen.append(number)
action.handler = ctypes.cast(in_front, ctypes.c_void_p).value
action.flags = linux.SA_SIGINFO
ours.set_signal_action(signal.SIGSEGV, action)
kinds = [trapped(load, -1) for _ in range(3)]
print(seen, *kinds, signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    expect(run(script), "[11, 11, 11]" + 3 * " TrapKind.MEMORY_OUT_OF_BOUNDS" + " set()")


def test_an_alternate_stack_that_the_kernel_takes_away_while_it_is_used(run: Run) -> None:
    script = """
from wasmine.compiler.machine.linux import SS_AUTODISARM
class Stack(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_uint), ("size", ctypes.c_size_t))
room = ctypes.create_string_buffer(1 << 16)
if ctypes.CDLL(None).sigaltstack(ctypes.byref(Stack(ctypes.addressof(room), SS_AUTODISARM, 1 << 16)), None):
    raise SystemExit("no such stack")
load = instance(LOAD).exports.load
kinds = [trapped(load, -1) for _ in range(3)]
now = Stack()
ctypes.CDLL(None).sigaltstack(None, ctypes.byref(now))
print(*kinds, now.start == ctypes.addressof(room), now.size)
"""
    done = run(script)
    if "no such stack" in done.stderr:
        pytest.skip("this kernel, or qemu in its place, takes no such stack")
    expect(done, 3 * "TrapKind.MEMORY_OUT_OF_BOUNDS " + "True 65536")


def test_the_state_of_floats_outside_of_wasm_is_kept(run: Run) -> None:
    """The C library sets the rounding of both units of the processor, and reads it from x87 on x86-64."""
    script = """
math = ctypes.CDLL("libm.so.6")
load = instance(LOAD).exports.load
upward = 0x800 if os.uname().machine == "x86_64" else 0x400000
math.fesetround(upward)
kinds = [trapped(load, -1) for _ in range(3)]
print(*kinds, math.fegetround() == upward)
"""
    expect(run(script), 3 * "TrapKind.MEMORY_OUT_OF_BOUNDS " + "True")


def test_no_signal_stays_blocked(run: Run) -> None:
    script = """
load = instance(LOAD).exports.load
kinds = {trapped(load, -1) for _ in range(10)}
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    expect(run(script), "set()")


def test_a_hundred_thousand_traps_leave_nothing_behind(run: Run) -> None:
    script = """
load = instance(LOAD).exports.load
divide = instance('(module (func (export "f") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0))))').exports.f
def traps(count):
    for i in range(count):
        trapped(load, -1 - i % 1000)
        trapped(divide, 0)
traps(2000)
gc.collect()
objects, pages = len(gc.get_objects()), resident()
traps(50_000)
gc.collect()
print(len(gc.get_objects()) - objects < 10, resident() - pages < 1 << 20)
"""
    expect(run(script), "True True")


def test_eight_threads_trap_at_once(run: Run) -> None:
    script = """
import re
text = '''(module (memory 1) (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "div") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0))))'''
module = wasmine.Module(text)
faulthandler.enable()
wrong = []
barrier = threading.Barrier(8)
def work(number):
    exports = instance(module).exports
    barrier.wait()
    for i in range(3000):
        address = 0x10_0000 * (number + 1) + i
        try:
            exports.load(address)
        except Trap as trap:
            if f" at {address:#x} in" not in trap.detail or trap.frames[0].function != "load":
                wrong.append(trap)
        if trapped(exports.div, 0) is not TrapKind.INTEGER_DIVIDE_BY_ZERO:
            wrong.append(i)
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(wrong[:3])
"""
    expect(run(script), "[]")


@pytest.mark.parametrize("later", LATER)
def test_a_fault_is_a_trap_whatever_others_do_later(run: Run, later: str) -> None:
    script = f"load = instance(LOAD).exports.load\n{LATER[later]}\nprint(trapped(load, -1), trapped(load, -5), load(0))"
    expect(run(script), "TrapKind.MEMORY_OUT_OF_BOUNDS TrapKind.MEMORY_OUT_OF_BOUNDS 0")


def test_a_thread_that_blocks_all_signals_can_trap_and_be_stopped(run: Run) -> None:
    script = """
made = instance('(module (memory 1) (func (export "load") (drop (i32.load (i32.const -1)))) (func (export "spin") (loop (br 0))))')
def work():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    print(trapped(made.exports.load))
    made.timeout = 0.05
    try:
        made.exports.spin()
    except wasmine.Timeout as error:
        print(error.reason)
    print(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []))
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    expect(run(script), "TrapKind.MEMORY_OUT_OF_BOUNDS\nthe time limit of 0.05 s ran out\nTrue")


def test_handlers_of_python_get_what_is_sent(run: Run) -> None:
    script = """
load = instance(LOAD).exports.load
signal.signal(signal.SIGSEGV, lambda number, frame: print("called", number, flush=True))
os.kill(os.getpid(), signal.SIGSEGV)
print(trapped(load, -1), callable(signal.getsignal(signal.SIGSEGV)))
"""
    expect(run(script), "called 11\nTrapKind.MEMORY_OUT_OF_BOUNDS True")


def test_a_thread_that_calls_no_guests_may_block_any_signal_and_wait_for_it(run: Run) -> None:
    script = """
guest = instance(LOAD)
guest.exports.load(0)
def wait():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])
    signal.pthread_kill(threading.get_ident(), signal.SIGURG)
    print(signal.sigtimedwait([signal.SIGURG], 30) is not None)
thread = threading.Thread(target=wait)
thread.start()
thread.join()
print(guest.exports.load(0))
"""
    expect(run(script), "True\n0")
