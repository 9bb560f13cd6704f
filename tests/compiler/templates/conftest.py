"""Libraries made from the source as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wasmine.compiler.templates.library import TemplateLibrary, pack

if TYPE_CHECKING:
    from wasmine.compiler.templates.architecture import Template


@pytest.fixture(scope="session")
def lifted() -> dict[str, tuple[list[Template[Any]], list[bytes]]]:
    """The templates of each level as instructions, and their constants."""
    pytest.importorskip("llvmlite", reason="templates are built with llvmlite: pip install llvmlite")
    from wasmine.compiler.templates.build import ARCHITECTURES, lift_level

    return {level.name: lift_level(each, level) for each in ARCHITECTURES for level in each.levels}


@pytest.fixture(scope="session")
def stored(lifted: dict[str, tuple[list[Template[Any]], list[bytes]]]) -> dict[str, bytes]:
    """The library of each level as it is stored."""
    from wasmine.compiler.templates.build import ARCHITECTURES

    return {
        level.name: pack(each.name, [(one, each.prepare(one)) for one in lifted[level.name][0]], lifted[level.name][1])
        for each in ARCHITECTURES
        for level in each.levels
    }


@pytest.fixture(scope="session")
def libraries(stored: dict[str, bytes]) -> dict[str, TemplateLibrary]:
    """The library of each level."""
    return {level: TemplateLibrary(data) for level, data in stored.items()}
