"""What works where the operating system lacks what Linux has: tried by hiding it from a process of our own.

This proves that nothing needs what is missing on Windows or macOS, not that what is there behaves as expected: no test has
run on either.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HELLO = str(Path(__file__).parents[2] / "examples/hello.wat")

# Modules and attributes that are missing. What the standard library itself needs is loaded before they go.
WINDOWS = {
    "platform": "win32",
    "modules": ("fcntl", "termios", "resource", "pwd", "grp", "tty", "pty"),
    "attributes": {
        "os": (
            *("O_PATH", "O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_NOCTTY", "O_SYNC", "O_DSYNC", "O_CLOEXEC"),
            *("posix_fallocate", "fdatasync", "preadv", "pwritev", "pread", "pwrite", "readv", "writev", "mkfifo"),
            *("register_at_fork", "fork", "geteuid", "getuid", "sched_yield", "sysconf", "uname", "pipe2"),
        ),
        "select": ("poll", "epoll", "PIPE_BUF"),
        "signal": ("SIGBUS", "SIGUSR1", "SIGALRM", "setitimer", "pthread_kill", "pthread_sigmask", "sigwait"),
        "mmap": ("MAP_PRIVATE", "MAP_ANONYMOUS", "MAP_SHARED", "MAP_NORESERVE", "MAP_POPULATE", "PROT_READ"),
        "time": ("clock_gettime", "clock_gettime_ns", "pthread_getcpuclockid"),
        "socket": ("MSG_DONTWAIT", "AF_UNIX", "socketpair"),
    },
}
MACOS = {
    "platform": "darwin",
    "modules": (),
    "attributes": {
        "os": ("O_PATH", "posix_fallocate", "fdatasync", "pipe2", "memfd_create", "sched_getaffinity"),
        "select": ("epoll",),
        "mmap": ("MAP_POPULATE", "MAP_NORESERVE"),
    },
}
SYSTEMS = {"windows": WINDOWS, "macos": MACOS}

HIDING = """
import asyncio, contextlib, ctypes, io, os, select, signal, socket, subprocess, sys, tempfile, threading, time, zipfile
import linecache, mmap, pathlib, shutil, traceback, warnings
hidden = {hidden!r}
for name in hidden["modules"]:
    sys.modules[name] = None  # importing it is an ImportError now
for module, names in hidden["attributes"].items():
    for name in names:
        with contextlib.suppress(AttributeError):
            delattr(sys.modules[module], name)
if hidden["platform"] == "win32":
    os.supports_dir_fd = os.supports_fd = os.supports_follow_symlinks = set()
sys.platform = hidden["platform"]
import wasmine
hello = {hello!r}
"""


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs run in an empty directory."""
    monkeypatch.chdir(tmp_path)


