"""Modules that `wasm-tools smith` makes to be run: they export everything and come to an end by themselves.

They need nothing, or in the profiles of pairs, the second of them what the first exports.

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
from wasmine.format.module import Import, ModuleSyntax
from wasmine.format.reader import read
from wasmine.format.types import ExternSyntax, FuncIndex, Kind
from wasmine.format.writer import write

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
    "limit-arrays-in-const-exprs": True,
}
_WASM2: Final = {**_MVP, **{f"{feature}-enabled": True for feature in _FEATURES["wasm2"]}, "max-tables": 3}
_WASM3: Final = {**_WASM2, **{f"{feature}-enabled": True for feature in _FEATURES["wasm3"]}, "max-memories": 3}

# Everything but objects, which the compiler leaves to the interpreter.
_NATIVE: Final = {**_WASM3, "gc-enabled": False, "max-tables": 4, "max-tags": 5}

# A second module that may import everything of a first one, and adds functions of its own.
_SECOND: Final = {"max-imports": 12, "min-funcs": 16, "min-memories": 0}

# Settings of smith by profile, for each module of a case. Without traps more of the code runs.
PROFILES: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "mvp": (_MVP,),
    "wasm2": (_WASM2,),
    "wasm2-notrap": ({**_WASM2, "disallow-traps": True},),
    "int-notrap": ({**_WASM2, "allow-floats": False, "simd-enabled": False, "disallow-traps": True},),
    "wasm3": (_WASM3,),
    "wasm3-notrap": ({**_WASM3, "disallow-traps": True},),
    "objects": ({**_WASM3, "disallow-traps": True, "min-types": 12, "simd-enabled": False, "max-instructions": 600},),
    "large": ({**_WASM3, "disallow-traps": True, "max-instructions": 5000, "min-funcs": 1},),
    "native": (_NATIVE,),
    "native-notrap": ({**_NATIVE, "disallow-traps": True},),
    "native-large": ({**_NATIVE, "disallow-traps": True, "max-instructions": 5000, "min-funcs": 1},),
    "atomics": ({**_NATIVE, "simd-enabled": False, "threads-enabled": True, "disallow-traps": True},),
    "relaxed": ({**_NATIVE, "relaxed-simd-enabled": True, "disallow-traps": True},),
    "mvp-pair": (_MVP, {**_MVP, **_SECOND}),
    "wasm3-pair": ({**_WASM3, "disallow-traps": True}, {**_WASM3, **_SECOND, "max-memories": 6, "max-tables": 6}),
    "native-pair": (
        {**_NATIVE, "disallow-traps": True},
        {**_NATIVE, **_SECOND, "max-memories": 6, "max-tables": 6, "disallow-traps": True},
    ),
}

# How many bytes of seed a module is made of: a few bytes an instruction.
_SEED_SIZES: Final = {"large": (20_000, 60_000), "native-large": (20_000, 60_000)}


def modules(profile: str, number: int, directory: Path) -> tuple[bytes, ...]:
    """The modules of this number; empty if smith makes none of the seed. Files are written into `directory`."""
    found: list[bytes] = []
    for position, settings in enumerate(PROFILES[profile]):
        configuration = directory / f"{profile}-{position}.json"
        configuration.write_text(json.dumps(settings))
        options = ["-c", str(configuration)]
        if found:
            shape = directory / f"{profile}.wasm"
            shape.write_bytes(write(_imports_of(read(found[-1]), f"m{position - 1}")))
            options += ["--available-imports", str(shape)]
        random = Random(f"{profile}/{number}/{position}" if position else f"{profile}/{number}")
        module = _smith(random.randbytes(random.randrange(*_SEED_SIZES.get(profile, (300, 8000)))), options)
        if module is None:
            return ()
        found.append(module)
    return tuple(found)


def _smith(seed: bytes, options: list[str]) -> bytes | None:
    """The module of a seed, None if it has none."""
    tool = wasm_tools()
    if tool is None:
        raise SystemExit("wasm-tools is not installed: pip install wasmine[test]")
    command = [str(tool), "smith", "--ensure-termination", f"--fuel={FUEL}", *options]
    done = subprocess.run(command, input=seed, capture_output=True, timeout=60, check=False)
    if done.returncode not in (0, 2):
        raise RuntimeError(f"wasm-tools smith failed: {done.stderr.decode(errors='replace')}")
    return done.stdout if done.returncode == 0 else None


def _imports_of(syntax: ModuleSyntax, name: str) -> ModuleSyntax:
    """A module that imports everything that a module without imports exports."""
    spaces: dict[Kind, list[ExternSyntax]] = {
        Kind.FUNC: [FuncIndex(type) for type in syntax.functions],
        Kind.TABLE: [table.type for table in syntax.tables],
        Kind.MEMORY: list(syntax.memories),
        Kind.GLOBAL: [entry.type for entry in syntax.globals],
        Kind.TAG: list(syntax.tags),
    }
    imports = tuple(Import(name, entry.name, spaces[entry.kind][entry.index]) for entry in syntax.exports)
    return ModuleSyntax(types=syntax.types, imports=imports)


def case(name: str, sources: tuple[bytes, ...]) -> Case:
    """The calls of every exported function, each in instances of its own."""
    sessions: list[Session] = []
    for position, source in enumerate(sources):
        for export, types in parameter_types(wasmine.Module(source)).items():
            random = Random(f"{name}/{position}/{export}")
            arguments = [random_argument(random, type) for type in types]
            if None not in arguments:
                given = tuple(argument for argument in arguments if argument is not None)
                sessions.append((Call(position, export, given),))
    return Case(name, sources, tuple(sessions))
