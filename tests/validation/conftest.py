"""Modules as text, validated with every feature or with some switched off."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from wasmine.errors import WasmineError
from wasmine.format.features import Features
from wasmine.format.reader import read
from wasmine.format.text import parse_module
from wasmine.format.writer import write
from wasmine.validation import Context, validate

Check: TypeAlias = Callable[..., Context]
Refused: TypeAlias = Callable[..., WasmineError]


def _check(text: str, *without: str) -> Context:
    # Through the binary format, so that offsets are those of a real module.
    return validate(read(write(parse_module(text))), Features().disable(*without))


@pytest.fixture
def check() -> Check:
    """`check(text, *features_off)` gives the context of a valid module."""
    return _check


@pytest.fixture
def refused() -> Refused:
    """`refused(text, *features_off)` gives the error of a module that is not valid."""

    def error(text: str, *without: str) -> WasmineError:
        with pytest.raises(WasmineError) as caught:
            _check(text, *without)
        return caught.value

    return error
