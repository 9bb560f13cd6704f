"""Which of the hand-written machine code no test executes.

    python tests/blob_coverage [ARGUMENTS OF PYTEST]

It assembles the code once more with a mark in each basic block (behind each label and each conditional jump), which notes
that it was executed, runs tests with it, in this process's children and theirs, and prints the blocks without a note. Without
arguments, these are the tests of the compiler engine that have to do with it. The exit code is 1 if there are such blocks.
On x86-64 it takes llvmlite; on ARM64 it runs on the (emulated) processor itself.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent.parent
TESTS: Final = [
    "tests/compiler/machine",
    "tests/compiler/baseline",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests/compiler").glob("test_*.py"))),
    *(f"tests/runtime/test_{name}.py" for name in ("call_stacks", "fuel", "limits", "several_threads", "signals")),
]
AMD64_DATA: Final = 1 << 16
"""Where the data page lies behind the code on x86-64, which is longer with marks."""


def amd64(marks: int) -> tuple[bytes, dict[str, int], list[str], int]:
    """Code with marks, which are bytes at an offset of the data page; symbols, names of the marks, where the data page lies."""
    from wasmine.compiler.machine import amd64 as machine
    from wasmine.compiler.machine.amd64 import assembler
    from wasmine.compiler.machine.blob import SYMBOLS

    names: list[str] = []
    lines: list[str] = []
    label = due = ""
    for line in machine.source().replace(f"blob_start+{machine.DATA}", f"blob_start+{AMD64_DATA}").splitlines():
        found = re.fullmatch(r"(\w+):", line)
        # Behind all labels of a place, whose addresses are one.
        if due and not found and re.match(r"\s+[a-z]", line):
            lines.append(f"  mov byte ptr [rip+blob_start+{AMD64_DATA + marks + len(names)}], 1")
            names.append(due)
        if due and not found and line.strip() and not line.startswith((".globl", "  #", "#")):
            due = ""
        lines.append(line)
        if found:
            label = label if found[1].isdigit() else found[1]
            due = line if label == found[1] else f"{label}: {line}"
        elif re.match(r"\s+j(?!mp\b)\w+ ", line):
            due = f"{label}: behind {' '.join(line.split())}"
    return *assembler.assemble("\n".join(lines), SYMBOLS), names, AMD64_DATA


def arm64(marks: int) -> tuple[bytes, dict[str, int], list[str], int]:
    """The same for ARM64."""
    from wasmine.compiler.machine.arm64 import DATA, assembly, blob, words

    names: list[str] = []

    class Marked(assembly.Assembly):
        def __init__(self) -> None:
            super().__init__()
            self._label = ""
            self._due: list[str] = []

        def label(self, name: str, *, public: bool = False) -> None:
            super().label(name, public=public)
            self._label = name
            self._due.append(f"{name}:")

        def _mark(self) -> None:
            due, self._due = self._due, []
            for name in due:
                if name == "blob_end:":
                    continue
                # A word that is not 0, its own address; no flag and no register is changed.
                self.words.append(words.stp_pre(16, 17, words.SP, -16))
                super().to(f"mark {len(names)}", words.adr(16))
                self.words += [words.str_w(16, 16, 0), words.ldp_post(16, 17, words.SP, 16)]
                self.place(f"mark {len(names)}", DATA + marks + 4 * len(names))
                names.append(name)

        def __call__(self, *instructions: int) -> None:
            self._mark()
            super().__call__(*instructions)

        def to(self, label: str, instruction: int) -> None:
            self._mark()
            super().to(label, instruction)
            if instruction & 0xFF00_0010 == 0x5400_0000 or instruction & 0x7E00_0000 in (0x3400_0000, 0x3600_0000):
                self._due.append(f"{self._label}: behind the jump to {label}")

        def data(self, text: bytes) -> None:
            self._due.clear()
            super().data(text)

    blob.Assembly = Marked  # type: ignore[misc]
    return *blob.assemble(), names, DATA


def main() -> int:
    """Run the tests; 1 if there are blocks that were not executed."""
    sys.path.insert(0, str(ROOT / "src"))
    from wasmine.compiler.machine.architecture import MACHINES
    from wasmine.compiler.machine.layout import Data

    name = MACHINES[os.uname().machine]
    make, size = {"amd64": (amd64, 1), "arm64": (arm64, 4)}[name]
    code, symbols, names, data = make(Data.SIZE)
    with tempfile.TemporaryDirectory() as folder:
        described: dict[str, Any] = {"symbols": symbols, "data": data, "marks": Data.SIZE, "size": size * len(names)}
        Path(folder, "blob.json").write_text(json.dumps(described))
        Path(folder, "blob").write_bytes(code)
        marks = Path(folder, "marks")
        marks.write_bytes(bytes(size * len(names)))
        path = os.pathsep.join([str(HERE), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(sys.argv[1:] or TESTS)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "WASMINE_BLOB_COVERAGE": folder},
            check=False,
        )
        seen = marks.read_bytes()
    missing = [name for number, name in enumerate(names) if not any(seen[size * number : size * (number + 1)])]
    for block in missing:
        print(f"not executed: {block}")
    print(f"{len(names) - len(missing)} of {len(names)} basic blocks of {name} were executed")
    return 1 if missing else done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
