"""Logs of host calls, like strace: what a guest asks of its operating system, and what it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmine.wasi.errno import Errno
from wasmine.wasi.layout import (
    U16,
    U32,
    U64,
    Advice,
    ClockId,
    FdFlags,
    Flags,
    FstFlags,
    LookupFlags,
    OFlags,
    RiFlags,
    SdFlags,
    Whence,
)
from wasmine.wasi.preview1 import GROUPS
from wasmine.wasi.rights import Rights

if TYPE_CHECKING:
    import enum
    from collections.abc import Callable, Iterable, Sequence

    from wasmine.wasi.preview1 import Parameter, WasiFunction

_FLAGS: dict[str, type[Flags]] = {
    "fdflags": FdFlags,
    "fstflags": FstFlags,
    "lookupflags": LookupFlags,
    "oflags": OFlags,
    "riflags": RiFlags,
    "sdflags": SdFlags,
    "rights": Rights,
}
_ENUMERATIONS: dict[str, type[enum.IntEnum]] = {"clock": ClockId, "whence": Whence, "advice": Advice}
_NUMBERS = {"out:u16": U16, "out:u32": U32, "out:u64": U64}
_LONGEST = 256  # bytes of a path that are shown


class Tracer:
    """Writes a line for every call of the chosen groups to `write`, and one for its outcome.

    `groups` are names of `wasi.preview1.GROUPS`, or "all". ValueError for others.
    """

    def __init__(self, write: Callable[[str], object], groups: Iterable[str] = ("all",)) -> None:
        self.groups = parse_groups(groups)
        self._write = write

    def traced(self, module: str, function: WasiFunction, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call with its log, or as it is if its group is not wanted."""
        if function.group not in self.groups:
            return call

        def logged(caller: Any, *arguments: int) -> Any:
            view = caller.memory.view()
            given = _with_arguments(function, arguments)
            shown = ",".join(
                f"{parameter.name}={_argument(view, parameter, values)}"
                for parameter, values in given
                if not parameter.is_result
            )
            self._write(f"==> {module}.{function.name}({shown})\n")
            del view  # the call may let the memory grow
            errno = call(caller, *arguments)
            results = [f"errno={_errno(errno)}"]
            if errno == Errno.SUCCESS:
                view = caller.memory.view()
                results[:0] = [
                    f"{parameter.name}={_NUMBERS[parameter.meaning].unpack_from(view, values[0] & 0xFFFF_FFFF)[0]}"
                    for parameter, values in given
                    if parameter.meaning in _NUMBERS
                ]
            self._write(f"<== ({','.join(results)})\n")
            return errno

        return logged


def parse_groups(names: Iterable[str]) -> frozenset[str]:
    """The groups meant. ValueError for a name that is none."""
    chosen: set[str] = set()
    for name in names:
        if name == "all":
            chosen.update(GROUPS)
        elif name in GROUPS:
            chosen.add(name)
        else:
            raise ValueError(f"unknown group {name!r}: expected all, {', '.join(GROUPS)}")
    return frozenset(chosen)


def _with_arguments(function: WasiFunction, arguments: Sequence[int]) -> list[tuple[Parameter, list[int]]]:
    """Each parameter with the wasm arguments that were passed for it."""
    rest = iter(arguments)
    return [(parameter, [next(rest) for _ in parameter.types]) for parameter in function.parameters]


def _argument(view: memoryview, parameter: Parameter, values: list[int]) -> str:
    first = values[0] & (0xFFFF_FFFF_FFFF_FFFF if len(parameter.types) == 1 and values[0] >> 32 > 0 else 0xFFFF_FFFF)
    meaning = parameter.meaning
    if meaning == "text":
        length = values[1] & 0xFFFF_FFFF
        text = bytes(view[first : first + min(length, _LONGEST)]).decode(errors="replace")
        return text if length <= _LONGEST else text + "..."
    if meaning in _FLAGS:
        return _flags(_FLAGS[meaning], first)
    if meaning in _ENUMERATIONS:
        kind = _ENUMERATIONS[meaning]
        return kind(first).name.lower() if first in kind._value2member_map_ else str(first)
    return str(values[0]) if meaning in ("delta", "fd") else str(first)


def _flags(kind: type[Flags], bits: int) -> str:
    names = [member.name for member in kind if bits & member]
    unknown = bits & ~kind.all()
    return "|".join([*names, hex(unknown)] if unknown else names)


def _errno(errno: Any) -> str:
    if errno is None:
        return "ESUCCESS"
    error = Errno(errno)
    return "E2BIG" if error is Errno.TOO_BIG else f"E{error.name}"
