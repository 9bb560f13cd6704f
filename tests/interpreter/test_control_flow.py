"""Random nests of blocks, loops, branches and switches take the way that the specification gives, however printed.

The same programs are run as structured Python and through the dispatcher, and by a small interpreter of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wasmine
from wasmine.interpreter import structure

# A statement is a tuple whose first entry says which: see `render` and `execute`.
Statement: TypeAlias = tuple[Any, ...]
FUEL = 60


@pytest.fixture(params=["structured", "dispatcher"])
def printer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way of printing control flow."""
    if request.param == "dispatcher":
        # No nesting is allowed at all: everything becomes basic blocks.
        monkeypatch.setattr(structure, "MAX_LOOPS", -1)
    name: str = request.param
    return name


# ---------------------------------------------------------------------------------------------------- programs

conditions = st.tuples(st.sampled_from("xyh"), st.sampled_from([1, 2, 3, 4, 7]))


@cache
def statements(depth: int, labels: tuple[bool, ...]) -> st.SearchStrategy[list[Statement]]:
    """Bodies. `labels` says of each label in scope, the innermost first, whether a branch to it carries a value."""
    simple = st.one_of(
        st.tuples(st.just("note"), st.integers(1, 99)),
        st.tuples(st.just("step"), st.sampled_from("xy"), st.integers(-3, 5)),
        *([st.tuples(st.just("br_if"), st.integers(0, len(labels) - 1), conditions)] * 2 if labels else []),
    )
    ends = [st.tuples(st.just("br"), st.integers(0, len(labels) - 1))] * 2 if labels else []
    valueless = [i for i, carries in enumerate(labels) if not carries]
    if valueless:
        targets = st.lists(st.sampled_from(valueless), min_size=1, max_size=6)
        ends.append(st.tuples(st.just("br_table"), targets, st.sampled_from("xyh")))
    end = st.one_of(*ends, st.just(("return",)))
    body: st.SearchStrategy[Statement] = simple
    if depth:
        inner = statements(depth - 1, (False, *labels))
        body = st.one_of(
            simple,
            st.tuples(st.just("block"), inner),
            st.tuples(st.just("value"), statements(depth - 1, (True, *labels))),
            st.tuples(st.just("loop"), inner),
            st.tuples(st.just("if"), conditions, inner, inner),
        )
    return st.tuples(st.lists(body, max_size=4), st.none() | end).map(
        lambda parts: parts[0] + ([parts[1]] if parts[1] is not None else [])
    )


def nest(depth: int) -> st.SearchStrategy[list[Statement]]:
    """The shape of a C `switch` in a loop: a loop around blocks around a br_table."""

    def build(parts: list[list[Statement]], targets: list[int]) -> list[Statement]:
        body: list[Statement] = [("br_table", targets, "x")]
        for part in parts:
            body = [("block", body), *part]
        return [("loop", body), ("note", 5)]

    return st.integers(3, depth).flatmap(
        lambda count: st.builds(
            build,
            st.lists(statements(1, (False,)), min_size=count, max_size=count),
            st.lists(st.integers(0, count), min_size=2, max_size=12),
        )
    )


# ---------------------------------------------------------------------------------------------------- as text


def condition_text(condition: tuple[str, int]) -> str:
    name, mask = condition
    return f"(i32.and (local.get ${name}) (i32.const {mask}))"


