"""Every error number of every function of preview 1, provoked by a program in C, on each engine and file system.

The last tests prove that nothing was left out: all functions appear, and every place in the implementation that raises an
error was reached.
"""

from __future__ import annotations

import ast
import io
import os
import select
import socket
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import wasmine
import wasmine.wasi
from wasmine.wasi import (
    Errno,
    FakeClock,
    HostDirectory,
    MemoryFileSystem,
    Overlay,
    Quota,
    ReadOnly,
    Symlink,
    WasiError,
    ZipFileSystem,
)
from wasmine.wasi.filesystem import FileSystem, interface
from wasmine.wasi.preview1 import FUNCTIONS
from wasmine.wasi.program import run

# What no error number can be had of: what succeeds always, or does not return.
NEVER_FAIL = {"proc_exit", "sched_yield"}


@pytest.fixture(scope="session")
def program(compiled: Callable[[str], Path]) -> wasmine.Module:
    """The program that provokes."""
    return wasmine.Module(compiled("errnos"))


class NoProcessorTime(FakeClock):
    """A clock like those of hosts that do not tell processor time."""

    def cpu_time(self) -> int | None:
        return None


TREE = {"file": b"0123456789", "folder": {"inner": b""}, "link": Symlink("file")}


def host_tree(path: Path) -> Path:
    """`TREE` on the host."""
    (path / "file").write_bytes(b"0123456789")
    (path / "folder").mkdir()
    (path / "folder/inner").write_bytes(b"")
    (path / "link").symlink_to("file")
    return path


def zip_tree() -> ZipFileSystem:
    """`TREE` in an archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("file", b"0123456789")
        archive.writestr("folder/inner", b"")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "file")
    file.seek(0)
    return ZipFileSystem(file)


WRITABLE: dict[str, Callable[[Path], FileSystem]] = {
    "host": HostDirectory,
    "memory": lambda path: MemoryFileSystem(),
    "overlay": lambda path: Overlay(HostDirectory(path)),
}
READ_ONLY: dict[str, Callable[[Path], FileSystem]] = {
    "host": lambda path: HostDirectory(host_tree(path), read_only=True),
    "memory": lambda path: ReadOnly(MemoryFileSystem(TREE)),
    "zip": lambda path: zip_tree(),
}
ON_WRITABLE = ("no_descriptor", "descriptors", "rights", "wrong_paths", "paths", "polls")


def pipe_mount(path: Path) -> dict[str, Any]:
    os.mkfifo(path / "pipe")
    return {"mounts": {"/": path}}


def two_mounts(path: Path) -> dict[str, Any]:
    return {"mounts": {"/": path, "/other": MemoryFileSystem()}}


# Groups that need more than a mount, and what it is.
SPECIAL: dict[str, Callable[[Path], dict[str, Any]]] = {
    "process": lambda path: {"env": {"A": "B"}},
    "no_such_clock": lambda path: {"clock": NoProcessorTime()},
    "short_random": lambda path: {"random": lambda count: b"short"[: count - 1]},
    "long_names": lambda path: {"mounts": {"/": path}},
    "many_steps": lambda path: {"mounts": {"/": path}, "quota": Quota(path_bytes=1 << 20)},
    "two_mounts": two_mounts,
    "full": lambda path: {"mounts": {"/": MemoryFileSystem(capacity=300)}},
    "quotas": lambda path: {
        "mounts": {"/": MemoryFileSystem()},
        "quota": Quota(open_files=5, path_bytes=20, file_bytes=100),
    },
    "pipe": pipe_mount,
    "output_budget": lambda path: {"quota": Quota(output_bytes=100_000), "stderr": bytearray()},
    "later": lambda path: {"stdin": lambda count: None},
}


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe of the host."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb"):
        yield reading, writing


@contextmanager
def waiting_input() -> Iterator[dict[str, Any]]:
    """Standard input from which nothing comes."""
    with pipe() as (reading, _):
        yield {"stdin": reading}


@contextmanager
def full_output() -> Iterator[dict[str, Any]]:
    """Standard error to a pipe that takes nothing more."""
    with pipe() as (_, writing):
        os.set_blocking(writing, False)
        while select.select([], [writing], [], 0)[1]:
            os.write(writing, bytes(4096))
        os.set_blocking(writing, True)
        yield {"stderr": writing}


@contextmanager
def broken_output() -> Iterator[dict[str, Any]]:
    """Standard error to a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb"):
        yield {"stderr": writing}


