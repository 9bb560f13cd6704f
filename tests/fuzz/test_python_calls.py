"""A short run of the fuzzer of calls from Python."""

from __future__ import annotations

from python_calls import Tally, compare


def test_both_engines_take_and_refuse_the_same(compiler: str) -> None:
    tally = Tally()
    for seed in range(5):
        compare(seed, tally)
    assert tally.differences == []
    # Something of each kind happened.
    assert tally.endings["returned"] > 100
    assert tally.endings["TypeError"] > 50
    assert tally.endings["OverflowError"] > 5
    assert tally.endings["ValueError"] > 10