def render(body: list[Statement], labels: tuple[bool, ...]) -> Iterator[str]:
    for statement in body:
        match statement:
            case ("note", number):
                yield f"(call $note (i32.const {number}))"
            case ("step", name, by):
                yield f"(local.set ${name} (i32.add (local.get ${name}) (i32.const {by})))"
            case ("br_if", depth, condition):
                if labels[depth]:
                    yield f"(local.get $h) (br_if {depth} {condition_text(condition)}) (drop)"
                else:
                    yield f"(br_if {depth} {condition_text(condition)})"
            case ("br", depth):
                yield f"(br {depth} {'(local.get $h)' if labels[depth] else ''})"
            case ("br_table", targets, name):
                yield f"(br_table {' '.join(map(str, targets))} (i32.and (local.get ${name}) (i32.const 7)))"
            case ("return",):
                yield "(return (local.get $h))"
            case ("block", inner):
                yield f"(block {' '.join(render(inner, (False, *labels)))})"
            case ("value", inner):
                text = " ".join(render(inner, (True, *labels)))
                yield f"(local.set $x (block (result i32) {text} (i32.add (local.get $h) (i32.const 1))))"
            case ("loop", inner):
                spend = "(if (i32.eqz (local.get $fuel)) (then (return (local.get $h))))"
                count = "(local.set $fuel (i32.sub (local.get $fuel) (i32.const 1)))"
                yield f"(loop {spend} {count} {' '.join(render(inner, (False, *labels)))})"
            case ("if", condition, then, otherwise):
                arms = [" ".join(render(arm, (False, *labels))) for arm in (then, otherwise)]
                yield f"(if {condition_text(condition)} (then {arms[0]}) (else {arms[1]}))"


def module(body: list[Statement]) -> str:
    # `note` is a macro: h = h * 31 + number.
    text = " ".join(render(body, ()))
    while "(call $note (i32.const " in text:
        before, _, rest = text.partition("(call $note (i32.const ")
        number, _, rest = rest.partition("))")
        noted = f"(i32.add (i32.mul (local.get $h) (i32.const 31)) (i32.const {number}))"
        text = f"{before}(local.set $h {noted}){rest}"
    return f"""(module (func (export "run") (param $x i32) (param $y i32) (result i32) (local $h i32) (local $fuel i32)
        (local.set $fuel (i32.const {FUEL})) {text} (local.get $h)))"""


# ---------------------------------------------------------------------------------------------------- as meant


class Branch(Exception):
    """On the way to a label, which is `depth` labels further out."""

    def __init__(self, depth: int, value: int | None) -> None:
        self.depth = depth
        self.value = value


class Machine:
    """Runs statements."""

    def __init__(self, x: int, y: int) -> None:
        self.names = {"x": x, "y": y, "h": 0}
        self.fuel = FUEL

    def holds(self, condition: tuple[str, int]) -> bool:
        return bool(self.names[condition[0]] & condition[1])

    def run(self, body: list[Statement], labels: tuple[bool, ...]) -> None:
        for statement in body:
            self.execute(statement, labels)

    def inside(self, body: list[Statement], labels: tuple[bool, ...]) -> Branch | None:
        """Run the body of a block; the branch that ended it at its own label, or None."""
        try:
            self.run(body, labels)
        except Branch as branch:
            if branch.depth:
                raise Branch(branch.depth - 1, branch.value) from None
            return branch
        return None

    def execute(self, statement: Statement, labels: tuple[bool, ...]) -> None:
        names = self.names
        match statement:
            case ("note", number):
                names["h"] = (names["h"] * 31 + number) & 0xFFFF_FFFF
            case ("step", name, by):
                names[name] = (names[name] + by) & 0xFFFF_FFFF
            case ("br_if", depth, condition):
                if self.holds(condition):
                    raise Branch(depth, names["h"] if labels[depth] else None)
            case ("br", depth):
                raise Branch(depth, names["h"] if labels[depth] else None)
            case ("br_table", targets, name):
                raise Branch(targets[min(names[name] & 7, len(targets) - 1)], None)
            case ("return",):
                raise Branch(len(labels), None)
            case ("block", inner):
                self.inside(inner, (False, *labels))
            case ("value", inner):
                branch = self.inside(inner, (True, *labels))
                value = names["h"] + 1 if branch is None else branch.value
                assert value is not None
                names["x"] = value & 0xFFFF_FFFF
            case ("loop", inner):
                again = True
                while again:
                    if not self.fuel:
                        raise Branch(len(labels), None)
                    self.fuel -= 1
                    again = self.inside(inner, (False, *labels)) is not None
            case ("if", condition, then, otherwise):
                self.inside(then if self.holds(condition) else otherwise, (False, *labels))


