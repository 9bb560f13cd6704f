"""Compare the meaning of every vector instruction with PyPI's `wasmtime`, on random and extreme operands.

    python tests/fuzz/simd_against_wasmtime.py [ROUNDS] [SEED]

Each instruction becomes a wasm function that loads its operands from memory and stores its result there. NaNs count as
equal where WebAssembly leaves the payload open, and so do the results of relaxed instructions it leaves open.
"""

from __future__ import annotations

import random
import struct
import sys
from typing import Final

import wasmtime

from wasmine.format.instructions import INSTRUCTIONS, Instruction
from wasmine.interpreter.simd import function
from wasmine.runtime.bits import f32_from_bits, f32_to_bits, f64_from_bits, f64_to_bits

TYPES: Final = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "v": "v128"}
SIZES: Final = {"i": 4, "I": 8, "f": 4, "F": 8, "v": 16}
NOT_TESTED: Final = {"v128.load", "v128.store"}

# These move bits, NaNs included; of all other instructions that give floats, only whether a lane is a NaN is compared.
BIT_EXACT: Final = {"abs", "neg", "pmin", "pmax", "splat", "replace_lane", "eq", "ne", "lt", "gt", "le", "ge"}
# Several results are allowed, and wasmtime chooses another one (even with its deterministic ones chosen).
OPEN: Final = {
    "f32x4.relaxed_madd",
    "f32x4.relaxed_nmadd",
    "f64x2.relaxed_madd",
    "f64x2.relaxed_nmadd",
    "i16x8.relaxed_dot_i8x16_i7x16_s",
    "i32x4.relaxed_dot_i8x16_i7x16_add_s",
}

EXTREMES: Final = {
    8: [0, 1, 2, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF],
    16: [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFE, 0x7FFF, 0x8000, 0x8001, 0xFF7F, 0xFF80, 0xFFFF],
    32: [0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFF8000, 0xFFFFFFFF]
    + [f32_to_bits(sign * x) for sign in (1.0, -1.0) for x in (0.0, 0.5, 1.0, 1.5, 2.5, 255.5, 3.4028234663852886e38)]
    + [0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7FA00000, 0xFF800001, 0x00800000, 0x007FFFFF, 0x4F000000],
    64: [0, 1, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFF, 0x80000000]
    + [f64_to_bits(sign * x) for sign in (1.0, -1.0) for x in (0.0, 0.5, 1.5, 2.5, 2147483648.5, 1e39, 1e300, 5e-324)]
    + [0x7FF0 << 48, 0xFFF0 << 48, 0x7FF8 << 48, 0x7FF4 << 48, 0xFFF8000000000001, 0x7FF0000000000001],
}


