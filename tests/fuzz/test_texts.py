"""A short run of the text fuzzer: damaged text gives a module or a `DecodeError` with its place."""

from __future__ import annotations

import pytest
from modules import wasm_tools
from texts import Finding, fuzz, parse_arguments


def test_damaged_text_is_a_module_or_refused_with_its_place() -> None:
    if wasm_tools() is None:
        pytest.skip("needs wasm-tools: pip install wasmine[test]")
    answers = list(fuzz(parse_arguments(["--count=600", "--seed=7", "--limit=60"])))
    assert [f"{answer.case.name}: {answer.what}" for answer in answers if isinstance(answer, Finding)] == []
    # Neither answer is rare, so the run says something.
    assert min(answers.count(True), answers.count(False)) > 60
    assert len(answers) == 600