def meant(body: list[Statement], x: int, y: int) -> int:
    machine = Machine(x, y)
    with suppress(Branch):
        machine.run(body, ())
    result = machine.names["h"]
    return result - (1 << 32) if result >> 31 else result


ARGUMENTS = [(0, 0), (1, 6), (3, 5), (6, 1), (0xFFFF_FFFF, 2)]


def check(body: list[Statement]) -> None:
    text = module(body)
    with wasmine.Runtime("interpreter") as runtime:
        run = runtime.instantiate(text).exports.run
        for x, y in ARGUMENTS:
            assert run(x, y) == meant(body, x, y), text


@pytest.mark.usefixtures("printer")
class TestRandomPrograms:
    @settings(max_examples=120, deadline=None)
    @given(body=statements(4, ()))
    def test_nests(self, body: list[Statement]) -> None:
        check(body)

    @settings(max_examples=80, deadline=None)
    @given(body=nest(7))
    def test_switches(self, body: list[Statement]) -> None:
        check(body)


# ---------------------------------------------------------------------------------------------------- extremes


def switch(count: int) -> str:
    """Case i gives 3 i, but every third one falls through to the next; the default gives -7."""
    opening = "".join(f"(block $case{i} " for i in reversed(range(count)))
    labels = " ".join(f"$case{i}" for i in range(count))
    cases = "".join(f") (return (i32.const {3 * i}))" if i % 3 else ") (nop)" for i in range(count))
    return f"""(module (func (export "f") (param i32) (result i32)
      (block $default {opening} (br_table {labels} $default (local.get 0)) {cases})
      (i32.const -7)))"""


@pytest.mark.usefixtures("printer")
@pytest.mark.parametrize("count", [3, 20, 500])
def test_a_switch_with_many_cases(count: int) -> None:
    with wasmine.Runtime("interpreter") as runtime:
        f = runtime.instantiate(switch(count)).exports.f
        for i in range(count):
            lands = i if i % 3 else i + 1
            assert f(i) == (3 * lands if lands < count else -7)
        assert f(count) == f(-1) == -7


NESTS: dict[str, tuple[str, Callable[[int], int]]] = {
    "blocks": ("(block {inner} (local.set 1 (i32.add (local.get 1) (i32.const 1))))", lambda depth: depth),
    "branches out of the middle": (
        "(block (br_if 0 (i32.eqz (local.get 0))) {inner} (local.set 1 (i32.add (local.get 1) (i32.const 1))))",
        lambda depth: depth,
    ),
    "ifs": (
        "(if (local.get 0) (then {inner} (local.set 1 (i32.add (local.get 1) (i32.const 1)))))",
        lambda depth: depth,
    ),
    "loops": (
        "(loop {inner} (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br_if 0 (i32.eq (local.get 1) (i32.const 3))))",
        lambda depth: depth + 3 * (depth >= 3),  # the third loop from inside runs twice
    ),
}


@pytest.mark.parametrize("depth", [1, 25, 200, 1000])
@pytest.mark.parametrize("nest", NESTS)
def test_nests_of_any_depth(nest: str, depth: int) -> None:
    template, expected = NESTS[nest]
    body = "(nop)"
    for _ in range(depth):
        body = template.replace("{inner}", body)
    text = f'(module (func (export "f") (param i32) (result i32) (local i32) {body} (local.get 1)))'
    with wasmine.Runtime("interpreter") as runtime:
        assert runtime.instantiate(text).exports.f(1) == expected(depth)


def test_a_function_of_100_000_instructions() -> None:
    step = "(local.set 1 (i32.add (i32.mul (local.get 1) (i32.const {odd})) (i32.xor (local.get 0) (i32.const {i}))))"
    count = 14_300
    body = "\n".join(step.format(odd=i | 1, i=i) for i in range(count))
    text = f'(module (func (export "f") (param i32) (result i32) (local i32) {body} (local.get 1)))'
    expected = 0
    for i in range(count):
        expected = (expected * (i | 1) + (3 ^ i)) & 0xFFFF_FFFF
    with wasmine.Runtime("interpreter") as runtime:
        assert runtime.instantiate(text).exports.f(3) & 0xFFFF_FFFF == expected
