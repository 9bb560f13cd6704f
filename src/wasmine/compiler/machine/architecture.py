"""`Architecture`: what generic code needs to know of a processor's architecture.

Each is a package of its name in this one. Nothing outside of it, but for the template builder, knows what is special to it.
"""

from __future__ import annotations

import functools
import importlib
import os
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from types import ModuleType

    from wasmine.compiler.machine.instructions import Instructions

MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""The architectures there are, by Linux's names of machines."""


class Architecture(Protocol):
    """What the package of an architecture offers. Its module `instructions` is the baseline compiler's."""

    NAME: str

    CONTROL: int
    """The processor's control register for floats, as WebAssembly wants it."""

    DATA: int
    """Where the data page lies behind the start of the blob."""

    HOST_FRAME: int
    """Bytes between the stack pointer and the return address in `call_host`, `host_function` and `compile_function`."""

    OTHER_FRAME: int
    """The same in the switch to another instance."""

    STUB_SIZE: int

    def stub(self, symbol: int, number: int, at: int) -> bytes:
        """Code, to lie at an address near the symbol's, that jumps there with a number in the service register."""

    def level(self) -> str:
        """The name of the best template library for this processor. OSError for one that is too old for any."""

    def source(self) -> str:
        """The hand-written sequences as text. Blobs that were made from the same are the same."""

    def assemble(self) -> tuple[bytes, dict[str, int]]:
        """The hand-written sequences as code, and the offsets of their symbols (`blob.SYMBOLS`, and perhaps `flush`).

        `flush(start, end)`, where there is one, makes new code visible to the processor.
        """


@functools.cache
def named(name: str) -> Architecture:
    """The architecture of a name."""
    found: ModuleType = importlib.import_module(f"{__package__}.{name}")
    return cast("Architecture", found)


@functools.cache
def instructions(name: str) -> Instructions:
    """The instructions of the architecture of a name."""
    found: ModuleType = importlib.import_module(f"{__package__}.{name}.instructions")
    return cast("Instructions", found)


@functools.cache
def host() -> Architecture:
    """The architecture that runs us. OSError if there is no machine code for it."""
    machine = os.uname().machine
    if machine not in MACHINES:
        raise OSError(f"there is no machine code for {machine}")
    return named(MACHINES[machine])
