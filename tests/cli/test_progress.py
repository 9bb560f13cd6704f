"""The progress bar: on a terminal, after a while, gone at the end."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from wasmine.cli import progress
from wasmine.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test sets."""
    moment = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: moment[0])
    monkeypatch.setenv("TERM", "xterm")
    return moment


def test_short_work_shows_nothing(now: list[float]) -> None:
    terminal = Terminal()
    with Progress("compiling", stream=terminal) as told:
        for done in range(100):
            now[0] += 0.004
            told(done, 100)
    assert terminal.getvalue() == ""


def test_long_work_shows_how_far_it_is_and_clears_the_line(now: list[float]) -> None:
    terminal = Terminal()
    with Progress("compiling", stream=terminal) as told:
        now[0] += 0.6
        told(30, 60)
        told(31, 60)  # too soon for another picture
        now[0] += 0.6
        told(45, 60)
    assert terminal.getvalue() == (
        "\r\033[Kcompiling [" + "#" * 15 + "." * 15 + "] 50%\r\033[Kcompiling [" + "#" * 22 + "." * 8 + "] 75%\r\033[K"
    )


def test_a_long_title_does_not_wrap(now: list[float]) -> None:
    terminal = Terminal()
    with Progress("compiling " + "x" * 200, stream=terminal) as told:
        now[0] += 0.6
        told(100, 100)
    longest = max(len(line) for line in terminal.getvalue().split("\r\033[K"))
    assert longest == 79


def test_the_line_is_cleared_when_work_fails(now: list[float]) -> None:
    terminal = Terminal()

    def fail() -> None:
        with Progress("compiling", stream=terminal) as told:
            now[0] += 1
            told(0, 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert terminal.getvalue().endswith("\r\033[K")


@pytest.mark.parametrize("case", ["quiet", "no terminal", "dumb terminal", "no stream", "closed"])
def test_it_is_silent_where_nobody_looks(now: list[float], monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    stream = io.StringIO() if case == "no terminal" else Terminal()
    if case == "dumb terminal":
        monkeypatch.setenv("TERM", "dumb")
    if case == "no stream":
        monkeypatch.setattr(sys, "stderr", None)
    if case == "closed":
        stream.close()
    with Progress("compiling", quiet=case == "quiet", stream=None if case == "no stream" else stream) as told:
        now[0] += 10
        told(1, 2)
    assert case == "closed" or stream.getvalue() == ""


SLOW = """
import sys
from wasmine.cli import main, progress
progress._PATIENCE = 0.0  # every work is long
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
@pytest.mark.parametrize("flags", [[], ["--quiet"]])
def test_what_the_guest_prints_stands_on_clear_lines(flags: list[str]) -> None:
    hello = Path(__file__).parents[2] / "examples/hello.wat"
    outer, inner = os.openpty()
    seen = bytearray()

    def read() -> None:
        while True:
            try:
                piece = os.read(outer, 1000)
            except OSError:  # Linux's way to say that nobody can write any more
                return
            if not piece:
                return
            seen.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    command = [sys.executable, "-c", SLOW, "run", *flags, str(hello), "you"]
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(command, stdout=inner, stderr=inner, stdin=subprocess.DEVNULL, env=environment, check=False)
    os.close(inner)
    reader.join()
    os.close(outer)
    assert done.returncode == 0
    text = seen.decode()
    shown = text.split("\033[K")[-1]  # what is left on the screen
    assert shown == "Hello, you!\r\n"
    assert ("validating [" in text) == (not flags)
