"""How fast the interpreter runs small kernels, next to the pure Python runtimes pwasm and pywasm (from PyPI), in one run.

    python benchmarks/interpreter.py [KERNEL ...]

Each kernel is called in a fresh instance, the first time with everything that the call brings with it (lowering,
compiling), then warm; pywasm, which keeps nothing between calls and takes seconds, is called once. Ratios are the peer's
time over Wasmine's: above 1 Wasmine is faster. The results of all are compared. pwasm's cache on disk is switched off.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

os.environ["PWASM_CACHE_DIR"] = ""

import wasmine

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_ROUNDS = 30

KERNELS = """
(module
  (memory (export "memory") 4)
  (func (export "nothing") (result i32) (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 0))
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "sum") (param $n i32) (result i32) (local $i i32) (local $s i32)
    (loop $l
      (local.set $s (i32.add (local.get $s) (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $s))
  (func (export "sieve") (param $n i32) (result i32) (local $i i32) (local $j i32) (local $c i32)
    (memory.fill (i32.const 0) (i32.const 1) (local.get $n))
    (local.set $i (i32.const 2))
    (block $done
      (loop $outer
        (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
        (if (i32.load8_u (local.get $i))
          (then
            (local.set $c (i32.add (local.get $c) (i32.const 1)))
            (local.set $j (i32.mul (local.get $i) (local.get $i)))
            (block $x
              (loop $inner
                (br_if $x (i32.ge_u (local.get $j) (local.get $n)))
                (i32.store8 (local.get $j) (i32.const 0))
                (local.set $j (i32.add (local.get $j) (local.get $i)))
                (br $inner)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $outer)))
    (local.get $c))
  (func (export "crc32") (param $p i32) (param $n i32) (result i32) (local $c i32) (local $k i32)
    (local.set $c (i32.const -1))
    (block $done
      (loop $l
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $c (i32.xor (local.get $c) (i32.load8_u (local.get $p))))
        (local.set $k (i32.const 8))
        (loop $b
          (local.set $c (i32.xor (i32.shr_u (local.get $c) (i32.const 1))
             (i32.and (i32.const 0xedb88320) (i32.sub (i32.const 0) (i32.and (local.get $c) (i32.const 1))))))
          (br_if $b (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $l)))
    (i32.xor (local.get $c) (i32.const -1)))
  (func (export "mix") (param $n i32) (result i64) (local $x i64)
    (local.set $x (i64.const 0x9e3779b97f4a7c15))
    (loop $l
      (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 30))))
      (local.set $x (i64.mul (local.get $x) (i64.const 0xbf58476d1ce4e5b9)))
      (local.set $x (i64.xor (i64.rotl (local.get $x) (i64.const 13)) (i64.extend_i32_u (local.get $n))))
      (local.set $x (i64.add (local.get $x) (i64.shl (local.get $x) (i64.const 3))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x))
  (func (export "matmul") (param $n i32) (result f64)
    (local $i i32) (local $j i32) (local $k i32) (local $s f64)
    (local $a i32) (local $b i32) (local $c i32) (local $row i32)
    (local.set $row (i32.shl (local.get $n) (i32.const 3)))
    (local.set $b (i32.mul (local.get $row) (local.get $n)))
    (local.set $c (i32.shl (local.get $b) (i32.const 1)))
    ;; fill a and b
    (loop $f
      (f64.store (i32.shl (local.get $i) (i32.const 3)) (f64.convert_i32_s (i32.rem_u (local.get $i) (i32.const 7))))
      (f64.store (i32.add (local.get $b) (i32.shl (local.get $i) (i32.const 3)))
        (f64.div (f64.convert_i32_u (local.get $i)) (f64.const 3)))
      (br_if $f (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.mul (local.get $n) (local.get $n)))))
    (local.set $i (i32.const 0))
    (loop $li
      (local.set $j (i32.const 0))
      (loop $lj
        (local.set $s (f64.const 0))
        (local.set $k (i32.const 0))
        (loop $lk
          (local.set $s (f64.add (local.get $s)
            (f64.mul (f64.load (i32.add (i32.mul (local.get $i) (local.get $row)) (i32.shl (local.get $k) (i32.const 3))))
            (f64.load (i32.add (local.get $b) (i32.add (i32.mul (local.get $k) (local.get $row))
                                                       (i32.shl (local.get $j) (i32.const 3))))))))
          (br_if $lk (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (local.get $n))))
        (f64.store (i32.add (local.get $c) (i32.add (i32.mul (local.get $i) (local.get $row))
                                                   (i32.shl (local.get $j) (i32.const 3)))) (local.get $s))
        (br_if $lj (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n))))
      (br_if $li (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (f64.load (i32.sub (i32.add (local.get $c) (local.get $b)) (i32.const 8))))
)
"""


class Case(NamedTuple):
    """A kernel and its arguments."""

    name: str
    arguments: tuple[int, ...]


CASES = (
    Case("fib", (20,)),
    Case("sieve", (30_000,)),
    Case("sum", (100_000,)),
    Case("crc32", (0, 2_000)),
    Case("mix", (20_000,)),
    Case("matmul", (24,)),
)


class Measured(NamedTuple):
    """Seconds of the first call, of the fastest warm one, and what the kernel returned."""

    first: float
    warm: float
    result: object


def measure(calls: list[Callable[[], object]], rounds: int) -> list[Measured]:
    """Call each once, then in turns: what else the machine does at the time hits all alike."""
    results: list[object] = []
    times: list[list[float]] = []
    for call in calls:
        start = time.thread_time()
        results.append(call())
        times.append([time.thread_time() - start])
    for _ in range(rounds):
        for call, own in zip(calls, times, strict=True):
            start = time.thread_time()
            call()
            own.append(time.thread_time() - start)
    return [Measured(own[0], min(own), result) for own, result in zip(times, results, strict=True)]


def wasmine_call(binary: Path, name: str, arguments: tuple[int, ...]) -> Callable[[], object]:
    """A call of a kernel in a fresh instance of a fresh module."""
    function = wasmine.Runtime(engine="interpreter").instantiate(wasmine.Module(binary)).exports[name]
    return lambda: function(*arguments)


def pwasm_call(binary: Path, name: str, arguments: tuple[int, ...]) -> Callable[[], object]:
    """The same in pwasm."""
    import pwasm

    instance = pwasm.instantiate(pwasm.decode_module(binary.read_bytes()))
    function = getattr(instance.exports, name)
    return lambda: function(*arguments)


def pywasm_call(binary: Path, name: str, arguments: tuple[int, ...]) -> Callable[[], object]:
    """The same in pywasm."""
    import pywasm

    runtime = pywasm.core.Runtime()
    instance = runtime.instance_from_file(str(binary))
    return lambda: runtime.invocate(instance, name, list(arguments))[0]


def ratio(peer: float, own: float) -> str:
    """How many times longer the peer takes."""
    return f"{peer / own:,.2f}x" if peer / own < 10 else f"{peer / own:,.0f}x"


def report(binary: Path, case: Case) -> None:
    """Measure one kernel on all and print a line."""
    makers = (wasmine_call, pwasm_call)
    own, peer = measure([make(binary, case.name, case.arguments) for make in makers], WARM_ROUNDS)
    slow = measure([pywasm_call(binary, case.name, case.arguments)], 0)[0]
    if not own.result == peer.result == slow.result:
        raise SystemExit(f"{case.name}: different results: {own.result}, {peer.result}, {slow.result}")
    print(
        f"{case.name:8} first {own.first * 1e3:7.2f} ms, pwasm {ratio(peer.first, own.first):>7}, "
        f"pywasm {ratio(slow.first, own.first):>7}   "
        f"warm {own.warm * 1e3:7.2f} ms, pwasm {ratio(peer.warm, own.warm):>7}, pywasm {ratio(slow.warm, own.warm):>7}"
    )


def main(names: list[str]) -> None:
    """Measure the kernels of these names, or all."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder, "kernels.wasm")
        binary.write_bytes(wasmine.Module(KERNELS).to_bytes())
        # What is loaded once per process is not the kernel's: have everybody run something first.
        for start in (wasmine_call, pwasm_call, pywasm_call):
            start(binary, "nothing", ())()
        for case in CASES:
            if not names or case.name in names:
                report(binary, case)


if __name__ == "__main__":
    main(sys.argv[1:])
