r"""Tokens of the text format.

A token is its own text, a `str`, and is known by its first character: a parenthesis, `"` for a string, `$` for an
identifier, and otherwise a keyword or a number, to be told by whoever expects one. One regular expression makes the whole
list at once; where a token stands is worked out only when somebody asks. Annotations are taken out of the list.

A character that starts no token is a token by itself, which no rule of the grammar accepts: `Source.unexpected` then says
what is wrong with it. So the lexer itself refuses only comments and annotations that are malformed.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import Final

from wasmine.errors import DecodeError
from wasmine.format.instructions import BY_NAME
from wasmine.format.text import literals
from wasmine.format.text.literals import shortened
from wasmine.format.types import SHORTHANDS
from wasmine.record import record

# Every loop is possessive: nothing is scanned more than a few times, so no input makes the search slow. Loops over groups
# that scan on are atomic groups instead: Python before 3.11.5 gets them wrong (python/cpython#106052).
_IDCHARS: Final = r"[!#-'*+\-./0-9:<=>?@A-Z\\^_`a-z|~]++"
_UNCLOSED: Final = r'"(?>(?:[^"\\\x00-\x1f\x7f]++|\\[^\x00-\x1f\x7f])*)'
_RUN: Final = f'(?:{_IDCHARS}|{_UNCLOSED}")'
_SPACE: Final = r"(?:[ \t\n\r]++|;;[^\n\r]*+|(?>\(;(?>(?:[^;(]++|;(?!\))|\((?!;))*);\)))*+"
_TOKENS: Final = (
    rf'{_IDCHARS}(?!")',  # keywords, numbers, identifiers
    rf"\((?!;)(?>(?:@{_RUN}*)?)",  # an opening parenthesis, or the start of an annotation
    rf"(?>{_RUN}+)",  # strings, and what strings make when they run together with other tokens
    _UNCLOSED,
    r"\(;",  # a comment with comments in it, or one without an end
    r".",
    r"\Z",
)
_TOKEN: Final = re.compile(f"{_SPACE}({'|'.join(_TOKENS)})", re.DOTALL)
_COMMENT_BRACKET: Final = re.compile(r"\(;|;\)")
_NEWLINE: Final = re.compile(r"\r\n?|\n")

_is_run = re.compile(f"(?>{_RUN}+)").fullmatch
_is_escaped_run = re.compile(f"(?>(?:{_IDCHARS}|{literals.STRING})+)").fullmatch
_is_number = re.compile(
    f"(?:offset=|align=){literals.NATURAL}|[+-]?(?:{literals.NATURAL}|{literals.FLOAT}|nan:canonical|nan:arithmetic)"
).fullmatch

# What the parsers know besides instructions, numbers and the short names of reference types.
_VOCABULARY: Final = """
    i8 i16 i32 i64 f32 f64 v128 i8x16 i16x8 i32x4 i64x2 f32x4 f64x2
    any eq i31 struct array func extern exn none nofunc noextern noexn null ref
    module binary quote definition instance type rec sub final field mut param result local
    import export table memory pagesize shared global tag start elem declare item data offset
    then do catch_ref catch_all_ref
    register invoke get assert_return assert_trap assert_exhaustion assert_exception assert_malformed assert_invalid
    assert_malformed_custom assert_invalid_custom assert_unlinkable assert_uninstantiable thread wait either
    ref.extern ref.host ref.struct ref.array ref.any ref.exn
