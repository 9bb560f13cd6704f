"""Compares the reference of the template tests with PyPI's `wasmtime`, instruction by instruction. A script, not a test.

    python tests/compiler/semantics/against_wasmtime.py [CASES]

Operands and results go through the guest's memory, so every bit of them counts, NaNs included.
"""

from __future__ import annotations

import random
import sys
from itertools import cycle
from pathlib import Path

import wasmtime

sys.path.insert(0, str(Path(__file__).parent.parent / "templates"))

from cases import values
from memory_reference import access_memory
from reference import WIDTH, agrees, evaluate

from wasmine.compiler.semantics import Meaning, meanings
from wasmine.errors import TrapKind

_TYPES = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "v": "v128"}
_TRAPS = {
    TrapKind.INTEGER_DIVIDE_BY_ZERO: "integer divide by zero",
    TrapKind.INTEGER_OVERFLOW: "integer overflow",
    TrapKind.INVALID_CONVERSION: "invalid conversion to integer",
}
DATA = 256


def text(name: str, meaning: Meaning, lane: int) -> str:
    """A module whose function `f` takes operands from memory, at 0, 16, ..., and leaves its results at 128, 144, ..."""
    operands = []
    for place, letter in enumerate(meaning.params):
        if letter == "a":
            operands.append(f"(i32.const {DATA})")
        else:
            operands.append(f"({_TYPES[letter]}.load (i32.const {16 * place}))")
    locals_ = " ".join(f"(local {_TYPES[letter]})" for letter in meaning.results)
    immediate = f" {lane}" if lane >= 0 else ""
    body = " ".join(operands) + f" {name}{immediate}"
    for place in reversed(range(len(meaning.results))):
        body += f" local.set {place}"
    for place, letter in enumerate(meaning.results):
        body += f" ({_TYPES[letter]}.store (i32.const {128 + 16 * place}) (local.get {place}))"
    return f'(module (memory (export "m") 1) (func (export "f") {locals_} {body}))'


def compare(engine: wasmtime.Engine, name: str, meaning: Meaning, lane: int, count: int) -> list[str]:
    """What differs."""
    rng = random.Random(f"{name}{lane}")
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, text(name, meaning, lane)), []).exports(store)
    memory, function = exports["m"], exports["f"]
    columns = [cycle(values(letter, rng) if letter != "a" else [0]) for letter in meaning.params]
    problems = []
    for _ in range(count):
        row = tuple(next(column) for column in columns)
        data = rng.randbytes(meaning.size)
        if "cmpxchg" in name and rng.random() < 0.5:
            # What is expected is there, whatever stands above it.
            above = rng.choice((0, row[1])) >> 8 * meaning.size << 8 * meaning.size
            row = (row[0], int.from_bytes(data, "little") | above, row[2])
        for place, (letter, operand) in enumerate(zip(meaning.params, row, strict=True)):
            memory.write(store, operand.to_bytes(WIDTH[letter] // 8, "little"), 16 * place)
        memory.write(store, data, DATA)
        expected: tuple[int, ...] | TrapKind
        stored = data
        if meaning.size:
            expected, stored = access_memory(name, data, row[1:])
        else:
            expected = evaluate(name, meaning, row, lane)
        try:
            function(store)
        except wasmtime.Trap as trap:
            if not isinstance(expected, TrapKind) or _TRAPS[expected] not in str(trap):
                problems.append(f"{name} {lane} {row}: {trap}, expected {expected}")
            continue
        if isinstance(expected, TrapKind):
            problems.append(f"{name} {lane} {row}: no trap, expected {expected}")
            continue
        for place, (letter, value) in enumerate(zip(meaning.results, expected, strict=True)):
            start = 128 + 16 * place
            found = int.from_bytes(memory.read(store, start, start + WIDTH[letter] // 8), "little")
            if not agrees(name, letter, found, value):
                problems.append(f"{name} {lane} {[hex(x) for x in row]}: {found:#x}, expected {value:#x}")
        if bytes(memory.read(store, DATA, DATA + meaning.size)) != stored:
            problems.append(f"{name} {lane} {row}: memory differs")
    return problems


def main() -> int:
    """Compares every instruction; the exit code."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    config = wasmtime.Config()
    config.wasm_threads = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_wide_arithmetic = True
    engine = wasmtime.Engine(config)
    compared, problems = 0, []
    skipped = []
    for name, meaning in meanings().items():
        if name.endswith((".const", "!", "shuffle", "_lane")) and not name.endswith(("extract_lane", "replace_lane")):
            skipped.append(name)
            continue
        for lane in range(meaning.lanes) if meaning.lanes else (-1,):
            problems += compare(engine, name, meaning, lane, count)[:2]
            compared += count
    print("\n".join(problems[:60]))
    print(f"not compared: {', '.join(skipped)}")
    print(f"{compared} comparisons, {len(problems)} differences")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
