"""Libraries made from the source as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wasmine.compiler.templates.library import TemplateLibrary, pack

if TYPE_CHECKING:
    from wasmine.compiler.templates.lift import Template


@pytest.fixture(scope="session")
def lifted() -> dict[str, tuple[list[Template], list[bytes]]]:
    """The templates of each level as instructions, and their constants."""
    pytest.importorskip("llvmlite", reason="templates are built with llvmlite: pip install llvmlite")
    from wasmine.compiler.templates.build import LEVELS, lift_level

    return {level.name: lift_level(level) for level in LEVELS}


@pytest.fixture(scope="session")
def stored(lifted: dict[str, tuple[list[Template], list[bytes]]]) -> dict[str, bytes]:
    """The library of each level as it is stored."""
    from wasmine.compiler.templates.prepare import prepare

    return {
        level: pack([(template, prepare(template)) for template in templates], constants)
        for level, (templates, constants) in lifted.items()
    }


@pytest.fixture(scope="session")
def libraries(stored: dict[str, bytes]) -> dict[str, TemplateLibrary]:
    """The library of each level."""
    return {level: TemplateLibrary(data) for level, data in stored.items()}
