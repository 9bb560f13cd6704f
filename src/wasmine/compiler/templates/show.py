"""Prints stored templates: their instructions, disassembled where a disassembler is at hand, and their holes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from wasmine.compiler.templates.expand import (
    HOLE_CONSTANT,
    HOLE_NEGATED,
    HOLE_OPERAND,
    HOLE_TAKEN,
    HOLE_TRAP,
    MEMORY_BASE,
    MEMORY_LENGTH,
    OFFSET,
    Hole,
)
from wasmine.errors import TrapKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wasmine.compiler.templates.library import TemplateLibrary

# Registers for the operands of what is printed: such as the compiler gives out, in both files.
_SHOWN: Final = {"a": 8, "b": 9, "c": 10, "d": 11}
_VALUES: Final = {OFFSET: "offset", MEMORY_BASE: "base field", MEMORY_LENGTH: "length field"}
_TRAPS: Final = tuple(TrapKind)


def show(library: TemplateLibrary, pattern: str) -> Iterator[str]:
    """Lines about every template whose key starts with `pattern` as whole words."""
    words = pattern.split()
    for key, number in library.numbers.items():
        if key.split()[: len(words)] == words:
            yield from _show_one(library, key, number)


def _show_one(library: TemplateLibrary, key: str, number: int) -> Iterator[str]:
    code = library.code(number, **_SHOWN)
    yield f"{key}    ({len(code.code)} bytes)"
    yield from (f"    {line}" for line in disassemble(code.code))
    for hole in code.holes:
        yield f"    +{hole.offset:<3} {_describe(library, hole)}"
    hazards = library.hazards(number)
    pairs = [f"{'abcd'[bit // 4]} and {'abcd'[bit % 4]}" for bit in range(16) if hazards >> bit & 1]
    if pairs:
        yield f"    different registers for {', '.join(pairs)}"


def _describe(library: TemplateLibrary, hole: Hole) -> str:
    if hole.kind == HOLE_TAKEN:
        return "branch, where taken"
    if hole.kind == HOLE_TRAP:
        return f"trap: {_TRAPS[hole.operand].value}"
    if hole.kind == HOLE_CONSTANT:
        return f"constant {library.constants[hole.operand].hex(' ', 4)}"
    if hole.kind == HOLE_OPERAND:
        return f"pooled operand {'abcd'[hole.operand]}"
    value = _VALUES.get(hole.operand) or f"operand {'abcd'[hole.operand]}"
    if hole.kind == HOLE_NEGATED:
        return f"8 bits: {hole.addend} - {value}"
    return f"{8 * hole.kind} bits: {value}{f' + {hole.addend}' if hole.addend else ''}"


def disassemble(code: bytes) -> list[str]:
    """The code as assembly, by capstone or objdump, or as plain hexadecimal digits."""
    return _with_capstone(code) or _with_objdump(code) or [code.hex(" ")]


def _with_capstone(code: bytes) -> list[str]:
    try:
        import capstone  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return []
    machine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    return [f"{mnemonic} {operands}" for _, _, mnemonic, operands in machine.disasm_lite(code, 0)]


def _with_objdump(code: bytes) -> list[str]:
    import shutil
    import subprocess
    import tempfile

    program = shutil.which("objdump")
    if not program:
        return []
    with tempfile.NamedTemporaryFile() as file:
        file.write(code)
        file.flush()
        command = [program, "-D", "-b", "binary", "-mi386:x86-64", "-Mintel", "--no-show-raw-insn", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = re.findall(r"^\s*[0-9a-f]+:\s+(.*\S)\s*$", done.stdout, re.MULTILINE)
    return [re.sub(r"\s*#.*", "", line) for line in lines]
