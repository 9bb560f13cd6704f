"""Throwing and catching: `try_table`, and the legacy `try`.

Entering a try block costs nothing: a table says which calls lie in it, and what is thrown finds it by their return
addresses. Values arrive in slots, in the places where the label, or the catch part, wants them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.compiler.baseline.state import SLOT, State, letters_of, size_of
from wasmine.compiler.code import Catch, CatchKind, Region, Service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.compiler.baseline.calls import Calls
    from wasmine.compiler.baseline.control import Control, Label
    from wasmine.format.types import FuncType, ValueType


class _Open:
    """A region in the making."""

    def __init__(self, parent: int | None) -> None:
        self.catches: list[Catch] = []
        self.parent = parent


class Exceptions:
    """The handlers of these instructions, and the regions of the function."""

    def __init__(self, state: State, control: Control, calls: Calls) -> None:
        self._state = state
        self._control = control
        self._calls = calls
        self._regions: list[_Open] = []

    def reset(self) -> None:
        """Begin a function."""
        self._regions = []

    def finish(self) -> tuple[Region, ...]:
        """The regions, when all code is written."""
        return tuple(Region(tuple(region.catches), region.parent) for region in self._regions)

    def _tag_letters(self, tag: int) -> str:
        type: FuncType = self._state.context.tags[tag].composite  # type: ignore[assignment]
        return letters_of(type.params)

    def _open(self, params: Sequence[ValueType], results: Sequence[ValueType]) -> Label:
        """A new label with a region of its own."""
        label = self._control.open(params, results)
        self._regions.append(_Open(label.region))
        label.region = len(self._regions) - 1
        return label

    # ------------------------------------------------------------------------------------------------ try_table

    def try_table(
        self,
        params: Sequence[ValueType],
        results: Sequence[ValueType],
        _: int | None,
        catches: tuple[tuple[int, int | None, int], ...],
    ) -> None:
        """try_table: its clauses name labels outside."""
        targets = [self._control.labels[~depth] for _, _, depth in catches]
        self._open(params, results)
        region = self._regions[-1]
        for target in targets:
            # Exceptions for a loop arrive at its head, where nothing joins that the end must know of.
            target.is_caught |= target.target is None
            end = target.place + size_of(target.letters)
            self._state.deepest = max(self._state.deepest, end)

        def write_landings() -> None:
            for (kind, tag, _), target in zip(catches, targets, strict=True):
                region.catches.append(Catch(CatchKind(kind), tag, len(self._state.emitter.code), target.place))
                self._go_on(target)

        self._state.emitter.later(write_landings)

    def _go_on(self, target: Label) -> None:
        """Behind the body: on to a label, whose values lie in its slots."""
        state, emitter = self._state, self._state.emitter
        if target.in_register:
            state.load(target.letters, state.result_register(target.letters), target.place)
        end = target.target if target.target is not None else target.end
        emitter.aim(emitter.jump(), end)

    # ------------------------------------------------------------------------------------------------ legacy

    def try_(self, params: Sequence[ValueType], results: Sequence[ValueType], _: int | None) -> None:
        """try"""
        self._open(params, results).is_caught = True

    def catch(self, tag: int, reachable: bool) -> None:
        """catch: the exception stays in a slot below the values, for `rethrow`."""
        label = self._close_part(reachable)
        letters = self._tag_letters(tag)
        self._begin_part(label, CatchKind.CATCH_REF, tag, letters)

    def catch_all(self, reachable: bool) -> None:
        """catch_all"""
        self._begin_part(self._close_part(reachable), CatchKind.CATCH_ALL_REF, None, "")

    def _close_part(self, reachable: bool) -> Label:
        control = self._control
        label = control.labels[-1]
        if reachable:
            control.arrive(label)
            control.jump(label)
        if label.own_region is None:
            label.own_region = label.region
            assert label.region is not None
            label.region = self._regions[label.region].parent
        self._state.truncate(label.height)
        return label

    def _begin_part(self, label: Label, kind: CatchKind, tag: int | None, letters: str) -> None:
        state, emitter = self._state, self._state.emitter
        place = label.place
        values = place + 8 if letters or tag is not None else place
        assert label.own_region is not None
        self._regions[label.own_region].catches.append(Catch(kind, tag, len(emitter.code), values))
        state.stack.append((SLOT, "I", place, True))
        at = values
        for letter in letters:
            state.stack.append((SLOT, letter, at, True))
            at += 16 if letter == "v" else 8
        if values != place:
            # The reference comes behind the values.
            emitter.code += state.machine.copy_slot(place, at, wide=True)
        state.deepest = max(state.deepest, at + 8)

    def delegate(self, depth: int, reachable: bool) -> None:
        """delegate: what is thrown in the try part goes on at another block's handlers."""
        control = self._control
        region = control.labels[-1].region
        control.end(reachable)
        assert region is not None
        self._regions[region].parent = control.labels[~depth].region

    def rethrow(self, depth: int) -> None:
        """rethrow"""
        self._state.stack.append((SLOT, "I", self._control.labels[~depth].place, False))
        self.throw_ref()

    # ------------------------------------------------------------------------------------------------ throwing

    def throw(self, tag: int) -> None:
        """throw"""
        state = self._state
        position = state.position()
        letters = self._tag_letters(tag)
        state.settle_top(len(letters))
        place = state.place(len(state.stack))
        self._calls.set_slot(place, tag)
        state.deepest = max(state.deepest, place + 8)
        self._calls.call_host(Service.THROW, place, position)

    def throw_ref(self) -> None:
        """throw_ref"""
        state = self._state
        position = state.position()
        place = state.settle_top(1)
        self._calls.call_host(Service.THROW_REF, place, position)
