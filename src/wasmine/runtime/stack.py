"""The wasm functions in a traceback: what an exception passed on its way through guests.

Frames of wasm functions have `__wasm__` among their global names: a `Holder`, which knows what is shown of them. The
interpreter's are real; for machine code `passed` makes some. So a traceback shows the calls of wasm functions between those
of Python, whatever the exception, and the exception stays the same object.
"""

from __future__ import annotations

import functools
from types import CodeType, FunctionType, TracebackType
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    from wasmine.errors import Frame

MAX_FRAMES: Final = 64
"""How many frames of wasm functions an exception shows, from the innermost on."""


class Holder(Protocol):
    """The `__wasm__` of a frame."""

    def frame_of(self, traceback: TracebackType) -> Frame:
        """What is shown of the frame of this entry of a traceback."""
        ...


def wasm_frames(traceback: TracebackType | None) -> tuple[Frame, ...]:
    """The frames of wasm functions in a traceback, innermost first."""
    entries: list[tuple[Holder, TracebackType]] = []
    while traceback is not None:
        holder = traceback.tb_frame.f_globals.get("__wasm__")
        if holder is not None:
            entries.append((holder, traceback))
        traceback = traceback.tb_next
    return tuple(holder.frame_of(entry) for holder, entry in reversed(entries[-MAX_FRAMES:]))


def passed(frames: Iterable[Frame], traceback: TracebackType | None) -> TracebackType | None:
    """A traceback that goes through these frames, given innermost first, before it goes on as `traceback`."""
    for frame in frames:
        traceback = TracebackType(traceback, _python_frame(frame), 2, 1)
    return traceback


class _Made:
    """The `__wasm__` of frames that are made."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def frame_of(self, traceback: TracebackType) -> Frame:
        return self._frame


@functools.lru_cache(2048)
def _python_frame(frame: Frame) -> FrameType:
    """A frame that looks like one of the wasm function. Nothing runs in it, and it refers to no other."""
    module = frame.module or "module"
    name = frame.function if frame.offset is None else f"{frame.function} at {frame.offset:#x}"
    code = _CODE.replace(co_name=name, co_qualname=name, co_filename=f"<wasm {module}>", co_firstlineno=1)
    names = {"__name__": f"wasm.{module}", "__wasm__": _Made(frame)}
    found: FrameType = FunctionType(code, names)().gi_frame
    return found


_CODE: Final[CodeType] = (lambda: (yield)).__code__
"""Of a generator: it has a frame before it runs."""
