"""`main` runs files and folders and sums up."""

from __future__ import annotations

import json
from pathlib import Path

from wasmine.script import main

GOOD = '(module (func (export "one") (result i32) (i32.const 1)))\n(assert_return (invoke "one") (i32.const 1))\n'
BAD = GOOD + '(assert_return (invoke "one") (i32.const 2))\n'


def test_a_folder_gives_a_line_for_each_file_and_one_for_all(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "good.wast").write_text(GOOD)
    (tmp_path / "deeper" / "also.wast").write_text(GOOD)
    lines: list[str] = []

    assert main([tmp_path], write=lines.append) == 0
    assert lines == [
        f"{tmp_path / 'deeper' / 'also.wast'}: 2 passed, 0 failed, 0 skipped",
        f"{tmp_path / 'good.wast'}: 2 passed, 0 failed, 0 skipped",
        "total: 4 passed, 0 failed, 0 skipped",
    ]


def test_a_failure_is_told_by_file_and_line_and_by_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "bad.wast").write_text(BAD)
    lines: list[str] = []

    assert main([tmp_path / "bad.wast"], write=lines.append) == 1
    assert lines[0] == f"{tmp_path / 'bad.wast'}: 2 passed, 1 failed, 0 skipped"
    assert lines[1].startswith(f"  {tmp_path / 'bad.wast'}:3: assert_return: 'one': expected (i32.const 0x2)")
    assert lines[2] == "total: 2 passed, 1 failed, 0 skipped"


def test_nothing_to_run_is_a_failure(tmp_path: Path) -> None:
    lines: list[str] = []

    assert main([tmp_path, tmp_path / "missing.wast"], write=lines.append) == 1
    assert lines[-1] == "total: 0 passed, 2 failed, 0 skipped"


def test_the_index_of_a_suite_says_what_is_void(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "bad.wast").write_text(BAD)
    (tmp_path / "index.json").write_text(json.dumps({"files": {"folder/bad.wast": {"void_in_3.0_lines": [3]}}}))
    lines: list[str] = []

    assert main([tmp_path / "folder"], write=lines.append) == 0
    assert lines[-1] == "total: 2 passed, 0 failed, 1 skipped"
