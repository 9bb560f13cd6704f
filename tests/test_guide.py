"""The guide is true: its Python runs, in order, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parents[1] / "docs/guide.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def test_every_block_of_the_guide_runs_and_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = GUIDE.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "guide"}
    blocks = list(_BLOCK.finditer(page))
    assert len(blocks) == page.count("```python") > 10
    for block in blocks:
        line = page.count("\n", 0, block.start()) + 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            # Line numbers of a traceback are those of the page.
            exec(compile("\n" * line + block[1], str(GUIDE), "exec"), names)
        assert printed.getvalue() == (block[2] or ""), f"the block at line {line}"
