"""The name section: whole ones survive, damaged ones lose only what is damaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syntax_strategies import name_sections

from wasmine.format.module import Names
from wasmine.format.names import read_names, write_names


@given(name_sections)
def test_names_survive(names: Names) -> None:
    assert read_names(write_names(names)) == names


@given(st.binary(max_size=60))
def test_no_content_is_refused(data: bytes) -> None:
    assert isinstance(read_names(data), Names)


@given(name_sections, st.data())
def test_damage_is_never_an_error(names: Names, data: st.DataObject) -> None:
    content = bytearray(write_names(names))
    if content:
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(read_names(bytes(content)), Names)


def test_subsections_come_in_the_order_of_their_ids() -> None:
    names = Names("m", {0: "f"}, {0: {1: "x"}}, tags={2: "t"})
    assert write_names(names) == b"\0\2\1m\1\4\1\0\1f\2\6\1\0\1\1\1x\x0b\4\1\2\1t"


def test_entries_are_sorted_by_index() -> None:
    assert write_names(Names(functions={2: "b", 1: "a"})) == b"\1\7\2\1\1a\2\1b"


def test_no_names_are_no_bytes() -> None:
    assert write_names(Names()) == b""


FUNCTION_F = b"\1\4\1\0\1f"


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b"\0\2\1\xff", id="bad UTF-8"),
        pytest.param(b"\0\2\5m", id="name longer than the subsection"),
        pytest.param(b"\0\3\1mm", id="bytes left over"),
        pytest.param(b"\4\5\xff\xff\xff\xff\x0f", id="count that cannot be"),
        pytest.param(b"\x63\2ab", id="unknown subsection"),
        pytest.param(b"\0\0", id="empty subsection"),
    ],
)
def test_a_damaged_subsection_is_dropped_and_the_next_is_read(damaged: bytes) -> None:
    assert read_names(damaged + FUNCTION_F) == Names(functions={0: "f"})


def test_what_stands_before_a_truncation_is_read() -> None:
    assert read_names(FUNCTION_F + b"\2\x20\1") == Names(functions={0: "f"})
