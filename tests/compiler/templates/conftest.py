"""Libraries made from the source as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wasmine.compiler.templates.library import TemplateLibrary, pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.compiler.templates.architecture import Template


class _Made(dict[str, Any]):
    """What is made of each level, when it is first asked for."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, level: str) -> Any:
        found = self[level] = self._make(level)
        return found


@pytest.fixture(scope="session")
def lifted() -> dict[str, tuple[list[Template[Any]], list[bytes]]]:
    """The templates of each level as instructions, and their constants."""
    pytest.importorskip("llvmlite", reason="templates are built with llvmlite: pip install llvmlite")
    from wasmine.compiler.templates.build import find_level, lift_level

    return _Made(lambda name: lift_level(*find_level(name)))


@pytest.fixture(scope="session")
def stored(lifted: dict[str, tuple[list[Template[Any]], list[bytes]]]) -> dict[str, bytes]:
    """The library of each level as it is stored."""
    from wasmine.compiler.templates.build import find_level

    def store(name: str) -> bytes:
        architecture, _ = find_level(name)
        templates, constants = lifted[name]
        return pack(architecture.name, [(each, architecture.prepare(each)) for each in templates], constants)

    return _Made(store)


@pytest.fixture(scope="session")
def libraries(stored: dict[str, bytes]) -> dict[str, TemplateLibrary]:
    """The library of each level."""
    return _Made(lambda level: TemplateLibrary(stored[level]))
