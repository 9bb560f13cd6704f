"""AssemblyScript's strings: UTF-16, with the length in bytes in the four bytes before the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wasmine.errors import LinkError

if TYPE_CHECKING:
    from wasmine.runtime.instance import Instance
    from wasmine.runtime.memory import Memory

_MASK = 0xFFFF_FFFF
_STRING = 2  # the class id of String in AssemblyScript's runtime, the same in every module


def read_string(memory: Memory, pointer: int) -> str | None:
    """The string at a pointer; None for null. Halves of surrogate pairs are replaced. IndexError outside the memory."""
    address = pointer & _MASK
    if not address:
        return None
    size = int.from_bytes(memory.read(address - 4, 4), "little")
    return memory.read(address, size & ~1).decode("utf-16-le", errors="replace")


def new_string(instance: Instance, text: str) -> int:
    """A pointer to a new string in the guest; the module must be compiled with `--exportRuntime` (LinkError otherwise).

    The guest's collector may take it as soon as the function that it is passed to has returned; `exports.__pin(pointer)`
    keeps it until `__unpin`.
    """
    new = instance.exports.get("__new")
    if new is None:
        raise LinkError("__new not exported: compile the module with --exportRuntime to make strings from outside")
    data = text.encode("utf-16-le", errors="surrogatepass")
    pointer: int = new(len(data), _STRING) & _MASK
    instance.exports.memory.write(pointer, data)
    return pointer
