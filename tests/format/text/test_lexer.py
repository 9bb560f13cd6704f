"""Tokens, comments, annotations, and where they stand."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmine.errors import DecodeError
from wasmine.format.text.lexer import Source


def tokens(text: str) -> list[str]:
    return [token for token in Source(text).tokens if token]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\r\n", []),
        ("(func)", ["(", "func", ")"]),
        ("i32.const -0x1_F", ["i32.const", "-0x1_F"]),
        ("$a(b)c", ["$a", "(", "b", ")", "c"]),
        ('"a b" "(;"', ['"a b"', '"(;"']),
        (r'"\"" "\\"', [r'"\""', r'"\\"']),
        ("a;;b (\nc", ["a", "c"]),
        ("a;;b\rc", ["a", "c"]),
        ("a;;b", ["a"]),
        ("a(;b;)c", ["a", "c"]),
        ('(;;)(; ; ( ) " ;)a', ["a"]),
        ("a(;b(;c;)(;;)d;)e(;;)f", ["a", "e", "f"]),
        ("(;(;(;;););)a", ["a"]),
        ("(; ;; ;)a", ["a"]),
        (";; (;\na", ["a"]),
        ("( ;;)\na)", ["(", "a", ")"]),
        ("(a;b)", ["(", "a", ";", "b", ")"]),
        ("a,b[c]{d}", ["a", ",", "b", "[", "c", "]", "{", "d", "}"]),
    ],
)
def test_a_text_is_cut_into_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize("text", ['"a""b"', '$a"b"', '"a"$b', '0"a"', 'data"a"', '$"a"b', '"a"x"b"'])
def test_tokens_that_touch_are_one(text: str) -> None:
    assert tokens(text) == [text]


@given(st.text(), st.text('()@;"\\$a \n'))
def test_any_text_is_cut_or_refused(text: str, more: str) -> None:
    try:
        source = Source(text + more)
    except DecodeError:
        return
    for index in range(len(source.tokens)):
        assert isinstance(source.unexpected(index, "nothing"), DecodeError)


@given(
    st.lists(st.sampled_from(["a", "(", ")", '"b"', "$c", "(; d ;)", "(;(;;);)", ";; e\n", "\r\n", "(@f (g))", " "]))
)
def test_every_token_knows_its_line(parts: list[str]) -> None:
    text = " ".join(parts)
    source = Source(text)

    lines = text.replace("\r\n", "\n").split("\n")
    for index, token in enumerate(source.tokens):
        error = source.error(index, "here")
        assert error.line is not None
        assert error.column is not None
        assert lines[error.line - 1][error.column - 1 :].startswith(token)
        assert source.line(index) == error.line


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a", 1, 1), ("\n\n  a", 3, 3), ("\r\n\r\na", 3, 1), ("\r\ra", 3, 1), ("(;\n;)a", 2, 3), ("(;\n(;;)\n;) a", 3, 4)],
)
def test_places(text: str, line: int, column: int) -> None:
    error = Source(text).error(0, "here")

    assert (error.line, error.column) == (line, column)
    assert str(error) == f"here (line {line}, column {column})"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("func", "unexpected token func: expected this"),
        ("(", "unexpected token (: expected this"),
        ('"a"', 'unexpected token "a": expected this'),
        ("$a", "unexpected token $a: expected this"),
        ("-0x1.8p3", "unexpected token -0x1.8p3: expected this"),
        ("offset=1", "unexpected token offset=1: expected this"),
        ("i32.add", "unexpected token i32.add: expected this"),
        ("funcref", "unexpected token funcref: expected this"),
        ("", "unexpected token: expected this, found the end of the text"),
        ("fun", "unknown operator fun: expected this"),
        ("0x", "unknown operator 0x: expected this"),
        ("x" * 100, f"unknown operator {'x' * 57}...: expected this"),
        ('"a"b', 'unknown operator "a"b: expected this'),
        (",", "unknown operator ,: expected this"),
        ("$", "empty identifier: expected a name right after $"),
        ('$""', "empty identifier: expected a name right after $"),
        (r'$"\ff"', r'malformed UTF-8 encoding: "\ff"'),
        ('"a', "unclosed string"),
        ('"', "unclosed string"),
        ('"a\nb"', "unclosed string"),
        (r'"\x"', r'illegal escape in "\x"'),
        ("é", r"illegal character '\xe9'"),
        ("\x00", r"illegal character '\x00'"),
        ("\x7f", r"illegal character '\x7f'"),
    ],
)
def test_what_is_said_of_a_token_that_does_not_fit(token: str, reason: str) -> None:
    assert Source(token).unexpected(0, "this").reason == reason


# ---- comments and annotations


@pytest.mark.parametrize(
    ("text", "column"), [("a (;", 3), ("(; (; ;)", 1), ("(;;) (; ;; ;", 6), ("(;" * 1000 + ";)" * 999, 1)]
)
def test_an_unclosed_comment_is_refused(text: str, column: int) -> None:
    with pytest.raises(DecodeError, match="unclosed comment") as caught:
        Source(text)
    assert (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize(
    "annotation",
    [
        "(@a)",
        "(@0)",
        "(@!$@#$23414@#$)",
        '(@"a b")',
        '(@a x (y (z)) "(" $q 0x 8q)',
        "(@a , ; ] [ }} }x{ ({) ,{{};}] ;)",
        "(@a (;);) (; ( ;) ;; )\n)",
        "(@a (@) (@ b) (@(@(@))) @)",
        '(@a x")"y)',
    ],
)
def test_annotations_are_left_out(annotation: str) -> None:
    source = Source(f"a{annotation}b {annotation}")

    assert [token for token in source.tokens if token] == ["a", "b"]
    assert source.annotations == {}


def test_annotations_that_mean_something_are_kept_with_the_token_they_stand_before() -> None:
    source = Source('(func (@name "x") (@other)\n(@custom "y" (after type)) (nop))')

    assert source.tokens[:6] == ["(", "func", "(", "nop", ")", ")"]
    assert [annotation.name for annotation in source.annotations[2]] == ["name", "custom"]
    assert source.annotations[2][1].tokens == ('"y"', "(", "after", "type", ")")
    assert source.error_at(source.annotations[2][1].offset, "").line == 2
    assert source.annotated(0, 1) == []
    assert source.annotated(1, 2) == [2]


@pytest.mark.parametrize(
    ("text", "reason", "column"),
    [
        ("(@)", "empty annotation id", 1),
        ("(@ x)", "empty annotation id", 1),
        ('(@"")', "empty annotation id", 1),
        (r'(@"\ef")', "malformed UTF-8 encoding", 1),
        ("a (@x ", "unclosed annotation", 3),
        ("(@x (y)", "unclosed annotation", 1),
        ('(@x ")', "unclosed string", 5),
        ("(@x é)", "illegal character", 5),
        ("(@x \x01)", "illegal character", 5),
        (r'(@x "\q")', "illegal escape", 5),
    ],
)
def test_a_malformed_annotation_is_refused(text: str, reason: str, column: int) -> None:
    with pytest.raises(DecodeError, match=reason) as caught:
        Source(text)
    assert (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize(
    "part", ['"', '"\\"', "(;", "(; ;", "(;(;;)", "(@", "(@a", '$"', 'a"', ";", "(;;)", " ", '"a\n', '(@"', "((;"]
)
def test_no_repetition_makes_the_lexer_slow(part: str) -> None:
    # Were anything scanned again and again, this would take hours.
    with contextlib.suppress(DecodeError):
        Source(part * 200_000)
