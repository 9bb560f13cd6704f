"""Locals without a default value (non-nullable references): unset at first, and unset again where a block ends.

Lists that stand in for the walk's plain ones in the few functions that have such locals, so that the others pay nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsIndex

from wasmine.validation.faults import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wasmine.format.types import ValueType
    from wasmine.validation.rules import Frame


class Frames(list[Any]):
    """Control frames that remember which locals were set since each of them began."""

    def __init__(self, unset: Iterable[int]) -> None:
        super().__init__()
        self.unset = set(unset)
        self._set_in: list[list[int]] = []

    def append(self, frame: Frame) -> None:
        self._set_in.append([])
        super().append(frame)

    def pop(self, index: SupportsIndex = -1) -> Any:
        self.unset.update(self._set_in.pop())
        return super().pop(index)

    def mark(self, local: int) -> None:
        """The local is set from here to the end of the block."""
        if local in self.unset:
            self.unset.remove(local)
            self._set_in[-1].append(local)


class Getting(list[Any]):
    """Types of locals, for reading them."""

    def __init__(self, types: Sequence[ValueType], frames: Frames) -> None:
        super().__init__(types)
        self._unset = frames.unset

    def __getitem__(self, local: Any) -> Any:
        if local in self._unset:
            raise Invalid(f"uninitialized local: local {local} of type {super().__getitem__(local)} is not set yet")
        return super().__getitem__(local)


class Setting(list[Any]):
    """Types of locals, for writing them."""

    def __init__(self, types: Sequence[ValueType], frames: Frames) -> None:
        super().__init__(types)
        self._mark = frames.mark

    def __getitem__(self, local: Any) -> Any:
        self._mark(local)
        return super().__getitem__(local)
