"""Locals that share registers: lifetimes, and random code with many locals against the interpreter."""

from __future__ import annotations

import random
from typing import ClassVar

import pytest

import wasmine
from wasmine.compiler.baseline.weights import weigh


def lives(body: str, params: str = "", locals: str = "(local $a i32) (local $b i32)") -> dict[int, tuple[int, int]]:
    # Padding makes the locals so many that lifetimes matter.
    padding = "(local i32 i32 i32 i32 i32 i32 i32)"
    used = " ".join(f"(drop (local.get {n}))" for n in range(params.count("i32") + 2, params.count("i32") + 9))
    module = wasmine.Module(f"(module (func {params} {locals} {padding} {body} {used}))")
    return weigh(module.context, 0).lives


def test_a_local_lives_from_where_it_is_set_to_where_it_is_read_last() -> None:
    found = lives(
        "(local.set $a (i32.const 1)) (drop (local.get $a)) (local.set $b (i32.const 2)) (drop (local.get $b))"
    )
    assert found[0] == (1, 2)
    assert found[1] == (3, 4)


def test_a_local_that_is_read_before_it_is_set_lives_from_the_start() -> None:
    assert lives("(drop (local.get $b)) (local.set $a (local.get $b)) (drop (local.get $a))")[1][0] == 0


def test_parameters_live_from_the_start() -> None:
    assert lives("(local.set $p (i32.const 1))", "(param $p i32)")[0] == (0, 1)


def test_what_is_set_in_one_arm_and_read_in_the_other_or_behind_lives_from_the_start() -> None:
    code = "(if (i32.const 1) (then (local.set $a (i32.const 1))) (else (drop (local.get $a))))"
    assert lives(code)[0][0] == 0
    assert lives("(block (br_if 0 (i32.const 1)) (local.set $a (i32.const 1))) (drop (local.get $a))")[0][0] == 0


def test_a_loop_keeps_what_it_was_entered_with_to_its_end() -> None:
    # Tokens: set, loop, get, set, end.
    found = lives("(local.set $a (i32.const 1)) (loop (drop (local.get $a)) (local.set $b (i32.const 2)))")
    assert found[0] == (1, 5)
    assert found[1] == (4, 4)


def test_what_a_loop_sets_before_it_reads_lives_in_it_only() -> None:
    found = lives("(loop (local.set $a (i32.const 1)) (drop (local.get $a)) (local.set $b (i32.const 1)))")
    assert found[0] == (2, 3)


class Writer:
    """Random code over locals: assignments, blocks that are left early, branches of conditions, loops that end.

    Each sequence has locals of its own, which it sets first; now and then any other local is read or set.
    """

    COUNTS: ClassVar = {"i": 14, "f": 20}
    TYPES: ClassVar = {"i": "i32", "f": "f64"}
    OPERATORS: ClassVar = {"i": ("add", "sub", "mul", "xor", "and", "lt_s", "eq"), "f": ("add", "sub", "min")}

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.labels = 0
        self.visible = {"i": [0, 1], "f": [0]}

    def local(self, kind: str) -> str:
        anywhere = self.random.random() < 0.02
        return f"${kind}{self.random.choice(range(self.COUNTS[kind]) if anywhere else self.visible[kind])}"

    def value(self, kind: str, depth: int = 0) -> str:
        type = self.TYPES[kind]
        if depth > 2 or self.random.random() < 0.4:
            if self.random.random() < 0.7:
                return f"(local.get {self.local(kind)})"
            return f"({type}.const {self.random.randrange(99)})"
        if kind == "f" and self.random.random() < 0.1:
            return f"(f64.convert_i32_s {self.value('i', depth + 1)})"
        if self.random.random() < 0.1:
            return f"(local.tee {self.local(kind)} {self.value(kind, depth + 1)})"
        operator = self.random.choice(self.OPERATORS[kind])
        return f"({type}.{operator} {self.value(kind, depth + 1)} {self.value(kind, depth + 1)})"

    def statements(self, depth: int, open_blocks: tuple[str, ...]) -> str:
        outer, lines = {kind: list(found) for kind, found in self.visible.items()}, []
        for kind in "iiff":
            own = self.random.choice([n for n in range(self.COUNTS[kind]) if n not in self.visible[kind]] or [0])
            lines.append(f"(local.set ${kind}{own} {self.value(kind)})")
            self.visible[kind].append(own)
        lines += [self.statement(depth, open_blocks) for _ in range(self.random.randrange(2, 6))]
        self.visible = outer
        return "\n".join(lines)

    def statement(self, depth: int, open_blocks: tuple[str, ...]) -> str:
        kind = self.random.choice("ifooblclcx" if depth < 3 else "ifooooox")
        self.labels += 1
        label = f"$l{self.labels}"
        if kind in self.TYPES:
            return f"(local.set {self.local(kind)} {self.value(kind)})"
        if kind == "o":  # where it can be seen
            return self.random.choice(
                (
                    f"(local.set $i0 (i32.xor (i32.mul (local.get $i0) (i32.const 31)) {self.value('i')}))",
                    f"(local.set $f0 (f64.add (f64.mul (local.get $f0) (f64.const 0.75)) {self.value('f')}))",
                )
            )
        if kind == "b":
            return f"(block {label} {self.statements(depth + 1, (*open_blocks, label))})"
        if kind == "c":
            then, otherwise = (self.statements(depth + 1, open_blocks) for _ in range(2))
            return f"(if {self.value('i')} (then {then}) (else {otherwise}))"
        if kind == "l":
            body = self.statements(depth + 1, open_blocks)
            count = f"$n{depth}"
            more = f"(i32.lt_u (local.tee {count} (i32.add (local.get {count}) (i32.const 1))) (i32.const 3))"
            return f"(local.set {count} (i32.const 0)) (loop {label} {body} (br_if {label} {more}))"
        if open_blocks:
            return f"(br_if {self.random.choice(open_blocks)} {self.value('i')})"
        return "nop"

    def module(self) -> str:
        integers = " ".join(f"(local $i{n} i32)" for n in range(2, self.COUNTS["i"]))
        floats = " ".join(f"(local $f{n} f64)" for n in range(1, self.COUNTS["f"]))
        body = "".join(self.statements(0, ()) for _ in range(3))
        return f"""(module (func (export "run") (param $i0 i32) (param $i1 i32) (param $f0 f64) (result i32 f64)
          {integers} {floats} (local $n0 i32) (local $n1 i32) (local $n2 i32) {body} (local.get $i0) (local.get $f0)))"""


@pytest.mark.parametrize("seed", range(150))
def test_random_code_with_many_locals_does_what_it_does_in_the_interpreter(seed: int) -> None:
    module = wasmine.Module(Writer(seed).module())
    with wasmine.Runtime("compiler") as compiler, wasmine.Runtime("interpreter") as interpreter:
        ours, theirs = (runtime.instantiate(module).exports.run for runtime in (compiler, interpreter))
        for arguments in ((0, 0, 0.0), (1, -7, 2.5), (123456, 3, -1e9)):
            assert repr(ours(*arguments)) == repr(theirs(*arguments))
