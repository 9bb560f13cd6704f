"""Every exception that Wasmine raises on purpose, under one root.

What a guest does wrong is a `Trap`, an `Exit`, a `WasmException` or a limit (`Timeout`, `OutOfFuel`); what is wrong with
a module is a `DecodeError`, a `ValidationError`, a `LinkError` or an `UnsupportedFeature`. A misuse of the Python API
raises Python's own `TypeError`, `ValueError`, `OverflowError` or `IndexError`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, ClassVar

from wasmine.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wasmine.runtime.tag import Tag


class WasmineError(Exception):
    """The root of the hierarchy."""

    traced: ClassVar[bool] = True  # whether the wasm functions that it passes are noted in its traceback


class DecodeError(WasmineError):
    """The bytes or the text are not a WebAssembly module.

    `offset` is the byte offset in the binary format, or None; `line` and `column` (from 1) say where in the text format,
    or are None. `reason` is the message without the place.
    """

    def __init__(
        self, reason: str, offset: int | None = None, *, line: int | None = None, column: int | None = None
    ) -> None:
        self.reason = reason
        self.offset = offset
        self.line = line
        self.column = column
        if line is not None:
            place = f" (line {line}, column {column})"
        elif offset is not None:
            place = f" (at offset {offset:#x})"
        else:
            place = ""
        super().__init__(reason + place)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_decode_error, (self.reason, self.offset, self.line, self.column)


def _rebuild_decode_error(reason: str, offset: int | None, line: int | None, column: int | None) -> DecodeError:
    return DecodeError(reason, offset, line=line, column=column)


class ValidationError(WasmineError):
    """The module is well-formed but breaks a rule of validation.

    `function` is the index of the function at fault (None outside function bodies), `offset` the byte offset of the
    instruction in the binary (None where there is none), `reason` the message without the place.
    """

    def __init__(self, reason: str, *, function: int | None = None, offset: int | None = None, where: str = "") -> None:
        self.reason = reason
        self.function = function
        self.offset = offset
        self.where = where
        place = where or (f"function {function}" if function is not None else "")
        if offset is not None:
            place += f"{', ' if place else ''}at offset {offset:#x}"
        super().__init__(f"{reason} (in {place})" if place else reason)


class UnsupportedFeature(WasmineError):
    """The module needs a feature that is switched off or that the chosen engine lacks. `feature` is its name."""

    def __init__(self, feature: str, detail: str = "") -> None:
        self.feature = feature
        super().__init__(detail or f'feature "{feature}" is disabled')


class LinkError(WasmineError):
    """Imports are missing or do not fit, or an active segment of a module lies outside (see the message)."""


class TrapKind(enum.Enum):
    """Why a guest trapped. The value is the text that messages use; wazero's where wazero has one."""

    UNREACHABLE = "unreachable"
    STACK_OVERFLOW = "stack overflow"
    MEMORY_OUT_OF_BOUNDS = "out of bounds memory access"
    TABLE_OUT_OF_BOUNDS = "invalid table access"
    UNINITIALIZED_ELEMENT = "uninitialized element"
    INDIRECT_CALL_TYPE_MISMATCH = "indirect call type mismatch"
    INTEGER_DIVIDE_BY_ZERO = "integer divide by zero"
    INTEGER_OVERFLOW = "integer overflow"
    INVALID_CONVERSION = "invalid conversion to integer"
    UNALIGNED_ATOMIC = "unaligned atomic"
    EXPECTED_SHARED_MEMORY = "expected shared memory"
    NULL_REFERENCE = "null reference"
    CAST_FAILURE = "cast failure"
    ARRAY_OUT_OF_BOUNDS = "out of bounds array access"
    ALLOCATION_TOO_LARGE = "allocation size too large"
    HOST = "host trap"


@record
class Frame:
    """One frame of a wasm call stack, innermost first in `Trap.frames`.

    `module` and `function` are names for people (from the name section, else an export, else `func[INDEX]`);
    `offset` is the byte offset of the instruction in the binary, None where the engine does not know it; of a module given
    as text, in what `Module.to_bytes` gives. Where the interpreter computes an instruction as a part of another one's
    expression, it is that of the other one.
    """

    module: str
    function: str
    index: int
    offset: int | None = None

    def __str__(self) -> str:
        place = f" at {self.offset:#x}" if self.offset is not None else ""
        return f"{self.module}.{self.function}{place}" if self.module else f"{self.function}{place}"