@contextmanager
def listener(behave: Callable[[socket.socket], None]) -> Iterator[dict[str, Any]]:
    """A listening socket with a client that behaves in some way."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        behave(client)
        yield {"listen": [server], "quota": Quota(open_files=5)}


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


HELD: dict[str, Callable[[], Any]] = {
    "streams": waiting_input,
    "full_stream": full_output,
    "broken_stream": broken_output,
    "sockets": lambda: listener(lambda client: None),
    "reset": lambda: listener(reset),
}


def cases(program: wasmine.Module, engine: str, group: str, **options: Any) -> list[tuple[str, str, int, int]]:
    """What a group's cases expected and got: the call, the name of the error number, that number, and what came."""
    done = run(program, [group], name="errnos", stdout=-1, text=True, engine=engine, **options)
    assert done.returncode == 0
    found = []
    for line in done.stdout.splitlines():
        assert not line.startswith("!"), line
        call, name, expected, got = line.rsplit(" ", 3)
        found.append((call, name, int(expected), int(got)))
    return found


def check(program: wasmine.Module, engine: str, group: str, **options: Any) -> list[tuple[str, str, int, int]]:
    """The cases of a group, all of which must have gone as expected."""
    found = cases(program, engine, group, **options)
    assert found
    wrong = [
        f"{call}: expected {name}, got {Errno(got).name}" for call, name, expected, got in found if expected != got
    ]
    assert wrong == []
    assert all(Errno[name] == expected for _, name, expected, _ in found)
    return found


@pytest.mark.parametrize("kind", WRITABLE)
@pytest.mark.parametrize("group", ON_WRITABLE)
def test_on_file_systems(program: wasmine.Module, engine: str, tmp_path: Path, group: str, kind: str) -> None:
    check(program, engine, group, mounts={"/": WRITABLE[kind](tmp_path)})


@pytest.mark.parametrize("kind", READ_ONLY)
def test_on_read_only_file_systems(program: wasmine.Module, engine: str, tmp_path: Path, kind: str) -> None:
    check(program, engine, "read_only", mounts={"/": READ_ONLY[kind](tmp_path)})


@pytest.mark.parametrize("group", SPECIAL)
def test_special_circumstances(program: wasmine.Module, engine: str, tmp_path: Path, group: str) -> None:
    check(program, engine, group, **SPECIAL[group](tmp_path))


@pytest.mark.parametrize("group", HELD)
def test_streams_and_sockets(program: wasmine.Module, engine: str, group: str) -> None:
    with HELD[group]() as options:
        check(program, engine, group, **options)


# ------------------------------------------------------------------------------------------------------ nothing left out

# Places that raise an error which no C program can come by, and why.
UNREACHABLE = {
    ("guest_memory.py", "unpack"): "poll_oneoff looks at the whole array before; Emscripten's system calls need it",
    ("filesystem/interface.py", "read_link"): "every file system here has links",
    ("filesystem/interface.py", "write"): "what is read-only refuses before, when the file is opened",
    ("filesystem/interface.py", "truncate"): "what is read-only refuses before, when the file is opened",
    ("filesystem/readonly.py", "allocate"): "what is read-only refuses before: the right to allocate is one to write",
    ("filesystem/archive.py", "load"): "an archive that is damaged or lies: tests/wasi/test_read_only_file_systems.py",
    ("filesystem/host.py", "open_file"): "the host itself says that it is a directory, unless opened to be read alone",
}

