"""Reading tokens one after the other: what every parser of the text format is built on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from wasmine.format.text import literals

if TYPE_CHECKING:
    from wasmine.errors import DecodeError
    from wasmine.format.text.lexer import Source


INDEX_STARTS: Final = frozenset("$0123456789")

_looks_like_a_number = re.compile("[+-]?(?:[_.0-9]|inf|nan)").match


class Cursor:
    """A position in a text. `at` is the index of the next token; it moves on only past tokens that were accepted."""

    def __init__(self, source: Source, at: int = 0) -> None:
        self.source = source
        self.tokens = source.tokens
        self.at = at

    # ---- errors

    def error(self, reason: str) -> DecodeError:
        """An error about the next token."""
        return self.source.error(self.at, reason)

    def unexpected(self, expected: str) -> DecodeError:
        """The error for a next token that is not what the grammar expects."""
        return self.source.unexpected(self.at, expected)

    def placed(self, error: DecodeError) -> DecodeError:
        """The same error with the place of the next token, if it has none yet."""
        return self.error(error.reason) if error.line is None and error.offset is None else error

    # ---- parentheses

    def opens(self, keyword: str) -> bool:
        """Accepts `(keyword`, if that comes next."""
        at = self.at
        if self.tokens[at] == "(" and self.tokens[at + 1] == keyword:
            self.at = at + 2
            return True
        return False

    def open(self, keyword: str) -> None:
        if not self.opens(keyword):
            self.at += self.tokens[self.at] == "("  # the error is rather about the keyword
            raise self.unexpected(f"({keyword}")

    def close(self) -> None:
        if self.tokens[self.at] != ")":
            raise self.unexpected(")")
        self.at += 1

    def skip(self) -> None:
        """Moves past the parenthesis that closes the form that the cursor is in."""
        tokens = self.tokens
        at = self.at
        depth = 1
        while depth:
            token = tokens[at]
            if token == "(":
                depth += 1
            elif token == ")":
                depth -= 1
            elif not token:
                self.at = at
                raise self.unexpected(")")
            at += 1
        self.at = at

    # ---- single tokens

    def accepts(self, keyword: str) -> bool:
        """Accepts a keyword, if it comes next."""
        if self.tokens[self.at] == keyword:
            self.at += 1
            return True
        return False

    def at_index(self) -> bool:
        """Whether an index comes next: an identifier or a natural number."""
        return self.tokens[self.at][:1] in INDEX_STARTS

    def identifier(self) -> str | None:
        """An identifier without its `$`, if one comes next."""
        identifier = literals.identifier(self.tokens[self.at])
        if identifier is not None:
            self.at += 1
        return identifier

    def natural(self, bits: int, expected: str) -> int:
        value = literals.natural(self.tokens[self.at], bits)
        if value is None:
            raise self.unexpected(expected)
        self.at += 1
        return value

    def name(self) -> str:
        """A string that is UTF-8."""
        name = literals.name(self.tokens[self.at])
        if name is None:
            raise self.unexpected("a name in double quotes")
        self.at += 1
        return name

    def strings(self) -> bytes:
        """The bytes of all the strings that come next."""
        parts = []
        while self.tokens[self.at][:1] == '"':
            part = literals.string(self.tokens[self.at])
            if part is None:
                raise self.unexpected("a string")
            parts.append(part)
            self.at += 1
        return b"".join(parts)

    def vector(self) -> bytes:
        """The shape and the lanes of a `v128.const`."""
        shape = literals.SHAPES.get(self.tokens[self.at])
        if shape is None:
            raise self.unexpected("a shape such as i32x4")
        literal, bits = shape
        self.at += 1
        lanes = self.numbers()
        if len(lanes) != 128 // bits:
            raise self.error(f"wrong number of lane literals: expected {128 // bits}, found {len(lanes)}")
        result = b""
        for lane in lanes:
            value = literal(lane, bits)
            if value is None:
                raise self.unexpected("an integer" if literal is literals.integer else "a number")
            result += (value & (1 << bits) - 1).to_bytes(bits // 8, "little")
            self.at += 1
        return result

    def numbers(self) -> list[str]:
        """The tokens that come next and look like numbers, not accepted yet."""
        end = self.at
        while _looks_like_a_number(self.tokens[end]):
            end += 1
        return self.tokens[self.at : end]
