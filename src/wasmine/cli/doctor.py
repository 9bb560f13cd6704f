"""`wasmine doctor`: what this machine offers and what Wasmine makes of it."""

from __future__ import annotations

import os
import platform
import sys

from wasmine.cli.options import Arguments, Command
from wasmine.cli.source import CACHE_VARIABLE
from wasmine.version import __version__


def execute(arguments: Arguments) -> int:
    from wasmine.runtime.runtime import ENGINES, Runtime
    from wasmine.wasi.filesystem.host import supported

    with Runtime() as runtime:
        chosen = runtime.engine.name
    compiler, bounds = _compiler()
    facts = {
        "wasmine": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()} ({sys.platform})",
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        **{f"{name} engine": _state(name) for name in ENGINES if name != "auto"},
        "auto": f"takes the {chosen} engine",
        "compiler": compiler,
        "memory bounds": bounds,
        "cache": os.environ.get(CACHE_VARIABLE) or f"none for wasmine run: {CACHE_VARIABLE} is not set",
        "host directories": "can be mounted" if supported() else "cannot be mounted safely on this operating system",
    }
    width = max(map(len, facts)) + 2
    for name, fact in facts.items():
        print(f"{name + ':':{width}}{fact}")
    return 0


def _state(engine: str) -> str:
    """Whether an engine works here, and if not, why."""
    from wasmine.runtime.runtime import Runtime

    try:
        with Runtime(engine) as runtime:  # type: ignore[arg-type]
            runtime.engine  # noqa: B018 - it is made on first use
    except Exception as error:  # whatever is wrong, saying so is what a doctor is for
        return f"does not work here: {error or type(error).__name__}"
    return "works here"


def _compiler() -> tuple[str, str]:
    """What the compiler engine uses here, or why there is none; how it checks bounds, and why so."""
    from wasmine.compiler.availability import unavailable

    problem = unavailable()
    if problem:
        return f"cannot be used: {problem}", "checked by the interpreter"
    from wasmine.compiler.engine import guard_pages
    from wasmine.compiler.machine import architecture

    problem = guard_pages()
    bounds = f"compared at every access: {problem}" if problem else "guarded by protected pages"
    return f"can be used, with templates for {architecture.host().level()}", bounds


COMMAND = Command("doctor", "Say which engine is used on this machine, and why", "", execute)