def random_bits(width: int, chance: random.Random) -> int:
    """A number of `width` bits made of extreme and random lanes of some width."""
    lane = chance.choice([size for size in (8, 16, 32, 64) if size <= width])
    bits = 0
    for _ in range(width // lane):
        extreme = chance.random() < 0.7
        bits = bits << lane | (chance.choice(EXTREMES[lane]) if extreme else chance.getrandbits(lane))
    return bits


def immediates(instruction: Instruction, chance: random.Random) -> tuple[int | bytes, ...]:
    """Random immediates, a memory argument aside."""
    for immediate in instruction.immediates:
        if immediate.kind == "lane":
            return (chance.randrange(immediate.bound),)
        if immediate.kind == "lanes":
            start = chance.randrange(17)
            return (
                bytes(range(start, start + 16)) if chance.random() < 0.3 else chance.randbytes(16).translate(MOD_32),
            )
        if immediate.kind == "v128":
            return (chance.randbytes(16),)
    return ()


MOD_32: Final = bytes(byte % 32 for byte in range(256))


def wat(instruction: Instruction, values: tuple[int | bytes, ...], name: str) -> str:
    """A function of the text format: operands from memory at 0, 16, 32 and the result to 48."""
    text = [instruction.name]
    for value in values:
        if instruction.name == "v128.const":
            assert isinstance(value, bytes)
            text.append("i32x4 " + " ".join(map(str, struct.unpack("<4I", value))))
        else:
            text.append(str(value) if isinstance(value, int) else " ".join(map(str, value)))
    operands = []
    for place, letter in enumerate(instruction.params or ""):
        if letter == "a":
            operands.append("(i32.const 48)" if not instruction.results else f"(i32.const {16 * place})")
        else:
            operands.append(f"({TYPES[letter]}.load (i32.const {16 * place}))")
    call = f"({' '.join(text)} {' '.join(operands)})"
    if instruction.results:
        call = f"({TYPES[instruction.results]}.store (i32.const 48) {call})"
    return f'(func (export "{name}") {call})'


def to_value(letter: str, bits: int) -> int | float:
    """The internal value with these bits."""
    return f32_from_bits(bits) if letter == "f" else f64_from_bits(bits) if letter == "F" else bits


def to_bits(letter: str, value: int | float) -> int:
    """The bits of an internal value."""
    return f32_to_bits(value) if letter == "f" else f64_to_bits(value) if letter == "F" else int(value)


def same(name: str, ours: int, theirs: int) -> bool:
    """Whether two results of an instruction are equal as far as WebAssembly says what they are."""
    if ours == theirs or name in OPEN:
        return True
    shape, _, operation = name.partition(".")
    if shape not in ("f32x4", "f64x2") or operation in BIT_EXACT:
        return False
    width, quiet = (32, 0x7FC00000) if shape == "f32x4" else (64, 0x7FF8 << 48)
    for start in range(0, 128, width):
        one, other = ours >> start & (1 << width) - 1, theirs >> start & (1 << width) - 1
        if one != other and not (one & quiet == quiet == other & quiet):
            return False
    return True


def memory_bits(instruction: Instruction) -> int:
    """How many bits an instruction reads from memory."""
    name = instruction.name
    return (8 << instruction.alignment) if "load" in name else 0


def main(rounds: int, seed: int) -> int:
    """Run; the exit code."""
    chance = random.Random(seed)
    tested = [
        instruction
        for instruction in INSTRUCTIONS
        if instruction.feature in ("simd", "relaxed_simd") and instruction.name not in NOT_TESTED
    ]
    cases = [(instruction, immediates(instruction, chance)) for instruction in tested for _ in range(4)]
    text = "\n".join(wat(instruction, values, f"f{i}") for i, (instruction, values) in enumerate(cases))
    config = wasmtime.Config()
    config.wasm_relaxed_simd_deterministic = True
    store = wasmtime.Store(wasmtime.Engine(config))
    module = wasmtime.Module(store.engine, f'(module (memory (export "memory") 1) {text})')
    exports = wasmtime.Instance(store, module, []).exports(store)
    memory = exports["memory"]
    failures = 0
    for i, (instruction, values) in enumerate(cases):
        run = exports[f"f{i}"]
        ours = function(instruction.name, *values)
        for _ in range(rounds):
            memory.write(store, bytes(64))
            operands = []
            for place, letter in enumerate(instruction.params or ""):
                size = SIZES.get(letter, memory_bits(instruction) // 8)
                bits = random_bits(size * 8, chance) if size else 0
                memory.write(store, bits.to_bytes(size, "little"), 16 * place)
                if size:
                    operands.append(to_value(letter, bits))
            run(store)
            expected = int.from_bytes(memory.read(store, 48, 64), "little")
            got = to_bits(instruction.results or "i", ours(*operands))
            if not same(instruction.name, got, expected):
                failures += 1
                shown = ", ".join(
                    f"{operand:#x}" if isinstance(operand, int) else repr(operand) for operand in operands
                )
                print(f"{instruction.name} {values} ({shown}): {got:#x}, wasmtime {expected:#x}")
                break
    print(f"{len(tested)} instructions, {len(cases) * rounds} runs, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(arguments + [100, 1][len(arguments) :])))
