"""Libraries made from the source as it stands, kept between runs until it changes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import wasmine
from wasmine.compiler.templates.library import TemplateLibrary

if TYPE_CHECKING:
    from wasmine.compiler.templates.lift import Template

SOURCE = Path(wasmine.__file__).parent


def source_digest() -> str:
    """A digest of everything that the libraries are made from."""
    digest = hashlib.sha256()
    paths = [*(SOURCE / "compiler" / "semantics").glob("*.py"), *(SOURCE / "compiler" / "templates").glob("*.py")]
    for path in sorted([*paths, SOURCE / "format" / "instructions.py", SOURCE / "errors.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@pytest.fixture(scope="session")
def lifted() -> dict[str, tuple[list[Template], list[bytes]]]:
    """The templates of each level as instructions, and their constants, from a build of their own."""
    pytest.importorskip("llvmlite", reason="templates are built with llvmlite: pip install llvmlite")
    from wasmine.compiler.templates.build import LEVELS, lift_level

    return {level.name: lift_level(level) for level in LEVELS}


@pytest.fixture(scope="session")
def libraries(pytestconfig: pytest.Config) -> dict[str, TemplateLibrary]:
    """The library of each level, built if its source changed."""
    pytest.importorskip("llvmlite", reason="templates are built with llvmlite: pip install llvmlite")
    from wasmine.compiler.templates.build import LEVELS, build_level

    folder = pytestconfig.cache.mkdir("wasmine-templates")
    found = {}
    for level in LEVELS:
        path = folder / f"{level.name}-{source_digest()}.bin"
        if not path.exists():
            for old in folder.glob(f"{level.name}-*.bin"):
                old.unlink()
            path.write_bytes(build_level(level))
        found[level.name] = TemplateLibrary(path.read_bytes())
    return found
