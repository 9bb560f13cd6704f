"""`python -m wasmine.compiler.machine`: assembles the hand-written sequences into this directory (needs llvmlite)."""

from __future__ import annotations

from pathlib import Path

from wasmine.compiler.machine.assemble import build

for path in build(Path(__file__).parent):
    print(f"{path}: {path.stat().st_size} bytes")
