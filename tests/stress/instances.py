"""Makes and drops many instances in one runtime, and prints what that leaves behind.

    python tests/stress/instances.py [--count 100000] [--engine compiler]

The kinds: alone; with host functions; with functions in another instance's table; with function references as arguments;
clones of a snapshot; and the first two without being closed. Resident memory and address space are from /proc, blocks
are Python's. They must not grow from line to line.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from pathlib import Path

import wasmine

OWNER = """(module (table (export "t") 2 funcref)
  (func (export "call") (result i32) (call_indirect (result i32) (i32.const 0))))"""
KINDS = {
    "alone": """(module (memory 1) (table 2 funcref) (elem (i32.const 0) $f) (func $f (export "f") (result i32) (i32.const 1)))""",
    "host": """(module (import "h" "f" (func $f (result i32))) (memory 1) (table 2 funcref) (elem (i32.const 0) $f)
      (func (export "f") (result i32) (call_indirect (result i32) (i32.const 0))))""",
    "linked": """(module (import "o" "t" (table 2 funcref)) (memory 1) (elem (i32.const 0) $f)
      (func $f (export "f") (result i32) (i32.const 1)))""",
    "references": """(module (memory 1) (elem declare func $f) (func $f (export "f") (result i32) (i32.const 1))
      (func (export "g") (param funcref) (result funcref) (ref.func $f)))""",
}


def state() -> str:
    """What the process takes."""
    pages = Path("/proc/self/statm").read_text().split()
    return (
        f"{int(pages[1]) * 4096 >> 20:6} MiB resident, {int(pages[0]) * 4096 >> 30:6} GiB of address space, "
        f"{getattr(sys, 'getallocatedblocks', int)():9} blocks"
    )


def main() -> None:
    """Print a line for each tenth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--engine", default="compiler")
    arguments = parser.parse_args()
    runtime = wasmine.Runtime(arguments.engine)
    owner = runtime.instantiate(OWNER)
    modules = {name: wasmine.Module(text) for name, text in KINDS.items()}
    snapshot = runtime.instantiate(modules["alone"]).snapshot()
    kinds = [*((name, True) for name in KINDS), ("clone", True), ("alone", False), ("host", False)]
    start = time.perf_counter()
    for tenth in range(10):
        for number in range(arguments.count // 10):
            name, close = kinds[number % len(kinds)]
            if name == "clone":
                instance = snapshot.clone()
            else:
                instance = runtime.instantiate(modules[name], {"h": {"f": lambda: 1}, "o": owner})
            assert instance.exports.f() == 1
            if name == "linked":
                assert owner.exports.call() == 1
            if close:
                instance.close()
        del instance
        gc.collect()
        print(f"{(tenth + 1) * arguments.count // 10:8}: {state()}, {time.perf_counter() - start:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
