"""What all tests share: the engines that exist, and instances made from text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests import objects

import wasmine

# How long something takes says nothing on a busy machine.
settings.register_profile("wasmine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wasmine")

objects.collect_thoroughly()

ENGINES = ("interpreter", "compiler")


def skip_unless_available(engine: str) -> None:
    """Skip the test, and say why, where the engine cannot run."""
    if engine == "compiler":
        from wasmine.compiler.availability import unavailable

        reason = unavailable()
        if reason:
            pytest.skip(f"the compiler engine: {reason}")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    name: str = request.param
    skip_unless_available(name)
    return name


@pytest.fixture
def compiler() -> str:
    """The compiler engine, for tests of what it alone has."""
    skip_unless_available("compiler")
    return "compiler"


@pytest.fixture
def runtime(engine: str) -> Iterator[wasmine.Runtime]:
    """A runtime of each engine in turn."""
    with wasmine.Runtime(engine) as made:
        yield made


@pytest.fixture
def instantiate(runtime: wasmine.Runtime) -> Callable[..., wasmine.Instance]:
    """`instantiate(text, imports=None, name=None)` in a fresh runtime."""

    def make(source: Any, imports: Any = None, name: str | None = None) -> wasmine.Instance:
        return runtime.instantiate(source, imports, name)

    return make
