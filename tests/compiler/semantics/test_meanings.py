"""Meanings: there is one for every instruction that computes, and LLVM understands it on both architectures."""

from __future__ import annotations

import pytest

from wasmine.compiler.semantics import LLVM_TYPES, Builder, Meaning, Target, meanings
from wasmine.errors import TrapKind
from wasmine.format.instructions import BY_NAME, INSTRUCTIONS

# What has no meaning of its own; docs/compiler.md says what the compiler does instead.
CONTROL = {
    "unreachable", "nop", "block", "loop", "if", "else", "end", "br", "br_if", "br_table", "return", "call",
    "call_indirect", "return_call", "return_call_indirect", "call_ref", "return_call_ref", "br_on_null", "br_on_non_null",
    "throw", "throw_ref", "try_table", "try", "catch", "rethrow", "delegate", "catch_all",
}  # fmt: skip
TRANSFER = {"drop", "select", "local.get", "local.set", "local.tee", "global.get", "global.set"}
RUNTIME = {
    "memory.size", "memory.grow", "memory.init", "data.drop", "memory.copy", "memory.fill",
    "table.init", "elem.drop", "table.copy", "table.get", "table.set", "table.grow", "table.size", "table.fill",
    "ref.null", "ref.is_null", "ref.func", "ref.eq", "ref.as_non_null",
    "memory.atomic.notify", "memory.atomic.wait32", "memory.atomic.wait64",
}  # fmt: skip


class PlainBuilder(Builder):
    """A tier of its own: traps are calls, memory lies behind the first parameter."""

    def trap_if(self, condition: str, kind: TrapKind) -> None:
        label = self.fresh()[1:]
        self.do(f"br i1 {condition}, label %trap{label}, label %ok{label}")
        self.do(f"trap{label}:")
        self.declarations["trap"] = "declare void @trap(i32)"
        self.do(f"call void @trap(i32 {list(TrapKind).index(kind)})")
        self.do("unreachable")
        self.do(f"ok{label}:")

    def address(self, index: str | None, size: int, *, aligned: bool = False) -> str:
        return self.let(f"getelementptr i8, ptr %memory, i64 {index or 0}")


def function(target: Target, name: str, meaning: Meaning, symbol: str, lane: int) -> tuple[str, dict[str, str]]:
    """An LLVM function that computes an instruction, and the declarations it needs."""
    builder = PlainBuilder(target)
    parameters = ["ptr %memory", *(f"{LLVM_TYPES[letter]} %p{n}" for n, letter in enumerate(meaning.params))]
    immediates: tuple[object, ...] = (lane,) if lane >= 0 else ()
    if name == "i8x16.shuffle":
        immediates = (bytes(range(16)),)
    result = meaning.write(builder, *(f"%p{n}" for n in range(len(meaning.params))), *immediates)
    types = [LLVM_TYPES[letter] for letter in meaning.results]
    if isinstance(result, tuple):
        pair = builder.let(f"insertvalue {{ {', '.join(types)} }} poison, {types[0]} {result[0]}, 0")
        pair = builder.let(f"insertvalue {{ {', '.join(types)} }} {pair}, {types[1]} {result[1]}, 1")
        returned, type = pair, f"{{ {', '.join(types)} }}"
    else:
        returned, type = str(result), types[0] if types else "void"
    end = "ret void" if type == "void" else f"ret {type} {returned}"
    body = "\n".join([*builder.lines, end])
    return f"define {type} @{symbol}({', '.join(parameters)}) {{\n{body}\n}}\n", builder.declarations


def test_every_instruction_has_a_meaning_or_a_reason_to_have_none() -> None:
    known = {name for name in meanings() if not name.endswith("!")}
    without = CONTROL | TRANSFER | RUNTIME
    objects = {instruction.name for instruction in INSTRUCTIONS if instruction.prefix == 0xFB}
    assert known & without == set()
    assert known | without | objects == {instruction.name for instruction in INSTRUCTIONS}


def test_signatures_are_those_of_the_instruction_table() -> None:
    for name, meaning in meanings().items():
        instruction = BY_NAME.get(name)
        if instruction is None or name.endswith(".const"):
            continue
        assert (meaning.params, meaning.results) == (instruction.params, instruction.results)
        assert bool(meaning.size) == (instruction.alignment >= 0), name
        if meaning.size:
            assert meaning.size == 1 << instruction.alignment, name
        lanes = next((immediate.bound for immediate in instruction.immediates if immediate.kind == "lane"), 0)
        assert meaning.lanes == lanes, name


@pytest.mark.parametrize(
    ("target", "triple"), [(Target.AMD64, "x86_64-linux-gnu"), (Target.ARM64, "aarch64-linux-gnu")]
)
def test_llvm_compiles_every_meaning(target: Target, triple: str) -> None:
    llvm = pytest.importorskip("llvmlite.binding", reason="meanings are checked with llvmlite: pip install llvmlite")
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    texts = [f'target triple = "{triple}"']
    declarations: dict[str, str] = {}
    for number, (name, meaning) in enumerate(meanings().items()):
        for lane in range(meaning.lanes) if meaning.lanes else (-1,):
            text, needed = function(target, name, meaning, f"f{number}_{lane + 1}", lane)
            texts.append(text)
            declarations |= needed
    module = llvm.parse_assembly("\n".join([*texts, *declarations.values()]))
    module.verify()
    features = "+ssse3,+sse4.1" if target is Target.AMD64 else ""
    machine = llvm.Target.from_triple(triple).create_target_machine(opt=1, features=features)
    assert machine.emit_object(module)


def test_a_trap_names_its_kind() -> None:
    text, _ = function(Target.AMD64, "i32.div_s", meanings()["i32.div_s"], "f", -1)
    kinds = list(TrapKind)
    assert f"@trap(i32 {kinds.index(TrapKind.INTEGER_DIVIDE_BY_ZERO)})" in text
    assert f"@trap(i32 {kinds.index(TrapKind.INTEGER_OVERFLOW)})" in text