def _with_stack(message: str, frames: Sequence[Frame]) -> str:
    lines = [message]
    if frames:
        lines.append("wasm stack (most recent call last):")
        lines.extend(f"  {frame}" for frame in reversed(frames))
    return "\n".join(lines)


class Trap(WasmineError):
    """The guest did something that WebAssembly forbids; its call was abandoned.

    `kind` says what, `detail` adds figures where there are some, `frames` is the wasm call stack, innermost first.
    """

    __slots__ = ("_later", "kind")  # a trap that is only caught needs no dictionary

    kind: TrapKind
    _later: tuple[Any, ...] | None  # what describes it, and with which arguments
    _detail: str = ""
    _frames: tuple[Frame, ...] = ()

    def __init__(self, kind: TrapKind, detail: str = "", frames: Sequence[Frame] = ()) -> None:
        self.kind = kind
        self._later = None
        self._detail = detail
        self._frames = tuple(frames)
        super().__init__(kind, detail)

    @staticmethod
    def described_later(
        kind: TrapKind, describe: Callable[..., tuple[str, Sequence[Frame]]], *arguments: object
    ) -> Trap:
        """A trap whose detail and frames are found when somebody asks: most traps are only caught."""
        found = Trap.__new__(Trap, kind, "")
        found.kind = kind
        found._later = describe, arguments
        return found

    def _complete(self) -> None:
        if self._later is not None:
            describe, arguments = self._later
            self._detail, frames = describe(*arguments)
            self._frames = tuple(frames)
            self._later = None  # not before: near the end of the stack there is no room for it
            self.args = (self.kind, self._detail)

    @property
    def detail(self) -> str:
        """Figures, or "" where there are none."""
        self._complete()
        return self._detail

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The wasm call stack, innermost first."""
        self._complete()
        return self._frames

    @frames.setter
    def frames(self, frames: Sequence[Frame]) -> None:
        self._complete()
        self._frames = tuple(frames)

    def __repr__(self) -> str:
        self._complete()
        return super().__repr__()

    def __str__(self) -> str:
        return _with_stack(f"{self.kind.value}: {self.detail}" if self.detail else self.kind.value, self.frames)

    def __reduce__(self) -> tuple[object, ...]:
        return Trap, (self.kind, self.detail, self.frames)


class WasmException(WasmineError):
    """A WebAssembly exception that no handler caught, or one that Python throws into wasm.

    `tag` is the `wasmine.Tag`, `values` the arguments it carries, as Python values.
    """

    def __init__(self, tag: Tag, *values: object) -> None:
        self.tag = tag
        self.values = values
        super().__init__(tag, *values)

    def __str__(self) -> str:
        return f"uncaught wasm exception {self.tag} {list(self.values)}"


class Exit(WasmineError):
    """The guest ended itself with an exit code (`proc_exit`). `code` is 0 to 2^32-1."""

    traced = False

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)

    def __str__(self) -> str:
        return f"guest exited with code {self.code}"


class _Stopped(WasmineError):
    """A limit stopped the guest. `reason` is the message alone, `frames` the wasm call stack, innermost first."""

    def __init__(self, reason: str = "", frames: Sequence[Frame] = ()) -> None:
        self.reason = reason
        self.frames: tuple[Frame, ...] = tuple(frames)
        super().__init__(reason)

    def __str__(self) -> str:
        return _with_stack(self.reason, self.frames)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.reason, self.frames)


class Timeout(_Stopped):
    """The time limit ran out and the guest was stopped.

    `reason` is the message alone, `frames` the wasm call stack where that happened, innermost first.
    """


class OutOfFuel(_Stopped):
    """The guest used up its fuel and was stopped.

    `reason` is the message alone, `frames` the wasm call stack, innermost first.
    """


class SnapshotError(WasmineError):
    """The state of an instance cannot be copied or written, or a file is not a snapshot of the module."""
