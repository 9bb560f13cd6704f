"""Modules run by the interpreter and, in every way there is, by compiled code."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wasmine
from wasmine.compiler.baseline import compiler as baseline

Outcome = tuple[str, Any]


class Agreement:
    """One module, instantiated on both engines. Calls give what both of them give."""

    def __init__(self, expected: wasmine.Instance, found: wasmine.Instance) -> None:
        self._expected = expected
        self._found = found

    def __call__(self, name: str, *arguments: Any) -> Any:
        """The result of a call, or the kind of its trap; the memories are the same after it, if there are any."""
        expected = _outcome(self._expected.exports[name], arguments)
        found = _outcome(self._found.exports[name], arguments)
        assert found == expected, f"{name}{arguments}: the compiler {found}, the interpreter {expected}"
        for theirs, ours in zip(self._expected.memories, self._found.memories, strict=True):
            assert bytes(theirs.view()) == bytes(ours.view())
        return found[1]


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    try:
        return "returns", _exact(function(*arguments))
    except wasmine.Trap as trap:
        return "traps", trap.kind


def _exact(value: Any) -> Any:
    """Floats as such unless equality would not tell them apart."""
    if isinstance(value, tuple):
        return tuple(map(_exact, value))
    if isinstance(value, float) and (value == 0 or math.isnan(value)):
        return "NaN" if math.isnan(value) else struct.pack("<d", value)
    return value


@pytest.fixture(params=["guard", "checked", "no spare registers", "nothing pending", "long jumps"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way of compiling: with guard pages, with checks, and what there is for functions that press for registers, or are
    so large that short jumps do not reach.
    """
    name: str = request.param
    caution = {"no spare registers": 1, "nothing pending": 2}.get(name, 0)
    if caution or name == "long jumps":
        compile = baseline.Compiler.compile

        def otherwise(self: baseline.Compiler, *arguments: Any, far: bool) -> Any:
            least = max(caution, arguments[-1])
            return compile(self, *arguments[:-1], least, far=far or name == "long jumps")

        monkeypatch.setattr(baseline.Compiler, "compile", otherwise)
    return name


@pytest.fixture
def agree(compiler: str, way: str) -> Iterator[Callable[[Any], Agreement]]:
    """`agree(text)` is the module on both engines."""
    bounds = "checked" if way == "checked" else "guard"
    with wasmine.Runtime("interpreter") as plain, wasmine.Runtime("compiler", bounds=bounds) as fast:

        def make(source: Any) -> Agreement:
            return Agreement(plain.instantiate(source), fast.instantiate(source))

        yield make
