"""What the rules of validation raise: a broken rule without its place, which the caller adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.errors import DecodeError, UnsupportedFeature, ValidationError

if TYPE_CHECKING:
    from wasmine.errors import WasmineError
    from wasmine.format.features import Features


class Fault(Exception):
    """A broken rule. `offset` is the byte offset of the instruction in the binary, once somebody knows it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset: int | None = None

    def public(self, where: str = "", function: int | None = None) -> WasmineError:
        """The exception that users see."""
        return ValidationError(self.reason, function=function, offset=self.offset, where=where)


class Invalid(Fault):
    """The module is well-formed but breaks a rule of validation."""


class Mismatch(Invalid):
    """An operand (or a value from elsewhere) has another type than what is expected."""

    def __init__(self, expected: object, found: object) -> None:
        super().__init__(f"type mismatch: expected {expected}, found {found}")
        self.expected = expected
        self.found = found


class Malformed(Fault):
    """The bytes of an expression are not instructions."""

    def public(self, where: str = "", function: int | None = None) -> WasmineError:
        place = where or f"function {function}"
        return DecodeError(f"{self.reason}, in {place}", self.offset)


class Disabled(Fault):
    """The module uses a feature that is switched off."""

    def __init__(self, feature: str, what: str) -> None:
        self.feature = feature.replace("_", "-")
        super().__init__(f'feature "{self.feature}" is disabled: {what}')

    def public(self, where: str = "", function: int | None = None) -> WasmineError:
        place = where or (f"function {function}" if function is not None else "")
        if self.offset is not None:
            place += f"{', ' if place else ''}at offset {self.offset:#x}"
        return UnsupportedFeature(self.feature, f"{self.reason} (in {place})" if place else self.reason)


def require(features: Features, feature: str, what: str) -> None:
    """Raise `Disabled` unless the feature (a field of `Features`) is on; `what` needs it."""
    if not getattr(features, feature):
        raise Disabled(feature, what)
