"""The commands, as a user calls them."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wasmine
from wasmine.cli import COMMANDS, main

HELLO = str(Path(__file__).parents[2] / "examples/hello.wat")

ADD = '(module $m (func $sum (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'
TRAP = '(module $m (func $inner unreachable) (func $outer (export "_start") call $inner))'
INVALID = "(module (func (result i32) i64.const 0))"

CLI = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> CLI:
    """`cli("run", path)` gives the exit code, standard output and standard error."""

    def call(*words: Any) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def wat(tmp_path: Path) -> Callable[[str], Path]:
    """A file with this text."""

    def write(text: str) -> Path:
        path = tmp_path / "module.wat"
        path.write_text(text)
        return path

    return write


class TestRun:
    def test_a_program_runs(self, cli: CLI, engine: str) -> None:
        assert cli("run", "--engine", engine, HELLO) == (0, "Hello, world!\n", "")
        assert cli("run", HELLO, "Ada", "--env") == (0, "Hello, Ada!\nHello, --env!\n", "")

    def test_the_exit_code_is_the_guests(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        text = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 42))))"""
        assert cli("run", wat(text)) == (42, "", "")

    def test_a_trap_prints_its_stack_and_exits_134(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        status, out, err = cli("run", wat(TRAP))
        assert (status, out) == (134, "")
        assert err.startswith("error: unreachable\n")
        assert err.index("outer") < err.index("inner")

    def test_mounts(self, cli: CLI, tmp_path: Path, wat: Callable[[str], Path]) -> None:
        text = """(module
          (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1) (data (i32.const 0) "made")
          (func (export "_start") (call $exit (call $mkdir (i32.const 3) (i32.const 0) (i32.const 4)))))"""
        mounted = tmp_path / "mounted"
        mounted.mkdir()
        path = wat(text)
        assert cli("run", path)[0] == 8
        assert cli("run", "--dir", f"{mounted}:/data:ro", path)[0] == 69
        assert cli("run", "--mount", f"{mounted}:ro", path)[0] == 69
        assert list(mounted.iterdir()) == []
        assert cli("run", f"-dir={mounted}:/data", path)[0] == 0
        assert [made.name for made in mounted.iterdir()] == ["made"]

    def test_environment(self, cli: CLI, wat: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
        text = """(module
          (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1)
          (func (export "_start") (drop (call $sizes (i32.const 0) (i32.const 4))) (call $exit (i32.load (i32.const 0)))))"""
        path = wat(text)
        monkeypatch.setattr(os, "environ", {"INHERITED": "1", "A": "2"})
        assert cli("run", path)[0] == 0
        assert cli("run", "--env", "A=1", "--env", "B=", path)[0] == 2
        assert cli("run", "--env-inherit", "--env", "A=1", path)[0] == 2

    def test_a_module_that_is_no_program_is_called_by_function(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        status, _, err = cli("run", wat(ADD))
        assert status == 1
        assert "it has no function _start; it exports add\nTo call a function of it: wasmine run --invoke" in err

    def test_repeatable_runs(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        text = """(module
          (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
          (memory (export "memory") 1)
          (func (export "f") (result i32 i64)
            (drop (call $random (i32.const 0) (i32.const 4)))
            (drop (call $time (i32.const 0) (i64.const 0) (i32.const 8)))
            (i32.load (i32.const 0)) (i64.load (i32.const 8))))"""
        path = wat(text)
        first = cli("run", "--seed", "0x10", "--fake-clock", "--invoke", "f", path)
        assert first == cli("run", "--seed", "16", "--fake-clock", "--invoke", "f", path)
        assert first[1].endswith("\n1640995200000000000\n")
        assert cli("run", "--seed", "17", "--fake-clock", "--invoke", "f", path) != first

    def test_host_calls_are_logged(self, cli: CLI) -> None:
        status, out, err = cli("run", "--hostlogging", "proc,random", HELLO)
        assert (status, out) == (0, "Hello, world!\n")
        assert err.startswith("==> wasi_snapshot_preview1.args_sizes_get()\n<== (argc=1,argv_len=10,errno=ESUCCESS)\n")
        assert "fd_write" not in err
        assert "fd_write(fd=1" in cli("run", "--hostlogging=all", HELLO)[2]
        status, _, err = cli("run", "--hostlogging", "clock,files", HELLO)
        assert status == 2
        assert "invalid value 'clock,files' for --hostlogging: expected all, clock, filesystem," in err

    def test_a_listener_is_given_to_the_program(self, wat: Callable[[str], Path]) -> None:
        text = """(module
          (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1) (data (i32.const 64) "\\10\\00\\00\\00\\05\\00\\00\\00") (data (i32.const 16) "hello")
          (func (export "_start")
            (drop (call $accept (i32.const 3) (i32.const 0) (i32.const 0)))
            (call $exit (call $send (i32.load (i32.const 0)) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 4)))))"""
        command = [sys.executable, "-m", "wasmine", "run", "--listen", "127.0.0.1:0", str(wat(text))]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            said = process.stderr.readline()
            port = int(said.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                assert client.recv(10) == b"hello"
            assert process.wait(30) == 0
        assert said == f"listening on 127.0.0.1:{port}\n"

    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            ([], 1, "error: missing path to wasm file\nusage: wasmine run [FLAGS] FILE [ARGS...]"),
            (["missing.wasm"], 1, "error: error reading wasm binary: No such file or directory: 'missing.wasm'"),
            (["--nonsense", "x"], 2, "error: unknown flag --nonsense"),
            (["--seed", "abc", "x"], 2, "error: invalid value 'abc' for --seed"),
            (["--env", "A", HELLO], 1, "error: invalid environment variable: 'A': expected NAME=VALUE"),
            (["--env", "=A", HELLO], 1, "error: invalid environment variable: '=A'"),
            (
                ["--dir", "/does/not/exist", HELLO],
                1,
                "error: invalid mount: No such file or directory: '/does/not/exist'",
            ),
            (["--dir", HELLO, HELLO], 1, "error: invalid mount: Not a directory"),
            (["--dir", ":x", HELLO], 1, "error: invalid mount: ':x': expected HOST[:GUEST[:ro]]"),
            (["--listen", "nonsense", HELLO], 1, "error: invalid listener: 'nonsense': expected HOST:PORT"),
            (["--listen", "127.0.0.1:99999", HELLO], 1, "error: invalid listener: '127.0.0.1:99999'"),
            (["--engine", "steam", HELLO], 2, "error: invalid value 'steam' for --engine"),
        ],
    )
    def test_mistakes_are_explained(self, cli: CLI, words: list[str], status: int, message: str) -> None:
        found, out, err = cli("run", *words)
        assert (found, out) == (status, "")
        assert err.startswith(message)

    def test_a_file_that_is_no_module(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        path = wat(INVALID)
        status, _, err = cli("run", path)
        assert status == 1
        assert err.startswith(f"error: error compiling wasm binary: {path}: ")

    def test_a_module_whose_imports_are_missing(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        status, _, err = cli("run", wat('(module (import "env" "f" (func)) (func (export "_start")))'))
        assert status == 1
        assert err.startswith("error: error instantiating wasm binary: ")
        assert "env.f" in err

    def test_a_module_that_is_no_program(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        status, _, err = cli("run", wat(ADD))
        assert status == 1
        assert "has no function _start; it exports add" in err

    def test_a_program_from_standard_input(self, cli: CLI, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(HELLO).read_bytes())))
        assert cli("run", "-") == (0, "Hello, world!\n", "")


class TestInvoke:
    @pytest.mark.parametrize(
        ("types", "body", "words", "printed"),
        [
            ("i32 i32", "(i32.add (local.get 0) (local.get 1))", ["40", "0x2"], "42\n"),
            ("i32", "(local.get 0)", ["-1"], "-1\n"),
            ("i32", "(local.get 0)", ["4294967295"], "-1\n"),
            ("i64", "(i32.wrap_i64 (local.get 0))", ["5"], "5\n"),
            ("f64", "(i32.trunc_f64_s (local.get 0))", ["2.5"], "2\n"),
            ("f32", "(i32.trunc_f32_s (local.get 0))", ["1e3"], "1000\n"),
        ],
    )
    def test_arguments_have_types(
        self, cli: CLI, wat: Callable[[str], Path], types: str, body: str, words: list[str], printed: str
    ) -> None:
        path = wat(f'(module (func (export "f") (param {types}) (result i32) {body}))')
        assert cli("run", "--invoke", "f", path, *words) == (0, printed, "")

    @pytest.mark.parametrize(
        ("result", "value", "printed"),
        [
            ("", "", ""),
            ("i32 i64", "(i32.const -1) (i64.const 2)", "-1\n2\n"),
            ("f32 f64", "(f32.const 0.1) (f64.const 0.1)", "0.1\n0.1\n"),
            ("f64", "(f64.const inf)", "inf\n"),
        ],
    )
    def test_results_are_printed(
        self, cli: CLI, wat: Callable[[str], Path], result: str, value: str, printed: str
    ) -> None:
        path = wat(f'(module (func (export "f") (result {result}) {value}))')
        assert cli("run", "--invoke", "f", path) == (0, printed, "")

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--invoke", "nothing"], "'nothing' is not an exported function; exported functions: add"),
            (["--invoke", "add", "1"], "add(i32, i32) takes 2 arguments, 1 given"),
            (["--invoke", "add", "1", "2", "3"], "add(i32, i32) takes 2 arguments, 3 given"),
            (["--invoke", "add", "1", "two"], "invalid argument 'two' for add: expected i32"),
            (["--invoke", "add", "1", "99999999999"], "sum() argument 2: expected an i32"),
        ],
    )
    def test_mistakes_are_explained(self, cli: CLI, wat: Callable[[str], Path], words: list[str], message: str) -> None:
        path = wat(ADD)
        status, out, err = cli("run", *words[:2], path, *words[2:])
        assert (status, out) == (1, "")
        assert message in err


class TestValidate:
    def test_valid_files(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        path = wat(ADD)
        assert cli("validate", path, HELLO) == (0, f"{path}: valid\n{HELLO}: valid\n", "")
        assert cli("validate", "--quiet", path) == (0, "", "")

    def test_all_files_are_looked_at(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        path = wat(INVALID)
        status, out, err = cli("validate", "missing.wasm", path, HELLO)
        assert (status, out) == (1, f"{HELLO}: valid\n")
        first, second = err.splitlines()
        assert first.startswith("missing.wasm: error reading wasm binary: No such file")
        assert second.startswith(f"{path}: type mismatch")


class TestInspect:
    def test_everything_of_interest_is_shown(self, cli: CLI, tmp_path: Path) -> None:
        cli("wat2wasm", HELLO, "--output", tmp_path / "hello.wasm")
        status, out, _ = cli("inspect", tmp_path / "hello.wasm")
        assert status == 0
        size = (tmp_path / "hello.wasm").stat().st_size
        assert f"module hello, {size:,} bytes\n" in out
        assert "features: none beyond the first version of WebAssembly" in out
        assert re.search(r"^  code +0x[0-9a-f]+ +[\d,]+ +5$", out, re.MULTILINE)
        assert re.search(r'^  custom "name" ', out, re.MULTILINE)
        assert "imports: 4 func\n" in out
        assert re.search(r"^  func +wasi_snapshot_preview1\.proc_exit +\[i32\] -> \[\]$", out, re.MULTILINE)
        assert "exports: 1 memory, 1 func\n" in out

    def test_features_are_listed(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        text = '(module (func (export "f") (result i32 i32) (i32.extend8_s (i32.const 1)) (i32.const 2)))'
        assert "features: multi_value, sign_extension_ops\n" in cli("inspect", wat(text))[1]

    def test_it_says_which_engines_can_run_the_module_and_why(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        assert "engines: interpreter, compiler\n" in cli("inspect", wat("(module (func (drop (i32.const 251))))"))[1]
        text = "(module (type $s (struct)) (func) (func (drop (struct.new $s))))"
        found = "engines: interpreter only, for objects of the GC proposal: struct.new in function 1\n"
        assert found in cli("inspect", wat(text))[1]
        text = "(module (global i31ref (ref.i31 (i32.const 1))))"
        found = "engines: interpreter only, for objects of the GC proposal: ref.i31 in a constant expression\n"
        assert found in cli("inspect", wat(text))[1]

    def test_the_lowering_of_a_function(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        path = wat(ADD)
        for name in ("sum", "$sum", "add", "0"):
            status, out, _ = cli("inspect", "--lowering", name, path)
            assert status == 0
            assert out.startswith("def f(l0, l1):\n")
        status, _, err = cli("inspect", "--lowering", "nothing", path)
        assert status == 1
        assert "no function 'nothing' is defined in the module" in err

    def test_names_cannot_control_the_terminal(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        out = cli("inspect", wat('(module (func (export "\\1b[2J")))'))[1]
        assert "\x1b" not in out
        assert "\\x1b[2J" in out


class TestTranslation:
    def test_text_to_binary_and_back(self, cli: CLI, wat: Callable[[str], Path], tmp_path: Path) -> None:
        binary = tmp_path / "out.wasm"
        assert cli("wat2wasm", wat(ADD), "-o", binary) == (0, "", "")
        assert binary.read_bytes()[:4] == b"\0asm"
        status, folded, _ = cli("wasm2wat", binary)
        assert status == 0
        assert wasmine.Module(folded).to_bytes() == wasmine.Module(binary).to_bytes()
        flat = cli("wasm2wat", "--flat", binary)[1]
        assert "local.get 0\n" in flat
        assert wasmine.Module(flat).to_bytes() == wasmine.Module(binary).to_bytes()
        assert "i32.add" not in cli("wasm2wat", "--skeleton", binary)[1]
        assert cli("wasm2wat", binary, "--output", tmp_path / "again.wat") == (0, "", "")
        assert (tmp_path / "again.wat").read_text() == folded

    def test_where_binaries_go(
        self, cli: CLI, wat: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        cli("wat2wasm", wat(ADD))
        assert (tmp_path / "module.wasm").exists()
        status, _, err = cli("wat2wasm", wat(ADD), "--output", tmp_path / "no/where")
        assert status == 1
        assert "No such file or directory" in err

    def test_errors_of_text_have_a_place(self, cli: CLI, wat: Callable[[str], Path]) -> None:
        status, _, err = cli("wat2wasm", wat("(module\n  (func nonsense))"), "--output", "-")
        assert status == 1
        assert "line 2, column" in err


class TestOthers:
    def test_scripts_of_the_specification(self, cli: CLI, tmp_path: Path) -> None:
        script = tmp_path / "test.wast"
        script.write_text(f'{ADD}\n(assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 3))')
        assert cli("wast", script)[0] == 0
        script.write_text(f'{ADD}\n(assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 4))')
        assert cli("wast", script)[0] == 1
        assert cli("wast", tmp_path / "missing")[0] == 1

    def test_version(self, cli: CLI) -> None:
        for words in (["version"], ["--version"], ["-V"]):
            assert cli(*words) == (0, f"wasmine {wasmine.__version__}\n", "")

    def test_doctor(self, cli: CLI) -> None:
        status, out, _ = cli("doctor")
        assert status == 0
        assert f"{sys.version_info.major}.{sys.version_info.minor}." in out
        assert re.search(r"^interpreter engine: +works here$", out, re.MULTILINE)
        assert re.search(r"^auto: +takes the \w+ engine$", out, re.MULTILINE)

    def test_doctor_says_why_an_engine_does_not_work(self, cli: CLI, monkeypatch: pytest.MonkeyPatch) -> None:
        class Limited(wasmine.Runtime):
            def __init__(self, engine: Any = "auto") -> None:
                if engine == "compiler":
                    raise wasmine.UnsupportedFeature("executable memory", "no executable memory is to be had")
                super().__init__(engine)

        monkeypatch.setattr("wasmine.runtime.runtime.Runtime", Limited)
        out = cli("doctor")[1]
        assert re.search(r"^compiler engine: +does not work here: no executable memory", out, re.MULTILINE)
        assert re.search(r"^interpreter engine: +works here$", out, re.MULTILINE)

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion_knows_every_command_and_flag(self, cli: CLI, shell: str) -> None:
        status, out, _ = cli("completion", shell)
        assert status == 0
        assert all(command in out for command in COMMANDS)
        assert "env-inherit" in out

    @pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
    def test_completion_works_in_bash(self, cli: CLI) -> None:
        script = cli("completion", "bash")[1]
        asked = """
          COMP_WORDS=(wasmine run --env) COMP_CWORD=2; _wasmine; echo "${COMPREPLY[@]}"
          COMP_WORDS=(wasmine va) COMP_CWORD=1; _wasmine; echo "${COMPREPLY[@]}"
        """
        done = subprocess.run(["bash", "-c", script + asked], capture_output=True, text=True, check=True)
        assert done.stdout == "--env --env-inherit\nvalidate\n"

    def test_without_a_command_the_overview_is_shown(self, cli: CLI) -> None:
        status, out, err = cli()
        assert (status, out) == (2, "")
        assert all(command in err for command in COMMANDS)
        assert cli("--help")[:2] == (0, err)

    def test_an_unknown_command(self, cli: CLI) -> None:
        status, _, err = cli("jump")
        assert status == 1
        assert err.startswith("error: invalid command 'jump'\n")
        assert cli("vaildate")[2].startswith("error: invalid command 'vaildate': did you mean validate?\n")
        assert f"to run that file, wasmine run {HELLO}\n" in cli(HELLO)[2]

    def test_help_of_a_command(self, cli: CLI) -> None:
        assert cli("help", "run")[:2] == cli("run", "--help")[:2]


class TestProcess:
    """What can only be seen from outside."""

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "wasmine", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)

    def test_a_program_with_pipes(self) -> None:
        done = self.run("run", HELLO, "Ada")
        assert (done.returncode, done.stdout, done.stderr) == (0, "Hello, Ada!\n", "")

    def test_a_reader_that_goes_away(self) -> None:
        command = f"{sys.executable} -m wasmine wasm2wat {HELLO} | head -n 1"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
        assert done.stdout.startswith("(module")
        assert done.stderr == ""

    @pytest.mark.skipif(os.name != "posix", reason="needs signals")
    def test_control_c_ends_a_program_that_waits(self, tmp_path: Path) -> None:
        path = tmp_path / "read.wat"
        path.write_text("""(module
          (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1) (data (i32.const 0) "\\20\\00\\00\\00\\01\\00\\00\\00") (data (i32.const 32) "!")
          (func (export "_start")
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))))""")
        command = [sys.executable, "-m", "wasmine", "run", str(path)]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Where SIGINT is ignored, as in what a shell puts into the background, children would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        ) as process:
            assert process.stdout is not None
            assert process.stdout.read(1) == b"!"  # now it is about to read
            timer = threading.Timer(0.05, process.send_signal, [2])
            timer.start()
            assert process.wait(60) == 130
            assert process.stderr is not None
            assert process.stderr.read() == b""
        timer.join()
