"""What instances of the interpreter share: memories, tables and globals."""

from __future__ import annotations

import mmap
import weakref
from typing import TYPE_CHECKING, Any, Final

from wasmine.runtime.atomics import Monitor
from wasmine.runtime.gil import FREE_THREADED
from wasmine.runtime.globals import Global
from wasmine.runtime.lock import lock
from wasmine.runtime.memory import Memory
from wasmine.runtime.table import MAXIMUM_ELEMENTS, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wasmine.format.types import GlobalType, MemoryType, TableType
    from wasmine.interpreter.code import InstanceCode
    from wasmine.runtime.image import Image

# Larger memories are mappings, for the pages of a bytearray all exist from the start.
_BYTEARRAY_CEILING: Final = 64 << 20
# Larger images are mapped and shared until they are written to, for a copy takes longer than slower accesses cost.
_COPY_CEILING: Final = 16 << 20
# Where threads run at the same time a memory that grows is always copied: so much into a bytearray, and more into a
# mapping with room for half as much again.
_COPIED_CEILING: Final = 8 << 20
# As much address space as a shared memory takes at once: its bytes must not move while other threads use them.
_SHARED_CEILING: Final = 1 << 32
# Linux's value; Python names it from 3.13 on. Pages that a guest never touches must not count.
_NO_RESERVE: Final = getattr(mmap, "MAP_NORESERVE", 0x4000) if hasattr(mmap, "MAP_POPULATE") else 0


def _mapping(size: int) -> mmap.mmap:
    """Zeroed bytes that take no memory until they are touched."""
    try:
        if hasattr(mmap, "MAP_PRIVATE"):
            return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE)
        return mmap.mmap(-1, size)
    except (OSError, ValueError, OverflowError) as error:
        raise MemoryError(f"cannot allocate a memory of {size} bytes") from error


def _allocate(size: int) -> bytearray | mmap.mmap:
    """Zeroed bytes."""
    return bytearray(size) if size <= _BYTEARRAY_CEILING else _mapping(size)


