"""Assembles text. Build time only, with llvmlite, whose assembler knows the processor that it runs on and no other.

The result depends on nothing but the text and LLVM's version: the same bytes come out on any host of this architecture.
"""

from __future__ import annotations

import platform
import struct
from typing import Final

_TRIPLE: Final = "x86_64-unknown-linux-gnu"
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
_SYMBOL: Final = struct.Struct("<IBBHQQ")  # Elf64_Sym


def assemble(text: str, wanted: tuple[str, ...]) -> tuple[bytes, dict[str, int]]:
    """The code of assembly text and the offsets of its symbols. ValueError if it is not position-independent.

    OSError where there is no assembler for it.
    """
    if (machine := platform.machine()).lower() not in ("x86_64", "amd64"):
        raise OSError(f"llvmlite on {machine} cannot assemble code for x86-64")
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()
    quoted = text.replace("\\", "\\5c").replace('"', "\\22").replace("\n", "\\0a")
    module = llvm.parse_assembly(f'target triple = "{_TRIPLE}"\nmodule asm "{quoted}"\n')
    data: bytes = llvm.Target.from_triple(_TRIPLE).create_target_machine().emit_object(module)
    return _read(data, wanted)


def _read(data: bytes, wanted: tuple[str, ...]) -> tuple[bytes, dict[str, int]]:
    (table,) = struct.unpack_from("<Q", data, 40)
    count, names_index = struct.unpack_from("<HH", data, 60)
    rows = [_SECTION.unpack_from(data, table + _SECTION.size * i) for i in range(count)]
    sections = {_string(data, rows[names_index][4] + row[0]): row for row in rows}
    if ".rela.text" in sections:
        raise ValueError("the assembly text has relocations: it must refer to itself only, by local labels")
    text, strings, symbols = sections[".text"], sections[".strtab"], sections[".symtab"]
    found = {}
    for name, _, _, _, value, _ in _SYMBOL.iter_unpack(data[symbols[4] : symbols[4] + symbols[5]]):
        found[_string(data, strings[4] + name)] = value
    return data[text[4] : text[4] + text[5]], {name: found[name] for name in wanted}


def _string(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()
