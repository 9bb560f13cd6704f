"""What Emscripten's JavaScript gives to its modules, as host functions: a ready import set.

    imports = {**wasi.imports(), **wasmine.emscripten.imports(module, wasi)}
    instance = runtime.instantiate(module, imports)

It holds setjmp and longjmp, C++ exceptions, the heap, clocks and calendar, and the system calls on files. It is for modules
that keep their names (built with `-sSTANDALONE_WASM`, or for debugging), and its records are those of Emscripten 3.1.42 and
later. What was written in JavaScript for one program (`EM_JS`, `EM_ASM`, browsers, sockets) is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmine.emscripten.environment import Environment
from wasmine.emscripten.invoke import CppException, Longjmp

if TYPE_CHECKING:
    from collections.abc import Callable

    from wasmine.runtime.module import Module
    from wasmine.wasi.system import WASI

__all__ = ["CppException", "Longjmp", "imports"]


def imports(module: Module, wasi: WASI | None = None) -> dict[str, dict[str, Callable[..., Any]]]:
    """The functions that `module` imports from `env` and that Emscripten would give it, for `Runtime.instantiate`.

    `wasi` is the operating system of the same guest: its files are what `__syscall_*` work on, its clocks and its
    randomness are the guest's. Without it there are no files (every `__syscall_*` answers -ENOSYS), and the clocks are the
    host's. A memory or table that the module imports is to be added: `imports["env"]["memory"] = runtime.memory(256)`.
    LinkError if the module imports `invoke_*` but does not export what these need. The set serves one instance.
    """
    return {"env": Environment(module, wasi).functions()}
