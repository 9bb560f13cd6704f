"""Making the machine code on hosts that cannot make all of it."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from wasmine.compiler.machine import architecture, assemble, blob

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="makes the code for x86-64")


@pytest.fixture(autouse=True)
def llvmlite() -> None:
    pytest.importorskip("llvmlite")


def elsewhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(platform, "machine", lambda: "aarch64")


def test_another_host_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere(monkeypatch)
    with pytest.raises(OSError, match=r"aarch64 cannot assemble code for x86-64: build .* or copy amd64\.bin"):
        assemble.build(tmp_path)


def test_another_host_takes_what_was_made_from_the_same_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {path.name: path.read_bytes() for path in assemble.build(tmp_path)}
    (tmp_path / "arm64.bin").unlink()
    elsewhere(monkeypatch)
    assert {path.name: path.read_bytes() for path in assemble.build(tmp_path)} == made


def test_another_host_takes_nothing_older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    amd64 = architecture.named("amd64")
    blob.path(tmp_path, amd64).write_bytes(b"source=1\n")
    elsewhere(monkeypatch)
    with pytest.raises(OSError, match="cannot assemble"):
        assemble.build(tmp_path)
