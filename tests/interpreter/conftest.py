"""The tests of this folder are about one engine."""

from __future__ import annotations

import pytest


@pytest.fixture
def engine() -> str:
    """The interpreter."""
    return "interpreter"
