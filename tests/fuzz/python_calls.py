"""Fuzzing of calls as Python makes them: arguments and results of all kinds, right and wrong, mean the same to both engines.

Functions of random types, some of them the host's, are called with numbers in and out of range, objects that pass for
numbers, too many and too few arguments; host functions return, or raise, anything. What comes back is compared: values
with their Python types, or the exception and its words.

    python tests/fuzz/python_calls.py --count 200 --seed 1
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import wasmine

TYPES: Final = ("i32", "i64", "f32", "f64", "v128", "externref", "funcref", "exnref")
WEIGHTS: Final = (5, 4, 3, 4, 2, 2, 1, 1)
FUNCTIONS: Final = 6
CALLS: Final = 100


class Whole(int):
    """A subclass may do as it likes."""


class Indexed:
    """What has an index passes for an int."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number


class Measured:
    """What has a float does not pass for one everywhere."""

    def __float__(self) -> float:
        return 1.25


class Broken:
    def __index__(self) -> int:
        raise RuntimeError("no index today")

    def __float__(self) -> float:
        raise RuntimeError("no float today")


class Self:
    """Stands for a function of the instance that is called."""


_EDGES: Final = tuple(
    sign * (1 << n) + d for n in (30, 31, 32, 60, 63, 64, 127, 128, 200) for d in (-1, 0) for sign in (1, -1)
)
_ODD: Final = (
    0.0,
    -0.0,
    math.nan,
    math.inf,
    1e300,
    5e-324,
    3.5e38,
    True,
    False,
    None,
    "x",
    b"",
    b"0123456789abcdef",
    (),
    1j,
)


def anything(random: Random) -> Any:
    """An object that may or may not be an argument."""
    makers: tuple[Callable[[], Any], ...] = (
        lambda: random.choice(_EDGES),
        lambda: random.randrange(-100, 100),
        lambda: random.choice(_ODD),
        lambda: Whole(random.choice((5, 1 << 31, 1 << 70))),
        lambda: Indexed(random.choice((3, -1, 1 << 32, 1 << 64))),
        Measured,
        Broken,
        lambda: memoryview(b"0123456789abcdef"),
        Self,
    )
    return random.choice(makers)()


def argument(random: Random, type: str) -> Any:
    """An object that is right for a type."""
    match type:
        case "i32" | "i64":
            bits = int(type[1:])
            return random.randrange(-1 << bits - 1, 1 << bits)
        case "f32" | "f64":
            return random.choice((1.5, -0.0, math.inf, 7, 1e30, True))
        case "v128":
            return random.choice((b"0123456789abcdef", 5, 1 << 127))
        case "externref":
            return anything(random)
        case "funcref":
            return random.choice((None, Self()))
    return None


@dataclass
class Shape:
    """A function: its types, and whether the host has it. It returns its parameters, or the first of them."""

    params: tuple[str, ...]
    results: tuple[str, ...]
    by_host: bool

    def text(self, number: int) -> tuple[str, str]:
        """The import, if it is one, and the function that is exported."""
        type = f"(param {' '.join(self.params)}) (result {' '.join(self.results)})"
        gets = " ".join(f"(local.get {i})" for i in range(len(self.params if self.by_host else self.results)))
        if not self.by_host:
            return "", f'(func (export "f{number}") {type} {gets})'
        imported = f'(import "host" "h{number}" (func $h{number} {type}))'
        return imported, f'(func (export "f{number}") {type} (call $h{number} {gets}))'


@dataclass
class Tally:
    """What came of calls, and what differed."""

    endings: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


def compare(seed: int, tally: Tally) -> None:
    """Call the functions of one module on both engines."""
    random = Random(f"python calls/{seed}")
    shapes = [_shape(random) for _ in range(FUNCTIONS)]
    texts = [shape.text(number) for number, shape in enumerate(shapes)]
    text = f"(module {' '.join(t for t, _ in texts)} {' '.join(t for _, t in texts)})"
    answer: list[Any] = [None]
    with wasmine.Runtime("interpreter") as plain, wasmine.Runtime("compiler") as fast:
        instances = [
            runtime.instantiate(text, {"host": {f"h{n}": _host(answer) for n in range(FUNCTIONS)}})
            for runtime in (plain, fast)
        ]
        for _ in range(CALLS):
            number = random.randrange(FUNCTIONS)
            shape = shapes[number]
            arguments = [anything(random) if random.random() < 0.15 else argument(random, t) for t in shape.params]
            if random.random() < 0.1:
                arguments = random.choice((arguments[:-1], [*arguments, 1]))
            first = argument(random, shape.results[0]) if shape.results else None
            said = random.choice((first, first, anything(random), (1, 2), ValueError("of the host")))
            found = []
            for instance in instances:
                own = instance.exports.f0
                answer[0] = own if isinstance(said, Self) else said
                given = [own if isinstance(value, Self) else value for value in arguments]
                found.append(_outcome(instance.exports[f"f{number}"], given))
            tally.endings[found[0][0]] += 1
            if found[0] != found[1]:
                tally.differences.append(f"{seed}: {shape} {arguments} {said}:\n  {found[0]}\n  {found[1]}")


def _shape(random: Random) -> Shape:
    params = tuple(random.choices(TYPES, WEIGHTS, k=random.choice((0, 1, 1, 2, 3, 4, 6, 9, 14))))
    return Shape(params, random.choice((params, params[:1])), random.random() < 0.4)


def _host(answer: list[Any]) -> Callable[..., Any]:
    def call(*_: Any) -> Any:
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer[0]

    return call


def _outcome(function: Callable[..., Any], arguments: list[Any]) -> tuple[str, Any]:
    try:
        return "returned", _shown(function(*arguments))
    except Exception as error:
        # But for the class of functions, which is the engine's own.
        return type(error).__name__, re.sub(r"[\w.]*(Compiled|Interpreter|Native)Function", "Function", str(error))


def _shown(value: Any) -> Any:
    """A value so that all of it is compared."""
    if isinstance(value, tuple):
        return tuple(map(_shown, value))
    if isinstance(value, wasmine.Function):
        return "function", value.name
    if isinstance(value, int | float | bytes | str | None):
        return type(value).__name__, repr(value)
    return type(value).__name__, id(value)


def main() -> int:
    parser = argparse.ArgumentParser(description="Call functions from Python on both engines and compare.")
    parser.add_argument("--count", type=int, default=100, help="modules (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="number of the first (default: 0)")
    options = parser.parse_args()
    tally = Tally()
    for seed in range(options.seed, options.seed + options.count):
        compare(seed, tally)
    print(*tally.differences[:20], sep="\n")
    print(f"{tally.endings.total()} calls: {dict(tally.endings)}, {len(tally.differences)} differences")
    return 1 if tally.differences else 0


if __name__ == "__main__":
    sys.exit(main())