"""
_WORDS: Final = frozenset(_VOCABULARY.split())
# Characters that stand by themselves and mean nothing (yet), as do tokens that run together.
_RESERVED: Final = frozenset(",;[]{}")

# Annotations that mean something; all others are skipped.
ANNOTATIONS: Final = frozenset({"custom", "name", "metadata.code.branch_hint"})


@record
class Annotation:
    """`(@name tokens...)`, one of `ANNOTATIONS`. `offset` is where it stands in the text."""

    name: str
    tokens: tuple[str, ...]
    offset: int


class Source:
    """A text as tokens. After the last one come empty ones, enough of them that looking ahead needs no care.

    `annotations` holds those that stand before the token of that index.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.annotations: dict[int, list[Annotation]] = {}
        self._plain = text  # without nested comments
        self._kept: list[int] | None = None  # the indices of `tokens` among all tokens, where some are left out
        tokens = _TOKEN.findall(text)
        if "(;" in tokens:
            self._plain = self._without_nested_comments()
            tokens = _TOKEN.findall(self._plain)
        tokens += ("", "", "")
        self.tokens: list[str] = self._without_annotations(tokens) if "(@" in self._plain else tokens

    def __repr__(self) -> str:
        return f"<Source of {len(self.text)} characters>"

    # ---- places and errors

    def line(self, index: int) -> int:
        """The line of the token with this index, from 1."""
        return self._place(self._offset(index))[0]

    def error(self, index: int, reason: str) -> DecodeError:
        """An error about the token with this index."""
        return self.error_at(self._offset(index), reason)

    def error_at(self, offset: int, reason: str) -> DecodeError:
        """An error about the character at `offset`."""
        line, column = self._place(offset)
        return DecodeError(reason, line=line, column=column)

    def unexpected(self, index: int, expected: str) -> DecodeError:
        """The error for a token that is not what the grammar expects there, be it out of place or no token at all."""
        token = self.tokens[index]
        if not token:
            return self.error(index, f"unexpected token: expected {expected}, found the end of the text")
        return self.error(index, _malformed(token) or _misplaced(token, expected))

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def _offset(self, index: int) -> int:
        offsets = self._offsets
        return offsets[index] if index < len(offsets) else len(self.text)

    @cached_property
    def _lines(self) -> list[int]:
        """The offset at which each line starts."""
        return [0, *(match.end() for match in _NEWLINE.finditer(self.text))]

    @cached_property
    def _all_offsets(self) -> list[int]:
        return [match.start(1) for match in _TOKEN.finditer(self._plain)]

    @cached_property
    def _offsets(self) -> list[int]:
        offsets = self._all_offsets
        if self._kept is None:
            return offsets
        return [offsets[index] for index in self._kept if index < len(offsets)]

    # ---- nested comments

    def _without_nested_comments(self) -> str:
        """The text with spaces instead of the comments that the regular expression cannot see the end of."""
        parts: list[str] = []
        at = 0
        while (start := self._nested_comment(at)) is not None:
            end = self._comment_end(start)
            parts += self.text[at:start], " " * (end - start)
            at = end
        parts.append(self.text[at:])
        return "".join(parts)

    def _nested_comment(self, at: int) -> int | None:
        return next((match.start(1) for match in _TOKEN.finditer(self.text, at) if match[1] == "(;"), None)

    def _comment_end(self, start: int) -> int:
        depth = 0
        for bracket in _COMMENT_BRACKET.finditer(self.text, start):
            depth += 1 if bracket[0] == "(;" else -1
            if not depth:
                return bracket.end()
        raise self.error_at(start, "unclosed comment: no ;) for this (;")

    # ---- annotations

    def annotated(self, start: int, end: int) -> list[int]:
        """The indices of tokens from `start` to `end`, both included, before which annotations stand."""
        indices = self._annotated
        return indices[bisect_left(indices, start) : bisect_right(indices, end)]

    @cached_property
    def _annotated(self) -> list[int]:
        return sorted(self.annotations)

    def _without_annotations(self, tokens: list[str]) -> list[str]:
        """The tokens outside annotations; fills `annotations`."""
        kept: list[int] = []
        at = 0
        while at < len(tokens):
            if not tokens[at].startswith("(@"):
                kept.append(at)
                at += 1
                continue
            name = self._annotation_name(tokens, at)
            end = self._annotation_end(tokens, at)
            if name in ANNOTATIONS:
                annotation = Annotation(name, tuple(tokens[at + 1 : end - 1]), self._all_offsets[at])
                self.annotations.setdefault(len(kept), []).append(annotation)
            at = end
        self._kept = kept
        return [tokens[index] for index in kept]

    def _annotation_name(self, tokens: list[str], at: int) -> str:
        token = tokens[at][2:]
        try:
            name = literals.name(token) if token.startswith('"') else token
        except DecodeError as error:
            raise self.error_at(self._all_offsets[at], error.reason) from None
        if not name:
            raise self.error_at(self._all_offsets[at], "empty annotation id: expected a name right after (@")
        return name

    def _annotation_end(self, tokens: list[str], start: int) -> int:
        """The index after the annotation that starts at `start`. Any tokens may stand in it, if parentheses pair up."""
        depth = 1
        at = start
        while depth:
            at += 1
            token = tokens[at]
            if token == ")":
                depth -= 1
            elif not token:
                raise self.error_at(self._all_offsets[start], "unclosed annotation: no ) for this (@")
            elif token[0] == "(":
                depth += 1
            elif reason := _malformed(token):
                raise self.error_at(self._all_offsets[at], reason)
        return at + 1


def _malformed(token: str) -> str | None:
    """Why a token is none by the lexical grammar, reserved tokens included; None if it is one."""
    if '"' in token:
        if not _is_run(token):
            return "unclosed string"
        if not _is_escaped_run(token):
            return f"illegal escape in {shortened(token)}"
    elif len(token) == 1 and token not in _RESERVED and token not in "()" and not _is_run(token):
        return f"illegal character {token!a}"
    return None


def _misplaced(token: str, expected: str) -> str:
    """The error text for a token that the parser cannot use."""
    try:
        known = (
            token in ("(", ")")
            or literals.identifier(token) is not None
            or literals.string(token) is not None
            or token in _WORDS
            or token in BY_NAME
            or token in SHORTHANDS
            or _is_number(token)
        )
    except DecodeError as error:
        return error.reason
    return f"{'unexpected token' if known else 'unknown operator'} {shortened(token)}: expected {expected}"
