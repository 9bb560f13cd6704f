"""`wasmine compile`: all the code of modules made ahead, and kept in a cache directory."""

from __future__ import annotations

import os

from wasmine.cli.options import Arguments, Command, CommandError, Flag, UsageError
from wasmine.cli.progress import Progress
from wasmine.cli.source import CACHE_DIR, CACHE_VARIABLE, QUIET, load, open_cache
from wasmine.errors import UnsupportedFeature
from wasmine.runtime.runtime import ENGINES, Runtime


def execute(arguments: Arguments) -> int:
    if not arguments.operands:
        raise UsageError("missing path to wasm file", status=1)
    cache = open_cache(arguments["--cache-dir"])
    if cache is None:
        raise UsageError(f"where is the code to be kept? Give --cache-dir DIR, or set {CACHE_VARIABLE}")
    for path in arguments.operands:
        module = load(path, cache=cache, quiet=arguments["--quiet"])
        runtime = Runtime(arguments["--engine"] or "auto", cache=cache)
        with runtime, Progress(f"compiling {os.path.basename(path)}", quiet=arguments["--quiet"]) as progress:  # noqa: PTH119
            try:
                runtime.compile(module, progress=progress)
            except UnsupportedFeature as error:
                raise CommandError(f"{path}: {error}") from None
    return 0


COMMAND = Command(
    "compile",
    "Compile modules ahead, into a cache directory",
    "FILE...",
    execute,
    (
        CACHE_DIR,
        Flag("--engine", "for which engine: " + ", ".join(ENGINES), "NAME", choices=ENGINES),
        QUIET,
    ),
    notes="`wasmine run` with the same directory then compiles nothing. Without this it compiles each function when it is "
    "first called, and keeps that.",
)