Sites = dict[tuple[str, int], str]  # file and line of a place that raises, and the function that it is in

PACKAGE = Path(wasmine.wasi.__file__).parent


def raising_sites() -> Sites:
    """Every call of `WasiError(...)` and `fail(...)` in the package."""
    found: Sites = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                for node in ast.walk(function):
                    raises = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("WasiError", "fail")
                    if raises:
                        found[name, node.lineno] = function.name
    return found


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """The places that raised an error since."""
    found: set[tuple[str, int]] = set()

    def note() -> None:
        frame = sys._getframe(2)
        path = Path(frame.f_code.co_filename)
        if PACKAGE in path.parents:
            found.add((path.relative_to(PACKAGE).as_posix(), frame.f_lineno))

    made, failed = WasiError.__init__, interface.fail

    def noted_error(self: WasiError, number: Errno) -> None:
        note()
        made(self, number)

    def noted_failure(number: int, name: str = "") -> Any:
        note()
        failed(number, name)

    monkeypatch.setattr(WasiError, "__init__", noted_error)
    for module in [module for name, module in sys.modules.items() if name.startswith("wasmine.wasi.filesystem.")]:
        if getattr(module, "fail", None) is failed:
            monkeypatch.setattr(module, "fail", noted_failure)
    return found


@pytest.fixture(scope="session")
def all_cases(program: wasmine.Module, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function that runs every group on every file system, and gives all cases."""
    count = iter(range(1000))

    def fresh() -> Path:
        return tmp_path_factory.mktemp(f"errnos{next(count)}")

    def run_all() -> list[tuple[str, str, int, int]]:
        found = []
        for group in ON_WRITABLE:
            for make in WRITABLE.values():
                found += cases(program, "auto", group, mounts={"/": make(fresh())})
        for make in READ_ONLY.values():
            found += cases(program, "auto", "read_only", mounts={"/": make(fresh())})
        for group, options in SPECIAL.items():
            found += cases(program, "auto", group, **options(fresh()))
        for group, hold in HELD.items():
            with hold() as held:
                found += cases(program, "auto", group, **held)
        return found

    return run_all


def test_every_place_that_raises_an_error_was_reached(all_cases: Any, reached: set[tuple[str, int]]) -> None:
    sites = raising_sites()
    assert len(sites) > 100
    all_cases()
    assert reached <= set(sites), "a place that raises is not recognised"
    missed = {site: name for site, name in sites.items() if site not in reached}
    unexpected = [
        f"{file}:{line} in {name}" for (file, line), name in missed.items() if (file, name) not in UNREACHABLE
    ]
    assert unexpected == []
    assert {(file, name) for (file, _), name in missed.items()} == set(UNREACHABLE), "no exception is needless"


def test_every_function_fails_in_every_way_that_its_parameters_can(all_cases: Any) -> None:
    provoked: dict[str, set[str]] = {}
    for call, name, _, _ in all_cases():
        function = max((each.name for each in FUNCTIONS if call.startswith(each.name)), key=len)
        provoked.setdefault(function, set()).add(name)
    assert set(provoked) | NEVER_FAIL == {function.name for function in FUNCTIONS}
    for function in FUNCTIONS:
        meanings = {parameter.meaning for parameter in function.parameters}
        expected = set()
        if "fd" in meanings:
            expected.add("BADF")
        if {"text", "address"} & meanings or any(parameter.is_result for parameter in function.parameters):
            expected.add("FAULT")
        if "text" in meanings:
            expected |= {"ILSEQ", "INVAL", "LOOP", "NAMETOOLONG", "NOENT", "NOTCAPABLE", "NOTDIR", "PERM"}
        missing = expected - provoked.get(function.name, set())
        assert not missing, f"{function.name}: no case provokes {missing}"
