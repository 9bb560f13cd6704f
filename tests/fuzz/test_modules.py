"""A short run of the module fuzzer: our reader and validator agree with wasm-tools on a few hundred modules."""

from __future__ import annotations

from collections import Counter

import pytest
from modules import Finding, fuzz, parse_arguments, wasm_tools


def test_a_few_hundred_modules_agree_with_wasm_tools() -> None:
    if wasm_tools() is None:
        pytest.skip("needs wasm-tools: pip install wasmine[test]")
    results = list(fuzz(parse_arguments(["--count=300", "--seed=7", "--limit=60"])))
    assert [f"{finding.case.name}: {finding.what}" for finding in results if isinstance(finding, Finding)] == []
    tally = results[-1]
    assert isinstance(tally, Counter)
    assert tally["modules"] == 300
    # Neither answer is rare, so the run says something.
    assert min(tally["accepted"], tally["refused"]) > 60
