"""Modules that `wasm-tools smith` makes to be run: they need nothing, export everything, and come to an end by themselves.

A hidden global counts function calls and loop iterations down and traps at zero. It belongs to the instance, so each call
gets a new one.
"""

from __future__ import annotations

import json
import subprocess
from random import Random
from typing import TYPE_CHECKING, Any, Final

from modules import wasm_tools
from ours import parameter_types
from session import Call, Case, random_argument

import wasmine

if TYPE_CHECKING:
    from pathlib import Path

    from session import Session

# Function calls and loop iterations of a call. Also a bound of the depth of recursion, so that no stack overflows.
FUEL: Final = 1000

_FEATURES: Final = {
    "wasm2": ("bulk-memory", "multi-value", "reference-types", "saturating-float-to-int", "sign-extension-ops", "simd"),
    "wasm3": ("exceptions", "gc", "memory64", "tail-call", "extended-const"),
    "never": (
        *("compact-imports", "custom-descriptors", "custom-page-sizes", "relaxed-simd", "threads"),
        *("shared-everything-threads", "wide-arithmetic"),
    ),
}
_MVP: Final[dict[str, Any]] = {
    **{f"{feature}-enabled": False for features in _FEATURES.values() for feature in features},
    "max-imports": 0,
    "export-everything": True,
    "allow-start-export": False,
    "min-funcs": 4,
    "min-memories": 1,
    "max-memories": 1,
    "max-tables": 1,
    "max-instructions": 200,
    # What NaN comes of an operation, and whether memory can be had, is for an implementation to say.
    "canonicalize-nans": True,
    "memory-max-size-required": True,
    "max-memory32-bytes": 1 << 20,
    "max-memory64-bytes": 1 << 20,
    "table-max-size-required": True,
    "max-table-elements": 1000,
}
_WASM2: Final = {**_MVP, **{f"{feature}-enabled": True for feature in _FEATURES["wasm2"]}, "max-tables": 3}
_WASM3: Final = {**_WASM2, **{f"{feature}-enabled": True for feature in _FEATURES["wasm3"]}, "max-memories": 3}

# Settings of smith by profile. Without traps more of the code runs.
PROFILES: Final[dict[str, dict[str, Any]]] = {
    "mvp": _MVP,
    "wasm2": _WASM2,
    "wasm2-notrap": {**_WASM2, "disallow-traps": True},
    "int-notrap": {**_WASM2, "allow-floats": False, "simd-enabled": False, "disallow-traps": True},
    "wasm3": _WASM3,
    "wasm3-notrap": {**_WASM3, "disallow-traps": True},
}


def binary(profile: str, number: int, directory: Path) -> bytes | None:
    """The module of this number; None if smith makes none of it. The settings are written into `directory`."""
    tool = wasm_tools()
    if tool is None:
        raise SystemExit("wasm-tools is not installed: pip install wasmine[test]")
    settings = directory / f"{profile}.json"
    if not settings.exists():
        settings.write_text(json.dumps(PROFILES[profile]))
    random = Random(f"{profile}/{number}")
    seed = random.randbytes(random.randrange(300, 8000))
    command = [str(tool), "smith", "--ensure-termination", f"--fuel={FUEL}", "-c", str(settings)]
    done = subprocess.run(command, input=seed, capture_output=True, timeout=60, check=False)
    if done.returncode not in (0, 2):
        raise RuntimeError(f"wasm-tools smith failed: {done.stderr.decode(errors='replace')}")
    return done.stdout if done.returncode == 0 else None


def case(name: str, source: bytes) -> Case:
    """The calls of every export of a module, each in an instance of its own."""
    sessions: list[Session] = []
    for export, types in parameter_types(wasmine.Module(source)).items():
        random = Random(f"{name}/{export}")
        arguments = [random_argument(random, type) for type in types]
        if None not in arguments:
            sessions.append((Call(0, export, tuple(argument for argument in arguments if argument is not None)),))
    return Case(name, (source,), tuple(sessions))