class InterpreterMemory(Memory):
    """A memory as a buffer. `views` are by struct format ("B", "b"), and by "" what bytes are fastest read from.

    Generated code finds the views as global names of its instance; growing rebinds them in every attached instance. The
    buffer is a bytearray, whose bytes are reached 15 to 20% faster than a view's (measured); a large or shared memory is
    an anonymous mapping.

    CPython counts the views of a buffer, and the slices of a view, without regard to other threads. Where these run at the
    same time (`FREE_THREADED`) everybody gets views that are nobody else's, and no buffer is ever enlarged in place.
    """

    __slots__ = ("_attached", "_buffer", "_size", "monitor", "views")

    def __init__(self, type: MemoryType, image: Image | None = None) -> None:
        super().__init__(type)
        self._size = image.length if image is not None else type.limits.minimum << type.page_size_log2
        if type.shared:
            maximum = type.limits.maximum or 0
            reserved = max(min(maximum << type.page_size_log2, _SHARED_CEILING), self._size, 1)
            self._buffer: bytearray | mmap.mmap = _mapping(reserved)
        elif image is not None and image.length > _COPY_CEILING and image.descriptor >= 0:
            # Sealed: it cannot be resized, so a memory that grows gets a buffer of its own.
            self._buffer = mmap.mmap(image.descriptor, image.length, flags=mmap.MAP_PRIVATE)
        else:
            self._buffer = _allocate(self._size)
            for position, data in image.pieces() if image is not None else ():
                self._buffer[position : position + len(data)] = data
        self._attached: list[tuple[weakref.ref[InstanceCode], str]] = []
        self.views: dict[str, Any] = {}
        self.monitor = Monitor(type.shared)
        self.views = self._new_views()

    def _new_views(self) -> dict[str, Any]:
        buffer = self._buffer
        all_bytes = memoryview(buffer)[: self._size]
        return {
            "": buffer if isinstance(buffer, bytearray) else all_bytes,
            "B": all_bytes,
            "b": all_bytes.cast("b"),
        }

    def attach(self, code: InstanceCode, name: str) -> None:
        """Bind the views in the namespace of an instance, now and whenever the memory grows."""
        with self.monitor.lock:
            self._attached = [entry for entry in self._attached if entry[0]() is not None]
            self._attached.append((weakref.ref(code), name))
            self._bind(code, name)

    def _bind(self, code: InstanceCode, name: str) -> None:
        views = self._new_views() if FREE_THREADED else self.views
        names = {f"{name}_{format}" if format else name: view for format, view in views.items()}
        code.namespace.update(names)

    def view(self) -> memoryview:
        """A writable memoryview of the bytes."""
        return memoryview(self._buffer)[: self._size] if FREE_THREADED else memoryview(self.views["B"])

    @property
    def byte_length(self) -> int:
        """Size in bytes."""
        return self._size

    def extend(self, delta: int) -> int:
        """Add zeroed pages; the old size in pages, or -1 if that is too much."""
        with self.monitor.lock:
            old = self.size
            if old + delta > self.maximum:
                return -1
            return old if not delta or self._grow(old + delta << self.type.page_size_log2) else -1

    def _grow(self, size: int) -> bool:
        """Grow to a size in bytes; False if there is not so much memory."""
        grown = size <= len(self._buffer)
        if not grown and not self.type.shared:
            try:
                self._enlarge(size)
                grown = True
            except MemoryError:
                pass
        if grown:
            self._size = size
        # Also where it failed: the views may be released by now.
        self.views = self._new_views()
        for reference, name in self._attached:
            code = reference()
            if code is not None:
                self._bind(code, name)
        return grown

    def _enlarge(self, size: int) -> None:
        """A buffer of this size with the same contents: the same one if nobody else holds a view of it."""
        old = self._buffer
        if FREE_THREADED:
            self._copy_to(bytearray(size) if size <= _COPIED_CEILING else _mapping(size + size // 2))
            return
        try:
            for format, view in self.views.items():
                if format:
                    view.release()
            if isinstance(old, mmap.mmap):
                old.resize(size)
                return
            if size <= _BYTEARRAY_CEILING:
                old.extend(bytes(size - len(old)))
                return
        except (BufferError, OSError, SystemError, ValueError):
            pass  # somebody holds a view of a part of it, or the system cannot enlarge mappings
        self._copy_to(_allocate(size))

    def _copy_to(self, larger: bytearray | mmap.mmap) -> None:
        larger[: self._size] = memoryview(self._buffer)[: self._size]
        self._buffer = larger


class InterpreterTable(Table):
    """A table as a list of internal references, the same list always."""

    __slots__ = ("elements",)

    def __init__(self, type: TableType, init: Any) -> None:
        super().__init__(type)
        if type.limits.minimum > MAXIMUM_ELEMENTS:
            raise MemoryError(f"cannot allocate a table of {type.limits.minimum} elements: at most {MAXIMUM_ELEMENTS}")
        self.elements: list[Any] = [init] * type.limits.minimum

    def __len__(self) -> int:
        return len(self.elements)

    def get(self, index: int) -> Any:
        """The internal value of an element."""
        return self.elements[index]

    def put(self, index: int, values: Sequence[Any]) -> None:
        """Store internal values."""
        self.elements[index : index + len(values)] = values

    def extend(self, delta: int, init: Any) -> int:
        """Add elements; the old size, or -1 if that is too many."""
        with lock:
            old = len(self.elements)
            if old + delta > self.maximum:
                return -1
            self.elements.extend([init] * delta)
            return old


class InterpreterGlobal(Global):
    """A global as a slot: `raw` is the internal value."""

    __slots__ = ("raw",)

    def __init__(self, type: GlobalType, value: Any) -> None:
        super().__init__(type)
        self.raw = value

    def get(self) -> Any:
        """The internal value."""
        return self.raw

    def set(self, value: Any) -> None:
        """Store an internal value."""
        self.raw = value
