"""Recursion without end is an error, however large the stack is and whoever calls whom."""

from __future__ import annotations

import pytest
from tests.compiler.machine.conftest import Run, expect

RUNAWAY = """
deep = instance('''(module (import "h" "f" (func $f (param i32)))
  (func $r (export "r") (param i32) (result i32) (i32.add (i32.const 1) (call $r (local.get 0))))
  (func $v (export "v") (param v128 f64) (result f64) (local v128 v128 f64 i64)
    (local.set 2 (local.get 0)) (f64.add (local.get 1) (call $v (local.get 2) (local.get 1))))
  (func $h (export "h") (param i32) (call $f (local.get 0)))
  (func (export "t") (param i32) (return_call $f (local.get 0)))
  (func $n (export "n") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.add (i32.const 1) (call $n (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0)))))''',
  {"h": {"f": lambda n: getattr(deep, path)(n)}}).exports
"""

STACKS = {
    "as it is": "true",
    "256 KiB": "ulimit -s 256",
    "1 MiB": "ulimit -s 1024",
    "64 MiB": "ulimit -s 65536",
    "unlimited": "ulimit -s unlimited",
}

# How Python says that Python and wasm called each other too often, at whichever of the two it happened.
BOTH = """
for path in ("h", "t"):
    for limit in (1000, 1_000_000):
        sys.setrecursionlimit(limit)
        for _ in range(3):
            try:
                getattr(deep, path)(7)
            except RecursionError:
                print("recursion", end=" ")
            except Trap as trap:
                print("recursion" if trap.kind is TrapKind.STACK_OVERFLOW else trap, end=" ")
"""


@pytest.mark.parametrize("stack", STACKS)
def test_runaway_recursion_in_wasm(run: Run, stack: str) -> None:
    script = RUNAWAY + "print(*[trapped(deep.r, 1) for _ in range(3)], trapped(deep.v, 1, 2.0), deep.n(100))"
    expect(run(script, before=STACKS[stack]), " ".join(["TrapKind.STACK_OVERFLOW"] * 4) + " 100")


@pytest.mark.parametrize("stack", STACKS)
def test_runaway_recursion_through_python(run: Run, stack: str) -> None:
    script = RUNAWAY + BOTH
    done = run(script, before=STACKS[stack])
    expect(done, " ".join(["recursion"] * 12))
    assert done.stderr == ""


@pytest.mark.parametrize("kibibytes", [256, 512, 1024, 16384])
def test_runaway_recursion_on_threads(run: Run, kibibytes: int) -> None:
    script = (
        RUNAWAY
        + f"threading.stack_size({kibibytes} << 10)\n"
        + "def work():\n    global path\n    print(trapped(deep.r, 1), trapped(deep.v, 1, 2.0), end=' ')\n"
        + "\n".join("    " + line for line in BOTH.splitlines())
        + "\nfor _ in range(2):\n    t = threading.Thread(target=work); t.start(); t.join()"
    )
    once = ["TrapKind.STACK_OVERFLOW"] * 2 + ["recursion"] * 12
    expect(run(script), " ".join(once * 2))


def test_a_large_frame_is_noticed_before_it_is_used(run: Run) -> None:
    """50,000 locals are 800 KB, more than what is left behind the limit for small frames."""
    script = """
text = f'''(module (func $r (export "r") (param v128) {"(local v128)" * 49_000}
  (local.set 48000 (local.get 0)) (call $r (local.get 48000))))'''
print(trapped(instance(text).exports.r, 1))
"""
    expect(run(script), "TrapKind.STACK_OVERFLOW")


def test_a_thousand_parameters_and_results(run: Run) -> None:
    script = """
types = "v128 " * 1000
text = f'''(module (import "h" "f" (func $f (param {types}) (result {types})))
  (func (export "g") (param {types}) (result {types}) {"".join(f"(local.get {i})" for i in range(1000))} (call $f)))'''
def f(*values):
    inner = exports.g(*values) if depth.pop() else values
    return inner[::-1]
depth = [False, True, True]
exports = instance(text, {"h": {"f": f}}).exports
print(exports.g(*range(1000)) == tuple(i.to_bytes(16, "little") for i in reversed(range(1000))))
"""
    expect(run(script), "True")