def run_on(system: str, program: str) -> str:
    """What a program prints in a process where the system lacks what that system lacks."""
    head = HIDING.format(hidden=SYSTEMS[system], hello=HELLO)
    command = [sys.executable, "-c", head + textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_a_module_computes(system: str) -> None:
    assert (
        run_on(
            system,
            """
        with wasmine.Runtime() as runtime:
            exports = runtime.instantiate('''(module (memory (export "memory") 1 2000)
              (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
              (func (export "grow") (result i32) (memory.grow (i32.const 1500)))
              (func (export "trap") (drop (i32.load (i32.const -1)))))''').exports
            print(runtime.engine.name, exports.add(2, 3), exports.grow(), exports.memory.size)
            try:
                exports.trap()
            except wasmine.Trap as trap:
                print(trap.kind.value)
        """,
        )
        == "interpreter 5 1 1501\nout of bounds memory access\n"
    )


def test_the_compiler_is_refused_with_the_reason(system: str) -> None:
    assert run_on(
        system,
        """
        try:
            wasmine.Runtime("compiler").instantiate("(module)")
        except wasmine.UnsupportedFeature as error:
            print(error)
        """,
    ).endswith(f"there is no machine code for {SYSTEMS[system]['platform']}\n")


def test_a_program_runs(system: str) -> None:
    assert (
        run_on(
            system,
            """
        print(wasmine.run(hello, ["Ada"], capture_output=True, text=True).stdout, end="")
        print(wasmine.run(hello, mounts={"/": {"a": b"x"}}, timeout=60, input=b"x").returncode)
        """,
        )
        == "Hello, Ada!\nHello, world!\n0\n"
    )


def test_the_command_line_works(system: str) -> None:
    out = run_on(
        system,
        """
        from wasmine.cli import main
        print(main(["run", hello]))
        print(main(["validate", hello]))
        print(main(["run", "--cache-dir", "cache", "--timeout", "60", "--fuel", "100000", hello]))
        print(main(["doctor"]))
        """,
    )
    assert out.startswith(f"Hello, world!\n0\n{HELLO}: valid\n0\nHello, world!\n0\nwasmine:")
    assert out.endswith("\n0\n")


def test_a_guest_that_computes_for_ever_is_stopped(system: str) -> None:
    assert (
        run_on(
            system,
            """
        with wasmine.Runtime(limits=wasmine.Limits(timeout=0.1)) as runtime:
            spin = runtime.instantiate('(module (func (export "spin") (loop (br 0))))').exports.spin
            try:
                spin()
            except wasmine.Timeout:
                print("stopped")
        """,
        )
        == "stopped\n"
    )


POLLING = """
    from wasmine.wasi import WASI
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    client.sendall(b"hello")
    text = '''(module
      (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 8) "\\\\00\\\\04\\\\00\\\\00\\\\10\\\\00\\\\00\\\\00")
      (func (export "f") (result i32)
        (drop (call $accept (i32.const 3) (i32.const 0) (i32.const 0)))
        (i32.store8 (i32.const 108) (i32.const 1))
        (i32.store (i32.const 116) (i32.load (i32.const 0)))
        (drop (call $poll (i32.const 100) (i32.const 200) (i32.const 1) (i32.const 4)))
        (drop (call $read (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i32.const 16)))
        (i32.add (i32.load (i32.const 16)) (i32.mul (i32.const 100) (i32.load (i32.const 4))))))'''
    with WASI(listen=[listener]) as system, wasmine.Runtime() as runtime:
        print(runtime.instantiate(text, system.imports()).exports.f())
    client.close()
    listener.close()
"""


def test_sockets_are_polled_and_read(system: str) -> None:
    assert run_on(system, POLLING) == "105\n"


MOUNTING = """
    from wasmine.wasi import HostDirectory, WASI
    text = '''(module
      (import "wasi_snapshot_preview1" "path_create_directory" (func $make (param i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "path_open" (func $open
        (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_allocate" (func $allocate (param i32 i64 i64) (result i32)))
      (import "wasi_snapshot_preview1" "fd_datasync" (func $sync (param i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 8) "\\\\20\\\\00\\\\00\\\\00\\\\04\\\\00\\\\00\\\\00")
      (data (i32.const 32) "made/new")
      (func (export "f") (result i32 i32 i32 i32 i32)
        (call $make (i32.const 3) (i32.const 32) (i32.const 4))
        (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 8) (i32.const 1)
          (i64.const 0xfffff) (i64.const 0) (i32.const 1) (i32.const 0))
        (call $write (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i32.const 16))
        (call $allocate (i32.load (i32.const 0)) (i64.const 0) (i64.const 10))
        (call $sync (i32.load (i32.const 0)))))'''
    try:
        with WASI(mounts={"/": "."}) as system, wasmine.Runtime() as runtime:
            print(runtime.instantiate(text, system.imports()).exports.f())
        print(pathlib.Path("made/new").read_bytes())
    except wasmine.UnsupportedFeature as error:
        print(error)
"""


def test_directories_of_the_host_are_mounted_without_linuxs_own_calls() -> None:
    assert run_on("macos", MOUNTING) == f"(0, 0, 0, 0, 0)\n{b'made' + bytes(6)!r}\n"


def test_where_a_guest_could_escape_from_a_directory_it_is_refused() -> None:
    said = run_on("windows", MOUNTING)
    assert "cannot mount '.': this operating system has no operations relative to directory descriptors" in said


def test_asyncio_and_threads(system: str) -> None:
    assert (
        run_on(
            system,
            """
        with wasmine.Runtime() as runtime:
            add = runtime.instantiate('''(module (func (export "add") (param i32 i32) (result i32)
              (i32.add (local.get 0) (local.get 1))))''').exports.add
            found = []
            thread = threading.Thread(target=lambda: found.append(add(1, 2)))
            thread.start()
            thread.join()
            print(found)
        """,
        )
        == "[3]\n"
    )
