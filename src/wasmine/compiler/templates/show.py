"""Prints stored templates: their instructions, disassembled where a disassembler is at hand, and their holes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from wasmine.compiler.templates.expand import (
    HOLE_CONSTANT,
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
# The promises about values that make a difference to see. (On x86-64 only numbers become shorter.)
_FORMS: Final = {
    "amd64": ((0, ""),),
    "arm64": ((0x7F, ""), (0xFF, ", at offset 0"), (0xEF, ", offsets of 24 bits"), (0, ", for any values")),
}
# The kinds of holes for values, by architecture.
_KINDS: Final = {
    "amd64": {1: "8 bits", 2: "16 bits", 4: "32 bits", 8: "64 bits", 9: "8 bits, negated"},
    "arm64": {
        1: "displacement",
        2: "immediate",
        3: "bit pattern",
        4: "shift left",
        5: "shift right",
        6: "rotation right",
        7: "rotation left",
        8: "shift of lanes left",
        9: "shift of lanes right",
        10: "16 bits",
        11: "low 16 bits",
        12: "more 16 bits",
        13: "upper 12 of 24 bits",
        14: "lower 12 bits",
        15: "lower 12 bits",
    },
}


def show(library: TemplateLibrary, pattern: str) -> Iterator[str]:
    """Lines about every template whose key starts with `pattern` as whole words."""
    words = pattern.split()
    for key, number in library.numbers.items():
        if key.split()[: len(words)] == words:
            yield from _show_one(library, key, number)


def _show_one(library: TemplateLibrary, key: str, number: int) -> Iterator[str]:
    shown = set()
    for small, title in _FORMS[library.architecture]:
        code = library.code(number, **_SHOWN, small=small)
        if code.code in shown:
            continue
        shown.add(code.code)
        yield f"{key}    ({len(code.code)} bytes{title if len(shown) > 1 else ''})"
        yield from (f"    {line}" for line in disassemble(code.code, library.architecture))
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
    return f"{_KINDS[library.architecture][hole.kind]}: {value}{f' + {hole.addend}' if hole.addend else ''}"


def disassemble(code: bytes, architecture: str = "amd64") -> list[str]:
    """The code as assembly, by capstone or objdump, or as hexadecimal digits."""
    plain = [code.hex(" ")]
    if architecture == "arm64":
        plain = [f"{int.from_bytes(code[at : at + 4], 'little'):08x}" for at in range(0, len(code), 4)]
    return _with_capstone(code, architecture) or _with_objdump(code, architecture) or plain


def _with_capstone(code: bytes, architecture: str) -> list[str]:
    try:
        import capstone  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return []
    machine = (
        capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        if architecture == "amd64"
        else capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    )
    return [f"{mnemonic} {operands}" for _, _, mnemonic, operands in machine.disasm_lite(code, 0)]


_OBJDUMPS: Final = {
    "amd64": (("x86_64-linux-gnu-objdump", "objdump"), ("-mi386:x86-64", "-Mintel")),
    "arm64": (("aarch64-linux-gnu-objdump",), ("-maarch64",)),
}


def _with_objdump(code: bytes, architecture: str) -> list[str]:
    import shutil
    import subprocess
    import tempfile

    names, options = _OBJDUMPS[architecture]
    program = next(filter(None, map(shutil.which, names)), None)
    if not program:
        return []
    with tempfile.NamedTemporaryFile() as file:
        file.write(code)
        file.flush()
        command = [program, "-D", "-b", "binary", *options, "--no-show-raw-insn", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = re.findall(r"^\s*[0-9a-f]+:\s+(.*\S)\s*$", done.stdout, re.MULTILINE)
    return [re.sub(r"\s*(#\s.*|//.*)", "", line) for line in lines]
